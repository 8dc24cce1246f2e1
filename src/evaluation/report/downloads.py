"""The tables of the site for spreadsheets: numbers as numbers, one fact a column."""

from typing import Any

import pandas as pd

from evaluation.report import cards, tables
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import NBSP, Lang
from evaluation.report.texts import texts
from evaluation.report.views import shown_record


def portfolio_frame(inputs: Inputs, lang: Lang) -> pd.DataFrame:
    """The table of innovations for a spreadsheet, numbers as numbers, one row an innovation."""
    return tables.frame([_portfolio_csv(inputs, row, lang) for row in inputs.decisions])


def coverage_frame(inputs: Inputs, lang: Lang) -> pd.DataFrame:
    """The table of coverage for a spreadsheet, numbers as numbers, one row a need and an innovation."""
    return tables.frame([_coverage_csv(inputs, row, lang) for row in inputs.coverage])


def register_frame(inputs: Inputs, lang: Lang) -> pd.DataFrame:
    """The register of decisions for a spreadsheet, dates as ISO text, one row a decision."""
    return tables.frame([_register_csv(inputs, row, lang) for row in inputs.decisions])


def for_paper(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of a frame that a printed page has room for: no id, no address."""
    long = {"id", texts("fr")("columns.source"), texts("en")("columns.source")}
    return frame[[name for name in frame.columns if name not in long]]


def _register_csv(inputs: Inputs, row: Row, lang: Lang) -> dict[str, Any]:
    t = texts(lang)
    return {
        "id": row["innovation"],
        t("columns.innovation"): str(said(inputs.innovation(row["innovation"]), "label", lang)),
        t("columns.decision"): str(said(row, "label", lang)),
        t("innovation.rule"): t(f"rules.{row['rule']}"),
        t("innovation.decided"): str(row["date"]),
        t("innovation.review"): str(row["review_date"]),
        t("innovation.owner"): row.get("owner") or "",
    }


def _portfolio_csv(inputs: Inputs, decision: Row, lang: Lang) -> dict[str, Any]:
    t = texts(lang)
    record = shown_record(inputs, decision)
    view = cards.finding(inputs, record, lang) if record else None
    headline = record["headline"] if record else {}
    return {
        "id": decision["innovation"],
        t("columns.difficulty"): str(said(inputs.difficulty(decision["difficulty"]), "label", lang)),
        t("columns.innovation"): str(said(inputs.innovation(decision["innovation"]), "label", lang)),
        t("fields.outcome"): str(view["outcome"]) if view else "",
        t("columns.effect"): view["sentence"] if view else "",
        t("columns.estimate"): headline.get("estimate"),
        "ci_low": headline.get("ci_low"),
        "ci_high": headline.get("ci_high"),
        t("columns.grade"): view["grade"]["value"] if view else None,
        t("columns.decision"): str(said(decision, "label", lang)),
        t("innovation.rule"): decision["rule"],
        t("innovation.review"): str(decision["review_date"]),
        t("columns.source"): str((record or {}).get("source", {}).get("address") or ""),
    }


def _coverage_csv(inputs: Inputs, row: Row, lang: Lang) -> dict[str, Any]:
    t = texts(lang)
    need, reach = row.get("need") or {}, row.get("reach") or {}
    return {
        t("columns.difficulty"): str(said(inputs.difficulty(row["difficulty"]), "label", lang)),
        t("columns.innovation"): str(said(inputs.innovation(row["innovation"]), "label", lang)),
        t("columns.territory"): row["territory"],
        t("columns.need"): need.get("value"),
        f"{t('columns.need')}{NBSP}– {t('columns.year')}": need.get("year"),
        t("columns.reach"): reach.get("value"),
        f"{t('columns.reach')}{NBSP}– {t('columns.year')}": reach.get("year"),
        t("columns.share"): row.get("share"),
        t("columns.source"): " ; ".join(str(figure.get("source") or "") for figure in (need, reach) if figure),
    }
