"""What curves miss: the moment by hand, bounds by hand, no series widens its own fan, a simulation with known drift."""

import dataclasses

import numpy as np
import pytest

from evaluation.diffusion import drift
from evaluation.diffusion.forecast import Fan, HeldOut

Z = 1.6448536269514722  # of 90 %
INNER = 0.6744897501960817  # of 50 %


def row(missed: float, *, half: float = 0.0, ahead: float = 1.0) -> HeldOut:
    """A figure e^missed times the median, with a fan of `half` on each side."""
    half = max(half, 1e-9)
    inside = abs(missed) <= half
    return HeldOut(
        series="s", target="t", used=5, ahead=ahead, observed=float(np.exp(missed)), predicted=1.0,
        low=float(np.exp(-half)), high=float(np.exp(half)), inside=inside, inside_alone=inside, error=abs(missed),
        error_same=1.0, error_growth=1.0,
    )  # fmt: skip


def test_the_moment_by_hand() -> None:
    # Fans without width, one year ahead: ω² is the mean square of what was missed, (.01 + .04 + .09 + .01 + .04) / 5.
    rows = [row(missed) for missed in (0.1, -0.2, 0.3, -0.1, 0.2)]
    assert drift.drift(rows, 0.9) == pytest.approx(0.19 / 5, rel=1e-6)
    # four years ahead a walk has four times the variance
    later = [row(missed, ahead=4.0) for missed in (0.1, -0.2, 0.3, -0.1, 0.2)]
    assert drift.drift(later, 0.9) == pytest.approx(0.19 / 20, rel=1e-6)
    # s = 0.1 for all and z² = 0.05 for all: 0.05 / (0.01 + ω²) = 1
    wide = [row(sign * np.sqrt(0.05), half=0.1 * Z) for sign in (1, -1, 1, -1, 1)]
    assert drift.drift(wide, 0.9) == pytest.approx(0.04, rel=1e-6)


def test_fans_that_are_wide_enough_stay() -> None:
    assert drift.drift([row(0.1, half=0.5)] * 6, 0.9) == 0.0
    assert drift.drift([row(0.9)] * 4, 0.9) == 0.0  # four figures say too little


def test_bounds_by_hand() -> None:
    # Outer 0.3 from the median in logarithms, ω² h = 0.04 x 4: √(0.09 + 1.6449² x 0.16) = 0.7231.
    quantiles = np.exp(np.array([[-0.3, -0.1, 0.0, 0.1, 0.3]]))
    one = drift.widened(Fan(years=np.array([2030.0]), quantiles=quantiles), 0.04, since=2026.0, level=0.9, inner=0.5)
    outer, inner = np.sqrt(0.09 + Z**2 * 0.16), np.sqrt(0.01 + INNER**2 * 0.16)
    np.testing.assert_allclose(np.log(one.quantiles[0]), [-outer, -inner, 0, inner, outer], rtol=1e-9, atol=1e-12)
    held = drift.with_drift(row(0.7, half=0.3, ahead=4.0), 0.04, 0.9)
    assert np.log(held.high) == pytest.approx(outer)
    assert (held.inside, held.inside_alone) == (True, False)


def test_a_total_never_falls() -> None:
    quantiles = np.array([[0.9, 0.95, 1.0, 1.1, 1.2]])
    found = drift.widened(
        Fan(years=np.array([2030.0]), quantiles=quantiles), 0.1, since=2026.0, level=0.9, inner=0.5, floor=0.97
    )
    assert found.quantiles.min() == 0.97


def test_no_series_widens_its_own_fan() -> None:
    calm, wild = [row(0.01)] * 6, [row(0.5)] * 6
    found = drift.from_others({"calm": calm, "wild": wild}, 0.9)
    assert found["calm"] == pytest.approx(0.25, rel=1e-6)
    assert found["wild"] == pytest.approx(0.0001, rel=1e-6)
    changed = drift.from_others({"calm": calm, "wild": [row(0.9)] * 6}, 0.9)
    assert changed["wild"] == found["wild"]


def test_a_planted_drift_is_found_and_covered() -> None:
    # s = 0.05, ω = 0.08, one to five years ahead; each half sets the fans of the other.
    rng = np.random.default_rng(20261130)
    ahead = rng.integers(1, 6, 4_000).astype(float)
    missed = rng.normal(0, np.sqrt(0.05**2 + 0.08**2 * ahead))
    rows = [row(each, half=0.05 * Z, ahead=years) for each, years in zip(missed, ahead, strict=True)]
    halves = {"one": rows[:2_000], "two": rows[2_000:]}
    found = drift.from_others(halves, 0.9)
    # relative error of a mean of 2,000 squares: √(2 / 2,000) = 3 %, three of them
    assert found["one"] == pytest.approx(0.0064, rel=0.10)
    inside = [drift.with_drift(each, found[name], 0.9).inside for name, kept in halves.items() for each in kept]
    assert np.mean(inside) == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 4_000))
    assert np.mean([each.inside_alone for each in rows]) < 0.6


def test_rows_keep_what_they_were() -> None:
    before = row(0.2, half=0.1)
    after = drift.with_drift(before, 0.0, 0.9)
    assert dataclasses.replace(after, low=before.low, high=before.high) == before
    assert (after.low, after.high) == pytest.approx((before.low, before.high))
