"""What an experiment's design may say about strata, surveys, weights and groups, and what contradicts what."""

from typing import Any

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import ExperimentDesign

OUTCOME = {"column": "y", "unit": "points", "better": "higher"}
PAIRS = {"strata": "pair", "assignment": "paired", "strata_effects": "by_stratum"}


def build(**changes: Any) -> ExperimentDesign:
    return ExperimentDesign.model_validate({"id": "a", "outcomes": [OUTCOME], "treatment": "treat", **changes})


def refusals(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        build(**changes)
    return [(error["type"], ".".join(map(str, error["loc"]))) for error in caught.value.errors()]


def test_defaults() -> None:
    design = build()
    assert (design.strata_effects, design.survey, design.response_weight) == ("fixed_effects", None, None)
    assert (design.subgroups, design.explore) == ((), None)


def test_what_is_accepted() -> None:
    assert build(strata="s", strata_effects="by_stratum", adjustment="lin", covariates=["x"]).strata == "s"
    assert build(**PAIRS).assignment == "paired"
    survey = build(survey={"strata": "h", "sampling_unit": "village"}, cluster=["village"]).survey
    assert survey is not None
    assert (survey.lonely, survey.population) == ("refuse", None)
    explore = build(explore={}, covariates=["x"]).explore
    assert explore is not None
    assert (explore.share, explore.seed, explore.columns) == (0.5, 0, ())
    assert build(subgroups="sex").subgroups == ("sex",)
    assert build(weight="w", response_weight="r").response_weight == "r"


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("E-SET-140", "strata_effects", {"strata_effects": "by_stratum"}),
    ("E-SET-141", "strata_effects", {**PAIRS, "adjustment": "ancova", "covariates": ["x"]}),
    ("E-SET-142", "strata_effects", {**PAIRS, "inference": {"std_error": "hc2"}}),
    (
        "E-SET-143",
        "strata_effects",
        {"strata": "s", "strata_effects": "by_stratum", "inference": {"test": "randomisation"}},
    ),
    ("E-SET-144", "survey.lonely", {"survey": {}}),
    ("E-SET-144", "survey.lonely", {"survey": {"lonely": "centre"}}),
    ("E-SET-145", "survey", {"survey": {"strata": "h"}, "inference": {"std_error": "hc1"}}),
    ("E-SET-145", "survey", {"survey": {"strata": "h"}, "inference": {"test": "randomisation"}}),
    ("E-SET-146", "survey", {"survey": {"strata": "h", "sampling_unit": "village"}, "cluster": ["school"]}),
    ("E-SET-146", "survey", {"survey": {"strata": "h"}, "cluster": ["school"]}),
    ("E-SET-147", "survey", {**PAIRS, "survey": {"strata": "h"}}),
    ("E-SET-097", "baseline_outcome", {"baseline_outcome": "y"}),
    ("E-SET-148", "subgroups", {"subgroups": ["y"]}),
    ("E-SET-148", "subgroups", {"subgroups": ["came"], "takeup": "came"}),
    ("E-SET-148", "subgroups", {"subgroups": ["treat"]}),
    ("E-SET-149", "explore", {"explore": {}}),
    ("E-SET-149", "explore", {"explore": {"columns": ["z"]}, "covariates": ["x"]}),
    ("E-SET-150", "response_weight", {"weight": "w", "response_weight": "w"}),
    ("E-SET-151", "strata_effects", {**PAIRS, "territory": "area"}),
    ("E-SET-151", "subgroups", {**PAIRS, "subgroups": ["sex"]}),
    ("E-SET-151", "explore", {**PAIRS, "explore": {}, "covariates": ["x"]}),
    ("E-SET-152", "phase_in", {"unit": "id", "phase_in": {"time": "year"}, "strata": "s"}),
    ("E-SET-152", "phase_in", {"unit": "id", "phase_in": {"time": "year"}, "takeup": "came"}),
    ("E-SET-152", "phase_in", {"unit": "id", "phase_in": {"time": "year"}, "inference": {"test": "randomisation"}}),
    ("E-SET-152", "phase_in", {"unit": "id", "phase_in": {"time": "year"}, "inference": {"std_error": "hc1"}}),
    (
        "E-SET-152",
        "phase_in",
        {"unit": "id", "phase_in": {"time": "year"}, "adjustment": "ancova", "covariates": ["x"]},
    ),
    ("E-SET-153", "phase_in", {"phase_in": {"time": "year"}}),
    ("missing", "phase_in.time", {"unit": "id", "phase_in": {}}),
    ("greater_than_equal", "explore.share", {"explore": {"share": 0.1}, "covariates": ["x"]}),
    ("literal_error", "survey.lonely", {"survey": {"strata": "h", "lonely": "ignore"}}),
    ("literal_error", "strata_effects", {"strata": "s", "strata_effects": "weighted"}),
    ("extra_forbidden", "survey.psu", {"survey": {"strata": "h", "psu": "village"}}),
]


@pytest.mark.parametrize(("code", "place", "changes"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_contradicts_is_refused_where_it_stands(code: str, place: str, changes: dict[str, Any]) -> None:
    assert (code, place) in refusals(**changes)


def test_a_refusal_does_not_drag_others_along() -> None:
    assert refusals(strata=3, strata_effects="by_stratum") == [("string_type", "strata")]
    assert refusals(covariates=[3], explore={}) == [("string_type", "covariates.0")]
    assert refusals(survey={"strata": 3}) == [("string_type", "survey.strata")]
