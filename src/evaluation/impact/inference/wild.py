"""Wild cluster bootstrap tests and intervals: of coefficients of a regression, and of any effect with influences.

They are what is allowed where clusters are few: with the hypothesis imposed a 5 % test rejects a true hypothesis in 0
to 7 % of samples (equal clusters, at least two on each side and eight in all), where ordinary tests reject in up to
31 %. A single treated cluster has no answer here, and fewer than eight clusters need the actual assignment
(`randomisation_test`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.impact.effects import Arms, Effects
from evaluation.impact.inference.bands import require_level
from evaluation.impact.inference.clustering import cluster_codes, counts, subsets
from evaluation.impact.inference.covariances import ZERO_VARIANCE, cr1_factor, require_influence
from evaluation.impact.inference.few import REFERENCE, arms_of, too_few
from evaluation.impact.inference.inversion import AffineDraws, Tails
from evaluation.impact.inference.multipliers import DESCRIPTIONS, Law, require_draws, require_law
from evaluation.impact.inference.wild_draws import Forms, Rows, affine_draws, forms_of
from evaluation.impact.regression import Regression

Array = np.ndarray

WILD_DRAWS = 9999
FEW_FOR_RADEMACHER = 12  # clusters; 2^12 different draws and fewer are too coarse, six points are finer
LEAST_RESTRICTED = 2  # clusters on a side; with one, every draw is its own multiplier times the same number
LEAST_IN_ALL = 8  # clusters, where a side has fewer than six; with 5 to 7 a 5 % test rejects in up to 9 % of samples
CAUTION = "{}; a 5 % test then rejects a true hypothesis in 0 to 7 % of samples"
LINEAR = 1e-9  # relative; an estimate farther from loading times coefficients is no linear function of them


@dataclass(frozen=True, slots=True, kw_only=True)
class WildTest:
    """A test that one effect equals a hypothetical value, with an interval of the values that are not rejected.

    Attributes:
        estimate, std_error, statistic: of the sample; the standard error is CR1 for a regression ("wild"), and without
            a factor for the influence function ("score").
        p_value: ties with the sample's statistic count; with random draws (1 + number) / (1 + draws).
        p_value_strict: share of draws farther out, ties not counted (the convention of boottest).
        ci_low, ci_high: by test inversion; infinite where no value that way is rejected.
        draws: number of draws; all combinations if `enumerated`.
        law: of the multipliers.
        clusters: number of clusters of each clustering; units if there is none.
        bootstrapped: the clustering whose residuals are multiplied, that with the fewest clusters.
        restricted: whether the hypothesis is imposed on the residuals.
        kind: wild (the regression behind the effect) or score (its influence function).
        tails: symmetric (|t|) or equal (twice the smaller tail).
        level: of the interval.
        reason: why there is no p-value; empty if there is one.
        caution: what to know where clusters are few; empty otherwise.
    """

    estimate: float
    std_error: float
    statistic: float
    p_value: float
    p_value_strict: float
    ci_low: float
    ci_high: float
    draws: int
    law: str
    enumerated: bool
    clusters: Mapping[str, int]
    bootstrapped: str
    restricted: bool
    kind: Literal["wild", "score"]
    tails: Tails
    level: float
    reason: str = ""
    caution: str = ""

    def describe(self) -> str:
        """The convention in one line, for records and tables."""
        name = "wild cluster bootstrap" if self.kind == "wild" else "score wild cluster bootstrap of influence sums"
        imposed = "hypothesis imposed" if self.restricted else "hypothesis not imposed"
        number = f"all {self.draws} combinations" if self.enumerated else f"{self.draws} draws"
        sizes = ", ".join(f"{cluster} ({n})" for cluster, n in self.clusters.items())
        parts = [
            name,
            imposed,
            f"{DESCRIPTIONS[self.law]}, {number}",
            f"{self.tails} tails, interval by test inversion",
        ]
        parts += [f"clusters: {sizes}" + (f", residuals by {self.bootstrapped}" if len(self.clusters) > 1 else "")]
        return "; ".join([*parts, *([self.caution] if self.caution else [])])


def wild_test(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    *,
    row: int = 0,
    hypothesis: float = 0.0,
    law: Law | None = None,
    draws: int = WILD_DRAWS,
    seed: int = 0,
    restricted: bool = True,
    tails: Tails = "symmetric",
    level: float = 0.95,
    treated_by_unit: pd.Series | None = None,
    score: bool = False,
) -> WildTest:
    """Wild cluster bootstrap of one effect: WCR11 with the hypothesis imposed, WCU11 without.

    For a linear function c′b of a regression, with residuals u of the fit under the hypothesis (restricted) or of the
    fit itself, a draw takes outcomes x′b + v_g u, v_g one multiplier for each cluster, and t* = (c′b* - value) / SE*,
    value the hypothesis or the estimate. SE is CR1; with several clusterings by inclusion and exclusion, residuals
    being multiplied by the clustering with the fewest clusters. Fixed effects that were taken out answer to each draw.
    For effects without a regression (or nonlinear in one, or `score`), the same in the working model in which the
    estimate is the difference of two means, of treated and comparison units (of one mean, if no arms are known), whose
    residuals are the influences: exact for a difference in means, a first-order approximation for all others.

    Args:
        effects: with influence functions.
        clusters: see `covariance`; each unit is a cluster if None.
        row: which of the effects.
        hypothesis: its value under the hypothesis, in the unit of the outcome.
        law: rademacher, webb or mammen; None for webb with at most 12 clusters, rademacher with more.
        draws: all combinations are taken where they are no more than that (Rademacher 2^G, Webb 6^G).
        seed: of the multipliers.
        restricted: impose the hypothesis.
        tails: of the p-value and of the interval.
        level: of the interval.
        treated_by_unit: see `summarize`.
        score: take influences even if there is a regression.

    Returns:
        A test; NaN and a reason where a side has a single cluster, or fewer than six and there are fewer than eight in
        all; without the hypothesis imposed, where a side has fewer than six.

    Raises:
        ParametersError: unknown law, fewer than one draw, a level that is not a share.
        DataError: see `covariance`.

    Source: Cameron, Gelbach and Miller (2008); Roodman, MacKinnon, Nielsen and Webb (2019); Webb (2023); MacKinnon and
        Webb (2017) for few treated clusters; Kline and Santos (2012) for scores.
    """
    require_level(level)
    require_draws(draws)
    require_influence(effects)
    one = effects.select(np.arange(len(effects)) == row)
    codes = cluster_codes(one.units, clusters) or {"unit": np.arange(one.n_units)}
    found = _setting(one, codes, treated_by_unit, score)
    law = law or ("webb" if found.n_bootstrapped <= FEW_FOR_RADEMACHER else "rademacher")
    require_law(law)
    given = {} if clusters is None else codes
    few = too_few(one, given, treated_by_unit)[0]
    refused = few and (
        _refused(found, too_few(one, given, treated_by_unit, LEAST_RESTRICTED)[0]) if restricted else few
    )
    blank = _blank(one, found, law, restricted=restricted, tails=tails, level=level)
    reason = _reason(one, found, refused)
    if reason:
        return replace(blank, reason=reason)
    drawn = affine_draws(found.forms, law, draws, seed, restricted=restricted)
    caution = CAUTION.format(few.partition(";")[0]) if few else ""
    return replace(_tested(blank, drawn, hypothesis), caution=caution)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Setting:
    """What is bootstrapped, before any draw."""

    forms: Forms
    sizes: Mapping[str, int]
    bootstrapped: str
    kind: Literal["wild", "score"]

    @property
    def n_bootstrapped(self) -> int:
        """Number of clusters whose residuals are multiplied."""
        return self.sizes[self.bootstrapped]


def _setting(one: Effects, codes: Mapping[str, Array], treated_by_unit: pd.Series | None, score: bool) -> _Setting:
    sizes = counts(codes)
    bootstrapped = min(sizes, key=lambda name: sizes[name])
    fit = None if score else _regression_of(one)
    if fit is None:
        rows, units = _score_rows(one, arms_of(one, treated_by_unit))
    else:
        rows, units = _regression_rows(one, fit)
    by_row = subsets({name: code[units] for name, code in codes.items()})
    factor = 1.0 if fit is None else cr1_factor(fit, one.units, codes, sizes)
    return _Setting(
        forms=forms_of(replace(rows, factor=factor), by_row[(bootstrapped,)], by_row),
        sizes=sizes,
        bootstrapped=bootstrapped,
        kind="score" if fit is None else "wild",
    )


def _regression_of(one: Effects) -> Regression | None:
    """The regression, if the estimate is linear in its coefficients; a function by the delta method is not."""
    if one.regression is None or one.loading is None:
        return None
    linear = float(one.loading[0] @ one.regression.coefficients)
    scale = float(np.abs(one.loading[0]) @ np.abs(one.regression.coefficients))
    return one.regression if abs(linear - one.estimate[0]) <= LINEAR * scale else None


def _regression_rows(one: Effects, fit: Regression) -> tuple[Rows, Array]:
    """The fit's rows and the unit of each, as a row of the effect."""
    loading = np.zeros(fit.n_columns) if one.loading is None else one.loading[0]
    rows = Rows(
        design=fit.design,
        bread=fit.bread,
        residuals=fit.residuals,
        carried=fit.design @ (fit.bread @ loading),
        weights=fit.weights,
        absorbed=fit.absorbed,
    )
    return rows, fit.rows_among(one.units)


def _score_rows(one: Effects, arms: Arms | None) -> tuple[Rows, Array]:
    """The difference of two means (or the mean) whose influences are those of the effect.

    A unit with influence ψ that carries the weight ℓ = 1/n₁ or -1/n₀ has the residual ψ / (n ℓ). Units on neither side
    and without influence are not in the model.
    """
    influence = one.dense()[:, 0]
    treated, used = _sides(influence, arms)
    sides = np.column_stack([treated, ~treated])[used] if arms is not None else np.ones((len(influence), 1))
    sizes = sides.sum(axis=0)
    carried = sides @ (np.array([1.0, -1.0])[: len(sizes)] / np.maximum(sizes, 1))
    rows = Rows(
        design=sides.astype(float),
        bread=np.diag(1 / np.maximum(sizes, 1)),
        residuals=influence[used] / (one.n_units * carried),
        carried=carried,
        weights=np.ones(len(carried)),
    )
    return rows, np.flatnonzero(used)


def _sides(influence: Array, arms: Arms | None) -> tuple[Array, Array]:
    """(n,) who is treated and who is in the model. Whoever stands on both sides is treated."""
    if arms is None:
        everybody = np.ones(len(influence), dtype=bool)
        return everybody, everybody
    inside = arms.codes >= 0
    treated = inside & arms.treated[arms.codes, 0]
    return treated, treated | (inside & arms.comparison[arms.codes, 0]) | (influence != 0)


def _refused(found: _Setting, side: str) -> str:
    """Whether clusters are too few even with the hypothesis imposed, given that a side has fewer than six."""
    n = found.n_bootstrapped
    return side or (f"clusters: {n}, fewer than {LEAST_IN_ALL}; the test is not reliable" if n < LEAST_IN_ALL else "")


def _reason(one: Effects, found: _Setting, refused: str) -> str:
    if not one.support()[0]:
        return REFERENCE
    if found.forms.variance <= ZERO_VARIANCE * found.forms.plain:
        return "the standard error is zero"
    return refused


def _blank(one: Effects, found: _Setting, law: str, *, restricted: bool, tails: Tails, level: float) -> WildTest:
    nothing = float("nan")
    return WildTest(
        estimate=float(one.estimate[0]),
        std_error=float(np.sqrt(max(found.forms.variance, 0.0))),
        statistic=nothing,
        p_value=nothing,
        p_value_strict=nothing,
        ci_low=nothing,
        ci_high=nothing,
        draws=0,
        law=law,
        enumerated=False,
        clusters=found.sizes,
        bootstrapped=found.bootstrapped,
        restricted=restricted,
        kind=found.kind,
        tails=tails,
        level=level,
    )


def _tested(blank: WildTest, drawn: AffineDraws, hypothesis: float) -> WildTest:
    delta = blank.estimate - hypothesis
    low, high = drawn.interval(blank.estimate, blank.level, blank.tails)
    return replace(
        blank,
        statistic=delta / blank.std_error,
        p_value=drawn.p_value(delta, blank.tails),
        p_value_strict=drawn.p_value_strict(delta, blank.tails),
        ci_low=low,
        ci_high=high,
        draws=drawn.n_draws,
        enumerated=drawn.counted,
    )
