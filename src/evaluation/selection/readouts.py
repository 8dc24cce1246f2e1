"""What a chain says to a funder: probabilities, ratios, cost per outcome, acceptability, what matters most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.selection.value_chain import LINKS, Chain, Floats, Link, Parts, annuity, evaluate, streams

OUTER = (0.05, 0.95)
SWING = (0.1, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """One chain in numbers; None where a link is missing.

    Attributes:
        missing: links that nobody knows.
        p_useful: P(effect > smallest effect worth having); p_harm: P(effect < 0); p_positive: P(net benefit > 0).
        net, net_low, net_high: mean and 90 % interval of the net benefit for one person.
        benefit_cost_ratio: mean benefit / mean cost.
        mvpf: benefit to people / (cost - what returns to the public purse); infinite where the programme pays for
            itself.
        cost_per_outcome: mean cost / mean gain over its years; None where no gain is expected.
        p_positive_equity, net_equity: the same with the benefit weighted by income.
    """

    innovation: str
    territory: str
    missing: tuple[str, ...]
    grade: int | None
    effect: float | None
    p_useful: float | None
    p_harm: float | None
    p_positive: float | None
    net: float | None
    net_low: float | None
    net_high: float | None
    cost: float | None
    benefit: float | None
    benefit_cost_ratio: float | None
    mvpf: float | None
    cost_per_outcome: float | None
    p_positive_equity: float | None
    net_equity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much one link matters.

    Attributes:
        low, high: net benefit with the link at its 10th and 90th percentile, the others at their median.
        share: of the variance of the net benefit that goes when the link is known (first order, Sobol 1993).
    """

    link: Link
    low: float
    high: float
    share: float


def readout(chain: Chain, parts: Parts) -> Readout:
    """The numbers of one simulated chain."""
    low, high = _interval(parts.net)
    return Readout(
        innovation=chain.innovation,
        territory=chain.territory,
        missing=chain.missing,
        grade=None if chain.belief is None else chain.belief.grade,
        effect=_mean(parts.effect),
        p_useful=_share(parts.effect - chain.smallest_effect),
        p_harm=_share(-parts.effect),
        p_positive=_share(parts.net),
        net=_mean(parts.net),
        net_low=low,
        net_high=high,
        cost=_mean(parts.cost),
        benefit=_mean(parts.benefit),
        benefit_cost_ratio=_ratio(_mean(parts.benefit), _mean(parts.cost)),
        mvpf=_mvpf(chain, parts),
        cost_per_outcome=_cost_per_outcome(chain, parts),
        p_positive_equity=_share(parts.net_equity),
        net_equity=_mean(parts.net_equity),
    )


def acceptability(chain: Chain, parts: Parts, willingness: Floats) -> Floats:
    """P(willingness x gain - cost > 0) for each willingness to pay for one unit of the outcome and year; (m,).

    The cost-effectiveness acceptability curve: it needs no value of the outcome, the reader brings it.
    Source: van Hout, Al, Gordon and Rutten 1994; Fenwick, Claxton and Sculpher 2001.
    """
    gains = parts.gain * annuity(chain.years, chain.discount_rate)
    return np.asarray(np.mean(willingness[:, None] * gains > parts.cost, axis=1), dtype=np.float64)


def best_option(simulated: Sequence[Parts], *, nothing: bool = True) -> Floats:
    """P(option has the highest net benefit), (K,), or (K + 1,) with doing nothing last; ties are shared."""
    nets = np.vstack([parts.net for parts in simulated])
    nets = np.vstack([nets, np.zeros(nets.shape[1])]) if nothing else nets
    best = nets == nets.max(axis=0)
    return np.asarray((best / best.sum(axis=0)).mean(axis=1), dtype=np.float64)


def importance(chain: Chain, *, seed: int, draws: int) -> tuple[Importance, ...]:
    """How much each link matters to the net benefit, the largest swing first; () where a link is missing.

    First-order share of link i: Cov(f(A), f(B with i from A)) / Var(f), from two independent sets A and B of draws
    (Sobol 1993; Saltelli et al. 2010, table 2).
    """
    if chain.missing:
        return ()
    first, second = streams(chain, seed=seed, draws=draws), streams(chain, seed=seed + 1, draws=draws)
    net = evaluate(chain, first).net
    links = [
        Importance(link=link, low=low, high=high, share=_first_order(chain, first, second, net, link))
        for link in LINKS[:-1]
        for low, high in [_swing(chain, link, first["effect"])]
        if low != high
    ]
    return tuple(sorted(links, key=lambda each: (-abs(each.high - each.low), each.link)))


def _swing(chain: Chain, link: Link, effects: Floats) -> tuple[float, float]:
    """Net benefit with one link low and high, the others at their median."""
    middle = {name: np.full(2, 0.5) for name in LINKS}
    numbers = {**middle, "effect": np.full(2, np.median(effects))}
    numbers[link] = np.quantile(effects, SWING) if link == "effect" else np.array(SWING)
    low, high = evaluate(chain, numbers).net
    return float(low), float(high)


def _first_order(chain: Chain, first: dict[Link, Floats], second: dict[Link, Floats], net: Floats, link: Link) -> float:
    mixed = evaluate(chain, {**second, link: first[link]}).net
    variance = float(np.var(net))
    return float(np.mean((net - net.mean()) * (mixed - mixed.mean()))) / variance if variance > 0 else 0.0


def _share(values: Floats) -> float | None:
    return None if np.isnan(values).any() else float(np.mean(values > 0))


def _mean(values: Floats) -> float | None:
    return None if np.isnan(values).any() else float(np.mean(values))


def _interval(values: Floats) -> tuple[float | None, float | None]:
    if np.isnan(values).any():
        return None, None
    low, high = np.quantile(values, OUTER, method="inverted_cdf")
    return float(low), float(high)


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _mvpf(chain: Chain, parts: Parts) -> float | None:
    """Costs without the welfare cost of raising them: the ratio is compared with that cost afterwards."""
    benefit, cost = _mean(parts.benefit), _mean(parts.cost)
    if benefit is None or cost is None:
        return None
    public = cost / (1 + chain.public_share * (chain.public_funds - 1)) - chain.fiscal_share * benefit
    kept = (1 - chain.fiscal_share) * benefit
    if public > 0:
        return kept / public
    return float("inf") if kept >= 0 else None


def _cost_per_outcome(chain: Chain, parts: Parts) -> float | None:
    gain, cost = _mean(parts.gain), _mean(parts.cost)
    if gain is None or cost is None or gain <= 0:
        return None
    return cost / (gain * annuity(chain.years, chain.discount_rate))
