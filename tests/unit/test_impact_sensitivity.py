"""Sensitivity to what nobody measured, against published numbers and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.errors import DataError, InternalError
from evaluation.impact import hidden_bias, sensitivity
from evaluation.impact.covariates import Covariates

# Blood lead of exposed children and of their matched controls (Morton et al. 1982), as in Rosenbaum (2002), table 4.11.
EXPOSED = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49, 48, 44, 35, 43]
EXPOSED += [39, 34, 13, 73, 25, 27]
CONTROL = [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7, 18, 19, 12, 11, 22]
CONTROL += [25, 16, 13, 11, 13]


def _covariates(matrix: np.ndarray, sources: list[int] | None = None) -> Covariates:
    k = matrix.shape[1]
    sources = list(range(1, k + 1)) if sources is None else sources
    labels = [f"x{s} = {j}" if sources.count(s) > 1 else f"x{s}" for j, s in enumerate(sources)]
    return Covariates(matrix=matrix, labels=tuple(labels), columns=tuple(f"covariate_{s}" for s in sources))


def _confounded(n: int = 300, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    d = (x @ [0.8, 0.2, 0.0] + rng.normal(size=n) > 0).astype(float)
    return 0.5 * d + x @ [0.6, 0.3, 0.4] + rng.normal(size=n), d, x


def _exact(t: float, df: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and treatment whose regression has exactly this t value: the residual is orthogonal to both columns."""
    rng = np.random.default_rng(0)
    q = np.linalg.qr(np.column_stack([np.ones(df + 2), rng.normal(size=(df + 2, 2))]))[0]
    d, e = q[:, 1], q[:, 2]
    return t / np.sqrt(df) * d + e, d


def test_robustness_values_are_those_of_the_darfur_study() -> None:
    """t 4.18445 with 783 degrees of freedom (Cinelli and Hazlett 2020, table 1; sensemakr .1387764, .0762580)."""
    y, d = _exact(4.18444998480834, 783)
    found = sensitivity.omitted_variable(y, d, _covariates(np.empty((785, 0))))
    assert found.df == 783
    assert found.partial_r2 == pytest.approx(0.02187309334111082, rel=1e-10)
    assert found.robustness_value == pytest.approx(0.13877635389359155, rel=1e-10)
    assert found.robustness_value_interval == pytest.approx(0.0762579655448608, rel=1e-10)
    assert np.isnan(found.multiple)


def test_an_estimate_whose_interval_holds_zero_needs_nothing() -> None:
    y, d = _exact(1.5, 100)
    assert sensitivity.omitted_variable(y, d, _covariates(np.empty((102, 0)))).robustness_value_interval == 0


def test_the_robustness_value_brings_the_estimate_to_zero() -> None:
    y, d, x = _confounded()
    found = sensitivity.omitted_variable(y, d, _covariates(x))
    value = found.robustness_value
    assert found.bias(value, value) == pytest.approx(abs(found.estimate), rel=1e-10)
    assert found.bias(found.partial_r2, 1.0) == pytest.approx(abs(found.estimate), rel=1e-10)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_bias_formula_is_what_a_real_omitted_variable_does(seed: int) -> None:
    """Leave out a variable that is there: the coefficient moves by the formula with its partial R², exactly."""
    y, d, x = _confounded(seed=seed)
    short = sensitivity.omitted_variable(y, d, _covariates(x[:, 1:]))
    base = np.column_stack([np.ones(len(y)), x[:, 1:]])
    with_d, with_x = np.column_stack([base, d]), np.column_stack([base, d, x[:, :1]])
    r2_d = 1 - _rss(d, np.column_stack([base, x[:, :1]])) / _rss(d, base)
    r2_y = 1 - _rss(y, with_x) / _rss(y, with_d)
    long = np.linalg.lstsq(with_x, y, rcond=None)[0][3]
    assert short.bias(r2_d, r2_y) == pytest.approx(abs(short.estimate - long), rel=1e-9)


def _rss(values: np.ndarray, design: np.ndarray) -> float:
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(left @ left)


def test_a_benchmark_is_a_variable_as_strong_as_a_covariate() -> None:
    """Section 4.4 by hand: R²_d = f²_d, R²_y = η² f²_y with f of the covariate given the others."""
    y, d, x = _confounded()
    found = sensitivity.omitted_variable(y, d, _covariates(x)).benchmarks.set_index("covariate").loc["x1"]
    others = np.column_stack([np.ones(len(y)), x[:, 1:]])
    every = np.column_stack([others, x[:, 0]])
    r2_d = 1 - _rss(d, every) / _rss(d, others)
    r2_y = 1 - _rss(y, np.column_stack([every, d])) / _rss(y, np.column_stack([others, d]))
    f2 = r2_d / (1 - r2_d)
    f = np.sqrt(r2_d / (1 - r2_d))
    eta = (1 + f * np.sqrt(f2)) / np.sqrt(1 - f**2 * f2)
    assert found["r2_treatment"] == pytest.approx(f2, rel=1e-9)
    assert found["r2_outcome"] == pytest.approx(eta**2 * r2_y / (1 - r2_y), rel=1e-9)


def test_the_multiple_brings_the_estimate_to_zero_and_the_strongest_covariate_is_the_yardstick() -> None:
    y, d, x = _confounded()
    found = sensitivity.omitted_variable(y, d, _covariates(x))
    once = found.benchmarks.set_index("covariate")
    assert found.multiple == once["multiple"].min() == once.loc["x1", "multiple"]
    stronger = sensitivity._bounds(found.multiple, *_partials(y, d, x))
    assert found.bias(*stronger) == pytest.approx(abs(found.estimate), rel=1e-8)
    shift = found.bias(once.loc["x1", "r2_treatment"], once.loc["x1", "r2_outcome"])
    assert once.loc["x1", "adjusted_estimate"] == pytest.approx(found.estimate - shift)


def _partials(y: np.ndarray, d: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    others = np.column_stack([np.ones(len(y)), x[:, 1:]])
    every = np.column_stack([others, x[:, 0]])
    of_d = 1 - _rss(d, every) / _rss(d, others)
    return of_d, 1 - _rss(y, np.column_stack([every, d])) / _rss(y, np.column_stack([others, d]))


def test_all_levels_of_a_category_are_one_benchmark() -> None:
    y, d, x = _confounded()
    found = sensitivity.omitted_variable(y, d, _covariates(x, [1, 2, 2]))
    assert found.benchmarks["covariate"].tolist() == ["x1", "x2"]


@pytest.mark.parametrize("factor", [1e-6, -1.0, 1e6])
def test_units_of_measurement_do_not_matter(factor: float) -> None:
    y, d, x = _confounded()
    once = sensitivity.omitted_variable(y, d, _covariates(x))
    again = sensitivity.omitted_variable(factor * y, d, _covariates(7 * x - 2))
    assert again.robustness_value == pytest.approx(once.robustness_value, rel=1e-8)
    assert again.multiple == pytest.approx(once.multiple, rel=1e-7)
    assert again.estimate == pytest.approx(factor * once.estimate, rel=1e-8)


def test_whole_weights_are_copies_but_for_the_degrees_of_freedom() -> None:
    y, d, x = _confounded(60)
    times = np.random.default_rng(5).integers(0, 3, 60)
    weighted = sensitivity.omitted_variable(y, d, _covariates(x), times.astype(float))
    copies = np.repeat(np.arange(60), times)
    copied = sensitivity.omitted_variable(y[copies], d[copies], _covariates(x[copies]))
    assert weighted.estimate == pytest.approx(copied.estimate, rel=1e-10)
    assert weighted.partial_r2 == pytest.approx(copied.partial_r2, rel=1e-10)
    assert weighted.df == (times > 0).sum() - 5


def test_a_covariate_that_is_a_combination_of_others_is_no_benchmark() -> None:
    y, d, x = _confounded()
    found = sensitivity.omitted_variable(y, d, _covariates(np.column_stack([x, x[:, 0] + x[:, 1]])))
    assert found.benchmarks["covariate"].tolist() == ["x1", "x2", "x3"]


def test_no_degree_of_freedom_is_refused() -> None:
    with pytest.raises(DataError) as refused:
        sensitivity.omitted_variable(
            np.arange(3.0) ** 2, np.array([0, 1.0, 0]), _covariates(np.array([[1.0], [5], [2]]))
        )
    assert refused.value.code == "E-IMP-150"


@pytest.mark.parametrize(("gamma", "p_value"), [(2, 0.0018), (3, 0.0136), (4, 0.0388), (4.25, 0.0468), (5, 0.0740)])
def test_bounds_of_the_lead_study_are_those_of_rosenbaum(gamma: float, p_value: float) -> None:
    """Rosenbaum (2002), table 4.12: sensitivity of the signed rank test to hidden bias."""
    differences = np.subtract(EXPOSED, CONTROL).astype(float)
    ranks = pd.Series(np.abs(differences)).rank().to_numpy()
    scores = np.column_stack([ranks * (differences > 0), ranks * (differences < 0)])
    assert scores[:, 0].sum() == 527
    assert hidden_bias._largest_p(scores[differences != 0], gamma) == pytest.approx(p_value, abs=5e-5)


def test_gamma_is_where_the_largest_p_value_reaches_the_level() -> None:
    found = hidden_bias.rosenbaum(np.subtract(EXPOSED, CONTROL).astype(float))
    assert (found.sets, found.direction) == (32, 1)
    assert 4.25 < found.gamma < 5
    assert found.p_value < 1e-4


def test_the_other_sign_says_the_same() -> None:
    differences = np.subtract(EXPOSED, CONTROL).astype(float)
    one, other = hidden_bias.rosenbaum(differences), hidden_bias.rosenbaum(-differences)
    assert other.gamma == pytest.approx(one.gamma, rel=1e-9)
    assert other.direction == -1


def test_without_an_effect_no_bias_is_needed() -> None:
    assert hidden_bias.rosenbaum(np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])).gamma == 1


def test_sets_of_several_find_the_worst_assignment() -> None:
    """Every assignment of hidden odds 1 or Γ within a set, tried one by one: none has a larger mean."""
    rng = np.random.default_rng(8)
    scores, gamma = rng.normal(size=(5, 4)), 2.7
    means, variances = hidden_bias._extremes(scores, gamma)
    for row, mean, variance in zip(scores, means, variances, strict=True):
        tried = []
        for code in range(16):
            odds = np.where([code >> j & 1 for j in range(4)], gamma, 1.0)
            share = odds / odds.sum()
            tried.append((share @ row, share @ row**2 - (share @ row) ** 2))
        best = max(tried)
        assert mean == pytest.approx(best[0], rel=1e-12)
        assert variance == pytest.approx(best[1], rel=1e-10)


def test_sets_may_differ_in_size() -> None:
    scores = np.array([[3.0, 1.0, np.nan], [2.0, 0.0, 1.0], [5.0, 4.0, np.nan]])
    means, _ = hidden_bias._extremes(scores, 1.0)
    assert means == pytest.approx([2.0, 1.0, 4.5])


def test_too_few_sets_are_refused() -> None:
    with pytest.raises(DataError) as refused:
        hidden_bias.rosenbaum(np.array([0.0, 0.0, 1.0]))
    assert refused.value.code == "E-IMP-151"


def test_pairs_without_bias_are_wilcoxons_test() -> None:
    differences = np.random.default_rng(4).normal(0.4, 1, 80)
    theirs = stats.wilcoxon(differences, alternative="greater", correction=False, method="asymptotic").pvalue
    assert hidden_bias.rosenbaum(differences).p_value == pytest.approx(theirs, rel=1e-9)


def test_e_values_are_those_of_the_paper() -> None:
    """VanderWeele and Ding (2017): maternal breastfeeding, RR 3.9 (1.8 to 8.7), E-values 7.26 and 3.0."""
    found = sensitivity.e_value(3.9, 1.8, 8.7)
    assert (found.estimate, found.interval) == (pytest.approx(7.263, abs=5e-4), pytest.approx(3.0, abs=1e-12))
    turned = sensitivity.e_value(1 / 3.9, 1 / 8.7, 1 / 1.8)
    assert (turned.estimate, turned.interval) == pytest.approx((found.estimate, found.interval))
    assert sensitivity.e_value(1.2, 0.8, 1.8).interval == 1


def test_e_value_of_a_difference_goes_through_the_risk_ratio() -> None:
    found = sensitivity.e_value_of_difference(2.0, 0.5, 10.0)
    assert found == sensitivity.e_value(np.exp(0.182), np.exp(0.182 - 0.089), np.exp(0.182 + 0.089))


def test_no_risk_ratio_is_refused() -> None:
    with pytest.raises(InternalError) as refused:
        sensitivity.e_value(0.5, 0.7, 0.9)
    assert refused.value.code == "E-IMP-152"


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.5])
def test_oster_finds_the_selection_that_was_planted(delta: float) -> None:
    """Observed and unobserved index orthogonal in the sample, treatment related to both in the proportion δ."""
    rng = np.random.default_rng(6)
    base = np.linalg.qr(np.column_stack([np.ones(400), rng.normal(size=(400, 4))]))[0][:, 1:]
    w1, w2, noise_d, noise_y = 20 * base.T
    observed, hidden = 1.5 * w1, 0.8 * w2
    slope = 0.4
    # Selection per unit of variance: cov(W2, D)/var(W2) = δ cov(W1, D)/var(W1).
    d = slope * observed + delta * slope * hidden + noise_d
    y = 0.7 * d + observed + hidden + noise_y
    explained = 1 - _rss(y, np.column_stack([np.ones(400), d, w1, w2])) / _rss(y, np.ones((400, 1)))
    found = sensitivity.oster_delta(y, d, w1[:, None], r_max=explained, effect=0.7)
    assert found == pytest.approx(delta, rel=1e-6)


def test_a_coefficient_that_covariates_do_not_move_needs_selection_without_bound() -> None:
    base = np.linalg.qr(np.column_stack([np.ones(50), np.random.default_rng(2).normal(size=(50, 3))]))[0]
    d, x, e = base.T[1:]
    assert abs(sensitivity.oster_delta(d + x + e, d, x[:, None])) > 1e6
