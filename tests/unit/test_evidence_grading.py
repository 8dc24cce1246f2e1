"""A grade, its reasons and its verdict, worked out by hand."""

import json

import pytest

from evaluation import store
from evaluation.evidence import rubric
from evaluation.evidence.grading import compare_reason, grade, grade_all, verdict, write_grades
from evaluation.evidence.record import parse
from evaluation.settings.yaml12 import read_yaml


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


def finding(checks=None, **changes):
    data = {
        "id": "finding",
        "role": "benchmark",
        "method": "experiment",
        "design_class": "randomised",
        "source": {"kind": "published", "citation": "Author 2020", "address": "https://example.org"},
        "plan": "not_applicable",
        "outcome": {"name": "earnings", "unit": "USD", "better": "higher", "smallest_effect": 500.0},
        "headline": {"estimate": 1794.0, "std_error": 671.0, "ci_low": 475.0, "ci_high": 3113.0},
        "sample": {},
        "checks": [_check(name, value) for name, value in (checks or {}).items()],
        "provenance": {"public": True},
    }
    return parse({**data, **changes})


def _check(name, value):
    if isinstance(value, str):
        return {"check": name, "status": value}
    number, subject = value if isinstance(value, tuple) else (value, "")
    return {"check": name, "value": number, "status": "measured", "subject": subject}


# What the job-training trial of 1976 can be asked, and its comparison with a population survey.
TRIAL = {
    "balance.max_smd": (0.31, "nodegree"),
    "attrition.overall": "not_run",
    "attrition.differential": "not_run",
    "precision.mdes_sd": 0.285,
    "precision.clusters": "not_applicable",
    "precision.treated_clusters": "not_applicable",
    "registration.plan": "not_applicable",
    "multiplicity.holm_p": "not_applicable",
    "reporting.uncertainty": 0.0,
    "reporting.reading": 0.0,
    "measurement.source": 1.0,
    "interference.displacement": "not_run",
    "independence.evaluator": 0.0,
}
MATCHED = TRIAL | {
    "balance.max_smd": (0.12, "age"),
    "overlap.share_in_01_09": 0.62,
    "overlap.ess_share": 0.01,
    "baseline.outcome_pretest": 1.0,
    "identification.sensitivity": 0.3,
    "attrition.overall": "not_applicable",
    "attrition.differential": "not_applicable",
}


def trial(scale, **changes):
    record = finding(TRIAL, id="trial", **changes)
    return record, grade(record, scale)


def matched(scale):
    record = finding(MATCHED, id="matched", method="matching", design_class="matching_pretest")
    return record, grade(record, scale)


def test_the_trial_by_hand(scale):
    # ceiling 5; imbalance .31 > .25 serious: 1. Missing data not run 1/2, precision .285 <= .29: 1/2, self-report 1/2,
    # displacement not run 1/2: four further domains lose, so another 1/2. floor(5 - 1 - 1/2) = 3
    _, found = trial(scale)
    assert found.value == 3
    assert (found.label_fr, found.label_en) == ("plausible", "plausible")
    losses = {domain: item.loss for domain, item in found.domain_losses.items()}
    assert losses == {
        "identification": 1.0,
        "missing_data": 0.5,
        "precision": 0.5,
        "reporting": 0.0,
        "measurement": 0.5,
        "interference": 0.5,
        "independence": 0.0,
    }
    assert (found.domain_losses["identification"].check, found.domain_losses["identification"].rule) == (
        "balance.max_smd",
        "balance-randomised",
    )


def test_three_further_domains_are_needed_for_the_last_half(scale):
    # without the self-report and the power problem two further domains lose: floor(5 - 1) = 4
    record = finding(TRIAL | {"measurement.source": 0.0, "precision.mdes_sd": 0.1})
    assert grade(record, scale).value == 4


def test_the_comparison_by_hand(scale):
    # ceiling 3; share .62 serious 1, ess .01 serious, hidden factor .3 serious, gap .12 a concern: the domain loses 1.
    # precision 1/2, self-report 1/2, displacement 1/2: three further domains: floor(3 - 1 - 1/2) = 1
    _, found = matched(scale)
    assert (found.value, found.ceiling) == (1, 3)


def test_a_cap_is_not_charged_twice(scale):
    # one treated cluster: cap 2, and precision is not charged again; missing data, measurement, interference lose 1/2
    # each: worst 1/2, two further domains: floor(2 - 1/2) = 1
    capped = finding({**TRIAL, "precision.treated_clusters": 1.0, "precision.clusters": 50.0, "balance.max_smd": 0.0})
    assert grade(capped, scale).value == 1
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable") | {"precision.treated_clusters": 1.0}
    assert grade(finding(clean), scale).value == 2


def test_of_two_equal_caps_one_is_charged(scale):
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    both = clean | {"precision.treated_clusters": 1.0, "measurement.source": 3.0}
    assert grade(finding(both), scale).value == 1  # top 2, one of the two domains costs 1


def test_of_two_equal_caps_the_one_that_costs_less_is_free(repository):
    # two caps at 4, one with loss 1/2 and one with loss 1. If the dearer one were free, lifting its cap (source 3 -> 2,
    # still loss 1) would lower the grade. Three concerns besides: floor(4 - 1 - 1/2) = 2 before and after.
    raw = read_yaml(repository / "params.yaml").data["rubric"]
    next(rule for rule in raw["rules"] if rule["id"] == "outcome-source")["bands"][-1]["cap"] = 4
    changed = rubric.parse(raw)
    concerns = {"balance.max_smd": 0.1, "precision.mdes_sd": 0.25, "interference.displacement": 0.1}
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable") | concerns | {"reporting.uncertainty": 1.0}
    values = [grade(finding(clean | {"measurement.source": code}), changed).value for code in (3.0, 2.0)]
    assert values == [2, 2]


def test_a_comparison_group_is_worth_at_least_one(scale):
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    assert grade(finding(clean | {"precision.mdes_sd": 0.7, "balance.max_smd": 0.9}), scale).value == 1


def test_grading_twice_gives_the_same(scale):
    assert trial(scale)[1] == trial(scale)[1]


# the reasons ---------------------------------------------------------------------------------------------------------


def test_the_worst_reason_comes_first_with_its_number(scale):
    _, found = trial(scale)
    worst = found.reasons[0]
    assert (worst.rule, worst.kind, worst.loss) == ("balance-randomised", "loss", 1.0)
    assert worst.fr == "Les groupes différaient au départ : écart maximal de 0,31 écart-type (nodegree)."
    assert worst.en == "The groups differed at the start: largest gap of 0.31 standard deviations (nodegree)."
    assert [reason.loss for reason in found.reasons] == sorted((reason.loss for reason in found.reasons), reverse=True)


def test_measured_reasons_stand_before_those_that_were_not_run(scale):
    _, found = trial(scale)
    assert [reason.kind for reason in found.reasons] == ["loss", "loss", "loss", "not_run", "not_run"]


def test_a_column_is_written_in_the_words_of_the_reader(scale):
    labels = {"nodegree": {"fr": "diplôme", "en": "degree"}}
    found = grade(finding(TRIAL), scale, labels=labels)
    assert found.reasons[0].fr == "Les groupes différaient au départ : écart maximal de 0,31 écart-type (diplôme)."
    assert found.reasons[0].en.endswith("(degree).")


def test_a_column_cannot_smuggle_a_blank_into_a_sentence(scale):
    found = grade(finding(TRIAL | {"balance.max_smd": (0.31, "{value}{0.real}")}), scale)
    assert found.reasons[0].fr.endswith("({value}{0.real}).")


def test_the_ceiling_is_a_reason(scale):
    _, found = matched(scale)
    assert found.reasons[0].kind == "ceiling"
    assert found.reasons[0].domain == "design"
    assert found.reasons[0].fr == "Comparaison avec des personnes semblables, sans tirage au sort ; niveau 3 au plus."
    assert found.reasons[0].en == "A comparison with similar people, without random assignment; grade 3 at most."


def test_a_cap_says_its_level(scale):
    found = grade(finding(TRIAL | {"precision.mdes_sd": 0.45}), scale)
    cap = next(reason for reason in found.reasons if reason.kind == "cap")
    assert cap.fr == "L'étude est trop petite pour voir un effet plus faible que 0,45 écart-type ; niveau 2 au plus."
    assert [(item.rule, item.cap) for item in found.caps] == [("detectable-effect", 2)]


@pytest.mark.parametrize(
    ("checks", "fr", "en"),
    [
        (
            {"attrition.overall": 0.256, "attrition.differential": 0.105},
            "25,6\u00a0% des cas, avec 10,5\u00a0points d'écart entre les groupes ; niveau 3 au plus.",
            "25.6% of cases, with a difference of 10.5 percentage points between the groups; grade 3 at most.",
        ),
        (
            {"attrition.overall": 0.5, "attrition.differential": 0.015},
            "il manque dans 50,0\u00a0% des cas, avec 1,5\u00a0point d'écart entre les groupes.",
            "it is missing in 50.0% of cases, with a difference of 1.5 percentage points between the groups.",
        ),
        (
            {"multiplicity.holm_p": 0.0721},
            "l'effet n'est plus distinct du hasard (p\u00a0=\u00a00,072).",
            "the effect is no longer told apart from chance (p\u00a0=\u00a00.072).",
        ),
        (
            {"precision.clusters": 19.0},
            "Peu de groupes indépendants (villages, écoles, villes) : 19.",
            "Few independent groups (villages, schools, towns): 19.",
        ),
        (
            {"independence.evaluator": 2.0},
            "Le programme a été évalué par ceux qui l'ont conçu.",
            "The programme was evaluated by those who designed it.",
        ),
        (
            {"registration.plan": 1.0},
            "L'analyse s'écarte du plan publié à l'avance.",
            "The analysis departs from the plan published in advance.",
        ),
    ],
)
def test_sentences_carry_the_number_in_each_language(scale, checks, fr, en):
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    (reason,) = grade(finding(clean | checks), scale).reasons
    assert reason.fr.endswith(fr)
    assert reason.en.endswith(en)


def test_a_tiny_p_value_is_not_zero(scale):
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    record = finding(clean | {"pretrend.joint_p": 0.00001}, method="did", design_class="event_study")
    assert "p\u00a0<\u00a00,001" in grade(record, scale).reasons[0].fr + grade(record, scale).reasons[1].fr


# what would raise it -------------------------------------------------------------------------------------------------


def test_one_repair_that_raises_the_grade_is_named(scale):
    _, found = trial(scale)
    assert [(repair.rules, repair.to) for repair in found.would_raise] == [(("balance-randomised",), 4)]
    assert found.would_raise[0].fr == (
        "Le niveau passerait à 4 si ce point était levé : les groupes différaient au départ : "
        "écart maximal de 0,31 écart-type (nodegree)."
    )


def test_where_one_repair_is_not_enough_the_shortest_set_is_named(scale):
    # 5 - 1/2 - 1/2 = 4 with five domains at 1/2; all five must be settled for 5
    record = finding(TRIAL | {"balance.max_smd": 0.2})
    found = grade(record, scale)
    assert found.value == 4
    (repair,) = found.would_raise
    assert repair.to == 5
    assert set(repair.rules) == {
        "balance-randomised",
        "attrition-randomised",
        "detectable-effect",
        "outcome-source",
        "displacement",
    }
    assert "comparabilité, données manquantes, précision, mesure, effets sur les autres" in repair.fr


def test_repairs_that_can_be_spared_are_not_asked_for(scale):
    # ceiling 3, cap 1 by attrition, four more domains lose 1: floor(1 - 1 - 1/2), at least 1. For 2 attrition must be
    # settled and one of the four: precision, by its two checks. The weights of the comparison come first, but settling
    # them would leave the hidden factor in the same domain.
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    checks = {
        "attrition.overall": 0.6,
        "overlap.ess_share": 0.1,
        "identification.sensitivity": 0.7,
        "precision.mdes_sd": 0.35,
        "precision.treated_clusters": 3.0,
        "registration.plan": 2.0,
        "interference.displacement": 0.5,
    }
    record = finding(clean | checks, method="matching", design_class="matching_pretest")
    (repair,) = grade(record, scale).would_raise
    assert repair.rules == ("attrition-comparison", "detectable-effect", "treated-clusters")


def test_where_only_another_design_would_help_nothing_is_proposed(scale):
    clean = dict.fromkeys(rubric.CHECKS, "not_applicable")
    record = finding(clean, method="matching", design_class="matching_pretest")
    assert grade(record, scale).would_raise == ()


# why one is graded lower ---------------------------------------------------------------------------------------------


def test_one_sentence_says_why_the_comparison_is_graded_lower(scale):
    fr, en = compare_reason(*trial(scale), *matched(scale))
    assert fr == (
        "« matched » est au niveau 1, et « trial » au niveau 3 : comparaison avec des personnes semblables, "
        "sans tirage au sort ; niveau 3 au plus ; de plus, tous les participants n'ont pas leur équivalent dans le "
        "groupe de comparaison : 62,0\u00a0% en ont un."
    )
    assert en == (
        "“matched” has grade 1, and “trial” grade 3: a comparison with similar people, without random assignment; "
        "grade 3 at most; moreover, not all participants have a counterpart in the comparison group: 62.0% have one."
    )


def test_with_one_design_the_check_alone_is_named(scale):
    better = finding(TRIAL | {"balance.max_smd": 0.0}, id="better")
    fr, _ = compare_reason(better, grade(better, scale), *trial(scale))
    assert fr.startswith("« trial » est au niveau 3, et « better » au niveau 4 : les groupes différaient au départ")


def test_a_finding_that_is_not_lower_is_said_not_to_be(scale):
    assert "même niveau : 3" in compare_reason(*trial(scale), *trial(scale))[0]
    fr, en = compare_reason(*matched(scale), *trial(scale))
    assert "n'est pas moins bien noté" in fr
    assert "is not graded lower" in en


# the verdict ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "low", "high", "smallest", "expected"),
    [
        ("higher", 0.1, 2.0, 0.5, "positive"),
        ("higher", -2.0, -0.1, 0.5, "harmful"),
        ("lower", -2.0, -0.1, 0.5, "positive"),
        ("lower", 0.1, 2.0, 0.5, "harmful"),
        ("higher", -0.1, 2.0, 0.5, "inconclusive"),
        ("higher", 0.0, 2.0, 0.5, "inconclusive"),
        ("higher", -0.3, 0.3, 0.5, "precise_null"),
        ("lower", -0.3, 0.3, 0.5, "precise_null"),
        ("higher", 0.1, 0.4, 0.5, "precise_null"),  # there is an effect, and it is too small to matter
        ("higher", 0.1, 0.4, None, "positive"),
        ("higher", -0.3, 0.3, None, "inconclusive"),
        # half-width .58 at 95 %, .487 at 90 %: within .5 at 90 % only
        ("higher", -0.58, 0.58, 0.5, "precise_null"),
        ("higher", -0.6, 0.6, 0.5, "inconclusive"),
    ],
)
def test_the_verdict_follows_from_the_interval(better, low, high, smallest, expected):
    outcome = {"name": "a", "unit": "b", "better": better, "smallest_effect": smallest}
    headline = {"estimate": (low + high) / 2, "ci_low": low, "ci_high": high}
    assert verdict(finding(outcome=outcome, headline=headline)) == expected


def test_without_an_interval_the_standard_error_makes_one():
    outcome = {"name": "a", "unit": "b", "better": "higher"}
    assert verdict(finding(outcome=outcome, headline={"estimate": 1.97, "std_error": 1.0})) == "positive"
    assert verdict(finding(outcome=outcome, headline={"estimate": 1.95, "std_error": 1.0})) == "inconclusive"


def test_a_ratio_is_compared_with_one():
    outcome = {"name": "days", "unit": "ratio", "better": "lower", "no_effect": 1.0}
    headline = {"estimate": 0.62, "ci_low": 0.48, "ci_high": 0.8}
    assert verdict(finding(outcome=outcome, headline=headline)) == "positive"


@pytest.mark.parametrize(
    ("direction", "better", "expected"),
    [
        ("positive", "higher", "sign_positive"),
        ("negative", "higher", "sign_negative"),
        ("negative", "lower", "sign_positive"),
        ("positive", "lower", "sign_negative"),
        ("none", "higher", "sign_none"),
        ("positive", None, "not_known"),
    ],
)
def test_a_sign_has_a_verdict_of_its_own(direction, better, expected):
    outcome = {"name": "a", "unit": "b", "better": better}
    assert verdict(finding(kind="sign_only", outcome=outcome, headline={"direction": direction})) == expected


def test_an_effect_without_interval_and_direction_has_no_verdict():
    assert verdict(finding(headline={"estimate": 0.5})) == "not_known"


def test_a_claim_has_no_verdict_and_keeps_its_number_out_of_the_headline(scale):
    claim = {"value": 46.0, "unit": "% of people supported", "text_en": "back in work"}
    record = finding(
        kind="claim", claim=claim, headline={}, method="uncontrolled", design_class="monitoring", id="wimoov"
    )
    found = grade(record, scale)
    assert (found.verdict, found.value, record.headline.estimate) == ("not_known", 1, None)


def test_the_verdict_never_changes_the_grade(scale):
    grades = [
        grade(
            finding(TRIAL, headline={"estimate": low + 1, "std_error": 0.5, "ci_low": low, "ci_high": low + 2}), scale
        )
        for low in (-2000.0, 2000.0)
    ]
    assert [found.verdict for found in grades] == ["harmful", "positive"]
    assert [found.value for found in grades] == [3, 3]


# all of them ---------------------------------------------------------------------------------------------------------


def test_grades_are_written_by_id_and_come_back(scale, project):
    project()
    grades = grade_all([finding(TRIAL, id="b"), finding(MATCHED, id="a")], scale)
    assert list(grades) == ["a", "b"]
    file = write_grades(grades)
    read = store.read_json(file)
    assert read["b"] == json.loads(json.dumps(grades["b"].as_dict()))
    assert read["b"]["domain_losses"]["identification"] == {
        "loss": 1.0,
        "check": "balance.max_smd",
        "rule": "balance-randomised",
    }
    assert file.read_bytes() == write_grades(grades).read_bytes()
