"""The best portfolio within a budget, what a euro more is worth, how sure each choice is, and why there may be none.

Integer programmes are solved by branch and bound (HiGHS), relaxed ones by the simplex method. The gap to the proven
bound travels with every answer; it is zero but for large and tight programmes, which stop after a number of nodes, not
after a time, so that two runs give the same answer.

Source: Weingartner 1963 (capital budgeting); Huangfu and Hall 2018 (HiGHS); Chinneck 2008 (deletion filter).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from evaluation.errors import InternalError, ParametersError
from evaluation.selection.program import Floats, Program

Method = Literal["exact", "relaxed"]

GAP, NODES = 1e-6, 200
INFEASIBLE = 2
_WHOLE = 1e-6
_LARGE = 100_000  # options x draws above which inclusion probabilities come from the relaxed programme


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A portfolio.

    Attributes:
        chosen: ids of the options.
        value: their expected net benefit; cost: what they take.
        expected_false: among the chosen, how many have no net benefit: sum of 1 - P.
        bound: no portfolio is worth more; gap: (bound - value) / |bound|.
        prices: shadow price of each limit that binds in the relaxed programme: value of one unit more (one euro of a
            budget, one place of a capacity).
    """

    chosen: tuple[str, ...]
    value: float
    cost: float
    expected_false: float
    bound: float
    gap: float
    prices: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """How often each option belongs to the best portfolio, over draws of the net benefits.

    Attributes:
        probability: (K,) in the order of the programme's options.
        method: exact, or relaxed: the programme without the demand that options are whole.
        divided: mean number of options that the relaxed programme takes in part, out of those it takes; 0 if exact.
    """

    probability: Floats
    method: Method
    divided: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the frontier: the best value with at most `allowed` expected false choices."""

    allowed: float
    allocation: Allocation


def allocate(programme: Program, *, nodes: int = NODES) -> Allocation:
    """The best portfolio.

    Args:
        programme: options and limits.
        nodes: of the branch and bound, after which the best portfolio so far is given with its gap.

    Raises:
        ParametersError: no portfolio meets all limits; the message names a smallest set of them that conflict.
    """
    chosen, bound = _solve(programme, programme.values, nodes)
    if chosen is None:
        raise _infeasible(programme)
    value = float(programme.values[chosen].sum())
    return Allocation(
        chosen=tuple(option.id for option, taken in zip(programme.options, chosen, strict=True) if taken),
        value=value,
        cost=float(programme.costs[chosen].sum()),
        expected_false=float(_p_false(programme)[chosen].sum()),
        bound=bound,
        gap=max(bound - value, 0.0) / max(abs(bound), 1e-12),
        prices=shadow_prices(programme),
    )


def shadow_prices(programme: Program) -> dict[str, float]:
    """Value of one unit more of each limit that binds, from the dual of the relaxed programme."""
    found = _relaxed(programme, programme.values)
    prices = -np.asarray(found.ineqlin.marginals, dtype=np.float64)
    kept = {"budget", "capacity", "share", "false"}
    return {
        name: float(price)
        for name, price in zip(programme.names, prices, strict=True)
        if price > _WHOLE and name.split(" ")[0] in kept
    }


def worth_of_more(programme: Program, name: str, more: float) -> float:
    """What the best portfolio gains when one limit is loosened by `more`: the whole step, options undivided."""
    bounds = programme.bounds.copy()
    bounds[programme.row(name)] += more
    return allocate(replace(programme, bounds=bounds)).value - allocate(programme).value


def frontier(programme: Program, points: int) -> tuple[Point, ...]:
    """Value against expected false choices: the best portfolio for each number of false ones allowed.

    Points that allow more and gain nothing are left out, so that both coordinates rise from point to point.
    """
    free = allocate(programme)
    found: list[Point] = []
    for allowed in np.linspace(0, free.expected_false, points).tolist():
        limited = _with_row(programme, "allowed", _p_false(programme), allowed + 1e-9)
        if not found and not _feasible(limited, range(len(limited.names))):
            continue  # what is required is itself uncertain: fewer false ones cannot be had
        best = allocate(limited)
        if not found or best.value > found[-1].allocation.value + 1e-9:
            found.append(Point(allowed=allowed, allocation=best))
    return tuple(found)


def inclusion(
    programme: Program, draws: Floats, *, method: Method | None = None, gap: float = GAP, jobs: int = 1
) -> Inclusion:
    """How often each option belongs to the best portfolio.

    Args:
        programme: options and limits; its values are not used.
        draws: (D, K) net benefits of the options, draw by draw.
        method: exact by default for up to 100,000 options x draws; relaxed above, where whole options would take hours.
        gap: of the exact method, to the proven bound; 0.02 takes a fraction of the time.
        jobs: processes.

    Raises:
        InternalError: draws do not fit the options.
    """
    if draws.ndim != 2 or draws.shape[1] != len(programme.options):
        raise InternalError(
            code="E-SEL-024",
            what="draws of net benefits do not fit the options",
            found=f"{draws.shape}",
            expected=f"(draws, {len(programme.options)})",
        )
    chosen_method: Method = method or ("exact" if draws.size <= _LARGE else "relaxed")
    taken = np.vstack(_each(programme, draws, chosen_method, gap, jobs))
    parts = (taken > _WHOLE) & (taken < 1 - _WHOLE)
    return Inclusion(
        probability=np.asarray(taken.mean(axis=0), dtype=np.float64),
        method=chosen_method,
        divided=float(parts.sum() / max((taken > _WHOLE).sum(), 1)),
    )


def rank_acceptability(criteria: Floats, weights: Floats) -> Floats:
    """P(option has rank r) over draws of criteria and of weights, (K, K); ranks from the best.

    Args:
        criteria: (D, K, C) the more the better, each on its own scale from 0 to 1.
        weights: (D, C) that sum to one: from a Dirichlet, or the users' ballots.

    Source: Lahdelma and Salminen 2001 (SMAA-2).
    """
    scores = np.einsum("dkc,dc->dk", criteria, weights)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    options = scores.shape[1]
    return np.array([[np.mean(ranks[:, k] == r) for r in range(options)] for k in range(options)])


# solving -------------------------------------------------------------------------------------------------------------


def _solve(programme: Program, values: Floats, nodes: int, gap: float = GAP) -> tuple[NDArray[np.bool_] | None, float]:
    """Which options, and the proven bound; None where no portfolio meets all limits."""
    found = milp(
        -values,
        constraints=LinearConstraint(programme.rows, -np.inf, programme.bounds),
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": gap, "node_limit": nodes},
    )
    if found.status == INFEASIBLE or found.x is None:
        return None, np.nan
    bound = found.fun if found.mip_dual_bound is None else found.mip_dual_bound
    return np.asarray(found.x > 0.5), -float(bound)


def _relaxed(programme: Program, values: Floats):  # type: ignore[no-untyped-def]
    found = linprog(-values, A_ub=programme.rows, b_ub=programme.bounds, bounds=(0, 1), method="highs")
    if found.x is None:
        raise _infeasible(programme)
    return found


def _each(programme: Program, draws: Floats, method: Method, gap: float, jobs: int) -> list[Floats]:
    if jobs == 1:
        return [_of_draws(programme, draws, method, gap)]
    from joblib import Parallel, delayed

    blocks = np.array_split(draws, jobs)
    return list(Parallel(n_jobs=jobs)(delayed(_of_draws)(programme, block, method, gap) for block in blocks))


def _of_draws(programme: Program, draws: Floats, method: Method, gap: float) -> Floats:
    """(D, K) what is taken of each option in each draw."""
    if method == "relaxed":
        return np.array([_divided(programme, values) for values in draws])
    solved = [_solve(programme, values, NODES, gap)[0] for values in draws]
    if any(chosen is None for chosen in solved):
        raise _infeasible(programme)
    return np.array(solved, dtype=np.float64)


def _divided(programme: Program, values: Floats) -> Floats:
    """(K,) what the relaxed programme takes; without presolve, which costs more than it saves at this size."""
    found = milp(
        -values,
        constraints=LinearConstraint(programme.rows, -np.inf, programme.bounds),
        integrality=np.zeros(len(values)),
        bounds=Bounds(0, 1),
        options={"presolve": False},
    )
    if found.x is None:
        raise _infeasible(programme)
    return np.asarray(np.clip(found.x, 0, 1), dtype=np.float64)


def _with_row(programme: Program, name: str, row: Floats, bound: float) -> Program:
    return replace(
        programme,
        rows=sparse.vstack([programme.rows, sparse.csr_matrix(row)]).tocsr(),
        bounds=np.append(programme.bounds, bound),
        names=(*programme.names, name),
    )


def _p_false(programme: Program) -> Floats:
    return np.array([1 - option.p_positive for option in programme.options])


# no portfolio --------------------------------------------------------------------------------------------------------


def _infeasible(programme: Program) -> ParametersError:
    return ParametersError(
        code="E-SEL-025",
        what="No portfolio meets all limits.",
        found=f"these limits conflict: {'; '.join(conflict(programme))}",
        expected="limits that at least one portfolio meets",
        fix="loosen one of the limits named: without any one of them there is a portfolio",
    )


def conflict(programme: Program) -> tuple[str, ...]:
    """A smallest set of limits that no portfolio meets: one by one is dropped, and stays out if the rest conflict."""
    kept = list(range(len(programme.names)))
    for row in list(kept):
        without = [each for each in kept if each != row]
        if not _feasible(programme, without):
            kept = without
    return tuple(programme.names[row] for row in kept)


def _feasible(programme: Program, rows: Sequence[int]) -> bool:
    if not rows:
        return True
    some = replace(programme, rows=programme.rows[list(rows)], bounds=programme.bounds[list(rows)])
    return _solve(some, np.zeros(len(programme.options)), NODES)[0] is not None
