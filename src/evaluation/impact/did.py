"""Difference-in-differences with treatment that starts at different dates.

Effects of each cohort in each period, ATT(g, t), against units that are never or not yet treated, and their averages,
all as `Effects` with influence functions. Bookkeeping follows R did 2.5.1: which periods are compared, who is compared,
which units and periods must go.

Source: Callaway and Sant'Anna (2021), *Journal of Econometrics* 225(2); Sant'Anna and Zhao (2020) for the cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.impact.did_assembly import group_time, plan, require_post, shares, skipped
from evaluation.impact.did_engine import estimate_cells, sorted_by_cohort
from evaluation.impact.did_result import DidResult, assemble
from evaluation.impact.did_rows import as_grid, read_table, window

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Group-time effects and their averages.

        ATT(g, t) = E[Yₜ - Y_b | cohort g] - E[Yₜ - Y_b | comparison], given covariates,

    with base period b = the last period before g less anticipation for t ≥ g less anticipation, else the period before
    t (`base_period: varying`), or always the former (`universal`). The comparison is never treated, or not yet treated
    by the later of t and b plus anticipation. Covariates and weights are those of the earlier of t and b.

    Averages, with p_g the weighted share of cohort g, over cells t ≥ g: simple Σ p_g ATT / Σ p_g; event_time the same
    at each t - g, overall their plain mean from 0 on; cohort the plain mean over t, overall weighted by p_g; calendar
    weighted by p_g in each t, overall their plain mean. The estimation of p_g is in the influence.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: comparison, estimator, aggregate, base_period, anticipation, panel.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        DataError: a unit that changes its cohort or has a period twice; nobody treated within the periods, or nobody to
            compare with; no unit with all periods; no effect after treatment that can be estimated.

    Source: Callaway and Sant'Anna (2021), sections 2-4 and theorem 2; see `did_cells` for the three estimators.
    """
    read = as_grid(window(read_table(sample, outcome, design), design), design)
    table = sorted_by_cohort(read)
    estimates = estimate_cells(table, list(plan(table, design)), design.estimator)
    require_post(table, estimates)
    return assemble(
        group_time(table, estimates),
        shares(table, estimates),
        aggregate=design.aggregate,
        skipped=skipped(table, estimates.missed),
        flow=read.flow,
        notes=read.notes,
        event_window=design.event_window,
    )
