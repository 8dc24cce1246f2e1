"""Costs from ingredients, prices of one year, valuations, and the policy that names them."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from evaluation.errors import ParametersError
from evaluation.selection.costs import deflated, unit_cost
from evaluation.selection.valuation import money, value_of
from evaluation.settings.observations import Cost, Implementation, Inflation
from evaluation.settings.params import read_params
from evaluation.settings.policy import Selection, Span
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
SOURCE = {"source_address": "https://example.org/cost", "confidence": "seen"}
PRICES = [
    Inflation(id=f"france-{year}", country="France", year=year, value=value, **SOURCE)
    for year, value in ((2022, 10.0), (2023, 20.0), (2024, 50.0))
]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def policy() -> Selection:
    found = read_params(ROOT).selection
    assert found is not None
    return found


def cost(**more) -> Cost:
    values = {
        "id": "c",
        "innovation": "tutoring",
        "value": 100.0,
        "basis": "participant",
        "currency": "EUR",
        "year": 2021,
        "note_fr": "",
        "note_en": "",
        **SOURCE,
    }
    return Cost(**{**values, **more})


def test_amounts_move_with_prices_forward_and_back():
    inflation = {row.year: row.value for row in PRICES}
    assert deflated(100, 2021, 2024, inflation) == pytest.approx(100 * 1.1 * 1.2 * 1.5, rel=1e-12)
    assert deflated(198, 2024, 2021, inflation) == pytest.approx(100, rel=1e-12)
    assert deflated(7, 2023, 2023, {}) == 7


def test_a_year_without_prices_is_refused_by_name():
    with pytest.raises(ParametersError) as caught:
        deflated(100, 2020, 2024, {row.year: row.value for row in PRICES})
    assert caught.value.code == "E-SEL-010"
    assert caught.value.found == "no figure for 2021"


def test_ingredients_add_up_in_the_prices_of_one_year():
    # recurrent 100 of 2021 = 198 of 2024; start-up 300 of 2024 over 3 years = 100 a year: 298
    rows = [cost(), cost(id="s", phase="start_up", item="training", value=300.0, year=2024)]
    found = unit_cost(rows, PRICES, price_year=2024, lifetime=3)
    assert found.span is not None
    assert (found.span.low, found.span.mode, found.span.high) == pytest.approx((298, 298, 298), rel=1e-12)
    assert (found.items, found.partial, found.missing) == (("c", "s"), False, "")


def test_a_range_keeps_its_ends():
    found = unit_cost([cost(value=None, low=50.0, high=150.0, year=2024)], PRICES, price_year=2024, lifetime=3)
    assert found.span == Span(low=50, mode=100, high=150)
    found = unit_cost([cost(low=80.0, high=150.0, year=2024)], PRICES, price_year=2024, lifetime=3)
    assert found.span == Span(low=80, mode=100, high=150)


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        ([], "cost"),
        ([cost(basis="month")], "cost"),
        ([cost(phase="start_up", item="training")], "cost"),
        ([cost(currency="USD")], "currency"),
        ([cost(year=None)], "price_year"),
        ([cost(year=2020)], "inflation"),
        ([cost(year=2025)], "inflation"),
    ],
)
def test_what_is_missing_is_named_and_there_is_no_cost(rows, missing):
    found = unit_cost(rows, PRICES, price_year=2024, lifetime=3)
    assert (found.span, found.missing) == (None, missing)


def test_a_cost_of_which_no_row_is_the_total_is_partial(portfolio: Portfolio):
    rows = [row for row in portfolio.costs if row.innovation == "ten-thousand-licences"]
    prices = list(portfolio.prices)
    assert unit_cost(rows, prices, price_year=2024, lifetime=3).partial


def test_french_prices_rose_as_the_source_says(portfolio: Portfolio):
    # 2015 = 100 gives 101.23 for 2017 in Insee's base 2015, read at cnr.fr: an independent copy of the same index
    inflation = {row.year: row.value for row in portfolio.prices}
    assert deflated(100, 2015, 2017, inflation) == pytest.approx(101.23, abs=0.02)
    assert deflated(94.71, 2010, 2017, inflation) == pytest.approx(101.23, abs=0.05)
    assert sorted(inflation) == list(range(2006, 2025))


def test_the_parameters_of_appraisal_are_read_and_a_recalled_one_is_named(portfolio: Portfolio, policy: Selection):
    found = money(portfolio, policy.valuing)
    assert (found.discount_rate, found.public_funds) == (0.032, 1.2)
    assert [english for _, english in found.recalled] == ["opportunity cost of public funds (COFP), multiplier"]


def test_an_outcome_has_a_value_only_where_params_yaml_names_one(portfolio: Portfolio, policy: Selection):
    assert value_of("avenir-pro-employed", portfolio, policy.valuing) is None
    worth = {"low": "net-public-cost-of-a-tzcld-job-low", "high": "net-public-cost-of-a-tzcld-job-high"}
    named = type(policy.valuing).model_validate(
        {**policy.valuing.model_dump(), "values": {"avenir-pro-employed": {**worth, "to": "public_purse"}}}
    )
    found = value_of("avenir-pro-employed", portfolio, named)
    assert found is not None
    assert found.span == Span(low=11_300, mode=12_500, high=13_700)
    assert found.fiscal_share == 1


def test_a_valuation_that_is_a_range_is_refused_as_a_rate(portfolio: Portfolio, policy: Selection):
    ranged = policy.valuing.model_copy(update={"discount_rate": "acs-voucher-per-person"})
    with pytest.raises(ParametersError) as caught:
        money(portfolio, ranged)
    assert caught.value.code == "E-SEL-011"


@pytest.mark.parametrize(
    ("section", "change", "code"),
    [
        ("valuing", {"displacement": {"low": 0.5, "mode": 0.2, "high": 1}}, "E-SET-170"),
        ("valuing", {"transfer_bias_sd": {"A": 0.1, "B": 0.03}}, "E-SET-171"),
        ("scale", {"p_positive": 0.6}, "E-SET-172"),
        ("scale", {"transfer": "D"}, "E-SET-172"),
        ("stop", {"p_positive": 0.8}, "E-SET-173"),
        ("stop", {"p_harm": 0.1}, "E-SET-173"),
        ("test", {"p_low": 0.9}, "E-SET-174"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(policy: Selection, section: str, change: dict, code: str):
    plain = policy.model_dump(mode="json")
    plain["valuing"]["transfer_bias_sd"] = dict(plain["valuing"]["transfer_bias_sd"])
    plain[section] = {**plain[section], **change}
    with pytest.raises(ValidationError) as caught:
        Selection.model_validate(plain)
    assert [error["type"] for error in caught.value.errors()] == [code]


@pytest.mark.parametrize(
    ("measure", "value"), [("take_up", 1.2), ("fidelity", None), ("adaptation", 0.5), ("dose", None)]
)
def test_a_measure_of_implementation_has_the_value_it_needs(measure: str, value: float | None):
    with pytest.raises(ValidationError) as caught:
        Implementation(
            id="x",
            innovation="tutoring",
            measure=measure,
            value=value,
            unit="share",
            unit_fr="part",
            year=2020,
            note_fr="",
            note_en="",
            **SOURCE,
        )
    assert [error["type"] for error in caught.value.errors()] == ["E-SET-175"]


def test_what_was_recalled_does_not_count_as_delivered(portfolio: Portfolio):
    assert portfolio.delivered("free-basic-account", "take_up") == 0.03  # the lowest of three countries
    assert portfolio.delivered("flam", "fidelity") is None  # recalled, not read
    assert portfolio.delivered("wimoov", "take_up") is None
    seen = replace(
        portfolio,
        implementation=tuple(
            row.model_copy(update={"confidence": "seen"})
            for row in portfolio.implementation
            if row.id.startswith("flam")
        ),
    )
    assert seen.delivered("flam", "fidelity") == 0.82
