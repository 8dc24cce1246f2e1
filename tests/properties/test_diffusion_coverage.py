"""How often intervals of ceilings and fans hold the truth, on simulated series whose truth is known.

    python3 run.py test -m slow tests/properties/test_diffusion_coverage.py

Overdispersed counts around a Bass curve, φ = 50: twelve years beyond the bend, and five years that stop before it.
"""

import os

import numpy as np
import pytest

from evaluation.diffusion import fitting
from evaluation.diffusion.adoption import CURVES
from evaluation.diffusion.series import Observations

TRUTH = (20_000.0, np.log([0.03, 0.40]))
DISPERSION = 50.0
REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "200"))


def drawn(years: int, rng: np.random.Generator) -> Observations:
    end = np.arange(1.0, years + 1)
    mean = TRUTH[0] * CURVES["bass"].share(TRUTH[1][None, :], end)
    value = fitting.draw_figures(mean, DISPERSION, 1, rng)[0]
    none = np.zeros(years, dtype=bool)
    return Observations(value=value, start=np.full(years, np.nan), end=end, at=end, at_least=none, power=1)


@pytest.mark.slow
@pytest.mark.parametrize(("years", "identified"), [(12, 0.95), (5, 0.5)])
def test_the_interval_of_the_ceiling_holds_the_truth_as_often_as_it_says(years: int, identified: float) -> None:
    """Level 0.90; 200 repetitions: standard error 2.1 points, so that 0.83 to 0.97 is within three."""
    rng = np.random.default_rng(20260101)
    held, known = [], []
    for _ in range(REPETITIONS):
        data = drawn(years, rng)
        found = fitting.ceiling(data, fitting.fit(data, "bass"), level=0.90, within=3)
        held.append((found.low or 0) <= TRUTH[0] <= (found.high or np.inf))
        known.append(found.identified)
    counted = f"{years} years: covers {np.mean(held):.3f}, identified {np.mean(known):.3f}"
    assert 0.83 <= np.mean(held) <= 0.99, counted
    assert np.mean(known) >= identified if years > 10 else np.mean(known) <= identified, counted


@pytest.mark.slow
def test_the_fan_of_the_true_curve_holds_the_next_figure() -> None:
    """One step ahead of twelve years, bootstrap of the true family; level 0.90, three standard errors around it."""
    rng = np.random.default_rng(20260102)
    inside = []
    for _ in range(REPETITIONS):
        data = drawn(13, rng)
        own = fitting.fit(data.first(12), "bass")
        scale = fitting.draw_dispersion(own, 200, rng)
        found = fitting.bootstrap(data.first(12), own, scale, rng)
        level = np.exp(found[:, :1]) * CURVES["bass"].share(found[:, 1:], data.end[12:])
        low, high = np.quantile(fitting.draw_figures(level, scale, 1, rng), [0.05, 0.95])
        inside.append(low <= data.value[12] <= high)
    assert 0.82 <= np.mean(inside) <= 0.97, f"next figure inside {np.mean(inside):.3f}"
