"""Diffusion series: what they count, what stays out of a fit and why, and what cannot be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.diffusion import series as diffusion_series
from evaluation.diffusion.series import Series
from evaluation.errors import DataError, ParametersError, ProblemsError
from evaluation.settings.diffusion import DiffusionFacts, read_diffusion
from evaluation.settings.portfolio import Portfolio, read_portfolio

Project = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def facts(portfolio: Portfolio) -> DiffusionFacts:
    return read_diffusion(portfolio, ROOT)


@pytest.fixture(scope="module")
def read(portfolio: Portfolio, facts: DiffusionFacts) -> dict[str, Series]:
    return {each.facts.id: each for each in diffusion_series.read(portfolio, facts)}


def changed(facts: DiffusionFacts, name: str, **update: object) -> DiffusionFacts:
    series = tuple(each.model_copy(update=update) if each.id == name else each for each in facts.series)
    return facts.model_copy(update={"series": series})


def test_the_counts_of_personal_microcredit_add_up_to_the_printed_totals(read: dict[str, Series]) -> None:
    value = {point.year: point.value for point in read["microcredit-personnel"].fitted}
    # 2,436 until 2007, then the years 2008 to 2012: 41,214 since the start (Gloukoviezoff, RECMA 2015)
    assert 2_436 + sum(value[year] for year in range(2008, 2013)) == 41_214
    assert 41_214 + value[2013] + value[2014] == 68_854
    assert (value[2006], value[2023], len(value)) == (457, 20_000, 11)


def test_a_figure_of_another_perimeter_stays_visible_with_its_reason(read: dict[str, Series]) -> None:
    press = next(point for point in read["microcredit-personnel"].points if point.value == 6_000)
    assert not press.used
    assert "périmètre" in press.out_fr
    assert diffusion_series.as_dict(read["microcredit-personnel"])["points"][1]["fitted"] is False


def test_recalled_figures_are_never_fitted(read: dict[str, Series]) -> None:
    nickel = read["nickel"]
    recalled = [point for point in nickel.points if point.confidence == "recalled"]
    assert [point.year for point in recalled] == [2020, 2022, 2024]
    assert not set(recalled) & set(nickel.fitted)
    assert nickel.current  # a recalled figure does not make the counted ones old


def test_a_curve_never_crosses_a_change_of_definition(read: dict[str, Series]) -> None:
    adie = read["adie"]
    assert adie.definition.id == "people"
    assert {point.definition for point in adie.points} == {"microcredits", "loans", "people"}
    assert [point.year for point in adie.fitted] == [2013, 2014, 2015, 2016, 2017, 2018, 2023]
    # MSAP and France services are two things: one count of the first, two of the second
    assert [point.year for point in read["france-services"].fitted] == [2022, 2024]


def test_missing_years_are_named_and_nothing_is_put_there(read: dict[str, Series]) -> None:
    assert diffusion_series.gaps(read["microcredit-personnel"]) == (2007, 2015, 2016, 2017, 2018, 2021, 2022)
    assert len(diffusion_series.observations(read["microcredit-personnel"], 1)) == 11


def test_a_total_is_compared_by_increments_and_a_stock_by_levels(read: dict[str, Series]) -> None:
    nickel = diffusion_series.observations(read["nickel"], 1)
    assert nickel.value[:3].tolist() == [46_000, 59_000, 45_000]  # 46,000 then 105,000 then 150,000
    assert np.isnan(nickel.start[0])
    np.testing.assert_array_equal(nickel.start[1:], nickel.end[:-1])
    assert nickel.value.sum() == 1_000_000
    amap = diffusion_series.observations(read["amap"], 1)
    assert np.isnan(amap.start).all()
    assert amap.at_least.tolist() == [False, False, False, True, True, True]  # "plus de 1 600", "plus de 2 000"


def test_a_month_is_its_middle_and_a_year_too(read: dict[str, Series]) -> None:
    at = {point.id: point.at for point in read["amap"].points}
    assert at["amap-groups-2009-01"] == pytest.approx(2009 + 0.5 / 12)
    assert at["amap-groups-2009-12"] == pytest.approx(2009 + 11.5 / 12)
    assert at["amap-groups-2015"] == 2015.5


def test_a_series_whose_newest_count_was_left_out_predicts_nothing(read: dict[str, Series]) -> None:
    assert not read["droit-au-compte"].current
    assert read["microcredit-personnel"].current


def test_every_figure_keeps_its_address_or_says_why_there_is_none(read: dict[str, Series]) -> None:
    points = [point for each in read.values() for point in each.points]
    assert [point.id for point in points if not point.source and point.confidence not in ("recalled", "claim")] == []


def test_a_series_that_does_not_exist_is_refused(read: dict[str, Series]) -> None:
    with pytest.raises(ParametersError) as caught:
        diffusion_series.find(list(read.values()), "nickle")
    assert caught.value.code == "E-DIF-001"
    assert "nickel" in str(caught.value)


def test_a_figure_without_a_definition_is_refused(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    amap = next(each for each in facts.series if each.id == "amap")
    short = (amap.definitions[0].model_copy(update={"until": 2012}),)
    with pytest.raises(DataError) as caught:
        diffusion_series.read(portfolio, changed(facts, "amap", definitions=short))
    assert caught.value.code == "E-DIF-002"
    assert "amap-groups-2015" in str(caught.value)


def test_flows_and_totals_are_never_mixed(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    with pytest.raises(DataError) as caught:
        diffusion_series.read(
            portfolio, changed(facts, "adie", reach=("adie-microcredits", "adie-cumulative"), leave_out=())
        )
    assert caught.value.code == "E-DIF-003"
    with pytest.raises(DataError, match="mixes"):
        diffusion_series.read(portfolio, changed(facts, "adie", kind="stock"))


def test_two_figures_for_one_year_need_a_choice(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    with pytest.raises(DataError) as caught:
        diffusion_series.read(portfolio, changed(facts, "microcredit-personnel", leave_out=()))
    assert caught.value.code == "E-DIF-004"
    assert "3563" in str(caught.value)


def test_a_total_that_falls_is_refused(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    from dataclasses import replace

    fallen = tuple(
        row.model_copy(update={"value": 400_000}) if row.id == "nickel-accounts-2018-08" else row
        for row in portfolio.reach
    )
    with pytest.raises(DataError) as caught:
        diffusion_series.read(replace(portfolio, reach=fallen), facts)
    assert caught.value.code == "E-DIF-005"


# the file ------------------------------------------------------------------------------------------------------------


def edited(root: Path, old: str, new: str) -> list[str]:
    file = root / "data" / "portfolio" / "diffusion.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_diffusion(read_portfolio())
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("source_title: Création de l'Adie, confidence: recalled", "confidence: seen", "E-SET-220"),
        ("since: 1989, until: 2007", "since: 1989, until: 2009", "E-SET-221"),
        ("{step: offered, reach: monstage-offers-2018-10}", "{step: offered}", "E-SET-222"),
        ("{step: offered, reach: monstage", "{step: taken_up, reach: monstage", "E-SET-223"),
        ("  - id: adie\n", "  - id: amap\n", "E-SET-224"),
        ("innovation: wimoov\n", "innovation: wimov\n", "E-SET-225"),
        ("reach: [amap-groups]", "reach: [amap-group]", "E-SET-225"),
        ("needs: [without-account-2016]", "needs: [without-account]", "E-SET-225"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(project: Project, old: str, new: str, code: str) -> None:
    assert code in edited(project(), old, new)
