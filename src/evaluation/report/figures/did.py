"""The figures of a difference-in-differences, in the order in which they are read: groups, effects, how far they hold.

Each set takes the tables of a finding and leaves out what the data did not allow.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.report.figures.cohorts import cohort_timeline, group_time_map
from evaluation.report.figures.event_time import event_study
from evaluation.report.figures.robustness import bacon, estimators, honest_fan, leave_one_out
from evaluation.report.figures.trends import raw_trends
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tables = Mapping[str, pd.DataFrame]


def did_groups(tables: Tables, outcome_unit: str, lang: Lang = "fr") -> tuple["Figure", ...]:
    """Who is treated when, and the outcome of each group over time."""
    return cohort_timeline(tables["timeline"], lang), raw_trends(tables["means"], outcome_unit, lang)


def did_effects(
    effects: pd.DataFrame,
    tables: Tables,
    outcome_unit: str,
    lang: Lang = "fr",
    *,
    anticipation: int = 0,
    level: float = 0.95,
) -> tuple["Figure", ...]:
    """Effects by time since the start, and by cohort and period where the estimator has them.

    Args:
        effects: rows of the finding's effects.
        tables: of the finding.
        outcome_unit: unit of the effects.
        lang: language of axes and text alternatives.
        anticipation: periods before the start in which effects may show.
        level: probability of the intervals.
    """
    shown = []
    if effects["event_time"].notna().any():
        shown.append(event_study(effects, outcome_unit, lang, anticipation=anticipation, level=level))
    if (effects["term"] == "group_time").any():
        skipped = tables.get("skipped")
        shown.append(group_time_map(effects, outcome_unit, lang, skipped=skipped, level=level))
    return tuple(shown)


def did_credibility(
    effects: pd.DataFrame, tables: Tables, outcome_unit: str, lang: Lang = "fr", *, level: float = 0.95
) -> tuple["Figure", ...]:
    """How far trends may depart, who moves the estimate, what other estimators say, what the baseline compares."""
    shown = []
    if "honest" in tables:
        honest = tables["honest"]
        breakdown = honest.dropna(subset="breakdown").groupby("kind")["breakdown"].first().to_dict()
        shown.append(honest_fan(honest, outcome_unit, lang, breakdown=breakdown, level=level))
    if "leave_one_out" in tables and tables["leave_one_out"]["estimate"].notna().any():
        headline = effects.loc[effects["role"] == "headline", ["estimate", "ci_low", "ci_high"]].iloc[0]
        shown.append(leave_one_out(tables["leave_one_out"], headline.astype(float), outcome_unit, lang, level=level))
    if "estimators" in tables:
        known = tables["estimators"].dropna(subset="estimate")
        shown.append(estimators(known, outcome_unit, lang, level=level))
    if "bacon" in tables:
        table = tables["bacon"]
        two_way = float(np.dot(table["weight"], table["estimate"]))
        shown.append(bacon(table, outcome_unit, lang, two_way=two_way))
    return tuple(shown)
