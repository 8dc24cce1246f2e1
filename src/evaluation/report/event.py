"""The working day in a territory, as a folder to print: programme, dossiers, ballots, decision sheets, blank minutes.

Everything on these pages is what the site says of the territory; what people are asked to write stays blank. A decision
of the rules is a proposal there: the sheets leave room for what the participants think, and the minutes end with the
lines to type into data/portfolio/participation.yaml. Pages load nothing and hold no script.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from evaluation import store
from evaluation.errors import ParametersError, StaleError
from evaluation.report import cells, decision_views, innovation_views, locale, needs_pages, pages, tables, views
from evaluation.report.inputs import Inputs, Row, Said, require_publishable, said
from evaluation.report.inputs import read as read_inputs
from evaluation.report.locale import NBSP, Lang
from evaluation.report.texts import texts

View = dict[str, Any]

FILES: Final[Mapping[str, Mapping[Lang, str]]] = {
    "index": {"fr": "index.html", "en": "index.html"},
    "programme": {"fr": "1-programme.html", "en": "1-programme.html"},
    "dossier": {"fr": "2-dossier-{}.html", "en": "2-dossier-{}.html"},
    "sheets": {"fr": "3-fiches-de-decision.html", "en": "3-decision-sheets.html"},
    "minutes": {"fr": "4-compte-rendu.html", "en": "4-minutes.html"},
}
BALLOTS: Final[Mapping[Lang, str]] = {"fr": "bulletins", "en": "ballots"}
HOURS: Final = ("welcome", "situation", "ballot", "answers", "lunch", "count", "decide", "plenary", "close")
GROUPS: Final = ("residents", "professionals", "operators", "funders", "elected")
CHOICES: Final = ("agree", "agree_if", "disagree", "unsure")


def write_folder(territory_id: str, folder: Path | None = None, lang: str | None = None) -> list[Path]:
    """Write the folder from the results that are there; return its files, a list of contents first.

    Args:
        territory_id: a test territory.
        folder: below it stands one folder a language; `event-TERRITORY` if None.
        lang: one language; those of params.yaml if None.

    Raises:
        ParametersError: there is no such test territory or language.
        StaleError: results were not made yet.
        SetupError: the folder holds typed ballots already.
    """
    from evaluation.settings.params import read_params

    languages = pages.require_languages((lang,) if lang else read_params().languages)
    inputs = read_inputs()
    require_publishable(inputs, internal=False)
    return write(territory_id, folder or Path(f"event-{territory_id}"), languages, inputs)


def write(territory_id: str, folder: Path, languages: Sequence[Lang], inputs: Inputs) -> list[Path]:
    """`write_folder` with everything given."""
    from evaluation.needs import single_vote

    written: list[Path] = []
    for lang in languages:
        rendered = render(inputs, territory_id, lang)
        ballots = single_vote.write_form(folder / lang / BALLOTS[lang], None)
        for name, text in rendered.items():
            store.write_text(folder / lang / name, text)
        written += [*(folder / lang / name for name in rendered), *ballots]
    return written


def render(inputs: Inputs, territory_id: str, lang: Lang) -> dict[str, str]:
    """Pages of one language by file name, the list of contents first; the same inputs give the same text."""
    place = _place(inputs, territory_id)
    names = _priorities(inputs, territory_id)
    shared = {"place": said(place, "label", lang), "kind": texts(lang)(f"territories.{place['kind']}")}
    dossiers = [_dossier(inputs, name, place, lang) for name in names]
    sheets = [_sheet(inputs, decision, place, lang) for decision in _discussed(inputs, names)]
    contents = {
        "programme": (FILES["programme"][lang], {"hours": _hours(lang), "basis": _basis(inputs, lang)}),
        **{each["id"]: (FILES["dossier"][lang].format(each["id"]), each) for each in dossiers},
        "sheets": (FILES["sheets"][lang], {"sheets": sheets, "choices": _choices(lang)}),
        "minutes": (FILES["minutes"][lang], _minutes(inputs, names, sheets, place, lang)),
    }
    index: View = {"files": [(file, _title(key, view, lang)) for key, (file, view) in contents.items()]}
    index |= {"ballots": BALLOTS[lang], "sheets": len(sheets)}
    parts = {"index": (FILES["index"][lang], index), **contents}
    return {file: _page(_template(key), {**shared, **view}, inputs, lang) for key, (file, view) in parts.items()}


def _template(key: str) -> str:
    return f"event_{key if key in FILES else 'dossier'}.html"


def _title(key: str, view: View, lang: Lang) -> str:
    t = texts(lang)
    return t(f"event.{key}") if key in FILES else t("event.dossier", difficulty=view["label"].text)


def _page(template: str, view: View, inputs: Inputs, lang: Lang) -> str:
    return pages.fill(
        template,
        lang=lang,
        t=texts(lang),
        view=view,
        colon=f"{NBSP}:" if lang == "fr" else ":",
        simulated=inputs.simulated,
    )


def _place(inputs: Inputs, territory_id: str) -> Row:
    found = next((row for row in inputs.places if row["id"] == territory_id), None)
    if found is None:
        raise ParametersError(
            code="E-CLI-035",
            what="There is no test territory of this id.",
            where="data/portfolio/territories.yaml",
            found=repr(territory_id),
            expected=f"one of {', '.join(row['id'] for row in inputs.places)}",
            fix="name a territory with status: test, or give it that status",
        )
    return found


def _priorities(inputs: Inputs, territory_id: str) -> list[str]:
    """The priority difficulties, then those that this territory alone puts first."""
    if not inputs.priorities:
        raise StaleError(
            code="E-CLI-036",
            what="Nobody has said yet which difficulties the day is about.",
            where="data/needs/priorities.json",
            found="no such file",
            expected="the priorities that the needs stage writes",
            fix="run `evaluation run`",
        )
    found = inputs.priorities["priorities"]
    return [*dict.fromkeys([*found["difficulties"], *found["of_territory"].get(territory_id, ())])]


# programme ------------------------------------------------------------------------------------------------------------


def _hours(lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("event.hour"): t(f"event.{name}_hour"),
            t("event.what"): Markup("<b>{}</b><br>{}").format(t(f"event.{name}"), t(f"event.{name}_told")),
            t("event.with"): t(f"event.{name}_with"),
        }
        for name in HOURS
    ]
    return tables.html(tables.frame(rows), caption=t("event.hours_caption"), lang=lang)


def _basis(inputs: Inputs, lang: Lang) -> list[Said]:
    """Why these difficulties: voted, or attributed."""
    found = inputs.priorities["priorities"]
    return [Said(locale.typography(text, lang)) for text in found[f"reasons_{lang}"]]


# dossiers -------------------------------------------------------------------------------------------------------------


def _dossier(inputs: Inputs, difficulty_id: str, place: Row, lang: Lang) -> View:
    row = inputs.difficulty(difficulty_id)
    return {
        "id": difficulty_id,
        "label": said(row, "label", lang),
        "said": said(row, "said", lang),
        "publics": [(said(public, "label", lang), said(public, "said", lang)) for public in row["publics"]],
        "concerned": _concerned(inputs, difficulty_id, place["id"], lang),
        "lasts": said(row, "persistence", lang),
        "where": said(row, "where", lang),
        "policy": said(row, "policy", lang),
        "answers": _answers(inputs, difficulty_id, place["id"], lang),
        "collect": views.unique(
            Said(locale.typography(str(text), lang))
            for text in (*row.get(f"to_collect_{lang}", ()), *place.get(f"to_collect_{lang}", ()))
        ),
    }


def _concerned(inputs: Inputs, difficulty_id: str, territory_id: str, lang: Lang) -> str:
    """People concerned here, and whether that was counted or scaled from France."""
    loads = (load for row in inputs.priorities["side_by_side"] for load in row["burdens"])
    mine = [load for load in loads if (load["difficulty"], load["territory"]) == (difficulty_id, territory_id)]
    if not mine:
        return texts(lang)("priorities.to_count")
    told, counted = needs_pages.people(mine[0]["parts"][0], lang), mine[0]["parts"][0]
    basis = said(counted, "basis", lang).text
    return f"{told} ({basis})" if mine[0]["synthetic"] and counted["known"] and basis else told


def _answers(inputs: Inputs, difficulty_id: str, territory_id: str, lang: Lang) -> Markup:
    """Each innovation on this difficulty: what is decided here, what the evidence is, what share it covers."""
    t, here = texts(lang), {row["innovation"]: row for row in inputs.local if row["territory"] == territory_id}
    chosen = sorted(
        (row for row in inputs.decisions if row["difficulty"] == difficulty_id), key=lambda row: _order(inputs, row)
    )
    rows = []
    for decision in chosen:
        local = here.get(decision["innovation"])
        found = decision_views.local_cells(local, lang) if local else {}
        grade = decision["best_grade"]
        rows.append(
            {
                t("columns.innovation"): cells.tell(said(inputs.innovation(decision["innovation"]), "label", lang)),
                t("columns.decision"): found.get(t("columns.decision"), t(f"decisions.{decision['decision']}")),
                t("columns.grade"): t("site.none") if grade is None else t("event.of_five", grade=grade),
                t("here.transfer"): found.get(t("here.transfer"), t("here.not_assessed")),
            }
        )
    caption = t("event.answers_caption")
    return tables.html(tables.frame(rows), caption=caption, lang=lang) if rows else Markup("")


def _order(inputs: Inputs, decision: Row) -> tuple[int, bool, str]:
    """Those with something to do first, then those that exist in France."""
    in_france = bool(inputs.innovation(decision["innovation"])["in_france"])
    return views.DECISIONS.index(decision["decision"]), not in_france, decision["innovation"]


# decision sheets ------------------------------------------------------------------------------------------------------


def _discussed(inputs: Inputs, difficulties: Sequence[str]) -> list[Row]:
    """Innovations on these difficulties that exist in France, or about which there is something to do."""
    chosen = [
        row
        for row in inputs.decisions
        if row["difficulty"] in difficulties
        and (row["decision"] != views.LACKING or inputs.innovation(row["innovation"])["in_france"])
    ]
    return sorted(chosen, key=lambda row: (difficulties.index(row["difficulty"]), *_order(inputs, row)))


def _sheet(inputs: Inputs, decision: Row, place: Row, lang: Lang) -> View:
    """What the page of the innovation says, and what is decided in this territory."""
    view = innovation_views.innovation(inputs, decision, lang, expert=False)
    local = [row for row in inputs.local_of(decision["innovation"]) if row["territory"] == place["id"]]
    found = decision_views.local_cells(local[0], lang) if local else {}
    shown = [texts(lang)(f"here.{name}") for name in ("transfer", "net")]
    return {
        **{name: view[name] for name in ("id", "label", "summary", "difficulty", "decision", "dials", "unknown")},
        "to_scale": view["to_scale"],
        "here": [(header, found[header]) for header in shown if header in found],
    }


def _choices(lang: Lang) -> list[str]:
    return [texts(lang)(f"event.{name}") for name in CHOICES]


# minutes --------------------------------------------------------------------------------------------------------------


def _minutes(inputs: Inputs, difficulties: Sequence[str], sheets: Sequence[View], place: Row, lang: Lang) -> View:
    t = texts(lang)
    return {
        "groups": [t(f"event.group_{name}") for name in GROUPS],
        "voted": [said(row, "label", lang) for row in inputs.difficulties],
        "difficulties": [said(inputs.difficulty(name), "label", lang) for name in difficulties],
        "sheets": [(sheet["label"], sheet["decision"]["label"]) for sheet in sheets],
        "choices": _choices(lang),
        "typed": _typed(place["id"]),
    }


def _typed(territory_id: str) -> str:
    """What to type after the day, with the keys of participation.yaml; the dots are to be filled in."""
    return (
        f"steps:\n  - id: working-day-{territory_id}\n    phase: need\n    status: held\n    date: …\n"
        f"    concerns: {{territory: {territory_id}}}\n    who_fr: …\n    who_en: …\n    people: …\n"
        "    recruited_fr: …\n    recruited_en: …\n    said_fr: …\n    said_en: …"
    )
