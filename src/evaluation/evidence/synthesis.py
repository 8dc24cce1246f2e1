"""Findings about one thing as one estimate: common and random effects, what each study and what bias could do to them.

Nothing is pooled that differs in unit or currency, and nothing twice: findings on the same people enter once, or with
the correlation that this gives them. Votes are never counted. All errors and intervals come from `impact.inference`.

Source: Borenstein et al. (2009); IntHout, Ioannidis and Borm (2014), *BMC Medical Research Methodology* 14, for
    Hartung-Knapp; Turner et al. (2009) for bias; Pustejovsky and Tipton (2022), *Prevention Science* 23(3), for effects
    on the same people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.evidence import posterior
from evaluation.evidence.eligibility import Entry
from evaluation.evidence.publication_bias import PublicationBias, publication_bias
from evaluation.impact.inference.heterogeneity import Heterogeneity
from evaluation.impact.inference.studies import (
    Kind,
    Studies,
    fit_studies,
    prediction_interval,
    study_heterogeneity,
    study_numbers,
    study_table,
)
from evaluation.settings.synthesis import Synthesis

Array = np.ndarray
Scale = Literal["natural", "sd"]

EFFECTS_PER_MODERATOR = 10  # Cochrane Handbook 6.4, section 10.11.5.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A pooled estimate.

    Attributes:
        estimate, std_error, ci_low, ci_high, p_value, df: as everywhere; df infinite where the interval is normal.
        kind: the convention of the standard error, in words.
        between_variance: τ² it rests on.
        note: why another convention stands in, or why this one is not reliable; "" otherwise.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    p_value: float
    df: float
    kind: str
    between_variance: float
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what is infinite (df of a normal interval) or undefined is None."""
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Findings as one estimate, and what it rests on.

    Attributes:
        scale: natural, or sd (standard deviations of the outcome, favourable above zero).
        unit: of the estimates.
        ids: of the records used; `weights` their shares in the random-effects mean, `values` and `errors` as pooled.
        groups: number of distinct sets of people.
        common, random: known variances, and the method of params.yaml with Hartung-Knapp (CR2 where people are shared).
        by_method: the mean for each estimator of the variance between studies, with Hartung-Knapp; empty for one.
        bias_adjusted: random effects with the variance of the bias of each grade; None where it cannot be expressed.
        heterogeneity: around the mean; None for one effect or where people are shared.
        prediction_low, prediction_high: of the effect in a new place; None with fewer than three effects.
        leave_one_out, cumulative: the random-effects mean without each, and with the first 1, 2, … by year.
        publication_bias: diagnostics, or why there are none.
    """

    scale: Scale
    unit: str
    ids: tuple[str, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    weights: tuple[float, ...]
    groups: int
    common: Estimate
    random: Estimate
    by_method: dict[str, Estimate]
    bias_adjusted: Estimate | None
    heterogeneity: Heterogeneity | None
    prediction_low: float | None
    prediction_high: float | None
    leave_one_out: dict[str, Estimate]
    cumulative: tuple[tuple[str, Estimate], ...]
    publication_bias: PublicationBias

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        studies = zip(self.ids, self.values, self.errors, self.weights, strict=True)
        return {
            "scale": self.scale,
            "unit": self.unit,
            "records": [
                {"id": name, "estimate": value, "std_error": error, "weight": weight}
                for name, value, error, weight in studies
            ],
            "groups": self.groups,
            "common": self.common.as_dict(),
            "random": self.random.as_dict(),
            "by_method": {name: found.as_dict() for name, found in self.by_method.items()},
            "bias_adjusted": None if self.bias_adjusted is None else self.bias_adjusted.as_dict(),
            "heterogeneity": None if self.heterogeneity is None else asdict(self.heterogeneity),
            "prediction": {"low": self.prediction_low, "high": self.prediction_high},
            "leave_one_out": {name: found.as_dict() for name, found in self.leave_one_out.items()},
            "cumulative": [{"added": name, **found.as_dict()} for name, found in self.cumulative],
            "publication_bias": self.publication_bias.as_dict(),
        }


def pool(entries: Sequence[Entry], settings: Synthesis, *, scale: Scale = "natural") -> Pooled:
    """One estimate from findings.

    Args:
        entries: at least one; findings of one group are taken as estimates on the same people.
        settings: level, method, bias by grade, correlations.
        scale: natural needs one unit; sd needs the standard deviation and the wanted direction of every outcome.

    Raises:
        DataError: units or currencies that differ; an outcome without standard deviation or direction; a finding that
            must never be pooled with others; nothing to pool.
    """
    _require_poolable(entries)
    y, se, unit = on_scale(entries, scale)
    variance = sampling_covariance(se, [entry.group for entry in entries], settings.outcome_correlation)
    shared = variance.ndim == 2
    people = np.unique([entry.group for entry in entries], return_inverse=True)[1]
    nested = [people, np.arange(len(y))] if shared else None
    random = fit_studies(y, variance, method="REML" if shared else settings.method, groups=nested)
    kind: Kind = "cr2" if shared else "hartung_knapp"
    mean = _estimate(random, kind, settings.level, people)
    low, high = _prediction(mean, len(np.unique(people)), settings.level)
    weights = random.row_weights[0]
    return Pooled(
        scale=scale,
        unit=unit,
        ids=tuple(entry.id for entry in entries),
        values=tuple(map(float, y)),
        errors=tuple(map(float, se)),
        weights=tuple(map(float, weights)),
        groups=len(np.unique(people)),
        common=_estimate(fit_studies(y, variance, method="common"), "known", settings.level),
        random=mean,
        by_method={} if shared or len(y) < 2 else _by_method(y, variance, settings.level),
        bias_adjusted=bias_adjusted(entries, settings, scale=scale),
        heterogeneity=None if shared or len(y) < 2 else _heterogeneity(y, variance, settings),
        prediction_low=low,
        prediction_high=high,
        leave_one_out={} if shared else _leave_one_out(entries, y, variance, settings),
        cumulative=() if shared or len(y) < 2 else _cumulative(entries, y, variance, settings),
        publication_bias=_publication_bias(entries, y, se, settings, scale=scale, shared=shared),
    )


def on_scale(entries: Sequence[Entry], scale: Scale) -> tuple[Array, Array, str]:
    """Estimates (k,), standard errors (k,) and their unit.

    Raises:
        DataError: see `pool`.
    """
    if scale == "sd":
        lacking = [entry.id for entry in entries if not entry.comparable]
        if lacking:
            raise DataError(
                code="E-EVI-050",
                what="outcomes without a standard deviation or a wanted direction have no common scale",
                found=", ".join(lacking),
                expected="findings whose outcome's standard deviation is known, and that say which direction is better",
                fix="pool them in their own unit, or leave them out and say so",
            )
        values = np.array([entry.standardised for entry in entries])
        return values, np.array([entry.standardised_error for entry in entries]), "SD"
    units = sorted({entry.unit for entry in entries})
    if len(units) > 1:
        raise DataError(
            code="E-EVI-051",
            what="effects in different units or currencies are not pooled",
            found="; ".join(units),
            expected="one unit",
            fix="convert them to one unit, or to standard deviations of their outcomes",
        )
    return np.array([entry.estimate for entry in entries]), np.array([entry.std_error for entry in entries]), units[0]


def sampling_covariance(std_error: Array, groups: Sequence[str], correlation: float) -> Array:
    """(k,) variances, or (k, k) with ρ SEᵢ SEⱼ between estimates on the same people, whose covariance is not known."""
    same = np.equal.outer(np.asarray(groups), np.asarray(groups))
    if same.sum() == len(std_error):
        return np.asarray(np.square(std_error))
    matrix = np.where(same, correlation, 0.0) * np.outer(std_error, std_error)
    np.fill_diagonal(matrix, np.square(std_error))
    return matrix


def bias_adjusted(entries: Sequence[Entry], settings: Synthesis, *, scale: Scale = "sd") -> Estimate | None:
    """Random effects with V + B: Bᵢᵢ = bᵢ², Bᵢⱼ = ρ bᵢ bⱼ, since findings about one thing tend to err together.

    None where a grade is 0 or, on the natural scale, an outcome's standard deviation is unknown.
    """
    fitted = bias_adjusted_fit(entries, settings, scale=scale)
    return None if fitted is None else _estimate(fitted, "known", settings.level)


def bias_adjusted_fit(entries: Sequence[Entry], settings: Synthesis, *, scale: Scale = "sd") -> Studies | None:
    """The fit behind `bias_adjusted`."""
    y, se, _ = on_scale(entries, scale)
    spreads = [1.0 if scale == "sd" else entry.spread or np.nan for entry in entries]
    bias = posterior.bias_sd(np.array([entry.grade for entry in entries]), settings) * np.array(spreads)
    if not np.isfinite(bias).all():
        return None
    sampling = sampling_covariance(se, [entry.group for entry in entries], settings.outcome_correlation)
    if len(y) == 1:
        return fit_studies(y, np.atleast_1d(sampling) + bias**2, method="common")
    matrix = np.diag(sampling) if sampling.ndim == 1 else sampling
    shared = settings.bias_correlation * np.outer(bias, bias) + (1 - settings.bias_correlation) * np.diag(bias**2)
    return fit_studies(y, matrix + shared)


def moderators(entries: Sequence[Entry], settings: Synthesis, *, by: Literal["design", "territory"]) -> dict[str, Any]:
    """Does the effect differ by design (drawn by lot or not) or by kind of territory? Regression with CR2 by people.

    Refused with fewer than ten effects for each coefficient beyond the constant, or with one kind only.

    Args:
        entries: findings on the common scale.
        settings: level, method.
        by: what to compare.

    Returns:
        `computed` and rows, or the reason in fr and en.
    """
    kinds = [_kind_of(entry, by) for entry in entries]
    levels = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
    needed = EFFECTS_PER_MODERATOR * max(len(levels) - 1, 1)
    if len(levels) < 2 or len(entries) < needed:
        return {
            "computed": False,
            "fr": f"Effets : {len(entries)}, il en faut {needed} ; catégories : {len(levels)}, il en faut deux.",
            "en": f"Effects: {len(entries)}, {needed} are needed; kinds: {len(levels)}, two are needed.",
        }
    y, se, _ = on_scale(entries, "sd")
    design = np.column_stack([np.ones(len(y)), *(np.array([kind == level for kind in kinds]) for level in levels[1:])])
    names = [f"{levels[0]} (reference)", *(f"{level} less {levels[0]}" for level in levels[1:])]
    people = np.unique([entry.group for entry in entries], return_inverse=True)[1]
    fitted = fit_studies(y, se**2, design=design.astype(float), names=names, method=settings.method)
    table = study_table(fitted, kind="cr2", clusters=people, level=settings.level)
    rows = [_from_row(row, fitted.between).as_dict() | {"term": row["term"]} for row in table.to_dict("records")]
    return {"computed": True, "reference": levels[0], "rows": rows}


def _require_poolable(entries: Sequence[Entry]) -> None:
    alone = [entry.id for entry in entries if not entry.poolable]
    if not entries or (alone and len(entries) > 1):
        raise DataError(
            code="E-EVI-052",
            what="there is nothing that can be pooled",
            found=f"not to be pooled with others: {', '.join(alone)}" if alone else "no finding",
            expected="findings that are effects on the whole sample, each read once",
            fix="leave out claims, subgroups and syntheses of others",
        )


def _estimate(fitted: Studies, kind: Kind, level: float, clusters: Array | None = None) -> Estimate:
    columns = study_numbers(fitted, kind=kind, level=level, clusters=clusters)
    first = {name: value if isinstance(value, str) else value[0] for name, value in columns.items()}
    return _from_row(first, fitted.between)


def _from_row(row: Mapping[Any, Any], between: float) -> Estimate:
    names = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "df")
    numbers = {name: float(row[name]) for name in names}
    return Estimate(**numbers, kind=str(row["kind"]), between_variance=between, note=str(row["reason"]))


def _by_method(y: Array, variance: Array, level: float) -> dict[str, Estimate]:
    return {
        method: _estimate(fit_studies(y, variance, method=method), "hartung_knapp", level)
        for method in ("REML", "DL", "PM")
    }


def _heterogeneity(y: Array, variance: Array, settings: Synthesis) -> Heterogeneity:
    return study_heterogeneity(y, variance, method=settings.method, level=settings.level)


def _prediction(mean: Estimate, groups: int, level: float) -> tuple[float | None, float | None]:
    if groups < 3:
        return None, None
    row = pd.Series({"estimate": mean.estimate, "std_error": mean.std_error})
    return prediction_interval(row, mean.between_variance, df=groups - 2, level=level)


def _leave_one_out(entries: Sequence[Entry], y: Array, variance: Array, settings: Synthesis) -> dict[str, Estimate]:
    if len(y) < 3:
        return {}
    return {entry.id: _some(y, variance, np.arange(len(y)) != j, settings) for j, entry in enumerate(entries)}


def _cumulative(
    entries: Sequence[Entry], y: Array, variance: Array, settings: Synthesis
) -> tuple[tuple[str, Estimate], ...]:
    order = sorted(range(len(y)), key=lambda j: (entries[j].year or 0, entries[j].id))
    return tuple(
        (entries[order[n]].id, _some(y, variance, np.isin(np.arange(len(y)), order[: n + 1]), settings))
        for n in range(len(order))
    )


def _some(y: Array, variance: Array, chosen: Array, settings: Synthesis) -> Estimate:
    fitted = fit_studies(y[chosen], variance[chosen], method=settings.method)
    return _estimate(fitted, "hartung_knapp", settings.level)


def _publication_bias(
    entries: Sequence[Entry], y: Array, se: Array, settings: Synthesis, *, scale: Scale, shared: bool
) -> PublicationBias:
    """Diagnostics for independent effects; what gets published is what is favourable."""
    if shared:
        return PublicationBias(
            reason_fr="Plusieurs effets portent sur les mêmes personnes ; ces diagnostics les supposent distincts.",
            reason_en="Several effects rest on the same people; these diagnostics take them as apart.",
        )
    expected = -1 if scale == "natural" and entries[0].toward_better < 0 else 1
    minimum = settings.minimum_for_bias_tests
    return publication_bias(y, se**2, minimum=minimum, expected=expected, level=settings.level)


def _kind_of(entry: Entry, by: str) -> str:
    if by == "territory":
        return entry.territory_kind
    drawn = ("randomised", "randomised_cluster", "lottery", "meta_analysis_randomised")
    return "randomised" if entry.design_class in drawn else "not randomised"
