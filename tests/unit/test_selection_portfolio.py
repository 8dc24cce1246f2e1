"""The real portfolio through the whole of selection: what may never be scaled, what is said where a link is missing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation import store
from evaluation.diffusion.coverage import coverage
from evaluation.evidence import grading, published, rubric
from evaluation.report import figures
from evaluation.selection import decisions, overview
from evaluation.selection.decisions import Decided, Local
from evaluation.selection.rules import rules
from evaluation.settings.observations import Cost
from evaluation.settings.params import Params, read_params
from evaluation.settings.policy import Selection, Worth
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
TERRITORIES = ("creil-sud-oise", "thierache-du-centre")
SCALING = ("GENERALISER", "ETENDRE_SOUS_EVALUATION")
WORTH = Worth(low="net-public-cost-of-a-tzcld-job-low", high="net-public-cost-of-a-tzcld-job-high", to="people")


@pytest.fixture(scope="module")
def params() -> Params:
    return read_params(ROOT)


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def graded(portfolio: Portfolio) -> tuple[Any, dict[str, Any]]:
    records = published.from_portfolio(portfolio)
    return records, grading.grade_all(records, rubric.read(ROOT))


def decide(portfolio: Portfolio, graded: Any, params: Params, **more: Any) -> Decided:
    records, grades = graded
    policy = more.pop("policy", params.selection)
    return decisions.decide(
        portfolio, records, grades, coverage(portfolio), policy, synthesis=params.synthesis, seed=params.seed, **more
    )


@pytest.fixture(scope="module")
def decided(portfolio: Portfolio, graded: Any, params: Params) -> Decided:
    return decide(portfolio, graded, params)


def cost(innovation: str, value: float) -> Cost:
    return Cost(
        id=f"{innovation}-test",
        innovation=innovation,
        value=value,
        basis="participant",
        currency="EUR",
        year=2024,
        source_address="https://example.org/cost",
        confidence="seen",
        note_fr="",
        note_en="",
    )


def supplied(
    portfolio: Portfolio, graded: Any, params: Params, innovation: str, record: str, price: float, letter: str
) -> dict[str, Local]:
    """Every link that is missing, supplied."""
    assert params.selection is not None
    costs = tuple(row for row in portfolio.costs if row.innovation != innovation)
    valuing = params.selection.valuing.model_copy(update={"values": {record: WORTH}})
    policy: Selection = params.selection.model_copy(update={"valuing": valuing})
    found = decide(
        replace(portfolio, costs=(*costs, cost(innovation, price))),
        graded,
        params,
        policy=policy,
        transfers={(innovation, territory): letter for territory in TERRITORIES},
    )
    return {row.territory: row for row in found.local if row.innovation == innovation}


# what stands today ---------------------------------------------------------------------------------------------------


def test_nothing_is_scaled_and_every_line_says_why(decided: Decided) -> None:
    assert {decision.decision for decision in decided.decisions} == {"EXPERIMENTER", "REVOIR", "DONNEES_INSUFFISANTES"}
    for decision in decided.decisions:
        assert decision.reason_fr
        assert decision.would_change_fr
        assert decision.to_scale
        assert decision.scope_en == "This decision is about a programme, never about a person."


def test_both_territories_get_a_line_for_every_innovation_and_no_benchmark_appears(
    decided: Decided, portfolio: Portfolio
) -> None:
    innovations = [innovation.id for innovation in portfolio.decision_innovations]
    benchmarks = {innovation.id for innovation in portfolio.innovations if innovation.role == "benchmark"}
    assert benchmarks
    for territory in TERRITORIES:
        rows = [row for row in decided.local if row.territory == territory]
        assert [row.innovation for row in rows] == innovations
        assert all(row.decision and row.rule for row in rows)
    assert not benchmarks & {row.innovation for row in decided.local}
    assert not benchmarks & {decision.innovation for decision in decided.decisions}


def test_a_claim_without_comparison_never_leads_to_a_roll_out(decided: Decided, portfolio: Portfolio) -> None:
    rows = {decision.innovation: decision for decision in decided.decisions}
    for name in ("wimoov", "adie-microcredit", "microcredit-personnel", "points-passerelle", "emplois-francs"):
        assert rows[name].decision in ("EXPERIMENTER", "DONNEES_INSUFFISANTES")
    assert rows["nickel"].decision == "DONNEES_INSUFFISANTES"  # reach is not effect


def test_where_a_link_is_missing_it_is_named_and_there_is_no_net_benefit(decided: Decided) -> None:
    for row in decided.local:
        assert row.value["net"] is None
        assert row.value["missing"]
    here = next(row for row in decided.local if (row.innovation, row.territory) == ("avenir-pro", TERRITORIES[0]))
    assert here.value["missing"] == ("transfer", "value")
    there = next(row for row in decided.local if (row.innovation, row.territory) == ("avenir-pro", "study"))
    assert (there.decision, there.value["missing"]) == (None, ("value",))
    assert there.value["cost"] == pytest.approx(340 * 1.2)  # euros of 2024, and the cost of public funds
    assert there.value["cost_per_outcome"] > 340 * 1.2
    assert there.recalled_en == ("opportunity cost of public funds (COFP), multiplier",)


def test_the_best_of_seven_sites_does_not_stand_for_microcredit(decided: Decided) -> None:
    """The most favourable site printed 0.114 standard deviations of profit; together they say 0.03."""
    row = next(
        each for each in decided.local if (each.innovation, each.territory) == ("microcredit-expansion", "study")
    )
    assert 0 < row.value["effect"] < 0.06
    assert row.value["p_useful"] < 0.5


# with every link supplied --------------------------------------------------------------------------------------------


def test_the_null_profit_of_microcredit_is_not_scaled_even_if_all_else_is_known(
    portfolio: Portfolio, graded: Any, params: Params
) -> None:
    # an outcome worth 12,500 euros a standard deviation and a cost of 1,700 euros, that of Adie
    rows = supplied(portfolio, graded, params, "microcredit-expansion", "microcredit-profit-bosnia", 1_700, "A")
    for territory in TERRITORIES:
        assert rows[territory].value["missing"] == ()
        assert rows[territory].decision not in SCALING
        assert rows[territory].value["net"] < 0
        assert rows[territory].value["p_positive"] < 0.10


def test_a_good_letter_that_costs_little_can_be_extended_and_the_thresholds_are_solved(
    portfolio: Portfolio, graded: Any, params: Params
) -> None:
    # +14 points of enrolment, standard error 1.6, grade 4; 12,500 euros a point of one, 12 euros a letter
    rows = supplied(portfolio, graded, params, "hail-letter", "hail-enrolled-michigan", 12, "B")
    for territory in TERRITORIES:
        row = rows[territory]
        assert row.value["p_positive"] > 0.9
        assert row.decision in SCALING
        assert row.value["mvpf"] > 1
    # a transfer rated D carries no number: a test, and A to C would be enough
    far = supplied(portfolio, graded, params, "hail-letter", "hail-enrolled-michigan", 12, "D")[TERRITORIES[0]]
    assert (far.decision, far.value["missing"]) == ("EXPERIMENTER", ("transfer",))


def test_a_programme_that_is_too_dear_says_at_which_cost_it_would_not_be(
    portfolio: Portfolio, graded: Any, params: Params
) -> None:
    dear = supplied(portfolio, graded, params, "hail-letter", "hail-enrolled-michigan", 3_000, "B")[TERRITORIES[0]]
    assert dear.decision not in SCALING
    enough = {need["what"]: need for need in dear.needed}
    assert 0 < enough["unit_cost"]["value"] < 3_000
    price = enough["unit_cost"]["value"]
    cheaper = supplied(portfolio, graded, params, "hail-letter", "hail-enrolled-michigan", price * 0.999, "B")
    assert cheaper[TERRITORIES[0]].decision == enough["unit_cost"]["verdict"]
    still = supplied(portfolio, graded, params, "hail-letter", "hail-enrolled-michigan", price * 1.01, "B")
    assert still[TERRITORIES[0]].decision == dear.decision


# written, shown ------------------------------------------------------------------------------------------------------


def from_json(graded: Any, params: Params) -> Decided:
    """Decided from grades as grades.json holds them."""
    records, grades = graded
    plain = {name: {"value": grade.value} for name, grade in grades.items()}
    return decide(read_portfolio(), (records, plain), params)


@pytest.fixture
def written(project: Callable[..., Path], graded: Any, params: Params) -> Path:
    root = project()
    decisions.write(from_json(graded, params))
    return root


def test_two_runs_write_the_same_bytes(written: Path, graded: Any, params: Params) -> None:
    files = [written / "data" / "selection" / name for name in ("decisions.json", "territories.json")]
    before = [file.read_bytes() for file in files]
    records, grades = graded
    decisions.write(from_json((records[::-1], grades), params))
    assert [file.read_bytes() for file in files] == before


def test_an_infinite_ratio_is_written_as_a_word(written: Path) -> None:
    rows = store.read_json(written / "data" / "selection" / "territories.json")
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    value = next(row["value"] for row in rows)
    from evaluation.selection.readouts import Readout

    free = Readout(**{**value, "missing": (), "mvpf": float("inf")})
    assert decisions._plain(free)["mvpf"] == "infinite"


def test_experts_get_their_tables(written: Path) -> None:
    assert len(overview.decided()) == 77
    places = overview.places()
    assert set(places.territory) == {*TERRITORIES, "study"}
    assert "avenir-pro" in set(overview.at_study(places).innovation)
    assert "EXPERIMENTER" in set(overview.changes().decision)


@pytest.fixture(scope="module")
def shown(params: Params) -> overview.Demonstration:
    assert params.selection is not None
    return overview.demonstrate(params, rules(params.selection), innovations=5)


def test_the_demonstration_is_marked_as_simulated_everywhere(shown: overview.Demonstration) -> None:
    assert shown.league.label.str.startswith("simulated").all()
    assert shown.plane.label.str.startswith("simulated").all()
    assert shown.chosen.option.str.startswith("simulated").all()
    assert shown.prices.limit.str.contains("simulated|share|false").all()
    assert shown.frontier.value.is_monotonic_increasing


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_figures_of_choices_tell_their_numbers_in_both_languages(shown: overview.Demonstration, lang: Any) -> None:
    drawn = [
        figures.league(shown.league, lang),
        figures.cost_plane(shown.plane, "SD", lang),
        figures.acceptability(shown.curves, "SD", lang),
        figures.tornado(shown.links, lang),
        figures.frontier(shown.frontier, lang),
    ]
    for figure in drawn:
        assert figures.svg(figure).startswith("<svg")
        assert figures.svg(figure) == figures.svg(figure)
        assert any(digit in figures.alt(figure) for digit in "0123456789")
    assert "simulated 01" in figures.alt(drawn[1])
    assert ("effet" if lang == "fr" else "effect") in figures.alt(drawn[3])


def test_the_label_is_within_reach_once_everything_is_known(portfolio: Portfolio, graded: Any, params: Params) -> None:
    """Grade 4, transfer A, a cost seen at two sites, a plan, twelve months: one condition less, and it is not given."""
    assert params.selection is not None
    held = tuple(
        row.model_copy(update={"horizon_months": 12.0}) if row.id == "hail-enrolled-michigan" else row
        for row in portfolio.findings
    )
    price = cost("hail-letter", 12).model_copy(update={"sites": 2})
    costs = (*(row for row in portfolio.costs if row.innovation != "hail-letter"), price)
    known = replace(portfolio, findings=held, costs=costs)
    records = published.from_portfolio(known)
    valuing = params.selection.valuing.model_copy(update={"values": {"hail-enrolled-michigan": WORTH}})
    policy = params.selection.model_copy(update={"valuing": valuing, "capacity_plans": ("hail-letter",)})
    letters = {("hail-letter", territory): "A" for territory in TERRITORIES}
    programmes = {"hail-letter": 4}
    found = decide(known, (records, graded[1]), params, policy=policy, transfers=letters, programmes=programmes)
    rows = {row.territory: row.decision for row in found.local if row.innovation == "hail-letter"}
    assert [rows[territory] for territory in TERRITORIES] == ["GENERALISER", "GENERALISER"]
    unplanned = policy.model_copy(update={"capacity_plans": ()})
    less = decide(known, (records, graded[1]), params, policy=unplanned, transfers=letters)
    assert next(row for row in less.local if row.innovation == "hail-letter").decision == "ETENDRE_SOUS_EVALUATION"
    # one territory alone rated: the programme's own line is the more cautious of the two
    one = decide(known, (records, graded[1]), params, policy=policy, transfers={("hail-letter", TERRITORIES[0]): "A"})
    line = next(decision for decision in one.decisions if decision.innovation == "hail-letter")
    assert line.decision == "EXPERIMENTER"


def test_a_test_that_is_worth_its_cost_is_said_to_be(portfolio: Portfolio, graded: Any, params: Params) -> None:
    assert params.selection is not None
    valuing = params.selection.valuing.model_copy(update={"values": {"avenir-pro-employed": WORTH}})
    policy = params.selection.model_copy(update={"valuing": valuing})
    letters = {("avenir-pro", territory): "B" for territory in TERRITORIES}
    costs = tuple(row for row in portfolio.costs if row.innovation != "avenir-pro")
    portfolio = replace(portfolio, costs=(*costs, cost("avenir-pro", 100)))
    for worth, rule in ((10.0, "test-value"), (-10.0, "not-worth-testing")):
        tests = {("avenir-pro", territory): worth for territory in TERRITORIES}
        found = decide(portfolio, graded, params, policy=policy, transfers=letters, tests=tests)
        row = next(each for each in found.local if each.innovation == "avenir-pro")
        assert 0.10 < row.value["p_positive"] < 0.60
        assert row.rule == rule
