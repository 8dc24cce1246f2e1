"""A portfolio as large as a country's: 200 innovations x 2 territories x 3 sizes, 2,000 draws of the posterior.

`.venv/bin/python -m pytest -m slow tests/unit/test_selection_large.py -s` prints the times.
"""

import sys
import time

import numpy as np
import pytest
from scipy.stats import norm

from evaluation.selection.allocation import allocate, inclusion
from evaluation.selection.program import Limits, Option, Program, program

SIZES = {"small": 1.0, "medium": 2.5, "large": 5.0}
FUNDERS, YEARS, OPERATORS = ("State", "Department"), (2027, 2028, 2029), 30


def country(innovations: int, draws: int, seed: int = 0) -> tuple[Program, np.ndarray]:
    """A tight programme: six budgets of 4 % of what is asked for, thirty operators, two shares, the label's limit."""
    rng = np.random.default_rng(seed)
    mean, sd = rng.normal(0.2, 0.5, innovations), rng.uniform(0.3, 0.8, innovations)
    base, operator = rng.lognormal(11, 0.8, innovations), rng.integers(0, OPERATORS, innovations)
    funder, priority = rng.integers(0, 2, innovations), rng.random(innovations) < 0.3
    profile = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4]])[rng.integers(0, 2, innovations)]
    sure = norm.cdf(mean / sd)
    options = [
        Option(
            innovation=f"i{j:03d}",
            territory=territory,
            size=size,
            value=mean[j] * base[j] * times**0.9,
            costs={(FUNDERS[funder[j]], year): base[j] * times * profile[j, t] for t, year in enumerate(YEARS)},
            capacity={f"o{operator[j]}": times},
            p_positive=float(sure[j]),
            scales=bool(sure[j] > 0.8),
            groups=frozenset(
                ({"rural"} if territory == "thierache" else set()) | ({"priority"} if priority[j] else set())
            ),
        )
        for j in range(innovations)
        for territory in ("creil", "thierache")
        for size, times in SIZES.items()
    ]
    keys = {key for option in options for key in option.costs}
    budgets = {key: 0.04 * sum(option.costs.get(key, 0.0) for option in options) for key in keys}
    limits = Limits(
        budgets=budgets,
        capacities={f"o{k}": 6.0 for k in range(OPERATORS)},
        shares={"rural": 0.3, "priority": 0.4},
        false_share=0.1,
    )
    found = program(options, limits)
    names = {f"i{j:03d}": j for j in range(innovations)}
    index = np.array([names[option.innovation] for option in found.options])
    scale = np.array([base[names[o.innovation]] * SIZES[o.size] ** 0.9 for o in found.options])
    effects = mean + sd * rng.standard_normal((draws, innovations))
    return found, effects[:, index] * scale


def test_a_small_country_is_solved_and_its_inclusion_is_that_of_the_exact_programme():
    programme, draws = country(8, 30)
    found = allocate(programme)
    assert found.gap <= 1e-6
    exact, relaxed = (inclusion(programme, draws, method=method).probability for method in ("exact", "relaxed"))
    # a relaxed programme divides at most one option for each row that binds: on average the two are close
    assert np.abs(exact - relaxed).mean() < 0.06


@pytest.mark.slow
def test_a_country_takes_less_than_a_minute_of_two_processors():
    """Seconds of processor, in one process: what other programs do at the same time does not count."""
    started = time.process_time()
    programme, draws = country(200, 2000)
    built = time.process_time()
    best = allocate(programme)
    solved = time.process_time()
    found = inclusion(programme, draws)
    done = time.process_time()
    sys.stdout.write(
        f"\nprocessor: built {built - started:.1f} s, solved {solved - built:.1f} s (gap {best.gap:.2%}), inclusion "
        f"{done - solved:.1f} s, {found.method}, {found.divided:.1%} divided\n"
    )
    assert draws.shape == (2000, 1200)
    assert found.method == "relaxed"
    assert best.gap < 0.02
    assert done - started < 2 * 60


def test_several_processes_give_the_same_inclusion():
    programme, draws = country(3, 12)
    one, two = (inclusion(programme, draws, method="relaxed", jobs=jobs).probability for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)
