"""Where no interval and no p-value is given, and why: too few clusters on a side, no standard error, a reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.errors import InternalError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.inference.clustering import cluster_codes
from evaluation.impact.inference.covariances import Covariance

Array = np.ndarray

REFERENCE = "zero by construction (a reference, or an outcome that does not vary)"
MINIMUM_CLUSTERS = 6  # on each side; below, tests with clustered errors reject far too often (validity tests G9)


def refusals(
    effects: Effects,
    clusters: pd.DataFrame | None,
    found: Covariance,
    treated_by_unit: pd.Series | None,
    few_clusters: str,
) -> Array:
    """Why a row has no interval, "" where it has one."""
    reasons = np.full(len(effects), "", dtype=object)
    if few_clusters == "refuse":
        reasons = too_few(effects, cluster_codes(effects.units, clusters), treated_by_unit)
    reasons[np.isnan(found.std_error)] = "the method gives no standard error"
    reasons[found.std_error == 0] = "the standard error is zero"
    reasons[~effects.support()] = REFERENCE
    return reasons


def too_few(
    effects: Effects, codes: Mapping[str, Array], treated_by_unit: pd.Series | None, minimum: int = MINIMUM_CLUSTERS
) -> Array:
    """(K,) which side has fewer clusters than the minimum, "" where none has or nobody says who is treated.

    Args:
        effects: K effects.
        codes: clusters of the units by clustering; without any, units are counted.
        treated_by_unit: see `summarize`.
        minimum: of clusters on each side.
    """
    reasons = np.full(len(effects), "", dtype=object)
    arms = arms_of(effects, treated_by_unit)
    if arms is not None:
        for code in codes.values() or [None]:
            _mark_few(reasons, arms, code, minimum)
    return reasons


def arms_of(effects: Effects, treated_by_unit: pd.Series | None) -> Arms | None:
    """Arms from a Boolean for each unit, or the effects' own."""
    if treated_by_unit is None:
        return effects.arms
    rows = treated_by_unit.index.get_indexer(effects.units)
    if (rows < 0).any():
        raise InternalError(
            code="E-IMP-029",
            what="treatment is not known for all units of an effect",
            found=f"{int((rows < 0).sum())} units are missing, such as {effects.units[rows < 0][:3].tolist()}",
        )
    return Arms.of(treated_by_unit.to_numpy(dtype=bool)[rows], len(effects))


def _mark_few(reasons: Array, arms: Arms, codes: Array | None, minimum: int) -> None:
    word = "units" if codes is None else "clusters"
    for side, table in (("comparison", arms.comparison), ("treated", arms.treated)):
        for k, n in enumerate(_clusters_of(arms.codes, table, codes)):
            if n < minimum:
                reasons[k] = f"{side} {word}: {n}, fewer than {minimum}; the standard error is not reliable"


def _clusters_of(groups: Array, table: Array, codes: Array | None) -> Array:
    """(K,) number of clusters that hold a unit of a group on this side; each unit is a cluster if codes is None.

    Clusters of one group are counted by group, which is quick; where there are others, clusters are met one by one.
    """
    n_groups = len(table)
    inside = groups >= 0
    if codes is None:
        return np.asarray(np.bincount(groups[inside], minlength=n_groups) @ table)
    codes, groups = codes[inside], groups[inside]
    holder = np.full(int(codes.max(initial=-1)) + 1, -1)
    holder[codes] = groups
    if (holder[codes] == groups).all():
        return np.asarray(np.bincount(holder[holder >= 0], minlength=n_groups) @ table)
    pairs = codes.astype(np.int64) * n_groups + groups
    present = np.bincount(pairs, minlength=len(holder) * n_groups).reshape(-1, n_groups) > 0
    return np.asarray((present.astype(float) @ table > 0).sum(axis=0))
