"""Raking: weights that give the ballots the margins of the territory, trimmed, with what they cost in precision.

Among all weights with these margins, raking takes those closest to equal ones in the sense of relative entropy; they
are the limit of adjusting one margin after the other, and they are the weights of entropy balancing with the levels as
covariates, which is how they are computed here.

Source: Deming and Stephan (1940); Deville, Särndal and Sautory (1993); Kish (1965), section 11.7, for the effective
sample size; Potter (1990) for trimming.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.balancing import balance
from evaluation.impact.covariates import Covariates
from evaluation.needs.ballots import UNKNOWN, Ballots, Floats
from evaluation.settings.participation import Margin

LARGEST = 5.0  # of the mean weight; no ballot speaks for more than five
ROUNDS = 50  # of trimming and raking again


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Weights of ballots and what they did.

    Attributes:
        weights: (n,) with mean 1 over ballots that are weighted; 0 for ballots that do not say what they are raked by.
        effective: effective sample size, (Σw)² / Σw².
        trimmed: ballots held at the largest weight.
        unplaced: ballots with weight 0 because a margin's variable is unknown.
        gap: largest difference left between a weighted margin and the territory's, after trimming.
        margins: variable -> level -> (share among ballots, weighted share, share in the territory).
    """

    weights: Floats
    effective: float
    trimmed: int
    unplaced: int
    gap: float
    margins: Mapping[str, Mapping[str, tuple[float, float, float]]]


def rake(ballots: Ballots, margins: Sequence[Margin], *, largest: float = LARGEST) -> Weights:
    """Weights of ballots with the margins of the territory.

    Args:
        ballots: with an attribute for each variable of the margins.
        margins: shares of the territory's people, by variable and level.
        largest: a weight above this multiple of the mean is held there while the others are raked again.

    Raises:
        DataError: a level of the territory has no ballot, ballots have a level the territory does not, or no positive
            weights have these margins.
    """
    levels = {variable: _levels(margins, variable) for variable in dict.fromkeys(m.variable for m in margins)}
    placed = np.all([ballots.attribute(name) != UNKNOWN for name in levels], axis=0)
    for variable, shares in levels.items():
        _require_levels(ballots.attribute(variable)[placed], variable, shares)
    indicators = _indicators(ballots.chosen(placed), levels)
    raked, trimmed = _trimmed(indicators, _targets(levels), largest)
    weights = np.zeros(len(ballots))
    weights[placed] = raked
    table = {name: _compared(ballots.attribute(name), shares, placed, weights) for name, shares in levels.items()}
    return Weights(
        weights=weights,
        effective=effective_size(weights),
        trimmed=trimmed,
        unplaced=int((~placed).sum()),
        gap=max(abs(after - wanted) for rows in table.values() for _, after, wanted in rows.values()),
        margins=table,
    )


def effective_size(weights: Floats) -> float:
    """Kish's effective sample size, (Σw)² / Σw²."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _levels(margins: Sequence[Margin], variable: str) -> dict[str, float]:
    """Level -> share, made to sum to one exactly (printed shares are rounded)."""
    shares = {margin.level: margin.share for margin in margins if margin.variable == variable}
    total = sum(shares.values())
    return {level: share / total for level, share in shares.items()}


def _require_levels(values: NDArray[np.object_], variable: str, shares: Mapping[str, float]) -> None:
    found = set(values)
    empty = [level for level in shares if level not in found]
    if empty:
        raise DataError(
            code="E-NEE-007",
            what="A part of the territory has no ballot, so no weight can speak for it.",
            where=f"margin {variable}",
            found=f"no ballot with {', '.join(empty)}",
            expected="at least one ballot in each level",
            fix="collect ballots there, or merge the level with another in the margins, and say so",
        )
    strange = sorted(found - set(shares))
    if strange:
        raise DataError(
            code="E-NEE-008",
            what="Ballots have a level that the margins of the territory do not have.",
            where=f"column {variable}",
            found=", ".join(map(repr, strange[:5])),
            expected=", ".join(shares),
            fix="correct the ballots, or add the level to the margins",
        )


def _indicators(ballots: Ballots, levels: Mapping[str, Mapping[str, float]]) -> dict[str, Floats]:
    """'variable = level' -> (n,) 0/1, all levels of a variable but the first, which follows from the others."""
    return {
        f"{variable} = {level}": (ballots.attribute(variable) == level).astype(float)
        for variable, shares in levels.items()
        for level in [*shares][1:]
    }


def _targets(levels: Mapping[str, Mapping[str, float]]) -> Floats:
    return np.array([share for shares in levels.values() for share in [*shares.values()][1:]])


def _trimmed(indicators: Mapping[str, Floats], targets: Floats, largest: float) -> tuple[Floats, int]:
    """Rake; hold weights above the bound at it; rake the others to what is left; until none is above."""
    columns = np.column_stack([*indicators.values()])
    names, n = tuple(indicators), len(columns)
    held = np.zeros(n, dtype=bool)
    weights = _raked(columns, targets, names)
    for _ in range(ROUNDS):
        above = ~held & (weights > largest * (1 + 1e-9))
        if not above.any():
            break
        held |= above
        weights = np.where(held, largest, weights)
        left = n - largest * held.sum()
        rest = (n * targets - largest * columns[held].sum(axis=0)) / left if left > 0 else targets
        try:
            weights[~held] = left / (~held).sum() * _raked(columns[~held], rest, names)
        except DataError:  # no weights below the bound reach the margins: stay trimmed, and show the gap
            weights[~held] *= left / weights[~held].sum()
            break
    return weights, int(held.sum())


def _raked(columns: Floats, targets: Floats, names: tuple[str, ...]) -> Floats:
    """(n,) weights with mean 1 and these means of the columns: entropy balancing towards one made-up row."""
    matrix = np.vstack([columns, targets])
    group = np.arange(len(matrix)) < len(columns)
    found = balance(
        Covariates(matrix=matrix, labels=names, columns=names), group, np.ones(len(matrix)), (~group).astype(float)
    )
    return np.asarray(found.weights[group] * len(columns))


def _compared(
    values: NDArray[np.object_], shares: Mapping[str, float], placed: NDArray[np.bool_], weights: Floats
) -> dict[str, tuple[float, float, float]]:
    total = weights.sum()
    return {
        level: (
            float((values[placed] == level).mean()),
            float(weights[values == level].sum() / total),
            share,
        )
        for level, share in shares.items()
    }
