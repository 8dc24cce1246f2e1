"""Adoption curves: the share of the ceiling reached t years after the launch.

    bass       F(t) = (1 − e^{−(p+q)t}) / (1 + (q/p) e^{−(p+q)t})   p: adopts by itself, q: follows others; F(0) = 0
    logistic   F(t) = 1 / (1 + e^{−r(t−m)})                          r: pace, m: year of one half
    gompertz   F(t) = exp(−e^{−r(t−m)})                              r: pace, m: year of the steepest rise (F = 1/e)

A curve is a function of two shape parameters in the scale in which they are estimated: (log p, log q) or (log r, m).

Source: Bass (1969), *Management Science* 15(5), 215-227; Griliches (1957), *Econometrica* 25(4), 501-522;
    Winsor (1932), *PNAS* 18(1), 1-8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.special import expit

from evaluation.settings.diffusion import CurveName

Array = np.ndarray

_SMALLEST_EXPONENT: Final = -60.0  # e^60 is beyond any figure here, and far from overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One family of curves.

    Attributes:
        share: (shape (B, 2), years since the launch (n,)) -> (B, n) shares of the ceiling, 0 to 1.
        bounds: ((low, high), (low, high)) of the two shape parameters.
        likely: the same, where the search begins.
        names: of the shape parameters as they are printed.
        printed: shape (2,) -> values as they are printed.
        pooled: which of the two parameters analogues lend: a midpoint in calendar years belongs to one innovation.
    """

    name: CurveName
    share: Callable[[Array, Array], Array]
    bounds: tuple[tuple[float, float], tuple[float, float]]
    likely: tuple[tuple[float, float], tuple[float, float]]
    names: tuple[str, str]
    printed: Callable[[Array], tuple[float, float]]
    pooled: tuple[int, ...]

    def clipped(self, shape: Array) -> Array:
        """(B, 2) the shape inside its bounds."""
        low, high = np.array(self.bounds).T
        return np.asarray(np.clip(shape, low, high))

    def grid(self, points: int) -> Array:
        """(points², 2) shapes spread over the likely ones."""
        first, second = (np.linspace(low, high, points) for low, high in self.likely)
        return np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)


def years_to(curve: Curve, shape: Array, share: float, *, beyond: float = 500.0) -> float | None:
    """Years from the launch until the curve stands at `share` of its ceiling; None where that takes more than `beyond`.

    Found by bisection: every curve rises.
    """
    low, high = 0.0, beyond
    if _share_at(curve, shape, high) < share:
        return None
    if _share_at(curve, shape, low) >= share:
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_at(curve, shape, middle) < share else (low, middle)
    return high


def _share_at(curve: Curve, shape: Array, year: float) -> float:
    return float(curve.share(shape[None, :], np.array([year]))[0, 0])


def _bass(shape: Array, years: Array) -> Array:
    p, q = np.exp(shape[:, :1]), np.exp(shape[:, 1:])
    gone = np.exp(np.maximum(-(p + q) * np.maximum(years, 0.0), _SMALLEST_EXPONENT))
    return np.asarray((1 - gone) / (1 + q / p * gone))


def _logistic(shape: Array, years: Array) -> Array:
    return np.asarray(expit(np.clip(np.exp(shape[:, :1]) * (years - shape[:, 1:]), _SMALLEST_EXPONENT, 60.0)))


def _gompertz(shape: Array, years: Array) -> Array:
    exponent = np.clip(-np.exp(shape[:, :1]) * (years - shape[:, 1:]), _SMALLEST_EXPONENT, 4.0)
    return np.asarray(np.exp(-np.exp(exponent)))


def _both_logs(shape: Array) -> tuple[float, float]:
    return float(np.exp(shape[0])), float(np.exp(shape[1]))


def _first_log(shape: Array) -> tuple[float, float]:
    return float(np.exp(shape[0])), float(shape[1])


_PACE = (float(np.log(0.001)), float(np.log(5.0)))
_MIDDLE = (-50.0, 1000.0)
_LIKELY_PACE = (float(np.log(0.02)), float(np.log(3.0)))
_LIKELY_MIDDLE = (-5.0, 60.0)

CURVES: Final[Mapping[str, Curve]] = MappingProxyType(
    {
        "bass": Curve(
            name="bass",
            share=_bass,
            bounds=((float(np.log(1e-8)), float(np.log(1.0))), (float(np.log(1e-3)), float(np.log(5.0)))),
            likely=((float(np.log(1e-5)), float(np.log(0.3))), (float(np.log(0.01)), float(np.log(2.0)))),
            names=("p", "q"),
            printed=_both_logs,
            pooled=(0, 1),
        ),
        "logistic": Curve(
            name="logistic",
            share=_logistic,
            bounds=(_PACE, _MIDDLE),
            likely=(_LIKELY_PACE, _LIKELY_MIDDLE),
            names=("r", "m"),
            printed=_first_log,
            pooled=(0,),
        ),
        "gompertz": Curve(
            name="gompertz",
            share=_gompertz,
            bounds=(_PACE, _MIDDLE),
            likely=(_LIKELY_PACE, _LIKELY_MIDDLE),
            names=("r", "m"),
            printed=_first_log,
            pooled=(0,),
        ),
    }
)
