"""Tables over findings, for figures and the evidence notebook: records, grades and synthesis put side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evaluation.evidence import grade_steps
from evaluation.evidence.grading import interval
from evaluation.evidence.record import Headline, Record
from evaluation.evidence.rubric import Rubric

FAVOURABLE = ("positive", "sign_positive")


def evidence_rows(records: Sequence[Record], grades: Mapping[str, Any]) -> pd.DataFrame:
    """What is known of each difficulty.

    Args:
        records: findings.
        grades: grades.json.

    Returns:
        Columns difficulty, grade, favourable, findings, innovations; one row for each combination that occurs.
    """
    rows = pd.DataFrame(
        {
            "difficulty": record.difficulty,
            "innovation": record.innovation,
            "grade": grades[record.id]["value"],
            "favourable": grades[record.id]["verdict"] in FAVOURABLE,
        }
        for record in records
        if record.difficulty is not None and record.role == "decision"
    )
    grouped = rows.groupby(["difficulty", "grade", "favourable"], sort=True)["innovation"]
    return grouped.agg(findings="size", innovations="nunique").reset_index()


def pooled_rows(synthesis: Mapping[str, Any], grades: Mapping[str, Any], difficulty: str) -> pd.DataFrame:
    """Findings on one difficulty, in standard deviations and turned so that more is better, with the pooled effect.

    Args:
        synthesis: what synthesis.json holds.
        grades: grades.json.
        difficulty: its id.

    Returns:
        Columns label, estimate, ci_low, ci_high, kind (finding, pooled, prediction); no row where nothing was pooled.
    """
    found = synthesis["difficulties"][difficulty]["pooled"]
    if not found["computed"]:
        return pd.DataFrame(columns=["label", "estimate", "ci_low", "ci_high", "kind"])
    rows = [_finding_row(each, grades[each["id"]]["value"]) for each in found["records"]]
    pooled, wide = found["random"], found["prediction"]
    ends = {"estimate": pooled["estimate"], "ci_low": pooled["ci_low"], "ci_high": pooled["ci_high"]}
    rows.append({"label": "pooled", **ends, "kind": "pooled"})
    if wide and wide.get("low") is not None:
        future = {"estimate": pooled["estimate"], "ci_low": wide["low"], "ci_high": wide["high"]}
        rows.append({"label": "prediction", **future, "kind": "prediction"})
    return pd.DataFrame(rows)


def steps(grade: Mapping[str, Any], rubric: Rubric) -> pd.DataFrame:
    """From the best grade down to this one: columns fr, en, change; see `grade_steps.steps`."""
    found = grade_steps.steps(grade, rubric)
    rows = [{"fr": step.fr, "en": step.en, "change": step.change} for step in found]
    return pd.DataFrame(rows, columns=["fr", "en", "change"])


def _finding_row(finding: Mapping[str, Any], grade: int) -> dict[str, Any]:
    low, high = interval(Headline(estimate=finding["estimate"], std_error=finding["std_error"])) or (None, None)
    label = f"{finding['id']} ({grade})"
    return {"label": label, "estimate": finding["estimate"], "ci_low": low, "ci_high": high, "kind": "finding"}
