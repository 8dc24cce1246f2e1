"""Strength of instruments by hand."""

import numpy as np
import pytest

from evaluation.errors import InternalError
from evaluation.impact import inference


def test_one_instrument_has_its_squared_t() -> None:
    # (0.6 / 0.2)^2 = 9, whatever the scale of the instrument
    strength, number = inference.effective_f(np.array([0.6]), np.array([[0.04]]), np.array([[50.0]]))
    assert (strength, number) == pytest.approx((9.0, 1.0), rel=1e-12)


def test_the_critical_value_of_one_instrument() -> None:
    # Montiel Olea and Pflueger 2013: 23.1 for a worst bias of a tenth at the 5 % level; printed to one decimal
    assert inference.critical_f() == pytest.approx(23.1, abs=0.05)


def test_equal_instruments_count_fully() -> None:
    # V Q = identity: W has K equal roots, so the effective number is K (1 + 2x) / (1 + 2x) = K
    strength, number = inference.effective_f(np.array([3.0, 4.0]), np.eye(2), np.eye(2))
    assert (strength, number) == pytest.approx((12.5, 2.0), rel=1e-12)


def test_no_restriction_left() -> None:
    with pytest.raises(InternalError) as caught:
        inference.restrictions_p(1.0, 0)
    assert caught.value.code == "E-IMP-345"
