"""The share of a need that an innovation covers: reach / need, with both figures, their years and their sources.

A share says whether it is a flow (people reached in one year) or a stock (people reached at one date, or since the
start). Several measures of the need give a range; the lowest share is the one printed. Where the two figures do not
count the same thing, or where nobody has counted, there is no share, and the row says what to collect.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.needs.burden import Estimate, estimates, figure_of
from evaluation.settings.facts import CoverageLink, Innovation, Territory
from evaluation.settings.observations import Need, Reach
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.typography import french

FRANCE = "france"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a need one innovation covers in one place.

    Attributes:
        territory: slug of a test territory, or "france".
        need: the measure with the lowest share; `alternatives` are the others.
        share: reach / need, the lowest of all measures; None where it would mean nothing.
        share_low, share_high: lowest and highest share over the measures and their ranges.
        share_kind: flow (in a year) or stock; None without a share.
    """

    innovation: str
    difficulty: str
    territory: str
    territory_label_fr: str
    territory_label_en: str
    need: dict[str, Any] | None
    alternatives: tuple[dict[str, Any], ...]
    reach: dict[str, Any] | None
    share: float | None
    share_low: float | None
    share_high: float | None
    share_kind: Literal["flow", "stock"] | None
    note_fr: str
    note_en: str
    to_collect_fr: str
    to_collect_en: str

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data, for coverage.json."""
        return asdict(self)


def coverage(portfolio: Portfolio) -> tuple[Coverage, ...]:
    """One row for every innovation to decide on, in France and in every test territory.

    Raises:
        ParametersError: a need cannot be divided by, or more people are reached than need it.
    """
    return tuple(row for innovation in portfolio.decision_innovations for row in _rows(innovation, portfolio))


def write(portfolio: Portfolio) -> Path:
    """Write data/diffusion/coverage.json; return its path."""
    target = store.path("data", "diffusion", "coverage.json")
    store.write_json(target, [row.as_dict() for row in coverage(portfolio)])
    return target


def shares(reach: float, needs: Sequence[Need]) -> tuple[float, float]:
    """Lowest and highest share of the need: reach / largest need, reach / smallest need.

    Args:
        reach: people reached.
        needs: measures of the same need; a range counts with both ends.

    Raises:
        ParametersError: a measure is a rate or zero, or the reach exceeds the smallest measure.
    """
    bounds = [bound for need in needs for bound in _bounds(need)]
    low, high = reach / max(bounds), reach / min(bounds)
    if high > 1:
        raise ParametersError(
            code="E-DIFF-002",
            what="More people are reached than have the need.",
            where="data/portfolio/innovations.yaml, coverage",
            found=f"reach {reach:g}, need {min(bounds):g} ({', '.join(need.id for need in needs)})",
            expected="a reach and a need that count the same people",
            fix="choose another measure of the need, or mark the reach as not comparable",
        )
    return low, high


def _bounds(need: Need) -> list[float]:
    bounds = [bound for bound in (need.low, need.value, need.high) if bound is not None]
    if need.kind == "rate" or min(bounds) <= 0:
        raise ParametersError(
            code="E-DIFF-001",
            what="A share of a need takes a number of people.",
            where=f"data/portfolio/needs.csv, {need.id}",
            found=f"kind {need.kind}, {', '.join(f'{bound:g}' for bound in bounds)}",
            expected="a stock or a flow of people, above zero",
            fix="link another need figure to this innovation",
        )
    return bounds


# rows ----------------------------------------------------------------------------------------------------------------


def _rows(innovation: Innovation, portfolio: Portfolio) -> Iterator[Coverage]:
    link = innovation.coverage
    yield _national(innovation, link, portfolio) if link else _uncounted(innovation)
    for territory in portfolio.test_territories:
        yield _local(innovation, territory, portfolio)


def _national(innovation: Innovation, link: CoverageLink, portfolio: Portfolio) -> Coverage:
    reach = portfolio.reached(link.reach)
    needs = sorted((portfolio.need(need) for need in link.needs), key=lambda need: -max(_ends(need)))
    known = reach.comparable and bool(needs)
    low, high = shares(reach.value, needs) if known else (None, None)
    figures = [_need_figure(need) for need in needs]
    collect_fr, collect_en = ("", "") if known else _comparable_missing(needs)
    return Coverage(
        innovation=innovation.id,
        difficulty=str(innovation.difficulty),
        territory=FRANCE,
        territory_label_fr="France",
        territory_label_en="France",
        need=figures[0] if figures else None,
        alternatives=tuple(figures[1:]),
        reach=_reach_figure(reach),
        share=low,
        share_low=low,
        share_high=high,
        share_kind=_share_kind(reach) if known else None,
        note_fr=_note_fr(reach, link),
        note_en=_note_en(reach, link),
        to_collect_fr=collect_fr,
        to_collect_en=collect_en,
    )


def _uncounted(innovation: Innovation) -> Coverage:
    """Nobody has counted, or there is nothing to count because the programme is not in France."""
    if innovation.in_france:
        note_fr, note_en = "Portée en France non trouvée.", "Reach in France not found."
        collect_fr = "Nombre de personnes aidées chaque année en France, programme par programme."
        collect_en = "People helped each year in France, programme by programme."
    else:
        note_fr = "Ce programme n'existe pas en France, à notre connaissance."
        note_en = "This programme does not exist in France, as far as we know."
        collect_fr = collect_en = ""
    return _without_share(innovation, FRANCE, ("France", "France"), (note_fr, note_en), (collect_fr, collect_en), ())


def _local(innovation: Innovation, territory: Territory, portfolio: Portfolio) -> Coverage:
    """Local reach is not known for any innovation yet; the need is, at best, a synthetic estimate."""
    found = estimates(portfolio, str(innovation.difficulty), territory) if innovation.coverage else ()
    needs = tuple(_estimate_figure(each) for each in sorted(found, key=lambda each: -each.value))
    note_fr = "Portée locale inconnue : la part couverte ne peut pas être calculée."
    note_en = "Local reach unknown: the share covered cannot be computed."
    collect_fr = f"Nombre de personnes aidées chaque année, programme par programme : {territory.label_fr}."
    collect_en = f"People helped each year, programme by programme: {territory.label_en}."
    labels = (territory.label_fr, territory.label_en)
    return _without_share(innovation, territory.id, labels, (note_fr, note_en), (collect_fr, collect_en), needs)


def _without_share(
    innovation: Innovation,
    territory: str,
    labels: tuple[str, str],
    note: tuple[str, str],
    to_collect: tuple[str, str],
    needs: tuple[dict[str, Any], ...],
) -> Coverage:
    """Texts are (French, English)."""
    return Coverage(
        innovation=innovation.id,
        difficulty=str(innovation.difficulty),
        territory=territory,
        territory_label_fr=labels[0],
        territory_label_en=labels[1],
        need=needs[0] if needs else None,
        alternatives=needs[1:],
        reach=None,
        share=None,
        share_low=None,
        share_high=None,
        share_kind=None,
        note_fr=french(note[0]),
        note_en=note[1],
        to_collect_fr=french(to_collect[0]),
        to_collect_en=to_collect[1],
    )


# figures and words ---------------------------------------------------------------------------------------------------


def _ends(need: Need) -> list[float]:
    return [bound for bound in (need.low, need.value, need.high) if bound is not None]


def _need_figure(need: Need) -> dict[str, Any]:
    """A range is shown by its upper end, which gives the lowest share."""
    return {**figure_of(need), "value": max(_ends(need)), "synthetic": False}


def _estimate_figure(estimate: Estimate) -> dict[str, Any]:
    return {**asdict(estimate), "low": None, "high": None, "kind": "stock", "source_title": ""}


def _reach_figure(reach: Reach) -> dict[str, Any]:
    return {
        "id": reach.id,
        "label_fr": reach.label_fr,
        "label_en": reach.label_en,
        "value": reach.value,
        "bound": reach.bound,
        "unit_fr": reach.unit_fr,
        "unit_en": reach.unit,
        "year": reach.year,
        "kind": _share_kind(reach),
        "source": reach.source_address,
        "source_title": reach.source_title,
        "confidence": reach.confidence,
    }


def _share_kind(reach: Reach) -> Literal["flow", "stock"]:
    return "flow" if reach.kind == "flow" else "stock"


def _note_fr(reach: Reach, link: CoverageLink) -> str:
    since = ["Nombre cumulé depuis l'origine."] if reach.kind == "cumulative" else []
    return french(" ".join([*since, link.note_fr]).strip())


def _note_en(reach: Reach, link: CoverageLink) -> str:
    since = ["A total since the start."] if reach.kind == "cumulative" else []
    return " ".join([*since, link.note_en]).strip()


def _comparable_missing(needs: Sequence[Need]) -> tuple[str, str]:
    if needs:
        return (
            "Nombre de personnes différentes aidées, dans la même unité que le besoin.",
            "Number of different people helped, in the same unit as the need.",
        )
    return "Nombre de personnes ayant ce besoin en France.", "Number of people with this need in France."
