"""Standard error and degrees of freedom that a design of a given size will have.

A design is a frozen value without sizes; `precision` takes sizes as arrays. Everything is for the mean effect on those
who are assigned (ITT); take-up, attrition, subgroups and several outcomes are in `study`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np

from evaluation.impact.covariates import Floats

Drawn = Literal["units", "clusters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How much the outcome varies.

    Attributes:
        sd: standard deviation within an arm; not read for a yes-or-no outcome.
        share: of those without the innovation who have a yes-or-no outcome; None for other outcomes.
        direction: 1 where the effect that is looked for raises the outcome, -1 where it lowers it (yes-or-no outcomes,
            whose spread changes with the effect).
    """

    sd: float = 1.0
    share: float | None = None
    direction: int = 1

    def variances(self, effect: Floats | float) -> tuple[Floats, Floats]:
        """Variance among treated and among comparison units at an effect; NaN where a share would leave (0, 1)."""
        size = np.abs(np.asarray(effect, dtype=float))
        if self.share is None:
            same = np.full_like(size, self.sd**2)
            return same, same
        treated = self.share + self.direction * size
        possible = (treated > 0) & (treated < 1)
        return (
            np.where(possible, treated * (1 - treated), np.nan),
            np.full_like(size, self.share * (1 - self.share)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Precision:
    """What a size gives: standard error of the effect in the unit of the outcome, and degrees of freedom."""

    std_error: Floats
    df: Floats


class DesignOfSize(Protocol):
    """What every design can say.

    Attributes:
        name: key of the words for it.
    """

    name: ClassVar[str]

    @property
    def drawn(self) -> Drawn:
        """What is drawn: "units", or "clusters", where `size` counts the units of each."""
        ...

    @property
    def step(self) -> int:
        """What n is a multiple of: 2 for pairs."""
        ...

    @property
    def together(self) -> int:
        """How many must stay for one to count: 2 for pairs."""
        ...

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """Precision at `n` units or clusters that are drawn, with `size` units each; arrays broadcast."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Individuals:
    """Units are drawn one by one, within strata if there are any.

        Var = (σ₁² / (P n) + σ₀² / ((1 - P) n)) (1 - R²),   df = n - 1 - strata - covariates

    Attributes:
        share: P, treated.
        r2: share of the outcome's variance that covariates and strata explain.
        covariates: how many covariates the regression has.
        strata: how many strata; 1 without.

    Source: Bloom (1995, 2005); Duflo, Glennerster and Kremer (2007), section 4.
    """

    name: ClassVar[str] = "individual"
    drawn: ClassVar[Drawn] = "units"
    step: ClassVar[int] = 1
    together: ClassVar[int] = 1

    share: float = 0.5
    r2: float = 0.0
    covariates: int = 0
    strata: int = 1

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`; `size` is 1."""
        treated, comparison = spread.variances(effect)
        variance = (treated / self.share + comparison / (1 - self.share)) * (1 - self.r2) / (n * size)
        return Precision(std_error=np.sqrt(variance), df=n * size - 1 - self.strata - self.covariates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Groups are drawn, and all their units are treated or none is.

        Var = Σ_arms σ² / (P_arm J) [ρ (1 - R²_c) (1 + CV²) + (1 - ρ)(1 - R²_u) / m]
        df = J - 1 - strata - covariates

    The factor 1 + CV² is what unequal sizes cost an analysis of units; with equal sizes it is PowerUp!'s formula.

    Attributes:
        icc: ρ, share of the variance between clusters.
        size_cv: standard deviation of the clusters' sizes over their mean.
        share: P, treated.
        r2: of units within clusters explained by covariates.
        r2_clusters: of cluster means explained by covariates.
        covariates: at the level of clusters, which alone cost degrees of freedom.
        strata: how many strata of clusters; 1 without.

    Source: Bloom (2005); Dong and Maynard (2013), design CRA2_2r; Eldridge, Ashby and Kerry (2006) for sizes.
    """

    name: ClassVar[str] = "cluster"
    drawn: ClassVar[Drawn] = "clusters"
    step: ClassVar[int] = 1
    together: ClassVar[int] = 1

    icc: float
    size_cv: float = 0.0
    share: float = 0.5
    r2: float = 0.0
    r2_clusters: float = 0.0
    covariates: int = 0
    strata: int = 1

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`."""
        treated, comparison = spread.variances(effect)
        between = self.icc * (1 - self.r2_clusters) * (1 + self.size_cv**2)
        within = (1 - self.icc) * (1 - self.r2) / np.asarray(size, dtype=float)
        variance = (treated / self.share + comparison / (1 - self.share)) * (between + within) / n
        return Precision(std_error=np.sqrt(variance), df=np.asarray(n - 1.0 - self.strata - self.covariates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Of each pair, of units or of clusters, one is treated.

        Var = 2 (σ₁² + σ₀²)/2 [ρ (1 - r)(1 - R²_c) + (1 - ρ)(1 - R²_u) / m] / (n / 2),   df = n / 2 - 1

    With units ρ = 1 and m = 1: the variance of the difference within a pair over the number of pairs.

    Attributes:
        correlation: r, of the two outcomes (cluster means) of a pair without treatment.
        drawn: pairs of units or of clusters.
        icc: ρ; 1 for pairs of units.
        r2: of units within clusters explained by covariates.
        r2_clusters: of (cluster) means explained by covariates.

    Source: Imai, King and Nall (2009), section 4; Donner and Klar (2000).
    """

    name: ClassVar[str] = "paired"
    step: ClassVar[int] = 2
    together: ClassVar[int] = 2

    correlation: float
    drawn: Drawn = "units"
    icc: float = 1.0
    r2: float = 0.0
    r2_clusters: float = 0.0

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`."""
        treated, comparison = spread.variances(effect)
        between = self.icc * (1 - self.correlation) * (1 - self.r2_clusters)
        within = (1 - self.icc) * (1 - self.r2) / np.asarray(size, dtype=float)
        variance = (treated + comparison) * (between + within) / (n / 2)
        return Precision(std_error=np.sqrt(variance), df=np.asarray(n / 2 - 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """Groups that nobody drew, made alike by matching or weights (effect on the treated).

        Var = σ₁² (1 - R²) / (P n) + σ₀² (1 - R²) / (e (1 - P) n),   df = (P + e (1 - P)) n - 2 - covariates

    What the adjustment costs is in e: weights that differ, or comparison units that resemble nobody, leave the
    precision of e times as many units. It says nothing about what was not measured.

    Attributes:
        share: P, treated.
        effective: e, Kish's effective size of the comparison group over its size, from a pilot's overlap.ess_share.
        r2: of the outcome explained by covariates.
        covariates: how many.

    Source: Kish (1965), section 11.7; Shook-Sa and Hudgens (2022) for its use before a study.
    """

    name: ClassVar[str] = "comparison"
    drawn: ClassVar[Drawn] = "units"
    step: ClassVar[int] = 1
    together: ClassVar[int] = 1

    effective: float
    share: float = 0.5
    r2: float = 0.0
    covariates: int = 0

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`; `size` is 1."""
        treated, comparison = spread.variances(effect)
        ones, others = self.share * n * size, self.effective * (1 - self.share) * n * size
        variance = (treated / ones + comparison / others) * (1 - self.r2)
        return Precision(std_error=np.sqrt(variance), df=ones + others - 2.0 - self.covariates)
