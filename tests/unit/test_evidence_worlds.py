"""Simulated portfolios: the reference figures of the note, what grades promise, what happens when they lie."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.errors import ParametersError
from evaluation.evidence.portfolio_synthesis import settings_of
from evaluation.evidence.worlds import WORLDS, beliefs, by_grade, draw, graded
from evaluation.settings.params import read_params

NOTHING = WORLDS["W0"]


@pytest.fixture(scope="module")
def rules(repository):
    return settings_of(read_params(repository))


def planted(name, repetitions, seed, rules):
    return draw(graded(WORLDS[name], rules), repetitions, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["W0", "W1", "W2", "W3", "W5"])
def test_intervals_with_bias_cover_at_every_grade_and_conventional_ones_fall(name, rules):
    rows = by_grade(planted(name, 1500, 7, rules))
    assert [row.grade for row in rows] == [5, 3, 1]
    assert min(row.inclusive for row in rows) > 0.94
    assert [row.conventional for row in rows] == sorted((row.conventional for row in rows), reverse=True)
    assert rows[-1].conventional < 0.80


def test_grades_that_lie_are_seen(rules):
    """W6: the bias is twice what the grades declare; the interval with bias no longer covers, and the rows say it."""
    rows = by_grade(planted("W6", 1500, 7, rules))
    assert rows[-1].inclusive < 0.80
    assert rows[0].inclusive > 0.90


def test_in_a_null_world_next_to_nothing_is_chosen(rules):
    found = planted("W0", 1500, 3, rules)
    any_chosen = (beliefs(found).above(found.world.cost) > 0.8).any(axis=1)
    assert any_chosen.mean() < 0.10  # validity note ST21: at most 10 % of portfolios of twenty
    plain = (found.estimate > 1.96 * found.std_error).any(axis=1)
    assert plain.mean() > 0.60


def test_the_same_seed_gives_the_same_portfolios(rules):
    one, two = (planted("W4", 5, 11, rules) for _ in range(2))
    np.testing.assert_array_equal(one.estimate, two.estimate)
    assert not np.array_equal(one.estimate, planted("W4", 5, 12, rules).estimate)


def test_biases_of_one_portfolio_are_correlated_where_planted(rules):
    one = replace(NOTHING, design_shares=(1.0,), std_errors=(1e-9,), bias_correlation=0.5)
    found = draw(graded(one, rules, (1,)), 20_000, np.random.default_rng(1))
    assert np.corrcoef(found.estimate[:, 0], found.estimate[:, 1])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert found.estimate.std() == pytest.approx(0.20, rel=0.02)


def test_there_is_no_wrong_sign_where_there_is_no_effect(rules):
    assert by_grade(planted("W0", 20, 1, rules))[0].wrong_sign is None
    assert by_grade(planted("W2", 20, 1, rules))[0].wrong_sign < 0.05


@pytest.mark.parametrize(("world", "repetitions"), [(NOTHING, 0), (replace(NOTHING, design_shares=(0.5, 0, 0)), 3)])
def test_impossible_worlds_are_refused(world, repetitions):
    with pytest.raises(ParametersError, match="E-EVI-057"):
        draw(world, repetitions, np.random.default_rng(1))
