"""Joint inference on all specifications of one design: would so many estimates look like this if there were no effect?

Source: Simonsohn, Simmons and Nelson (2020), *Nature Human Behaviour* 4(11), for the three statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from evaluation.errors import InternalError

Array = np.ndarray

STATISTICS = ("median", "share_significant", "aggregate_z")


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTest:
    """What draws without any effect say about the curve as a whole.

    Attributes:
        value: by statistic: median estimate; share of specifications significant in the prevailing direction; sum of
            the z-values over the square root of K.
        p_value: by statistic; two-sided for median and aggregate z.
        draws: number of draws.
        law: where the draws come from, in words.
    """

    value: Mapping[str, float]
    p_value: Mapping[str, float]
    draws: int
    law: str


def joint_test(
    estimate: Array, std_error: Array, draws: Array, *, law: str, drawn_errors: Array | None = None, level: float = 0.95
) -> JointTest:
    """Compare the curve with curves drawn under no effect.

        p = (1 + number of draws whose statistic is at least the observed one) / (B + 1)

    The statistics look at both directions, for the draws as for the data: the significant specifications of whichever
    direction has more of them; the absolute median; the absolute sum of z over √K. √K only scales: dependence between
    specifications is in the draws.

    Args:
        estimate: (K,).
        std_error: (K,) positive.
        draws: (B, K) estimates without an effect, from the joint law of the K estimates.
        law: of the draws, in words.
        drawn_errors: (K,) errors that make the draws z-values; `std_error` if None.
        level: 1 - level is the size of a specification's own test.

    Raises:
        InternalError: tables that do not line up.
    """
    if not (estimate.shape == std_error.shape == draws.shape[1:]) or not (std_error > 0).all():
        raise InternalError(
            code="E-IMP-375",
            what="estimates, standard errors and draws of a specification curve do not line up",
            found=f"{estimate.shape}, {std_error.shape}, {draws.shape}",
            expected="K, K (positive), B by K",
        )
    critical = float(special.ndtri(0.5 + level / 2))
    observed = _statistics(estimate[None, :], std_error, critical)
    found = _statistics(draws, std_error if drawn_errors is None else drawn_errors, critical)
    z_sum = float((estimate / std_error).sum() / np.sqrt(len(estimate)))
    shown = {"median": float(np.median(estimate)), "aggregate_z": z_sum}
    tolerance = 1e-12  # the observed assignment, drawn again, must count as "at least" in spite of rounding
    p_value = {
        name: float((1 + (found[name] >= observed[name] * (1 - tolerance)).sum()) / (1 + len(draws)))
        for name in STATISTICS
    }
    value = {name: shown.get(name, float(observed[name][0])) for name in STATISTICS}
    return JointTest(value=value, p_value=p_value, draws=len(draws), law=law)


def _statistics(estimates: Array, std_error: Array, critical: float) -> dict[str, Array]:
    """(B,) of each statistic, for both directions at once."""
    z = estimates / std_error
    significant = np.maximum((z > critical).mean(axis=1), (z < -critical).mean(axis=1))
    return {
        "median": np.abs(np.median(estimates, axis=1)),
        "share_significant": significant,
        "aggregate_z": np.abs(z.sum(axis=1)) / np.sqrt(z.shape[1]),
    }
