"""The what-if grid: each cell is the best portfolio by brute force, and the grid is what the code gives directly."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evaluation.errors import ParametersError, ProblemsError
from evaluation.selection import what_if
from evaluation.selection.decisions import Local
from evaluation.selection.what_if import Board
from evaluation.settings.learning import Caution, Weights
from evaluation.settings.params import read_params
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import read_portfolio

ROOT = Path(__file__).resolve().parents[2]
BOLD = Caution(id="bold", label_fr="b", label_en="b", grade=0, p_useful=0.0, p_harm=1.0)
STRICT = Caution(id="strict", label_fr="s", label_en="s", grade=3, p_useful=0.9, p_harm=0.05)
EQUAL = Weights(id="equal", label_fr="e", label_en="e")


@pytest.fixture(scope="module")
def policy() -> Selection:
    found = read_params(ROOT).selection
    assert found is not None
    return found


def row(name: str, place: str, *, mean: float, gain: float, study: float, **more: Any) -> Local:
    learning = {
        "mean": mean,
        "smallest": 0.05,
        "grade": more.get("grade", 3),
        "p_useful": more.get("p_useful", 0.8),
        "p_harm": 0.02,
        "gain": gain,
        "people": more.get("people"),
        "study": None if study == 0 else {"n": 800, "cost": study},
    }
    return Local(
        innovation=name,
        territory=place,
        territory_label=place,
        decision=more.get("decision", "EXPERIMENTER"),
        rule="test-estimate",
        transfer="B",
        needed=(),
        value={},
        recalled_fr=(),
        recalled_en=(),
        learning=learning,
    )


ROWS = (
    row("a", "town", mean=0.15, gain=0.010, study=100_000.0),
    row("a", "village", mean=0.12, gain=0.015, study=120_000.0),
    row("b", "town", mean=0.30, gain=0.020, study=150_000.0, p_useful=0.95),
    row("b", "village", mean=0.02, gain=0.030, study=90_000.0),
    row("c", "town", mean=0.10, gain=0.0, study=0.0),
)


def board(policy: Selection, rows: tuple[Local, ...] = ROWS, **more: Any) -> Board:
    made = Board(
        rows=rows,
        unit_costs={"a": 300.0, "b": 900.0, "c": 100.0},
        rural=frozenset({"village"}),
        prioritised=frozenset({"banking"}),
        difficulties={"a": "mobility", "b": "banking", "c": "banking"},
        policy=policy,
    )
    return replace(made, **more)


def brute(made: Board, budget: float, caution: Caution, weights: Weights) -> float:
    """The best value over every subset with at most one action for an innovation in a territory."""
    options = list(what_if._options(made, caution, weights))
    best = 0.0
    for size in range(len(options) + 1):
        for some in combinations(options, size):
            places = [(each.innovation, each.territory) for each in some]
            cost = sum(each.cost for each in some)
            rural = sum(each.cost for each in some if "rural" in each.groups)
            if len(set(places)) == len(places) and cost <= budget and rural >= weights.rural * cost - 1e-9:
                best = max(best, sum(each.value for each in some))
    return best


@pytest.mark.parametrize("budget", [0.0, 50_000.0, 200_000.0, 400_000.0, 1e9])
@pytest.mark.parametrize("caution", [BOLD, STRICT])
@pytest.mark.parametrize(
    "weights",
    [
        EQUAL,
        Weights(id="p", label_fr="p", label_en="p", priority=2.0),
        Weights(id="r", label_fr="r", label_en="r", rural=0.4),
    ],
)
def test_every_cell_is_the_best_portfolio(budget: float, caution: Caution, weights: Weights, policy: Selection) -> None:
    made = board(policy)
    found = what_if.cell(made, budget, caution, weights)
    assert found.value == pytest.approx(brute(made, budget, caution, weights), rel=1e-5)
    assert found.cost <= budget + 1e-6


def test_values_by_hand(policy: Selection) -> None:
    """Fund a in the town: 200 people x (0.15 - 0.05) = 20; study it: 1,000 people x 0.010 = 10; each times 1.0002 as a
    programme that is to be tested."""
    options = {option.id: option for option in what_if._options(board(policy, ROWS[:1]), BOLD, EQUAL)}
    assert options["a@town/fund"].value == pytest.approx(20 * 1.0002)
    assert options["a@town/fund"].cost == 60_000.0
    assert options["a@town/study"].value == pytest.approx(10 * 1.0002)


def test_caution_keeps_from_funding_and_not_from_studying(policy: Selection) -> None:
    found = [option.id for option in what_if._options(board(policy), STRICT, EQUAL)]
    assert [name for name in found if name.endswith("/fund")] == ["b@town/fund"]
    assert len([name for name in found if name.endswith("/study")]) == 4


def test_more_budget_and_less_caution_never_lower_the_value(policy: Selection) -> None:
    made = board(policy)
    for caution in (BOLD, STRICT):
        values = [what_if.cell(made, budget, caution, EQUAL).value for budget in (0, 1e5, 2e5, 4e5, 8e5)]
        assert values == sorted(values)
    assert what_if.cell(made, 4e5, BOLD, EQUAL).value >= what_if.cell(made, 4e5, STRICT, EQUAL).value


def test_people_nobody_counted_are_left_out_where_people_count(policy: Selection) -> None:
    counted = Weights(id="c", label_fr="c", label_en="c", people="counted")
    assert what_if.cell(board(policy), 1e6, BOLD, counted).options == 0
    some = (*ROWS[1:], row("a", "town", mean=0.15, gain=0.01, study=1e5, people=500.0))
    assert {each["innovation"] for each in what_if.cell(board(policy, some), 1e6, BOLD, counted).chosen} == {"a"}


def test_an_empty_board_gives_an_empty_cell(policy: Selection) -> None:
    found = what_if.cell(board(policy, ()), 1e6, BOLD, EQUAL)
    assert (found.chosen, found.value, found.cost, found.counts) == ((), 0.0, 0.0, {"fund": 0, "study": 0})


def test_one_innovation_only(policy: Selection) -> None:
    found = what_if.cell(board(policy, ROWS[:1]), 70_000.0, BOLD, EQUAL)
    assert [(each["innovation"], each["action"]) for each in found.chosen] == [("a", "fund")]


def test_a_negative_budget_is_refused(policy: Selection) -> None:
    with pytest.raises(ParametersError) as caught:
        what_if.cell(board(policy), -1.0, BOLD, EQUAL)
    assert caught.value.code == "E-SEL-022"


def test_without_a_cost_it_can_only_be_studied(policy: Selection) -> None:
    found = what_if.cell(board(policy, unit_costs={}), 1e9, BOLD, EQUAL)
    assert {each["action"] for each in found.chosen} == {"study"}


def test_equals_are_counted_and_those_to_be_tested_go_first(policy: Selection) -> None:
    same = tuple(
        row(name, "town", mean=0.06, gain=0.02, study=100_000.0, decision=decision)
        for name, decision in (("a", "DONNEES_INSUFFISANTES"), ("b", "DONNEES_INSUFFISANTES"), ("c", "EXPERIMENTER"))
    )
    found = what_if.cell(board(policy, same, unit_costs={}, prioritised=frozenset()), 100_000.0, BOLD, EQUAL)
    assert [(each["innovation"], each["as_good"]) for each in found.chosen] == [("c", 2)]


def test_the_grid_is_what_the_code_gives_at_each_point(policy: Selection) -> None:
    made = board(policy)
    told = what_if.as_dict(made)
    axes = policy.what_if
    assert len(told["cells"]) == len(axes.budgets) * len(axes.cautions) * len(axes.weights)
    width = len(axes.cautions) * len(axes.weights)
    for place in (0, 7, 20, len(told["cells"]) - 1):
        budget, rest = divmod(place, width)
        caution, weights = divmod(rest, len(axes.weights))
        direct = what_if.cell(made, axes.budgets[budget], axes.cautions[caution], axes.weights[weights])
        assert told["cells"][place] == direct.as_dict()


def test_programmes_that_are_to_be_revised_or_left_or_are_abroad_are_no_options(policy: Selection) -> None:
    portfolio = read_portfolio(ROOT)
    rows = [
        row("wimoov", "creil-sud-oise", mean=0.1, gain=0.1, study=1e5),
        row("rca", "creil-sud-oise", mean=0.1, gain=0.1, study=1e5, decision="REVOIR"),
        row("bicycles-bihar", "creil-sud-oise", mean=0.1, gain=0.1, study=1e5),
        row("wimoov", "study", mean=0.1, gain=0.1, study=1e5, decision=None),
    ]
    made = what_if.board(rows, portfolio, policy, ["mobility"])
    assert [(each.innovation, each.territory) for each in made.rows] == [("wimoov", "creil-sud-oise")]
    assert made.rural == {"thierache-du-centre"}
    assert set(made.unit_costs) == {"wimoov"}


def test_without_a_policy_there_is_no_board(project: Any) -> None:
    project("languages: [fr]\nseed: 1\nevaluations: {}\n")
    with pytest.raises(ParametersError) as caught:
        what_if.read()
    assert caught.value.code == "E-SEL-074"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("budgets: [0, 200000,", "budgets: [200000, 0,", "E-SET-326"),
        ("budgets: [0, 200000,", "budgets: [-1, 200000,", "E-SET-016"),
        ("{id: middle, label_fr:", "{id: bold, label_fr:", "E-SET-327"),
        ("default: [3, 1, 0]", "default: [9, 1, 0]", "E-SET-328"),
        ("sizes: [200,", "sizes: [2,", "E-SET-016"),
    ],
)
def test_what_cannot_be_asked_is_refused(old: str, new: str, code: str, project: Any) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    project(text.replace(old, new))
    with pytest.raises(ProblemsError) as caught:
        read_params()
    assert code in [problem.code for problem in caught.value.problems]
