"""Letters of transfer by the table of the rule, sites left out by hand, and what the other rooms read of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from evaluation import store
from evaluation.errors import InternalError, ParametersError, StaleError
from evaluation.evidence import grading, left_out, portfolio_synthesis, published, record, rubric, transfer
from evaluation.impact.inference.studies import prediction_interval
from evaluation.selection import options
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio
from evaluation.settings.transfer import TransferPolicy


@pytest.fixture(scope="module")
def policy(repository):
    return transfer.policy_of(read_params(repository).transfer)


@pytest.fixture(scope="module")
def portfolio(repository):
    return read_portfolio(repository)


@pytest.fixture(scope="module")
def letters(portfolio, policy):
    """Letters of the shipped findings."""
    found = transfer.assess_all(published.from_portfolio(portfolio), portfolio, policy)
    return {(each.finding, each.territory): each for each in found}


def finding(*, country="France", kind="urban", year=2020, carried=None):
    return record.parse(
        {
            "id": "one",
            "role": "decision",
            "innovation": "a-programme",
            "kind": "effect",
            "method": "experiment",
            "design_class": "randomised",
            "source": {
                "kind": "published",
                "citation": "Author",
                "address": "https://example.org",
                "country": country,
                "year": year,
            },
            "plan": "exploratory",
            "outcome": {"name": "score", "unit": "SD", "better": "higher"},
            "territory_kind": kind,
            "headline": {"estimate": 0.1, "std_error": 0.05},
            "sample": {},
            "checks": [],
            "transfer": carried,
            "provenance": {"public": True},
        }
    )


def programme(*, in_france=True, family=False, operator="Somebody"):
    return SimpleNamespace(id="a-programme", in_france=in_france, family=family, operator=operator)


TOWN, COUNTRY = SimpleNamespace(id="town", kind="urban"), SimpleNamespace(id="village", kind="rural")

RULE = [
    # finding                                  programme              territory  sum of costs               letter
    ({}, {}, TOWN, 1.0, "B"),  # only the people are unknown: 1
    ({}, {}, COUNTRY, 2.0, "C"),  # 1 + another setting 1
    ({"kind": "mixed"}, {}, COUNTRY, 1.5, "B"),  # 1 + ½, rounded down
    ({"kind": "mixed", "year": 2010}, {}, TOWN, 2.0, "C"),  # 1 + ½ + 16 years ½
    ({"year": 2016}, {}, TOWN, 1.0, "B"),  # ten years are recent
    ({"year": 2006}, {}, TOWN, 1.5, "B"),  # twenty years are old, but not of another time
    ({"year": 2005}, {}, TOWN, 2.0, "C"),
    ({}, {"operator": None}, TOWN, 1.5, "B"),
    ({}, {"family": True}, COUNTRY, 2.5, "C"),
    ({"country": "USA"}, {"in_france": False}, TOWN, 4.0, "D"),  # 2 + 1 + 1
    ({"country": "Canada"}, {}, TOWN, 3.5, "D"),  # 2 + 1 + ½
    ({"country": "World", "kind": "mixed"}, {"family": True}, TOWN, 2.5, "C"),  # ½ + ½ + 1 + ½
    ({"country": "7 countries", "kind": "rural"}, {"in_france": False}, TOWN, 3.5, "D"),
    ({"country": None, "year": None, "kind": "not_stated"}, {}, TOWN, 3.0, "D"),  # ½ + ½ + ½ + 1 + ½ (tried elsewhere)
]


@pytest.mark.parametrize(("study", "known", "place", "cost", "expected"), RULE)
def test_the_rule_is_a_table(policy, study, known, place, cost, expected):
    found = transfer.assess(finding(**study), programme(**known), place, policy)
    assert sum(domain.cost for domain in found.domains) == cost
    assert found.letter == expected
    assert [domain.domain for domain in found.domains] == ["country", "setting", "people", "programme", "time"]


MEASURED = [
    # index  coverage  largest difference  letter
    (0.90, 0.95, 0.25, "A"),
    (0.90, 0.95, 0.26, "B"),
    (0.89, 1.00, 0.10, "B"),
    (0.90, 0.94, 0.10, "B"),
    (0.80, 0.89, 0.10, "C"),
    (0.79, 1.00, 0.10, "C"),
    (0.50, 0.80, 3.00, "C"),
    (0.49, 1.00, 0.10, "D"),
    (0.95, 0.79, 0.10, "D"),  # more than 20 of 100 people have nobody like them in the study
]


@pytest.mark.parametrize(("index", "coverage", "difference", "expected"), MEASURED)
def test_measured_people_have_the_bounds_of_the_reference(policy, index, coverage, difference, expected):
    assert transfer.people_letter(index, coverage, difference, policy) == expected
    carried = {
        "source": "there",
        "target": "town",
        "moderators": "age",
        "rows_source": 100,
        "rows_target": 100,
        "index": index,
        "coverage": coverage,
        "largest_difference": difference,
    }
    assert transfer.assess(finding(carried=carried), programme(), TOWN, policy).letter == expected
    # micro-data of another place say nothing here: people are unknown again
    elsewhere = transfer.assess(finding(carried=carried), programme(), COUNTRY, policy)
    assert (elsewhere.letter, elsewhere.index) == ("C", None)


def test_more_alike_never_gives_a_worse_letter(policy):
    states = ("same", "partly", "different")
    for name in states:
        costs = [transfer.COSTS[state] for state in states[states.index(name) :]]
        assert costs == sorted(costs)
    falling = [transfer.people_letter(index, 1.0, 0.0, policy) for index in np.linspace(0, 1, 101)]
    assert falling == sorted(falling, reverse=True)


def test_only_people_that_were_compared_give_an_a(letters):
    assert len(letters) > 200  # two territories
    assert {each.letter for each in letters.values()} == {"B", "C", "D"}
    assert all(each.domains[2].state == "unknown" for each in letters.values())


def test_shipped_letters(letters):
    told = {key: each.letter for key, each in letters.items()}
    # French, urban, 2014, operator known: people 1 + age ½ in town, another setting 1 more in the country
    assert told["mallette-3e-dropout", "creil-sud-oise"] == "B"
    assert told["mallette-3e-dropout", "thierache-du-centre"] == "C"
    # a rural tool: the other way round
    assert told["zrr-employment-establishments", "thierache-du-centre"] == "B"
    assert told["zrr-employment-establishments", "creil-sud-oise"] == "C"
    assert told["bicycles-bihar-enrolment", "thierache-du-centre"] == "D"
    # a take-up rate is no effect that could hold elsewhere
    assert ("rendez-vous-droits-attended", "creil-sud-oise") not in told


# sites left out -------------------------------------------------------------------------------------------------------


def _site(number, estimate, *, kind="published"):
    source = {"kind": kind, "citation": "A", "address": "https://example.org", "sample_group": f"site-{number}"}
    raw = finding().as_dict()
    headline = {"estimate": estimate, "std_error": 1.0}
    return record.parse({**raw, "id": f"site-{number}", "source": source, "headline": headline})


def test_a_site_left_out_by_hand(repository):
    # Others 1, 2, 3, 4 with standard error 1: mean 2.5, s² = 5/3, τ² = s² - 1 = 2/3 (REML, equal errors),
    # Hartung-Knapp SE² = s²/4 = 5/12, df 2, t = 4.302653: 2.5 ± 4.302653 √(2/3 + 5/12 + 1) = 2.5 ± 6.2103.
    settings = portfolio_synthesis.settings_of(read_params(repository))
    records = [_site(number, estimate) for number, estimate in enumerate([10.0, 1, 2, 3, 4])]
    (found,) = left_out.left_out_sites(records, dict.fromkeys((each.id for each in records), 4), settings)
    first = found["sites"][0]
    assert first["predicted"] == pytest.approx(2.5, abs=1e-9)
    half = 4.302652729749464 * np.sqrt(2 / 3 + 5 / 12 + 1)
    assert (first["low"], first["high"]) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-6)  # REML ends at 1e-8
    assert not first["inside"]
    # without site 1: 10, 2, 3, 4, so far apart that the interval holds 1
    assert found["inside"] == 4
    four = records[:4]
    assert left_out.left_out_sites(four, dict.fromkeys((each.id for each in four), 4), settings) == ()


def test_seven_trials_of_microcredit_predict_each_other(portfolio, repository):
    records = published.from_portfolio(portfolio)
    grades = {name: grade.value for name, grade in grading.grade_all(records, rubric.read(repository)).items()}
    settings = portfolio_synthesis.settings_of(read_params(repository))
    (found,) = left_out.left_out_sites(records, grades, settings)
    assert (found["innovation"], len(found["sites"]), found["inside"]) == ("microcredit-expansion", 7, 7)
    mexico = next(row for row in found["sites"] if row["id"] == "microcredit-profit-mexico")
    # Without Mexico REML finds nothing between the six others (Q = 7.36 on 5 df), so that the mean is the one by
    # precision: y of Mongolia, Bosnia, India, Morocco, Philippines, Ethiopia over their squared errors.
    y = np.array([-0.133, 0.1142, 0.0378, 0.0461, 0.1095, 0.1049])
    precision = np.array([0.0782, 0.06, 0.0265, 0.03, 0.0913, 0.1117]) ** -2.0
    assert mexico["predicted"] == pytest.approx(precision @ y / precision.sum(), rel=1e-9)
    assert mexico["low"] < -0.0264 < mexico["high"]


def test_the_interval_comes_from_inference():
    import pandas as pd

    row = pd.Series({"estimate": 1.0, "std_error": 3.0})
    assert prediction_interval(row, 16.0, df=1e9, level=0.95) == pytest.approx((1 - 1.959964 * 5, 1 + 1.959964 * 5))


# who reads them -------------------------------------------------------------------------------------------------------


def test_a_decision_takes_the_letter_of_the_finding_that_carries_it():
    def case(name, shown, use):
        return SimpleNamespace(innovation=SimpleNamespace(id=name), shown=SimpleNamespace(id=shown, use=use))

    cases = [case("a", "best-a", "estimate"), case("b", "claim-b", "none")]
    letters = {("best-a", "town"): "B", ("other-a", "town"): "A", ("claim-b", "town"): "B"}
    assert options.carried(cases, letters) == {("a", "town"): "B"}


def test_the_file_holds_each_pair_once_and_is_read_back(letters, tmp_path, monkeypatch):
    for marker in store.MARKERS:
        (tmp_path / marker).write_text("")
    monkeypatch.setenv("EVALUATION_ROOT", str(tmp_path))
    some = list(letters.values())[:3]
    transfer.write(some, [])
    assert transfer.read() == {(each.finding, each.territory): each.letter for each in some}
    with pytest.raises(InternalError, match="E-EVI-112"):
        transfer.write([*some, some[0]], [])
    store.write_json(tmp_path / "data" / "evidence" / transfer.FILE, {"old": []})
    with pytest.raises(StaleError, match="E-EVI-113"):
        transfer.read()


def test_the_section_must_be_there_and_bounds_must_fall(policy):
    with pytest.raises(ParametersError, match="E-EVI-111"):
        transfer.policy_of(None)
    fields = policy.model_dump() | {"index": {"A": 0.8, "B": 0.9, "C": 0.5}}
    with pytest.raises(ValueError, match="E-EVI-110"):
        TransferPolicy.model_validate(fields)
