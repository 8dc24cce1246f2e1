"""Frames behind the figures of needs, from the plain data of priorities.json and coverage.json; nothing is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evaluation.report import locale
from evaluation.report.inputs import Row
from evaluation.report.locale import Lang

OFFICIAL = "official"


def labels(rows: Sequence[Row], lang: Lang) -> dict[str, str]:
    """Id -> label of difficulties, innovations or grades."""
    return {row["id"]: locale.typography(str(row[f"label_{lang}"]), lang) for row in rows}


def profiles(vote: Row, names: Mapping[str, str], grades: Mapping[str, str], group: str = OFFICIAL) -> pd.DataFrame:
    """One row a difficulty, in the order of the official ranking: label, majority grade with its sign, profile."""
    rows = {row["difficulty"]: row for row in vote["groups"][group]["rows"]}
    return pd.DataFrame(
        {
            "label": [names[name] for name in vote["ranking"]],
            "majority": [_graded(rows[name], grades) for name in vote["ranking"]],
            "profile": [rows[name]["profile"] for name in vote["ranking"]],
        }
    )


def places(vote: Row, names: Mapping[str, str]) -> pd.DataFrame:
    """One row a difficulty: place, interval, probability of being first and among the first k."""
    sure = {row["difficulty"]: row for row in vote["certainty"]}
    own = {row["difficulty"]: row["places"]["majority_judgment"] for row in vote["groups"][OFFICIAL]["rows"]}
    rows = [{"label": names[name], "place": own[name], **_without_id(sure[name])} for name in vote["ranking"]]
    return pd.DataFrame(rows)


def rules(vote: Row, names: Mapping[str, str], group: str = OFFICIAL) -> pd.DataFrame:
    """One row a difficulty: its place under each rule, on the same ballots."""
    rows = {row["difficulty"]: row["places"] for row in vote["groups"][group]["rows"]}
    return pd.DataFrame([{"label": names[name], **rows[name]} for name in vote["ranking"]])


def groups(vote: Row, names: Mapping[str, str]) -> pd.DataFrame:
    """One row a difficulty: its place among each group of ballots, raw and weighted side by side."""
    own = {
        group: {row["difficulty"]: row["places"]["majority_judgment"] for row in found["rows"]}
        for group, found in vote["groups"].items()
    }
    return pd.DataFrame(
        [{"label": names[name], **{group: found[name] for group, found in own.items()}} for name in vote["ranking"]]
    )


def burden(side_by_side: Sequence[Row], names: Mapping[str, str], territory: str) -> pd.DataFrame:
    """One row a difficulty and part: label, part, low, high, known; for one territory, or for France."""
    rows = [
        {
            "label": names[row["difficulty"]],
            "part": part["name"],
            **{key: part[key] for key in ("low", "high", "known")},
        }
        for row in side_by_side
        for load in row["burdens"]
        if load["territory"] == territory
        for part in load["parts"]
    ]
    return pd.DataFrame(rows).astype({"low": float, "high": float})


def paradox(coverage: Sequence[Row], names: Mapping[str, str]) -> pd.DataFrame:
    """One row an answer with a known share of the need in France: label, low, high, kind; the largest first."""
    rows = [
        {
            "label": names[row["innovation"]],
            "low": row["share_low"],
            "high": row["share_high"],
            "kind": row["share_kind"],
        }
        for row in coverage
        if row["territory"] == "france" and row["share"]
    ]
    return pd.DataFrame(rows).sort_values("high", ascending=False, kind="stable", ignore_index=True)


def _graded(row: Row, grades: Mapping[str, str]) -> str:
    return f"{grades[row['majority_grade']]} {'+' if row['plus'] else '−'}"


def _without_id(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "difficulty"}
