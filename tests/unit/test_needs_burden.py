"""National figures are shown as they are; local ones only where scaling means something, and never as counts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.needs import burden
from evaluation.settings.portfolio import Portfolio, read_portfolio

Project = Callable[..., Path]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def found(portfolio: Portfolio) -> dict[str, burden.Burden]:
    return {each.difficulty: each for each in burden.burdens(portfolio)}


def test_a_synthetic_estimate_is_the_national_number_times_the_share_of_the_population(
    found: dict[str, burden.Burden],
) -> None:
    # 13,300,000 adults in 2021, 15,000,000 in 2023; Creil Sud Oise has 90,234 of 68,952,941 residents (0.13086 %).
    # 13,300,000 x 0.0013086 = 17,405, in hundreds 17,400; 15,000,000 x 0.0013086 = 19,630, in hundreds 19,600.
    # Thiérache du Centre: 25,590 residents; 4,936 -> 4,900 and 5,567 -> 5,600.
    territories = found["mobility"].territories
    assert [each.value for each in territories["creil-sud-oise"]] == [17_400, 19_600]
    assert [each.value for each in territories["thierache-du-centre"]] == [4_900, 5_600]


def test_a_synthetic_estimate_says_that_it_is_one_and_of_when(found: dict[str, burden.Burden]) -> None:
    estimate = found["mobility"].territories["thierache-du-centre"][0]
    assert estimate.synthetic
    assert estimate.note_fr.startswith("Estimation synthétique\u00a0:")
    assert (estimate.year, estimate.population_year, estimate.confidence) == (2021, 2026, "derived")


def test_a_territory_much_poorer_than_the_median_is_said_to_be_underestimated(found: dict[str, burden.Burden]) -> None:
    # 29.0 % against a median of 13.3 %: more than 1.25 times
    estimate = found["banking"].territories["creil-sud-oise"][0]
    assert "29\u00a0%" in estimate.note_fr
    assert "13,3\u00a0%" in estimate.note_fr
    assert "probably higher" in estimate.note_en


def test_no_local_number_is_made_up_where_the_national_one_cannot_be_scaled(found: dict[str, burden.Burden]) -> None:
    made = {name for name, each in found.items() if any(each.territories.values())}
    assert made == {"mobility", "banking", "digital-exclusion"}
    for name in ("internship-3e", "food-insecurity", "long-term-unemployment"):
        assert found[name].to_collect_fr
        assert len(found[name].to_collect_fr) == len(found[name].to_collect_en)


def test_measures_of_the_same_thing_that_differ_are_shown_side_by_side(found: dict[str, burden.Burden]) -> None:
    (mobility,) = found["mobility"].disagreements
    assert mobility.ids == ("precarite-mobilite-2021", "precarite-mobilite-2023", "mobility-lmi-2018")
    assert "13,3 millions (2021)" in mobility.text_fr
    assert "15 millions (2023)" in mobility.text_fr
    assert "13.3 million (2021)" in mobility.text_en
    (bank,) = found["banking"].disagreements
    assert "5 millions à 6 millions (2018)" in bank.text_fr
    (digital,) = found["digital-exclusion"].disagreements
    assert "17\u00a0% (2019)" in digital.text_fr


def test_figures_of_one_series_over_time_are_not_a_disagreement(found: dict[str, burden.Burden]) -> None:
    assert found["elderly-isolation"].disagreements == ()  # 300,000 then 530,000 then 750,000: a trend


def test_every_figure_has_a_source_or_is_marked_as_recalled(found: dict[str, burden.Burden]) -> None:
    for each in found.values():
        for figure in each.figures:
            assert figure["source"] or figure["confidence"] == "recalled"


def test_a_difficulty_without_a_figure_has_none(found: dict[str, burden.Burden]) -> None:
    assert found["long-term-unemployment"].figures == ()


def test_needs_json_is_written_and_read_back(project: Project) -> None:
    project()
    target = burden.write(read_portfolio())
    rows = store.read_json(target)
    assert target == store.path("data", "needs", "needs.json")
    assert [row["difficulty"] for row in rows][:3] == ["mobility", "internship-3e", "banking"]
    assert rows[0]["territories"]["creil-sud-oise"][0]["value"] == 17_400


def test_a_territory_without_a_population_is_refused(portfolio: Portfolio) -> None:
    creil = portfolio.territory("creil-sud-oise").model_copy(update={"figures": ()})
    with pytest.raises(ParametersError) as caught:
        burden.burdens(replace(portfolio, territories=(creil,)))
    assert caught.value.code == "E-NEED-001"


def test_a_missing_national_population_is_refused(portfolio: Portfolio) -> None:
    with pytest.raises(ParametersError) as caught:
        burden.burdens(replace(portfolio, reference=()))
    assert caught.value.code == "E-NEED-002"


def test_a_range_is_not_scaled(portfolio: Portfolio) -> None:
    range_ = portfolio.need("money-trouble-2018").model_copy(update={"synthetic": True})
    with pytest.raises(ParametersError) as caught:
        burden.burdens(replace(portfolio, needs=(range_,)))
    assert caught.value.code == "E-NEED-003"
