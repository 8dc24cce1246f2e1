"""The best next study: closed forms by hand, break-even values, ranks, and what is written for each territory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.diffusion.coverage import coverage
from evaluation.evidence import grading, published, rubric
from evaluation.selection import decisions
from evaluation.selection.agenda import Stake, ranks, worth
from evaluation.selection.decisions import Decided
from evaluation.settings.learning import Learning
from evaluation.settings.params import read_params
from evaluation.settings.policy import Selection
from evaluation.settings.policy import Worth as Valued
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
# One size, no delay: the closed forms alone. 100 people give a standard error of 2 / sqrt(100) = 0.2.
PLAIN = Learning(
    fixed_cost=1000.0, cost_per_person=10.0, sizes=(100,), detectable=1.0, months=1e-9, horizon_years=10.0, served=0.5
)
WORTH = Valued(low="net-public-cost-of-a-tzcld-job-low", high="net-public-cost-of-a-tzcld-job-high", to="people")
STAKE = Stake(mean=0.06, sd=0.10, smallest=0.05, basis="prior", grade=0, people=2000.0, served=1000.0)


def test_the_value_of_information_of_the_reference_note() -> None:
    """Mean 20 and sd 100 euros, a study with a standard error of 50: EVPI 30.7, EVSI 26.6 (evidence note, B1.7).
    One standard deviation is worth 1,000 euros here: m = 0.02, sd = 0.1, and 2 / sqrt(n) = 0.05 takes 1,600 people."""
    policy = PLAIN.model_copy(update={"sizes": (1600,)})
    stake = replace(STAKE, mean=0.02, sd=0.100, smallest=0.0, euros=1000.0, net=20.0)
    found = worth(stake, policy)
    assert found.evpi * 1000 == pytest.approx(30.7, abs=0.05)
    assert found.evsi is not None
    assert found.evsi * 1000 == pytest.approx(26.6, abs=0.05)


def test_the_break_even_value_makes_the_study_worth_its_cost_exactly() -> None:
    found = worth(STAKE, PLAIN)
    assert found.study is not None
    assert found.study.cost == 2000.0
    assert found.gain is not None
    assert found.break_even == pytest.approx(2000.0 / found.gain)
    assert found.break_even_each == pytest.approx(2000.0 / (1000.0 * found.gain))
    priced = worth(replace(STAKE, euros=found.break_even_each, net=0.01 * (found.break_even_each or 0)), PLAIN)
    assert priced.value == pytest.approx(0.0, abs=1e-6)


def test_the_value_of_a_study_equals_a_simulation() -> None:
    """Draw the truth and a study, decide on the posterior mean: 400,000 draws put the mean within 5 standard errors."""
    rng = np.random.default_rng(1)
    policy = PLAIN.model_copy(update={"months": 24.0})  # a delay of 0.2
    found = worth(replace(STAKE, mean=0.10), policy)
    truth = 0.05 + 0.10 * rng.standard_normal(400_000)  # mean 0.10 above the smallest 0.05
    study = truth + 0.2 * rng.standard_normal(400_000)
    weight = 0.10**2 / (0.10**2 + 0.2**2)
    after = np.maximum(0.05 + weight * (study - 0.05), 0)  # E[truth | study] where funded
    funded = np.where(after > 0, truth, 0.0)
    value = 0.8 * funded.mean() - 0.05
    assert found.gain == (None if value <= 0 else pytest.approx(value, abs=5 * 0.1 / np.sqrt(400_000)))
    assert worth(STAKE, PLAIN).gain == pytest.approx(
        _simulated(rng, mean=0.01, sd=0.10, error=0.2), abs=5 * 0.1 / np.sqrt(400_000)
    )


def _simulated(rng: Any, *, mean: float, sd: float, error: float) -> float:
    truth = mean + sd * rng.standard_normal(400_000)
    study = truth + error * rng.standard_normal(400_000)
    expected = mean + sd**2 / (sd**2 + error**2) * (study - mean)
    return float(np.where(expected > 0, truth, 0.0).mean() - max(mean, 0.0))


def test_a_study_that_cannot_find_the_effect_is_not_offered() -> None:
    """At 80 % power 100 people find 2.8 x 0.2 = 0.56 standard deviations; 1,600 find 0.14."""
    policy = PLAIN.model_copy(update={"sizes": (100, 1600), "detectable": 0.20})
    found = worth(STAKE, policy)
    assert found.study is not None
    assert found.study.n == 1600
    assert found.study.detectable == pytest.approx(2.80 * 0.05, abs=0.001)
    assert worth(replace(STAKE, people=1000.0), policy).study is None


def test_what_is_known_needs_no_study() -> None:
    sure = worth(replace(STAKE, sd=0.0), PLAIN)
    assert (sure.evpi, sure.study, sure.break_even) == (0.0, None, None)
    assert worth(replace(STAKE, mean=0.50), PLAIN.model_copy(update={"months": 24.0})).study is None


def test_nobody_counted_still_says_what_all_together_must_be_worth() -> None:
    found = worth(replace(STAKE, people=None, served=None), PLAIN)
    assert found.break_even == worth(STAKE, PLAIN).break_even
    assert (found.break_even_each, found.people, found.value) == (None, None, None)


def test_a_dearer_or_later_study_is_worth_less() -> None:
    plain = worth(STAKE, PLAIN)
    dearer = worth(STAKE, PLAIN.model_copy(update={"fixed_cost": 5000.0}))
    later = worth(STAKE, PLAIN.model_copy(update={"months": 12.0}))
    assert (dearer.break_even or 0) > (plain.break_even or 0)
    assert (later.break_even or np.inf) > (plain.break_even or 0)


def test_ranks_put_euros_first_then_people_then_the_uncounted_and_share_places() -> None:
    priced = worth(replace(STAKE, euros=1e6, net=1e4), PLAIN)
    counted, uncounted = worth(STAKE, PLAIN), worth(replace(STAKE, people=None, served=None), PLAIN)
    nothing = worth(replace(STAKE, sd=0.0), PLAIN)
    rows = [("d", nothing), ("c", uncounted), ("b2", counted), ("b1", counted), ("a", priced)]
    assert ranks(rows) == {"a": 1, "b1": 2, "b2": 2, "c": 4}


# the real portfolio --------------------------------------------------------------------------------------------------


def quick(policy: Selection) -> Selection:
    """Fewer draws: nothing here depends on the Monte Carlo."""
    return policy.model_copy(update={"valuing": policy.valuing.model_copy(update={"draws": 200})})


def decide(portfolio: Portfolio, policy: Selection, **more: Any) -> Decided:
    params = read_params(ROOT)
    records = published.from_portfolio(portfolio)
    grades = grading.grade_all(records, rubric.read(ROOT))
    return decisions.decide(
        portfolio, records, grades, coverage(portfolio), quick(policy), synthesis=params.synthesis, seed=1, **more
    )


@pytest.fixture(scope="module")
def policy() -> Selection:
    found = read_params(ROOT).selection
    assert found is not None
    return found


@pytest.fixture(scope="module")
def decided(policy: Selection) -> Decided:
    return decide(read_portfolio(ROOT), policy)


def test_every_territory_has_a_learning_agenda(decided: Decided) -> None:
    for territory in ("creil-sud-oise", "thierache-du-centre"):
        rows = [row for row in decided.local if row.territory == territory]
        assert all(row.learning is not None for row in rows)
        placed = sorted(row.learning["rank"] for row in rows if row.learning and row.learning["rank"])
        assert placed[0] == 1
        assert len(placed) >= 60


def test_no_outcome_has_a_value_so_no_study_has_one_in_euros(decided: Decided) -> None:
    assert {row.learning["value"] for row in decided.local if row.learning} == {None}


def test_the_place_of_the_study_has_nothing_to_learn(decided: Decided) -> None:
    assert {row.learning for row in decided.local if row.territory == "study"} == {None}


def test_where_nothing_carries_the_prior_is_believed(decided: Decided) -> None:
    rows = [row for row in decided.local if row.learning and row.transfer is None]
    assert {row.learning["basis"] for row in rows if row.learning} == {"prior"}


def test_with_every_link_known_the_study_has_a_value_that_the_rules_read(policy: Selection) -> None:
    """Avenir Pro alone, with a value, a letter and people; its cost was read."""
    portfolio = read_portfolio(ROOT)
    only = tuple(row for row in portfolio.innovations if row.id == "avenir-pro")
    names = [row.id for row in portfolio.findings if row.innovation == "avenir-pro"]
    findings = tuple(row for row in portfolio.findings if row.innovation == "avenir-pro")
    values = dict.fromkeys(names, WORTH)
    supplied = policy.model_copy(update={"valuing": policy.valuing.model_copy(update={"values": values})})
    needs = tuple(
        need.model_copy(update={"difficulty": "long-term-unemployment", "id": f"{need.id}-x"})
        for need in portfolio.needs
        if need.synthetic and need.difficulty == "mobility"
    )
    alone = replace(portfolio, innovations=only, findings=findings, needs=needs, reach=())
    row = decide(alone, supplied, transfers={("avenir-pro", "creil-sud-oise"): "B"}).local[0]
    assert (row.territory, row.value["missing"]) == ("creil-sud-oise", ())
    learning = row.learning
    assert learning is not None
    assert learning["basis"] == "records"
    assert learning["people"] == pytest.approx(0.10 * 17_400, rel=0.2)
    assert (learning["value"] is None) is (learning["study"] is None)
