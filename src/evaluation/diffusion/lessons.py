"""Lessons of past diffusions, counted from coded facts: how many of those with a feature reached scale.

The cases were chosen because they are known, not drawn: the table counts, and tests nothing. Whether scale was reached
and whether an effect was measured are two columns, because spread is not impact.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from evaluation.settings.diffusion import Case

FEATURES: Final = ("channel", "standardised", "state_rollout", "accompaniment_bottleneck", "success_was")
SMALL_FR: Final = (
    "{count} cas choisis parce qu'ils sont connus, et non tirés au sort : ce tableau compte, il ne prouve pas. "
    "Un seul cas de plus peut changer une ligne."
)
SMALL_EN: Final = (
    "{count} cases chosen because they are known, not drawn: this table counts and proves nothing. "
    "One more case can change a line."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Cases that share one value of one feature.

    Attributes:
        cases: their ids.
        scale_known, reached: of how many the scale is known, and how many of these reached it.
        effect_known: of how many an effect was measured with a comparison.
        unknown: the value itself is 'unknown': no lesson can be drawn from it.
    """

    feature: str
    value: str
    cases: tuple[str, ...]
    scale_known: int
    reached: int
    effect_known: int
    unknown: bool


def lessons(cases: Sequence[Case]) -> tuple[Lesson, ...]:
    """One row for each value of each feature, in the order of the file."""
    return tuple(
        _lesson(feature, value, [case for case in cases if getattr(case, feature) == value])
        for feature in FEATURES
        for value in dict.fromkeys(getattr(case, feature) for case in cases)
    )


def as_dict(cases: Sequence[Case]) -> dict[str, Any]:
    """The table, its cases with their sources, and how little it proves."""
    return {
        "lessons": [asdict(row) for row in lessons(cases)],
        "cases": [case.model_dump(mode="json") for case in cases],
        "caution_fr": SMALL_FR.format(count=len(cases)),
        "caution_en": SMALL_EN.format(count=len(cases)),
    }


def _lesson(feature: str, value: str, cases: Sequence[Case]) -> Lesson:
    known = [case for case in cases if case.scale != "unknown"]
    return Lesson(
        feature=feature,
        value=value,
        cases=tuple(case.id for case in cases),
        scale_known=len(known),
        reached=sum(case.scale == "reached" for case in known),
        effect_known=sum(case.effect_known == "yes" for case in cases),
        unknown=value == "unknown",
    )
