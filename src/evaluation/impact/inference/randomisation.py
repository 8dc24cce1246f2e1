"""Randomisation inference: the estimate against those of the assignments that chance could have made instead.

Its p-value is exact for the hypothesis that nobody's outcome depends on the assignment (or that everybody's differs by
the same amount), whatever the sample size, the number of clusters and the distribution of outcomes. It is therefore
given with few clusters too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.errors import DataError
from evaluation.impact.inference.assignments import Mechanism, mechanism
from evaluation.impact.inference.bands import require_level
from evaluation.impact.inference.clustering import sums
from evaluation.impact.inference.inversion import AffineDraws, Tails
from evaluation.impact.inference.multipliers import BLOCK, require_draws
from evaluation.impact.regression import factorize

Array = np.ndarray

RANDOMISATION_DRAWS = 9999
TINY = 1e-20  # of the outcome's sum of squares: makes the statistic of a draw without residuals huge instead of missing
SPREAD = 1e-10  # share of the units that an assignment must leave once strata and covariates are taken out


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationTest:
    """A randomisation test of one effect, with an interval of the constant effects that are not rejected.

    Attributes:
        estimate: coefficient of treatment given strata and covariates.
        std_error: robust (HC0, by cluster CR0) standard error that studentises; not used for the p-value otherwise.
        statistic: (estimate - hypothesis) / std_error.
        p_value: ties count; with random draws (1 + number) / (1 + draws).
        p_value_strict: share of draws farther out.
        ci_low, ci_high: by test inversion under a constant effect; infinite where no value that way is rejected.
        draws: number of assignments compared with.
        assignments: how many could have been made.
        enumerated: whether all of them were compared with.
        mechanism: in words.
        studentised: whether t statistics are compared, or estimates.
        units, clusters, treated_clusters: how many; clusters are units where single units were assigned.
        reason: why there is no p-value; empty if there is one.
    """

    estimate: float
    std_error: float
    statistic: float
    p_value: float
    p_value_strict: float
    ci_low: float
    ci_high: float
    draws: int
    assignments: int
    enumerated: bool
    mechanism: str
    studentised: bool
    tails: Tails
    level: float
    units: int
    clusters: int
    treated_clusters: int
    reason: str = ""

    def describe(self) -> str:
        """The convention in one line, for records and tables."""
        number = f"all {self.draws} assignments" if self.enumerated else f"{self.draws} random assignments"
        statistic = "studentised estimate" if self.studentised else "estimate"
        return (
            f"randomisation test by {self.mechanism}; {statistic}, {number}; {self.tails} tails, interval by test "
            f"inversion under a constant effect; {self.treated_clusters} of {self.clusters} treated"
        )


def randomisation_test(
    outcome: Array,
    treated: Array,
    *,
    strata: Array | None = None,
    clusters: Array | None = None,
    probability: Array | float | None = None,
    covariates: Array | None = None,
    hypothesis: float = 0.0,
    studentised: bool = True,
    tails: Tails = "symmetric",
    draws: int = RANDOMISATION_DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> RandomisationTest:
    """Randomisation test of the coefficient of treatment in a regression on strata and covariates.

    With ~ for what strata and covariates leave (Frisch, Waugh and Lovell), an assignment d has the estimate
    d~′y~ / d~′d~, and under the hypothesis that treatment adds h to everybody its outcome is y - h D + h d, D being the
    assignment that was made. All statistics are affine in h, so that the interval needs no further draws.

    Args:
        outcome: (n,).
        treated: (n,) Booleans or 0 and 1.
        strata: (n,) labels; the number treated was fixed within each. Pairs are strata of two.
        clusters: (n,) labels of what was assigned as a whole; single units if None.
        probability: (n,) or one number: treatment was tossed independently for each cluster with this probability.
            Strata are then only held constant in the estimate.
        covariates: (n, k), known before the assignment.
        hypothesis: the constant effect that is tested.
        studentised: compare estimates over their robust standard errors: then the test also keeps its size, in large
            samples, if effects differ and only their mean is zero.
        tails: of the p-value and of the interval.
        draws: all assignments are taken where there are no more of them than that.
        seed: of the draws.
        level: of the interval.

    Raises:
        DataError: missing values; an assignment that is impossible or could not have been another (`mechanism`).
        ParametersError: a level that is not a share; fewer than one draw.

    Source: Fisher (1935); Rosenbaum (2002), chapter 2; Young (2019); Zhao and Ding (2021) for studentising and
        covariates; Phipson and Smyth (2010) for (1 + number) / (1 + draws).
    """
    require_level(level)
    require_draws(draws)
    setting = _setting(outcome, treated, strata, clusters, probability, covariates)
    blank = _blank(setting, studentised=studentised, tails=tails, level=level)
    if setting.reason:
        return replace(blank, reason=setting.reason)
    drawn = _affine_draws(setting, draws, seed, studentised=studentised)
    delta = blank.estimate - hypothesis
    low, high = drawn.interval(blank.estimate, level, tails)
    return replace(
        blank,
        statistic=delta / blank.std_error if blank.std_error > 0 else float(np.copysign(np.inf, delta)),
        p_value=drawn.p_value(delta, tails),
        p_value_strict=drawn.p_value_strict(delta, tails),
        ci_low=low,
        ci_high=high,
        draws=drawn.n_draws,
        enumerated=drawn.counted,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Setting:
    """Outcome and assignment once strata and covariates are taken out.

    Attributes:
        chance: the mechanism over C clusters.
        cluster: (n,) codes.
        stratum: (n,) codes of what is held constant.
        held: (C, S) sparse number of units of a cluster in a stratum.
        basis: (n, r) orthonormal columns for what covariates say within strata.
        made: (n,) D~ of the assignment that was made.
        outcome: (n,) y~.
        estimate: D~′y~ / D~′D~.
        reason: why nothing can be tested, or empty.
    """

    chance: Mechanism
    cluster: Array
    stratum: Array
    held: Any
    basis: Array
    made: Array
    outcome: Array
    estimate: float
    reason: str

    @property
    def n_clusters(self) -> int:
        """Number of clusters that were assigned as a whole."""
        return len(self.chance.treated)

    @property
    def residuals(self) -> Array:
        """(n,) y~ less the estimate times D~."""
        return self.outcome - self.estimate * self.made

    def left(self, table: Array) -> Array:
        """(b, n) what strata and covariates leave of assignments (b, C)."""
        shares = (table @ self.held) / np.bincount(self.stratum)
        return np.asarray(
            table[:, self.cluster] - shares[:, self.stratum] - (table @ self.by_cluster(self.basis)) @ self.basis.T
        )

    def spread(self, table: Array) -> Array:
        """(b,) d~′d~, without forming d~."""
        units = table @ np.bincount(self.cluster).astype(float)
        strata = ((table @ self.held) ** 2 / np.bincount(self.stratum)).sum(axis=1)
        found = units - strata - ((table @ self.by_cluster(self.basis)) ** 2).sum(axis=1)
        return np.asarray(np.where(found > SPREAD * units, found, np.nan))

    def product(self, table: Array, values: Array) -> Array:
        """(b,) d~′values for values that strata and covariates leave."""
        return np.asarray(table @ self.by_cluster(values))

    def by_cluster(self, values: Array) -> Array:
        """Sums over what was assigned as a whole."""
        return sums(values, self.cluster, self.n_clusters)


def _setting(
    outcome: Array,
    treated: Array,
    strata: Array | None,
    clusters: Array | None,
    probability: Array | float | None,
    covariates: Array | None,
) -> _Setting:
    y, d, n = np.asarray(outcome, dtype=float), np.asarray(treated), len(outcome)
    x = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=float).reshape(n, -1)
    cluster = np.arange(n) if clusters is None else pd.factorize(np.asarray(clusters), sort=True)[0]
    stratum = np.zeros(n, dtype=np.intp) if strata is None else pd.factorize(np.asarray(strata), sort=True)[0]
    _require_known({"outcome": y, "treatment": d, "covariates": x, "clusters": cluster, "strata": stratum})
    chance = mechanism(
        d.astype(bool),
        cluster,
        stratum,
        None if probability is None else np.broadcast_to(np.asarray(probability, dtype=float), (n,)),
        clustered=int(cluster.max()) + 1 < n,
    )
    shape = int(cluster.max()) + 1, int(stratum.max()) + 1
    basis = _basis(_demeaned(x, stratum))
    return _solved(
        chance=chance,
        cluster=cluster,
        stratum=stratum,
        held=sparse.coo_array((np.ones(n), (cluster, stratum)), shape=shape).tocsr(),
        basis=basis,
        made=_projected(_demeaned(d.astype(float), stratum), basis),
        outcome=_projected(_demeaned(y, stratum), basis),
        size=float(y @ y),
    )


def _solved(*, made: Array, outcome: Array, size: float, **known: Any) -> _Setting:
    """The estimate, or why there is none."""
    spread, reason = float(made @ made), ""
    if spread <= SPREAD * len(made):
        reason = "treatment does not vary once strata and covariates are known"
    elif float(outcome @ outcome) <= TINY * size:
        reason = "the outcome does not vary once strata and covariates are known"
    estimate = float("nan") if spread <= SPREAD * len(made) else float(made @ outcome) / spread
    return _Setting(made=made, outcome=outcome, estimate=estimate, reason=reason, **known)


def _affine_draws(setting: _Setting, draws: int, seed: int, *, studentised: bool) -> AffineDraws:
    counted = setting.chance.n_possible <= draws
    width = 4 * len(setting.cluster) if studentised else setting.n_clusters
    table, chance = setting.chance.all() if counted else (None, None)
    blocks = setting.chance.drawn(draws, seed, width) if table is None else _blocks(table, width)
    found = np.hstack([_statistics(setting, block, studentised=studentised) for block in blocks])
    variance = _robust(setting) + _least(setting) if studentised else _scale(setting)
    return AffineDraws(
        numerator=found[:2], variance=found[2:], sigma=float(np.sqrt(variance)), counted=counted, chance=chance
    )


def _blocks(table: Array, width: int) -> Iterator[Array]:
    step = max(1, BLOCK // width)
    for start in range(0, len(table), step):
        yield table[start : start + step]


def _statistics(setting: _Setting, table: Array, *, studentised: bool) -> Array:
    """(5, b) numerators a and b and the three parts of the squared standard error of assignments (b, C).

    An assignment that leaves no variation of treatment has no statistic: its squared standard error is set below zero.
    """
    spread = setting.spread(table)
    valid = np.isfinite(spread)
    spread = np.where(valid, spread, 1.0)
    a, b = (setting.product(table, values) / spread for values in (setting.residuals, setting.made))
    if studentised:
        parts = _robust_parts(setting, table, a, b) / spread**2
        parts[0] += _least(setting)
    else:
        parts = np.zeros((3, len(table)))
        parts[0] = _scale(setting)
    parts[:, ~valid] = np.array([[-1.0], [0.0], [0.0]])
    return np.vstack([a, b, parts])


def _robust_parts(setting: _Setting, table: Array, a: Array, b: Array) -> Array:
    """(3, b) sums over clusters of the products of scores d~ e, e = (residuals - a d~) + δ (D~ - b d~)."""
    left = setting.left(table)
    scores = [
        setting.by_cluster((left * (values - slope[:, None] * left)).T)
        for values, slope in ((setting.residuals, a), (setting.made, b))
    ]
    return np.stack([np.einsum("ij,ij->j", scores[i], scores[j]) for i, j in ((0, 0), (0, 1), (1, 1))])


def _robust(setting: _Setting) -> float:
    """Squared robust standard error of the estimate: HC0, or CR0 by what was assigned as a whole."""
    scores = setting.by_cluster(setting.made * setting.residuals)
    return float(scores @ scores) / float(setting.made @ setting.made) ** 2


def _least(setting: _Setting) -> float:
    """A squared standard error that is nothing beside all others, for assignments that fit the outcome exactly."""
    return TINY * float(setting.outcome @ setting.outcome) / float(setting.made @ setting.made)


def _scale(setting: _Setting) -> float:
    """A squared length of the estimate that all assignments share where estimates themselves are compared."""
    n = len(setting.outcome)
    return float(setting.outcome @ setting.outcome) / n / float(setting.made @ setting.made)


def _basis(covariates: Array) -> Array:
    """(n, r) orthonormal columns; columns that others say already are left out."""
    if covariates.shape[1] == 0:
        return covariates
    factor = factorize(covariates)
    return factor.q[:, : factor.rank]


def _demeaned(values: Array, stratum: Array) -> Array:
    """Deviations from means of strata, taken twice: the second time the outcome's level leaves no rounding behind."""
    n = np.bincount(stratum).astype(float).reshape(-1, *[1] * (values.ndim - 1))
    for _ in range(2):
        values = values - (sums(values, stratum, len(n)) / n)[stratum]
    return np.asarray(values)


def _projected(values: Array, basis: Array) -> Array:
    once = values - basis @ (basis.T @ values)
    return np.asarray(once - basis @ (basis.T @ once))


def _blank(setting: _Setting, *, studentised: bool, tails: Tails, level: float) -> RandomisationTest:
    nothing, known = float("nan"), np.isfinite(setting.estimate)
    return RandomisationTest(
        estimate=setting.estimate,
        std_error=float(np.sqrt(_robust(setting))) if known else nothing,
        statistic=nothing,
        p_value=nothing,
        p_value_strict=nothing,
        ci_low=nothing,
        ci_high=nothing,
        draws=0,
        assignments=setting.chance.n_possible,
        enumerated=False,
        mechanism=setting.chance.name,
        studentised=studentised,
        tails=tails,
        level=level,
        units=len(setting.outcome),
        clusters=setting.n_clusters,
        treated_clusters=int(setting.chance.treated.sum()),
    )


def _require_known(values: Mapping[str, Array]) -> None:
    bad = [name for name, value in values.items() if not np.isfinite(value.astype(float)).all()]
    bad += [name for name in ("clusters", "strata") if (values[name] < 0).any()]
    bad += [] if np.isin(values["treatment"], (0, 1)).all() else ["treatment"]
    if bad:
        raise DataError(
            code="E-IMP-068",
            what="a randomisation test met values that are missing, infinite or, for treatment, other than 0 and 1",
            where=", ".join(dict.fromkeys(bad)),
            fix="drop these rows, with a reason, before the test",
        )
