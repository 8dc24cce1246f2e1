"""Errors say what, where, found, expected and what to do, and keep saying it after a trip between processes."""

import json
import pickle

import pytest

from evaluation.errors import (
    DataError,
    DisclosureError,
    EvaluationError,
    InternalError,
    ParametersError,
    Problem,
    ProblemsError,
    SetupError,
    StaleError,
)

FULL = {
    "code": "E-DATA-999",
    "what": "The outcome is text.",
    "where": "wages.csv, column re78, rows 3 and 8",
    "found": "'n.d.'",
    "expected": "a number",
    "fix": "declare the code: missing: ['n.d.']",
}


def problem(**changes):
    fields = {
        "file": "params.yaml",
        "key": "evaluations.a.unit",
        "line": 7,
        "found": "'unt'",
        "expected": "",
        "nearest": "unit",
        "message": "unknown key",
        "code": "E-SET-014",
    }
    return Problem(**{**fields, **changes})


def test_an_error_prints_every_part_on_its_own_line():
    assert str(DataError(**FULL)).splitlines() == [
        "E-DATA-999 The outcome is text.",
        "where: wages.csv, column re78, rows 3 and 8",
        "found: 'n.d.'",
        "expected: a number",
        "fix: declare the code: missing: ['n.d.']",
        "nothing was written; last good outputs are kept",
    ]


def test_parts_that_are_not_known_are_left_out():
    error = DataError(code="E-DATA-999", what="The file is empty.")
    assert str(error).splitlines() == [
        "E-DATA-999 The file is empty.",
        "nothing was written; last good outputs are kept",
    ]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ParametersError, 2),
        (ProblemsError, 2),
        (DataError, 3),
        (StaleError, 4),
        (DisclosureError, 5),
        (SetupError, 6),
        (InternalError, 70),
        (EvaluationError, 70),
    ],
)
def test_the_exit_code_follows_from_the_class(kind, code):
    assert kind.exit_code == code
    assert issubclass(kind, EvaluationError)


def test_an_error_becomes_plain_data():
    assert DataError(**FULL).as_dict() == {**FULL, "exit_code": 3}


def test_an_error_survives_the_trip_from_a_worker_process():
    there = DataError(**FULL)
    back = pickle.loads(pickle.dumps(there))  # noqa: S301 (our own bytes)
    assert type(back) is DataError
    assert str(back) == str(there)


def test_problems_survive_the_trip_from_a_worker_process():
    there = ProblemsError([problem(), problem(line=3)], code="E-SET-001")
    back = pickle.loads(pickle.dumps(there))  # noqa: S301 (our own bytes)
    assert back.problems == there.problems
    assert str(back) == str(there)


def test_problems_are_printed_all_at_once_in_the_order_of_the_file():
    error = ProblemsError([problem(line=12, key="b", nearest=None, expected="one of x, y"), problem(line=7)])
    assert str(error).splitlines() == [
        "E-SET-001 2 problems in what was written",
        "params.yaml:7: E-SET-014 evaluations.a.unit: unknown key",
        "    found: 'unt'",
        "    did you mean unit?",
        "params.yaml:12: E-SET-014 b: unknown key",
        "    found: 'unt'",
        "    expected: one of x, y",
        "fix: correct the lines named above, then run again",
        "nothing was written; last good outputs are kept",
    ]


def test_one_problem_is_called_one_problem():
    assert ProblemsError([problem()]).what == "one problem in what was written"


def test_a_problem_of_the_whole_file_has_no_line_and_no_key():
    assert str(problem(line=None, key="", found="", nearest=None)) == "params.yaml: E-SET-014 unknown key"


def test_problems_become_plain_data():
    data = ProblemsError([problem()]).as_dict()
    assert json.loads(json.dumps(data))["problems"][0] == {
        "file": "params.yaml",
        "key": "evaluations.a.unit",
        "line": 7,
        "found": "'unt'",
        "expected": "",
        "nearest": "unit",
        "message": "unknown key",
        "code": "E-SET-014",
    }
