"""Evaluations side by side: one that fails does not stop the others, and its error comes back whole."""

import os

import pytest

from evaluation import store
from evaluation.errors import DataError, InternalError, ParametersError, Problem, ProblemsError, SetupError
from evaluation.pipeline import workers

pytestmark = [
    pytest.mark.usefixtures("here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def here(project):
    project()


def fan_out(work, evaluation_ids, *, processes=False, jobs=2):
    workers.fan_out(work, evaluation_ids, stage="prepare", position="1/7", jobs=jobs, processes=processes)


def failing(*bad: str, done: list[str] | None = None):
    def work(evaluation_id: str) -> None:
        if evaluation_id in bad:
            raise DataError(code="E-DATA-099", what=f"{evaluation_id} is empty.", fix="fill it")
        if done is not None:
            done.append(evaluation_id)

    return work


def test_nothing_to_do_starts_nothing(capsys):
    fan_out(failing(), [])
    assert capsys.readouterr().err == ""


def test_progress_names_stage_evaluation_count_and_time(capsys):
    fan_out(failing(), ["one", "two"], jobs=1)
    assert capsys.readouterr().err.splitlines() == [
        "[1/7] prepare · one 1/2 · 00:00 elapsed",
        "[1/7] prepare · two 2/2 · 00:00 elapsed",
    ]


def test_the_others_finish_and_the_one_error_is_raised_as_it_was():
    done: list[str] = []
    with pytest.raises(DataError) as caught:
        fan_out(failing("two", done=done), ["one", "two", "three"])
    assert sorted(done) == ["one", "three"]
    assert caught.value.code == "E-DATA-099"
    assert "E-DATA-099 two is empty." in store.read_text(store.path("tmp", "log", "prepare.log"))


def test_several_errors_become_one_with_all_their_words_and_the_class_of_the_first():
    with pytest.raises(DataError, match="E-PIPE-007") as caught:
        fan_out(failing("one", "three"), ["one", "two", "three"])
    assert caught.value.what == "2 of 3 evaluations failed; the others are finished."
    assert "-- one: E-DATA-099 one is empty." in caught.value.found
    assert "-- three: E-DATA-099 three is empty." in caught.value.found


def test_errors_come_back_from_worker_processes():
    with pytest.raises(ParametersError, match="E-STO-005"):
        fan_out(store.require_slug, ["good", "not a slug"], processes=True)


def test_an_unforeseen_exception_is_told_in_one_line_and_logged_in_full():
    def work(evaluation_id: str) -> None:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(InternalError, match="E-PIPE-006") as caught:
        fan_out(work, ["one"])
    assert caught.value.found == "ZeroDivisionError: division by zero"
    assert "Traceback" in store.read_text(store.path("tmp", "log", "one.log"))


def test_a_killed_worker_is_a_problem_of_the_machine():
    def work(evaluation_id: str) -> None:  # defined here, so that it travels to the worker by value
        os._exit(1)

    with pytest.raises(SetupError, match="E-PIPE-005"):
        fan_out(work, ["one", "two"], processes=True)


def test_a_summary_of_problems_errors_can_be_raised():
    problem = Problem(file="params.yaml", key="x", line=1, found="", expected="", nearest=None, message="wrong")
    errors = [("one", ProblemsError([problem])), ("two", ProblemsError([problem]))]
    assert type(workers._summary(errors, 2)) is ParametersError
