"""What it would take to overturn a finding, as sentences made from its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from evaluation.report import locale
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

Row = Mapping[str, Any]

_SHARES: Final = ("hidden_share", "direct_effect", "extra_followed")  # measures whose numbers are parts of a whole
_SIGNIFICANT: Final = 2


def sentences(rows: Sequence[Row], lang: Lang) -> list[str]:
    """A sentence for each measure of a record, the judged one first."""
    return [sentence(row, lang) for row in sorted(rows, key=lambda row: not row["judged"])]


def sentence(row: Row, lang: Lang) -> str:
    """What would have to be so, how much of it, and what would happen then.

    Args:
        row: measure, overturns, value, unbounded, already, benchmark, benchmark_name: of the record, or of
            `tables["sensitivity"]`.
        lang: language.
    """
    t, measure, way = texts(lang), row["measure"], row["overturns"]
    label = t(f"overturn.label_{measure}")
    if measure == "cannot_be_judged":
        return t("overturn.cannot_be_judged")
    if _absent(row["value"]):
        return t("overturn.missing", label=label)
    if row["already"]:
        return t(f"overturn.already_{way}", label=label)
    said = t(f"overturn.{way}")
    if row["unbounded"]:
        return t("overturn.unbounded", label=label, way=said)
    alone = measure == "hidden_share" and _absent(row["benchmark"])
    values = {"value": _written(measure, row["value"], lang), "way": said, "name": row["benchmark_name"]}
    values |= {} if _absent(row["benchmark"]) else {"benchmark": _written(measure, row["benchmark"], lang)}
    return t(f"overturn.{measure}{'_alone' if alone else ''}", **values)


def _absent(value: float | None) -> bool:
    """A table holds NaN where a record holds nothing."""
    return value is None or math.isnan(value)


def _written(measure: str, value: float, lang: Lang) -> str:
    """Two significant digits: more would say more than such a number can."""
    rounded = float(f"{value:.{_SIGNIFICANT}g}")
    return locale.percent(rounded, lang) if measure in _SHARES else locale.number(rounded, lang)
