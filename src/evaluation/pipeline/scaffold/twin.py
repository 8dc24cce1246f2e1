"""Made-up data with a planted effect, in the columns that the real data will have.

A twin shows that a design runs, and that it finds what is there, before anybody has been asked anything. Outcomes are
numbers whose spread is some smallest effects that matter. With u ~ N(0, 1), z the first
covariate standardised and D the treatment:

    experiment             P(D = 1) = 1/2,                       y = level + s (0.3 z + u / 2) + tau D
    matching, weighting    P(D = 1) = 1 / (1 + exp(1 - 0.8 z)),  y as above: treated people differ before they start
    did                    half of the units start in period 4 of 6; y adds a constant of the unit and s t / 10
"""

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from evaluation.pipeline.scaffold.request import Request

if TYPE_CHECKING:
    import pandas as pd

UNITS: Final = 1500
PERIODS: Final = 6
START: Final = 4
TRUTH_IN_SMALLEST_EFFECTS: Final = 2.0
SCALE_IN_SMALLEST_EFFECTS: Final = 6.0
STAMP: Final = "simulated"


def truth(request: Request) -> float:
    """The planted effect, in the unit of the outcome: twice the smallest one that matters, in the direction wanted."""
    return TRUTH_IN_SMALLEST_EFFECTS * request.smallest_effect * (1 if request.better == "higher" else -1)


def seed(request: Request) -> int:
    """A seed of its own for every id, the same on every machine."""
    return int.from_bytes(hashlib.sha256(request.id.encode()).digest()[:4], "big")


def made(request: Request) -> "pd.DataFrame":
    """The twin: one row a unit, or a unit and period for did; the last column says that nobody was observed."""
    import pandas as pd

    draw = np.random.default_rng(seed(request))
    covariates = _covariates(request, draw)
    treated = _treated(request, covariates, draw)
    scale = SCALE_IN_SMALLEST_EFFECTS * request.smallest_effect
    base = 10 * request.smallest_effect + scale * 0.3 * _first(covariates)
    if request.method == "did":
        return _panel(request, treated, base, scale, draw)
    outcome = base + scale * draw.normal(size=UNITS) / 2 + truth(request) * treated
    names = request.columns
    return pd.DataFrame(
        {
            names.unit: np.arange(1, UNITS + 1),
            names.treatment: treated,
            **covariates,
            names.outcome: outcome.round(4),
            STAMP: 1,
        }
    )


def _covariates(request: Request, draw: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: (50 + 15 * draw.normal(size=UNITS)).round(1) for name in request.columns.covariates}


def _first(covariates: dict[str, np.ndarray]) -> np.ndarray:
    """(UNITS,) the first covariate, standardised; 0 where there is none."""
    return (next(iter(covariates.values()), np.full(UNITS, 50.0)) - 50) / 15


def _treated(request: Request, covariates: dict[str, np.ndarray], draw: np.random.Generator) -> np.ndarray:
    """(UNITS,) 0 or 1."""
    observed = request.method in ("matching", "weighting")
    chance = 1 / (1 + np.exp(1 - 0.8 * _first(covariates))) if observed else np.full(UNITS, 0.5)
    return (draw.random(UNITS) < chance).astype(np.int64)


def _panel(
    request: Request, treated: np.ndarray, base: np.ndarray, scale: float, draw: np.random.Generator
) -> "pd.DataFrame":
    import pandas as pd

    names = request.columns
    period = np.tile(np.arange(1, PERIODS + 1), UNITS)
    start = np.repeat(np.where(treated == 1, START, 0), PERIODS)
    exposed = (start > 0) & (period >= start)
    noise = draw.normal(size=UNITS * PERIODS) / 4
    outcome = np.repeat(base, PERIODS) + scale * (period / 10 + noise) + truth(request) * exposed
    return pd.DataFrame(
        {
            names.unit: np.repeat(np.arange(1, UNITS + 1), PERIODS),
            names.time: period,
            names.treatment: start,
            names.outcome: outcome.round(4),
            STAMP: 1,
        }
    )
