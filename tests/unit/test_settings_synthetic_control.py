"""A design of a synthetic control that cannot be is refused."""

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import SyntheticControlDesign

GOOD = {
    "id": "a",
    "outcomes": [{"column": "y", "unit": "points", "better": "higher"}],
    "unit": "region",
    "time": "year",
    "cohort": {"units": {"r1": 2010}},
}


def refusals(**changes):
    with pytest.raises(ValidationError) as caught:
        SyntheticControlDesign.model_validate({**GOOD, **changes})
    return [error["type"] for error in caught.value.errors()]


def test_defaults():
    design = SyntheticControlDesign.model_validate(GOOD)
    assert (design.estimator, design.solver, design.interval, design.placebo_draws) == (
        "synthetic_control",
        "exact",
        "permutation",
        200,
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"covariates": ["x"]}, "E-SET-240"),
        ({"weight": "w"}, "E-SET-240"),
        ({"cluster": ["region"]}, "E-SET-240"),
        ({"territory": "kind"}, "E-SET-240"),
        ({"inference": {"std_error": "hc2"}}, "E-SET-241"),
        ({"inference": {"bands": "multiplier"}}, "E-SET-241"),
        ({"inference": {"adjustment": "romano_wolf"}}, "E-SET-241"),
        ({"unit": None}, "E-SET-242"),
        ({"time": "y"}, "E-SET-243"),
        ({"cohort": {"column": "year"}}, "E-SET-243"),
        ({"estimator": "augmented", "interval": "conformal"}, "E-SET-244"),
    ],
)
def test_what_cannot_be_is_refused(changes, code):
    assert code in refusals(**changes)
