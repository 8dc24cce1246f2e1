"""The codebook: what each source column of a sample is, without a word about any single unit."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from evaluation.sample.model import codebook_frame
from evaluation.sample.table import Column, Table, as_text, sort_levels, typed
from evaluation.settings.designs import Design

MOST_LEVELS = 12  # levels written out; beyond, only their number
DIGITS = 12


def codebook(table: Table, design: Design, roles: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """One row a source column, in the order of the canonical columns; counts over the rows selected by `keep`.

    Ids (units and clusters) have neither range nor values.

    Args:
        table: all rows, before any leaves for missing values.
        design: the design.
        roles: canonical column -> source columns.
    """
    used: dict[str, list[str]] = {}
    for canonical, columns in roles.items():
        for column in columns:
            used.setdefault(column, []).append(canonical)
    units = {column: outcome.unit for outcome in design.outcomes for column in outcome.columns}
    return codebook_frame([_row(table, column, names, units.get(column, "")) for column, names in used.items()])


def _row(table: Table, column: str, names: list[str], unit: str) -> dict[str, Any]:
    info, values = table.info.get(column, Column()), typed(table, column).dropna()
    is_id = any(name == "unit" or name.startswith("cluster_") for name in names)
    is_number = pd.api.types.is_float_dtype(values) and not is_id
    codes = ", ".join(f"{code} ({cells})" for code, cells in info.missing_codes.items())
    return {
        "column": column,
        "canonical": ", ".join(names),
        "type": "id" if is_id else _kind(values),
        "label": info.label,
        "unit": unit,
        "missing": int(table.frame[column].isna().sum()),
        "missing_codes": codes,
        "minimum": _rounded(values.min()) if is_number else float("nan"),
        "maximum": _rounded(values.max()) if is_number else float("nan"),
        "values": _values(values, info, hidden=is_id),
    }


def _kind(values: pd.Series) -> str:
    if not pd.api.types.is_float_dtype(values):
        return "text"
    return "whole number" if (values % 1 == 0).all() else "number"


def _values(values: pd.Series, info: Column, *, hidden: bool) -> str:
    different = values.unique()
    if hidden or len(different) > MOST_LEVELS:
        return f"{len(different)} different"
    levels = sort_levels(as_text(value) for value in different)
    named = [f"{level} = {info.value_labels[level]}" if level in info.value_labels else level for level in levels]
    return "; ".join(named)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
