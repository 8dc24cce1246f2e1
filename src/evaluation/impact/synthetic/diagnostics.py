"""What an estimate with weighted donors rests on: the fit before, single donors, effects before the treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.impact.synthetic.estimate import Estimator, Outcomes, Solver, Synthetic, with_weights
from evaluation.impact.synthetic.panel import FEWEST_BEFORE, FEWEST_DONORS, Fitted, fit_panel
from evaluation.impact.synthetic.placebo import Placebos, placebos

Array = np.ndarray

HELD_BACK = 3  # a third of the periods before is held back as if the treatment had come earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How far the weighted donors are from the treated before.

    Attributes:
        rmspe: root mean square of the gaps before, squares averaged over treated units.
        even: the same with all donors weighted alike.
        spread: standard deviation of the donors' outcomes within periods before.
    """

    rmspe: float
    even: float
    spread: float

    @property
    def in_sd(self) -> float:
        """The gap in standard deviations of the donors' outcomes."""
        return self.rmspe / self.spread if self.spread > 0 else np.inf


def pre_fit(fitted: Fitted) -> Fit:
    """Gaps before the treatment, with the level difference taken out where the method allows one."""
    panel = fitted.panel
    first = panel.outcomes[panel.donors][:, : panel.starts[0]]
    chosen = [part.rmspe(start)[0] for start, part in fitted.cohorts.items()]
    even = [_even(panel.cohort(start), part) for start, part in fitted.cohorts.items()]
    sizes = np.array([np.count_nonzero(panel.start == start) for start in fitted.cohorts])
    own, alike = (float(np.sqrt(sizes @ np.square(each) / sizes.sum())) for each in (chosen, even))
    return Fit(rmspe=own, even=alike, spread=float(np.sqrt(first.var(axis=0, ddof=1).mean())))


def _even(outcomes: Outcomes, fitted: Synthetic) -> float:
    """RMSPE before with all donors weighted alike, in levels or changes as the fit."""
    weights = np.full(len(outcomes.donors), 1 / len(outcomes.donors))
    return with_weights(outcomes, weights, fitted.time_weights).rmspe(outcomes.n_before)[0]


def without_each_donor(fitted: Fitted, estimator: Estimator = "sdid", *, solver: Solver = "exact") -> pd.DataFrame:
    """The estimate without each donor that has a weight, weights chosen again: columns donor, weight, estimate."""
    panel = fitted.panel
    weight = fitted.shares @ [part.unit_weights for part in fitted.cohorts.values()]
    used = np.flatnonzero(np.abs(weight) > 0)
    if len(weight) <= FEWEST_DONORS:
        used = used[:0]
    estimates = [fit_panel(panel.without(int(panel.donors[i])), estimator, solver=solver).estimate for i in used]
    table = {"donor": [str(panel.units[panel.donors[i]]) for i in used], "weight": weight[used], "estimate": estimates}
    return (
        pd.DataFrame(table)
        .astype({"weight": float, "estimate": float})
        .sort_values(["weight", "donor"], ascending=[False, True], ignore_index=True)
    )


def earlier(
    fitted: Fitted, estimator: Estimator = "sdid", *, solver: Solver = "exact", draws: int, seed: int
) -> tuple[Fitted, Placebos] | None:
    """The estimate for the last third of the periods before, as if the treatment had come then, and its placebos.

    None if fewer than two periods would be left before.
    """
    first = fitted.panel.starts[0]
    by = max(1, first // HELD_BACK)
    if first - by < FEWEST_BEFORE:
        return None
    found = fit_panel(fitted.panel.backdated(by), estimator, solver=solver)
    return found, placebos(found, estimator, solver=solver, draws=draws, seed=seed)
