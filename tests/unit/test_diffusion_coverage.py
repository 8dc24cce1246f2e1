"""The share of the need that each innovation covers, by hand, from the figures of the portfolio."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import store
from evaluation.diffusion import coverage as diffusion
from evaluation.diffusion.coverage import Coverage
from evaluation.errors import ParametersError
from evaluation.settings.portfolio import Portfolio, read_portfolio

Project = Callable[..., Path]
Rows = dict[tuple[str, str], Coverage]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def rows(portfolio: Portfolio) -> Rows:
    return {(row.innovation, row.territory): row for row in diffusion.coverage(portfolio)}


@pytest.mark.parametrize(
    ("innovation", "low", "high", "kind"),
    [
        # 11,000 people in 2017 / 15,000,000 adults = 0.0733 %; / 7,000,000 people = 0.1571 %
        ("wimoov", 11_000 / 15_000_000, 11_000 / 7_000_000, "flow"),
        # fewer than 10,000 offers filled in 2018-19 / 130,000 pupils a year = at most 7.69 %
        ("monstage", 10_000 / 130_000, 10_000 / 130_000, "flow"),
        # 550 internships in two years = 275 a year / 130,000 = 0.2115 %
        ("viens-voir-mon-taf", 275 / 130_000, 275 / 130_000, "flow"),
        # 1,000,000 accounts opened in 4.5 years / 6 and 5 million people = 16.7 % and 20 %
        ("nickel", 1 / 6, 1 / 5, "stock"),
        # 20,000 loans a year / 4,100,000 fragile clients = 0.4878 %
        ("microcredit-personnel", 20_000 / 4_100_000, 20_000 / 4_100_000, "flow"),
        # more than 9,000 people in 2011 / 4,100,000 = 0.2195 %
        ("points-passerelle", 9_000 / 4_100_000, 9_000 / 4_100_000, "flow"),
        # 69,540 designations in 2015 / 500,000 people without an account = 13.9 %
        ("droit-au-compte", 69_540 / 500_000, 69_540 / 500_000, "flow"),
        # 9,000 people helped by Agil'ess / 15,000,000 and 13,300,000 = 0.060 % and 0.068 %
        ("garages-solidaires", 9_000 / 15_000_000, 9_000 / 13_300_000, "flow"),
    ],
)
def test_the_paradox_table_comes_out_of_the_data(
    rows: Rows, innovation: str, low: float, high: float, kind: str
) -> None:
    row = rows[innovation, "france"]
    assert row.share_low == pytest.approx(low, rel=1e-12)
    assert row.share_high == pytest.approx(high, rel=1e-12)
    assert row.share == row.share_low
    assert row.share_kind == kind


@pytest.mark.parametrize(
    ("innovation", "percent"),
    [
        ("wimoov", ("0.07", "0.16")),
        ("nickel", ("16.67", "20.00")),
        ("microcredit-personnel", ("0.49", "0.49")),
        ("viens-voir-mon-taf", ("0.21", "0.21")),
        ("monstage", ("7.69", "7.69")),
    ],
)
def test_shares_round_to_the_printed_ones(rows: Rows, innovation: str, percent: tuple[str, str]) -> None:
    row = rows[innovation, "france"]
    assert (f"{100 * (row.share_low or 0):.2f}", f"{100 * (row.share_high or 0):.2f}") == percent


def test_a_share_that_flatters_says_so(rows: Rows) -> None:
    row = rows["nickel", "france"]
    assert "35\u00a0% des clients de Nickel n'étaient pas pauvres" in row.note_fr
    assert "Nombre cumulé" in row.note_fr
    assert row.need is not None
    assert (row.need["low"], row.need["value"], row.need["confidence"]) == (5_000_000, 6_000_000, "recalled")


def test_an_upper_bound_stays_one(rows: Rows) -> None:
    reach = rows["monstage", "france"].reach
    assert reach is not None
    assert reach["bound"] == "upper"


def test_the_measure_with_the_lowest_share_comes_first(rows: Rows) -> None:
    row = rows["wimoov", "france"]
    assert row.need is not None
    assert row.need["id"] == "precarite-mobilite-2023"
    assert [need["id"] for need in row.alternatives] == ["mobility-lmi-2018"]


@pytest.mark.parametrize("innovation", ["france-services", "conseillers-numeriques", "restos-du-coeur", "tzcld"])
def test_what_does_not_count_people_in_need_has_no_share(rows: Rows, innovation: str) -> None:
    row = rows[innovation, "france"]
    assert row.reach is not None
    assert (row.share, row.share_low, row.share_high, row.share_kind) == (None, None, None, None)
    assert row.to_collect_fr
    assert row.to_collect_en


def test_local_reach_is_unknown_and_said_to_be(rows: Rows) -> None:
    row = rows["wimoov", "creil-sud-oise"]
    assert (row.reach, row.share) == (None, None)
    assert row.need is not None
    assert (row.need["value"], row.need["synthetic"]) == (19_600, True)
    assert row.to_collect_fr.endswith("CA Creil Sud Oise.")
    assert "ne peut pas être calculée" in row.note_fr


def test_every_innovation_to_decide_on_has_a_row_in_france_and_in_both_territories(
    rows: Rows, portfolio: Portfolio
) -> None:
    places = ("france", "creil-sud-oise", "thierache-du-centre")
    expected = [(innovation.id, place) for innovation in portfolio.decision_innovations for place in places]
    assert list(rows) == expected


def test_a_programme_that_is_not_in_france_reaches_nobody_there(rows: Rows) -> None:
    row = rows["job-corps", "france"]
    assert row.note_fr == "Ce programme n'existe pas en France, à notre connaissance."
    assert row.to_collect_fr == ""


def test_a_need_given_as_a_rate_is_refused(portfolio: Portfolio) -> None:
    with pytest.raises(ParametersError) as caught:
        diffusion.shares(1000, [portfolio.need("non-recours-rsa-2018")])
    assert caught.value.code == "E-DIFF-001"


def test_reaching_more_people_than_have_the_need_is_refused(portfolio: Portfolio) -> None:
    need = portfolio.need("clients-fragiles-2022")
    assert diffusion.shares(4_100_000, [need]) == (1, 1)
    with pytest.raises(ParametersError) as caught:
        diffusion.shares(4_100_001, [need])
    assert caught.value.code == "E-DIFF-002"


def test_a_reach_in_another_unit_is_never_divided(portfolio: Portfolio) -> None:
    sites = portfolio.reached("france-services-2024-09")
    flattered = tuple(
        row.model_copy(update={"comparable": True}) if row.id == sites.id else row for row in portfolio.reach
    )
    rows = {row.innovation: row for row in diffusion.coverage(replace(portfolio, reach=flattered)) if row.reach}
    assert rows["france-services"].share is not None  # the mark alone stands between a site and a household
    assert diffusion.coverage(portfolio) == diffusion.coverage(portfolio)


def test_coverage_json_is_written_and_read_back(project: Project) -> None:
    project()
    rows = store.read_json(diffusion.write(read_portfolio()))
    assert rows[0]["innovation"] == "wimoov"
    assert rows[0]["share"] == pytest.approx(11_000 / 15_000_000)
