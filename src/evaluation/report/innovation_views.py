"""The page of one innovation: decision, each territory, what to believe, effects, cost, coverage, the unknown."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from evaluation.report import (
    calibration_views,
    cards,
    cells,
    decision_views,
    finance_pages,
    learning_views,
    locale,
    scheme_views,
    synthesis_views,
    tables,
    transfer_views,
    views,
    words,
)
from evaluation.report.cards import View
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts


def innovation(inputs: Inputs, decision: Row, lang: Lang, *, expert: bool = True) -> View:
    """One innovation: decision first, then effects, cost, coverage, the unknown, what would change the decision.

    Args:
        inputs: of the site.
        decision: about the innovation.
        lang: language of the words.
        expert: with everything that is known of each finding, which the page holds behind names.
    """
    row = inputs.innovation(decision["innovation"])
    records = inputs.records_of(row["id"])
    findings = [_finding(inputs, each, lang, expert=expert) for each in records]
    coverage = inputs.coverage_of(row["id"])
    return {
        "id": row["id"],
        "label": said(row, "label", lang),
        "summary": said(row, "summary", lang),
        "difficulty": views.difficulty_link(inputs, decision["difficulty"], lang),
        "decision": views.decided(decision, lang),
        "scope": said(decision, "scope", lang),
        "dials": _dials(inputs, decision, lang),
        "places": decision_views.places(inputs, inputs.local_of(row["id"]), lang),
        "transfers": transfer_views.reasons(inputs, decision, lang),
        "recalled": decision_views.recalled(inputs.local_of(row["id"]), lang),
        "near": decision_views.near_rules(inputs, decision, lang),
        "to_scale": decision_views.to_scale(inputs, decision, lang),
        "programme": _programme(inputs.programmes.get(row["id"]), lang),
        "findings": findings,
        "records": records,
        "relevance": learning_views.relevance(inputs, row["id"], lang),
        "study": learning_views.study_of(inputs, row["id"], lang),
        "staged": finance_pages.staged(inputs, row["id"], lang),
        "believed": synthesis_views.believed(inputs, row["id"], lang),
        "costs": _costs(inputs, row["id"], lang),
        "coverage": [_coverage_sentence(entry, lang) for entry in coverage if entry.get("share") is not None],
        "covered_here": _covered_here(coverage, lang),
        "coverage_notes": views.unique(
            said(entry, "note", lang) for entry in coverage if entry["territory"] == "france"
        ),
        "unknown": _unknown(inputs, row, coverage, lang),
    }


def _finding(inputs: Inputs, record: Row, lang: Lang, *, expert: bool) -> View:
    """A finding, and everything for experts, verdicts of other schemes included."""
    if not expert:
        return cards.finding(inputs, record, lang)
    return {
        **cards.finding(inputs, record, lang),
        **cards.expert(inputs, record, lang),
        "schemes": scheme_views.equivalents(inputs, record["id"], lang),
        "calibration": calibration_views.card(inputs, record, lang),
    }


def _programme(row: Row | None, lang: Lang) -> View | None:
    """The grade of the programme over all its findings, with what holds it down; None where no effect was read."""
    if row is None:
        return None
    label = texts(lang)("programme.grade", grade=words.grade_label(row["value"], lang), findings=row["findings"])
    return {"label": label, "reasons": [Said(locale.typography(reason, lang)) for reason in row[f"reasons_{lang}"]]}


def _dials(inputs: Inputs, decision: Row, lang: Lang) -> View:
    """Effect, grade and cost side by side, never merged; what nobody knows is said to be unknown."""
    record, innovation_id = views.shown_record(inputs, decision), decision["innovation"]
    per_person = [cost["amount"] for cost in _costs(inputs, innovation_id, lang) if cost["basis"] == "participant"]
    return {
        "finding": cards.finding(inputs, record, lang) if record else None,
        "cost": per_person[0] if per_person else texts(lang)("site.none"),
        "cost_per_outcome": decision_views.cost_of_outcome(inputs, innovation_id, lang),
    }


def _costs(inputs: Inputs, innovation_id: str, lang: Lang) -> list[View]:
    return [cards.cost(row, lang) for row in inputs.costs if row["innovation"] == innovation_id]


def _coverage_sentence(row: Row, lang: Lang) -> View:
    t = texts(lang)
    text = t(
        "innovation.coverage_share",
        share=cells.share_text(row, lang),
        kind=t(f"kinds.{row['share_kind']}"),
    )
    measures = [row["need"], *row.get("alternatives", ())]
    return {
        "text": text,
        "reach": cells.figure(row["reach"], lang),
        "needs": [cells.figure(figure, lang) for figure in measures],
    }


def _covered_here(coverage: Sequence[Row], lang: Lang) -> Markup:
    """Need, people reached and share in the test territories; a number nobody counted is said to be unknown."""
    t = texts(lang)
    rows = [
        {
            t("columns.territory"): said(entry, "territory_label", lang).text,
            t("columns.need"): _figure_or(entry.get("need"), t("innovation.to_count"), lang),
            t("columns.reach"): _figure_or(entry.get("reach"), t("innovation.to_count"), lang),
            t("columns.share"): cells.share(entry, lang),
        }
        for entry in coverage
        if entry["territory"] != "france"
    ]
    caption = t("innovation.territory_caption")
    return tables.html(tables.frame(rows), caption=caption, lang=lang) if rows else Markup("")


def _figure_or(figure: Row | None, otherwise: str, lang: Lang) -> Markup:
    return cells.figure(figure, lang) if figure else Markup("{}").format(otherwise)


def _unknown(inputs: Inputs, row: Row, coverage: Sequence[Row], lang: Lang) -> list[str]:
    """What a reader might take for known, and is not."""
    t = texts(lang)
    records = inputs.records_of(row["id"])
    effects = [record for record in records if record["kind"] == "effect"]
    bare = [record for record in effects if record["headline"]["ci_low"] is None]
    unread = [record for record in records if record["kind"] == "not_read"]
    gaps = {
        t("innovation.unknown_claim"): not any(record["kind"] in ("effect", "sign_only") for record in records),
        t("innovation.unknown_size"): any(record["kind"] == "sign_only" for record in records),
        _counted_gap(t, "interval", len(bare), len(effects)): bool(bare),
        _counted_gap(t, "read", len(unread), len(records)): bool(unread),
        t("innovation.unknown_france"): not row["in_france"],
        t("innovation.unknown_cost"): not any(
            cost["innovation"] == row["id"] and cost["basis"] == "participant" for cost in inputs.costs
        ),
        t("innovation.unknown_coverage"): not any(entry.get("share") is not None for entry in coverage),
    }
    return [text for text, holds in gaps.items() if holds]


def _counted_gap(t: Any, name: str, count: int, total: int) -> str:
    suffix = "_one" if total == 1 or (name == "read" and count == 1) else ""
    return str(t(f"innovation.unknown_{name}{suffix}", count=count, total=total))
