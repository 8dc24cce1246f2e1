"""Instruments that act by themselves: by hand, and by going through all direct effects."""

from itertools import pairwise

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.impact.inference import direct_effect, union_of_intervals

Z = 1.959963984540054
PLAIN = np.array([2.0, 0.5]), np.diag([0.25, 0.0])
JOINT = np.array([2.0, 0.5]), np.array([[0.25, 0.02], [0.02, 0.01]])


def _holds_zero(estimates: np.ndarray, covariance: np.ndarray, gamma: float) -> bool:
    low, high = union_of_intervals(estimates, covariance, gamma, gamma)
    return low <= 0 <= high


def test_the_union_by_hand() -> None:
    # γ from 0 to 1: effects (2 - γ)/.5 from 4 to 2, standard error .5/.5 = 1
    low, high = union_of_intervals(*PLAIN, 0.0, 1.0)
    assert (low, high) == (pytest.approx(2 - Z), pytest.approx(4 + Z))


def test_without_a_direct_effect_it_is_the_usual_interval() -> None:
    # delta method: β = 4, Var = (.25 + 16 · .01 - 8 · .02)/.25 = 1
    low, high = union_of_intervals(*JOINT, 0.0, 0.0)
    assert (low, high) == (pytest.approx(4 - Z), pytest.approx(4 + Z))


def test_the_direct_effect_by_hand() -> None:
    # the interval of (2 - γ)/.5 ± 1.96 · 1 reaches zero at γ = 2 - .98
    found = direct_effect(*PLAIN)
    assert found.reach_zero == 2.0
    assert found.lose_significance == pytest.approx(2 - Z / 2)
    assert found.share == pytest.approx(1 - Z / 4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("first", [0.5, -0.5])
def test_just_beyond_it_the_interval_holds_zero_and_just_before_it_does_not(sign: float, first: float) -> None:
    estimates = np.array([2.0 * sign, first])
    for covariance in (PLAIN[1], JOINT[1], JOINT[1] * [[1, -1], [-1, 1]]):
        found = direct_effect(estimates, covariance).lose_significance
        assert np.sign(found) == sign
        assert not _holds_zero(estimates, covariance, 0.999 * found)
        assert _holds_zero(estimates, covariance, 1.001 * found)


def test_the_ends_of_the_union_are_those_of_all_direct_effects_between() -> None:
    low, high = union_of_intervals(*JOINT, -1.0, 3.0)
    each = np.array([union_of_intervals(*JOINT, gamma, gamma) for gamma in np.linspace(-1, 3, 801)])
    assert low == pytest.approx(each[:, 0].min(), rel=1e-12)
    assert high == pytest.approx(each[:, 1].max(), rel=1e-12)


def test_a_wider_range_of_direct_effects_never_gives_a_narrower_interval() -> None:
    ends = [union_of_intervals(*JOINT, -width, width) for width in (0.0, 0.5, 1.0, 2.0)]
    assert all(wide[0] <= narrow[0] and wide[1] >= narrow[1] for narrow, wide in pairwise(ends))


def test_an_effect_that_is_not_told_apart_from_zero_needs_nothing() -> None:
    assert direct_effect(np.array([0.5, 0.5]), np.diag([0.25, 0.0])).lose_significance == 0
    assert direct_effect(np.array([2.0, 0.1]), np.diag([0.25, 0.01])).share == 0  # a weak first stage: t = 1


def test_a_unit_of_the_instrument_does_not_matter() -> None:
    scale = np.array([3.0, 3.0])
    one, other = direct_effect(*JOINT), direct_effect(JOINT[0] * scale, JOINT[1] * 9)
    assert other.share == pytest.approx(one.share, rel=1e-12)


def test_a_range_that_is_turned_around_is_refused() -> None:
    with pytest.raises(DataError, match="E-IMP-361"):
        union_of_intervals(*PLAIN, 1.0, 0.0)


def test_an_instrument_that_moves_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="E-IMP-362"):
        direct_effect(np.array([2.0, 0.0]), np.eye(2))
