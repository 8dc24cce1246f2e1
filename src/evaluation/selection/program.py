"""The choice of a portfolio as an integer programme: what can be funded, and everything that limits it.

One option is an innovation in a territory at a size. The programme is

    max sum of value x chosen   subject to   rows . chosen <= bounds,   chosen in {0, 1}

with one row for each of these:

    size        at most one size of an innovation in a territory
    budget      what each funder has in each year
    capacity    what each operator can deliver
    share       at least this share of what is spent goes to some of the options (a difficulty, the rural territory)
    exclusive   at most one innovation of a set in each territory
    requires    an innovation only where another one is chosen
    required    an innovation that must be chosen in a territory
    false       expected share of false ones among the options that carry the label GENERALISER:
                sum over them of (1 - P - q) x chosen <= 0

Shares are of what is spent, not of what could be: a larger budget then only adds portfolios, and never lowers the
value.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.errors import ParametersError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One innovation in one territory at one size.

    Attributes:
        size: name of the size, such as small; an innovation is chosen at one size at most.
        value: expected net benefit.
        costs: euros by (funder, year).
        capacity: what it takes of each operator.
        p_positive: P(net benefit > 0).
        scales: it would carry the label GENERALISER.
        groups: names that minimum shares speak of: its difficulty, rural.
    """

    innovation: str
    territory: str
    size: str
    value: float
    costs: Mapping[tuple[str, int], float]
    capacity: Mapping[str, float] = field(default_factory=dict)
    p_positive: float = 1.0
    scales: bool = False
    groups: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """innovation@territory/size."""
        return f"{self.innovation}@{self.territory}/{self.size}"

    @property
    def cost(self) -> float:
        """Everything that all funders pay in all years."""
        return sum(self.costs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What limits a portfolio.

    Attributes:
        budgets: euros by (funder, year); a funder and year that is not here pays nothing.
        capacities: by operator; an operator that is not here has no limit.
        shares: group -> least share of the spending.
        exclusive: sets of innovations of which one at most is chosen in a territory.
        requires: innovation -> the one that it needs beside it.
        required: (innovation, territory) that must be chosen.
        false_share: see above; None = no such limit.
    """

    budgets: Mapping[tuple[str, int], float]
    capacities: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    exclusive: tuple[frozenset[str], ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict)
    required: tuple[tuple[str, str], ...] = ()
    false_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Options and limits as a matrix.

    Attributes:
        options: (K,).
        rows: (M, K) sparse; bounds: (M,); names: (M,) such as `budget Departement 2027`.
        values: (K,) expected net benefits; costs: (K,).
    """

    options: tuple[Option, ...]
    rows: sparse.csr_matrix
    bounds: Floats
    names: tuple[str, ...]
    values: Floats
    costs: Floats

    def row(self, name: str) -> int:
        """Position of the row of this name."""
        return self.names.index(name)


_Row = tuple[str, Floats, float]


def program(options: Sequence[Option], limits: Limits) -> Program:
    """The programme.

    Args:
        options: in any order; the answer does not depend on it.
        limits: what limits a portfolio.

    Raises:
        ParametersError: there is no option, one stands twice, a number cannot be, or a limit names what is not there.
    """
    ordered = tuple(sorted(options, key=lambda option: option.id))
    _refuse_options(ordered)
    _refuse_limits(ordered, limits)
    listed = list(_rows(ordered, limits))
    return Program(
        options=ordered,
        rows=sparse.csr_matrix(np.array([row for _, row, _ in listed])),
        bounds=np.array([bound for _, _, bound in listed], dtype=np.float64),
        names=tuple(name for name, _, _ in listed),
        values=np.array([option.value for option in ordered], dtype=np.float64),
        costs=np.array([option.cost for option in ordered], dtype=np.float64),
    )


def _rows(options: Sequence[Option], limits: Limits) -> Iterator[_Row]:
    costs = np.array([option.cost for option in options])
    yield from _sizes(options)
    for key in sorted({key for option in options for key in option.costs} | set(limits.budgets)):
        spent = np.array([option.costs.get(key, 0.0) for option in options])
        yield f"budget {key[0]} {key[1]}", spent, limits.budgets.get(key, 0.0)
    for operator in sorted(limits.capacities):
        yield f"capacity {operator}", _numbers(options, operator), limits.capacities[operator]
    for group in sorted(limits.shares):
        inside = np.array([float(group in option.groups) for option in options])
        yield f"share {group}", costs * (limits.shares[group] - inside), 0.0
    yield from _together(options, limits)
    for innovation, territory in sorted(limits.required):
        here = _at(options, innovation, territory)
        yield f"required {innovation}@{territory}", -here, -1.0
    if limits.false_share is not None:
        scales = np.array([float(option.scales) for option in options])
        p_false = np.array([1 - option.p_positive for option in options])
        yield "false", scales * (p_false - limits.false_share), 0.0


def _sizes(options: Sequence[Option]) -> Iterator[_Row]:
    for innovation, territory in sorted({(option.innovation, option.territory) for option in options}):
        yield f"size {innovation}@{territory}", _at(options, innovation, territory), 1.0


def _together(options: Sequence[Option], limits: Limits) -> Iterator[_Row]:
    territories = sorted({option.territory for option in options})
    for group in sorted(limits.exclusive, key=sorted):
        for territory in territories:
            any_of = np.sum([_at(options, innovation, territory) for innovation in sorted(group)], axis=0)
            yield f"exclusive {'|'.join(sorted(group))}@{territory}", any_of, 1.0
    for innovation, needed in sorted(limits.requires.items()):
        for territory in territories:
            row = _at(options, innovation, territory) - _at(options, needed, territory)
            yield f"requires {innovation}>{needed}@{territory}", row, 0.0


def _at(options: Sequence[Option], innovation: str, territory: str) -> Floats:
    return np.array([float((each.innovation, each.territory) == (innovation, territory)) for each in options])


def _numbers(options: Sequence[Option], operator: str) -> Floats:
    return np.array([option.capacity.get(operator, 0.0) for option in options])


# what cannot be ------------------------------------------------------------------------------------------------------


def _refuse_options(options: Sequence[Option]) -> None:
    names = [option.id for option in options]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not options or twice:
        raise ParametersError(
            code="E-SEL-020",
            what="A portfolio is chosen among options that differ.",
            found=f"{twice[0]} stands twice" if twice else "no option",
            expected="at least one option, each once",
            fix="give each innovation, territory and size one line with its value and its cost",
        )
    for option in options:
        numbers = [option.value, *option.costs.values(), *option.capacity.values(), option.p_positive]
        amounts = [*option.costs.values(), *option.capacity.values()]
        if not np.all(np.isfinite(numbers)) or min(amounts, default=0.0) < 0 or not option.costs:
            raise ParametersError(
                code="E-SEL-021",
                what="An option has no usable cost or value.",
                where=option.id,
                found=f"value {option.value}, costs {dict(option.costs)}, capacity {dict(option.capacity)}",
                expected="finite numbers, and costs of zero or more for at least one funder and year",
                fix="leave the option out until its cost and its value are known",
            )


def _refuse_limits(options: Sequence[Option], limits: Limits) -> None:
    amounts: dict[object, float] = {**dict(limits.budgets.items()), **dict(limits.capacities.items())}
    negative = [str(key) for key, amount in amounts.items() if not amount >= 0]
    negative += [name for name, share in limits.shares.items() if not 0 <= share <= 1]
    if negative:
        raise ParametersError(
            code="E-SEL-022",
            what="A limit of the portfolio cannot be.",
            where=negative[0],
            found=str(amounts.get(negative[0], limits.shares.get(negative[0], "a negative amount"))),
            expected="budgets and capacities of zero or more, shares from 0 to 1",
            fix="correct the limit",
        )
    innovations = {option.innovation for option in options}
    named = [*limits.requires, *limits.requires.values(), *(name for name, _ in limits.required)]
    named += [name for group in limits.exclusive for name in group]
    _refuse_unknown(sorted(set(named) - innovations))
    _refuse_unknown(sorted(set(limits.shares) - _all_groups(options)))


def _all_groups(options: Iterable[Option]) -> set[str]:
    return {group for option in options for group in option.groups}


def _refuse_unknown(unknown: Sequence[str]) -> None:
    if unknown:
        raise ParametersError(
            code="E-SEL-023",
            what="A limit names what no option has.",
            found=repr(unknown[0]),
            expected="an innovation or a group of the options",
            fix="correct the name, or add the option",
        )
