"""Planted worlds through the code that decides: how often the label is wrong, and what the rules leave on the table.

The release run: `.venv/bin/python -m pytest -m slow tests/properties/test_selection_worlds.py -s` (5,000 portfolios a
world, a few minutes); docs/selection.md holds its table with seed and date.
"""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from evaluation.evidence.posterior import Belief, shrink_variance
from evaluation.evidence.worlds import GRID, WORLDS, Drawn, World, beliefs, by_grade, draw
from evaluation.selection import trials
from evaluation.selection.learning import (
    expected_gain,
    value_of_perfect_information,
    value_of_sample_information,
    value_of_test,
)
from evaluation.selection.rules import rules
from evaluation.selection.trials import FUND, PHASE, STOP, TEST, Course, Outcome, Study, outcome
from evaluation.settings.params import read_params

PARAMS = read_params(Path(__file__).resolve().parents[2])
assert PARAMS.selection is not None
assert PARAMS.synthesis is not None
ORDERED = rules(PARAMS.selection)
# twenty innovations are too few to make a prior from: regret is then 1.20 times that of Bayes, else 1.08
PRIOR = PARAMS.synthesis.prior.model_copy(update={"empirical_from": 100})
SEED, STUDY = 20260101, Study()

WAYS = {
    "p < 0.05": lambda drawn, news: trials.significant(drawn),
    "shrunk, without bias": lambda drawn, news: trials.shrunk_without_bias(drawn),
    "shrunk, with bias": lambda drawn, news: trials.shrunk_with_bias(drawn),
    "ours": lambda drawn, news: trials.ours(ORDERED, PRIOR)(drawn, STUDY, news),
    "Bayes": lambda drawn, news: trials.bayes(drawn, STUDY, news),
}


def planted(name: str, portfolios: int) -> tuple[Drawn, np.ndarray]:
    rng = np.random.default_rng([SEED, int(name[1])])
    drawn = draw(WORLDS[name], portfolios, rng)
    return drawn, trials.news_of(drawn, STUDY, rng)


def scored(name: str, portfolios: int, ways=WAYS) -> dict[str, Outcome]:
    drawn, news = planted(name, portfolios)
    return {way: outcome(drawn, course(drawn, news), STUDY) for way, course in ways.items()}


# pieces, by hand -----------------------------------------------------------------------------------------------------


def test_the_score_of_a_portfolio_is_arithmetic():
    # cost 0.1, net 0.2, -0.1, 0.1, 0.1, -0.2: fund the first; test, stop the second and fund the third; phase in the
    # fourth, and go on; phase in the fifth, and stop
    truth = np.array([[0.3, 0.0, 0.2, 0.2, -0.1]])
    zeros = np.zeros((1, 5))
    drawn = Drawn(
        world=World(name="five", innovations=5),
        truth=truth,
        at_scale=truth,
        estimate=truth + 0.05,
        std_error=zeros,
        bias_sd=zeros,
        true_bias_sd=zeros,
        grade=np.full((1, 5), 4),
    )
    course = Course(
        first=np.array([[FUND, TEST, TEST, PHASE, PHASE]]),
        funded=np.array([[True, False, True, True, False]]),
        label=np.array([[True, False, False, False, False]]),
    )
    # 0.2 + (0 - 0.01) + (0.9 x 0.1 - 0.01) + (0.95 x 0.1 - 0.01) + (0.05 x -0.2 - 0.01) = 0.335; could be had: 0.4
    found = outcome(drawn, course, Study(cost=0.01, delay=0.1))
    assert found.value == pytest.approx(0.335, rel=1e-12)
    assert found.regret == pytest.approx(0.1625, rel=1e-12)
    assert (found.labelled, found.false_share, found.any_label, found.tested, found.missed) == (1, 0, 1, 4, 0)
    assert found.curse == pytest.approx(0.05)


def test_the_value_of_information_is_that_of_the_reference_note():
    # B1: m = 20, sd = 100: EVPI 30.7 a person; EVSI of a study with standard error 50: 26.6 (printed to one digit)
    mean, sd = np.array(20.0), np.array(100.0)
    assert float(value_of_perfect_information(mean, sd)) == pytest.approx(30.7, abs=0.05)
    assert float(value_of_sample_information(mean, sd, 50.0)) == pytest.approx(26.6, abs=0.15)
    assert float(value_of_sample_information(mean, sd, 0.0)) == pytest.approx(30.69, abs=0.01)
    assert float(value_of_test(mean, sd, 50.0, cost=5.0, delay=0.0)) == pytest.approx(21.6, abs=0.15)
    assert expected_gain(np.array([-1.0, 2.0]), np.array([0.0, 0.0])).tolist() == [0, 2]


def test_the_rule_that_knows_the_world_agrees_with_the_closed_form_in_a_normal_world():
    """One normal part: posterior and value of a test have closed forms; the grid must choose what they choose."""
    world = World(name="normal", shares=(1.0,), means=(0.06,), sds=(0.10,))
    rng = np.random.default_rng(SEED)
    drawn = draw(world, 200, rng)
    news = trials.news_of(drawn, STUDY, rng)
    variance = drawn.std_error**2 + drawn.bias_sd**2
    before = shrink_variance(drawn.estimate, variance, Belief(mean=0.06, sd=0.10, basis="house", programmes=0))
    net = before.mean - world.cost
    test = value_of_test(net, before.sd, STUDY.std_error, cost=STUDY.cost, delay=STUDY.delay) + np.maximum(net, 0)
    values = np.stack([np.zeros_like(net), net, test, test + STUDY.delay / 2 * net])
    found = trials.bayes(drawn, STUDY, news)
    lost = values.max(axis=0) - np.take_along_axis(values, found.first[None], axis=0)[0]
    assert lost.max() < 2e-4  # a grid of 0.01 in effects of 0.1: only choices that tie may differ


def test_a_world_is_drawn_as_it_is_described():
    drawn = draw(WORLDS["W1"], 4000, np.random.default_rng(1))
    assert np.mean(drawn.truth > 0.10) == pytest.approx(0.28, abs=0.005)  # B8: 28 % worth scaling
    for grade, bias in zip((4, 3, 2), (0.0, 0.10, 0.25), strict=True):
        here = drawn.grade == grade
        noise = (drawn.estimate - drawn.truth)[here]
        expected = np.sqrt(bias**2 + drawn.std_error[here].mean() ** 2)
        assert noise.std() == pytest.approx(expected, rel=0.03)
    lying = draw(WORLDS["W6"], 2000, np.random.default_rng(1))
    assert lying.true_bias_sd.max() == 2 * lying.bias_sd.max()
    np.testing.assert_allclose(WORLDS["W1"].prior().sum(), 1)
    np.testing.assert_allclose(WORLDS["W5"].to_scale().sum(axis=1), 1)
    assert WORLDS["W5"].prior() @ WORLDS["W5"].to_scale() @ GRID == pytest.approx(0.6 * 0.045, abs=0.005)


def test_intervals_that_include_the_bias_cover_alike_at_every_grade():
    drawn, _ = planted("W1", 3000)
    covered = {row.grade: row.inclusive for row in by_grade(drawn)}
    assert list(covered) == [4, 3, 2]
    for share in covered.values():
        assert share == pytest.approx(0.95, abs=0.006)  # three Monte Carlo errors at 15,000 findings
    lying, _ = planted("W6", 3000)
    falling = {row.grade: row.inclusive for row in by_grade(lying)}
    assert falling[2] < falling[3] < falling[4]


# reference numbers of B8 ---------------------------------------------------------------------------------------------

B8 = {
    # way to select        scaled  false  harmful missed regret curse: reference note B8, 20,000 portfolios
    "p < 0.05": (4.65, 0.221, 0.020, 0.35, 0.383, 0.142),
    "est > c": (7.46, 0.380, 0.042, 0.18, 0.460, 0.120),
    "low > c": (2.74, 0.135, 0.014, 0.58, 0.510, 0.176),
    "p < 0.05, grade": (3.54, 0.156, 0.006, 0.47, 0.452, 0.081),
    "Bayes at once": (4.99, 0.240, 0.020, 0.32, 0.378, 0.135),
}


def _reference_ways(drawn: Drawn, news: np.ndarray) -> dict[str, Course]:
    z, cost = norm.ppf(0.975), drawn.world.cost
    significant = drawn.estimate > z * drawn.std_error
    return {
        "p < 0.05": trials.significant(drawn),
        "est > c": trials.at_once(drawn.estimate > cost),
        "low > c": trials.at_once(drawn.estimate - z * drawn.std_error > cost),
        "p < 0.05, grade": trials.at_once(significant & (drawn.grade >= 3)),
        "Bayes at once": trials.bayes(drawn, STUDY, news, may_test=False),
    }


def _against_b8(portfolios: int) -> None:
    drawn, news = planted("W1", portfolios)
    error = np.sqrt(2000 / portfolios)  # tolerances are three Monte Carlo errors at 2,000 portfolios
    for way, course in _reference_ways(drawn, news).items():
        found, expected = outcome(drawn, course, STUDY), B8[way]
        assert found.labelled == pytest.approx(expected[0], abs=0.005 + 0.13 * error), way
        assert found.false_share == pytest.approx(expected[1], abs=0.0005 + 0.015 * error), way
        assert found.harmful_share == pytest.approx(expected[2], abs=0.0005 + 0.006 * error), way
        assert found.missed == pytest.approx(expected[3], abs=0.005 + 0.015 * error), way
        assert found.regret == pytest.approx(expected[4], abs=0.005 + 0.02 * error), way
        assert found.curse == pytest.approx(expected[5], abs=0.0005 + 0.006 * error), way


def test_the_reference_numbers_are_reproduced():
    assert set(B8) == set(_reference_ways(*planted("W1", 1)))
    _against_b8(2000)


# rule, chosen, false, harmful, missed, winner's curse: reference note B8, 20,000 portfolios. Four errors of 4,000
# portfolios are .11, .011, .004, .009, .005; for the two with an estimated prior ours has a term that keeps the prior
# off zero (chosen +.1, missed −.02).
REFERENCE = [
    ("p<.05", 4.65, 0.221, 0.020, 0.35, 0.142, 1),
    ("est>c", 7.46, 0.380, 0.042, 0.18, 0.120, 1),
    ("95 % CI low>c", 2.74, 0.135, 0.014, 0.58, 0.176, 1),
    ("EB, statistical SE", 4.30, 0.209, 0.021, 0.39, 0.148, 2),
    ("EB, SE with bias", 2.46, 0.085, 0.005, 0.60, 0.112, 2),
]


@pytest.fixture(scope="module")
def choices():
    """What each rule of the note leads to in W1."""
    drawn = draw(WORLDS["W1"], 4000, np.random.default_rng(20261124))
    cost, error = drawn.world.cost, drawn.std_error
    chosen = {
        "p<.05": drawn.estimate > 1.96 * error,
        "est>c": drawn.estimate > cost,
        "95 % CI low>c": drawn.estimate - 1.96 * error > cost,
        "EB, statistical SE": beliefs(drawn, error**2).above(cost) > 0.8,
        "EB, SE with bias": beliefs(drawn).above(cost) > 0.8,
    }
    return {rule: outcome(drawn, trials.at_once(table), STUDY) for rule, table in chosen.items()}


@pytest.mark.parametrize(("rule", "chosen", "false", "harmful", "missed", "curse", "wide"), REFERENCE)
def test_the_reference_figures_of_the_planted_world(rule, chosen, false, harmful, missed, curse, wide, choices):
    got = choices[rule]
    assert got.labelled == pytest.approx(chosen, abs=0.11 * wide)
    assert got.false_share == pytest.approx(false, abs=0.012)
    assert got.harmful_share == pytest.approx(harmful, abs=0.005)
    assert got.missed == pytest.approx(missed, abs=0.015 * wide)
    assert got.curse == pytest.approx(curse, abs=0.006)


def test_shrinkage_helps_only_with_the_bias_in_it():
    found = scored("W1", 2000, {name: WAYS[name] for name in list(WAYS)[:3]})
    # B8: 20.9 % and 8.5 %, with another estimator of the prior: theirs is not described, ours shrinks a little less
    assert found["shrunk, without bias"].false_share == pytest.approx(0.209, abs=0.02)
    assert found["shrunk, with bias"].false_share == pytest.approx(0.085, abs=0.02)
    assert found["shrunk, with bias"].harmful_share < 0.01


# the rules -----------------------------------------------------------------------------------------------------------


def test_the_label_is_rarely_wrong_and_little_is_left_on_the_table():
    found = scored("W1", 400, {name: WAYS[name] for name in ("ours", "Bayes")})
    assert found["ours"].false_share <= 0.10
    assert found["ours"].harmful_share <= 0.01
    assert found["ours"].labelled > 1
    assert found["ours"].regret <= 1.10 * found["Bayes"].regret + 0.02  # the last term: Monte Carlo, at 400 portfolios


@pytest.mark.parametrize("name", ["W0", "W2"])
def test_where_nothing_works_few_portfolios_get_a_label(name):
    found = scored(name, 200, {"ours": WAYS["ours"]})["ours"]
    assert found.any_label <= 0.10


def test_what_is_worth_nothing_is_not_chosen_by_the_rules():
    drawn, news = planted("W2", 50)
    course = trials.ours(ORDERED, PRIOR)(drawn, STUDY, news)
    assert np.mean(course.first == STOP) > 0.8


def test_more_caution_lowers_false_choices_and_raises_regret():
    drawn, _ = planted("W1", 2000)
    points = trials.price_of_caution(drawn, (0.5, 0.7, 0.8, 0.9, 0.95))
    falses = [found.false_share for _, found in points]
    regrets = [found.regret for _, found in points]
    assert falses == sorted(falses, reverse=True)
    assert regrets == sorted(regrets)


def test_no_decision_depends_on_the_seed_of_the_draws():
    drawn, news = planted("W1", 20)
    first, again = (trials.ours(ORDERED, PRIOR)(drawn, STUDY, news) for _ in range(2))
    np.testing.assert_array_equal(first.first, again.first)
    order = np.arange(19, -1, -1)
    flipped = trials.ours(ORDERED, PRIOR)(
        replace(drawn, **{name: getattr(drawn, name)[:, order] for name in _ARRAYS}), STUDY, news[:, order]
    )
    np.testing.assert_array_equal(flipped.first[:, order], first.first)


_ARRAYS = ("truth", "at_scale", "estimate", "std_error", "bias_sd", "true_bias_sd", "grade")


# release -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_release_table():
    portfolios = {name: 500 if name == "W7" else 5000 for name in WORLDS}
    _against_b8(5000)
    found = {name: scored(name, count) for name, count in portfolios.items()}
    columns = ("labelled", "false_share", "harmful_share", "any_label", "funded", "false_funded", "tested", "regret")
    sys.stdout.write(f"\nseed {SEED}; {STUDY}\n| world | way | {' | '.join(columns)} |" + "\n")
    for name, ways in found.items():
        for way, each in ways.items():
            row = asdict(each)
            sys.stdout.write(f"| {name} | {way} | {' | '.join(f'{row[column]:.3f}' for column in columns)} |" + "\n")
    drawn, _ = planted("W1", 5000)
    for level, each in trials.price_of_caution(drawn, (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)):
        sys.stdout.write(f"| caution {level} | {each.labelled:.2f} | {each.false_share:.3f} | {each.regret:.3f} |\n")
    ours, best = found["W1"]["ours"], found["W1"]["Bayes"]
    assert ours.false_share <= 0.10
    assert ours.harmful_share <= 0.01
    assert found["W0"]["ours"].any_label <= 0.10
    assert ours.regret <= 1.10 * best.regret
