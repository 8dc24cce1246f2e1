"""Outcomes permuted until the plan is frozen, so that an analysis is debugged without seeing its answer.

Everything but the outcome stays: who is treated, covariates, clusters, what is missing. Within a block of the design
outcomes go to other rows, so that no effect is left but that of chance; the same seed gives the same permutation. The
sample of a blinded evaluation is permuted when it is made, so that nothing that reads it can see the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.sample.model import Sample
from evaluation.settings.designs import Design

STAMP = "AVEUGLE / BLINDED"
NOTE = f"{STAMP}: outcomes were permuted within the blocks of the design. No number here is a result; do not quote it."

Rows = NDArray[np.intp]


def seed_of(evaluation_id: str) -> int:
    """The seed that an evaluation is blinded with: the same wherever and whenever its sample is made."""
    return int(hashlib.sha256(evaluation_id.encode()).hexdigest()[:8], 16)


def blind(sample: Sample, design: Design) -> Sample:
    """The sample of a blinded evaluation: outcomes permuted, and an effect planted where the design wants one.

    What is planted is added to the primary outcome of treated rows (over time: from their start on), times the
    treatment received where the design has one, so that the estimator must find it again.
    """
    mixed = permuted(sample, seed_of(design.id))
    if design.planted is None:
        return mixed
    column = f"outcome_{design.outcomes.index(design.primary) + 1}"
    with_effect = mixed.frame[column] + design.planted * _exposed(mixed.frame)
    return replace(mixed, frame=mixed.frame.assign(**{column: with_effect}))


def _exposed(frame: pd.DataFrame) -> NDArray[np.float64]:
    """(n,) how much of the treatment a row has."""
    if "received" in frame:
        return np.asarray(frame["received"], dtype=float)
    if "cohort" in frame:
        start = frame["cohort"].astype("Float64").to_numpy(dtype=float, na_value=np.inf)
        return np.asarray(frame["period"].to_numpy(dtype=float) >= start, dtype=float)
    return np.asarray(frame["treated"], dtype=float)


def permuted(sample: Sample, seed: int) -> Sample:
    """The sample with its outcomes permuted.

    Panels: whole paths of outcomes are exchanged among units that are seen in the same periods, so that what changes
    over time and how outcomes hang together within a unit stay. Other data: rows within their stratum; where clusters
    were drawn (every row of a cluster has one arm), clusters within their stratum hand over their outcomes, filled up
    by repetition where sizes differ, so that outcomes stay alike within clusters. Nobody keeps their own outcome where
    a block has two or more.

    Args:
        sample: canonical columns; outcome_* are exchanged, all with the same permutation.
        seed: of the permutation.
    """
    frame, rng = sample.frame, np.random.default_rng(seed)
    columns = [column for column in frame if str(column).startswith("outcome_")]
    source = np.arange(len(frame))
    for takers, givers in _exchanges(frame, rng):
        source[takers] = givers
    mixed = frame.assign(**{column: frame[column].to_numpy()[source] for column in columns})
    return replace(sample, frame=mixed, blinded=True)


def _exchanges(frame: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Rows that receive outcomes, and the rows that they come from."""
    if "period" in frame:
        yield from _paths(frame, rng)
        return
    strata = frame["stratum"] if "stratum" in frame else pd.Series(0, index=frame.index)
    for rows in frame.groupby(strata.to_numpy(), sort=True, observed=True).indices.values():
        if _drawn_whole(frame, rows):
            yield from _clusters(frame, np.asarray(rows), rng)
        else:
            yield np.asarray(rows), _turned(np.asarray(rows), rng)


def _turned(items: Rows, rng: np.random.Generator) -> Rows:
    """Each item's successor in a random circle: a permutation that leaves nothing in its place."""
    circle = rng.permutation(len(items))
    out = np.empty_like(items)
    out[circle] = items[np.roll(circle, 1)]
    return out


def _paths(frame: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Paths of units that are seen in the same periods; units that are alone with their periods exchange by period."""
    ordered = frame.reset_index(drop=True).sort_values(["unit", "period"], kind="stable")
    seen = ordered.groupby("unit", sort=True)["period"].agg(tuple)
    place = ordered.groupby("unit", sort=True).indices
    rows = {unit: ordered.index.to_numpy()[where] for unit, where in place.items()}
    alone: list[Rows] = []
    for units in seen.groupby(seen, sort=True).groups.values():
        paths = np.array([rows[unit] for unit in units], dtype=np.intp)
        if len(paths) == 1:
            alone.append(paths[0])
        else:
            yield paths.ravel(), paths[_turned(np.arange(len(paths)), rng)].ravel()
    if alone:
        left = np.sort(np.concatenate(alone))
        for members in frame["period"].iloc[left].groupby(frame["period"].to_numpy()[left], sort=True).indices.values():
            yield left[members], _turned(left[members], rng)


def _drawn_whole(frame: pd.DataFrame, rows: Rows) -> bool:
    if "cluster_1" not in frame:
        return False
    share = frame.iloc[rows].groupby("cluster_1", observed=True)["treated"].mean()
    return bool(share.isin((0.0, 1.0)).all())


def _clusters(frame: pd.DataFrame, rows: Rows, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    members = list(frame.iloc[rows].groupby("cluster_1", sort=True, observed=True).indices.values())
    if len(members) < 2:
        yield rows, _turned(rows, rng)
        return
    for taker, giver in zip(members, _turned(np.arange(len(members)), rng), strict=True):
        yield rows[taker], rows[np.resize(rng.permutation(members[giver]), len(taker))]
