"""From an effect to a net benefit: one chain of links for each innovation and territory, by Monte Carlo.

    gain     = (effect + transfer) x voltage x (1 - displacement)     per person, in the unit of the outcome
    benefit  = gain x value x annuity x equity weight                 in money of one price year
    cost     = unit cost x (people / people observed)^elasticity x (1 + public share x (public funds - 1))
    net      = benefit - cost

Voltage and displacement act on gains only: nothing says that a harm fades at scale. The annuity is the sum over years
t = 0, 1, ... of (1 + rate)^-t, the last year in part. A link that nobody knows is named, and there is no number.

Random numbers are common to all options: each link has its own stream, made from the seed, its name and the innovation
(the territory as well for the transfer), so that adding, dropping or reordering options changes no draw of the others,
and an option and its variant (dearer, with equity weights) differ by the variant alone. Each stream is stratified: its
n numbers lie one in each n-th of (0, 1), so that the error in one link is of the order 1 / n.

Source: Boardman et al., Cost-Benefit Analysis, chapters 9 and 11; Hendren and Sprung-Keyser 2020 (marginal value of
public funds); Stinnett and Mullahy 1998 (net benefit); McKay, Beckman and Conover 1979 (stratified draws).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from evaluation.settings.policy import Span

Floats = NDArray[np.float64]
Link = Literal["effect", "transfer", "voltage", "displacement", "value", "cost", "elasticity", "equity"]

LINKS: tuple[Link, ...] = ("effect", "transfer", "voltage", "displacement", "value", "cost", "elasticity", "equity")
NOTHING = Span(low=0, mode=0, high=0)
ALL = Span(low=1, mode=1, high=1)


class Belief(Protocol):
    """What is believed about an effect after its findings were read, bias included; positive is good."""

    @property
    def mean(self) -> float:
        """Of the effect on one person."""

    @property
    def sd(self) -> float:
        """Its standard deviation."""

    @property
    def grade(self) -> int:
        """Of the evidence behind it, 0 to 5."""

    def draws(self, seed: int, n: int) -> Floats:
        """(n,) draws; the same seed gives the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalBelief:
    """A belief that is normal."""

    mean: float
    sd: float
    grade: int

    def draws(self, seed: int, n: int) -> Floats:
        """(n,) draws: mean + sd x standard normal numbers that depend on the seed alone."""
        return np.asarray(self.mean + self.sd * ndtri(stratified(seed, n)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One innovation in one territory; None is a link that nobody knows.

    Attributes:
        belief: of the effect on one person, in the unit of the outcome, positive is good.
        transfer_sd: standard deviation of what the territory adds or takes, in the unit of the outcome; 0 where the
            study took place.
        voltage: share of a gain that is left at scale; displacement: share of it that others lose.
        value: money for one unit of the outcome and year; value_key: which valuation it is, for its stream.
        years: for which a gain lasts.
        unit_cost: for one person, in the same money as `value`.
        people, people_observed: that the programme would serve, and that the unit cost was observed with.
        public_share: of the cost; public_funds: welfare cost of one public euro.
        fiscal_share: of the benefit that returns to the public purse.
        relative_income: of the people served, over the median; None = equity weights cannot be put.
        smallest_effect: worth having, in the unit of the outcome.
    """

    innovation: str
    territory: str
    belief: Belief | None
    transfer_sd: float | None = None
    voltage: Span = ALL
    displacement: Span = NOTHING
    value: Span | None = None
    value_key: str = ""
    years: float = 1.0
    discount_rate: float = 0.0
    unit_cost: Span | None = None
    people: float = 1.0
    people_observed: float = 1.0
    elasticity: Span = NOTHING
    public_share: float = 1.0
    public_funds: float = 1.0
    fiscal_share: float = 0.0
    equity_elasticity: Span = NOTHING
    relative_income: float | None = None
    smallest_effect: float = 0.0

    @property
    def missing(self) -> tuple[str, ...]:
        """Links that nobody knows, in the order of the chain."""
        known = (
            ("effect", self.belief),
            ("transfer", self.transfer_sd),
            ("value", self.value),
            ("cost", self.unit_cost),
        )
        return tuple(name for name, link in known if link is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a chain gives, each (n,); NaN where a link is missing.

    Attributes:
        effect: on one person in the territory, before voltage and displacement.
        gain: at scale, in the unit of the outcome.
        benefit, cost: in money, for one person; equity: the weight that goes with the benefit.
    """

    effect: Floats
    gain: Floats
    benefit: Floats
    cost: Floats
    equity: Floats

    @property
    def net(self) -> Floats:
        """Net benefit for one person, without equity weights."""
        return self.benefit - self.cost

    @property
    def net_equity(self) -> Floats:
        """Net benefit for one person, the benefit weighted by income."""
        return self.benefit * self.equity - self.cost


def simulate(chains: Sequence[Chain], *, seed: int, draws: int) -> tuple[Parts, ...]:
    """The parts of each chain, with common random numbers.

    Args:
        chains: in any order; each gets the same draws whatever the others are.
        seed: where the streams start.
        draws: how many.
    """
    return tuple(evaluate(chain, streams(chain, seed=seed, draws=draws)) for chain in chains)


def streams(chain: Chain, *, seed: int, draws: int) -> dict[Link, Floats]:
    """Numbers of each link, (n,): uniform on (0, 1), except the effect, which the belief draws in its own unit."""
    keys = _stream_keys(chain)
    numbers: dict[Link, Floats] = {
        link: stratified(_derived(seed, link, keys[link]), draws) for link in LINKS if link != "effect"
    }
    unknown = np.full(draws, np.nan)
    known = chain.belief
    numbers["effect"] = unknown if known is None else known.draws(_derived(seed, "effect", keys["effect"]), draws)
    return numbers


def evaluate(chain: Chain, numbers: Mapping[Link, Floats]) -> Parts:
    """The chain at given numbers of its links.

    Args:
        chain: the options' links.
        numbers: link -> (n,), as `streams` gives them.
    """
    missing = np.full(len(numbers["effect"]), np.nan)
    transfer = missing if chain.transfer_sd is None else chain.transfer_sd * ndtri(numbers["transfer"])
    effect = numbers["effect"] + transfer
    kept = quantile(chain.voltage, numbers["voltage"]) * (1 - quantile(chain.displacement, numbers["displacement"]))
    gain = np.where(effect > 0, effect * kept, effect)
    value = missing if chain.value is None else quantile(chain.value, numbers["value"])
    return Parts(
        effect=effect,
        gain=gain,
        benefit=gain * value * annuity(chain.years, chain.discount_rate),
        cost=missing if chain.unit_cost is None else _cost(chain, chain.unit_cost, numbers),
        equity=_equity_weight(chain, numbers["equity"]),
    )


def annuity(years: float, rate: float) -> float:
    """Present value of one euro a year for `years` years, the first at once, the last year in part."""
    whole = math.floor(years)
    return sum((1 + rate) ** -t for t in range(whole)) + (years - whole) * (1 + rate) ** -whole


def quantile(span: Span, u: Floats) -> Floats:
    """Quantiles of the triangular distribution, (n,); a span of one value is that value."""
    width = span.high - span.low
    if width == 0:
        return np.full(len(u), span.mode)
    left = (span.mode - span.low) / width
    rising = span.low + np.sqrt(np.maximum(u, 0) * width * (span.mode - span.low))
    falling = span.high - np.sqrt(np.maximum(1 - u, 0) * width * (span.high - span.mode))
    return np.where(u <= left, rising, falling)


@lru_cache(maxsize=256)
def stratified(seed: int, n: int) -> Floats:
    """n numbers of (0, 1), one in each n-th, in an order that depends on the seed; the array cannot be written to."""
    random = np.random.Generator(np.random.Philox(seed))
    numbers: Floats = (random.permutation(n) + random.random(n)) / n
    numbers.flags.writeable = False
    return numbers


def _stream_keys(chain: Chain) -> dict[Link, str]:
    """What the numbers of a link depend on: a valuation and the value of equality are the same for all programmes."""
    option = f"{chain.innovation}@{chain.territory}"
    own: dict[Link, str] = dict.fromkeys(LINKS, chain.innovation)
    return own | {"transfer": option, "value": chain.value_key or chain.innovation, "equity": ""}


def _derived(seed: int, link: str, key: str) -> int:
    """A seed for one stream."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{link}|{key}".encode()).digest()[:8], "big")


def _cost(chain: Chain, unit_cost: Span, numbers: Mapping[Link, Floats]) -> Floats:
    elasticity = quantile(chain.elasticity, numbers["elasticity"])
    at_scale = quantile(unit_cost, numbers["cost"]) * (chain.people / chain.people_observed) ** elasticity
    return at_scale * (1 + chain.public_share * (chain.public_funds - 1))


def _equity_weight(chain: Chain, u: Floats) -> Floats:
    """(median / income)^elasticity."""
    if chain.relative_income is None:
        return np.full(len(u), np.nan)
    return np.asarray((1 / chain.relative_income) ** quantile(chain.equity_elasticity, u), dtype=np.float64)
