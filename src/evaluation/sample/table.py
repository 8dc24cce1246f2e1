"""A table as read: cells that remember their file and row, and what the cells mean as numbers, texts or ids.

Text files are read as text; a column becomes numbers only where the design uses it as numbers, in the notation that
the design declares for its file. Nothing is guessed: a cell that does not fit is an error that names the key to add.
"""

import difflib
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError

MINUS = "\u2212"  # what word processors write for a minus sign
SPACES = " \u00a0\u202f\u2009"  # plain, no-break, narrow no-break, thin: all are used between thousands
EXACT_INTEGERS = 2**53  # above it a float cannot tell neighbours apart

_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
_CODE = r"0[0-9]+[0-9A-Za-z]*"
_INFINITE = rf"[+\-{MINUS}]?(?i:inf(?:inity)?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One file or package table.

    Attributes:
        name: as the design names it.
        decimal, thousands: how numbers are written in its text cells; thousands "" = not separated.
        row_word: "row" counts the line of names as row 1, as a spreadsheet does; "observation" counts from 1.
    """

    name: str
    decimal: str = "."
    thousands: str = ""
    row_word: str = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a file says about one of its columns.

    Attributes:
        label: variable label.
        value_labels: value, as text -> its label.
        missing_codes: code declared missing, in the file or in the design -> cells that held it.
    """

    label: str = ""
    value_labels: Mapping[str, str] = field(default_factory=dict)
    missing_codes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows from one or several origins.

    Attributes:
        frame: cells as read; missing cells are NaN or None.
        places: same index: `origin` (position in origins) and `row` (number in that origin).
        origins: where rows come from.
        columns: all names the files have, also of columns not kept in `frame`.
        text: columns declared text.
        info: column -> what its file says.
        joined: column that a join brought -> its own places.
    """

    frame: pd.DataFrame
    places: pd.DataFrame
    origins: tuple[Origin, ...]
    columns: tuple[str, ...]
    text: frozenset[str] = frozenset()
    info: Mapping[str, Column] = field(default_factory=dict)
    joined: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def places_of(self, column: str) -> pd.DataFrame:
        """Where the cells of a column stand."""
        return self.joined.get(column, self.places)

    def take(self, rows: "pd.Series[bool] | pd.Index") -> "Table":
        """Some of the rows, under their labels."""
        return replace(
            self,
            frame=self.frame.loc[rows],
            places=self.places.loc[rows],
            joined={column: places.loc[rows] for column, places in self.joined.items()},
        )


# what cells mean -----------------------------------------------------------------------------------------------------


def numbers(table: Table, column: str, *, infinite: bool = False, hint: str = "") -> "pd.Series[float]":
    """The column as float64, missing cells NaN.

    Args:
        table: rows.
        column: its name.
        infinite: whether ±Inf may stand in it.
        hint: another way out, for the error.

    Raises:
        DataError: a cell is not a number in the notation of its file, or is not finite.
    """
    values, bad = parse(table, column)
    if bad.any():
        raise _not_numbers(table, column, bad, hint)
    if not infinite and np.isinf(values).any():
        raise DataError(
            code="E-DATA-002",
            what=f"Column '{column}' holds infinite values.",
            where=where(table, np.isinf(values), column),
            found=shown(table.frame[column][np.isinf(values)]),
            expected="finite numbers",
            fix='correct the file, or, if they mean "no value", add under data: missing: ["inf", "-inf"]',
        )
    return values


def texts(table: Table, column: str) -> pd.Series:
    """The column as text (dtype str), missing cells missing; whole numbers without decimals."""
    cells = table.frame[column]
    if isinstance(cells.dtype, pd.StringDtype):
        return cells
    different = cells.drop_duplicates().dropna()
    return cells.map({cell: as_text(cell) for cell in different}).astype("str")


def typed(table: Table, column: str) -> pd.Series:
    """The column as float64 if every cell is a number and none looks like a code (01), otherwise as text."""
    if column in table.text or has_codes(table, column):
        return texts(table, column)
    values, bad = parse(table, column)
    return texts(table, column) if bad.any() else values


def identifiers(table: Table, column: str) -> pd.Series:
    """The column as ids: Int64 if every id is a whole number without leading zeros, otherwise text.

    Raises:
        DataError: ids were stored as numbers too large to be exact, or differ only by spaces around them.
    """
    _require_exact(table, column)
    ids = categories(table, column)
    if column in table.text or not ids.dropna().str.fullmatch(_INTEGER).all():
        return ids
    return ids.astype("Int64")


def categories(table: Table, column: str) -> pd.Series:
    """The column as text.

    Raises:
        DataError: values differ only by spaces around them.
    """
    values = texts(table, column)
    stray = values.notna() & (values != values.groupby(values.str.strip()).transform("first"))
    if stray.any():
        alike = values[values.str.strip().isin(values[stray].str.strip())]
        raise DataError(
            code="E-DATA-004",
            what=f"Some values of column '{column}' differ only by spaces around them.",
            where=where(table, stray, column),
            found=shown(alike.sort_values()),
            expected="one spelling",
            fix="correct the file (keep the original beside it), or name another column",
        )
    return values


def equal(table: Table, column: str, value: Any) -> "pd.Series[bool]":
    """Where the cells equal a value of the design, compared in the type of the column."""
    values = typed(table, column)
    if pd.api.types.is_float_dtype(values):
        number = _as_float(value)
        return values == number if number is not None else pd.Series(False, index=values.index)
    if isinstance(value, bool):
        return values.str.casefold() == str(value).casefold()
    return (values == as_text(value)).fillna(False).astype(bool)


def parse(table: Table, column: str) -> tuple["pd.Series[float]", "pd.Series[bool]"]:
    """The column as float64, and where a cell is not missing but not a number."""
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        values = pd.Series(cells.to_numpy(dtype="float64", na_value=np.nan), index=cells.index)
        return values, pd.Series(False, index=cells.index)
    origin = table.places_of(column)["origin"]
    parts = [_parse_cells(cells[origin == i], table.origins[i]) for i in sorted(origin.unique())]
    values = pd.concat(parts).reindex(cells.index) if parts else pd.Series(dtype="float64")
    return values, values.isna() & cells.notna()


def has_codes(table: Table, column: str) -> bool:
    """Whether a text cell has a leading zero, as 01 or 007A."""
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return False
    return bool(texts(table, column).dropna().str.strip().str.fullmatch(_CODE).any())


def as_text(cell: Any) -> str:
    """One cell as text: 1.0 is "1"."""
    if isinstance(cell, float | Decimal) and cell == cell and abs(cell) != float("inf") and cell == int(cell):
        return str(int(cell))
    if isinstance(cell, str):
        return unicodedata.normalize("NFC", cell)
    return str(cell.isoformat()) if hasattr(cell, "isoformat") else str(cell)


def sort_levels(levels: Iterable[str]) -> list[str]:
    """Levels of a category: by number if all are numbers, otherwise by text."""
    found = sorted(set(levels))
    values = [_as_float(level) for level in found]
    return found if None in values else [level for _, level in sorted(zip(values, found, strict=True))]


def _parse_cells(cells: pd.Series, origin: Origin) -> "pd.Series[float]":
    """NaN where a cell is missing or not a number."""
    if isinstance(cells.dtype, pd.StringDtype):
        return _parse_texts(cells, origin)
    present = cells.dropna().astype(object)
    is_text = present.map(lambda cell: isinstance(cell, str)).astype(bool)
    is_number = present.map(lambda cell: isinstance(cell, Number)).astype(bool)
    values = [_parse_texts(present[is_text].astype("str"), origin), present[is_number].astype("float64")]
    return pd.concat(values).reindex(cells.index)


def _parse_texts(cells: pd.Series, origin: Origin) -> "pd.Series[float]":
    written = cells.str.strip()
    return _plain_notation(written.where(written.str.fullmatch(_number_pattern(origin))), origin).astype("float64")


def _number_pattern(origin: Origin) -> str:
    mark, group = re.escape(origin.decimal), _group_pattern(origin.thousands)
    whole = rf"(?:[0-9]+|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)" if group else "[0-9]+"
    return rf"[+\-{MINUS}]?(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?|{_INFINITE}"


def _group_pattern(thousands: str) -> str:
    if thousands and thousands in SPACES:
        return f"[{SPACES}]"
    return "['\u2019]" if thousands in ("'", "\u2019") else re.escape(thousands)


def _plain_notation(written: pd.Series, origin: Origin) -> pd.Series:
    group = _group_pattern(origin.thousands)
    plain = written.str.replace(group, "", regex=True) if group else written
    return plain.str.replace(origin.decimal, ".", regex=False).str.replace(MINUS, "-", regex=False)


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _require_exact(table: Table, column: str) -> None:
    cells = table.frame[column]
    if not pd.api.types.is_float_dtype(cells.dtype):
        return
    inexact = cells.abs() >= EXACT_INTEGERS
    if inexact.any():
        raise DataError(
            code="E-DATA-003",
            what=f"The ids in column '{column}' are stored as numbers too large to be exact: different ids look equal.",
            where=where(table, inexact, column),
            found=shown(cells[inexact]),
            expected=f"text, or whole numbers below {EXACT_INTEGERS}",
            fix=f"store '{column}' as text in the file",
        )


# errors about cells --------------------------------------------------------------------------------------------------


def _not_numbers(table: Table, column: str, bad: "pd.Series[bool]", hint: str) -> DataError:
    cells = table.frame[column][bad].astype("str")
    origin = table.origins[int(table.places_of(column)["origin"][bad].iloc[0])]
    with_digits = cells.str.contains("[0-9]")
    key = _notation(cells[with_digits], origin)
    places = {"where": where(table, bad, column), "found": shown(cells)}
    if key:
        return DataError(
            code="E-DATA-005",
            what=f"Column '{column}' writes numbers in another notation than the design says.",
            expected=f"numbers with decimal '{origin.decimal}' and "
            + (f"thousands '{origin.thousands}'" if origin.thousands else "thousands not separated"),
            fix=f"add under data: {key}",
            **places,
        )
    codes = ", ".join(json.dumps(cell, ensure_ascii=False) for cell in cells.drop_duplicates().head(5))
    return DataError(
        code="E-DATA-006",
        what=f"Column '{column}' should hold numbers, and {len(cells)} of its cells do not.",
        expected="numbers, or codes declared missing",
        fix=f'if they mean "no value", add under data: missing: [{codes}]{hint}; otherwise correct the file',
        **places,
    )


def _notation(cells: pd.Series, origin: Origin) -> str:
    """The keys under which most of the cells would be numbers, if there are such keys."""
    marks = [(decimal, thousands) for thousands in ("", " ", ".", ",", "'") for decimal in (".", ",")]
    keys: list[dict[str, str]] = []
    for decimal, thousands in marks:
        tried = replace(origin, decimal=decimal, thousands=thousands)
        if decimal != thousands and cells.str.strip().str.fullmatch(_number_pattern(tried)).mean() > 0.5:
            said = {"decimal": decimal, "thousands": thousands}
            keys.append({key: mark for key, mark in said.items() if mark and mark != getattr(origin, key)})
    shortest = [key for key in keys if len(key) == min(map(len, keys))]
    return ", or ".join(", ".join(f'{key}: "{mark}"' for key, mark in said.items()) for said in shortest)


def where(table: Table, rows: "pd.Series[bool] | pd.Index", column: str = "") -> str:
    """Files and the first row numbers: "data/raw/x.csv, rows 3, 8, 12, 20, 21 and 40 more"."""
    places = table.places_of(column).loc[rows].sort_values(["origin", "row"])
    parts = []
    for position, group in places.groupby("origin")["row"]:
        origin, first = table.origins[int(position)], [str(int(row)) for row in group.head(5)]
        more = f" and {len(group) - 5} more" if len(group) > 5 else ""
        parts.append(f"{origin.name}, {origin.row_word}{'s' * (len(group) > 1)} {', '.join(first)}{more}")
    return "; ".join(parts)


def shown(cells: Iterable[Any], most: int = 5) -> str:
    """The first different values, quoted."""
    different = list(dict.fromkeys(as_text(cell) for cell in cells))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(repr(cell) for cell in different[:most]) + more


def counted(values: pd.Series, most: int = 12) -> str:
    """Values and how often they occur: "'0' (3), '1' (4)"."""
    counts = values.map(as_text, na_action="ignore").value_counts()
    levels = sort_levels(counts.index)
    more = f" and {len(levels) - most} more values" if len(levels) > most else ""
    return ", ".join(f"{level!r} ({counts[level]})" for level in levels[:most]) + more


def nearest(name: str, names: Collection[str]) -> str | None:
    """The spelling that was probably meant."""
    plain = {other.strip().casefold(): other for other in reversed(list(names))}
    close = difflib.get_close_matches(name.strip().casefold(), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def zero_one(table: Table, column: str, key: str) -> "pd.Series[float]":
    """The column as 0.0 and 1.0, missing cells NaN.

    Args:
        table: rows.
        column: its name.
        key: key of the design under which it stands, for the error.

    Raises:
        DataError: another value occurs.
    """
    one, zero = equal(table, column, 1), equal(table, column, 0)
    other = table.frame[column].notna() & ~one & ~zero
    if other.any():
        found = typed(table, column)
        values = sort_levels(found.dropna().map(as_text))
        choice = f", or write treatment: {{column: {column}, treated: {values[-1]}, comparison: {values[0]}}}"
        raise DataError(
            code="E-DATA-037",
            what=f"Column '{column}' stands under '{key}' and does not hold 0 and 1.",
            where=where(table, other, column),
            found=counted(found),
            expected="0 and 1",
            fix="code it as 0 and 1" + (choice if key == "treatment" and len(values) > 1 else ""),
        )
    return pd.Series(np.where(one, 1.0, np.where(zero, 0.0, np.nan)), index=one.index)
