"""Effects of a synthetic control as rows: headline, cohorts and event times, with what placebos say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from evaluation.impact import inference
from evaluation.impact.synthetic.conformal import conformal
from evaluation.impact.synthetic.jackknife import jackknife
from evaluation.impact.synthetic.panel import Fitted, Panel, fit_panel
from evaluation.impact.synthetic.placebo import Placebos, placebos

Array = np.ndarray

DESCRIBED = {
    "permutation": "placebo permutation over donors, interval of the constant effects that it keeps",
    "normal": "standard deviation of placebos over donors, normal interval",
    "jackknife": "jackknife over units with fixed weights",
    "conformal": "conformal test by cyclic shifts of the periods; standard error: spread of the placebos",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticResult:
    """One outcome: the fit, its placebos, and rows of effects.

    Attributes:
        fitted: weights and estimates of all cohorts.
        placebos: the same over donors.
        headline: one row of the mean effect, columns as `inference.summarize`.
        convention: of the headline's numbers, in words.
    """

    fitted: Fitted
    placebos: Placebos
    headline: pd.DataFrame
    convention: str


def estimate(panel: Panel, design: Any, seed: int, labels: pd.DataFrame) -> SyntheticResult:
    """The mean effect on the treated, with the uncertainty that the design asks for.

    Args:
        panel: outcomes of treated and donors.
        design: estimator, solver, interval, placebo_draws and inference.level.
        seed: of placebo assignments, where they are drawn.
        labels: one row that says what the headline is.
    """
    fitted = fit_panel(panel, design.estimator, solver=design.solver)
    drawn = placebos(fitted, design.estimator, solver=design.solver, draws=design.placebo_draws, seed=seed)
    number = f"{len(drawn.estimates)} {'(all)' if drawn.counted else '(drawn)'} placebo assignments"
    return SyntheticResult(
        fitted=fitted,
        placebos=drawn,
        headline=_headline(fitted, drawn, design, labels),
        convention=f"{DESCRIBED[design.interval]}; {number}",
    )


def by_event_time(result: SyntheticResult, level: float, outcome: str) -> pd.DataFrame:
    """Gaps before (pre_trend) and after (event_time), each against the same gap of the placebos."""
    times, gaps = result.fitted.gaps()
    terms = np.where(times < 0, "pre_trend", "event_time")
    labels = pd.DataFrame({"term": terms, "outcome": outcome, "event_time": times})
    return _with_reason(inference.placebo_table(labels, gaps, result.placebos.gaps, level=level), result.placebos)


def by_cohort(result: SyntheticResult, labels: pd.DataFrame) -> pd.DataFrame:
    """The mean effect on each cohort; a placebo law of their own they do not have."""
    estimates = np.array([part.estimate for part in result.fitted.cohorts.values()])
    rows = inference.placebo_table(labels, estimates, np.zeros((0, len(estimates))))
    return rows.assign(reason="placebos are drawn for all cohorts together")


def _headline(fitted: Fitted, drawn: Placebos, design: Any, labels: pd.DataFrame) -> pd.DataFrame:
    form: Literal["permutation", "normal"] = "normal" if design.interval == "normal" else "permutation"
    value, placebo = np.array([fitted.estimate]), drawn.estimates[:, None]
    level = design.inference.level
    rows = _with_reason(inference.placebo_table(labels, value, placebo, level=level, form=form), drawn)
    if design.interval == "jackknife":
        return _by_jackknife(fitted, rows, labels, level)
    return _by_shifts(fitted, rows, design) if design.interval == "conformal" else rows


def _by_jackknife(fitted: Fitted, rows: pd.DataFrame, labels: pd.DataFrame, level: float) -> pd.DataFrame:
    effects = jackknife(fitted, labels)
    if effects is None:
        return _silent(rows, "a jackknife needs two treated units of each start, and several donors with a weight")
    return inference.summarize(effects, level=level)


def _by_shifts(fitted: Fitted, rows: pd.DataFrame, design: Any) -> pd.DataFrame:
    if len(fitted.cohorts) > 1:
        return _silent(rows, "conformal intervals need one start")
    ((start, part),) = fitted.cohorts.items()
    level = design.inference.level
    found = conformal(fitted.panel.cohort(start), part, design.estimator, solver=design.solver, level=level)
    return rows.assign(ci_low=found.ci_low, ci_high=found.ci_high, p_value=found.p_value, reason=found.reason)


def _silent(rows: pd.DataFrame, reason: str) -> pd.DataFrame:
    return rows.assign(std_error=np.nan, ci_low=np.nan, ci_high=np.nan, p_value=np.nan, reason=reason)


def _with_reason(rows: pd.DataFrame, drawn: Placebos) -> pd.DataFrame:
    return rows.assign(reason=drawn.reason) if drawn.reason else rows
