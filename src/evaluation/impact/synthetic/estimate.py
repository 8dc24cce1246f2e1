"""Synthetic control, synthetic difference-in-differences, and their common form, for units that start together.

All are a double difference with weights of donors ω and of periods before λ,

    τ = (1/N₁, -ω)′ Y (1/T₁, -λ),

and differ in the weights: DiD gives all donors and all periods before the same; synthetic control chooses ω to follow
the treated before and takes λ = 0; SDID chooses both, up to constants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evaluation.impact.synthetic.augmented import augment, chosen_penalty
from evaluation.impact.synthetic.frank_wolfe import path_weights
from evaluation.impact.synthetic.weights import simplex_weights

Array = np.ndarray
Estimator = Literal["sdid", "synthetic_control", "augmented", "did"]
Solver = Literal["exact", "frank_wolfe"]

TINY = 1e-6  # of the noise: a ridge that only chooses among weights that fit alike


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Outcomes of donors and of units that are all treated from one period on.

    Attributes:
        donors: (N₀, T) never treated.
        treated: (N₁, T).
        n_before: T₀, periods before the treatment; 1 ≤ T₀ < T.
    """

    donors: Array
    treated: Array
    n_before: int

    @property
    def noise(self) -> float:
        """Standard deviation of the donors' changes from period to period before; their spread with one period."""
        before = self.donors[:, : self.n_before]
        changes = np.diff(before, axis=1) if self.n_before > 1 else before
        return float(changes.std(ddof=1)) if changes.size > 1 else 0.0

    @property
    def cells(self) -> int:
        """N₁T₁, treated units times periods after."""
        return len(self.treated) * (int(self.donors.shape[1]) - self.n_before)

    def placebo(self, chosen: Array) -> Outcomes:
        """Some donors in the place of the treated, against the others; the treated are left out."""
        return replace(self, donors=np.delete(self.donors, chosen, axis=0), treated=self.donors[chosen])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Synthetic:
    """An estimate with its weights.

    Attributes:
        estimate: mean effect over treated units and periods.
        unit_weights: (N₀,) ω; sum 1, not negative unless augmented.
        time_weights: (T₀,) λ; sum 1, or all 0.
        gaps: (T,) mean of the treated less the weighted donors, less the λ-weighted mean of that before.
    """

    estimate: float
    unit_weights: Array
    time_weights: Array
    gaps: Array

    def rmspe(self, n_before: int) -> tuple[float, float]:
        """Root mean square of the gaps before and after; with a constant level difference taken out where λ allows."""
        before, after = self.gaps[:n_before], self.gaps[n_before:]
        if self.time_weights.any():
            before = before - before.mean()
        return float(np.sqrt(np.mean(before**2))), float(np.sqrt(np.mean(after**2)))


def fit(
    outcomes: Outcomes, estimator: Estimator = "sdid", *, solver: Solver = "exact", noise: float | None = None
) -> Synthetic:
    """Weights and estimate.

    With noise the standard deviation of the donors' changes before, and constants for SDID:
        ω minimises |Y₀′ω - ȳ₁|² / T₀ + ζ² |ω|² over the periods before, ζ = (N₁T₁)^¼ noise for SDID, 10⁻⁶ noise else;
        λ minimises |Y₀λ - ȳ₀ after|² / N₀ + (10⁻⁶ noise)² |λ|² over donors (SDID only).

    Args:
        outcomes: of donors and treated.
        estimator: sdid, synthetic_control, augmented (synthetic control corrected by a ridge regression) or did.
        solver: exact, or the path of R's synthdid.
        noise: computed if None.

    Source: Arkhangelsky et al. (2021), algorithm 1; Abadie, Diamond and Hainmueller (2010); Ben-Michael, Feller and
        Rothstein (2021).
    """
    noise = outcomes.noise if noise is None else noise
    before = outcomes.donors[:, : outcomes.n_before]
    target = outcomes.treated[:, : outcomes.n_before].mean(axis=0)
    unit_weights = follow(before, target, estimator, solver=solver, noise=noise, cells=outcomes.cells)
    return with_weights(outcomes, unit_weights, _time_weights(outcomes, estimator, solver, noise))


def with_weights(outcomes: Outcomes, unit_weights: Array, time_weights: Array) -> Synthetic:
    """The estimate under weights that are given."""
    apart = outcomes.treated.mean(axis=0) - unit_weights @ outcomes.donors
    gaps = apart - time_weights @ apart[: outcomes.n_before]
    return Synthetic(
        estimate=float(gaps[outcomes.n_before :].mean()),
        unit_weights=unit_weights,
        time_weights=time_weights,
        gaps=gaps,
    )


def follow(
    donors: Array, target: Array, estimator: Estimator, *, solver: Solver = "exact", noise: float, cells: int
) -> Array:
    """(N₀,) weights of donors that follow the target over some periods.

    Args:
        donors: (N₀, t) outcomes in these periods.
        target: (t,).
        estimator: see `fit`.
        solver: see `fit`.
        noise: see `fit`.
        cells: treated units times periods after, for the ridge of SDID.
    """
    if estimator == "did":
        return np.full(len(donors), 1 / len(donors))
    zeta = (cells**0.25 if estimator == "sdid" else TINY) * noise
    weights = _solve(donors.T, target, zeta, estimator == "sdid", solver, noise)
    if estimator != "augmented":
        return weights
    return augment(donors.T, target, weights, chosen_penalty(donors.T, target, zeta**2))


def _time_weights(outcomes: Outcomes, estimator: Estimator, solver: Solver, noise: float) -> Array:
    n_before = outcomes.n_before
    if estimator != "sdid":
        return np.full(n_before, 1 / n_before if estimator == "did" else 0.0)
    before, after = outcomes.donors[:, :n_before], outcomes.donors[:, n_before:].mean(axis=1)
    return _solve(before, after, TINY * noise, True, solver, noise)


def _solve(columns: Array, target: Array, zeta: float, intercept: bool, solver: Solver, noise: float) -> Array:
    if solver == "frank_wolfe":
        return path_weights(columns, target, ridge=zeta**2, intercept=intercept, noise=noise)
    return simplex_weights(columns, target, ridge=zeta**2, intercept=intercept)
