"""Sensitivity to departures from parallel trends: by hand, brute force by linear programs, laws, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

from evaluation.errors import EvaluationError
from evaluation.evidence.calibration.designs import staggered
from evaluation.impact import did, honest
from evaluation.impact.honest.relative_magnitudes import Family, _extreme_points
from evaluation.impact.honest.smoothness import _Problem, _quantile

Z = special.ndtri(0.975)


def random_study(rng, before=None, after=None, target="average"):
    k, h = before or rng.integers(1, 5), after or rng.integers(1, 5)
    root = rng.normal(size=(k + h, k + h + 2))
    return honest.EventStudy.of(0.3 * rng.normal(size=k + h), root @ root.T / 50, int(k), target)


def ends(interval):
    return [interval.low, interval.high]


# by hand --------------------------------------------------------------------------------------------------------------


def test_one_period_on_each_side_by_hand():
    # Effects 1 before and 3 after, both with variance 1. From -1 to 0 the trend changes by -1: drawn on it would be -1
    # in the period after, so the effect is 3 + 1 = 4 with variance 2. One bend, at the reference: bias at most M.
    study = honest.EventStudy.of([1.0, 3.0], np.eye(2), 1)
    assert ends(honest.smoothness(study, 0)) == pytest.approx([4 - Z * 2**0.5, 4 + Z * 2**0.5], abs=1e-12)
    found = honest.smoothness(study, 1.0)
    half = (found.high - found.low) / 2
    assert (found.high + found.low) / 2 == pytest.approx(4, abs=1e-12)
    inside = special.ndtr((half - 1) / 2**0.5) - special.ndtr((-half - 1) / 2**0.5)
    assert inside == pytest.approx(0.95, abs=1e-12)
    assert honest.identified_set(study, "smoothness", 1.0) == pytest.approx((3, 5))
    # The largest change before is 1: with Mbar = 2 the trend may have moved by 2 either way.
    assert honest.identified_set(study, "relative_magnitudes", 2.0) == pytest.approx((1, 5))


def test_identified_sets_by_hand_with_two_periods_after():
    # Before: -1, 2 (changes 3 and -2, a bend of -5); after: 4, 6. Average: 5. Weights of the changes after: 1 and 1/2.
    study = honest.EventStudy.of([-1.0, 2.0, 4.0, 6.0], np.eye(4), 2)
    assert study.weight_of_steps.tolist() == [1.0, 0.5]
    assert honest.identified_set(study, "relative_magnitudes", 1.0) == pytest.approx((5 - 1.5 * 3, 5 + 1.5 * 3))
    # The last change, -2, drawn on: -2 and -4, mean -3. Bends: M in the first period, M + 2 M in the second, mean 2 M.
    assert honest.identified_set(study, "smoothness", 5.0) == pytest.approx((8 - 10, 8 + 10))
    assert np.isnan(honest.identified_set(study, "smoothness", 4.9)).all()


def test_without_departures_relative_magnitudes_are_the_ordinary_interval():
    # At Mbar = 0 the statistic is |z|, and c between (1 - κ) and the conditional size gives exactly Φ(c) = 1 - α/2.
    study = random_study(np.random.default_rng(1))
    for level in (0.9, 0.95):
        half = special.ndtri(0.5 + level / 2) * study.std_error
        expected = [study.effect - half, study.effect + half]
        assert ends(honest.relative_magnitudes(study, 0.0, level)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.01, 1.0, 5.0, 40.0])
def test_quantile_of_a_folded_normal(shift):
    c = _quantile(shift, 0.05)
    assert special.ndtr(c - shift) - special.ndtr(-c - shift) == pytest.approx(0.95, abs=1e-13)


# brute force ----------------------------------------------------------------------------------------------------------


def test_dual_solution_equals_the_linear_program():
    rng = np.random.default_rng(2)
    for trial in range(12):
        h = 1 + trial % 4
        study = random_study(rng, after=h, target=rng.normal(size=h) if trial % 2 else np.eye(h)[0])
        bound, effect = rng.uniform(0.1, 2), study.effect + 2 * rng.normal() * study.std_error
        family = Family.of(study, bound, 0.05)
        changes, k = study.steps, study.n_before
        for p, x in enumerate([*changes[:k], *-changes[:k]]):
            rows = np.vstack([changes[k:] - bound * x, -changes[k:] - bound * x])
            solved = smallest_relaxation(rows, study, effect, study.estimate)
            values = family.value[p] - family.slope[p] * effect
            assert values.max() == pytest.approx(solved, abs=1e-9)  # tolerance of the simplex


def smallest_relaxation(rows, study, effect, estimate):
    """min η: rows (estimate - effects) ≤ σ η for some effects whose target average is `effect`."""
    sd = np.sqrt(np.diag(rows @ study.covariance @ rows.T))
    return optimize.linprog(
        np.r_[1, np.zeros(study.n_after)],
        A_ub=-np.column_stack([sd, rows[:, study.n_before :]]),
        b_ub=-rows @ estimate,
        A_eq=[np.r_[0, study.target]],
        b_eq=[effect],
        bounds=[(None, None)] * (study.n_after + 1),
    ).fun


def test_least_favourable_value_against_draws():
    rng = np.random.Generator(np.random.Philox(3))
    study, bound = random_study(np.random.default_rng(4), 3, 2), 0.8
    forms, _ = _extreme_points(study, bound)
    draws = rng.multivariate_normal(np.zeros(5), study.covariance, size=200_000)
    family = Family.of(study, bound, 0.05)
    above = [(draws @ form.T).max(axis=1) > c for form, c in zip(forms, family.critical, strict=True)]
    # κ = .005; standard error of a share of 200,000 draws is .00016
    np.testing.assert_allclose(np.mean(above, axis=1), 0.005, atol=0.0006)


def test_bias_of_the_affine_estimator_equals_the_linear_program():
    rng = np.random.default_rng(5)
    for target in ("first", "average", rng.normal(size=3)):
        study = random_study(rng, 4, 3, target)
        problem = _Problem.of(study)
        weights = rng.normal(size=3)
        v = np.concatenate([problem.offset + problem.basis @ weights, study.target])
        bends = np.diff(study.steps, axis=0)
        worst = optimize.linprog(
            -v, A_ub=np.vstack([bends, -bends]), b_ub=np.full(2 * len(bends), 0.7), bounds=[(None, None)] * 7
        )
        assert -worst.fun == pytest.approx(0.7 * problem.bends(weights), rel=1e-9)


@pytest.mark.parametrize("bound", [0.0, 0.003, 0.03, 0.3, 3.0])
def test_no_other_affine_estimator_is_shorter(bound):
    rng = np.random.default_rng(6)
    for _ in range(5):
        study = random_study(rng, 5, 3)
        problem = _Problem.of(study)
        best = problem.best(bound, 0.05)

        def length(weights, problem=problem):
            sigma = problem.std_error(weights)
            return sigma * _quantile(bound * problem.bends(weights) / sigma, 0.05)

        shortest = length(best)
        for size in (1e-4, 1e-2, 1.0):  # the problem is convex: no better neighbour, no better estimator
            for step in np.vstack([np.eye(4), -np.eye(4), rng.normal(size=(20, 4))]):
                assert length(best + size * step) >= shortest * (1 - 1e-13)


def test_line_through_the_effects_before_is_generalised_least_squares():
    study = random_study(np.random.default_rng(7), 4, 2, "first")
    # Model without bends: before = slope s, after = slope s + effect; GLS by the dense formula.
    x = np.zeros((6, 3))
    x[:, 0] = [-4, -3, -2, -1, 1, 2]
    x[4, 1], x[5, 2] = 1, 1
    inverse = np.linalg.inv(study.covariance)
    bread = np.linalg.inv(x.T @ inverse @ x)
    effect, half = (bread @ x.T @ inverse @ study.estimate)[1], Z * bread[1, 1] ** 0.5
    assert ends(honest.smoothness(study, 0)) == pytest.approx([effect - half, effect + half], abs=1e-10)


# laws -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restriction", ["relative_magnitudes", "smoothness"])
def test_scaling_the_outcome_scales_the_intervals(restriction):
    rng = np.random.default_rng(8)
    for scale in (1e-6, 37.0, 1e6):
        study = random_study(rng, 3, 3)
        scaled = honest.EventStudy.of(scale * study.estimate, scale**2 * study.covariance, 3)
        bound = 0.4
        other = bound if restriction == "relative_magnitudes" else scale * bound
        interval = getattr(honest, restriction)
        expected = scale * np.array(ends(interval(study, bound)))
        np.testing.assert_allclose(ends(interval(scaled, other)), expected, rtol=1e-9)


@pytest.mark.parametrize("restriction", ["relative_magnitudes", "smoothness"])
def test_turning_the_sign_turns_the_interval(restriction):
    study = random_study(np.random.default_rng(9), 3, 2)
    turned = honest.EventStudy.of(-study.estimate, study.covariance, 3)
    interval = getattr(honest, restriction)
    np.testing.assert_allclose(
        ends(interval(turned, 0.6)), -np.array(ends(interval(study, 0.6)))[::-1], rtol=1e-8, atol=1e-10
    )


def test_a_larger_bound_never_gives_a_narrower_set():
    rng = np.random.default_rng(10)
    for trial in range(8):
        study = random_study(rng, target="first" if trial % 2 else "average")
        found = np.array([ends(honest.relative_magnitudes(study, bound)) for bound in np.linspace(0, 2, 6)])
        assert (np.diff(found[:, 0]) <= 1e-9 * study.std_error).all()
        assert (np.diff(found[:, 1]) >= -1e-9 * study.std_error).all()


@pytest.mark.parametrize("restriction", ["relative_magnitudes", "smoothness"])
def test_without_sampling_error_intervals_shrink_to_the_identified_set(restriction):
    study = random_study(np.random.default_rng(11), 4, 2)
    tiny = honest.EventStudy.of(study.estimate, 1e-14 * study.covariance, 4)
    bound = (
        1.0 if restriction == "relative_magnitudes" else 1.2 * np.abs(np.diff(study.steps[:4] @ study.estimate)).max()
    )
    found = ends(getattr(honest, restriction)(tiny, bound))
    low, high = honest.identified_set(study, restriction, bound)
    if restriction == "relative_magnitudes":
        np.testing.assert_allclose(found, [low, high], atol=1e-6)
    else:  # one length for all data: it holds the set of these
        assert found[0] <= low + 1e-6
        assert found[1] >= high - 1e-6


def test_the_interval_covers_at_the_edge_of_the_restriction():
    # Changes before 0, 0, 8; after 8 each, Mbar = 1, no effect: the restriction binds, and the size should be 5 %.
    delta, covariance = np.array([-8.0, -8.0, -8.0, 8.0, 16.0]), np.eye(5) + 1
    rng = np.random.default_rng(12)
    draws = rng.multivariate_normal(delta, covariance, size=400)
    kept = [Family.of(honest.EventStudy.of(b, covariance, 3), 1.0, 0.05).possible(np.zeros(1))[0] for b in draws]
    assert 0.92 <= np.mean(kept) <= 0.98  # standard error .011


def test_breakdown_is_where_the_interval_meets_zero():
    study = honest.EventStudy.of([0.05, -0.1, 0.1, 1.0, 1.2], 0.02 * (np.eye(5) + 1), 3)
    for restriction in ("relative_magnitudes", "smoothness"):
        found = honest.breakdown(study, restriction)
        interval = getattr(honest, restriction)
        assert interval(study, found.value * 0.999).low > 0
        assert interval(study, found.value * 1.001).low < 0
        assert found.reason == ""
        assert "parallel trends up to" in found.detail


@pytest.mark.parametrize("sign", [1, -1])
def test_breakdown_against_the_smallest_effect_is_where_the_interval_meets_it(sign):
    effects = sign * np.array([0.05, -0.1, 0.1, 1.0, 1.2])
    study = honest.EventStudy.of(effects, 0.02 * (np.eye(5) + 1), 3)
    for restriction in ("relative_magnitudes", "smoothness"):
        found = honest.breakdown(study, restriction, smallest=0.3)
        for factor, beyond in ((0.999, True), (1.001, False)):
            interval = getattr(honest, restriction)(study, found.value * factor)
            assert (min(sign * interval.low, sign * interval.high) > 0.3) is beyond
        assert 0 < found.value < honest.breakdown(study, restriction).value
        assert "effects of at most 0.3" in found.detail
    assert honest.breakdown(study, smallest=1.2).value == 0  # the effect itself is 1.1


def test_breakdown_of_nothing_and_of_everything():
    noise = honest.EventStudy.of([0.1, 0.1], np.eye(2), 1)
    assert honest.breakdown(noise).value == 0
    assert "even under parallel trends" in honest.breakdown(noise).detail
    flat = honest.EventStudy.of([0.0, 1.0], np.diag([1e-24, 1e-4]), 1)
    assert honest.breakdown(flat).value == float("inf")
    few = honest.EventStudy(estimate=[0.1, 1], covariance=np.eye(2), n_before=1, target=[1], reason="one cluster")
    assert np.isnan(honest.breakdown(few).value)
    assert honest.breakdown(few).detail == "No breakdown value: one cluster."


def test_a_fan_grows_with_the_bound():
    fan = honest.fan(random_study(np.random.default_rng(13)), [1.0, 0.0, 0.5])
    assert fan.columns.tolist() == ["bound", "low", "high"]
    assert fan["bound"].tolist() == [0.0, 0.5, 1.0]
    assert fan["low"].is_monotonic_decreasing
    assert fan["high"].is_monotonic_increasing


def test_eight_periods_on_each_side_are_fast():
    import time

    study = honest.EventStudy.of(np.linspace(-1, 3, 16), np.eye(16) + 1, 8)
    start = time.perf_counter()
    honest.relative_magnitudes(study, 1.0)
    honest.smoothness(study, 0.1)
    assert time.perf_counter() - start < 1.0  # about 0.03 s


# from a difference-in-differences -------------------------------------------------------------------------------------


def estimated(panel, table, **options):
    return did.estimate(*panel(table, **options))


def test_changes_of_one_period_are_cumulated_exactly(panel):
    table = staggered(60, np.random.default_rng(14), starts=(0, 5), periods=8)
    long = honest.event_study(estimated(panel, table, base_period="universal"))
    short = honest.event_study(estimated(panel, table, base_period="varying"))
    assert (long.n_before, long.n_after) == (3, 4)
    np.testing.assert_allclose(short.estimate, long.estimate, atol=1e-12)
    np.testing.assert_allclose(short.covariance, long.covariance, atol=1e-14)
    assert long.note == ""
    assert short.note == "effects before the treatment are sums of changes of one period"


def test_cumulated_changes_of_the_same_cohorts_only(panel):
    table = staggered(60, np.random.default_rng(15), starts=(0, 4, 5), periods=8)
    varying = estimated(panel, table, base_period="varying")
    with pytest.raises(EvaluationError, match="common reference period") as raised:
        honest.event_study(varying)
    assert raised.value.code == "E-IMP-135"
    universal = estimated(panel, table, base_period="universal")
    short, long = (honest.event_study(result, first=-3) for result in (varying, universal))
    np.testing.assert_allclose(short.estimate, long.estimate, atol=1e-12)
    np.testing.assert_allclose(short.covariance, long.covariance, atol=1e-14)


def test_anticipation_is_after_the_reference_and_no_part_of_the_effect(panel):
    table = staggered(60, np.random.default_rng(16), starts=(0, 5), periods=8)
    result = estimated(panel, table, base_period="universal", anticipation=1)
    study = honest.event_study(result, target="first")
    assert study.n_before == 2  # event times -4 and -3 around the reference -2
    assert study.target.tolist() == [0, 1, 0, 0, 0]
    average = honest.event_study(result)
    assert average.effect == pytest.approx(float(result.overall["event_time"].estimate[0]), abs=1e-12)


def test_few_clusters_leave_no_breakdown_value(panel):
    table = staggered(60, np.random.default_rng(17), starts=(0, 5), periods=8)
    table["region"] = table["unit"] % 10
    sample, design = panel(table, base_period="universal", cluster=("region",))
    clusters = sample.frame.drop_duplicates("unit").set_index("unit")[["cluster_1"]]
    study = honest.event_study(did.estimate(sample, design), clusters)
    assert study.reason.startswith(("treated", "comparison"))
    assert np.isnan(honest.breakdown(study).value)


# refusals -------------------------------------------------------------------------------------------------------------


def code_of(function, *arguments, **options):
    with pytest.raises(EvaluationError) as raised:
        function(*arguments, **options)
    return raised.value.code


def test_refusals_of_numbers():
    build = honest.EventStudy.of
    assert code_of(build, [1, 2], np.eye(2), 1, "last") == "E-IMP-130"
    assert code_of(build, [1, 2], np.eye(3), 1) == "E-IMP-131"
    assert code_of(build, [1, np.nan], np.eye(2), 1) == "E-IMP-131"
    assert code_of(build, [1, 2], np.eye(2), 0) == "E-IMP-132"
    assert code_of(build, [1, 2], np.eye(2), 1, [1, 1]) == "E-IMP-133"
    assert code_of(build, [1, 2], np.eye(2), 1, [0]) == "E-IMP-133"
    assert code_of(build, [1, 2], np.ones((2, 2)), 1) == "E-IMP-134"
    study = build([1, 2], np.eye(2), 1)
    assert code_of(honest.relative_magnitudes, study, -1) == "E-IMP-137"
    assert code_of(honest.smoothness, study, np.inf) == "E-IMP-137"
    assert code_of(honest.smoothness, study, 1, 95) == "E-IMP-031"


def test_event_times_with_gaps_are_refused(panel):
    table = staggered(60, np.random.default_rng(18), starts=(0, 5), periods=8)
    result = estimated(panel, table[table["period"] != 2], base_period="universal")
    assert code_of(honest.event_study, result) == "E-IMP-136"
    assert honest.event_study(result, first=-2).n_before == 1
    assert code_of(honest.event_study, result, first=-1) == "E-IMP-132"


def test_without_effects_before_there_is_no_reference(panel):
    table = staggered(60, np.random.default_rng(19), starts=(0, 2), periods=3)
    assert code_of(honest.event_study, estimated(panel, table, base_period="varying")) == "E-IMP-135"


def test_columns_of_a_fan_can_be_drawn():
    fan = honest.fan(honest.EventStudy.of([0.1, 1.0], np.eye(2) / 9, 1), [0, 1], "smoothness")
    assert isinstance(fan, pd.DataFrame)
    assert np.isfinite(fan.to_numpy()).all()
