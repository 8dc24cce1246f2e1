"""What each page shows, in one language: plain values for the templates, no markup but tables."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cards, cells, locale, reading_views, studies, synthesis_views, tables, words
from evaluation.report.cards import View
from evaluation.report.inputs import DECIDED, Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

TEST: Final = "EXPERIMENTER"
LACKING: Final = "DONNEES_INSUFFISANTES"
DECISIONS: Final = DECIDED

GLOSSARY: Final[Mapping[str, Mapping[str, str]]] = {
    "difficulty": {"fr": "difficulté persistante", "en": "persistent difficulty"},
    "innovation": {"fr": "innovation (sociale)", "en": "(social) innovation"},
    "evaluation": {"fr": "évaluation", "en": "evaluation"},
    "effect": {"fr": "effet", "en": "effect"},
    "counterfactual": {"fr": "contrefactuel", "en": "counterfactual"},
    "comparison": {"fr": "groupe de comparaison", "en": "comparison group"},
    "lottery": {"fr": "tirage au sort", "en": "lottery, random assignment"},
    "itt": {"fr": "intention de traiter", "en": "intention to treat"},
    "att": {"fr": "effet sur les bénéficiaires", "en": "effect on the treated"},
    "did": {"fr": "doubles différences", "en": "difference in differences"},
    "matching": {"fr": "appariement", "en": "matching"},
    "interval": {"fr": "intervalle de confiance", "en": "confidence interval"},
    "smallest": {"fr": "plus petit effet utile", "en": "smallest effect worth having"},
    "grade": {"fr": "niveau de preuve", "en": "grade"},
    "check": {"fr": "vérification", "en": "check"},
    "coverage": {"fr": "taux de couverture", "en": "coverage"},
    "flow": {"fr": "flux", "en": "flow"},
    "stock": {"fr": "stock", "en": "stock"},
    "decision": {"fr": "décision", "en": "decision"},
    "generalisation": {"fr": "généralisation", "en": "scaling up, national roll-out"},
}


_SHOWN_PER_DIFFICULTY: Final = 4


def home(inputs: Inputs, lang: Lang) -> View:
    """What a funder should understand in a minute: what is decided, how much need is covered, what is not known."""
    counts = Counter(row["decision"] for row in inputs.decisions)
    return {
        "headline": words.headline(counts, lang),
        "ready": sum(count for decision, count in counts.items() if decision in words.SCALING),
        "test": counts[TEST],
        "tiles": [
            (decision, counts[decision]) for decision in DECISIONS if counts[decision] or decision == DECISIONS[0]
        ],
        "studies": studies.worth_funding(inputs, lang),
        "places": [(row["id"], said(row, "label", lang)) for row in inputs.places],
        "difficulties": [_difficulty_line(inputs, row, lang) for row in inputs.difficulties],
        "innovation_count": len(inputs.decisions),
        "groups": _to_test(inputs, lang),
        "paradox": _coverage_table(inputs, _national(inputs), lang, caption=texts(lang)("home.paradox_caption")),
        "can": _can_say(inputs, lang),
        **_dates(inputs, lang),
    }


def needs(inputs: Inputs, lang: Lang) -> View:
    """One section a difficulty: who, where, since when, figures, coverage, what to collect."""
    return {"sections": [need_section(inputs, row, lang) for row in inputs.difficulties]}


def portfolio(inputs: Inputs, lang: Lang) -> View:
    """One table a difficulty, one line an innovation."""
    return {"sections": [_portfolio_section(inputs, row, lang) for row in inputs.difficulties]}


def method(inputs: Inputs, lang: Lang) -> View:
    """How effects, grades, coverage and decisions are made: the counts that illustrate it, and the glossary."""
    t = texts(lang)
    records = [record for record in inputs.records.values() if record["role"] == "decision"]
    grades = Counter(inputs.grades[record["id"]]["value"] for record in records)
    marks = Counter(record["source"].get("confidence") for record in records)
    return {
        "levels": [
            {"label": words.grade_label(value, lang), "meaning": t(f"meanings.{value}"), "count": grades[value]}
            for value in sorted(words.GRADE_LABELS, reverse=True)
        ],
        "confidence": [
            (t(f"confidence.{mark}"), marks[mark]) for mark in ("seen", "derived", "computed", "recalled", "claim")
        ],
        "readings": reading_views.readings(inputs, lang),
        "glossary": _glossary(lang),
    }


def shown_record(inputs: Inputs, decision: Row) -> Row | None:
    """The finding the decision used, or the best graded one."""
    if decision.get("best_record") in inputs.records:
        return inputs.records[decision["best_record"]]
    return next(iter(inputs.records_of(decision["innovation"])), None)


def _glossary(lang: Lang) -> Markup:
    t, other = texts(lang), "en" if lang == "fr" else "fr"
    own, foreign = ("french", "english") if lang == "fr" else ("english", "french")
    rows = [
        {
            t(f"columns.{own}"): term[lang],
            t(f"columns.{foreign}"): Markup('<span lang="{}">{}</span>').format(other, term[other]),
            t("columns.meaning"): t(f"glossary.{name}"),
        }
        for name, term in GLOSSARY.items()
    ]
    return tables.html(tables.frame(rows), caption=t("glossary.caption"), lang=lang)


def _dates(inputs: Inputs, lang: Lang) -> View:
    days = sorted(str(row["date"]) for row in inputs.decisions)
    reviews = sorted(str(row["review_date"]) for row in inputs.decisions)
    return {
        "date": locale.date(days[-1], lang) if days else "",
        "review": locale.date(reviews[0], lang) if reviews else "",
    }


def _difficulty_line(inputs: Inputs, row: Row, lang: Lang) -> View:
    t = texts(lang)
    counts = Counter(decision["decision"] for decision in inputs.decisions if decision["difficulty"] == row["id"])
    return {
        "id": row["id"],
        "label": said(row, "label", lang),
        "said": said(row, "said", lang),
        "counts": ", ".join(f"{counts[name]} {t(f'tiles.{name}')}" for name in DECISIONS if counts[name]),
    }


def difficulty_link(inputs: Inputs, difficulty_id: str, lang: Lang) -> View:
    """Id and name of a difficulty."""
    return {"id": difficulty_id, "label": said(inputs.difficulty(difficulty_id), "label", lang)}


def _to_test(inputs: Inputs, lang: Lang) -> list[View]:
    """Innovations to test by difficulty, those known in France first, then the best established; a few of each."""
    groups = []
    for row in inputs.difficulties:
        chosen = [item for item in inputs.decisions if item["difficulty"] == row["id"] and item["decision"] == TEST]
        chosen.sort(key=lambda item: _display_order(inputs, item))
        if chosen:
            shown = [portfolio_line(inputs, item, lang) for item in chosen[:_SHOWN_PER_DIFFICULTY]]
            more = len(chosen) - len(shown)
            groups.append({**difficulty_link(inputs, row["id"], lang), "shown": shown, "more": more})
    return groups


def _display_order(inputs: Inputs, decision: Row) -> tuple[bool, int, str]:
    abroad = not inputs.innovation(decision["innovation"])["in_france"]
    return abroad, -(decision["best_grade"] or 0), decision["innovation"]


def _innovation_link(inputs: Inputs, decision: Row, lang: Lang) -> View:
    row = inputs.innovation(decision["innovation"])
    abroad = said(row, "country", lang) if not row["in_france"] else Said("")
    return {"id": row["id"], "label": said(row, "label", lang), "abroad": abroad}


def _national(inputs: Inputs) -> list[Row]:
    """Coverage rows for France that hold at least one figure; those with a share first."""
    rows = [row for row in inputs.coverage if row["territory"] == "france" and (row.get("need") or row.get("reach"))]
    return sorted(rows, key=lambda row: row.get("share") is None)


def _coverage_table(inputs: Inputs, rows: Sequence[Row], lang: Lang, *, caption: str) -> Markup:
    lines = [_coverage_line(inputs, row, lang) for row in rows]
    return tables.html(tables.frame(lines), caption=caption, lang=lang) if lines else Markup("")


def _coverage_line(inputs: Inputs, row: Row, lang: Lang) -> dict[str, Any]:
    """One innovation; the measures of its need one below the other."""
    t = texts(lang)
    label = cells.tell(said(inputs.innovation(row["innovation"]), "label", lang))
    difficulty = cells.tell(said(inputs.difficulty(row["difficulty"]), "label", lang))
    measures = [figure for figure in (row.get("need"), *row.get("alternatives", ())) if figure]
    return {
        t("columns.innovation"): Markup('{}<br><span class="small">{}</span>').format(label, difficulty),
        t("columns.need"): cells.stack([cells.figure(figure, lang) for figure in measures]),
        t("columns.reach"): cells.figure(row["reach"], lang) if row.get("reach") else Markup("–"),
        t("columns.share"): cells.share(row, lang),
    }


def _can_say(inputs: Inputs, lang: Lang) -> list[str]:
    t = texts(lang)
    records = [record for record in inputs.records.values() if record["role"] == "decision"]
    read = [record for record in records if record["kind"] != "not_read"]
    good = [record for record in read if inputs.grades[record["id"]]["value"] >= 4]
    sentences = [
        t("home.can_graded", count=len(read), good=len(good)),
        t("home.can_positive", count=len(_with_valence(inputs, records, ("favourable",), lang))),
        t("home.can_null", count=len(_with_valence(inputs, records, ("none", "unfavourable"), lang))),
    ]
    shares = [
        float(row["share"]) for row in _national(inputs) if row.get("share") is not None and row["share_kind"] == "flow"
    ]
    if shares:
        median = cells.percentage(statistics.median(shares), lang)
        sentences.append(t("home.can_reach", known=len(shares), median=median))
    return sentences


def _with_valence(inputs: Inputs, records: Sequence[Row], wanted: Sequence[str], lang: Lang) -> set[str]:
    """Innovations with a finding of level 3 or more that says one of `wanted`."""
    found = set()
    for record in records:
        grade = inputs.grades[record["id"]]
        claimed = cards.claimed(record, grade, inputs.findings.get(record["id"], {}), lang)
        if grade["value"] >= 3 and words.valence(claimed) in wanted:
            found.add(record["innovation"])
    return found


def need_section(inputs: Inputs, row: Row, lang: Lang) -> View:
    """One difficulty: who, where, since when, figures, coverage, what studies say together, what to collect."""
    t = texts(lang)
    need: Row = next((entry for entry in inputs.needs if entry["difficulty"] == row["id"]), {})
    coverage = [entry for entry in _national(inputs) if entry["difficulty"] == row["id"]]
    figures = [*need.get("figures", ()), *row["figures"]]
    return {
        **_difficulty_line(inputs, row, lang),
        "publics": [said(public, "label", lang) for public in row["publics"]],
        "where": said(row, "where", lang),
        "lasts": said(row, "persistence", lang),
        "figures": figures_table(
            figures, lang, caption=t("needs.figures_caption", difficulty=said(row, "label", lang))
        ),
        "disagreements": [said(entry, "text", lang) for entry in need.get("disagreements", ())],
        "coverage": _coverage_table(
            inputs, coverage, lang, caption=t("needs.covered_caption", difficulty=said(row, "label", lang))
        ),
        "territories": _territory_table(inputs, need, lang, caption=t("needs.territories")),
        "territory_notes": unique(
            said(figure, "note", lang) for figures in need.get("territories", {}).values() for figure in figures
        ),
        "together": synthesis_views.of_difficulty(inputs, row["id"], lang),
        "collect": unique([*_texts_of(row, "to_collect", lang), *_coverage_to_collect(coverage, lang)]),
        "innovations": [_innovation_link(inputs, item, lang) for item in decisions_on(inputs, row["id"])],
    }


def decisions_on(inputs: Inputs, difficulty_id: str) -> list[Row]:
    """Decisions about one difficulty: to test first, then as on the home page."""
    chosen = [item for item in inputs.decisions if item["difficulty"] == difficulty_id]
    return sorted(chosen, key=lambda item: (item["decision"] != TEST, *_display_order(inputs, item)))


def _coverage_to_collect(coverage: Sequence[Row], lang: Lang) -> list[Said]:
    return [said(entry, "to_collect", lang) for entry in coverage]


def _texts_of(row: Row, name: str, lang: Lang) -> list[Said]:
    own = row.get(f"{name}_{lang}") or ()
    return [Said(locale.typography(str(text), lang)) for text in own]


def figures_table(figures: Sequence[Row], lang: Lang, *, caption: str) -> Markup:
    """Write figures with their unit, year, source and reading, one a line."""
    t = texts(lang)
    rows = [
        {
            t("columns.figure"): cells.tell(said(figure, "label", lang)),
            t("columns.value"): cells.figure(figure, lang, labelled=False),
        }
        for figure in figures
    ]
    return tables.html(tables.frame(rows), caption=caption, lang=lang) if rows else Markup("")


def _territory_table(inputs: Inputs, need: Row, lang: Lang, *, caption: str) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("columns.territory"): inputs.territories.get(name, {}).get(lang, name),
            t("columns.figure"): cells.tell(said(figure, "label", lang)),
            t("columns.value"): cells.figure(figure, lang, labelled=False),
        }
        for name, figures in need.get("territories", {}).items()
        for figure in figures
    ]
    return tables.html(tables.frame(rows), caption=caption, lang=lang) if rows else Markup("")


def _portfolio_section(inputs: Inputs, row: Row, lang: Lang) -> View:
    lines = [portfolio_line(inputs, item, lang) for item in decisions_on(inputs, row["id"])]
    return {**_difficulty_line(inputs, row, lang), "lines": lines}


def portfolio_line(inputs: Inputs, decision: Row, lang: Lang) -> View:
    """An innovation, its best established finding, the number of others, its decision."""
    record = shown_record(inputs, decision)
    return {
        **_innovation_link(inputs, decision, lang),
        "finding": cards.finding(inputs, record, lang) if record else None,
        "others": max(0, len(inputs.records_of(decision["innovation"])) - 1),
        "decision": decided(decision, lang),
    }


def decided(decision: Row, lang: Lang) -> View:
    """Show a decision: its name, the rule that binds, the reason, what would change it, dates and owner."""
    return {
        "id": decision["decision"],
        "label": said(decision, "label", lang),
        "rule": texts(lang)(f"rules.{decision['rule']}"),
        "reason": said(decision, "reason", lang),
        "change": [Said(text) for text in _changes(decision, lang)],
        "owner": decision.get("owner") or "",
        "date": locale.date(str(decision["date"]), lang),
        "review": locale.date(str(decision["review_date"]), lang),
    }


def _changes(decision: Row, lang: Lang) -> list[str]:
    """What would change a decision; what a roll-out would take is left out where it stands as a list of its own."""
    lead = texts(lang)("here.scale_lead")
    lines = [locale.typography(text, lang) for text in decision[f"would_change_{lang}"]]
    return [line for line in lines if not (decision.get("to_scale") and line.startswith(lead))]


def unique(items: Iterable[Said]) -> list[Said]:
    """Keep each text once, in order, and nothing empty."""
    return [item for item in dict.fromkeys(items) if item.text]
