"""The burden of a difficulty, part by part: prevalence × severity × persistence × unmet share, in person-years.

Each part is an interval from figures that were read; the parts are always shown, the product never alone. A share that
nobody measured is anything between none and all, so that a product with it is only a ceiling; without a number of
people or of years there is no product. What a part is made of, its vintage and its sources travel with it.

Persistence is the number of years over which one series shows the difficulty: a difficulty that is measured in 2016 and
in 2022 has lasted six years at least. It says nothing of how long one person lives it, unless a figure of kind
`duration` does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evaluation.needs.burden import Estimate, estimates
from evaluation.settings.facts import Difficulty, Innovation
from evaluation.settings.observations import Need, Reach
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.typography import french

FRANCE = "france"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One factor of a burden.

    Attributes:
        name: prevalence | severity | persistence | unmet.
        low, high: bounds; None where nothing was read.
        known: whether a figure was read; an unknown share keeps the bounds 0 and 1.
        at_least: the true value may be above `high` (years since the first measure).
        basis_fr, basis_en: figures, vintage, and how they were put together.
        sources: addresses.
    """

    name: str
    low: float | None
    high: float | None
    unit_fr: str
    unit_en: str
    known: bool
    at_least: bool
    basis_fr: str
    basis_en: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The burden of one difficulty in one place.

    Attributes:
        territory: slug of a test territory, or "france".
        parts: the four factors, in the order of the formula.
        low, high: person-years of unmet need since the first measure; None without a number of people or of years.
        missing: names of the parts that nobody measured; where there is one, `high` is a ceiling and `low` is 0.
        synthetic: the number of people is a national one scaled by population.
    """

    difficulty: str
    territory: str
    parts: tuple[Part, ...]
    low: float | None
    high: float | None
    missing: tuple[str, ...]
    synthetic: bool

    def as_dict(self) -> dict[str, Any]:
        """The burden as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """First and last figure of one series: of a need, or of an answer to it."""

    kind: str
    series: str
    label_fr: str
    label_en: str
    first_year: int
    last_year: int
    first: float
    last: float
    unit_fr: str
    unit_en: str


def loads(portfolio: Portfolio, difficulty: Difficulty) -> tuple[Load, ...]:
    """The burden in France, then in every test territory."""
    return tuple(
        _load(portfolio, difficulty, place) for place in (FRANCE, *(row.id for row in portfolio.test_territories))
    )


def trends(portfolio: Portfolio, difficulty: Difficulty) -> tuple[Trend, ...]:
    """Series with two dates at least: of the need, then of the innovations that answer it."""
    innovations = {row.id for row in portfolio.innovations if row.difficulty == difficulty.id}
    answers = [row for row in portfolio.reach if row.innovation in innovations]
    return (*_trends("need", portfolio.needs_of(difficulty.id)), *_trends("answer", answers))


def _load(portfolio: Portfolio, difficulty: Difficulty, place: str) -> Load:
    parts = (
        _prevalence(portfolio, difficulty, place),
        _severity(difficulty),
        _persistence(portfolio, difficulty),
        _unmet(portfolio, difficulty),
    )
    low, high = _product(parts)
    return Load(
        difficulty=difficulty.id,
        territory=place,
        parts=parts,
        low=low,
        high=high,
        missing=tuple(part.name for part in parts if not part.known),
        synthetic=place != FRANCE,
    )


def _product(parts: Sequence[Part]) -> tuple[float | None, float | None]:
    """Bounds of a product of factors that are none below zero: product of the lower and of the upper bounds."""
    low, high = 1.0, 1.0
    for part in parts:
        if part.low is None or part.high is None:
            return None, None
        low, high = low * part.low, high * part.high
    return float(f"{low:.3g}"), float(f"{high:.3g}")


# parts ---------------------------------------------------------------------------------------------------------------


def _prevalence(portfolio: Portfolio, difficulty: Difficulty, place: str) -> Part:
    """People concerned: measures that count people, smallest to largest; scaled where the place is not France."""
    if place == FRANCE:
        needs = _measures(portfolio, difficulty)
        values = [bound for need in needs for bound in _bounds(need)]
        units = _one({(need.unit_fr, need.unit) for need in needs})
        return _part("prevalence", values, units, _said(needs, "fr"), _said(needs, "en"), _sources(needs))
    found = estimates(portfolio, difficulty.id, portfolio.territory(place))
    fr, en = _scaled_said(found)
    values, units = [each.value for each in found], _one({(each.unit_fr, each.unit_en) for each in found})
    return _part("prevalence", values, units, fr, en, tuple(dict.fromkeys(each.source for each in found)))


def _one(units: set[tuple[str, str]]) -> tuple[str, str]:
    """The unit that all measures share, or people."""
    return next(iter(units)) if len(units) == 1 else ("personnes", "people")


def _severity(difficulty: Difficulty) -> Part:
    """Share of those concerned who are hit hard."""
    figures = [figure for figure in difficulty.figures if figure.kind == "severity"]
    values = [figure.value / 100 for figure in figures]
    fr = " ; ".join(f"{figure.label_fr} ({figure.year})" for figure in figures)
    en = "; ".join(f"{figure.label_en} ({figure.year})" for figure in figures)
    sources = tuple(dict.fromkeys(figure.source_address for figure in figures if figure.source_address))
    return _share("severity", values, fr, en, sources)


def _persistence(portfolio: Portfolio, difficulty: Difficulty) -> Part:
    """Years a person lives it, where that was measured; otherwise years between first and last measure of a series."""
    lived = [figure for figure in difficulty.figures if figure.kind == "duration"]
    if lived:
        sources = tuple(figure.source_address for figure in lived)
        fr, en = "; ".join(f.label_fr for f in lived), "; ".join(f.label_en for f in lived)
        return _part("persistence", [figure.value for figure in lived], ("ans", "years"), fr, en, sources)
    spans = [row for row in trends(portfolio, difficulty) if row.kind == "need"]
    longest = max((row.last_year - row.first_year for row in spans), default=None)
    row = next((row for row in spans if row.last_year - row.first_year == longest), None)
    fr = f"au moins : de {row.first_year} à {row.last_year}, {row.label_fr}" if row else ""
    en = f"at least: {row.first_year} to {row.last_year}, {row.label_en}" if row else ""
    values = [float(longest)] if longest else []
    sources = _sources(need for need in portfolio.needs_of(difficulty.id) if row and need.series == row.series)
    return _part("persistence", values, ("ans", "years"), fr, en, sources, at_least=bool(values))


def _unmet(portfolio: Portfolio, difficulty: Difficulty) -> Part:
    """One minus the share reached: between the sum of all known shares (nobody twice) and the largest of them.

    A share divides people reached in a year, or at one date, by the measures of the need in France that its innovation
    is linked to; being reached is not being helped, so that this is a floor of what is unmet.
    """
    shares = {
        f"{row.label_fr} ({kind[0]})": (f"{row.label_en} ({kind[1]})", _reached(portfolio, row))
        for row in _linked(portfolio, difficulty)
        for kind in [_flow_or_stock(portfolio, row)]
    }
    known = {label: (en, pair) for label, (en, pair) in shares.items() if pair is not None}
    lows, highs = [pair[0] for _, pair in known.values()], [pair[1] for _, pair in known.values()]
    values = [max(0.0, 1 - sum(highs)), 1 - max(lows)] if known else []
    fr = f"un moins la part atteinte en France : {', '.join(known)}" if known else ""
    en = f"one minus the share reached in France: {', '.join(label for label, _ in known.values())}" if known else ""
    reach = [portfolio.reached(row.coverage.reach) for row in _linked(portfolio, difficulty) if row.coverage]
    sources = tuple(dict.fromkeys(row.source_address for row in reach if known and row.source_address))
    return _share("unmet", values, fr, en, sources)


def _linked(portfolio: Portfolio, difficulty: Difficulty) -> list[Innovation]:
    return [row for row in portfolio.decision_innovations if row.difficulty == difficulty.id and row.coverage]


def _flow_or_stock(portfolio: Portfolio, innovation: Innovation) -> tuple[str, str]:
    flow = innovation.coverage is not None and portfolio.reached(innovation.coverage.reach).kind == "flow"
    return ("par an", "a year") if flow else ("au total", "in all")


def _reached(portfolio: Portfolio, innovation: Innovation) -> tuple[float, float] | None:
    """Lowest and highest share of the need reached; None where the two figures do not count the same people."""
    link = innovation.coverage
    reach = portfolio.reached(link.reach) if link else None
    bounds = [bound for name in (link.needs if link else ()) for bound in _bounds(portfolio.need(name))]
    if reach is None or not reach.comparable or not bounds:
        return None
    return min(1.0, reach.value / max(bounds)), min(1.0, reach.value / min(bounds))


# words ---------------------------------------------------------------------------------------------------------------


def _part(
    name: str,
    values: Sequence[float],
    units: tuple[str, str],
    basis_fr: str,
    basis_en: str,
    sources: tuple[str, ...],
    *,
    at_least: bool = False,
) -> Part:
    known = bool(values)
    return Part(
        name=name,
        low=min(values) if known else None,
        high=max(values) if known else None,
        unit_fr=units[0],
        unit_en=units[1],
        known=known,
        at_least=at_least,
        basis_fr=french(basis_fr or "aucun chiffre lu : à recueillir"),
        basis_en=basis_en or "no figure read: to be collected",
        sources=sources,
    )


def _share(name: str, values: Sequence[float], fr: str, en: str, sources: tuple[str, ...]) -> Part:
    """A part that is a share: unknown, it lies between none and all."""
    part = _part(name, values or [0.0, 1.0], ("part", "share"), fr, en, sources)
    if values:
        return part
    return replace(part, known=False)


def _said(needs: Iterable[Need], lang: str) -> str:
    between = " ; " if lang == "fr" else "; "
    return between.join(f"{need.label_fr if lang == 'fr' else need.label_en} ({need.year or '?'})" for need in needs)


def _scaled_said(found: Sequence[Estimate]) -> tuple[str, str]:
    """The label that a scaled number carries, with its vintage."""
    if not found:
        return "", ""
    known = sorted({str(each.year) for each in found if each.year is not None})
    years_fr, years_en = ", ".join(known) or "année inconnue", ", ".join(known) or "year unknown"
    population = found[0].population_year
    return (
        f"estimation synthétique : chiffres nationaux ({years_fr}) rapportés à la population ({population})",
        f"synthetic estimate: national figures ({years_en}) scaled by population ({population})",
    )


def _sources(needs: Iterable[Need]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(need.source_address for need in needs if need.source_address))


def _bounds(need: Need) -> list[float]:
    return [bound for bound in (need.low, need.value, need.high) if bound is not None]


def _measures(portfolio: Portfolio, difficulty: Difficulty) -> list[Need]:
    """Measures of how many people live a difficulty in France.

    All measures of the thing that is scaled to territories; failing that, the last of each series that counts people;
    failing that, the flow of people that coverage is measured against. Recalled figures are shown, and carry nothing.
    """
    read = [need for need in portfolio.needs_of(difficulty.id) if need.confidence != "recalled"]
    stocks = [need for need in read if need.kind == "stock"]
    names = {need.measures for need in stocks if need.synthetic and need.measures}
    same = [need for need in stocks if need.synthetic or need.measures in names]
    people = [need for need in stocks if need.unit in ("people", "adults", "households")]
    last = {need.series: need for need in sorted(people, key=lambda need: need.year or 0)}
    linked = {name for row in _linked(portfolio, difficulty) if row.coverage for name in row.coverage.needs}
    flows = [need for need in read if need.kind == "flow" and need.id in linked]
    return same or list(last.values()) or flows


def _trends(kind: str, rows: Sequence[Need] | Sequence[Reach]) -> list[Trend]:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        if row.year is not None and row.value is not None:
            groups.setdefault(f"{row.series}|{row.unit}", []).append(row)
    found = []
    for members in groups.values():
        ordered = sorted(members, key=lambda row: (row.year, row.date))
        first, last = ordered[0], ordered[-1]
        if last.year > first.year:
            found.append(_trend(kind, first, last))
    return found


def _trend(kind: str, first: Any, last: Any) -> Trend:
    return Trend(
        kind=kind,
        series=last.series,
        label_fr=last.label_fr,
        label_en=last.label_en,
        first_year=first.year,
        last_year=last.year,
        first=first.value,
        last=last.value,
        unit_fr=last.unit_fr,
        unit_en=last.unit,
    )
