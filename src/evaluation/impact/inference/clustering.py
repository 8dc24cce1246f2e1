"""Clusters of units: codes aligned by label, and the intersections that several clusterings make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.errors import DataError, InternalError

Array = np.ndarray


def cluster_table(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """One row of clusters for each unit, indexed by unit, from rows that may repeat units (column `unit`).

    Raises:
        DataError: a unit that lies in several clusters of one variable.
    """
    unit, labels = pd.factorize(frame["unit"])
    first = np.full(len(labels), len(frame))
    np.minimum.at(first, unit, np.arange(len(frame)))
    table = frame[["unit", *columns]].iloc[first]
    codes = [pd.factorize(frame[column])[0] for column in columns]
    differs = [code != code[first][unit] for code in codes]
    moved = labels[unique_values(unit[np.logical_or.reduce(differs)])] if differs else labels[:0]
    if len(moved):
        raise DataError(
            code="E-IMP-020",
            what="a unit lies in several clusters",
            where=", ".join(columns),
            found=f"{len(moved)} units, such as {moved[:3].tolist()}",
            expected="one cluster for each unit, the same in all periods",
            fix="cluster by something that does not change, such as the first value",
        )
    return table.set_index("unit")


def cluster_codes(units: pd.Index, clusters: pd.DataFrame | None) -> dict[str, Array]:
    """Codes 0..G-1 of the units' clusters, for each clustering variable; aligned by label, never by position."""
    if clusters is None or not len(clusters.columns):
        return {}
    if clusters.index.equals(units):  # the common case; unit ids are known to be unique
        return {str(name): _codes(str(name), clusters[name]) for name in clusters.columns}
    _require_units_once(clusters)
    rows = clusters.index.get_indexer(units)
    _require_all_units(units, rows)
    return {str(name): _codes(str(name), clusters[name].iloc[rows]) for name in clusters.columns}


def sums(values: Array, codes: Array, n: int) -> Array:
    """Sums of rows by code: (n,) for values (N,), (n, k) for values (N, k); codes that do not occur give zero."""
    if values.ndim == 1:
        return np.bincount(codes, weights=values, minlength=n)
    rows = np.arange(len(codes) + 1)
    return np.asarray(sparse.csc_array((np.ones(len(codes)), codes, rows), shape=(n, len(codes))) @ values)


def counts(codes: Mapping[str, Array]) -> dict[str, int]:
    """Number of clusters of each clustering."""
    return {name: int(code.max()) + 1 for name, code in codes.items()}


def subsets(codes: Mapping[str, Array]) -> dict[tuple[str, ...], Array]:
    """Codes of every non-empty intersection of the clusterings, by the names that are crossed."""
    chosen = [names for size in range(1, len(codes) + 1) for names in combinations(codes, size)]
    return {names: crossed([codes[name] for name in names]) for names in chosen}


def crossed(codes: Sequence[Array]) -> Array:
    """Codes 0, 1, … of the combinations that occur."""
    found = codes[0]
    for code in codes[1:]:
        found = compact(found.astype(np.int64) * (int(code.max()) + 1) + code)
    return found


def compact(codes: Array) -> Array:
    """Codes 0, 1, … in place of codes of which some do not occur; the order stays."""
    if int(codes.max()) > 8 * len(codes):
        return np.unique(codes, return_inverse=True)[1].ravel()
    occurs = np.bincount(codes) > 0
    return np.asarray((np.cumsum(occurs) - 1)[codes])


def unique_values(codes: Array) -> Array:
    """The codes that occur, in order."""
    return np.flatnonzero(np.bincount(codes))


def _codes(name: str, values: pd.Series) -> Array:
    """Codes in the order of the labels, so that the order of units decides nothing, not even which draw is whose."""
    codes, labels = _factorized(values)
    if (codes < 0).any():
        raise DataError(
            code="E-IMP-027",
            what="a unit has no cluster",
            where=name,
            found=f"{int((codes < 0).sum())} units without a value",
            fix="drop these units, with a reason, or give them a cluster",
        )
    if len(labels) < 2:
        raise DataError(
            code="E-IMP-028",
            what="a single cluster says nothing about the variation between clusters",
            where=name,
            found=f"{len(labels)} cluster",
            expected="at least two, and at least six on each side for an interval",
        )
    return np.asarray(codes)


def _factorized(values: pd.Series) -> tuple[Array, pd.Index]:
    """Sorted labels where they can be sorted; small whole numbers are counted, which is faster than hashing."""
    array = values.to_numpy()
    if array.dtype.kind == "i" and len(array) and array.min() >= 0 and array.max() <= 8 * len(array):
        return compact(array), pd.Index(unique_values(array))
    try:
        codes, labels = pd.factorize(values, sort=True)
    except TypeError:
        codes, labels = pd.factorize(values)
    return codes, pd.Index(labels)


def _require_units_once(clusters: pd.DataFrame) -> None:
    if not clusters.index.is_unique:
        raise InternalError(
            code="E-IMP-025",
            what="a unit stands in the table of clusters more than once",
            found=f"{clusters.index[clusters.index.duplicated()].unique()[:3].tolist()}",
            expected="one row for each unit",
        )


def _require_all_units(units: pd.Index, rows: Array) -> None:
    if (rows < 0).any():
        raise DataError(
            code="E-IMP-026",
            what="the table of clusters does not have all units",
            found=f"{int((rows < 0).sum())} units are missing, such as {units[rows < 0][:3].tolist()}",
            expected=f"all {len(units)} units",
        )
