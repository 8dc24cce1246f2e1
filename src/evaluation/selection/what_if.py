"""What if: which programmes to fund at once and which to study first, for each budget, caution and set of weights.

For discussion: no cell of the grid changes a decision. Every innovation of France that is not to be revised or left
gives two options in each territory, of which one at most is chosen:

    fund    200 people now:         value = w x people x (mean - smallest),  cost = people x unit cost
    study   the best next study:    value = w x served x value of the test,  cost = cost of the study    (agenda.py)

in standard deviations of one person's outcome above the smallest effect worth having, w being the weight of its
difficulty. Outcomes of different difficulties are added up by these weights and by nothing else: they are a judgement
of value, which is why they are an axis of the grid. Caution says what it takes to fund at once (probability of a
useful effect, of harm, grade). The best portfolio is that of program.py and allocation.py. Innovations about which
nothing is known are worth the same: those that are to be tested anyway go first, then prioritised difficulties, and how
many others are as good is counted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isclose
from typing import Any

from evaluation.selection.allocation import allocate
from evaluation.selection.costs import unit_cost
from evaluation.selection.decisions import Local
from evaluation.selection.program import Limits, Option, program
from evaluation.settings.learning import Caution, Weights
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import Portfolio

PAYER = ("budget", 0)
FUND, STUDY, RURAL = "fund", "study", "rural"
TEST = "EXPERIMENTER"
LEFT = ("REVOIR", "NE_PAS_RETENIR")
_NUDGE = 1e-4  # decides between equals, and is below everything that is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What all cells are made from.

    Attributes:
        rows: decisions in the territories, with what there is to learn.
        unit_costs: euros for one person, by innovation; those that nobody knows are not there.
        rural: ids of rural territories; prioritised: ids of difficulties.
        difficulties: by innovation.
        policy: of selection.
    """

    rows: tuple[Local, ...]
    unit_costs: Mapping[str, float]
    rural: frozenset[str]
    prioritised: frozenset[str]
    difficulties: Mapping[str, str]
    policy: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The best portfolio for one budget, caution and set of weights.

    Attributes:
        chosen: innovation, territory, action, cost and people of each option, the dearest first; as_good: how many
            options that were not chosen cost and are worth the same.
        cost: euros; value: in weighted standard deviations of one person's outcome.
        price: value of 100,000 euros more, of the relaxed programme; 0 where the budget does not bind.
        options: how many options there were.
    """

    budget: float
    caution: str
    weights: str
    chosen: tuple[dict[str, Any], ...]
    cost: float
    value: float
    price: float
    options: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for what_if.json."""
        return asdict(self)


def board(rows: Sequence[Local], portfolio: Portfolio, policy: Selection, prioritised: Collection[str]) -> Board:
    """Gather what all cells are made from.

    Args:
        rows: decisions in the territories.
        portfolio: costs, territories, which programmes exist in France.
        policy: of selection.
        prioritised: ids of difficulties.
    """
    here = {row.id for row in portfolio.decision_innovations if row.in_france}
    kept = [row for row in rows if row.innovation in here and row.decision not in (None, *LEFT) and row.learning]
    costs = {name: _unit_cost(name, portfolio, policy) for name in sorted({row.innovation for row in kept})}
    return Board(
        rows=tuple(kept),
        unit_costs={name: cost for name, cost in costs.items() if cost is not None},
        rural=frozenset(row.id for row in portfolio.test_territories if row.kind == RURAL),
        prioritised=frozenset(prioritised),
        difficulties={row.id: str(row.difficulty) for row in portfolio.decision_innovations},
        policy=policy,
    )


def grid(made: Board) -> list[Cell]:
    """Every cell, budgets first, then cautions, then weights."""
    wanted = made.policy.what_if
    return [
        cell(made, budget, caution, weights)
        for budget in wanted.budgets
        for caution in wanted.cautions
        for weights in wanted.weights
    ]


def cell(made: Board, budget: float, caution: Caution, weights: Weights) -> Cell:
    """The best portfolio of one cell.

    Raises:
        ParametersError: a negative budget, or another limit that cannot be.
    """
    found = {option.id: option for option in _options(made, caution, weights)}
    shares = {RURAL: weights.rural} if weights.rural and any(RURAL in each.groups for each in found.values()) else {}
    if not found:
        return _cell(budget, caution, weights, (), 0.0, 0.0, 0)
    best = allocate(program(list(found.values()), Limits(budgets={PAYER: budget}, shares=shares)))
    chosen = sorted((found[name] for name in best.chosen), key=lambda option: (-option.cost, option.id))
    price = best.prices.get(f"budget {PAYER[0]} {PAYER[1]}", 0.0) * 100_000
    others = [option for option in found.values() if option.id not in best.chosen]
    told = tuple(_told(option, others, made) for option in chosen)
    return _cell(budget, caution, weights, told, best.value, price, len(found))


def as_dict(made: Board) -> dict[str, Any]:
    """The grid as plain data: the axes, the cell that is shown first, every cell."""
    wanted = made.policy.what_if
    return {
        "axes": wanted.model_dump(mode="json"),
        "default": list(wanted.default),
        "cells": [each.as_dict() for each in grid(made)],
        "without_cost": sorted({row.innovation for row in made.rows} - set(made.unit_costs)),
    }


def _cell(
    budget: float,
    caution: Caution,
    weights: Weights,
    chosen: tuple[dict[str, Any], ...],
    value: float,
    price: float,
    options: int,
) -> Cell:
    return Cell(
        budget=budget,
        caution=caution.id,
        weights=weights.id,
        chosen=chosen,
        cost=sum(each["cost"] for each in chosen),
        value=value,
        price=price,
        options=options,
        counts={action: sum(each["action"] == action for each in chosen) for action in (FUND, STUDY)},
    )


def _options(made: Board, caution: Caution, weights: Weights) -> Iterator[Option]:
    for row in made.rows:
        learning = row.learning or {}
        served = made.policy.what_if.served if weights.people == "same" else learning["people"]
        if served is None:
            continue
        difficulty = made.difficulties[row.innovation]
        wanted = difficulty in made.prioritised
        weight = (weights.priority if wanted else 1.0) * (1 + _NUDGE * (2 * (row.decision == TEST) + wanted))
        yield from _study(row, learning, weight * served, made)
        if _allowed(learning, caution) and row.innovation in made.unit_costs:
            yield from _fund(row, learning, weight, made)


def _study(row: Local, learning: Mapping[str, Any], weighted: float, made: Board) -> Iterator[Option]:
    if learning["study"] is not None and weighted * learning["gain"] > 0:
        yield _option(row, STUDY, weighted * learning["gain"], learning["study"]["cost"], learning, made)


def _fund(row: Local, learning: Mapping[str, Any], weight: float, made: Board) -> Iterator[Option]:
    people, above = made.policy.what_if.funded, learning["mean"] - learning["smallest"]
    if above > 0:
        cost = people * made.unit_costs[row.innovation]
        yield _option(row, FUND, weight * people * above, cost, learning, made)


def _option(row: Local, action: str, value: float, cost: float, learning: Mapping[str, Any], made: Board) -> Option:
    return Option(
        innovation=row.innovation,
        territory=row.territory,
        size=action,
        value=value,
        costs={PAYER: cost},
        p_positive=learning["p_useful"],
        groups=frozenset({RURAL} if row.territory in made.rural else set()),
    )


def _allowed(learning: Mapping[str, Any], caution: Caution) -> bool:
    return bool(
        learning["grade"] >= caution.grade
        and learning["p_useful"] >= caution.p_useful
        and learning["p_harm"] <= caution.p_harm
    )


def _told(option: Option, others: Sequence[Option], made: Board) -> dict[str, Any]:
    row = next(r for r in made.rows if (r.innovation, r.territory) == (option.innovation, option.territory))
    study = (row.learning or {})["study"]
    return {
        "innovation": option.innovation,
        "territory": option.territory,
        "action": option.size,
        "cost": option.cost,
        "people": study["n"] if option.size == STUDY else made.policy.what_if.funded,
        "value": option.value,
        "p_useful": option.p_positive,
        "as_good": sum(_same(option, other) for other in others),
    }


def _same(one: Option, other: Option) -> bool:
    return one.size == other.size and isclose(one.value, other.value, rel_tol=5 * _NUDGE) and one.cost == other.cost


def _unit_cost(innovation: str, portfolio: Portfolio, policy: Selection) -> float | None:
    """Euros for one person at their most likely, in the prices of the policy's year; None where a link is missing."""
    rows = [row for row in portfolio.costs if row.innovation == innovation]
    prices = [row for row in portfolio.prices if row.country == "France"]
    valuing = policy.valuing
    found = unit_cost(rows, prices, price_year=valuing.price_year, lifetime=valuing.start_up_years).span
    return None if found is None else found.mode


def read() -> Board:
    """The board of the project, from what the stage selection wrote.

    Raises:
        StaleError: the stage has not run.
        ParametersError: params.yaml has no selection policy.
    """
    from evaluation import store
    from evaluation.errors import ParametersError
    from evaluation.settings.params import read_params
    from evaluation.settings.portfolio import read_portfolio

    policy, portfolio = read_params().selection, read_portfolio()
    if policy is None:
        raise ParametersError(
            code="E-SEL-074",
            what="There is no selection policy to ask what if of.",
            where="params.yaml",
            found="no section 'selection:'",
            expected="the section",
            fix="restore it",
        )
    rows = store.read_json(store.path("data", "selection", "territories.json"))
    chosen = store.read_json(store.path("data", "needs", "priorities.json"))["priorities"]["difficulties"]
    return board([Local(**row) for row in rows], portfolio, policy, chosen)
