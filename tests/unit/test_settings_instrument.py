"""Designs of instruments: what contradicts itself is refused, by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import InstrumentDesign

OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher"}
WHY = "A reason that is long enough to be read by somebody else."


def _design(**more: Any) -> InstrumentDesign:
    known = {"id": "iv", "outcomes": [OUTCOME], "treatment": "d", "instruments": ["z"]}
    return InstrumentDesign(**(known | {"exclusion": WHY, "monotonicity": WHY} | more))


def test_what_it_is_by_default() -> None:
    assert (_design().estimator, _design().instruments) == ("2sls", ("z",))


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("E-SET-265", {"territory": "region"}),
        ("E-SET-266", {"instruments": ["d"]}),
        ("E-SET-266", {"treatment": "y"}),
        ("E-SET-267", {"weight": "z"}),
        ("E-SET-268", {"inference": {"bands": "multiplier"}}),
        ("E-SET-269", {"estimator": "liml", "inference": {"std_error": "hc1"}}),
    ],
)
def test_contradictions(code: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        _design(**more)
    assert code in str(caught.value)


@pytest.mark.parametrize("text", ["exclusion", "monotonicity"])
def test_what_cannot_be_seen_in_data_has_to_be_argued(text: str) -> None:
    with pytest.raises(ValidationError):
        _design(**{text: "trust us"})
