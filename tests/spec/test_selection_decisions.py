"""The rules of decision, as a table."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from evaluation import store
from evaluation.diffusion.coverage import coverage
from evaluation.errors import ParametersError, StaleError
from evaluation.evidence import published
from evaluation.evidence.record import Record
from evaluation.selection import decisions
from evaluation.selection.cases import Case, Evidence, favour, situation_of
from evaluation.selection.decisions import Decision, review_date
from evaluation.selection.rules import VERDICTS, Situation, binding, rules, ruling
from evaluation.settings.facts import Innovation
from evaluation.settings.observations import Cost
from evaluation.settings.params import read_params
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import Portfolio, read_portfolio

Project = Callable[..., Path]
TEST, LACKING, REVISE = "EXPERIMENTER", "DONNEES_INSUFFISANTES", "REVOIR"
STOP, SCALE, EXTEND = "NE_PAS_RETENIR", "GENERALISER", "ETENDRE_SOUS_EVALUATION"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def policy() -> Selection:
    found = read_params(ROOT).selection
    assert found is not None
    return found


@pytest.fixture(scope="module")
def records(portfolio: Portfolio) -> tuple[Record, ...]:
    return published.from_portfolio(portfolio)


INNOVATION = Innovation(
    id="tutoring",
    difficulty="school-dropout",
    label_fr="Tutorat",
    label_en="Tutoring",
    summary_fr="Un tuteur.",
    summary_en="A tutor.",
    country="France",
    country_fr="France",
    in_france=True,
)
COST = Cost(
    id="tutoring-cost",
    innovation="tutoring",
    value=500,
    basis="participant",
    currency="EUR",
    year=2025,
    source_address="https://example.org/cost",
    confidence="seen",
    note_fr="",
    note_en="",
)


def _finding(use: str, grade: int, favours: str, **more: Any) -> Evidence:
    values = {
        "id": "finding",
        "grade": grade,
        "use": use,
        "favour": favours,
        "horizon": 12.0,
        "secondary": False,
        "main": True,
        "recalled": False,
        "not_read": False,
        "weak_sign": False,
        "citation": "A study (2020)",
    }
    return Evidence(**{**values, **more})


def _case(findings: list[Evidence], *, cost: bool) -> Case:
    return Case(
        innovation=INNOVATION,
        findings=tuple(findings),
        cost=COST if cost else None,
        locally_counted=False,
        harm_grade=3,
    )


A_CLAIM = _finding("none", 1, "undefined")
GOOD = _finding("estimate", 4, "favourable")
NULL = _finding("estimate", 4, "none")
HARMFUL = _finding("estimate", 4, "unfavourable", id="harmful")
UNSETTLED = _finding("estimate", 4, "undefined")
SIGN = _finding("sign", 3, "favourable")
NO_SIGN = _finding("sign", 3, "none", id="no-sign")
BAD_SIGN = _finding("sign", 3, "unfavourable", id="bad-sign")

RULES = [
    # findings                                      cost   rule                   decision  because
    ([], True, "no-finding", LACKING, "reach is not evidence, even with a known cost"),
    ([A_CLAIM], True, "no-comparison", LACKING, "a claim is not an effect"),
    ([_finding("none", 2, "favourable")], True, "no-comparison", LACKING, "a sign without random assignment"),
    ([GOOD], True, "test-estimate", TEST, "effect read, cost known"),
    ([GOOD], False, "no-cost", LACKING, "nobody can fund what has no price"),
    ([GOOD, A_CLAIM], True, "test-estimate", TEST, "a claim beside an effect takes nothing away"),
    ([NULL], True, "test-estimate", TEST, "no effect detected is not a proof of none"),
    ([UNSETTLED], True, "test-estimate", TEST, "desirable or not is for the test to settle"),
    ([_finding("estimate", 1, "favourable")], True, "test-estimate", TEST, "a low grade is a reason to test"),
    ([HARMFUL], True, "harm", REVISE, "good evidence of harm: change the programme before testing it again"),
    ([HARMFUL], False, "harm", REVISE, "harm binds before a missing cost"),
    ([replace(HARMFUL, grade=3)], True, "harm", REVISE, "the bound is included"),
    ([replace(HARMFUL, grade=2)], True, "test-estimate", TEST, "weak evidence of harm is a reason to test"),
    ([HARMFUL, GOOD], True, "test-estimate", TEST, "mixed at the same grade: lock-in, then gain"),
    ([HARMFUL, NULL], True, "harm", REVISE, "unfavourable and none, none favourable"),
    ([HARMFUL, replace(GOOD, grade=3)], True, "harm", REVISE, "a better graded harm outweighs a lesser gain"),
    ([replace(HARMFUL, grade=3), GOOD], True, "test-estimate", TEST, "a better graded gain outweighs a lesser harm"),
    ([SIGN], True, "test-sign", TEST, "a favourable sign of a randomised study, cost known"),
    ([SIGN], False, "sign-no-cost", LACKING, "a sign without a price"),
    ([NO_SIGN], True, "sign-not-favourable", LACKING, "no favourable sign, and no size either"),
    ([NO_SIGN], False, "sign-not-favourable", LACKING, "evidence binds before cost"),
    ([SIGN, NO_SIGN], True, "test-sign", TEST, "one favourable sign is enough to test"),
    ([BAD_SIGN], True, "sign-harm", REVISE, "an unfavourable sign of grade 3"),
    ([replace(BAD_SIGN, grade=2)], True, "sign-not-favourable", LACKING, "weak, but not favourable either"),
    ([SIGN, replace(GOOD, grade=2)], True, "test-estimate", TEST, "an effect was read, even if of a lower grade"),
    ([GOOD, replace(HARMFUL, secondary=True)], True, "test-estimate", TEST, "a subgroup does not count beside all"),
    ([replace(GOOD, secondary=True)], True, "test-estimate", TEST, "a subgroup counts where nothing else was read"),
    ([NULL, replace(GOOD, secondary=True)], True, "test-estimate", TEST, "and does not turn a null into a gain"),
]


@pytest.mark.parametrize(("findings", "cost", "rule", "decision", "because"), RULES, ids=[row[-1] for row in RULES])
def test_the_first_rule_that_applies_binds(
    findings: list[Evidence], cost: bool, rule: str, decision: str, because: str, policy: Selection
) -> None:
    bound = binding(situation_of(_case(findings, cost=cost)), rules(policy))
    assert (bound.name, bound.verdict) == (rule, decision)


# with numbers: every bound, just inside and just outside -------------------------------------------------------------

BEST = Situation(
    evidence="effect",
    favourable=True,
    cost_known=True,
    grade=4,
    programme=4,
    transfer="B",
    p_positive=0.90,
    p_harm=0.05,
    p_useful=0.85,
    net=100.0,
    value_of_test=1.0,
    sustained_months=12,
    cost_sites=2,
    displacement_open=False,
    capacity_plan=True,
    take_up=0.8,
    fidelity=0.9,
)
DOUBTFUL = replace(BEST, grade=3, transfer="C", p_positive=0.75, p_harm=0.10)
POOR = replace(BEST, p_positive=0.10, net=-50.0, value_of_test=0.0, p_useful=0.2)
DEAR = replace(BEST, p_useful=0.80, p_positive=0.49, net=-1.0, value_of_test=0.0)
BY_NUMBERS = [
    # situation                                        rule                 decision  because
    (BEST, "scale", SCALE, "all bounds are included"),
    (replace(BEST, value_of_test=None), "scale", SCALE, "a roll-out does not wait for the value of a test"),
    (replace(BEST, grade=3), "extend", EXTEND, "grade below 4"),
    (replace(BEST, programme=3), "extend", EXTEND, "studies contradict each other, or one of them is harmful"),
    (replace(BEST, programme=None), "extend", EXTEND, "nobody graded the programme"),
    (replace(BEST, transfer="C"), "extend", EXTEND, "transfer below B"),
    (replace(BEST, transfer=None, p_positive=None), "test-estimate", TEST, "a transfer that nobody assessed"),
    (replace(BEST, p_positive=0.8999), "extend", EXTEND, "P(net benefit) below 0.90"),
    (replace(BEST, p_harm=0.0501), "extend", EXTEND, "P(harm) above 0.05"),
    (replace(BEST, sustained_months=11.9), "extend", EXTEND, "held for less than twelve months"),
    (replace(BEST, sustained_months=None), "extend", EXTEND, "nobody knows whether it holds"),
    (replace(BEST, cost_sites=1), "extend", EXTEND, "the cost of one site"),
    (replace(BEST, displacement_open=True), "extend", EXTEND, "others may lose what some gain"),
    (replace(BEST, capacity_plan=False), "extend", EXTEND, "nobody to run it"),
    (DOUBTFUL, "extend", EXTEND, "all bounds of extend are included"),
    (replace(DOUBTFUL, grade=2), "test-value", TEST, "grade below 3"),
    (
        replace(DOUBTFUL, value_of_test=0.0, p_positive=0.60),
        "extend-in-steps",
        EXTEND,
        "the bound of steps is included",
    ),
    (replace(DOUBTFUL, grade=2, value_of_test=0.0), "extend-in-steps", EXTEND, "so likely that no test would pay"),
    (replace(DOUBTFUL, grade=1, value_of_test=0.0), "not-worth-testing", STOP, "steps take a comparison at least"),
    (replace(DOUBTFUL, transfer="D"), "test-value", TEST, "transfer below C"),
    (replace(DOUBTFUL, p_positive=0.5999), "test-value", TEST, "P below 0.75"),
    (replace(DOUBTFUL, p_harm=0.1001), "test-value", TEST, "P(harm) above 0.10"),
    (replace(DOUBTFUL, net=0.0), "test-value", TEST, "no expected net benefit"),
    (replace(DOUBTFUL, value_of_test=0.0), "extend-in-steps", EXTEND, "good enough, and nothing to learn beside"),
    (replace(DOUBTFUL, value_of_test=None), "extend-in-steps", EXTEND, "nobody computed the value of a test"),
    (
        replace(DOUBTFUL, value_of_test=0.0, p_positive=0.59),
        "not-worth-testing",
        STOP,
        "too doubtful, nothing to learn",
    ),
    (
        replace(DOUBTFUL, value_of_test=None, p_positive=0.59),
        "test-estimate",
        TEST,
        "nobody computed the value of a test",
    ),
    (replace(DOUBTFUL, grade=2, p_positive=0.95), "test-value", TEST, "weak evidence is a reason to test whatever P"),
    (POOR, "stop-value", STOP, "P(net benefit) at 0.10, nothing to learn"),
    (replace(POOR, p_positive=0.1001), "not-worth-testing", STOP, "just above the bound: the last rule"),
    (replace(POOR, value_of_test=0.01), "not-worth-testing", STOP, "0.10 itself is not in doubt"),
    (replace(POOR, value_of_test=0.01, p_positive=0.11), "test-value", TEST, "in doubt, and a test pays"),
    (replace(POOR, grade=2), "not-worth-testing", STOP, "grade below 3, no test worth its cost"),
    (replace(POOR, p_positive=0.5, p_harm=0.80), "stop-harm", STOP, "P(harm) at 0.80"),
    (replace(POOR, p_positive=0.5, p_harm=0.7999), "not-worth-testing", STOP, "P(harm) below 0.80"),
    (replace(POOR, p_harm=0.9, cost_known=False), "stop-harm", STOP, "harm binds before a missing cost"),
    (replace(POOR, p_harm=0.9, harmful=True, value_of_test=None), "harm", REVISE, "harm, nobody computed a test"),
    (DEAR, "revise-cost", REVISE, "useful and too dear"),
    (replace(DEAR, p_useful=0.7999), "not-worth-testing", STOP, "not clearly useful"),
    (replace(DEAR, p_positive=0.50), "not-worth-testing", STOP, "as likely as not to be worth it"),
    (replace(POOR, take_up=0.4999, p_positive=0.5), "revise-delivery", REVISE, "less than half come"),
    (replace(POOR, take_up=0.50, p_positive=0.5), "not-worth-testing", STOP, "half come"),
    (replace(POOR, fidelity=0.6999, p_positive=0.5), "revise-delivery", REVISE, "less than 70 % is done"),
    (replace(BEST, p_positive=None), "test-estimate", TEST, "a missing link of the chain"),
]


@pytest.mark.parametrize(("situation", "rule", "decision", "because"), BY_NUMBERS, ids=[row[-1] for row in BY_NUMBERS])
def test_every_bound_holds_where_it_stands(
    situation: Situation, rule: str, decision: str, because: str, policy: Selection
) -> None:
    bound = binding(situation, rules(policy))
    assert (bound.name, bound.verdict) == (rule, decision)


def test_every_rule_and_every_verdict_is_reached_by_the_tables(policy: Selection) -> None:
    assert {row[2] for row in RULES} | {row[1] for row in BY_NUMBERS} == {rule.name for rule in rules(policy)}
    assert {row[3] for row in RULES} | {row[2] for row in BY_NUMBERS} == set(VERDICTS)


def test_without_numbers_nothing_more_than_a_test_is_recommended() -> None:
    assert {row[3] for row in RULES} == {TEST, LACKING, REVISE}


def test_a_ruling_names_the_rules_that_nearly_bound(policy: Selection) -> None:
    found = ruling(replace(BEST, cost_sites=1), rules(policy))
    assert found.verdict == EXTEND
    assert found.to_scale == ("cost_sites",)
    assert ("scale", "cost_sites") in found.near
    assert "test-estimate" not in dict(found.near)  # a link that is not known is no near miss
    assert ruling(BEST, rules(policy)).to_scale == ()


@pytest.mark.parametrize(
    ("direction", "better", "expected"),
    [
        ("positive", "higher", "favourable"),
        ("negative", "higher", "unfavourable"),
        ("positive", "lower", "unfavourable"),
        ("negative", "lower", "favourable"),
        ("none", "higher", "none"),
        ("none", None, "none"),
        ("positive", None, "undefined"),
        (None, "higher", "undefined"),
    ],
)
def test_a_direction_becomes_good_or_bad_only_by_what_people_want(
    direction: str | None, better: str | None, expected: str
) -> None:
    assert favour(direction, better) == expected


@pytest.mark.parametrize(
    ("decided", "months", "expected"),
    [
        (date(2026, 11, 22), 12, date(2027, 11, 22)),
        (date(2026, 11, 22), 2, date(2027, 1, 22)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),  # February has no 31st
        (date(2027, 8, 31), 6, date(2028, 2, 29)),  # 2028 is a leap year
        (date(2026, 12, 1), 12, date(2027, 12, 1)),
    ],
)
def test_the_review_falls_on_the_same_day_or_the_last_of_the_month(decided: date, months: int, expected: date) -> None:
    assert review_date(decided, months) == expected


# on the portfolio ----------------------------------------------------------------------------------------------------


class _Grade:
    def __init__(self, value: int) -> None:
        self.value = value


def _decide(portfolio: Portfolio, records: Any, policy: Selection | None, grade: int = 3) -> dict[str, Decision]:
    grades = {record.id: _Grade(grade) for record in records}
    found = decisions.decide(portfolio, records, grades, coverage(portfolio), policy)
    return {decision.innovation: decision for decision in found.decisions}


@pytest.fixture(scope="module")
def decided(portfolio: Portfolio, records: tuple[Record, ...], policy: Selection) -> dict[str, Decision]:
    return _decide(portfolio, records, policy)


@pytest.mark.parametrize(
    ("innovation", "rule"),
    [
        ("wimoov", "no-comparison"),  # 46 % back in work, without comparison
        ("ten-thousand-licences", "test-sign"),
        ("tous-en-stage", "no-comparison"),  # the draw was unbalanced: only a sign, by matching
        ("nickel", "no-finding"),
        ("year-up", "test-estimate"),
        ("avenir-pro", "test-estimate"),
        ("adie-microcredit", "no-comparison"),  # social return and a raw comparison
        ("creajeunes", "sign-harm"),
        ("anonymous-cv", "harm"),
        ("cve", "no-cost"),
        ("garantie-jeunes", "no-cost"),  # an allowance per month is not a cost per person
        ("job-placement-graduates", "no-comparison"),  # a number recalled from memory was not read
        ("pathways-to-education", "no-comparison"),  # a raw change
        ("mes-aides", "sign-not-favourable"),
        ("zrr", "no-comparison"),  # a sign by discontinuity is not on the sign path
        ("rsa-letter", "no-cost"),  # a subgroup, and nothing else was read
    ],
)
def test_decisions_on_known_innovations(decided: dict[str, Decision], innovation: str, rule: str) -> None:
    assert decided[innovation].rule == rule


def test_only_innovations_to_decide_on_are_decided(decided: dict[str, Decision], portfolio: Portfolio) -> None:
    assert list(decided) == [innovation.id for innovation in portfolio.decision_innovations]
    assert "supported-work" not in decided


def test_every_decision_carries_its_reason_its_owner_and_its_dates(
    decided: dict[str, Decision], policy: Selection
) -> None:
    for decision in decided.values():
        assert decision.reason_fr.endswith(".")
        assert decision.reason_en.endswith(".")
        assert len(decision.would_change_fr) == len(decision.would_change_en) > 0
        assert (decision.owner, decision.date, decision.review_date) == (policy.owner, "2026-11-22", "2027-11-22")
        fr = {TEST: "EXPÉRIMENTER", LACKING: "DONNÉES INSUFFISANTES", REVISE: "REVOIR"}
        en = {TEST: "TEST", LACKING: "INSUFFICIENT DATA", REVISE: "REVISE"}
        assert (decision.label_fr, decision.label_en) == (fr[decision.decision], en[decision.decision])
        assert decision.scope_fr == "Cette décision porte sur un programme, jamais sur une personne."
        assert decision.best_record is None or decision.best_record in decision.findings


def test_what_would_change_a_decision_names_what_is_missing(decided: dict[str, Decision]) -> None:
    assert decided["cve"].would_change_fr == ("Le coût par personne accompagnée.",)
    assert decided["wimoov"].would_change_fr == (
        "Une évaluation avec un groupe de comparaison, au mieux par tirage au sort.",
    )
    assert (
        decided["tous-en-stage"].would_change_fr[0].startswith("Le résultat de l'étude\u00a0: Duguet, L'Horty, Petit")
    )
    assert any("cité de mémoire" in line for line in decided["job-placement-graduates"].would_change_fr)
    assert "Un programme précis à tester." in decided["financial-education"].would_change_fr
    assert "The cost per person supported." in decided["nickel"].would_change_en


def test_supplying_the_missing_cost_changes_the_decision(
    portfolio: Portfolio, records: tuple[Record, ...], policy: Selection
) -> None:
    cost = COST.model_copy(update={"id": "cve-cost", "innovation": "cve"})
    supplied = replace(portfolio, costs=(*portfolio.costs, cost))
    decision = _decide(supplied, records, policy)["cve"]
    assert (decision.decision, decision.rule) == (TEST, "test-estimate")
    assert (decision.cost_per_participant, decision.cost_currency) == (500, "EUR")


def test_a_caution_of_the_finding_shown_stands_in_the_reason(decided: dict[str, Decision]) -> None:
    assert "le programme est lui-même un emploi" in decided["tzcld"].reason_fr
    assert "the programme is itself a job" in decided["tzcld"].reason_en


def test_a_programme_from_abroad_is_said_to_need_adapting(decided: dict[str, Decision]) -> None:
    assert decided["fafsa-help"].reason_fr.endswith("il faudrait d'abord l'adapter.")
    assert "adapt" not in decided["ten-thousand-licences"].reason_fr


def test_effects_that_conflict_are_said_to_be_mixed(decided: dict[str, Decision]) -> None:
    assert "défavorable pour d'autres" in decided["year-up"].reason_fr  # -5,338 in year 0, +7,011 in year 2
    assert "non détecté pour d'autres" in decided["job-corps"].reason_fr  # year 3 and year 20
    assert "ne se distingue pas de zéro" in decided["avenir-pro"].reason_fr  # subgroups do not make it a gain


def test_french_sentences_use_non_breaking_spaces(decided: dict[str, Decision]) -> None:
    for decision in decided.values():
        for text in (decision.reason_fr, *decision.would_change_fr):
            assert " :" not in text, text
            assert " ;" not in text, text


def test_a_higher_harm_grade_lets_weaker_harm_be_tested(
    portfolio: Portfolio, records: tuple[Record, ...], policy: Selection
) -> None:
    tolerant = policy.model_copy(update={"harm_grade": 4})
    assert _decide(portfolio, records, tolerant)["anonymous-cv"].rule == "no-cost"


def test_decisions_do_not_depend_on_the_order_of_records(
    portfolio: Portfolio, records: tuple[Record, ...], policy: Selection, decided: dict[str, Decision]
) -> None:
    assert _decide(portfolio, records[::-1], policy) == decided


def test_a_missing_policy_is_refused(portfolio: Portfolio, records: tuple[Record, ...]) -> None:
    with pytest.raises(ParametersError) as caught:
        _decide(portfolio, records, None)
    assert caught.value.code == "E-SEL-001"


def test_a_record_without_a_grade_is_refused(
    portfolio: Portfolio, records: tuple[Record, ...], policy: Selection
) -> None:
    with pytest.raises(StaleError) as caught:
        decisions.decide(portfolio, records, {}, coverage(portfolio), policy)
    assert caught.value.code == "E-SEL-002"


@pytest.mark.parametrize("key", ["comparison_designs", "sign_path_designs"])
def test_a_class_of_design_that_cannot_serve_is_refused(
    portfolio: Portfolio, records: tuple[Record, ...], policy: Selection, key: str
) -> None:
    with pytest.raises(ParametersError) as caught:
        _decide(portfolio, records, policy.model_copy(update={key: ("randomized",)}))
    assert caught.value.code == "E-SEL-003"
    assert "randomised" in caught.value.fix


def test_decisions_json_is_written_from_grades_json(
    project: Project, records: tuple[Record, ...], policy: Selection
) -> None:
    project()
    grades = {record.id: {"value": 3} for record in records}
    portfolio = read_portfolio()
    found = decisions.decide(portfolio, records, grades, coverage(portfolio), policy)
    rows = store.read_json(decisions.write(found))
    assert rows[0]["innovation"] == "wimoov"
    assert rows[0]["decision"] == LACKING
    assert set(rows[0]) >= {"reason_fr", "would_change_fr", "best_grade", "findings", "cost_per_participant"}
