"""The portfolio within a budget: equal to trying everything, and able to say why there is none."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.errors import InternalError, ParametersError
from evaluation.selection.allocation import (
    allocate,
    conflict,
    frontier,
    inclusion,
    rank_acceptability,
    shadow_prices,
    worth_of_more,
)
from evaluation.selection.equal_shares import equal_shares
from evaluation.selection.program import Limits, Option, Program, program

FUND = ("Department", 2027)


def option(name: str, value: float, cost: float, **more) -> Option:
    innovation, _, territory = name.partition("@")
    return Option(
        **{
            "innovation": innovation,
            "territory": territory or "creil",
            "size": "small",
            "value": value,
            "costs": {FUND: cost},
            **more,
        }
    )


A, B, C = option("a", 60, 10), option("b", 100, 20), option("c", 120, 30)


def best_by_trying(programme: Program) -> tuple[float, set[str]] | None:
    """All 2^K portfolios."""
    best = None
    for taken in product((0.0, 1.0), repeat=len(programme.options)):
        x = np.array(taken)
        if np.all(programme.rows @ x <= programme.bounds + 1e-9):
            value = float(programme.values @ x)
            if best is None or value > best[0] + 1e-9:
                best = value, {o.id for o, t in zip(programme.options, taken, strict=True) if t}
    return best


@st.composite
def programmes(draw: st.DrawFn) -> Program:
    number = st.integers(1, 60).map(float)
    options = [
        Option(
            innovation=innovation,
            territory=territory,
            size=size,
            value=float(draw(st.integers(-20, 100))),
            costs={FUND: draw(number), ("State", 2028): draw(number)},
            capacity={"operator": draw(st.integers(0, 4).map(float))},
            p_positive=draw(st.sampled_from([0.7, 0.85, 0.92, 0.99])),
            scales=draw(st.booleans()),
            groups=frozenset({"rural"} if territory == "thierache" else set()) | {"mobility"},
        )
        for innovation in ("bus", "car")
        for territory in ("creil", "thierache")
        for size in ("small", "large")
    ]
    limits = Limits(
        budgets={FUND: draw(st.integers(0, 150).map(float)), ("State", 2028): draw(st.integers(0, 150).map(float))},
        capacities={"operator": draw(st.integers(0, 8).map(float))},
        shares={"rural": draw(st.sampled_from([0.0, 0.3, 0.5]))},
        exclusive=draw(st.sampled_from([(), (frozenset({"bus", "car"}),)])),
        requires=draw(st.sampled_from([{}, {"car": "bus"}])),
        required=draw(st.sampled_from([(), (("bus", "creil"),)])),
        false_share=draw(st.sampled_from([None, 0.1])),
    )
    return program(options, limits)


# by hand -------------------------------------------------------------------------------------------------------------


def test_the_textbook_knapsack():
    # values 60, 100, 120 for 10, 20, 30 within 50: b and c, 220 (the best for each euro is a, which is left out)
    found = allocate(program([A, B, C], Limits(budgets={FUND: 50})))
    assert found.chosen == ("b@creil/small", "c@creil/small")
    assert (found.value, found.cost, found.gap) == (220, 50, 0)


def test_the_shadow_price_is_that_of_the_divided_option():
    # relaxed: a and b whole, two thirds of c: one euro more buys 120 / 30 = 4
    programme = program([A, B, C], Limits(budgets={FUND: 50}))
    assert shadow_prices(programme) == {"budget Department 2027": pytest.approx(4.0, rel=1e-9)}
    assert worth_of_more(programme, "budget Department 2027", 10) == pytest.approx(60)  # whole: a fits as well
    assert worth_of_more(programme, "budget Department 2027", 5) == pytest.approx(0)


def test_one_size_at_most_and_negative_values_stay_out():
    sizes = [
        replace(A, size=size, value=value, costs={FUND: cost})
        for size, value, cost in (("small", 60, 10), ("large", 90, 20))
    ]
    found = allocate(program([*sizes, option("bad", -5, 0)], Limits(budgets={FUND: 100})))
    assert found.chosen == ("a@creil/large",)


def test_one_innovation_only():
    assert allocate(program([A], Limits(budgets={FUND: 10}))).chosen == ("a@creil/small",)
    assert allocate(program([A], Limits(budgets={FUND: 9}))).chosen == ()


def test_the_rural_territory_gets_its_share_of_what_is_spent():
    rural = option("r@thierache", 10, 20, groups=frozenset({"rural"}))
    options = [A, B, rural]
    assert allocate(program(options, Limits(budgets={FUND: 30}))).chosen == ("a@creil/small", "b@creil/small")
    # half of the spending: r (20) beside a (10) has two thirds; a and b alone have none
    found = allocate(program(options, Limits(budgets={FUND: 30}, shares={"rural": 0.5})))
    assert found.chosen == ("a@creil/small", "r@thierache/small")


def test_the_false_share_binds_the_label_and_not_the_tests():
    # P 0.95 and 0.80 under the label: 1 - P - 0.1 = -0.05 + 0.10 > 0 together; a test with P 0.5 is not counted
    sure = replace(A, scales=True, p_positive=0.95)
    likely = replace(B, scales=True, p_positive=0.80)
    tested = replace(C, p_positive=0.5)
    found = allocate(program([sure, likely, tested], Limits(budgets={FUND: 60}, false_share=0.1)))
    assert found.chosen == ("a@creil/small", "c@creil/small")
    assert found.expected_false == pytest.approx(0.05 + 0.5)


def test_exclusive_and_complementary_innovations():
    both = [A, B]
    limits = Limits(budgets={FUND: 100}, exclusive=(frozenset({"a", "b"}),))
    assert allocate(program(both, limits)).chosen == ("b@creil/small",)
    # a only beside b, and b alone is worth less than nothing: together 60 - 50 = 10
    poor = option("b", -50, 20)
    limits = Limits(budgets={FUND: 100}, requires={"a": "b"})
    assert allocate(program([A, poor], limits)).chosen == ("a@creil/small", "b@creil/small")
    assert allocate(program([A, replace(poor, value=-70)], limits)).chosen == ()


def test_no_portfolio_says_which_limits_conflict():
    limits = Limits(budgets={FUND: 25}, capacities={"x": 100}, required=(("b", "creil"), ("a", "creil")))
    programme = program([A, B, C], limits)
    assert conflict(programme) == ("budget Department 2027", "required a@creil", "required b@creil")
    with pytest.raises(ParametersError) as caught:
        allocate(programme)
    assert caught.value.code == "E-SEL-025"
    assert "required a@creil; required b@creil" in caught.value.found


@pytest.mark.parametrize(
    ("options", "limits", "code"),
    [
        ([], Limits(budgets={FUND: 1}), "E-SEL-020"),
        ([A, A], Limits(budgets={FUND: 1}), "E-SEL-020"),
        ([replace(A, costs={})], Limits(budgets={FUND: 1}), "E-SEL-021"),
        ([replace(A, costs={FUND: float("nan")})], Limits(budgets={FUND: 1}), "E-SEL-021"),
        ([replace(A, costs={FUND: -1.0})], Limits(budgets={FUND: 1}), "E-SEL-021"),
        ([A], Limits(budgets={FUND: -1}), "E-SEL-022"),
        ([A], Limits(budgets={FUND: float("nan")}), "E-SEL-022"),
        ([A], Limits(budgets={FUND: 1}, requires={"a": "z"}), "E-SEL-023"),
        ([A], Limits(budgets={FUND: 1}, shares={"rural": 0.3}), "E-SEL-023"),
    ],
)
def test_what_cannot_be_is_refused(options, limits, code):
    with pytest.raises(ParametersError) as caught:
        program(options, limits)
    assert caught.value.code == code


# equal to trying everything ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(programme=programmes())
def test_it_equals_brute_force(programme):
    tried = best_by_trying(programme)
    if tried is None:
        with pytest.raises(ParametersError):
            allocate(programme)
        named = conflict(programme)
        assert len(named) >= 1
        return
    found = allocate(programme)
    assert found.value == pytest.approx(tried[0], abs=1e-6)
    assert found.bound >= found.value - 1e-6
    x = np.array([option.id in found.chosen for option in programme.options], dtype=float)
    assert np.all(programme.rows @ x <= programme.bounds + 1e-6)


@settings(max_examples=40, deadline=None)
@given(programme=programmes(), more=st.integers(0, 60).map(float))
def test_more_budget_never_lowers_the_value(programme, more):
    try:
        before = allocate(programme).value
    except ParametersError:
        return
    bounds = programme.bounds + more * np.array([name.startswith("budget") for name in programme.names])
    assert allocate(replace(programme, bounds=bounds)).value >= before - 1e-6


@settings(max_examples=40, deadline=None)
@given(programme=programmes(), data=st.data())
def test_an_option_that_is_not_chosen_can_leave_and_order_means_nothing(programme, data):
    """Irrelevant alternatives: without one that was not chosen, the value is the same."""
    try:
        found = allocate(programme)
    except ParametersError:
        return
    out = [k for k, option in enumerate(programme.options) if option.id not in found.chosen]
    if out:
        k = data.draw(st.sampled_from(out))
        kept = [j for j in range(len(programme.options)) if j != k]
        less = replace(
            programme,
            options=tuple(programme.options[j] for j in kept),
            rows=programme.rows[:, kept],
            values=programme.values[kept],
            costs=programme.costs[kept],
        )
        assert allocate(less).value == pytest.approx(found.value, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(programme=programmes())
def test_a_dominated_option_never_takes_the_place_of_its_dominator(programme):
    """Two options alike in all that limits them, one worth more: the other is chosen only beside it, never instead."""
    first = programme.options[0]
    twin = replace(first, size="twin", value=first.value - 1)
    limits = Limits(budgets={FUND: 100.0, ("State", 2028): 100.0})
    found = allocate(program([first, twin], limits))
    assert twin.id not in found.chosen


def test_the_order_of_options_changes_nothing():
    limits = Limits(budgets={FUND: 50})
    assert allocate(program([C, A, B], limits)) == allocate(program([A, B, C], limits))


# frontier, inclusion, ranks ------------------------------------------------------------------------------------------


def test_the_frontier_rises_in_both_directions():
    options = [replace(A, p_positive=0.99), replace(B, p_positive=0.6), replace(C, p_positive=0.7)]
    points = frontier(program(options, Limits(budgets={FUND: 60})), points=8)
    falses = [point.allocation.expected_false for point in points]
    values = [point.allocation.value for point in points]
    assert values == sorted(values)
    assert falses == sorted(falses)
    assert values[-1] == 280
    assert falses[-1] == pytest.approx(0.01 + 0.4 + 0.3)
    assert all(point.allocation.expected_false <= point.allowed + 1e-8 for point in points)


def test_inclusion_counts_the_best_portfolio_draw_by_draw():
    programme = program([A, B, C], Limits(budgets={FUND: 30}))
    # a and b (160) beat c (120), unless c is worth more than both
    draws = np.array([[60, 100, 120], [60, 100, 161], [-1, 100, 161], [-1, -1, -1]], dtype=float)
    found = inclusion(programme, draws)
    assert (found.method, found.divided) == ("exact", 0.0)
    assert found.probability.tolist() == [0.25, 0.25, 0.5]


@settings(max_examples=15, deadline=None)
@given(programme=programmes(), seed=st.integers(0, 1000))
def test_the_relaxed_programme_bounds_the_exact_one_and_divides_few_options(programme, seed):
    draws = programme.values + 20 * np.random.default_rng(seed).standard_normal((5, len(programme.options)))
    try:
        exact = inclusion(programme, draws, method="exact")
    except ParametersError:
        return
    relaxed = inclusion(programme, draws, method="relaxed")
    assert exact.divided == 0
    for values in draws:
        one = replace(programme, values=values)
        whole = inclusion(one, values[None], method="exact").probability
        part = inclusion(one, values[None], method="relaxed").probability
        assert values @ part >= values @ whole - 1e-6
        # a vertex divides no more options than it has rows that bind
        binding = programme.rows @ part >= programme.bounds - 1e-6
        assert np.sum((part > 1e-6) & (part < 1 - 1e-6)) <= binding.sum()
    assert relaxed.method == "relaxed"


def test_draws_that_do_not_fit_are_refused():
    with pytest.raises(InternalError) as caught:
        inclusion(program([A, B], Limits(budgets={FUND: 30})), np.zeros((3, 5)))
    assert caught.value.code == "E-SEL-024"


def test_all_posteriors_identical_share_the_ranks():
    criteria = np.random.default_rng(1).random((4000, 3, 2))
    weights = np.random.default_rng(2).dirichlet([1, 1], 4000)
    found = rank_acceptability(criteria, weights)
    np.testing.assert_allclose(found, 1 / 3, atol=0.03)  # four errors of a share over 4,000 draws
    np.testing.assert_allclose(found.sum(axis=0), 1)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_dominated_option_never_ranks_before_its_dominator():
    criteria = np.random.default_rng(1).random((500, 2, 3))
    criteria[:, 1] = criteria[:, 0] - 0.01
    found = rank_acceptability(criteria, np.random.default_rng(2).dirichlet([1, 1, 1], 500))
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]


# equal shares --------------------------------------------------------------------------------------------------------


def test_equal_shares_protect_the_minority_where_the_most_votes_take_all():
    # 55 voters want bus (60) and garage (40), 45 want internship (50) and microcredit (45); the budget is 100.
    # Most votes first: bus and garage, nothing for 45 %. Equal shares, 1 each: garage costs its 55 voters 40/55 = 0.73;
    # bus would then need 60 from 55 x 0.27: no. microcredit costs its 45 voters exactly 45 = all they have.
    ballots = np.zeros((100, 4))
    ballots[:55, :2] = 1
    ballots[55:, 2:] = 1
    costs = np.array([60.0, 40.0, 50.0, 45.0])
    found = equal_shares(ballots, costs, 100)
    assert sorted(found.chosen) == [1, 3]
    assert found.spent == 85
    np.testing.assert_allclose(found.left[:55], 1 - 40 / 55)
    np.testing.assert_allclose(found.left[55:], 0, atol=1e-9)


PABUTOOLS = {0: [1, 2, 4], 1: [2, 3], 2: [0, 1, 2, 4, 8], 3: [0, 1, 3, 6, 7]}
"""pabutools 1.2.3, method_of_equal_shares, Additive_Cardinal_Sat, Python 3.11, 24 November 2026, these ballots."""


def test_equal_shares_are_those_of_pabutools():
    rng = np.random.default_rng(7)
    for case, expected in PABUTOOLS.items():
        voters, options = (9, 5) if case < 2 else (40, 9)
        ballots = rng.integers(0, 6, (voters, options)).astype(float)
        costs = rng.integers(20, 100, options).astype(float)
        found = equal_shares(ballots, costs, int(costs.sum() * 0.45), complete="none")
        assert sorted(found.chosen) == expected, case
        assert found.spent + found.left.sum() == pytest.approx(int(costs.sum() * 0.45))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), voters=st.integers(1, 12), options=st.integers(1, 6), share=st.floats(0, 1))
def test_nobody_pays_more_than_their_share_and_the_budget_is_kept(seed, voters, options, share):
    rng = np.random.default_rng(seed)
    ballots = rng.integers(0, 4, (voters, options)).astype(float)
    costs = rng.integers(1, 50, options).astype(float)
    budget = float(costs.sum() * share)
    found = equal_shares(ballots, costs, budget)
    assert found.spent <= budget + 1e-6
    assert np.all(found.left >= 0)
    order = rng.permutation(voters)
    assert sorted(equal_shares(ballots[order], costs, budget).chosen) == sorted(found.chosen)  # anonymous


@pytest.mark.parametrize(
    ("ballots", "costs", "budget"),
    [
        (np.zeros((0, 2)), np.ones(2), 1),
        (np.ones((3, 2)), np.ones(3), 1),
        (-np.ones((3, 2)), np.ones(2), 1),
        (np.ones((3, 2)), np.zeros(2), 1),
        (np.ones((3, 2)), np.ones(2), -1),
        (np.full((3, 2), np.nan), np.ones(2), 1),
    ],
)
def test_ballots_that_cannot_be_are_refused(ballots, costs, budget):
    with pytest.raises(ParametersError) as caught:
        equal_shares(ballots, costs, budget)
    assert caught.value.code == "E-SEL-026"
