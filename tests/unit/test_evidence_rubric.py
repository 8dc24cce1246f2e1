"""The rubric of params.yaml is read whole, and everything unfair about it is said at once."""

import copy

import pytest

from evaluation import store
from evaluation.errors import ParametersError, ProblemsError
from evaluation.evidence import rubric
from evaluation.evidence.rubric_page import rubric_markdown
from evaluation.settings import wwc
from evaluation.settings.yaml12 import read_yaml


@pytest.fixture(scope="module")
def raw(repository):
    return read_yaml(repository / "params.yaml").data["rubric"]


def rule(raw, rule_id):
    return next(rule for rule in raw["rules"] if rule["id"] == rule_id)


def codes(raw):
    with pytest.raises(ProblemsError) as caught:
        rubric.parse(raw)
    assert caught.value.code == "E-EVI-018"
    return [problem.code for problem in caught.value.problems]


def test_the_rubric_of_this_repository_is_read(repository):
    found = rubric.read(repository)
    assert found.version == "1.4"
    assert found.level(3).fr == "plausible"
    assert found.rule("clusters").check == "precision.clusters"


def test_the_page_in_docs_is_made_from_it(repository):
    page = store.read_text(repository / "docs" / "rubric.md")
    assert page == rubric_markdown(rubric.read(repository))


def test_earlier_rubrics_are_kept_and_can_be_applied(repository):
    assert rubric.versions() == ("1.0", "1.1", "1.2", "1.3")
    first, now = (rubric.read_version(version, repository) for version in ("1.0", "1.4"))
    assert (first.version, now) == ("1.0", rubric.read(repository))
    new = {rule.id for rule in now.rules} - {rule.id for rule in first.rules}
    assert {"trends-detectable", "trends-equivalent", "trends-departure", "placebo-dates", "one-cohort"} < new
    older, before, last = (rubric.read_version(version, repository) for version in ("1.1", "1.2", "1.3"))
    own = {"hidden-gap", "fit-before", "placebo-rank", "single-donor", "donors", "window", "exclusion"}
    assert {rule.id for rule in before.rules} - {rule.id for rule in older.rules} == own | {"negative-control"}
    assert {rule.id for rule in last.rules} - {rule.id for rule in before.rules} == {"estimators-agree"}
    assert (before.alarm, last.alarm) == (None, now.alarm)
    thresholds = {"score-density", "covariate-jumps", "placebo-thresholds", "nearest-units"}
    assert {rule.id for rule in now.rules} - {rule.id for rule in last.rules} == thresholds


def test_a_rubric_that_was_never_written_is_refused(repository):
    with pytest.raises(ParametersError, match="E-EVI-071"):
        rubric.read_version("0.9", repository)


def test_without_a_rubric_nothing_can_be_graded(project):
    with pytest.raises(ParametersError, match="E-EVI-017"):
        rubric.read(project("seed: 1\n"))


def test_all_problems_are_said_at_once_with_their_lines(repository, project):
    text = (repository / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("check: overlap.ess_share", "check: overlap.es_share").replace(
        "domain: measurement", "domain: art"
    )
    text = text.replace("further_loss: 0.5", "further_los: 0.5").replace("{value} écart-type{subject}", "{size}", 1)
    with pytest.raises(ProblemsError) as caught:
        rubric.read(project(text))
    found = caught.value.problems
    assert [problem.code for problem in found] == ["E-SET-012", "E-SET-014", "E-EVI-011", "E-EVI-010", "E-SET-015"]
    lines = text.splitlines()
    assert "overlap.es_share" in lines[found[3].line - 1]
    assert found[3].nearest == "overlap.ess_share"
    assert found[1].nearest == "further_loss"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E-EVI-010", lambda raw: rule(raw, "clusters").update(check="precision.cluster")),
        ("E-EVI-010", lambda raw: rule(raw, "attrition-randomised").update(companion="attrition.difference")),
        ("E-EVI-011", lambda raw: rule(raw, "clusters").update(fr="{value.__class__}")),
        ("E-EVI-011", lambda raw: rule(raw, "clusters")["bands"][2].update(en="{0}")),
        ("E-EVI-011", lambda raw: rule(raw, "clusters").update(en="{value:>{value}}")),
        ("E-EVI-011", lambda raw: rule(raw, "clusters").update(en="{value!r}")),
        ("E-EVI-011", lambda raw: rule(raw, "clusters").update(en="half a {brace")),
        ("E-EVI-012", lambda raw: raw["levels"].pop()),
        ("E-EVI-013", lambda raw: raw["domains"].pop("precision")),
        ("E-EVI-014", lambda raw: raw["ceilings"].update(miracle=raw["ceilings"]["randomised"])),
        ("E-EVI-015", lambda raw: raw["kinds"].pop("claim")),
        ("E-EVI-016", lambda raw: rule(raw, "clusters").update(id="plan")),
        ("E-EVI-020", lambda raw: rule(raw, "clusters")["bands"][0].update(at_most=50)),
        ("E-EVI-020", lambda raw: rule(raw, "clusters")["bands"][-1].update(at_least=0)),
        ("E-EVI-021", lambda raw: rule(raw, "clusters")["bands"][1].update(loss=1, cap=1)),
        ("E-EVI-021", lambda raw: rule(raw, "clusters")["bands"][2].update(loss=0.4)),
        ("E-EVI-022", lambda raw: rule(raw, "clusters")["bands"][0].update(loss=0.5)),
        ("E-EVI-023", lambda raw: rule(raw, "clusters")["bands"][1].update(at_least=42)),
        ("E-EVI-023", lambda raw: rule(raw, "overlap-share")["bands"][0].update(at_least=95)),
        ("E-EVI-023", lambda raw: rule(raw, "plan")["bands"][1].update(at_most=2)),
        ("E-EVI-023", lambda raw: rule(raw, "attrition-randomised")["bands"][1].update(at_most=2)),
        ("E-EVI-125", lambda raw: raw["alarm"]["tests"][0].update(check="pretrend.equivalence_bound")),
        ("E-EVI-126", lambda raw: raw["alarm"]["bounds"][0].update(rule="balance")),
    ],
)
def test_what_would_make_the_rubric_unfair_is_refused(raw, code, change):
    changed = copy.deepcopy(raw)
    change(changed)
    assert code in codes(changed)


def test_a_missing_section_is_a_problem_of_the_rubric(raw):
    assert codes({**raw, "rules": None}) == ["E-SET-018"]


def test_a_check_that_is_unknown_does_not_hide_unfair_bands(raw):
    changed = copy.deepcopy(raw)
    rule(changed, "clusters").update(check="precision.cluster")
    rule(changed, "clusters")["bands"][1].update(at_least=42)
    assert codes(changed) == ["E-EVI-023", "E-EVI-010"]


# the WWC's boundaries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overall", "differential", "zone"),
    [
        # at 0 % overall the boundaries are 5.7 and 10 points, at 10 % 6.3 and 10.9, at 57 % 0 and 2.3
        (0.00, 0.0569, 0),
        (0.00, 0.057, 1),
        (0.00, 0.0999, 1),
        (0.00, 0.10, 2),
        (0.10, 0.0629, 0),
        (0.10, 0.063, 1),
        (0.10, 0.109, 2),
        (0.57, 0.00, 1),
        (0.57, 0.023, 2),
        (0.571, 0.00, 2),
        (1.00, 0.00, 2),
        # at 19 % the cautious boundary is 5.5, at 20 % 5.4: between the two the stricter one holds
        (0.19, 0.0545, 0),
        (0.195, 0.0545, 1),
    ],
)
def test_a_trial_stands_where_the_table_of_the_wwc_puts_it(overall, differential, zone):
    assert wwc.attrition_zone(overall, differential) == zone


def test_the_table_of_the_wwc_is_complete(repository):
    lines = store.read_text(repository / "src/evaluation/settings/wwc_attrition.csv").splitlines()
    assert lines[0] == "overall,cautious,optimistic"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(58))
    # sums of the two columns as printed: they catch a digit that somebody changes
    assert sum(float(line.split(",")[1]) for line in lines[1:]) == pytest.approx(226.0)
    assert sum(float(line.split(",")[2]) for line in lines[1:]) == pytest.approx(458.4)
