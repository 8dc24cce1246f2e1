"""Designs of weighting: what can be said, and options that contradict each other."""

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import WeightingDesign

COMMON = {
    "id": "small",
    "outcomes": [{"column": "y", "role": "primary", "unit": "points", "better": "higher"}],
    "treatment": "treat",
    "covariates": ["age", "sex"],
}


def build(**changes):
    return WeightingDesign(**{**COMMON, **changes})


def refusals(**changes):
    with pytest.raises(ValidationError) as caught:
        build(**changes)
    return [(error["type"], ".".join(map(str, error["loc"]))) for error in caught.value.errors()]


def test_a_full_design_is_kept_as_it_was_written():
    design = build(
        weights="entropy_balancing",
        estimand="ate",
        target={"age": 41.5, "sex = female": 0.52},
        experiment={"estimate": 1.5, "std_error": 0.5, "source": "the trial"},
    )
    assert design.parameters()["target"] == {"age": 41.5, "sex = female": 0.52}
    assert design.experiment is not None
    assert hash(design.doubly_robust) == hash(None)


def test_models_have_defaults_that_need_no_folds():
    models = build(doubly_robust={}).doubly_robust
    assert (models.outcome, models.score, models.folds, models.repetitions) == ("linear", "logit", None, 1)


def test_targets_do_not_change_after_they_are_read():
    design = build(weights="entropy_balancing", estimand="ate", target={"age": 41.5})
    with pytest.raises(TypeError):
        design.target["age"] = 1.0


REFUSED = [
    ("E-SET-130", "optimal_trim", {"trim": 0.1, "optimal_trim": True}),
    ("E-SET-131", "trim", {"trim": 0.1, "weights": "entropy_balancing"}),
    ("E-SET-131", "optimal_trim", {"optimal_trim": True, "weights": "entropy_balancing"}),
    ("E-SET-131", "truncate", {"truncate": 0.99, "weights": "entropy_balancing"}),
    ("E-SET-131", "truncate", {"truncate": 0.99, "estimand": "ato"}),
    ("E-SET-132", "estimand", {"estimand": "ato", "weights": "covariate_balancing"}),
    ("E-SET-133", "tolerance", {"tolerance": 0.1}),
    ("E-SET-134", "doubly_robust", {"doubly_robust": {}, "trim": 0.1}),
    ("E-SET-134", "doubly_robust", {"doubly_robust": {}, "estimand": "ato"}),
    ("E-SET-134", "doubly_robust", {"doubly_robust": {}, "weights": "entropy_balancing"}),
    ("E-SET-135", "doubly_robust.folds", {"doubly_robust": {"outcome": "random_forest"}}),
    ("E-SET-135", "doubly_robust.folds", {"doubly_robust": {"score": "lasso"}}),
    ("E-SET-136", "doubly_robust.repetitions", {"doubly_robust": {"folds": 5, "repetitions": 2}}),
    ("E-SET-136", "doubly_robust.repetitions", {"doubly_robust": {"repetitions": 3}}),
    ("E-SET-137", "target", {"target": {"age": 40.0}}),
    ("E-SET-137", "target", {"target": {"age": 40.0}, "weights": "entropy_balancing"}),
    (
        "E-SET-137",
        "target",
        {"target": {"age": 40.0}, "weights": "entropy_balancing", "estimand": "ate", "tolerance": 0.1},
    ),
    ("E-SET-138", "doubly_robust", {"doubly_robust": {}, "inference": {"std_error": "hc2"}}),
    ("E-SET-139", "subgroups", {"subgroups": ["y"]}),
    ("E-SET-139", "subgroups", {"subgroups": ["sex", "treat"]}),
    ("literal_error", "doubly_robust.outcome", {"doubly_robust": {"outcome": "neural_network"}}),
    ("greater_than", "truncate", {"truncate": 0.5}),
    ("greater_than", "experiment.std_error", {"experiment": {"estimate": 1.0, "std_error": 0.0, "source": "x"}}),
    ("too_short", "target", {"target": {}, "weights": "entropy_balancing", "estimand": "ate"}),
    ("float_type", "target.age", {"target": {"age": "old"}, "weights": "entropy_balancing", "estimand": "ate"}),
]


@pytest.mark.parametrize(("code", "place", "changes"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_cannot_be_is_refused_where_it_stands(code, place, changes):
    assert (code, place) in refusals(**changes)


def test_a_refusal_does_not_drag_others_along():
    assert refusals(weights="entropy") == [("literal_error", "weights")]
    assert refusals(weights="entropy", estimand="ato") == [("literal_error", "weights")]
    assert refusals(doubly_robust={"outcome": "forest", "folds": 2}) == [("literal_error", "doubly_robust.outcome")]
