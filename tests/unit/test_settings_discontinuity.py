"""Designs of discontinuities: what contradicts itself is refused, by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import DESIGNS

OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher"}


def _design(**more: Any) -> Any:
    known = {"id": "rd", "method": "discontinuity", "outcomes": [OUTCOME], "running": "score"}
    return DESIGNS["discontinuity"](**(known | more))


def test_what_it_is_by_default() -> None:
    design = _design()
    assert (design.cutoff, design.treated_side) == (0.0, "above")
    assert (design.bandwidth, design.kernel) == ("mserd", "triangular")
    assert (design.order, design.bias_correction, design.received) == (1, True, None)
    assert _design(bandwidth=2).bandwidth == 2.0


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("E-SET-343", {"adjustment": "linear"}),
        ("E-SET-344", {"subgroups": ["score"]}),
        ("E-SET-344", {"subgroups": ["y"]}),
        ("E-SET-256", {"running": "y"}),
        ("E-SET-256", {"received": "score"}),
        ("E-SET-256", {"covariates": ["age"], "running": "age"}),
        ("E-SET-259", {"inference": {"std_error": "hc1"}}),
        ("E-SET-259", {"inference": {"std_error": "hc1"}, "bias_correction": False, "received": "d"}),
        ("E-SET-257", {"inference": {"bands": "multiplier"}}),
        ("E-SET-258", {"cutoff": 3, "placebo_cutoffs": [1, 3]}),
    ],
)
def test_contradictions(code: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        _design(**more)
    assert code in str(caught.value)


@pytest.mark.parametrize("more", [{"bandwidth": 0}, {"bandwidth": "best"}, {"order": 4}, {"donut": 0}, {"kernel": "x"}])
def test_values_that_cannot_be(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _design(**more)
