"""A synthetic control as a finding: its effects, what they rest on, and the tables behind the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact import inference
from evaluation.impact.cross_section import labels, outcomes_of, role_of
from evaluation.impact.finding_parts import Parts
from evaluation.impact.synthetic import evidence, result
from evaluation.impact.synthetic.panel import Panel, read_panel

if TYPE_CHECKING:
    from evaluation.impact.synthetic.result import SyntheticResult
    from evaluation.sample import Sample


def parts(sample: Sample, design: Any, seed: int) -> Parts:
    """Effects on all outcomes; of the primary one by cohort and event time, its diagnostics and tables.

    Raises:
        DataError: what the panel lacks (`synthetic.panel.read_panel`).
    """
    found = [_of_outcome(sample, design, seed, column, outcome) for column, outcome in outcomes_of(design)]
    primary = found[0]
    checks, tables = evidence.collect(primary, sample, design, seed)
    rows = [each.headline for each in found]
    rows += [table.assign(role="supporting") for table in _supporting(primary, sample, design)]
    panel = primary.fitted.panel
    return Parts(
        estimand="att",
        rows=pd.concat(rows, ignore_index=True),
        covariance=_covariance(primary),
        comparison=_untreated(panel),
        used=sample.frame[sample.frame["unit"].isin(panel.units)],
        checks=checks,
        tables=tables,
        notes=_notes(primary),
        convention=primary.convention,
    )


def _of_outcome(sample: Sample, design: Any, seed: int, column: str, outcome: Any) -> SyntheticResult:
    panel = read_panel(sample, column, estimator=design.estimator, donors=design.donors)
    return result.estimate(panel, design, seed, labels("att", outcome, role_of(outcome)))


def _supporting(primary: SyntheticResult, sample: Sample, design: Any) -> list[pd.DataFrame]:
    outcome = design.primary.name
    times = result.by_event_time(primary, design.inference.level, outcome)
    starts = [primary.fitted.panel.periods[start] for start in primary.fitted.cohorts]
    if len(starts) == 1:
        return [times]
    names = [sample.period_labels.get(int(start), int(start)) for start in starts]
    rows = pd.DataFrame({"term": "cohort", "outcome": outcome, "cohort": pd.Series(names, dtype=object)})
    return [result.by_cohort(primary, rows), times]


def _covariance(primary: SyntheticResult) -> inference.Covariance:
    variance = float(primary.headline["std_error"].iloc[0]) ** 2
    return inference.Covariance(matrix=np.array([[variance]]), df=np.array([np.inf]), kind=primary.convention)


def _untreated(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    values = panel.outcomes[panel.donors].ravel()
    return values, np.ones(len(values))


def _notes(primary: SyntheticResult) -> list[str]:
    spacing = np.diff(primary.fitted.panel.periods)
    if len(set(spacing.tolist())) <= 1:
        return []
    return [f"Periods are not evenly spaced: {spacing.min()} to {spacing.max()} apart. They are taken as consecutive."]
