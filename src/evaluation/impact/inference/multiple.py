"""Adjustment of p-values for the number of tests made: familywise error, false discoveries.

Missing p-values stay missing and are not counted: a test that was not made could not have rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from evaluation.errors import InternalError, ParametersError

Array = np.ndarray
Adjustment = Literal["holm", "benjamini_hochberg", "sharpened_q"]

TIE = 1e-10  # relative; statistics that differ by rounding alone are equal


def adjust(p_values: Array, method: Adjustment) -> Array:
    """(m,) adjusted p-values (q-values for the two that control false discoveries).

    Raises:
        ParametersError: unknown method. `romano_wolf` needs draws and has its own function.
        InternalError: a p-value outside 0 to 1.
    """
    if method not in METHODS:
        raise ParametersError(
            code="E-IMP-063",
            what="no such adjustment of p-values",
            found=f"{method}",
            expected=f"{', '.join(METHODS)}, or romano_wolf with draws",
        )
    p = np.asarray(p_values, dtype=float)
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise InternalError(code="E-IMP-064", what="a p-value is not a probability", found=f"{p[known]}")
    out = np.full(len(p), np.nan)
    if known.any():
        out[known] = METHODS[method](p[known])
    return out


def holm(p_values: Array) -> Array:
    """(m,) step-down: the j-th smallest times m - j + 1, never decreasing, at most 1. Familywise error, any dependence.

    Source: Holm (1979).
    """
    return adjust(p_values, "holm")


def benjamini_hochberg(p_values: Array) -> Array:
    """(m,) step-up: the least m p₍ₖ₎ / k over k ≥ j, at most 1. False discovery rate, independent or positive tests.

    Source: Benjamini and Hochberg (1995).
    """
    return adjust(p_values, "benjamini_hochberg")


def sharpened_q(p_values: Array) -> Array:
    """(m,) two-stage q-values: the least q at which the two-stage procedure rejects, at most 1.

    At q′ = q / (1 + q) the step-up procedure rejects r of m; the second stage is the same procedure at q′ m / (m - r).
    Anderson searches q on a grid of 0.001; here it is solved: with bⱼ = min_{k≥j} p₍ₖ₎ / k, test j is rejected at q′ if
    q′ ≥ (m - r(q′)) bⱼ, and r(q′) is the number of j with m bⱼ ≤ q′.

    Source: Benjamini, Krieger and Yekutieli (2006), definition 6; Anderson (2008).
    """
    return adjust(p_values, "sharpened_q")


def romano_wolf(estimate: Array, std_error: Array, draws: Array) -> Array:
    """(K,) step-down p-values that take the dependence of the tests from joint draws. Familywise error.

    In falling order of |t|, p₍ⱼ₎ = (1 + #{b: max_{l≥j} |t*_bl| ≥ |t₍ⱼ₎|}) / (1 + B), never decreasing.

    Args:
        estimate: (K,).
        std_error: (K,); missing or zero where there is no test: missing, and not counted.
        draws: (B, K) of estimate - truth, such as `multiplier_draws`.

    Source: Romano and Wolf (2005), algorithm 4.2; (2016) for p-values.
    """
    out = np.full(len(estimate), np.nan)
    known = np.flatnonzero(np.isfinite(estimate) & (np.nan_to_num(std_error) > 0))
    if not len(known):
        return out
    t = np.abs(estimate[known] / std_error[known])
    order = np.argsort(-t, kind="stable")
    drawn = np.abs(draws[:, known[order]]) / std_error[known[order]]
    largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
    number = (largest >= t[order] * (1 - TIE)).sum(axis=0)
    out[known[order]] = np.maximum.accumulate((1 + number) / (1 + len(draws)))
    return out


def _holm(p: Array) -> Array:
    steps = np.arange(len(p), 0, -1)
    return _in_order(p, lambda ordered: np.maximum.accumulate(ordered * steps))


def _benjamini_hochberg(p: Array) -> Array:
    return _in_order(p, lambda ordered: len(p) * _least_ahead(ordered))


def _sharpened_q(p: Array) -> Array:
    def q_values(ordered: Array) -> Array:
        m, least = len(ordered), _least_ahead(ordered)
        first = np.minimum([_smallest(least, m, r) for r in range(1, m + 1)], np.inf).min(axis=0)
        return np.where(first < 0.5, first / (1 - np.minimum(first, 0.5)), 1.0)

    return _in_order(p, q_values)


def _smallest(least: Array, m: int, rejected: int) -> Array:
    """(m,) the least q′ that rejects each test while the first stage rejects this many; infinite if none does."""
    start = m * least[rejected - 1]
    stop = m * least[rejected] if rejected < m else np.inf
    found = np.maximum((m - rejected) * least, start)
    return np.where(found < stop, found, np.inf)


def _least_ahead(ordered: Array) -> Array:
    """bⱼ = min_{k≥j} p₍ₖ₎ / k, never decreasing in j."""
    ranks = np.arange(1, len(ordered) + 1)
    return np.asarray(np.minimum.accumulate((ordered / ranks)[::-1])[::-1])


def _in_order(p: Array, adjusted: Callable[[Array], Array]) -> Array:
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.minimum(adjusted(p[order]), 1.0)
    return out


METHODS: dict[str, Callable[[Array], Array]] = {
    "holm": _holm,
    "benjamini_hochberg": _benjamini_hochberg,
    "sharpened_q": _sharpened_q,
}
