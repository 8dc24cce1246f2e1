"""Time: periods as whole numbers, and the first treated period of each unit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.sample.table import Table, as_text, equal, nearest, parse, shown, texts, where, zero_one
from evaluation.settings.designs import Cohort

# How periods may be written, and how many of them make a year; their order as text is their order in time.
LABELS = {
    "-": (re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])"), 12),
    "-Q": (re.compile(r"([12][0-9]{3})-Q([1-4])"), 4),
    "-T": (re.compile(r"([12][0-9]{3})-T([1-4])"), 4),
    "-S": (re.compile(r"([12][0-9]{3})-S([12])"), 2),
}
FIRST_YEAR = 1000  # periods from here on are years, and a cohort below it is a code

NEVER = -(2**62)  # stands for <NA> where missing values would not be counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """How cells of the time column become whole numbers.

    Attributes:
        mark: key of LABELS; "" where cells are whole numbers already.
        start: number of the period before the first one, counted from the year 0, for labels.
    """

    mark: str = ""
    start: int = 0

    def number(self, cell: Any) -> int | None:
        """The period that a cell or a value of the design means; None if it means none."""
        if not self.mark:
            return _whole(cell)
        pattern, per_year = LABELS[self.mark]
        match = pattern.fullmatch(as_text(cell).strip())
        return int(match[1]) * per_year + int(match[2]) - 1 - self.start if match else None

    def label(self, period: int) -> str:
        """The text of a period."""
        if not self.mark:
            return str(period)
        per_year = LABELS[self.mark][1]
        year, part = divmod(period + self.start, per_year)
        return f"{year}{self.mark}{part + 1:02d}" if per_year == 12 else f"{year}{self.mark}{part + 1}"


def read_periods(table: Table, column: str) -> tuple["pd.Series[Any]", Calendar]:
    """The time column as Int64, missing where the cell is missing; labels are counted from the first one, as 1.

    Raises:
        DataError: a cell is neither a whole number nor a label such as 2011, 2011-07, 2011-Q3, 2011-S1.
    """
    values, bad = parse(table, column)
    if not bad.any():
        return _to_periods(table, column, Calendar(), values.notna()), Calendar()
    cells = texts(table, column).dropna().str.strip()
    fits = {
        mark: cells.map(lambda cell, p=pattern: p.fullmatch(cell) is not None) for mark, (pattern, _) in LABELS.items()
    }
    mark = max(fits, key=lambda mark: int(fits[mark].sum()))
    first = min((n for cell in cells if (n := Calendar(mark=mark).number(cell)) is not None), default=1)
    calendar = Calendar(mark=mark if fits[mark].any() else "", start=first - 1)
    return _to_periods(table, column, calendar, table.frame[column].notna()), calendar


def read_cohorts(
    table: Table, cohort: Cohort, calendar: Calendar, unit: "pd.Series[Any]", period: "pd.Series[Any]"
) -> "pd.Series[Any]":
    """First treated period of each row's unit as Int64, <NA> = never treated.

    Args:
        table: rows; those without unit or period are left aside already.
        cohort: the design's way to say it.
        calendar: of the time column.
        unit: id of each row's unit.
        period: period of each row.

    Raises:
        DataError: the column or indicator contradicts itself or the periods.
    """
    if cohort.units is not None:
        return _named_units(table, cohort.units, calendar, unit)
    if cohort.indicator is not None:
        return _first_one(table, cohort.indicator, cohort.once, calendar, unit, period)
    return _cohort_column(table, str(cohort.column), cohort.never, calendar, unit, period)


def _to_periods(table: Table, column: str, calendar: Calendar, wanted: "pd.Series[bool]") -> "pd.Series[Any]":
    cells = table.frame[column][wanted]
    if calendar.mark:
        numbers = cells.map(calendar.number)
    else:
        values = parse(table, column)[0][wanted]
        numbers = values.where(np.isfinite(values) & (values == np.floor(values)) & (values.abs() < 2**53))
    bad = numbers.isna()
    if bad.any():
        raise DataError(
            code="E-DATA-031",
            what=f"Column '{column}' holds values that are not periods.",
            where=where(table, bad.index[bad], column),
            found=shown(cells[bad]),
            expected=f"labels such as {calendar.label(1)}"
            if calendar.mark
            else "whole numbers such as 2011, or labels "
            "such as 2011-07, 2011-Q3, 2011-T3 or 2011-S1, the same kind in all rows",
            fix="write periods in one of these ways; codes for 'never treated' stand under cohort: never: [code]",
        )
    return numbers.astype("Int64").reindex(table.frame.index)


def _whole(cell: Any) -> int | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return int(value) if np.isfinite(value) and value == int(value) else None


# three ways to say when treatment started ----------------------------------------------------------------------------


def _cohort_column(
    table: Table,
    column: str,
    never: tuple[Any, ...],
    calendar: Calendar,
    unit: "pd.Series[Any]",
    period: "pd.Series[Any]",
) -> "pd.Series[Any]":
    is_never = table.frame[column].isna()
    for code in never:
        is_never |= equal(table, column, code)
    cohorts = _to_periods(table, column, calendar, ~is_never)
    _require_periods_not_codes(table, column, cohorts, calendar, period)
    changing = cohorts.fillna(NEVER).groupby(unit).transform("nunique") > 1
    if changing.any():
        raise DataError(
            code="E-DATA-032",
            what=f"Column '{column}' changes within a unit: {unit[changing].nunique()} units have several cohorts.",
            where=where(table, changing, column),
            found=f"units {shown(unit[changing])}",
            expected="one first treated period a unit",
            fix="correct the file; if the column says whether a unit is treated in each period, "
            "write cohort: {indicator: …}",
        )
    return cohorts


def _require_periods_not_codes(
    table: Table, column: str, cohorts: "pd.Series[Any]", calendar: Calendar, period: "pd.Series[Any]"
) -> None:
    """0 taken as a period would turn units that were never treated into units always treated."""
    first = period.min()
    lowest = FIRST_YEAR if first >= FIRST_YEAR else 1
    code = (cohorts < lowest) & (first >= lowest) & (not calendar.mark)
    if code.fillna(False).any():
        codes = ", ".join(str(value) for value in sorted(set(cohorts[code.fillna(False)])))
        raise DataError(
            code="E-DATA-033",
            what=f"Column '{column}' holds numbers that cannot be periods.",
            where=where(table, code.fillna(False), column),
            found=codes,
            expected=f"periods like those of the time column, which starts at {first}",
            fix=f"if they mean never treated, write cohort: {{column: {column}, never: [{codes}]}}; "
            "if these units were treated before the data start, give the true period",
        )


def _first_one(
    table: Table, column: str, once: bool, calendar: Calendar, unit: "pd.Series[Any]", period: "pd.Series[Any]"
) -> "pd.Series[Any]":
    treated = zero_one(table, column, "cohort: indicator")
    known = pd.DataFrame({"unit": unit, "period": period, "treated": treated}).dropna().sort_values(["unit", "period"])
    back = (known.groupby("unit")["treated"].diff() < 0).reindex(treated.index, fill_value=False)
    if back.any() and not once:
        dates = [f"{as_text(u)} in {calendar.label(int(p))}" for u, p in zip(unit[back], period[back], strict=True)]
        raise DataError(
            code="E-DATA-034",
            what=f"The indicator '{column}' switches back to 0: {unit[back].nunique()} units leave the treatment.",
            where=where(table, back, column),
            found=", ".join(dates[:5]) + (f" and {len(dates) - 5} more" if len(dates) > 5 else ""),
            expected="1 from the first treated period on",
            fix="if 1 marks the first treated period only and the treatment lasts, write cohort: "
            f"{{indicator: {column}, once: true}}; effects of leaving a treatment are not estimated",
        )
    return period.where(treated == 1).groupby(unit).transform("min").astype("Int64")


def _named_units(
    table: Table, units: Mapping[Any, Any], calendar: Calendar, unit: "pd.Series[Any]"
) -> "pd.Series[Any]":
    ids = unit.map(as_text)
    known = list(dict.fromkeys(ids))
    starts = {as_text(name): calendar.number(period) for name, period in units.items()}
    absent = [name for name in starts if name not in {*known}]
    if absent:
        close = nearest(absent[0], known)
        raise DataError(
            code="E-DATA-035",
            what="The design says when units were treated first that are not in the data.",
            where="cohort: units",
            found=f"no {shown(absent)}" + (f" (did you mean {close!r}?)" if close else ""),
            expected=f"units of the data: {shown(known, 12)}",
            fix="correct the names under cohort: units",
        )
    unclear = [str(units[name]) for name in units if starts[as_text(name)] is None]
    if unclear:
        raise DataError(
            code="E-DATA-036",
            what="The design gives a first treated period that is not written as the time column is.",
            where="cohort: units",
            found=shown(unclear),
            expected=f"a period such as {calendar.label(1) if calendar.mark else 2011}",
            fix="write it as in the data",
        )
    return ids.map(starts).astype("Int64")
