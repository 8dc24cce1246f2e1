"""How many people live each difficulty: national figures with their sources, and what they suggest for a territory.

Thin on purpose. A local number is given only where a national number of adults can be scaled by population; it is
called a synthetic estimate, it says nothing about how a territory differs, and it is no substitute for counting. Where
measures of the same thing disagree, all of them are shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.settings.facts import Difficulty, Territory
from evaluation.settings.observations import Need
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.sourced import Figure
from evaluation.settings.typography import french

ROUNDING = 100  # a finer synthetic estimate would look counted
MUCH_POORER = 1.25  # ratio of poverty rates from which a national rate surely misleads

_POPULATION = "population"
_NATIONAL_POPULATION = "france-population"
_POVERTY = "poverty"
_NATIONAL_POVERTY = "median-epci-poverty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A national number of people scaled to a territory: number × local population / national population.

    Attributes:
        id: of the national figure.
        value: people, rounded to hundreds.
        year: of the national figure; `population_year` is that of the populations.
        synthetic: always true; reports print "estimation synthétique" beside the number.
    """

    id: str
    label_fr: str
    label_en: str
    value: float
    unit_fr: str
    unit_en: str
    year: int | None
    population_year: int | None
    source: str
    confidence: str
    synthetic: bool
    note_fr: str
    note_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Figures that claim to measure the same thing and differ."""

    measures: str
    ids: tuple[str, ...]
    text_fr: str
    text_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What is known about the size of one difficulty.

    Attributes:
        figures: national figures, in the order of the portfolio.
        territories: estimates by test territory; an empty tuple where none is meaningful.
        to_collect_fr, to_collect_en: what to count locally, line by line.
    """

    difficulty: str
    figures: tuple[dict[str, Any], ...]
    disagreements: tuple[Disagreement, ...]
    territories: dict[str, tuple[Estimate, ...]]
    to_collect_fr: tuple[str, ...]
    to_collect_en: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The burden as plain data, for needs.json."""
        return asdict(self)


def burdens(portfolio: Portfolio) -> tuple[Burden, ...]:
    """The size of every difficulty, in the order of the portfolio.

    Raises:
        ParametersError: a test territory, or France, has no population.
    """
    return tuple(_burden(difficulty, portfolio) for difficulty in portfolio.difficulties)


def write(portfolio: Portfolio) -> Path:
    """Write data/needs/needs.json; return its path."""
    target = store.path("data", "needs", "needs.json")
    store.write_json(target, [burden.as_dict() for burden in burdens(portfolio)])
    return target


def estimates(portfolio: Portfolio, difficulty: str, territory: Territory) -> tuple[Estimate, ...]:
    """Synthetic estimates of one difficulty in one territory; none where no national number can be scaled.

    Raises:
        ParametersError: the territory, or France, has no population.
    """
    return tuple(_estimate(need, territory, portfolio) for need in portfolio.needs_of(difficulty) if need.synthetic)


def figure_of(need: Need) -> dict[str, Any]:
    """A need figure as plain data, with its source and mark."""
    return {
        "id": need.id,
        "label_fr": need.label_fr,
        "label_en": need.label_en,
        "value": need.value,
        "low": need.low,
        "high": need.high,
        "unit_fr": need.unit_fr,
        "unit_en": need.unit,
        "year": need.year,
        "kind": need.kind,
        "source": need.source_address,
        "source_title": need.source_title,
        "confidence": need.confidence,
        "note": need.note,
    }


def _burden(difficulty: Difficulty, portfolio: Portfolio) -> Burden:
    needs = portfolio.needs_of(difficulty.id)
    return Burden(
        difficulty=difficulty.id,
        figures=tuple(figure_of(need) for need in needs),
        disagreements=tuple(_disagreements(needs)),
        territories={
            territory.id: estimates(portfolio, difficulty.id, territory) for territory in portfolio.test_territories
        },
        to_collect_fr=difficulty.to_collect_fr,
        to_collect_en=difficulty.to_collect_en,
    )


# estimates -----------------------------------------------------------------------------------------------------------


def _estimate(need: Need, territory: Territory, portfolio: Portfolio) -> Estimate:
    local, national = _population(territory), _reference(portfolio, _NATIONAL_POPULATION)
    if need.value is None:
        raise ParametersError(
            code="E-NEED-003",
            what="A range cannot be scaled to a territory.",
            where=f"data/portfolio/needs.csv, {need.id}",
            found="a range, synthetic: true",
            expected="a single value",
            fix="set synthetic to false, or give one value",
        )
    note_fr, note_en = _notes(territory, portfolio)
    return Estimate(
        id=need.id,
        label_fr=need.label_fr,
        label_en=need.label_en,
        value=float(ROUNDING * round(need.value * local.value / national.value / ROUNDING)),
        unit_fr=need.unit_fr,
        unit_en=need.unit,
        year=need.year,
        population_year=local.year,
        source=need.source_address,
        confidence="derived",
        synthetic=True,
        note_fr=note_fr,
        note_en=note_en,
    )


def _population(territory: Territory) -> Figure:
    figure = territory.figure(_POPULATION)
    if figure is None:
        raise ParametersError(
            code="E-NEED-001",
            what="A test territory has no population.",
            where=f"data/portfolio/territories.yaml, {territory.id}",
            found=f"figures {', '.join(figure.id for figure in territory.figures) or 'none'}",
            expected=f"a figure with id {_POPULATION}",
            fix="add it with its source",
        )
    return figure


def _reference(portfolio: Portfolio, figure_id: str) -> Figure:
    figure = next((figure for figure in portfolio.reference if figure.id == figure_id), None)
    if figure is None:
        raise ParametersError(
            code="E-NEED-002",
            what="A national figure is missing.",
            where="data/portfolio/territories.yaml, reference",
            found=f"figures {', '.join(figure.id for figure in portfolio.reference) or 'none'}",
            expected=f"a figure with id {figure_id}",
            fix="add it with its source",
        )
    return figure


def _notes(territory: Territory, portfolio: Portfolio) -> tuple[str, str]:
    fr = "Estimation synthétique : chiffre national rapporté à la population, à vérifier sur place."
    en = "Synthetic estimate: national figure scaled by population, to be checked locally."
    poverty, median = territory.figure(_POVERTY), _reference(portfolio, _NATIONAL_POVERTY)
    if poverty is not None and poverty.value >= MUCH_POORER * median.value:
        fr += (
            f" Le taux de pauvreté est de {_number_fr(poverty.value)} %, contre {_number_fr(median.value)} % dans"
            " l'intercommunalité médiane : le nombre réel est sans doute plus élevé."
        )
        en += (
            f" The poverty rate is {poverty.value:g}%, against {median.value:g}% in the median inter-municipality:"
            " the true number is probably higher."
        )
    return french(fr), en


# disagreements -------------------------------------------------------------------------------------------------------


def _disagreements(needs: Sequence[Need]) -> Iterator[Disagreement]:
    groups = dict.fromkeys(need.measures for need in needs if need.measures)
    for measures in groups:
        members = [need for need in needs if need.measures == measures]
        if len({(need.low, need.value, need.high) for need in members}) > 1:
            yield _disagreement(str(measures), members)


def _disagreement(measures: str, members: Sequence[Need]) -> Disagreement:
    fr = " ; ".join(f"{need.label_fr} : {_amount(need, 'fr')}{_dated(need)}" for need in members)
    en = "; ".join(f"{need.label_en}: {_amount(need, 'en')}{_dated(need)}" for need in members)
    return Disagreement(
        measures=measures,
        ids=tuple(need.id for need in members),
        text_fr=french(f"Les mesures ne concordent pas. {fr}."),
        text_en=f"Measures disagree. {en}.",
    )


def _dated(need: Need) -> str:
    return f" ({need.year})" if need.year else ""


def _amount(need: Need, lang: str) -> str:
    if need.value is not None:
        return _count(need.value, lang, need.kind)
    joined = " à " if lang == "fr" else " to "
    return joined.join(_count(bound, lang, need.kind) for bound in (need.low, need.high) if bound is not None)


def _count(value: float, lang: str, kind: str) -> str:
    if kind == "rate":
        return f"{_number_fr(value)} %" if lang == "fr" else f"{value:g}%"
    if value < 1e6:
        return f"{value:,.0f}".replace(",", " ") if lang == "fr" else f"{value:,.0f}"
    millions = value / 1e6
    return f"{_number_fr(millions)} million{'s' if millions >= 2 else ''}" if lang == "fr" else f"{millions:g} million"


def _number_fr(value: float) -> str:
    return f"{value:.3g}".replace(".", ",")
