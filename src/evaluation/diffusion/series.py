"""Diffusion series as arrays: every figure in the order of time, each with the reason why it is in a fit or out of it.

A curve is fitted within one definition, never across. A cumulative total carries its past with it, so that its
increments are compared with the curve; a stock is counted afresh each time and a flow is of its own year, so that their
levels are. Figures that were recalled or only claimed, and those that diffusion.yaml leaves out, stay visible.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from evaluation.errors import DataError, ParametersError
from evaluation.settings.diffusion import FILE, Definition, DiffusionFacts, Kind, SeriesFacts
from evaluation.settings.observations import Reach
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import nearest
from evaluation.settings.typography import french

Array = np.ndarray

WEAK: Final = ("recalled", "claim")
_WEAK_FR: Final = {"recalled": "De mémoire, non relu.", "claim": "Annoncé, sans comptage."}
_WEAK_EN: Final = {"recalled": "Recalled, not read again.", "claim": "Announced, not counted."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One figure of a series.

    Attributes:
        at: year with its fraction: the middle of the year (flows, and dates that are only a year) or of the month.
        definition: id of what was counted.
        out_fr, out_en: why the figure is in no fit; empty where it may be.
    """

    id: str
    at: float
    year: int
    value: float
    bound: str
    definition: str
    source: str
    confidence: str
    out_fr: str
    out_en: str

    @property
    def used(self) -> bool:
        """May stand in a fit."""
        return not self.out_fr


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All figures of one diffusion.

    Attributes:
        points: in the order of time.
        definition: the one with most figures that may be fitted; the latest of those that tie.
    """

    facts: SeriesFacts
    points: tuple[Point, ...]
    definition: Definition

    @property
    def fitted(self) -> tuple[Point, ...]:
        """The figures that a curve is compared with."""
        return tuple(point for point in self.points if point.used and point.definition == self.definition.id)

    @property
    def current(self) -> bool:
        """No counted figure is newer than the fitted ones: a curve that leaves the newest out predicts nothing."""
        counted = [point.at for point in self.points if point.confidence not in WEAK]
        return bool(self.fitted) and self.fitted[-1].at >= max(counted)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """What a curve is compared with: μ_i = M (F(end_i) − F(start_i)), F(start_i) = 0 where start is missing.

    Attributes:
        value: (n,) levels or increments.
        start, end: (n,) years since the launch; start is NaN for levels and for the first increment.
        at: (n,) calendar years of the ends.
        at_least: (n,) the source says "more than": a lower bound, where a level is meant.
        power: k in Var(y) = φ μᵏ.
    """

    value: Array
    start: Array
    end: Array
    at: Array
    at_least: Array
    power: int

    def __len__(self) -> int:
        return len(self.value)

    def first(self, count: int) -> "Observations":
        """The earliest ones."""
        return Observations(
            value=self.value[:count],
            start=self.start[:count],
            end=self.end[:count],
            at=self.at[:count],
            at_least=self.at_least[:count],
            power=self.power,
        )


def read(portfolio: Portfolio, facts: DiffusionFacts) -> tuple[Series, ...]:
    """All series of diffusion.yaml.

    Raises:
        DataError: a figure fits no definition, two stand for one date, or a cumulative total falls.
    """
    return tuple(series_of(portfolio, each) for each in facts.series)


def find(series: Sequence[Series], identifier: str) -> Series:
    """The series of this id.

    Raises:
        ParametersError: there is none.
    """
    found = next((each for each in series if each.facts.id == identifier), None)
    if found is None:
        known = [each.facts.id for each in series]
        near = nearest(identifier, known)
        raise ParametersError(
            code="E-DIF-001",
            what="There is no such diffusion series.",
            where=FILE,
            found=repr(identifier),
            expected=f"one of {', '.join(known)}",
            fix=f"did you mean {near}?" if near else f"add it to {FILE}",
        )
    return found


def series_of(portfolio: Portfolio, facts: SeriesFacts) -> Series:
    """One series with its figures, in the order of time.

    Raises:
        DataError: see `read`.
    """
    rows = [row for row in portfolio.reach if row.series in facts.reach]
    points = tuple(sorted((_point(row, facts) for row in rows), key=lambda point: (point.at, point.id)))
    _refuse_other_kinds(rows, facts)
    _refuse_twins(points, facts)
    _refuse_falls(points, facts)
    return Series(facts=facts, points=points, definition=_main_definition(points, facts))


def observations(series: Series, power: int) -> Observations:
    """What a curve is compared with; `power` is k in Var(y) = φ μᵏ."""
    fitted = series.fitted
    at = np.array([point.at for point in fitted])
    value = np.array([point.value for point in fitted])
    at_least = np.array([point.bound == "lower" for point in fitted], dtype=bool)
    end = at - series.facts.launch.at
    start = np.full(len(fitted), np.nan)
    if series.facts.kind == "cumulative":
        start[1:] = end[:-1]
        value = np.diff(value, prepend=0.0)
        at_least[:] = False
    return Observations(value=value, start=start, end=end, at=at, at_least=at_least, power=power)


def gaps(series: Series) -> tuple[int, ...]:
    """Years between the first and the last fitted figure for which there is none; nothing is put in their place."""
    years = {point.year for point in series.fitted}
    return tuple(year for year in range(min(years), max(years)) if year not in years) if years else ()


def as_dict(series: Series) -> dict[str, Any]:
    """The series as plain data."""
    facts = series.facts
    return {
        "id": facts.id,
        "innovation": facts.innovation,
        "label_fr": facts.label_fr,
        "label_en": facts.label_en,
        "unit_fr": facts.unit_fr,
        "unit_en": facts.unit_en,
        "kind": facts.kind,
        "launch": facts.launch.model_dump(mode="json"),
        "definitions": [each.model_dump(mode="json") for each in facts.definitions],
        "fitted_definition": series.definition.id,
        "points": [_plain(point, series) for point in series.points],
        "years_without_figure": list(gaps(series)),
        "potential": facts.potential.model_dump(mode="json") if facts.potential else None,
    }


def _plain(point: Point, series: Series) -> dict[str, Any]:
    names = ("id", "at", "year", "value", "bound", "definition", "source", "confidence", "out_fr", "out_en")
    return {**{name: getattr(point, name) for name in names}, "fitted": point in series.fitted}


# points --------------------------------------------------------------------------------------------------------------


def _point(row: Reach, facts: SeriesFacts) -> Point:
    out_fr, out_en = _left_out(row, facts)
    return Point(
        id=row.id,
        at=_when(row.date, row.year, facts.kind),
        year=row.year,
        value=row.value,
        bound=row.bound,
        definition=_definition(row, facts),
        source=row.source_address,
        confidence=row.confidence,
        out_fr=out_fr,
        out_en=out_en,
    )


def _when(date: str, year: int, kind: Kind) -> float:
    month = date[5:7]
    if kind == "flow" or not month.isdigit():
        return year + 0.5
    return year + (int(month) - 0.5) / 12


def _left_out(row: Reach, facts: SeriesFacts) -> tuple[str, str]:
    for each in facts.leave_out:
        if each.reach == row.id:
            return each.why_fr, each.why_en
    if row.confidence in WEAK:
        return french(_WEAK_FR[row.confidence]), _WEAK_EN[row.confidence]
    return "", ""


def _definition(row: Reach, facts: SeriesFacts) -> str:
    for each in facts.definitions:
        if each.since <= row.year <= (each.until or row.year):
            return each.id
    raise DataError(
        code="E-DIF-002",
        what="Nobody says what this figure counts.",
        where=f"{FILE}, series {facts.id}, definitions",
        found=f"{row.id}, of {row.year}",
        expected="a definition whose years hold it",
        fix="add a definition, or correct since and until",
    )


def _main_definition(points: Sequence[Point], facts: SeriesFacts) -> Definition:
    counts = Counter(point.definition for point in points if point.used)
    return max(facts.definitions, key=lambda each: (counts[each.id], each.since))


# refusals ------------------------------------------------------------------------------------------------------------


def _refuse_other_kinds(rows: Sequence[Reach], facts: SeriesFacts) -> None:
    left = {each.reach for each in facts.leave_out}
    wrong = [row for row in rows if row.kind != facts.kind and row.id not in left]
    if wrong or not rows:
        raise DataError(
            code="E-DIF-003",
            what="A series mixes flows, stocks and totals.",
            where=f"{FILE}, series {facts.id}",
            found=f"{wrong[0].id} is a {wrong[0].kind}" if wrong else "no figure",
            expected=f"figures of kind {facts.kind}",
            fix="leave the figure out, or make a series of its own",
        )


def _refuse_twins(points: Sequence[Point], facts: SeriesFacts) -> None:
    for first, second in _pairs(points):
        if first.at == second.at:
            raise DataError(
                code="E-DIF-004",
                what="Two figures of one series stand for one date.",
                where=f"data/portfolio/reach.csv, series {facts.id}",
                found=f"{first.id}: {first.value:g}; {second.id}: {second.value:g}",
                expected="one figure for each date",
                fix=f"say in {FILE}, leave_out, which one stays out, and why",
            )


def _refuse_falls(points: Sequence[Point], facts: SeriesFacts) -> None:
    if facts.kind != "cumulative":
        return
    for first, second in _pairs(points):
        if second.value < first.value:
            raise DataError(
                code="E-DIF-005",
                what="A total since the start falls.",
                where=f"data/portfolio/reach.csv, series {facts.id}",
                found=f"{first.id}: {first.value:g}, then {second.id}: {second.value:g}",
                expected="a total that never falls",
                fix="check both figures; a change of definition is declared in definitions",
            )


def _pairs(points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Neighbours that may be fitted and count the same thing."""
    used = [point for point in points if point.used]
    for first, second in pairwise(used):
        if first.definition == second.definition:
            yield first, second
