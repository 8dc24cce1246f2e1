"""The calibration card: how often intervals like those shown hold the truth, from data/calibration/calibration.json.

Everything here but the comparisons with trials is simulated, and says so.
"""

from typing import Any

from markupsafe import Markup

from evaluation.evidence.calibration import card as calibration_card
from evaluation.report import locale, tables
from evaluation.report.inputs import Inputs, Row
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]
KINDS = ("right", "wrong", "hidden")


def card(inputs: Inputs, record: Row, lang: Lang) -> list[str]:
    """Sentences about findings of this grade, and about simulated designs like this one; none where nothing was run."""
    found = inputs.calibration
    if not found or record["kind"] != "effect":
        return []
    t, grade = texts(lang), inputs.grades[record["id"]]["value"]
    told = calibration_card.card(found, record["design_class"], grade)
    if told is None:
        return [t("calibration.nothing")]
    lines = [
        t("calibration.grade", **_run(found, lang), **_grade(told["grade"], lang), portfolios=_portfolios(told, lang))
    ]
    lines += [t("calibration.design", **_run(found, lang), **_design(row, lang)) for row in told["designs"]]
    lines += [] if told["designs"] else [t("calibration.no_design")]
    lines += [
        t("calibration.hidden", **_design(row, lang), flagged=_share(row["flagged"], lang)) for row in told["hidden"]
    ]
    if told["silent"] is not None:
        lines.append(t("calibration.silent", **_grade(told["silent"], lang)))
    return lines + [t("calibration.real", **_real(row, lang)) for row in _real_rows(found) if row["grade"] == grade]


def proofs(inputs: Inputs, lang: Lang) -> View | None:
    """The section of the page of method proofs: coverage by grade, designs, alarms, real trials; None before a run."""
    found = inputs.calibration
    if "computed" not in found:
        return None
    t = texts(lang)
    return {
        "note": t("calibration.run", **_run(found, lang), portfolios=_portfolios(found["planted"], lang)),
        "grades": _grades_table(found, lang),
        "designs": _designs_table(found, lang),
        "real": _real_table(found, lang),
    }


def _run(found: Row, lang: Lang) -> dict[str, str]:
    return {"date": locale.date(found["date"], lang), "seed": str(found["seed"])}


def _portfolios(row: Row, lang: Lang) -> str:
    return locale.number(row["repetitions"], lang)


def _share(value: float | None, lang: Lang) -> str:
    return "–" if value is None else locale.percent(value, lang, digits=1)


def _grade(row: Row, lang: Lang) -> dict[str, str]:
    return {
        "grade": str(row["grade"]),
        "findings": locale.number(row["findings"], lang),
        "conventional": _share(row["conventional"], lang),
        "inclusive": _share(row["inclusive"], lang),
    }


def _design(row: Row, lang: Lang) -> dict[str, str]:
    return {
        "design": row[lang],
        "conventional": _share(row["conventional"], lang),
        "inclusive": _share(row["inclusive"], lang),
        "repetitions": locale.number(row["repetitions"], lang),
    }


def _real_rows(found: Row) -> list[Row]:
    return list(found.get("within_study", {}).get("grades", ()))


def _real(row: Row, lang: Lang) -> dict[str, str]:
    return {
        "comparisons": str(row["comparisons"]),
        "typical": locale.number(row["root_mean_square"], lang, digits=2),
        "largest": locale.number(row["largest"], lang, digits=2),
        "conventional": str(row["held_conventional"]),
        "inclusive": str(row["held"]),
    }


def _grades_table(found: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("columns.grade"): str(row["grade"]),
            t("calibration.findings"): row["findings"],
            t("calibration.conventional"): _share(row["conventional"], lang),
            t("calibration.inclusive"): _share(row["inclusive"], lang),
            t("calibration.wrong_sign"): _share(row["wrong_sign"], lang),
        }
        for row in found["planted"]["worlds"].get("W1", ())
    ]
    return tables.html(tables.frame(rows), caption=t("calibration.grades_caption"), lang=lang)


def _designs_table(found: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("calibration.design_name"): locale.typography(row[lang], lang),
            t("calibration.analysis"): t(f"calibration.{row['analysis']}_analysis"),
            t("calibration.repetitions"): row["repetitions"],
            t("calibration.conventional"): _share(row["conventional"], lang),
            t("calibration.inclusive"): _share(row["inclusive"], lang),
            t("calibration.flagged"): _share(row["flagged"], lang),
            t("columns.grade"): ", ".join(row["grades"]),
        }
        for row in sorted(found["computed"]["designs"].values(), key=lambda row: KINDS.index(row["analysis"]))
    ]
    return tables.html(tables.frame(rows), caption=t("calibration.designs_caption"), lang=lang)


def _real_table(found: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("calibration.trial"): row["trial"],
            t("calibration.against"): t("calibration.other_places")
            if row["trial"].startswith("STAR")
            else row["comparison"],
            t("calibration.method"): t(f"calibration.{row['method'].replace('-', '_')}"),
            t("columns.grade"): str(row["grade"]),
            t("calibration.trial_estimate"): locale.number(row["trial_estimate"], lang, digits=2),
            t("columns.estimate"): locale.number(row["estimate"], lang, digits=2),
            t("calibration.difference"): locale.signed(row["difference"], lang, digits=2),
            t("calibration.flagged"): t("calibration.rang") if row["rang"] else "–",
        }
        for row in found["within_study"]["comparisons"]
    ]
    return tables.html(tables.frame(rows), caption=t("calibration.real_caption"), lang=lang)
