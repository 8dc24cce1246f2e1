"""A plan says everything that a design needs, and nothing that it does not use."""

import pytest

from evaluation.errors import ProblemsError
from evaluation.settings.power import PowerPlan, read_plan

TRIAL = "design: individual\noutcome: {sd: 10, unit: points}\nunits: 200\n"
GROUPS = "design: cluster\noutcome: {share: 0.3}\nclusters: 40\ncluster_size: 25\nicc: 0.05\n"
CHANGES = "design: difference\noutcome: {sd: 1}\nunits: 100\n"


@pytest.fixture
def read(tmp_path):
    def of(text: str) -> PowerPlan:
        file = tmp_path / "plan.yaml"
        file.write_text(text, encoding="utf-8")
        return read_plan(file)

    return of


@pytest.mark.parametrize(
    "text",
    [
        TRIAL,
        GROUPS,
        "design: cluster\noutcome: {sd: 1}\nicc: 0.1\nbudget: 50000\ncost: {cluster: 500, unit: 20}\n",
        "design: paired\noutcome: {sd: 1}\ncorrelation: 0.5\nunits: 80\n",
        "design: paired\noutcome: {sd: 1}\ncorrelation: 0.5\nclusters: 20\ncluster_size: 30\nicc: 0.1\n",
        "design: stepped_wedge\noutcome: {share: 0.4}\nwaves: 4\nicc: 0.05\nclusters: 20\ncluster_size: 15\n",
        CHANGES + "before: 3\nafter: 2\nshare: 0.4\ntime: {autocorrelation: 0.5}\n",
        CHANGES + "starts: {2: 0.3, 4: 0.2}\nafter: 3\n",
        "design: comparison\noutcome: {sd: 1}\neffective: 0.4\nunits: 900\n",
    ],
)
def test_plans_of_every_design_are_read(read, text):
    assert read(text).level == 0.05


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TRIAL.replace("sd: 10, ", ""), "E-SET-159"),
        (TRIAL.replace("sd: 10", "sd: 10, share: 0.2"), "E-SET-159"),
        (TRIAL + "take_up: {offered: 0.3, others: 0.4}\n", "E-SET-160"),
        (TRIAL + "cost: {fixed: 100}\n", "E-SET-161"),
        (TRIAL + "icc: 0.1\n", "E-SET-162"),
        (TRIAL + "waves: 3\n", "E-SET-162"),
        (TRIAL + "time: {persistence: 0.2}\n", "E-SET-162"),
        (GROUPS + "effective: 0.5\n", "E-SET-162"),
        (GROUPS.replace("icc: 0.05\n", ""), "E-SET-163"),
        ("design: comparison\noutcome: {sd: 1}\nunits: 90\n", "E-SET-163"),
        ("design: paired\noutcome: {sd: 1}\ncorrelation: 0.5\nclusters: 20\ncluster_size: 30\n", "E-SET-163"),
        (TRIAL.replace("units: 200\n", ""), "E-SET-164"),
        (TRIAL + "budget: 100\ncost: {unit: 1}\n", "E-SET-164"),
        (GROUPS + "units: 1000\n", "E-SET-164"),
        ("design: individual\noutcome: {sd: 1}\nbudget: 100\n", "E-SET-165"),
        (GROUPS.replace("cluster_size: 25\n", ""), "E-SET-165"),
        ("design: cluster\noutcome: {sd: 1}\nicc: 0.1\neffect: 0.2\n", "E-SET-165"),
        (CHANGES + "before: 3\n", "E-SET-166"),
        (CHANGES + "starts: {2: 0.7, 3: 0.6}\nafter: 2\n", "E-SET-166"),
        (CHANGES + "starts: {2: 0.7}\nbefore: 2\nafter: 2\n", "E-SET-166"),
        (TRIAL + "effect: 0\n", "E-SET-167"),
        (GROUPS + "effect: 0.8\n", "E-SET-167"),
        (TRIAL + "subgroup: {share: 0.5, of: clusters}\n", "E-SET-168"),
        ("- a\n- b\n", "E-SET-169"),
        (TRIAL + "unit: 3\n", "E-SET-014"),
        (TRIAL.replace("200", "0"), "E-SET-016"),
    ],
)
def test_what_a_plan_cannot_say(read, text, code):
    with pytest.raises(ProblemsError) as caught:
        read(text)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_all_problems_are_reported_at_once_with_their_lines(read):
    with pytest.raises(ProblemsError) as caught:
        read(TRIAL + "icc: 0.1\nattrition: 1.5\nouctomes: 3\n")
    assert [(problem.line, problem.code) for problem in caught.value.problems] == [
        (4, "E-SET-162"),
        (5, "E-SET-016"),
        (6, "E-SET-014"),
    ]
    assert caught.value.problems[2].nearest == "outcomes"
