"""The learning agenda: in each territory, the best next study of each innovation, what it costs and what it is worth.

What is at stake for one person, m, is the net benefit where the value chain knows it, otherwise the effect above the
smallest effect worth having; both in standard deviations of the outcome. For N people served and a value V of one
standard deviation of one person's outcome,

    value of a study of n = V N [(1 - d) E[max(m', 0)] - max(m, 0)] - cost(n)        (learning.py; d = delay)
    cost(n)               = fixed + n x cost per person,   standard error(n) = 2 sqrt((1 - R2) / n)
    break-even            = cost(n) / [...], the smallest over the sizes that are tried: what V N must come to

Where the value chain says what an outcome is worth (V), the value of the study is in euros and the best size is the one
of the highest value. Where it does not, nobody can say what a study is worth in euros; the break-even value says from
which V N on it is, and where the people concerned are counted, from which V; a reader can judge that. Voltage,
displacement and cost stay where they are: a study of the effect does not teach them. A size must find an effect of
`detectable` standard deviations, and the territory must have as many people.

Where nothing carries to the territory (no figure was read, or its transfer is rated D or not at all), what is believed
is the prior, and it says so.

Source: Raiffa and Schlaifer 1961; Willan and Pinto 2005 (expected net benefit of sampling, delay charged).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from evaluation.impact.power.core import detectable
from evaluation.selection.learning import (
    Floats,
    value_of_perfect_information,
    value_of_sample_information,
    value_of_test,
)
from evaluation.settings.learning import Learning

Basis = Literal["records", "prior"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What is believed of one innovation in one territory, and how much hangs on it.

    Attributes:
        mean, sd: of the effect on one person, in standard deviations, positive is good.
        smallest: effect worth having, in standard deviations.
        basis: records, or prior where nothing that was read carries here.
        grade: of the evidence here; 0 for the prior.
        people: who could take part in a study; served: by the programme, over the horizon; None where nobody counted.
        euros: value of one standard deviation of one person's outcome; None where nobody knows it.
        net: expected net benefit of one person in euros, where `euros` is known.
    """

    mean: float
    sd: float
    smallest: float
    basis: Basis
    grade: int
    people: float | None
    served: float | None
    euros: float | None = None
    net: float | None = None

    @property
    def above(self) -> float:
        """At stake for one person, in standard deviations: the net benefit, or the effect above the smallest."""
        if self.euros and self.net is not None:
            return self.net / self.euros
        return self.mean - self.smallest


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study with n people drawn by lot.

    Attributes:
        std_error, detectable: in standard deviations; the effect that is found with a power of 80 %.
        cost: euros; months: until it is read.
    """

    n: int
    std_error: float
    detectable: float
    cost: float
    months: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What there is to learn, and by which study.

    Attributes:
        p_useful, p_harm: P(effect > smallest worth having), P(effect < 0).
        evpi, evsi: for one person, in standard deviations: of perfect information, of the study.
        people: who would be served over the horizon; None where nobody counted.
        gain: for one person: the value of the test before its cost, its delay charged, in standard deviations.
        study: the best one; None where no study is worth anything at any value of the outcome.
        break_even: euros that one standard deviation of the outcome must be worth for all people served together;
            None without a study.
        break_even_each: the same for one person; None where nobody counted the people.
        value: of the study in euros, cost and delay charged; None where the value of the outcome is not known.
    """

    basis: Basis
    grade: int
    mean: float
    sd: float
    smallest: float
    p_useful: float
    p_harm: float
    evpi: float
    evsi: float | None
    people: float | None
    gain: float | None
    study: Study | None
    break_even: float | None
    break_even_each: float | None
    value: float | None


def worth(stake: Stake, policy: Learning) -> Worth:
    """The best study of one innovation in one territory.

    Args:
        stake: what is believed, and for how many people.
        policy: sizes, costs, delay.
    """
    at_stake, sd = np.array(stake.above), np.array(stake.sd)
    sizes = _sizes(stake, policy)
    gains, costs = _gains(stake, sizes, policy), policy.fixed_cost + policy.cost_per_person * sizes
    served = stake.served
    values = None if stake.euros is None or served is None else stake.euros * served * gains - costs
    place = _best(gains, costs, values)
    found = None if place is None else _study(int(sizes[place]), policy)
    enough = None if place is None else float(costs[place] / gains[place])
    return Worth(
        basis=stake.basis,
        grade=stake.grade,
        mean=stake.mean,
        sd=stake.sd,
        smallest=stake.smallest,
        p_useful=_above(stake, stake.smallest),
        p_harm=1 - _above(stake, 0.0),
        evpi=float(value_of_perfect_information(at_stake, sd)),
        evsi=None if found is None else float(value_of_sample_information(at_stake, sd, found.std_error)),
        people=served,
        gain=None if place is None else float(gains[place]),
        study=found,
        break_even=enough,
        break_even_each=None if enough is None or not served else enough / served,
        value=None if place is None or values is None else float(values[place]),
    )


def ranks(rows: Iterable[tuple[str, Worth]]) -> dict[str, int]:
    """Place of each study, the most worth funding first; equal ones share a place, what has no study has none.

    By the value in euros where known, then by the lowest break-even value for one person, then by that for all.
    """
    orders = {name: _order(found) for name, found in rows if found.study is not None}
    listed = sorted(orders.values())
    return {name: listed.index(order) + 1 for name, order in orders.items()}


def _order(found: Worth) -> tuple[float, float, float]:
    last = float("inf")
    return (
        last if found.value is None else -found.value,
        last if found.break_even_each is None else found.break_even_each,
        last if found.break_even is None else found.break_even,
    )


def _sizes(stake: Stake, policy: Learning) -> Floats:
    """Sizes that find a small enough effect, and that the territory has people for, as far as anybody counted."""
    sizes = np.array(policy.sizes, dtype=np.float64)
    found = _error(sizes, policy) * detectable(sizes - 2)
    return sizes[(found <= policy.detectable) & (sizes <= (np.inf if stake.people is None else stake.people))]


def _gains(stake: Stake, sizes: Floats, policy: Learning) -> Floats:
    """(sizes,) value of each study for one person before its cost, in standard deviations."""
    above, sd = np.full(len(sizes), stake.above), np.full(len(sizes), stake.sd)
    return value_of_test(above, sd, _error(sizes, policy), cost=0.0, delay=policy.delay)


def _best(gains: Floats, costs: Floats, values: Floats | None) -> int | None:
    """By value where one standard deviation has a price, otherwise by the lowest price from which it pays."""
    useful = gains > 0
    if not useful.any():
        return None
    if values is not None:
        return int(np.argmax(np.where(useful, values, -np.inf)))
    return int(np.argmin(np.where(useful, costs, np.inf) / np.where(useful, gains, 1.0)))


def _error(sizes: Floats, policy: Learning) -> Floats:
    """Standard error of the difference of two halves of n people, in standard deviations of the outcome."""
    return np.asarray(2 * np.sqrt((1 - policy.explained) / sizes))


def _study(n: int, policy: Learning) -> Study:
    error = float(_error(np.array([float(n)]), policy)[0])
    return Study(
        n=n,
        std_error=error,
        detectable=error * float(detectable(float(n - 2))),
        cost=policy.fixed_cost + policy.cost_per_person * n,
        months=policy.months,
    )


def _above(stake: Stake, bound: float) -> float:
    if stake.sd == 0:
        return float(stake.mean > bound)
    return float(ndtr((stake.mean - bound) / stake.sd))
