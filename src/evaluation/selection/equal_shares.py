"""The method of equal shares: a portfolio from ballots, in which every group of voters gets its share.

Each voter gets an equal part of the budget. The option that voters can pay for at the lowest price for one point of
support is funded first: with price rho, voter i pays min(what is left to i, support x rho), and the payments add up to
the cost. This goes on until no option can be paid for. A majority cannot take everything: what it has paid is gone.

The method may leave money over. `complete` says what is done with it: nothing, or the options with the most support for
each euro that still fit (utilitarian completion).

Source: Peters, Pierczynski and Skowron 2021, Proportional participatory budgeting with additive utilities, NeurIPS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import ParametersError

Floats = NDArray[np.float64]
Completion = Literal["none", "utilitarian"]

_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the voters fund.

    Attributes:
        chosen: positions of the options, in the order in which they were funded.
        completed: those of them that were added with the money left over.
        spent: what they cost; left: (V,) what each voter has left before completion.
    """

    chosen: tuple[int, ...]
    completed: tuple[int, ...]
    spent: float
    left: Floats


def equal_shares(ballots: Floats, costs: Floats, budget: float, *, complete: Completion = "utilitarian") -> Shared:
    """Fund options from ballots.

    Args:
        ballots: (V, K) support of each voter for each option, zero or more; approval is 0 or 1.
        costs: (K,) above zero.
        budget: of all voters together.
        complete: what is done with the money left over.

    Raises:
        ParametersError: a support is negative, a cost is not above zero, or nobody votes.
    """
    _refuse(ballots, costs, budget)
    left = np.full(len(ballots), budget / len(ballots))
    chosen: list[int] = []
    while True:
        prices = np.array([_price(ballots[:, k], costs[k], left) for k in range(len(costs))])
        prices[chosen] = np.inf
        if not np.isfinite(prices).any():
            break
        best = int(np.argmin(prices))
        left = np.maximum(left - np.minimum(left, ballots[:, best] * prices[best]), 0.0)
        chosen.append(best)
    added = _completion(ballots, costs, budget, chosen) if complete == "utilitarian" else []
    spent = float(costs[[*chosen, *added]].sum())
    return Shared(chosen=(*chosen, *added), completed=tuple(added), spent=spent, left=left)


def _price(support: Floats, cost: float, left: Floats) -> float:
    """Lowest price of one point of support at which supporters pay the cost; infinite if they cannot.

    Voters are taken in the order of left / support: those who run out first pay all they have.
    """
    backing = np.flatnonzero(support > 0)
    if left[backing].sum() < cost - _TINY * max(cost, 1.0):
        return np.inf
    order = backing[np.argsort(left[backing] / support[backing], kind="stable")]
    money, points = left[order], support[order]
    paid = np.concatenate([[0.0], np.cumsum(money)[:-1]])
    weight = np.cumsum(points[::-1])[::-1]
    prices = (cost - paid) / weight
    enough = prices <= money / points + _TINY
    return float(prices[np.argmax(enough)]) if enough.any() else float(money[-1] / points[-1])


def _completion(ballots: Floats, costs: Floats, budget: float, chosen: Sequence[int]) -> list[int]:
    support = ballots.sum(axis=0)
    rest = budget - float(costs[list(chosen)].sum())
    added: list[int] = []
    for k in np.argsort(-support / costs, kind="stable").tolist():
        if k not in chosen and support[k] > 0 and costs[k] <= rest + _TINY * max(budget, 1.0):
            added.append(k)
            rest -= float(costs[k])
    return added


def _refuse(ballots: Floats, costs: Floats, budget: float) -> None:
    wrong = [
        text
        for text, holds in (
            ("no ballot", ballots.ndim != 2 or len(ballots) == 0),
            (f"{ballots.shape} ballots for {costs.shape} costs", ballots.shape[-1:] != costs.shape),
            ("a negative support, or one that is not a number", not np.all(ballots >= 0)),
            ("a cost that is not above zero", not np.all(costs > 0)),
            (f"a budget of {budget}", not budget >= 0),
        )
        if holds
    ]
    if wrong:
        raise ParametersError(
            code="E-SEL-026",
            what="Equal shares cannot be made from these ballots.",
            found=wrong[0],
            expected="at least one ballot, support of zero or more, costs above zero, a budget of zero or more",
            fix="correct the ballots, the costs or the budget",
        )
