"""Regression discontinuity: the jump at a threshold, as a linear form of the outcome with an influence for each unit.

On each side a polynomial is fitted to the units near the cutoff, weighted by their distance; the effect is the
difference of the two ends. The line is biased where the truth is curved: the bias is estimated by a polynomial one
degree higher on a wider window and taken away (Calonico, Cattaneo and Titiunik 2014). Bandwidths, and the standard
error by nearest neighbours, are rdrobust's. With u = x - c, K the kernel weights at bandwidth h (K_b at b, for the
bias), R the powers of u up to p (R_q up to q = p + 1),

    a = e0' (R'KR)^-1 R'K                     the end of the line is a y
    d = a u^q,  g = e_q' (R_q'K_b R_q)^-1 R_q'K_b                its bias is d g y
    corrected end = (a - d g) y

and the influence of unit i, the derivative with respect to its weight with bandwidths held, is

    n [ a_i (line_i - power_i g y) - d g_i curve_i ],

what the three fits (of y by the line, of u^q by the line, of y by the curve) leave of it. Sampling weights multiply the
kernel. Fuzzy: the jump of the outcome over the jump of the treatment, corrected to first order as rdrobust does.

Covariates z enter the lines with one coefficient γ for both sides: the jump is that of y - zγ, with γ by least squares
of what the lines at bandwidth h leave of y on what they leave of z (Calonico, Cattaneo, Farrell and Titiunik 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.errors import DataError
from evaluation.impact.covariates import Floats

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST = 5  # units within the bandwidth on each side
FEWEST_IN_ALL = 10  # units on each side
LEAST_JUMP = 1e-6  # of the share treated; a fuzzy design needs some
NEIGHBOURS = 3
NEAREST = f"nearest-neighbour variance of rdrobust ({NEIGHBOURS} matches), normal interval"

KERNELS: dict[str, Callable[[Floats], Floats]] = {
    "uniform": lambda u: np.where(np.abs(u) <= 1, 0.5, 0.0),
    "triangular": lambda u: np.maximum(1 - np.abs(u), 0.0),
    "epanechnikov": lambda u: np.maximum(0.75 * (1 - u**2), 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How the lines are fitted.

    Attributes:
        kernel: uniform, triangular or epanechnikov.
        order: degree p of the lines; p + 1 is that of the bias.
        h: bandwidths (left, right) of the lines.
        b: bandwidths (left, right) of the bias; None without correction.
    """

    kernel: str
    order: int
    h: tuple[float, float]
    b: tuple[float, float] | None = None

    def scaled(self, factor: float) -> Window:
        """The same with all bandwidths multiplied."""
        h = (factor * self.h[0], factor * self.h[1])
        return replace(self, h=h, b=None if self.b is None else (factor * self.b[0], factor * self.b[1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jump:
    """The right end less the left end.

    Attributes:
        estimate: of the jump, its bias taken away if wanted.
        plain: of the jump of the lines.
        form: (n,) with estimate = form @ y, covariates taken into account.
        plain_form: (n,) with plain = plain_form @ y.
        influence: (n,), mean zero.
        used: (n,) True within the bandwidth of its side.
    """

    estimate: float
    plain: float
    form: Floats
    plain_form: Floats
    influence: Floats
    used: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extra:
    """What rows bring besides outcome and score.

    Attributes:
        weights: (n,) sampling weights; None for equal ones.
        covariates: (n, k) that the lines are adjusted for; None for no adjustment.
    """

    weights: Floats | None = None
    covariates: Floats | None = None

    def of(self, rows: np.ndarray) -> Extra:
        """Those of some rows."""
        weights, covariates = self.weights, self.covariates
        return Extra(
            weights=None if weights is None else weights[rows],
            covariates=None if covariates is None else covariates[rows],
        )

    def arguments(self) -> dict[str, Any]:
        """For rdrobust."""
        return {"weights": self.weights, "covs": self.covariates}


NOTHING = Extra()


def jump(y: Floats, distance: Floats, window: Window, extra: Extra = NOTHING) -> Jump:
    """The jump of y at distance 0.

    Args:
        y: (n,) finite.
        distance: (n,) score less cutoff; 0 is on the right.
        window: kernel, degree and bandwidths.
        extra: sampling weights, and covariates to adjust for.

    Raises:
        DataError: fewer than `FEWEST` units, or than different scores needed, on one side.
    """
    if extra.covariates is None:
        return _plain_jump(y, distance, window, extra.weights)
    z = extra.covariates
    slopes = _Slopes.of(y, z, distance, window, extra.weights)
    found = _plain_jump(y - z @ slopes.gamma, distance, window, extra.weights)
    own, plain = found.form @ z, found.plain_form @ z  # jumps of the covariates themselves
    return replace(
        found,
        form=found.form - slopes.form.T @ own,
        plain_form=found.plain_form - slopes.form.T @ plain,
        influence=found.influence - slopes.influence @ own,
    )


def _plain_jump(y: Floats, distance: Floats, window: Window, weights: Floats | None) -> Jump:
    n = len(y)
    form, plain, influence, used = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
    for place, (rows, sign) in enumerate(((distance < 0, -1.0), (distance >= 0, 1.0))):
        h, b = window.h[place], None if window.b is None else window.b[place]
        side, own = "left" if sign < 0 else "right", 1.0 if weights is None else weights[rows]
        end = _End.of(y[rows], distance[rows], own, window, h, b, side)
        form[rows], plain[rows], influence[rows] = sign * end.form, sign * end.plain, sign * n * end.influence
        used[rows] = np.abs(distance[rows]) <= h
    return Jump(
        estimate=float(form @ y), plain=float(plain @ y), form=form, plain_form=plain, influence=influence, used=used
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slopes:
    """Coefficients (k,) of covariates in lines on both sides, their forms (k, n) and influences (n, k)."""

    gamma: Floats
    form: Floats
    influence: Floats

    @classmethod
    def of(cls, y: Floats, z: Floats, distance: Floats, window: Window, weights: Floats | None) -> _Slopes:
        n, both = len(y), np.column_stack([y, z])
        left, kernel = np.zeros_like(both), np.zeros(n)
        for place, rows in enumerate((distance < 0, distance >= 0)):
            h, u = window.h[place], distance[rows] / window.h[place]
            own = 1.0 if weights is None else weights[rows]
            kernel[rows] = KERNELS[window.kernel](u) * own / h  # densities: sides with other widths count alike
            line = _Fit.of(u, kernel[rows], window.order, "left" if place == 0 else "right")
            left[rows] = both[rows] - line.values(both[rows])
        weighted = left[:, 1:] * kernel[:, None]
        form = np.linalg.pinv(weighted.T @ left[:, 1:]) @ weighted.T
        gamma = form @ left[:, 0]
        return cls(gamma=gamma, form=form, influence=n * form.T * (left[:, 0] - left[:, 1:] @ gamma)[:, None])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _End:
    """One side: forms (m,) of its end, corrected and plain, and influences (m,) of the corrected one over m units."""

    form: Floats
    plain: Floats
    influence: Floats

    @classmethod
    def of(
        cls, y: Floats, u: Floats, weights: Floats | float, window: Window, h: float, b: float | None, side: str
    ) -> _End:
        p, scaled = window.order, u / h  # the end does not depend on the unit of the score
        line = _Fit.of(scaled, KERNELS[window.kernel](u / h) * weights, p, side)
        a, left = line.weights[0], y - line.values(y)
        if b is None:
            return cls(form=a, plain=a, influence=a * left)
        curve = _Fit.of(scaled, KERNELS[window.kernel](u / b) * weights, p + 1, side)
        g, power = curve.weights[p + 1], scaled ** (p + 1)
        d, height = float(a @ power), float(g @ y)
        bias = a * (power - line.values(power)) * height + d * g * (y - curve.values(y))
        return cls(form=a - d * g, plain=a, influence=a * left - bias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """A weighted polynomial: coefficient j is weights[j] @ y."""

    powers: Floats
    weights: Floats

    @classmethod
    def of(cls, u: Floats, kernel: Floats, degree: int, side: str) -> _Fit:
        inside = kernel > 0
        _require_enough(u[inside], degree, side)
        powers = np.vander(u, degree + 1, increasing=True)
        root = np.sqrt(kernel[inside])[:, None]
        weights = np.zeros((degree + 1, len(u)))
        weights[:, inside] = np.linalg.pinv(powers[inside] * root) * root.T
        return cls(powers=powers, weights=weights)

    def values(self, y: Floats) -> Floats:
        """The polynomial at all units, of one variable (m,) or of several (m, k)."""
        return np.asarray(self.powers @ (self.weights @ y))


def _require_enough(u: Floats, degree: int, side: str) -> None:
    different = len(np.unique(u))
    if len(u) < FEWEST or different < degree + 2:
        raise DataError(
            code="E-IMP-330",
            what=f"too few units near the cutoff on the {side} for a polynomial of degree {degree}",
            found=f"{len(u)} units with {different} different scores within the bandwidth",
            expected=f"{FEWEST} units and {degree + 2} different scores on each side",
            fix="widen bandwidth, lower order, or say that the effect at this cutoff cannot be estimated",
        )


# bandwidths and the error by neighbours ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """What rdrobust says: the window, its own estimates and errors, and how many scores are shared.

    Attributes:
        window: bandwidths that were chosen or given.
        estimate, std_error: robust, or of the lines without bias correction.
        effective: units within the bandwidth (left, right).
        shared: share of units whose score another unit has.
    """

    window: Window
    estimate: float
    std_error: float
    effective: tuple[int, int]
    shared: float


def choose(
    y: Floats,
    distance: Floats,
    design: Any,
    received: Floats | None = None,
    *,
    window: Window | None = None,
    extra: Extra = NOTHING,
) -> Chosen:
    """Bandwidths by the rule of the design, and rdrobust's own numbers at them.

    Args:
        y: (n,) finite.
        distance: (n,) score less cutoff.
        design: kernel, order, bandwidth, bias_correction.
        received: (n,) treatment received in a fuzzy design.
        window: bandwidths to use instead.
        extra: sampling weights, and covariates to adjust for.

    Raises:
        DataError: one side is empty or has too few units; rdrobust finds no bandwidth.

    Source: Calonico, Cattaneo and Titiunik (2014); Calonico, Cattaneo, Farrell and Titiunik (2019), rdrobust.
    """
    _require_sides(distance)
    widths = _widths(design, window)
    if "h" in widths:
        for side, inside, h in zip(("left", "right"), (distance < 0, distance >= 0), widths["h"], strict=True):
            _require_enough(distance[inside & (np.abs(distance) <= h)], design.order, side)
    found = _rdrobust(y, distance, design, received, widths | extra.arguments())
    h, b = (tuple(float(x) for x in found.bws.loc[name]) for name in ("h", "b"))
    place = "Robust" if design.bias_correction else "Conventional"
    return Chosen(
        window=Window(
            kernel=design.kernel, order=design.order, h=(h[0], h[1]), b=(b[0], b[1]) if design.bias_correction else None
        ),
        estimate=float(found.coef.loc[place].iloc[0]),
        std_error=float(found.se.loc[place].iloc[0]),
        effective=(int(found.N_h[0]), int(found.N_h[1])),
        shared=_shared(distance),
    )


def _shared(distance: Floats) -> float:
    """Share of units whose score another unit has."""
    _, counts = np.unique(distance, return_counts=True)
    return float(counts[counts > 1].sum() / len(distance))


def _widths(design: Any, window: Window | None) -> dict[str, Any]:
    """Arguments of rdrobust; a bandwidth that the design gives serves for the bias as well."""
    if window is not None:
        return {"h": list(window.h), "b": list(window.b or window.h)}
    return {"bwselect": design.bandwidth} if isinstance(design.bandwidth, str) else {"h": [float(design.bandwidth)] * 2}


def _rdrobust(y: Floats, distance: Floats, design: Any, received: Floats | None, options: dict[str, Any]) -> Any:
    """rdrobust's result, without what it prints."""
    import contextlib
    import io
    import warnings

    from rdrobust import rdrobust

    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return rdrobust(
                y, distance, c=0.0, p=design.order, kernel=design.kernel, fuzzy=received, vce="nn", **options
            )
    except Exception as error:  # rdrobust raises bare exceptions of many kinds
        raise DataError(
            code="E-IMP-331",
            what="rdrobust finds no estimate at this cutoff",
            found=f"{type(error).__name__}: {error}",
            expected="scores that vary, and enough units near the cutoff on both sides",
            fix="give bandwidth as a number, or check cutoff and running",
        ) from error


def _require_sides(distance: Floats) -> None:
    left, right = int((distance < 0).sum()), int((distance >= 0).sum())
    if min(left, right) < FEWEST_IN_ALL:
        raise DataError(
            code="E-IMP-332",
            what="the cutoff has too few units on one side",
            found=f"{left} before and {right} from it on"
            + (f"; distances from {distance.min():g} to {distance.max():g}" if len(distance) else ""),
            expected=f"{FEWEST_IN_ALL} units on each side",
            fix="check cutoff: is it in units of the column running?",
        )


# fuzzy ----------------------------------------------------------------------------------------------------------------


def ratio(outcome: Jump, treatment: Jump) -> Jump:
    """The jump of the outcome over that of the treatment, its bias taken away to first order.

    With Y and D the jumps of the lines, Y/D - (1/D, -Y/D^2) . (biases of Y and D).

    Raises:
        DataError: the treatment does not jump at all.
    """
    y, d = outcome.plain, treatment.plain
    if abs(d) < LEAST_JUMP:
        raise DataError(
            code="E-IMP-333",
            what="the treatment does not change at the cutoff, so that nothing can be attributed to it",
            found=f"a jump of {d:.2g}",
            expected=f"a jump of at least {LEAST_JUMP:g}",
            fix="check received and cutoff, or estimate the sharp effect of being eligible: leave received out",
        )
    by_outcome, by_treatment = 1 / d, -y / d**2
    form = by_outcome * outcome.form + by_treatment * treatment.form
    bias = by_outcome * (y - outcome.estimate) + by_treatment * (d - treatment.estimate)
    return Jump(
        estimate=y / d - bias,
        plain=y / d,
        form=form,
        plain_form=by_outcome * outcome.plain_form + by_treatment * treatment.plain_form,
        influence=by_outcome * outcome.influence + by_treatment * treatment.influence,
        used=outcome.used,
    )
