"""Assignments that chance could have made instead: complete, stratified, clustered, paired or by independent tosses.

Everything is written for the clusters that were assigned as a whole; single units are clusters of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod

import numpy as np

from evaluation.errors import DataError
from evaluation.impact.inference.clustering import compact
from evaluation.impact.inference.multipliers import BLOCK

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mechanism:
    """How C clusters came to be treated.

    Attributes:
        treated: (C,) who was.
        strata: (C,) codes; within each the number of treated clusters was fixed (unless there are probabilities).
        probability: (C,) of independent tosses, or None.
        clustered: whether clusters of several units were assigned.
    """

    treated: Array
    strata: Array
    probability: Array | None
    clustered: bool

    @property
    def name(self) -> str:
        """The mechanism in words."""
        whole = "clusters" if self.clustered else "units"
        if self.probability is not None:
            return f"independent assignment of {whole} with known probabilities"
        sizes, chosen = self._sizes()
        if len(sizes) == 1:
            return f"complete assignment of {whole}"
        paired = bool((sizes == 2).all() and (chosen == 1).all())
        return f"assignment of {whole} within {'pairs' if paired else 'strata'}"

    @property
    def n_possible(self) -> int:
        """Number of assignments that could have been made."""
        if self.probability is not None:
            return int(2 ** int(self._open().sum()))
        return prod(comb(int(n), int(k)) for n, k in zip(*self._sizes(), strict=True))

    def all(self) -> tuple[Array, Array | None]:
        """(A, C) every assignment as 0 and 1, and (A,) their probabilities where these differ."""
        if self.probability is not None:
            return self._all_tosses(self.probability)
        table = np.zeros((1, len(self.treated)))
        for stratum, k in enumerate(self._sizes()[1]):
            members = np.flatnonzero(self.strata == stratum)
            chosen = np.array(list(combinations(members, int(k))), dtype=np.intp).reshape(-1, int(k))
            part = np.zeros((len(chosen), len(self.treated)))
            part[np.arange(len(chosen))[:, None], chosen] = 1
            table = (table[:, None, :] + part[None, :, :]).reshape(-1, len(self.treated))
        return table, None

    def drawn(self, draws: int, seed: int, width: int) -> Iterator[Array]:
        """Blocks (b, C) of random assignments; `width` numbers a row decide how large a block is, and nothing else."""
        rng = np.random.Generator(np.random.Philox(seed))
        step = max(1, BLOCK // max(width, 1))
        for start in range(0, draws, step):
            keys = rng.random((min(step, draws - start), len(self.treated)))
            yield self._chosen(keys)

    def _chosen(self, keys: Array) -> Array:
        """Tosses below their probability, or in each stratum the clusters with the smallest keys."""
        if self.probability is not None:
            return (keys < self.probability).astype(float)
        out = np.zeros(keys.shape)
        sizes, chosen = self._sizes()
        for n, k in sorted(set(zip(sizes.tolist(), chosen.tolist(), strict=True))):
            if k == 0:
                continue
            alike = np.flatnonzero((sizes == n) & (chosen == k))
            members = np.stack([np.flatnonzero(self.strata == stratum) for stratum in alike])
            part = keys[:, members]
            out[:, members] = part <= np.partition(part, k - 1, axis=2)[:, :, k - 1 : k]
        return out

    def _all_tosses(self, probability: Array) -> tuple[Array, Array]:
        free = np.flatnonzero(self._open())
        bits = np.arange(2 ** len(free))[:, None] >> np.arange(len(free))[None, :] & 1
        table = np.tile((probability >= 1).astype(float), (len(bits), 1))
        table[:, free] = bits
        return table, np.prod(np.where(bits == 1, probability[free], 1 - probability[free]), axis=1)

    def _open(self) -> Array:
        """(C,) whose treatment was not certain."""
        probability = np.zeros(0) if self.probability is None else self.probability
        return (probability > 0) & (probability < 1)

    def _sizes(self) -> tuple[Array, Array]:
        """Clusters, and treated clusters, of each stratum."""
        return np.bincount(self.strata), np.bincount(self.strata[self.treated], minlength=int(self.strata.max()) + 1)


def mechanism(
    treated: Array, clusters: Array, strata: Array | None, probability: Array | None, *, clustered: bool
) -> Mechanism:
    """The mechanism behind an assignment of units.

    Args:
        treated: (n,) Booleans.
        clusters: (n,) codes 0..C-1 of what was assigned as a whole.
        strata: (n,) codes, or None for one stratum.
        probability: (n,) of being treated, or None where the number of treated clusters of a stratum was fixed.
        clustered: whether clusters are more than single units.

    Raises:
        DataError: treatment, stratum or probability that differs within a cluster; a probability outside 0 to 1, or one
            that makes the assignment impossible; an assignment that could not have been another.
    """
    first = np.full(int(clusters.max()) + 1, len(clusters))
    np.minimum.at(first, clusters, np.arange(len(clusters)))
    for name, values in (("treatment", treated), ("stratum", strata), ("probability", probability)):
        _require_constant(name, values, clusters, first)
    found = Mechanism(
        treated=treated[first].astype(bool),
        strata=np.zeros(len(first), dtype=np.intp) if strata is None else compact(strata[first]),
        probability=None if probability is None else probability[first].astype(float),
        clustered=clustered,
    )
    _require_possible(found)
    return found


def _require_constant(name: str, values: Array | None, clusters: Array, first: Array) -> None:
    if values is not None and (values != values[first][clusters]).any():
        bad = np.flatnonzero(values != values[first][clusters])
        raise DataError(
            code="E-IMP-065",
            what="a cluster that was assigned as a whole is not of one kind",
            where=name,
            found=f"{len(np.unique(clusters[bad]))} clusters in which the {name} differs",
            expected=f"one {name} for each cluster",
            fix="name the clusters that were assigned, or none if single units were",
        )


def _require_possible(found: Mechanism) -> None:
    p = found.probability
    if p is not None and not ((p >= 0) & (p <= 1) & np.where(found.treated, p > 0, p < 1)).all():
        raise DataError(
            code="E-IMP-066",
            what="probabilities of assignment do not fit the assignment",
            found=f"from {np.min(p):.4g} to {np.max(p):.4g}",
            expected="0 to 1; above 0 for the treated, below 1 for the others",
        )
    if found.n_possible < 2:
        raise DataError(
            code="E-IMP-067",
            what="chance could not have assigned otherwise, so there is no randomisation test",
            found=f"{int(found.treated.sum())} treated of {len(found.treated)}, strata: {int(found.strata.max()) + 1}",
            expected="a stratum with treated and comparison clusters",
            fix="check `strata` and `cluster`: pairs are strata, not clusters",
        )
