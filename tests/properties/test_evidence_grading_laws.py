"""What holds for every finding: a better check never lowers a grade, and ignorance never raises one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.evidence import rubric
from evaluation.evidence.grading import grade
from evaluation.evidence.record import parse
from evaluation.settings import wwc
from evaluation.settings.yaml12 import read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SCALE = rubric.parse(read_yaml(REPOSITORY / "params.yaml").data["rubric"])

CLASSES = {
    "experiment": ["randomised", "randomised_cluster", "lottery"],
    "did": ["event_study", "matched_did", "did"],
    "matching": ["matching_pretest", "matching"],
    "weighting": ["matching_pretest", "matching"],
    "comparison": ["comparison_group"],
    "meta_analysis": ["meta_analysis_randomised", "meta_analysis"],
    "discontinuity": ["discontinuity"],
    "uncontrolled": ["before_after_adjusted", "monitoring", "account"],
}
# Checks whose small values are good; of the others large values are.
SMALL_IS_GOOD = {rule.check for rule in SCALE.rules if rule.bands[0].at_most is not None} | {"attrition.differential"}
# The WWC's boundary first rises with overall attrition (5.7 to 6.3 points): there more attrition can be graded better.
NOT_MONOTONE = {"attrition.overall"}
MONOTONE = sorted(set(rubric.CHECKS) - NOT_MONOTONE)

ASKED = sorted(set(rubric.CHECKS) - {rule.check for rule in SCALE.rules if rule.only_if == "declared"})


PAIR = ("attrition.overall", "attrition.differential")


def values(check):
    """Values at, just below and just above every threshold, and the ends of the range."""
    low, high = rubric.CHECKS[check]
    bounds = {
        bound
        for rule in SCALE.rules
        if check in (rule.check, rule.companion) and rule.measure == "value"
        for band in rule.bands
        for bound in (band.at_most, band.at_least)
        if bound is not None
    }
    around = {bound + step for bound in bounds | {0.06, 0.1} for step in (-1e-6, 0.0, 1e-6)} | {low, min(high, 60.0)}
    return sorted(float(value) for value in around if low <= value <= high)


def states(check):
    """Everything that a record can say about a check."""
    measured = [
        {"check": check, "status": "measured", "value": value, "power": power}
        for value in values(check)
        for power in ((None, 0.5, 0.9) if check == "pretrend.joint_p" else (None,))
    ]
    return [None, *({"check": check, "status": status} for status in ("not_run", "not_applicable")), *measured]


VALUES = {check: values(check) for check in sorted(rubric.CHECKS)}
STATES = st.tuples(*(st.sampled_from(states(check)) for check in sorted(rubric.CHECKS)))
METHODS = st.sampled_from([(method, name) for method in sorted(CLASSES) for name in CLASSES[method]])
NUMBERS = st.tuples(
    st.sampled_from([-0.5, -0.1, 0.0, 0.1, 0.5]), st.sampled_from([0.02, 0.2]), st.sampled_from([None, 0.3])
)


def finding(method, numbers, checks):
    estimate, error, smallest = numbers
    ends = {"ci_low": estimate - 1.96 * error, "ci_high": estimate + 1.96 * error}
    return {
        "id": "finding",
        "role": "decision",
        "method": method[0],
        "design_class": method[1],
        "source": {"kind": "published", "citation": "Author 2020", "address": "https://example.org"},
        "plan": "exploratory",
        "outcome": {"name": "a", "unit": "b", "better": "higher", "smallest_effect": smallest},
        "headline": {"estimate": estimate, "std_error": error, **ends},
        "sample": {},
        "checks": [check for check in checks if check is not None],
        "provenance": {"public": True},
    }


def findings():
    return st.builds(finding, METHODS, NUMBERS, STATES)


def graded(data):
    return grade(parse(data), SCALE)


def with_check(data, state):
    others = [check for check in data["checks"] if check["check"] != state["check"]]
    return {**data, "checks": [*others, state]}


@settings(max_examples=120, deadline=None)
@given(findings())
def test_a_grade_lies_between_zero_and_its_ceiling(data):
    found = graded(data)
    assert 0 <= found.value <= found.ceiling <= 5
    assert found.value >= 1 or not SCALE.ceilings[data["design_class"]].comparison


@settings(max_examples=200, deadline=None)
@given(findings(), st.sampled_from(MONOTONE), st.data())
def test_a_better_check_never_lowers_a_grade(data, check, draw):
    pair = [draw.draw(st.sampled_from(VALUES[check])) for _ in range(2)]
    worse, better = sorted(pair, reverse=check in SMALL_IS_GOOD)
    state = {"check": check, "status": "measured", "power": draw.draw(st.sampled_from([None, 0.9]))}
    low = graded(with_check(data, {**state, "value": worse}))
    high = graded(with_check(data, {**state, "value": better}))
    assert high.value >= low.value


@settings(max_examples=120, deadline=None)
@given(findings(), st.sampled_from(sorted(rubric.CHECKS)))
def test_a_check_that_passes_is_worth_at_least_one_that_was_not_run(data, check):
    """The two numbers of attrition are one check: they pass together."""
    passed = data
    for name in PAIR if check in PAIR else (check,):
        best = VALUES[name][0 if name in SMALL_IS_GOOD else -1]
        passed = with_check(passed, {"check": name, "status": "measured", "value": best, "power": 1.0})
    assert graded(passed).value >= graded(with_check(data, {"check": check, "status": "not_run"})).value


@settings(max_examples=120, deadline=None)
@given(findings(), st.sampled_from(sorted(rubric.CHECKS)))
def test_not_running_a_check_never_helps_where_it_would_not_apply(data, check):
    silent = {"check": check, "status": "not_applicable"}
    assert (
        graded(with_check(data, {"check": check, "status": "not_run"})).value <= graded(with_check(data, silent)).value
    )


@settings(max_examples=60, deadline=None)
@given(findings(), st.sampled_from(ASKED))
def test_leaving_a_check_out_is_not_running_it(data, check):
    """But for what counts only where the evaluation declares it: there a check that is left out was never planned."""
    others = {**data, "checks": [state for state in data["checks"] if state["check"] != check]}
    not_run = with_check(data, {"check": check, "status": "not_run"})
    assert graded(others).as_dict() == graded(not_run).as_dict()


@settings(max_examples=40, deadline=None)
@given(findings(), st.randoms(use_true_random=False))
def test_the_order_of_checks_does_not_matter(data, random):
    shuffled = list(data["checks"])
    random.shuffle(shuffled)
    assert graded({**data, "checks": shuffled}) == graded(data)


@settings(max_examples=60, deadline=None)
@given(findings())
def test_what_would_raise_a_grade_raises_it(data):
    found = graded(data)
    for repair in found.would_raise:
        assert repair.to > found.value
    costly = {reason.rule for reason in found.reasons}
    assert all(set(repair.rules) <= costly for repair in found.would_raise)


@settings(max_examples=60, deadline=None)
@given(findings())
def test_every_level_that_is_lost_has_a_reason(data):
    found = graded(data)
    assert bool(found.reasons) or found.value == 5
    assert all(reason.loss > 0 and reason.fr and reason.en for reason in found.reasons)


@settings(max_examples=60, deadline=None)
@given(findings(), st.sampled_from(["higher", "lower", None]))
def test_what_counts_as_better_changes_the_verdict_only(data, better):
    other = {**data, "outcome": {**data["outcome"], "better": better}}
    assert graded(other).value == graded(data).value
    assert graded(other).reasons == graded(data).reasons


@pytest.mark.parametrize("differential", [0.06, 0.10])
def test_the_boundary_of_the_wwc_rises_before_it_falls(differential):
    """Why overall attrition is not among the laws above."""
    zones = [wwc.attrition_zone(overall, differential) for overall in (0.0, 0.08, 0.57)]
    assert zones[1] < zones[0] <= zones[2]
