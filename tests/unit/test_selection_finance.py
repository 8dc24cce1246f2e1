"""The finance map and staged funding: every fact with its source or its mark, one open tranche at most."""

from pathlib import Path
from typing import Any, get_args

import pytest

from evaluation.errors import ProblemsError
from evaluation.selection.finance import plan
from evaluation.selection.rules import VERDICTS, Verdict, rules
from evaluation.settings.finance import Finance, read_finance
from evaluation.settings.learning import TRANCHES
from evaluation.settings.params import read_params

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finance() -> Finance:
    return read_finance(ROOT)


def test_every_instrument_has_an_address_or_says_that_it_is_recalled(finance: Finance) -> None:
    for row in finance.instruments:
        assert row.source_address or row.confidence == "recalled"
        assert all(ticket.low is None and ticket.high is None for ticket in row.pays if ticket.confidence == "recalled")


def test_the_tax_rule_of_giving_is_marked_as_recalled(finance: Finance) -> None:
    giving = next(row for row in finance.instruments if row.id == "mecenat")
    assert giving.rule_confidence == "recalled"
    assert "238 bis" in giving.rule_fr


def test_amounts_are_those_of_the_reference_note(finance: Finance) -> None:
    """evidence note, A1: FID preparation 50 k, pilot 200 k, test 200 k to 1.5 M, transition 1.5 to 4 M, policy 150 k;
    La France s'engage 300 k; contracts of 450 k and 1.5 M."""
    tickets = {row.id: [(each.low, each.high) for each in row.pays] for row in finance.instruments}
    assert tickets["fid"] == [(None, 50e3), (None, 200e3), (200e3, 1.5e6), (1.5e6, 4e6), (None, 150e3)]
    assert tickets["la-france-s-engage"] == [(None, 300e3)]
    assert tickets["contrat-a-impact"] == [(450e3, 450e3), (1.5e6, 1.5e6)]


def test_what_would_not_pay_here_is_never_named_as_a_payer(finance: Finance) -> None:
    assert all("fid" not in [row.id for row in finance.paying(tranche)] for tranche in TRANCHES)
    assert all(finance.paying(tranche) for tranche in TRANCHES)


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        ("EXPERIMENTER", ["open", "next", "later"]),
        ("ETENDRE_SOUS_EVALUATION", ["past", "open", "next"]),
        ("GENERALISER", ["past", "past", "open"]),
        ("REVOIR", ["next", "later", "later"]),
        ("DONNEES_INSUFFISANTES", ["next", "later", "later"]),
        ("NE_PAS_RETENIR", ["closed", "closed", "closed"]),
    ],
)
def test_a_decision_opens_one_tranche_at_most(decision: Verdict, status: list[str], finance: Finance) -> None:
    made = plan("x", decision, {"transition": ("grade",), "scale": ("grade", "cost_sites")}, "2027-01-01", finance)
    assert [stage.status for stage in made.stages] == status
    assert (made.opened is not None) == ("open" in status)
    assert [stage.instruments == () for stage in made.stages] == [each == "closed" for each in status]


def test_every_verdict_has_tranches(finance: Finance) -> None:
    assert set(VERDICTS) == set(get_args(Verdict))
    for verdict in VERDICTS:
        assert len(plan("x", verdict, {}, "2027-01-01", finance).stages) == len(TRANCHES)


def test_the_next_tranche_waits_for_the_conditions_of_its_rule(finance: Finance) -> None:
    made = plan("x", "EXPERIMENTER", {"transition": ("grade",), "scale": ("cost_sites",)}, "2027-01-01", finance)
    assert [stage.missing for stage in made.stages] == [(), ("grade",), ("cost_sites",)]


def test_stopping_rules_are_rules_of_selection(finance: Finance) -> None:
    policy = read_params(ROOT).selection
    assert policy is not None
    known = {rule.name for rule in rules(policy)}
    made = plan("x", "EXPERIMENTER", {}, "2027-01-01", finance)
    assert all(set(stage.stops) <= known and stage.stops for stage in made.stages)


GOOD = """instruments:
  - id: a
    label_fr: A
    label_en: A
    kind: state
    here: "yes"
    pays:
      - {tranche: test, low: 1, high: 2, what_fr: x, what_en: x, confidence: seen}
    source_address: "https://example.org/a"
    confidence: seen
"""


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("low: 1, high: 2", "low: 3, high: 2", "E-SET-320"),
        ("low: 1, high: 2", "low: -1, high: 2", "E-SET-016"),
        ('    source_address: "https://example.org/a"\n', "", "E-SET-321"),
        ("    confidence: seen\n", "    confidence: seen\n    rule_fr: une règle\n", "E-SET-322"),
        ("tranche: test", "tranche: tests", "E-SET-015"),
        ("kind: state", "kind: lottery", "E-SET-015"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, code: str, project: Any) -> None:
    root = project()
    assert old in GOOD
    (root / "data" / "portfolio" / "finance.yaml").write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_finance()
    assert code in [problem.code for problem in caught.value.problems]


def test_an_instrument_stands_once(project: Any) -> None:
    root = project()
    twice = GOOD + GOOD.partition("instruments:\n")[2]
    (root / "data" / "portfolio" / "finance.yaml").write_text(twice, encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_finance()
    assert [problem.code for problem in caught.value.problems] == ["E-SET-323"]
