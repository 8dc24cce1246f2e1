"""The tF procedure: the printed table of its authors, its equation in a simulation, and where no interval ends."""

import numpy as np
import pytest

from evaluation.errors import ParametersError
from evaluation.impact import inference

# Lee, McCrary, Moreira and Porter (2022), table 3: F and the factor of the standard error at 5 %, every fifth of their
# hundred pairs, the last two and some where the curve is steep. Read in the Stata program that the institute i4r ships
# (robustness dashboard), which has the printed numbers, three decimals each.
PRINTED = {
    4.000: 9.519, 4.008: 9.305, 4.040: 8.495, 4.090: 7.581, 4.151: 6.766, 4.229: 6.038, 4.326: 5.389, 4.449: 4.809,
    4.604: 4.292, 4.803: 3.830, 5.059: 3.418, 5.393: 3.051, 5.838: 2.723, 6.440: 2.430, 7.276: 2.169, 8.473: 1.935,
    10.253: 1.727, 13.048: 1.542, 17.810: 1.376, 27.058: 1.228, 49.495: 1.096, 68.930: 1.047, 83.823: 1.024,
}  # fmt: skip


# and the last six at 1 % (same source)
PRINTED_1 = {66.592: 1.264, 80.502: 1.220, 100.069: 1.177, 128.950: 1.136, 174.370: 1.097, 252.342: 1.059}


@pytest.mark.parametrize("f_statistic", PRINTED)
def test_factors_are_those_of_the_printed_table(f_statistic: float) -> None:
    """Both columns are printed rounded up: F lies within the thousandth below, the factor as well."""
    printed = PRINTED[f_statistic]
    assert inference.tf_factor(f_statistic) <= printed * (1 + 3e-4)
    assert printed - 0.001 <= inference.tf_factor(f_statistic - 0.001) * (1 + 1e-4)


@pytest.mark.parametrize("f_statistic", PRINTED_1)
def test_factors_at_one_per_cent_are_printed_too(f_statistic: float) -> None:
    printed = PRINTED_1[f_statistic]
    assert printed - 0.001 <= inference.tf_factor(f_statistic, 0.99) <= printed


def test_the_usual_interval_is_valid_from_104_7_on() -> None:
    """The number that the article is known for: F of 104.7 (printed 104.67 in its text), not 10."""
    assert inference.tf_factor(104.8) == 1.0
    assert inference.tf_factor(104.6) > 1.0
    assert inference.tf_factor(10.0) == pytest.approx(3.43 / 1.96, abs=0.005)  # printed: 3.43 for F = 10


def test_no_interval_ends_where_the_first_stage_cannot_be_told_from_zero() -> None:
    assert inference.tf_factor(1.959963984540054**2) == np.inf
    assert np.isfinite(inference.tf_factor(3.9))
    assert inference.tf_factor(6.60, level=0.99) == np.inf


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("strength", [0.5, 1.5, 3.0, 6.0])
def test_the_worst_case_rejects_as_often_as_it_should(level: float, strength: float) -> None:
    """Independent of the computation: t = f (f - f0) / f0 on a grid of f, with the normal density as weights."""
    f = np.linspace(strength - 9, strength + 9, 20_001)
    weight = np.exp(-((f - strength) ** 2) / 2)
    quantile = {0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[level]
    critical = quantile * np.array([inference.tf_factor(float(value) ** 2, level) for value in f])
    rejected = np.abs(f * (f - strength) / strength) > critical
    share = float(weight @ rejected / weight.sum())
    assert share <= 1 - level + 3e-4  # steps of the grid
    if strength <= 3:  # beyond, at 90 %, the usual quantile holds and rejects a little less
        assert share == pytest.approx(1 - level, abs=3e-4)


def test_the_factor_falls_with_strength_and_a_level_must_be_one() -> None:
    factors = [inference.tf_factor(value) for value in np.geomspace(3.9, 200, 400)]
    assert (np.diff(factors) <= 0).all()
    with pytest.raises(ParametersError, match="E-IMP-031"):
        inference.tf_factor(10.0, level=1.0)
