"""Do small studies find more? Diagnostics, none of which is a correction, refused where there are few effects.

* Egger: regression of the effect on its standard error with a multiplicative error (weights 1/v); its slope is tested.
* Mixed-effects Egger: the same regression with a variance between studies and Hartung-Knapp.
* PET-PEESE: the intercept of that regression on the standard error, or on the variance if the first rejects no effect.
* Trim and fill: how many studies the other half of the funnel lacks (L₀), and the mean once they are mirrored.
* Selection model: see `impact.inference.selection_model`.

Fewer than ten effects, or effects that are all equally precise, say nothing here: the answer is a reason.

Source: Egger, Davey Smith, Schneider and Minder (1997), *BMJ* 315; Sterne et al. (2011), *BMJ* 343, for the ten;
    Stanley and Doucouliagos (2014), *Research Synthesis Methods* 5(1); Duval and Tweedie (2000), *Biometrics* 56(2).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from evaluation.errors import DataError
from evaluation.impact.inference.selection_model import Selection, fit_selection
from evaluation.impact.inference.studies import fit_studies, study_table

Array = np.ndarray

MINIMUM = 10
ROUNDS = 100  # of trimming; it ends when the number of studies trimmed no longer changes
PET_LEVEL = 0.05  # one-sided test of no effect that decides between PET and PEESE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A regression of effects on how imprecise they are.

    Attributes:
        slope, slope_p: asymmetry and its two-sided p-value.
        statistic, df: t of the slope.
        limit, limit_low, limit_high: the effect of a study without error.
    """

    slope: float
    slope_p: float
    statistic: float
    df: float
    limit: float
    limit_low: float
    limit_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimFill:
    """Trim and fill.

    Attributes:
        missing: number of studies that one side lacks (L₀), with its standard error.
        side: left or right.
        estimate, std_error: the mean with their mirror images.
    """

    missing: int
    missing_error: float
    side: str
    estimate: float
    std_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationBias:
    """All diagnostics, or the reason why there is none."""

    reason_fr: str = ""
    reason_en: str = ""
    egger: Line | None = None
    mixed: Line | None = None
    pet_peese: Line | None = None
    peese_used: bool = False
    trim_fill: TrimFill | None = None
    selection: Selection | None = None
    selection_reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        from dataclasses import asdict

        if self.reason_en:
            return {"computed": False, "fr": self.reason_fr, "en": self.reason_en}
        parts = ("egger", "mixed", "pet_peese", "trim_fill", "selection")
        found = {name: (None if getattr(self, name) is None else asdict(getattr(self, name))) for name in parts}
        return {"computed": True, **found, "peese_used": self.peese_used, "selection_reason": self.selection_reason}


def publication_bias(
    estimate: Array, variance: Array, *, minimum: int = MINIMUM, expected: int = 1, level: float = 0.95
) -> PublicationBias:
    """All diagnostics of independent effects.

    Args:
        estimate: (k,) effects in one unit.
        variance: (k,) sampling variances.
        minimum: number of effects below which there is no answer.
        expected: +1 where effects above zero are the ones that get published, -1 for those below.
        level: of intervals.
    """
    y, v = np.asarray(estimate, float), np.asarray(variance, float)
    if len(y) < minimum or np.ptp(v) <= 1e-9 * np.max(v):
        return _refused(len(y), minimum)
    pet_peese, peese_used = _pet_peese(y, v, expected, level)
    try:
        selection, reason = fit_selection(y, v, expected=expected, level=level), ""
    except DataError as error:
        selection, reason = None, f"{error.what}: {error.found}"
    return PublicationBias(
        egger=egger(y, v, level=level),
        mixed=mixed_egger(y, v, level=level),
        pet_peese=pet_peese,
        peese_used=peese_used,
        trim_fill=trim_and_fill(y, v),
        selection=selection,
        selection_reason=reason,
    )


def egger(estimate: Array, variance: Array, *, predictor: Array | None = None, level: float = 0.95) -> Line:
    """Weighted regression with a multiplicative error: weights 1/v, t with k − 2.

    Args:
        estimate: (k,).
        variance: (k,).
        predictor: (k,) how imprecise a study is; the standard error if None.
        level: of the interval.
    """
    return _line(estimate, variance, predictor, level, method="common")


def mixed_egger(estimate: Array, variance: Array, *, predictor: Array | None = None, level: float = 0.95) -> Line:
    """The regression with a variance between studies (REML) and Hartung-Knapp."""
    return _line(estimate, variance, predictor, level, method="REML")


def trim_and_fill(estimate: Array, variance: Array, *, side: str | None = None) -> TrimFill:
    """L₀ = [4 T − n (n + 1)] / (2 n − 1), T the rank sum of |effect − mean| above the mean; trimmed until stable.

    Args:
        estimate: (k,).
        variance: (k,).
        side: where studies are missing; opposite to where small ones lie, by the slope of `mixed_egger`, if None.
    """
    lacking = side or ("left" if mixed_egger(estimate, variance).slope > 0 else "right")
    sign = 1.0 if lacking == "left" else -1.0
    y = sign * np.asarray(estimate, float)
    order = np.argsort(y, kind="stable")
    y, v = y[order], np.asarray(variance, float)[order]
    n, trimmed, rank_sum, center = len(y), -1, 0.0, 0.0
    for _ in range(ROUNDS):
        kept = n - max(trimmed, 0)
        center = float(fit_studies(y[:kept], v[:kept]).fit.coefficients[0])
        ranks = stats.rankdata(np.abs(y - center), method="ordinal") * np.sign(y - center)
        rank_sum = float(ranks[ranks > 0].sum())
        before, trimmed = trimmed, max(0, round((4 * rank_sum - n * (n + 1)) / (2 * n - 1)))
        if trimmed == before:
            break
    mirrored = 2 * center - y[n - trimmed :]
    filled = fit_studies(np.concatenate([y, mirrored]), np.concatenate([v, v[n - trimmed :]]))
    row = study_table(filled, kind="known").iloc[0]
    l0 = max(0.0, (4 * rank_sum - n * (n + 1)) / (2 * n - 1))
    inner = n * (n + 1) * (2 * n + 1) + 10 * l0**3 + 27 * l0**2 + 17 * l0 - 18 * n * l0**2 - 18 * n * l0 + 6 * n**2 * l0
    return TrimFill(
        missing=trimmed,
        missing_error=float(4 * np.sqrt(max(inner, 0.0) / 24) / (2 * n - 1)),
        side=lacking,
        estimate=sign * float(row["estimate"]),
        std_error=float(row["std_error"]),
    )


def _pet_peese(y: Array, v: Array, expected: int, level: float) -> tuple[Line, bool]:
    """PEESE where the intercept of PET rejects no effect in the expected direction; otherwise PET."""
    pet = egger(y, v, level=level)
    table = _table(y, v, np.sqrt(v), "common", level)
    t = expected * float(table["estimate"].iloc[0]) / float(table["std_error"].iloc[0])
    rejects = float(stats.t.sf(t, pet.df)) < PET_LEVEL
    return (egger(y, v, predictor=v, level=level), True) if rejects else (pet, False)


def _line(estimate: Array, variance: Array, predictor: Array | None, level: float, method: Any) -> Line:
    y, v = np.asarray(estimate, float), np.asarray(variance, float)
    table = _table(y, v, np.sqrt(v) if predictor is None else np.asarray(predictor, float), method, level)
    limit, slope = table.iloc[0], table.iloc[1]
    return Line(
        slope=float(slope["estimate"]),
        slope_p=float(slope["p_value"]),
        statistic=float(slope["estimate"] / slope["std_error"]),
        df=float(slope["df"]),
        limit=float(limit["estimate"]),
        limit_low=float(limit["ci_low"]),
        limit_high=float(limit["ci_high"]),
    )


def _table(y: Array, v: Array, predictor: Array, method: Any, level: float) -> Any:
    design = np.column_stack([np.ones(len(y)), predictor])
    fitted = fit_studies(y, v, design=design, names=("limit", "slope"), method=method)
    return study_table(fitted, kind="hartung_knapp", level=level)


def _refused(n: int, minimum: int) -> PublicationBias:
    if n < minimum:
        fr, en = ("un effet", "one effect") if n == 1 else (f"{n} effets", f"{n} effects")
        return PublicationBias(
            reason_fr=f"{fr} : en dessous de {minimum}, ces diagnostics ne disent rien (Sterne et al. 2011).",
            reason_en=f"{en}: below {minimum} these diagnostics say nothing (Sterne et al. 2011).",
        )
    return PublicationBias(
        reason_fr="Tous les effets ont la même précision : il n'y a pas de petite étude à comparer aux grandes.",
        reason_en="All effects are equally precise: there is no small study to compare with large ones.",
    )
