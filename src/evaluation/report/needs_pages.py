"""Pages of needs: which difficulties come first and why, who took part, what operators replied; the stamped example.

They are there when data/needs/priorities.json is. What concerns one page (a step of participation, an operator's reply)
is also shown on that page.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, needs_tables, tables
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = dict[str, Any]

FILES: Final[Mapping[str, Mapping[Lang, str]]] = {
    "priorities": {"fr": "priorites.html", "en": "priorities.html"},
    "example_vote": {"fr": "exemple-de-vote.html", "en": "example-vote.html"},
}
_RULES: Final = ("majority_judgment", "schulze", "borda", "approval")


def views(inputs: Inputs, lang: Lang) -> dict[str, View]:
    """Template name -> view of every page of needs that has something to show."""
    found = {"priorities": inputs.priorities, "example_vote": inputs.example_vote}
    return {name: _page(inputs, name, data, lang) for name, data in found.items() if data}


def concerning(inputs: Inputs, name: str, view: Mapping[str, Any], lang: Lang) -> View:
    """What the register says about one page: steps and, for an innovation, the operator's reply; empty for others.

    Args:
        inputs: of the site.
        name: of the page's template.
        view: of the page.
        lang: language of the page.
    """
    data = inputs.priorities
    page = FILES["priorities"][lang] if data else ""
    if not data or name not in ("needs", "innovation"):
        return {"shown": False, "ranked": _ranked(inputs), "page": page}
    own = {"innovation": view["id"], "difficulty": view["difficulty"]["id"]} if name == "innovation" else {}
    return {
        "shown": True,
        "ranked": _ranked(inputs),
        "page": page,
        "steps": [_step(row, lang) for row in data["register"] if _concerns(row, own)],
        "replies": [_reply(inputs, row, lang) for row in data["replies"] if row["innovation"] == own.get("innovation")],
    }


def _ranked(inputs: Inputs) -> bool:
    """Whether real people have voted."""
    return bool(inputs.priorities and inputs.priorities["priorities"]["basis"] == "ballots")


def _concerns(row: Row, own: Mapping[str, str]) -> bool:
    """Whether a step belongs on a page: that of all needs (own is empty), or that of one innovation.

    A step about one innovation, or about a difficulty, stands with it; a step about nothing in particular stands with
    needs as long as needs and outcomes are chosen, with innovations once decisions are taken.
    """
    about = {key: value for key, value in row["concerns"].items() if value and key != "territory"}
    if not own:
        return "innovation" not in about and (bool(about) or row["phase"] in ("need", "outcome"))
    named = all(own.get(key) == value for key, value in about.items())
    return named and (bool(about) or row["phase"] in ("decision", "follow_up"))


# the page ------------------------------------------------------------------------------------------------------------


def _page(inputs: Inputs, name: str, data: Row, lang: Lang) -> View:
    names = needs_tables.labels(inputs.difficulties, lang)
    found = data["priorities"]
    return {
        "file": FILES[name][lang],
        "elsewhere": FILES[name],
        "simulated": data["simulated"],
        "example": FILES["example_vote"][lang] if inputs.example_vote and name == "priorities" else "",
        "basis": found["basis"],
        "difficulties": [{"id": each, "label": names[each]} for each in found["difficulties"]],
        "reasons": [_typed(text, lang) for text in found[f"reasons_{lang}"]],
        "votes": [_vote(vote, data, names, lang) for vote in data["votes"]],
        **({} if data["simulated"] else _real(inputs, data, names, lang)),
    }


def _real(inputs: Inputs, data: Row, names: Mapping[str, str], lang: Lang) -> View:
    """What stands on the page of real people only: a page of simulated ballots shows no real figure beside them."""
    return {
        "burdens": _burdens(inputs, data, names, lang),
        "beside": _beside(inputs, data, names, lang),
        "trends": _trends(data, names, lang),
        "contrasts": _contrasts(inputs, lang),
        "people": [_people_of(row, lang) for row in inputs.difficulties],
        "register": _register(data, lang),
        "replies": _replies(inputs, data, lang),
    }


def _people_of(row: Row, lang: Lang) -> View:
    """Who lives a difficulty, in their words; what exists; which results may matter to them; what to collect."""
    return {
        "label": said(row, "label", lang),
        "publics": [(said(public, "label", lang), said(public, "said", lang)) for public in row["publics"]],
        "policy": said(row, "policy", lang),
        "outcomes": [said(each, "label", lang) for each in row.get("outcomes", ())],
        "collect": [Said(_typed(text, lang)) for text in row.get(f"to_collect_{lang}", ())],
    }


def _typed(text: str, lang: Lang) -> str:
    return locale.typography(text, lang)


def _vote(vote: Row, data: Row, names: Mapping[str, str], lang: Lang) -> View:
    from evaluation.report.figures.priorities import merit_profiles, rank_intervals

    t, grades = texts(lang), needs_tables.labels(data["grades"], lang)
    official, top = vote["groups"]["official"], data["rule"]["top"]
    profiles, places = needs_tables.profiles(vote, names, grades), needs_tables.places(vote, names)
    return {
        "label": said(vote["consultation"], "label", lang),
        "question": said(vote["consultation"], "question", lang),
        "recruited": said(vote["consultation"], "recruited", lang),
        "ballots": official["ballots"],
        "account": _account(vote, lang),
        "figures": [
            _figure(
                merit_profiles(profiles, list(grades.values()), lang, simulated=vote["simulated"]),
                t("priorities.profiles"),
            ),
            _figure(rank_intervals(places, top, lang, simulated=vote["simulated"]), t("priorities.places", top=top)),
        ],
        "rules": _places_table(needs_tables.rules(vote, names), "rules", lang),
        "groups": _places_table(needs_tables.groups(vote, names), "groups", lang),
        "differences": [_typed(text, lang) for text in vote[f"differences_{lang}"]],
        "weights": _weights(vote, lang),
        "withheld": ", ".join(t(f"priorities.groups_{name}") for name in vote["withheld"]),
    }


def _figure(figure: "Figure", caption: str) -> View:
    from evaluation.report.figures.drawing import svg

    return {"markup": Markup(svg(figure)), "caption": caption}  # noqa: S704 -- drawn by our own code, escaped there


def _account(vote: Row, lang: Lang) -> list[str]:
    """Ballots read, set aside and kept, and answers that are missing, line by line."""
    t = texts(lang)
    *steps, answers = vote["accounting"]
    told = [row for row in steps if row["step"] != "copies" or row["dropped"]]
    lines = [t(f"priorities.step_{row['step']}", dropped=row["dropped"], left=row["left"]) for row in told]
    return [*lines, t("priorities.step_answers", cells=locale.number(answers["cells"], lang))]


def _places_table(frame: Any, section: str, lang: Lang) -> Markup:
    t = texts(lang)
    heads = {"label": t("columns.difficulty")} | {
        name: t(f"priorities.{section}_{name}") for name in frame.columns if name != "label"
    }
    return tables.html(frame.rename(columns=heads).astype(object), caption=t(f"priorities.{section}"), lang=lang)


def _weights(vote: Row, lang: Lang) -> Markup:
    """Margins before and after weighting, beside those of the territory."""
    t, found = texts(lang), vote["weights"]
    if not found:
        return Markup("")
    rows = [
        {
            t("priorities.level"): _typed(f"{variable} : {level}", lang) if lang == "fr" else f"{variable}: {level}",
            **{t(f"priorities.share_{name}"): locale.percent(share, lang, digits=0) for name, share in shares.items()},
        }
        for variable, levels in found["margins"].items()
        for level, shares in levels.items()
    ]
    caption = t(
        "priorities.weights",
        effective=locale.number(found["effective"], lang, digits=0),
        trimmed=found["trimmed"],
        unplaced=found["unplaced"],
    )
    return tables.html(tables.frame(rows), caption=caption, lang=lang)


# ballots and burden --------------------------------------------------------------------------------------------------


def _beside(inputs: Inputs, data: Row, names: Mapping[str, str], lang: Lang) -> Markup:
    """Ballots and burden of each difficulty, side by side; nothing combines them."""
    t = texts(lang)
    places = {"france": t("priorities.france")} | {name: label[lang] for name, label in inputs.territories.items()}
    rows = [
        {
            t("columns.difficulty"): _label(
                names[row["difficulty"]], t("priorities.chosen") if row["priority"] else ""
            ),
            t("priorities.by_ballots"): row["place"] if row["place"] else t("priorities.no_vote"),
            **{places[load["territory"]]: _load(load, lang) for load in row["burdens"] if load["territory"] in places},
        }
        for row in data["side_by_side"]
    ]
    return tables.html(tables.frame(rows), caption=t("priorities.beside"), lang=lang)


def _trends(data: Row, names: Mapping[str, str], lang: Lang) -> Markup:
    """The need and the answers to it over time, next to each other."""
    t = texts(lang)
    rows = [
        {
            t("columns.difficulty"): names[row["difficulty"]],
            **{
                t(f"priorities.trend_{kind}"): cells.stack(
                    [_trend(trend, lang) for trend in row["trends"] if trend["kind"] == kind]
                )
                for kind in ("need", "answer")
            },
        }
        for row in data["side_by_side"]
        if row["trends"]
    ]
    return tables.html(tables.frame(rows), caption=t("priorities.trends"), lang=lang)


def _label(name: str, mark: str) -> Markup:
    return Markup('{}<br><span class="small">{}</span>').format(name, mark) if mark else Markup("{}").format(name)


def _load(load: Row, lang: Lang) -> Markup:
    """People concerned, then the product where it means something, then what is missing."""
    t = texts(lang)
    counted = load["parts"][0]
    lines = [Markup("<b>{}</b>").format(people(counted, lang))]
    if load["synthetic"] and counted["known"]:
        lines.append(Markup('<span class="small">{}</span>').format(said(counted, "basis", lang)))
    product = burden(load, lang)
    if product:
        lines.append(Markup("{}").format(product))
    if load["missing"]:
        missing = ", ".join(t(f"priorities.part_{name}") for name in load["missing"])
        lines.append(Markup('<span class="small">{}</span>').format(t("priorities.missing", parts=missing)))
    return cells.stack(lines)


def people(part: Row, lang: Lang) -> str:
    """People concerned, a range where figures differ, or that they are to be counted."""
    t = texts(lang)
    if not part["known"]:
        return t("priorities.to_count")
    low, high = locale.people(part["low"], lang), locale.people(part["high"], lang, said(part, "unit", lang).text)
    return high if part["low"] == part["high"] else t("site.range", low=low, high=high)


def burden(load: Row, lang: Lang) -> str:
    """Bounds of the product, or its ceiling where a part is unknown, in people times years; '' where it has none."""
    if load["high"] is None:
        return ""
    t, unit = texts(lang), texts(lang)("priorities.times_years", unit=said(load["parts"][0], "unit", lang))
    high = locale.people(load["high"], lang, unit)
    if load["missing"]:
        return t("priorities.at_most", high=high)
    return t("site.range", low=locale.people(load["low"], lang), high=high)


def _trend(trend: Row, lang: Lang) -> Markup:
    t = texts(lang)
    first, last = (
        locale.people(trend["first"], lang),
        locale.people(trend["last"], lang, said(trend, "unit", lang).text),
    )
    text = t(
        "priorities.trend",
        label=said(trend, "label", lang),
        first=first,
        last=last,
        start=trend["first_year"],
        end=trend["last_year"],
    )
    return Markup('<span class="small">{}</span>').format(text)


def _burdens(inputs: Inputs, data: Row, names: Mapping[str, str], lang: Lang) -> list[View]:
    """One drawing a place."""
    from evaluation.report.figures.priorities import burden_parts

    t = texts(lang)
    places = {"france": t("priorities.france")} | {name: label[lang] for name, label in inputs.territories.items()}
    known = {load["territory"] for row in data["side_by_side"] for load in row["burdens"]}
    return [
        _figure(
            burden_parts(needs_tables.burden(data["side_by_side"], names, place), lang),
            t("priorities.burden", place=label),
        )
        for place, label in places.items()
        if place in known
    ]


def _contrasts(inputs: Inputs, lang: Lang) -> list[View]:
    """Figures that seem to measure the same thing, side by side, and what none of them measures."""
    found = []
    for row in inputs.difficulties:
        figures = {figure["id"]: figure for figure in row.get("figures", ())}
        for contrast in row.get("contrasts", ()):
            found.append(
                {
                    "label": said(row, "label", lang),
                    "says": said(contrast, "says", lang),
                    "not_measured": said(contrast, "not_measured", lang),
                    "figures": [cells.figure(figures[name], lang) for name in contrast["figures"]],
                }
            )
    return found


# participation -------------------------------------------------------------------------------------------------------


def _register(data: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("priorities.phase"): t(f"priorities.phase_{row['phase']}"),
            t("priorities.when"): _when(row, lang),
            t("priorities.who"): cells.tell(said(row, "who", lang)),
            t("priorities.how"): _recruited(row, lang),
            t("priorities.result"): cells.tell(said(row, "said", lang)),
        }
        for row in data["register"]
    ]
    return tables.html(tables.frame(rows), caption=t("priorities.register"), lang=lang)


def _when(row: Row, lang: Lang) -> str:
    return locale.date(row["date"], lang) if row["date"] else texts(lang)(f"priorities.status_{row['status']}")


def _recruited(row: Row, lang: Lang) -> Markup:
    if row["people"] is None:
        return cells.NOTHING
    people = texts(lang)("priorities.people", people=locale.number(row["people"], lang))
    return Markup("{}<br>{}").format(people, cells.tell(said(row, "recruited", lang)))


def _step(row: Row, lang: Lang) -> View:
    return {
        "phase": texts(lang)(f"priorities.phase_{row['phase']}"),
        "when": _when(row, lang),
        "who": said(row, "who", lang),
        "said": said(row, "said", lang),
        "people": row["people"],
    }


def _replies(inputs: Inputs, data: Row, lang: Lang) -> list[View]:
    """Replies and invitations; those not invited are only counted."""
    known = {row["id"] for row in inputs.innovations}
    invited: Sequence[Row] = [
        row for row in data["replies"] if row["status"] != "not_invited" and row["innovation"] in known
    ]
    waiting = sum(row["status"] == "not_invited" for row in data["replies"])
    lines = [_reply(inputs, row, lang) for row in invited]
    if waiting:
        lines.append({"text": Said(texts(lang)("priorities.waiting", count=waiting)), "words": Said("")})
    return lines


def _reply(inputs: Inputs, row: Row, lang: Lang) -> View:
    """When the operator was invited, when it replied, and its words."""
    t = texts(lang)
    label = said(inputs.innovation(row["innovation"]), "label", lang)
    day = row.get("received_on") or row.get("invited_on")
    text = t(
        f"priorities.reply_{row['status']}",
        label=label,
        operator=_typed(row["operator"], lang) or t("priorities.operator"),
        date=locale.date(day, lang) if day else "",
    )
    return {"text": Said(text), "words": said(row, "text", lang)}
