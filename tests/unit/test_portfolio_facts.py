"""Figures were carried over unchanged, every one with its source."""

import csv
from pathlib import Path

import pytest
from pydantic import BaseModel

from evaluation.settings.params import read_params
from evaluation.settings.portfolio import Portfolio, read_portfolio


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def test_all_135_published_effects_are_carried_over_unchanged(portfolio: Portfolio, shared_data: Path) -> None:
    printed = _rows(shared_data / "portfolio" / "published_effects.csv")
    assert len(printed) == len(portfolio.findings) == 135
    for row, finding in zip(printed, portfolio.findings, strict=True):
        assert (finding.estimate, finding.std_error) == (_number(row["estimate"]), _number(row["se"])), finding.id
        assert (finding.ci_low, finding.ci_high) == (_number(row["ci_low"]), _number(row["ci_high"])), finding.id
        assert (finding.n, finding.control_mean) == (_number(row["n"]), _number(row["control_mean"])), finding.id
        assert finding.cost_per_participant == _number(row["cost_per_participant"]), finding.id
        assert (finding.source_title, finding.source_address) == (row["source_title"], row["source_address"])
        assert (finding.design, finding.year) == (row["design"], int(row["year"])), finding.id
        assert (finding.country, finding.territory_kind) == (row["country"], row["territory_type"]), finding.id
        assert (finding.difficulty, finding.provenance) == (row["difficulty"].replace("_", "-"), row["provenance"])


def test_every_word_of_the_source_list_is_kept(portfolio: Portfolio, shared_data: Path) -> None:
    printed = _rows(shared_data / "portfolio" / "published_effects.csv")
    for row, finding in zip(printed, portfolio.findings, strict=True):
        assert finding.outcome.startswith(row["outcome"]), finding.id
        assert row["innovation"] in finding.note, finding.id
        assert row["confidence"] in finding.note, finding.id
        assert row["unit"] == finding.unit or row["unit"] in finding.note, finding.id


@pytest.mark.parametrize(
    ("provenance", "confidence"),
    [("claim", "claim"), ("recalled", "recalled"), ("se derived", "derived"), ("computed-here", "computed")],
)
def test_weak_provenance_stays_marked(portfolio: Portfolio, provenance: str, confidence: str) -> None:
    marked = [finding.confidence for finding in portfolio.findings if provenance in finding.provenance]
    assert set(marked) == {confidence}


def test_claims_levels_and_take_up_are_never_effects_and_never_pooled(portfolio: Portfolio) -> None:
    for finding in portfolio.findings:
        if finding.estimate_kind in ("claim", "level", "take_up"):
            assert not finding.poolable, finding.id
            assert finding.direction is None, finding.id
            assert finding.unit_kind == "not_an_effect", finding.id
        if "NOT an effect" in finding.note or finding.confidence == "claim":
            assert finding.estimate_kind in ("claim", "level", "take_up"), finding.id


def test_only_one_specification_of_a_shared_sample_can_be_pooled(portfolio: Portfolio) -> None:
    # Service militaire volontaire: three columns of one table, one sample
    smv = [finding for finding in portfolio.findings if finding.sample_group == "smv"]
    assert [finding.poolable for finding in smv] == [True, False, False]
    assert not any(finding.poolable for finding in portfolio.findings if finding.secondary)
    assert not any(finding.poolable for finding in portfolio.findings if finding.confidence == "recalled")


def test_the_pooled_microcredit_row_is_not_pooled_with_the_seven_it_pools(portfolio: Portfolio) -> None:
    rows = [finding for finding in portfolio.findings if finding.innovation == "microcredit-expansion"]
    assert sum(finding.poolable for finding in rows) == 7
    assert [finding.poolable for finding in rows if finding.sample_group == "microcredit-pooled"] == [False, False]


def test_the_direction_follows_from_the_interval_where_there_is_one(portfolio: Portfolio) -> None:
    for finding in portfolio.findings:
        if finding.estimate_kind != "effect" or finding.ci_low is None or finding.ci_high is None:
            continue
        beyond = "positive" if finding.ci_low > finding.no_effect else "negative"
        excluded = finding.ci_low > finding.no_effect or finding.ci_high < finding.no_effect
        assert finding.direction == (beyond if excluded else "none"), finding.id


def test_a_ratio_has_no_effect_at_one(portfolio: Portfolio) -> None:
    assert {finding.no_effect for finding in portfolio.findings if finding.unit_kind == "ratio"} == {1}
    assert {finding.no_effect for finding in portfolio.findings if finding.unit_kind != "ratio"} == {0}


@pytest.mark.parametrize(
    ("finding", "design_class"),
    [
        ("tous-en-stage-obtained", "matching"),  # the draw was unbalanced, the comparison group rebuilt by score
        ("tous-en-stage-first-year", "randomised_cluster"),  # the protocol, whose result was not read
        ("pathways-graduation", "before_after"),  # the raw change was read, not the paper's estimate
        ("adie-business-survival", "raw_comparison"),
        ("rendez-vous-droits-attended", "monitoring"),  # take-up inside one arm of a trial
        ("emplois-francs-declared-hires", "declared"),
        ("zrr-employment-establishments", "discontinuity"),
    ],
)
def test_the_class_is_that_of_the_number_that_was_read(portfolio: Portfolio, finding: str, design_class: str) -> None:
    assert portfolio.finding(finding).design_class == design_class


def test_need_and_diffusion_series_are_carried_over_unchanged(portfolio: Portfolio, shared_data: Path) -> None:
    needs = _rows(shared_data / "portfolio" / "need_series.csv")
    reach = _rows(shared_data / "portfolio" / "diffusion_series.csv")
    here = [(row.series, row.date, row.value, row.source_address) for row in (*portfolio.needs, *portfolio.reach)]
    for row in (*needs, *reach):
        series = row["series"].replace("_", "-")
        assert (series, row["date"], float(row["value"]), row["source_address"]) in here


def test_valuations_are_carried_over_unchanged(portfolio: Portfolio, shared_data: Path) -> None:
    printed = _rows(shared_data / "portfolio" / "valuations.csv")
    for row, here in zip(printed, portfolio.valuations, strict=True):
        value = f"{here.low:g}-{here.high:g}" if here.value is None else f"{here.value:.12g}"
        assert (here.label_en, value) == (
            row["parameter"],
            row["value"] if "-" in value else f"{float(row['value']):.12g}",
        )
        assert here.source_address == row["source_address"]


def test_figures_of_the_territories_are_those_of_their_files(portfolio: Portfolio, shared_data: Path) -> None:
    printed = {row["epci"]: row for row in _rows(shared_data / "territories" / "territoires_test_epci.csv")}
    for territory in portfolio.territories:
        row = printed[territory.code]
        figures = {figure.id: figure.value for figure in territory.figures}
        assert figures["population"] == float(row["pop"])
        assert figures["communes"] == float(row["n_communes"])
        assert figures["density"] == round(float(row["densite"]))
        assert figures["poverty"] == float(row["taux_pauvrete60_2016"])
        assert figures["poverty-under-30"] == float(row["taux_pauvrete60_moins30_2016"])
        assert figures["zrr"] == 100 * float(row["part_pop_zrr"])


def test_people_without_a_bank_or_a_station_are_counted_from_the_communes(
    portfolio: Portfolio, shared_data: Path
) -> None:
    communes = _rows(shared_data / "territories" / "territoires_test_communes.csv")
    for territory in portfolio.territories:
        members = [row for row in communes if row["epci"] == territory.code]
        population = sum(float(row["pop_legale"]) for row in members)
        for figure, column in (("no-bank", "n_banque_2018"), ("no-station", "n_gare_2018")):
            without = sum(float(row["pop_legale"]) for row in members if float(row[column]) == 0)
            found = territory.figure(figure)
            assert found is not None
            assert found.value == round(100 * without / population)


def test_thierache_has_two_priority_schools(portfolio: Portfolio) -> None:
    figure = portfolio.territory("thierache-du-centre").figure("priority-colleges")
    assert figure is not None
    assert figure.value == 2
    assert "Vervins" in figure.note
    assert "Le Nouvion" in figure.note


def test_every_benchmark_evaluation_has_its_innovation_and_a_published_value(
    portfolio: Portfolio, repository: Path
) -> None:
    published = {row.evaluation for row in portfolio.benchmarks}
    for identifier, design in read_params(repository).evaluations.items():
        if design.role == "benchmark":
            assert portfolio.innovation(str(design.innovation)).role == "benchmark"
            assert identifier in published


def test_benchmark_values_are_those_of_their_sources(portfolio: Portfolio) -> None:
    values = {row.id: (row.value, row.std_error) for row in portfolio.benchmarks}
    assert values["nsw-experiment"] == (1794.34, 671.0)
    assert values["star-kindergarten"] == (13.9, 2.45)
    assert values["lalonde-matchit"] == (894.3675, None)
    assert values["organ-donations-did"] == (-0.0225, None)
    assert values["thornton-difference"] == (0.4506, None)
    assert values["jobs-not-found"] == (None, None)


def test_french_labels_are_french(portfolio: Portfolio) -> None:
    """The source lists were typed without accents; readers must not see that."""
    unaccented = (
        "precarite",
        "energetique",
        "Ecole",
        "eleve ",
        "benefici ",
        "duree",
        "etude ",
        "emploi durable (CDI ou cdd",
    )
    for table in (portfolio.needs, portfolio.reach, portfolio.innovations, portfolio.findings, portfolio.difficulties):
        for row in table:
            for name, text in _french(row):
                assert not any(word in text for word in unaccented), (row.id, name, text)
                assert "\u2019" not in text or "'" not in text, (row.id, name, "one kind of apostrophe")


def test_both_languages_are_filled_wherever_one_is(portfolio: Portfolio) -> None:
    for table in (portfolio.innovations, portfolio.difficulties, portfolio.territories, portfolio.benchmarks):
        for row in table:
            for name, text in _french(row):
                other = getattr(row, f"{name.removesuffix('_fr')}_en", None)
                assert other is None or bool(other) == bool(text), (row.id, name)


def _french(row: BaseModel) -> list[tuple[str, str]]:
    values = row.model_dump()
    return [(name, text) for name, text in values.items() if name.endswith("_fr") and isinstance(text, str)]
