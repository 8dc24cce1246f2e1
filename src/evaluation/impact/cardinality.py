"""The largest matched sample whose means are balanced, by integer programming (HiGHS through scipy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates

Mask = NDArray[np.bool_]

# Branch and bound stops after so many nodes, or when no solution can be better by this share: never by the clock, so
# that two runs on two machines choose the same units.
NODES = 20_000
GAP = 1e-3


def largest_balanced(covariates: Covariates, treated: Mask, tolerance: float) -> Mask:
    """As many treated units as possible with as many comparison units, the means of all covariates close together.

    max Σ t subject to Σ t = Σ c and |Σ t x - Σ c x| ≤ tolerance · SD(x) · Σ t for every column x, t and c in {0, 1}; SD
    is that of the treated (of everybody, where they do not vary).

    Args:
        covariates: (n, k) complete.
        treated: (n,) arm.
        tolerance: in standard deviations.

    Returns:
        (n,) True for the units chosen.

    Raises:
        DataError: no such sample, or none found within `NODES` nodes.

    Source: Zubizarreta, Paredes and Rosenbaum (2014), *Annals of Applied Statistics* 8(1).
    """
    x = covariates.matrix
    spread = x[treated].std(axis=0, ddof=1)
    spread = np.where(spread > 0, spread, x.std(axis=0, ddof=1))
    scaled = (x - x[treated].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    signed = np.where(treated[:, None], scaled, -scaled)
    slack = tolerance * treated.astype(float)
    rows = np.vstack([np.where(treated, 1.0, -1.0), (signed - slack[:, None]).T, (-signed - slack[:, None]).T])
    upper = np.zeros(len(rows))
    found = milp(
        -treated.astype(float),
        integrality=np.ones(len(treated)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(sparse.csr_matrix(rows), np.r_[0.0, np.full(len(rows) - 1, -np.inf)], upper),
        options={"node_limit": NODES, "mip_rel_gap": GAP},
    )
    if found.x is None or found.x[treated].sum() < 1:
        raise DataError(
            code="E-IMP-205",
            what="no matched sample balances the covariates",
            found=f"means within {tolerance:g} standard deviations in none that was found ({found.message})",
            expected="some treated and comparison units with the same means",
            fix="raise `balance_tolerance`, or use fewer covariates",
        )
    return np.asarray(found.x > 0.5)
