"""Covariates as numbers: one matrix for models, one for balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A column counts as a combination of earlier ones when less than this share of its length is left after they are
# projected out. The same value as R's lm (tolerance of its QR decomposition).
COLLINEAR = 1e-7
# The same share, where normal equations, which lose half of the digits, still know it for certain.
CLEAR = 1e-3
TINY = 1e-100  # of a length, whose square is then not exact any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariates:
    """Covariates of n rows as k columns of numbers.

    Attributes:
        matrix: (n, k) float64, without an intercept.
        labels: k labels in the evaluator's own words, e.g. "age" or "race = black".
        columns: k canonical column names that the columns come from, e.g. "covariate_2".
    """

    matrix: Floats
    labels: tuple[str, ...]
    columns: tuple[str, ...]


def covariate_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Canonical covariate columns of a frame, in the order of the design."""
    found = [column for column in frame.columns if str(column).startswith("covariate_")]
    return tuple(sorted(found, key=lambda column: int(str(column).removeprefix("covariate_"))))


def model_matrix(
    frame: pd.DataFrame, names: Mapping[str, str], *, columns: tuple[str, ...] | None = None, all_levels: bool = False
) -> Covariates:
    """Turn covariates into numbers: numeric columns as they are, categories as 0/1 columns.

    Args:
        frame: n rows; covariate columns are numeric, boolean or Categorical.
        names: canonical name -> the evaluator's own name.
        columns: canonical columns to use; all covariates by default.
        all_levels: True keeps one 0/1 column for every level of a category with three levels or more (balance tables);
            False leaves the first level out (models with an intercept).

    Returns:
        One column a numeric covariate, one a kept level. Levels come in the order of the category; levels that nobody
        has are left out. Missing values stay missing.
    """
    columns = covariate_columns(frame) if columns is None else columns
    parts = [_numbers(frame[column], names.get(column, column), all_levels=all_levels) for column in columns]
    matrices = [matrix for matrix, _ in parts]
    matrix = np.hstack(matrices) if matrices else np.empty((len(frame), 0))
    labels = tuple(label for _, part in parts for label in part)
    sources = tuple(column for column, (_, part) in zip(columns, parts, strict=True) for _ in part)
    return Covariates(matrix=matrix, labels=labels, columns=sources)


def _numbers(values: pd.Series[Any], name: str, *, all_levels: bool) -> tuple[Floats, tuple[str, ...]]:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=float, na_value=np.nan)[:, None], (name,)
    levels = _levels(values)
    kept = levels if all_levels and len(levels) > 2 else levels[1:]
    present = values.notna().to_numpy()
    dummies = [np.where(present, (values == level).to_numpy(dtype=float), np.nan) for level in kept]
    matrix = np.column_stack(dummies) if dummies else np.empty((len(values), 0))
    return matrix, tuple(f"{name} = {level}" for level in kept)


def _levels(values: pd.Series[Any]) -> list[Any]:
    present = set(values.dropna().unique())
    ordered = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else sorted(present)
    return [level for level in ordered if level in present]


def independent_columns(matrix: Floats, weights: Floats | None = None) -> NDArray[np.bool_]:
    """Columns that are not linear combinations of earlier ones.

    Columns are taken from left to right, so the evaluator's order decides which one of a dependent set stays.

    Args:
        matrix: (n, k), finite.
        weights: (n,) non-negative; rows of weight zero do not count.

    Returns:
        (k,) True where a column adds something (Gram-Schmidt with one re-orthogonalisation, tolerance `COLLINEAR`).
    """
    rows = matrix if weights is None or (weights > 0).all() else matrix[weights > 0]
    if _clearly_independent(rows):
        return np.ones(matrix.shape[1], dtype=bool)
    basis: list[Floats] = []
    kept = np.zeros(matrix.shape[1], dtype=bool)
    for k in range(matrix.shape[1]):
        rest, length = rows[:, k].astype(float), float(np.linalg.norm(rows[:, k]))
        for direction in basis * 2:
            rest = rest - direction * (direction @ rest)
        left = float(np.linalg.norm(rest))
        if length > 0 and left > COLLINEAR * length:
            basis.append(rest / left)
            kept[k] = True
    return kept


def _clearly_independent(rows: Floats) -> bool:
    """True where the correlations alone show that every column is far from the others; False says nothing."""
    with np.errstate(over="ignore", invalid="ignore"):  # products that are too large say nothing either
        gram = rows.T @ rows
    length = np.sqrt(np.diag(gram))
    if not len(length) or not (np.isfinite(gram).all() and (length > TINY).all()):
        return False
    try:
        pivots = np.diag(np.linalg.cholesky(gram / np.outer(length, length)))
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > CLEAR)
