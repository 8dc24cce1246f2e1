"""Designs of matching: what the keys mean, and which of them contradict one another."""

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import MatchingDesign

COMMON = {
    "id": "a",
    "method": "matching",
    "outcomes": [{"column": "y", "unit": "points", "better": "higher"}],
    "treatment": "treat",
    "covariates": ["age", "school"],
}


CATEGORY = {"categorical": ["school"], "covariate_calipers": [{"column": "school", "width": 2}]}


def build(**changes):
    return MatchingDesign.model_validate(COMMON | changes)


def refused(**changes):
    with pytest.raises(ValidationError) as caught:
        build(**changes)
    return [(error["type"], ".".join(map(str, error["loc"]))) for error in caught.value.errors()]


@pytest.mark.parametrize(
    "changes",
    [
        {"distance": "robust_mahalanobis"},
        {"distance": "scaled_euclidean", "order": "closest"},
        {"distance": "score", "score": "risk", "caliper": 0.05, "caliper_unit": "raw"},
        {"covariates": [], "distance": "score", "score": "risk"},
        {"covariate_calipers": [{"column": "age", "width": 2}, {"column": "school", "width": 0.2, "unit": "sd"}]},
        {"distance": "mahalanobis", "covariate_calipers": [{"column": "age", "width": 2}]},
        {"anti_exact": "town", "order": "random", "order_seed": 1},
        {"ratio": 2, "ratio_range": [1, 4]},
        {"estimand": "ate", "replace": True},
        {"sets": "full", "estimand": "ate", "discard": "both"},
        {"sets": "subclasses", "subclasses": 5, "estimand": "atc"},
        {"sets": "coarsened_exact", "cutpoints": [{"column": "age", "at": [20, 40]}], "estimand": "ate"},
        {"sets": "cardinality", "balance_tolerance": 0.1, "distance": "mahalanobis"},
        {"sets": "optimal_pairs", "ratio": 2, "caliper": 0.2, "adjustment": "bias_correction"},
        {"replace": True, "score_error": "corrected", "conditional_variance": "homoskedastic"},
        {"subgroups": ["town"], "adjustment": "g_computation"},
    ],
)
def test_designs_that_can_be(changes):
    assert build(**changes).parameters()["method"] == "matching"


@pytest.mark.parametrize(
    ("code", "place", "changes"),
    [
        ("E-SET-120", "replace", {"sets": "full", "replace": True}),
        ("E-SET-120", "ratio", {"sets": "full", "ratio": 2}),
        ("E-SET-120", "order", {"sets": "optimal_pairs", "order": "data"}),
        ("E-SET-120", "caliper", {"sets": "subclasses", "caliper": 0.2}),
        ("E-SET-120", "subclasses", {"subclasses": 5}),
        ("E-SET-120", "exact", {"sets": "subclasses", "exact": ["town"]}),
        ("E-SET-120", "distance", {"sets": "coarsened_exact", "distance": "mahalanobis"}),
        ("E-SET-120", "cutpoints", {"cutpoints": [{"column": "age", "bins": 3}]}),
        ("E-SET-120", "balance_tolerance", {"balance_tolerance": 0.1}),
        ("E-SET-121", "score", {"distance": "score"}),
        ("E-SET-121", "score", {"score": "risk"}),
        ("E-SET-122", "estimand", {"estimand": "ate"}),
        ("E-SET-122", "estimand", {"estimand": "ate", "sets": "optimal_pairs"}),
        ("E-SET-122", "estimand", {"estimand": "atc", "sets": "cardinality"}),
        ("E-SET-123", "ratio_range", {"ratio": 5, "ratio_range": [1, 4]}),
        ("E-SET-123", "ratio_range", {"ratio_range": [1, 4], "replace": True}),
        ("E-SET-123", "ratio_range", {"ratio_range": [1, 4], "distance": "mahalanobis"}),
        ("E-SET-124", "order_seed", {"order": "random"}),
        ("E-SET-124", "order_seed", {"order_seed": 3}),
        ("E-SET-125", "covariate_calipers", {"covariate_calipers": [{"column": "income", "width": 2}]}),
        ("E-SET-125", "covariate_calipers", CATEGORY),
        ("E-SET-125", "cutpoints", {"sets": "coarsened_exact", "cutpoints": [{"column": "age"}, {"column": "age"}]}),
        ("E-SET-126", "adjustment", {"sets": "full", "adjustment": "bias_correction"}),
        ("E-SET-126", "adjustment", {"covariates": [], "exact": ["town"], "adjustment": "regression"}),
        ("E-SET-126", "score_error", {"score_error": "corrected"}),
        ("E-SET-126", "score_error", {"score_error": "corrected", "replace": True, "distance": "mahalanobis"}),
        ("E-SET-126", "score_error", {"score_error": "corrected", "replace": True, "weight": "w"}),
        ("E-SET-127", "cutpoints.0.at", {"sets": "coarsened_exact", "cutpoints": [{"column": "age", "at": [3, 2]}]}),
        ("E-SET-128", "discard", {"distance": "mahalanobis", "discard": "both"}),
        ("E-SET-128", "order", {"distance": "mahalanobis", "order": "smallest"}),
        ("E-SET-129", "subgroups", {"subgroups": ["treat"]}),
        ("E-SET-129", "anti_exact", {"exact": ["town"], "anti_exact": ["town"]}),
    ],
)  # fmt: skip
def test_designs_that_contradict_themselves(code, place, changes):
    assert (code, place) in refused(**changes)
