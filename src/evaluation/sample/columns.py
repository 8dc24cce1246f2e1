"""Canonical columns read from a table: the same for the rows of a sample and for those of a roster."""

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.sample.table import (
    Table,
    categories,
    counted,
    equal,
    has_codes,
    numbers,
    parse,
    shown,
    sort_levels,
    typed,
    where,
    zero_one,
)
from evaluation.settings.designs import Design, Treatment

FIRST_COLUMNS = ("unit", "period", "cohort", "treated")


def covariate(table: Table, column: str, design: Design) -> pd.Series:
    """Text if declared a category, if codes have leading zeros, or if no cell is a number."""
    values, bad = parse(table, column)
    only_text = bad.any() and bool(values.isna().all())
    if column in design.categorical or column in table.text or has_codes(table, column) or only_text:
        return categories(table, column)
    return numbers(table, column, hint=f", or, if they are categories, to the evaluation: categorical: [{column}]")


def weight(table: Table, column: str) -> pd.Series:
    """Weights as float64, none negative."""
    values = numbers(table, column)
    if (values < 0).any():
        raise DataError(
            code="E-DATA-038",
            what=f"The weight '{column}' is negative.",
            where=where(table, values < 0, column),
            found=shown(values[values < 0]),
            expected="weights of 0 or more",
            fix="correct the file, or declare the code missing: missing: [code]",
        )
    return values


def probability(table: Table, column: str) -> pd.Series:
    """Probabilities as float64, all above 0 and below 1."""
    values = numbers(table, column)
    outside = (values <= 0) | (values >= 1)
    if outside.any():
        raise DataError(
            code="E-DATA-039",
            what=f"Column '{column}' stands under 'probability' and holds values that are none.",
            where=where(table, outside, column),
            found=shown(values[outside]),
            expected="the probability of being treated: above 0 and below 1",
            fix="correct the file (shares, not percent); units that could not be drawn do not belong to the sample",
        )
    return values


def read_arm(table: Table, treatment: Treatment) -> pd.Series:
    """1.0 treated, 0.0 comparison, NaN neither."""
    if treatment.treated is None:
        return zero_one(table, treatment.column, "treatment")
    masks = {value: equal(table, treatment.column, value) for value in (treatment.treated, treatment.comparison)}
    absent = [value for value, mask in masks.items() if not mask.any()]
    if absent:
        raise DataError(
            code="E-DATA-043",
            what=f"Column '{treatment.column}' never has the value that 'treatment' names.",
            where=where(table, table.frame.index[:1]).rsplit(",", 1)[0],
            found=f"no {shown(absent)}; the column holds {counted(typed(table, treatment.column))}",
            expected=f"{treatment.treated} and {treatment.comparison}",
            fix="correct treated: and comparison: under treatment",
        )
    treated, comparison = masks.values()
    return pd.Series(np.where(treated, 1.0, np.where(comparison, 0.0, np.nan)), index=treated.index)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Canonical columns in their types, rows sorted by unit and period."""
    keys = [name for name in ("unit", "period") if name in frame]
    order = [name for name in FIRST_COLUMNS if name in frame]
    columns = order + [name for name in frame if name not in order]
    if frame.duplicated(keys).any():  # persons under the id of their group: their order in the file means nothing
        keys = columns
    ordered = frame[columns].sort_values(keys, ignore_index=True)
    return ordered.assign(**{name: _stored(name, ordered[name]) for name in ordered})


def _stored(name: str, values: pd.Series) -> pd.Series:
    """The type a canonical column has in the contract."""
    if name in ("unit", "period") and values.dtype == "Int64":
        return values.astype("int64")
    if name == "eligible":
        return values.astype(bool)
    if not name.startswith(("covariate_", "cluster_", "exact_", "anti_exact_")) or values.dtype == "float64":
        return values
    if values.dtype == "Int64":
        return values.astype("int64")
    return pd.Series(pd.Categorical(values, categories=sort_levels(values.dropna())), index=values.index)
