"""Numbers behind the drawings of the documents: where things stand on a line, as shares of its length."""

from collections.abc import Mapping
from typing import Any, Final

from evaluation.report import words
from evaluation.report.locale import Lang

View = dict[str, Any]

_MARGIN: Final = 0.18  # of the line kept free on either side, so that labels fit

# How a class of comparison is drawn; the drawings stand in schema.typ.
SCHEMAS: Final[Mapping[str, str]] = {
    "randomised": "lottery",
    "randomised_cluster": "lottery",
    "lottery": "lottery",
    "experiment": "lottery",
    "discontinuity": "threshold",
    "instrument": "instrument",
    "event_study": "trends",
    "synthetic_control": "trends",
    "matched_did": "trends",
    "did": "trends",
    "before_after_adjusted": "before_after",
    "before_after": "before_after",
    "matching_pretest": "pairs",
    "matching": "pairs",
    "weighting": "pairs",
    "comparison_group": "apart",
    "raw_comparison": "apart",
    "meta_analysis_randomised": "studies",
    "meta_analysis": "studies",
}
_ALONE: Final = "alone"


def schema(design_class: str) -> str:
    """Name of the drawing of a class of comparison; 'alone' where there is no comparison group."""
    return SCHEMAS.get(design_class, _ALONE)


def interval(told: words.Claimed, lang: Lang) -> View | None:
    """Where an effect, its interval, no effect and the useful effects stand on a line.

    Args:
        told: what the finding says.
        lang: language of the label.

    Returns:
        Shares of the line from 0 to 1: `estimate`, `low` and `high` (None where no interval was read), `zero`, `useful`
        (from, to; None where nobody said what is worth having); `label`, `valence`, `alt`. None without an amount.
    """
    if told.kind != "effect" or told.estimate is None:
        return None
    ends = [value for value in (told.ci_low, told.ci_high) if told.has_interval and value is not None]
    bound = _useful_from(told)
    place = _scale([told.estimate, told.no_effect, *ends, *([] if bound is None else [bound])])
    return {
        "estimate": place(told.estimate),
        "low": place(ends[0]) if ends else None,
        "high": place(ends[1]) if ends else None,
        "zero": place(told.no_effect),
        "useful": None if bound is None else ((0.0, place(bound)) if bound < told.no_effect else (place(bound), 1.0)),
        "label": words.amount(told, lang),
        "valence": words.valence(told),
        "alt": words.sentence(told, lang),
    }


def _useful_from(told: words.Claimed) -> float | None:
    """The smallest effect worth having, on the good side of no effect."""
    if not told.smallest_effect or told.better is None:
        return None
    reach = abs(told.smallest_effect)
    return told.no_effect + (reach if told.better == "higher" else -reach)


def _scale(values: list[float]) -> Any:
    low, high = min(values), max(values)
    length = (high - low) or 1.0

    def place(value: float) -> float:
        return round(_MARGIN + (1 - 2 * _MARGIN) * (value - low) / length, 4)

    return place
