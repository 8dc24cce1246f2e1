"""The way from a need to a benefit: need, eligible, informed, offered, taken up, completed, benefited.

A step that nobody counted has no number and is listed as to be collected; a share between two steps is given only where
both count the same kind of thing (a year's flow is not divided by a stock without saying so).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from evaluation.errors import DataError
from evaluation.settings.diffusion import FILE, STEPS, FunnelFacts, FunnelStep
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.typography import french

NAMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "need": ("personnes concernées", "people with the need"),
        "eligible": ("personnes éligibles", "people who are eligible"),
        "informed": ("personnes informées", "people who were informed"),
        "offered": ("offres faites", "offers made"),
        "taken_up": ("personnes qui ont commencé", "people who took it up"),
        "completed": ("personnes allées au bout", "people who completed it"),
        "benefited": ("personnes qui vont mieux grâce à l'innovation", "people better off because of it"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One step.

    Attributes:
        value: people, or None where nobody counted.
        of_need, of_previous: shares of the need and of the last step that was counted; None where a number lacks.
        mixed: a flow stands beside a stock or a total, so that the share says how many are reached in a year.
    """

    step: str
    name_fr: str
    name_en: str
    value: float | None
    label_fr: str
    label_en: str
    year: int | None
    kind: str
    bound: str
    source: str
    confidence: str
    of_need: float | None
    of_previous: float | None
    mixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """All seven steps of one innovation.

    Attributes:
        narrowest: the step that loses most of the one counted before it; None with fewer than two numbers.
    """

    innovation: str
    levels: tuple[Level, ...]
    narrowest: str | None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Steps that nobody counted."""
        return tuple(level.step for level in self.levels if level.value is None)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with what to collect in both languages."""
        missing = [NAMES[step] for step in self.unknown]
        return {
            "innovation": self.innovation,
            "steps": [asdict(level) for level in self.levels],
            "narrowest": self.narrowest,
            "to_collect_fr": [french(f"{_number_of(fr)}{fr}.") for fr, _ in missing],
            "to_collect_en": [f"Number of {en}." for _, en in missing],
        }


def funnel(facts: FunnelFacts, portfolio: Portfolio) -> Funnel:
    """The funnel of one innovation.

    Raises:
        DataError: a step holds more people than the need, or than the offers they were made.
    """
    given: dict[str, dict[str, Any]] = {each.step: _figure(each, portfolio) for each in facts.steps}
    levels: list[Level] = []
    for step in STEPS:
        known = [level for level in levels if level.value is not None]
        levels.append(_level(step, given.get(step), known))
    _refuse_growth(facts.innovation, levels)
    shares = {level.step: level.of_previous for level in levels if level.of_previous is not None}
    return Funnel(
        innovation=facts.innovation,
        levels=tuple(levels),
        narrowest=min(shares, key=lambda step: shares[step]) if shares else None,
    )


def _number_of(name: str) -> str:
    return "Nombre d'" if name[0] in "aeiou" else "Nombre de "


def _figure(step: FunnelStep, portfolio: Portfolio) -> dict[str, Any]:
    if step.need is not None:
        need = portfolio.need(step.need)
        most = max(bound for bound in (need.low, need.value, need.high) if bound is not None)
        return _facts(need, most, need.kind, "exact")
    if step.reach is not None:
        reach = portfolio.reached(step.reach)
        return _facts(reach, reach.value, reach.kind, reach.bound)
    return _facts(step, float(step.value or 0), str(step.kind), "exact")


def _facts(row: Any, value: float, kind: str, bound: str) -> dict[str, Any]:
    return {
        "value": value,
        "label_fr": french(row.label_fr),
        "label_en": row.label_en,
        "year": row.year,
        "kind": kind,
        "bound": bound,
        "source": row.source_address,
        "confidence": row.confidence,
    }


def _level(step: str, figure: Mapping[str, Any] | None, known: list[Level]) -> Level:
    name_fr, name_en = NAMES[step]
    empty = {"label_fr": "", "label_en": "", "year": None, "kind": "", "bound": "", "source": "", "confidence": ""}
    own = figure or {"value": None, **empty}
    value = own["value"]
    need = next((level for level in known if level.step == "need"), None)
    return Level(
        step=step,
        name_fr=french(name_fr),
        name_en=name_en,
        of_need=_share(value, need),
        of_previous=_share(value, known[-1] if known else None),
        mixed=value is not None and need is not None and (own["kind"] == "flow") is not (need.kind == "flow"),
        **own,
    )


def _share(value: float | None, of: Level | None) -> float | None:
    return None if value is None or of is None or not of.value else value / of.value


def _refuse_growth(innovation: str, levels: list[Level]) -> None:
    for level in levels:
        if level.of_previous is not None and level.of_previous > 1:
            raise DataError(
                code="E-DIF-009",
                what="A step of a funnel holds more people than the one before.",
                where=f"{FILE}, funnels, {innovation}",
                found=f"{level.step}: {level.value:g}, {level.of_previous:.3g} times the step before",
                expected="steps that count the same people, fewer and fewer",
                fix="choose figures of the same people, or leave the step out",
            )
