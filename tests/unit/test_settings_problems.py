"""From what a model refuses to what a person can correct."""

import pytest
from pydantic import ValidationError

from evaluation.settings.fields import Columns, Flag, Frozen, Number, Text, frozen, refusal
from evaluation.settings.problems import Origin, from_validation, nearest, show

ORIGIN = Origin(file="policy.yaml", line={("policy",): 3, ("policy", "share"): 4}.get, prefix=("policy",))


class Inner(Frozen):
    threshold: Number


class Policy(Frozen):
    share: Number
    name: Text = ""
    strict: Flag = False
    columns: Columns = ()
    inner: Inner | None = None
    many: dict[str, Inner] | None = None


def problems(raw):
    with pytest.raises(ValidationError) as caught:
        Policy.model_validate(raw)
    return from_validation(caught.value, model=Policy, raw=raw, origin=ORIGIN)


def test_a_problem_says_file_key_line_found_and_expected():
    (problem,) = problems({"share": "much"})
    assert (problem.file, problem.key, problem.line) == ("policy.yaml", "policy.share", 4)
    assert (problem.code, problem.found, problem.expected) == ("E-SET-018", "'much'", "a number")


@pytest.mark.parametrize(
    ("raw", "key", "expected"),
    [
        ({"share": True}, "policy.share", "a number"),
        ({"share": 1, "name": 3}, "policy.name", "text; numbers and dates in quotes where they are names"),
        ({"share": 1, "strict": 1}, "policy.strict", "true or false"),
        ({"share": 1, "columns": {"a": 1}}, "policy.columns", "text; numbers and dates in quotes where they are names"),
        ({"share": 1, "inner": "x"}, "policy.inner", "a mapping: {key: value}"),
        ({"share": 1, "many": []}, "policy.many", "a mapping: {key: value}"),
    ],
)
def test_the_wrong_kind_of_value_is_told_in_plain_words(raw, key, expected):
    (problem,) = problems(raw)
    assert (problem.key, problem.expected) == (key, expected)


def test_the_nearest_key_is_looked_for_where_the_key_stands():
    (problem,) = problems({"share": 1, "inner": {"threshold": 1, "tresholds": 2}})
    assert (problem.key, problem.nearest) == ("policy.inner.tresholds", "threshold")
    (problem,) = problems({"share": 1, "many": {"a": {"threshold": 1, "tresholds": 2}}})
    assert (problem.key, problem.nearest) == ("policy.many.a.tresholds", "threshold")


def test_the_nearest_spelling_does_not_mind_capitals_and_stays_away_from_strangers():
    options = ["covariates", "cluster", "categorical"]
    assert nearest("Covariats", options) == "covariates"
    assert nearest("clusters", options) == "cluster"
    assert nearest("xyz", options) is None
    assert nearest(3, options) is None


def test_the_nearest_spelling_does_not_depend_on_the_order_of_options():
    assert nearest("ab", ["aba", "abb"]) == nearest("ab", ["abb", "aba"])


@pytest.mark.parametrize(
    ("value", "text"), [(None, "nothing"), (True, "true"), (False, "false"), ("a", "'a'"), (1.5, "1.5")]
)
def test_a_value_is_shown_as_a_person_wrote_it(value, text):
    assert show(value) == text


def test_a_long_value_is_cut():
    assert len(show("x" * 1000)) == 80


def test_an_origin_goes_deeper():
    assert ORIGIN.below("a", 0).problem("E-SET-014", "unknown key").key == "policy.a.0"


def test_a_file_without_lines_has_problems_without_lines():
    assert Origin(file="a.csv").problem("E-SET-014", "unknown key", key=("x",)).line is None


def test_a_refusal_keeps_braces_as_they_are():
    assert refusal("E-SET-014", "found {x}").message() == "found {x}"


def test_plain_data_freeze_all_the_way_down():
    data = frozen({"a": [{"b": [1]}]})
    assert data == {"a": ({"b": (1,)},)}
    with pytest.raises(TypeError, match="do not change"):
        data["a"][0].pop("b")
