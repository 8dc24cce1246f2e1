"""Placebos: the same estimate with donors in the place of the treated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from evaluation.impact.synthetic.estimate import Estimator, Solver
from evaluation.impact.synthetic.panel import FEWEST_DONORS, Fitted, Panel, fit_panel

Array = np.ndarray

DRAWS = 200  # assignments drawn where there are more than that


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placebos:
    """What the method finds where nothing happened.

    Attributes:
        estimates: (B,) mean effects.
        ratios: (B,) RMSPE after over before.
        gaps: (B, E) by event time, those of the fit.
        assignments: (B, N₁) positions among the donors.
        counted: whether these are all assignments there are.
        reason: why there are none.
    """

    estimates: Array
    ratios: Array
    gaps: Array
    assignments: Array
    counted: bool
    reason: str = ""


def placebos(
    fitted: Fitted, estimator: Estimator = "sdid", *, solver: Solver = "exact", draws: int = DRAWS, seed: int = 0
) -> Placebos:
    """Estimates for assignments of the treated units' starts to donors; the treated themselves are left out.

    All assignments if there are at most `draws` and one start, else `draws` of them. There must be more donors than
    treated units, and two donors must be left.

    Source: Arkhangelsky et al. (2021), algorithm 4; Abadie, Diamond and Hainmueller (2010).
    """
    panel = fitted.panel
    n_donors, n_treated = len(panel.donors), len(panel.units) - len(panel.donors)
    times = fitted.gaps()[0]
    if n_donors <= n_treated or n_donors - n_treated < FEWEST_DONORS:
        reason = f"{n_donors} donors for {n_treated} treated: placebos need more donors than treated, and two left over"
        none = np.zeros(0)
        return Placebos(
            estimates=none,
            ratios=none,
            gaps=np.zeros((0, len(times))),
            assignments=np.zeros((0, n_treated), dtype=int),
            counted=False,
            reason=reason,
        )
    chosen, counted = assignments(panel, draws, seed)
    fits = [fit_panel(panel.placebo(row), estimator, solver=solver) for row in chosen]
    return Placebos(
        estimates=np.array([part.estimate for part in fits]),
        ratios=np.array([part.ratio for part in fits]),
        gaps=np.array([part.gaps()[1] for part in fits]),
        assignments=chosen,
        counted=counted,
    )


def assignments(panel: Panel, draws: int, seed: int) -> tuple[Array, bool]:
    """(B, N₁) positions among the donors, and whether these are all there are."""
    n_donors, n_treated = len(panel.donors), len(panel.units) - len(panel.donors)
    if len(panel.starts) == 1 and comb(n_donors, n_treated) <= max(draws, n_donors if n_treated == 1 else 0):
        return np.array(list(combinations(range(n_donors), n_treated))), True
    rng = np.random.Generator(np.random.Philox(seed))
    return np.array([rng.permutation(n_donors)[:n_treated] for _ in range(draws)]), False
