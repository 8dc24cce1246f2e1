"""The burden part by part: figures by hand, intervals, what is unknown, trends; and the facts behind them."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.needs import components
from evaluation.needs.components import Load
from evaluation.settings.portfolio import Portfolio, read_portfolio

NINE = {
    "mobility",
    "internship-3e",
    "banking",
    "non-take-up",
    "digital-exclusion",
    "elderly-isolation",
    "food-insecurity",
    "long-term-unemployment",
    "school-dropout",
}


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


def load(portfolio: Portfolio, difficulty: str, place: str) -> Load:
    found = components.loads(portfolio, portfolio.difficulty(difficulty))
    return next(each for each in found if each.territory == place)


def test_the_product_is_that_of_the_bounds_of_its_parts(portfolio: Portfolio) -> None:
    # Banking in Creil: 4,100,000 x 90,234 / 68,952,941 = 5,365, in hundreds 5,400 people; severity 21.5 %; 2016 to
    # 2022, 6 years; unmet: the innovations linked reach between Nickel's 17-20 % and, added up, at most 34.6 %.
    found = load(portfolio, "banking", "creil-sud-oise")
    people, severity, persistence, unmet = found.parts
    assert (people.low, people.high) == (5400, 5400)
    assert (severity.low, severity.high) == (0.215, 0.215)
    assert (persistence.low, persistence.at_least) == (6, True)
    assert 0.6 < unmet.low < unmet.high < 0.84
    assert found.low == pytest.approx(5400 * 0.215 * 6 * unmet.low, rel=1e-2)  # printed to three digits
    assert found.high == pytest.approx(5400 * 0.215 * 6 * unmet.high, rel=1e-2)
    assert found.missing == ()


def test_a_share_that_nobody_measured_makes_the_product_a_ceiling(portfolio: Portfolio) -> None:
    found = load(portfolio, "mobility", "france")
    assert found.missing == ("severity",)
    assert found.low == 0
    # At most 15 million people, all hit hard, over 2 years (2021 to 2023), nearly all unmet.
    assert found.high == pytest.approx(15e6 * 2, rel=0.01)


def test_without_people_or_years_there_is_no_product(portfolio: Portfolio) -> None:
    found = load(portfolio, "long-term-unemployment", "france")
    assert (found.low, found.high) == (None, None)
    assert set(found.missing) >= {"prevalence", "persistence"}
    assert found.parts[0].basis_fr.startswith("aucun chiffre lu")


def test_measures_that_disagree_make_the_interval_and_recalled_ones_do_not(portfolio: Portfolio) -> None:
    # 7 million (2018), 13.3 (2021), 15 (2023); for banks 4.1 million and 4 to 5 million, but not the recalled 5 to 6.
    assert (
        load(portfolio, "mobility", "france").parts[0].low,
        load(portfolio, "mobility", "france").parts[0].high,
    ) == (
        7e6,
        15e6,
    )
    assert load(portfolio, "banking", "france").parts[0].high == 5e6


def test_a_local_number_says_that_it_is_synthetic_and_its_vintage(portfolio: Portfolio) -> None:
    people = load(portfolio, "mobility", "thierache-du-centre").parts[0]
    assert people.basis_fr == (
        "estimation synthétique\u00a0: chiffres nationaux (2021, 2023) rapportés à la population (2026)"
    )
    assert load(portfolio, "mobility", "thierache-du-centre").synthetic
    assert "year unknown" in load(portfolio, "digital-exclusion", "creil-sud-oise").parts[0].basis_en


def test_the_unmet_share_is_between_the_sum_and_the_largest_of_what_is_reached(portfolio: Portfolio) -> None:
    # Internship: 10,000 (an upper bound) and 550 in two years, each over 130,000 pupils a year.
    unmet = load(portfolio, "internship-3e", "france").parts[3]
    assert unmet.high == pytest.approx(1 - 10_000 / 130_000)
    assert unmet.low == pytest.approx(1 - 10_000 / 130_000 - 275 / 130_000, abs=2e-3)
    assert load(portfolio, "school-dropout", "france").parts[3].known is False
    # Flow or stock is said for each answer, since the two do not add up to anything exact.
    assert "Nickel account (in all)" in load(portfolio, "banking", "france").parts[3].basis_en
    assert "(par an)" in load(portfolio, "internship-3e", "france").parts[3].basis_fr


def test_a_measured_duration_takes_the_place_of_the_years_of_a_series(portfolio: Portfolio) -> None:
    banking = portfolio.difficulty("banking")
    years = banking.figures[0].model_copy(update={"id": "years", "kind": "duration", "value": 2.5, "unit_en": "years"})
    changed = banking.model_copy(update={"figures": (*banking.figures, years)})
    others = tuple(row for row in portfolio.difficulties if row.id != "banking")
    part = components.loads(replace(portfolio, difficulties=(changed, *others)), changed)[0].parts[2]
    assert (part.low, part.high, part.at_least) == (2.5, 2.5, False)


def test_the_trend_of_the_need_stands_beside_that_of_the_answer(portfolio: Portfolio) -> None:
    found = components.trends(portfolio, portfolio.difficulty("banking"))
    need = next(row for row in found if row.series == "clients-fragiles")
    assert (need.kind, need.first_year, need.first, need.last_year, need.last) == ("need", 2016, 2.4e6, 2022, 4.1e6)
    answer = next(row for row in found if row.series == "microcredit-personnel")
    assert (answer.kind, answer.first, answer.last) == ("answer", 457, 20_000)
    # Counts of different things are different series even under one name.
    assert len([row for row in found if row.series == "adie-microcredits"]) == 2


# facts ---------------------------------------------------------------------------------------------------------------


def test_the_nine_difficulties_are_there_with_publics_who_speak(portfolio: Portfolio) -> None:
    assert {row.id for row in portfolio.difficulties} >= NINE
    for row in portfolio.difficulties:
        assert len(row.publics) >= 2, row.id
        for public in row.publics:
            assert public.said_fr.startswith(("J", "Je", "Chaque", "Nous")), public.id
            assert public.said_en, public.id
        assert row.policy_fr
        assert row.outcomes
        assert row.to_collect_fr


def test_two_measures_of_branches_stand_side_by_side_with_what_they_do_not_measure(portfolio: Portfolio) -> None:
    banking = portfolio.difficulty("banking")
    (contrast,) = banking.contrasts
    values = {figure.id: figure.value for figure in banking.figures}
    # 30 branches for 90,234 residents, 10 for 25,590: 3.3 and 3.9 for 10,000.
    assert values["branches-creil"] == round(30 / 90_234 * 1e4, 1)
    assert values["branches-thierache"] == round(10 / 25_590 * 1e4, 1)
    assert values["branches-thierache"] > values["branches-creil"]
    assert values["no-branch-thierache"] > values["no-branch-creil"]
    assert "distance" in contrast.not_measured_fr


def test_shares_of_severity_are_those_of_their_two_counts(portfolio: Portfolio) -> None:
    values = {f.id: f.value for row in portfolio.difficulties for f in row.figures if f.kind == "severity"}
    assert values == {
        "barred-among-fragile": round(100 * 885_026 / 4_125_000, 1),
        "lasting-among-non-takers": round(100 * 20 / 34, 1),
    }
