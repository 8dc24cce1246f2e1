"""Effects of several studies: by hand, dense matrices, statsmodels, simulation; what cannot be fitted is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import linalg, stats

from evaluation.errors import DataError, ParametersError
from evaluation.evidence.publication_bias import trim_and_fill
from evaluation.impact.effects import Effects
from evaluation.impact.inference import covariance, pooled, pooled_sites
from evaluation.impact.inference.heterogeneity import between_variance, heterogeneity, variance_components
from evaluation.impact.inference.selection_model import fit_selection
from evaluation.impact.inference.studies import (
    fit_studies,
    prediction_interval,
    study_heterogeneity,
    study_table,
)

Y = np.array([0.10, 0.30, 0.35, 0.65, 0.45, 0.15, 0.20])
V = np.array([0.03, 0.03, 0.05, 0.01, 0.05, 0.02, 0.04])


def test_two_studies_by_hand():
    # weights 1/1 and 1/4: (4 × 1 + 1 × 6) / 5 = 2; variance 1 / (1 + ¼) = .8
    fitted = fit_studies(np.array([1.0, 6.0]), np.array([1.0, 4.0]), method="common")
    row = study_table(fitted, kind="known").iloc[0]
    assert (row["estimate"], row["std_error"]) == (pytest.approx(2.0), pytest.approx(np.sqrt(0.8)))
    np.testing.assert_allclose(fitted.row_weights, [[0.8, 0.2]])
    # Q = 1 × 1² + ¼ × 4² = 5 with 1 degree: Hartung-Knapp variance 5 × .8 = 4, t(1)
    knapp = study_table(fitted).iloc[0]
    assert (knapp["std_error"], knapp["df"]) == (pytest.approx(2.0), 1.0)
    assert fitted.hartung_knapp_factor == pytest.approx(5.0)
    # DL: (5 − 1) / (1.25 − (1 + 1/16) / 1.25) = 4 / .4 = 10; PM: 25 / (5 + 2 τ²) = 1 → τ² = 10
    assert between_variance([1.0, 6.0], [1.0, 4.0], np.ones((2, 1)), "DL") == pytest.approx(10.0)
    assert between_variance([1.0, 6.0], [1.0, 4.0], np.ones((2, 1)), "PM") == pytest.approx(10.0)


def test_equal_variances_have_closed_forms():
    # with equal v, REML, DL and PM are all the sample variance less v: var(1, 2, 3, 6) = 14/3
    y, v = np.array([1.0, 2.0, 3.0, 6.0]), np.full(4, 0.5)
    for method in ("REML", "DL", "PM"):
        assert between_variance(y, v, np.ones((4, 1)), method) == pytest.approx(14 / 3 - 0.5, rel=1e-10)
    # and Q / (τ² + v) = 3 (14/3) / (τ² + v): the interval is 14 / χ² quantiles − v
    found = heterogeneity(y, v, np.ones((4, 1)))
    expected = 14 / stats.chi2.ppf([0.975, 0.025], 3) - 0.5
    np.testing.assert_allclose([found.variance_low, found.variance_high], expected, rtol=1e-9)
    assert found.i_squared == pytest.approx(1 - 0.5 / (14 / 3), rel=1e-10)


def test_statsmodels_agrees_where_it_reaches():
    from statsmodels.stats.meta_analysis import combine_effects

    for method, theirs in (("DL", "dl"), ("PM", "iterated")):
        fitted = fit_studies(Y, V, method=method)
        options = {"atol": 1e-12} if theirs == "iterated" else {}
        other = combine_effects(Y, V, method_re=theirs, use_t=False, **options)
        assert fitted.between == pytest.approx(other.tau2, rel=1e-6)
        row = study_table(fitted, kind="known").iloc[0]
        assert row["estimate"] == pytest.approx(other.mean_effect_re, rel=1e-7)
        assert row["std_error"] == pytest.approx(other.sd_eff_w_re, rel=1e-7)
        assert study_table(fitted).iloc[0]["std_error"] == pytest.approx(other.sd_eff_w_re_hksj, rel=1e-7)
    assert study_heterogeneity(Y, V).q == pytest.approx(other.q, rel=1e-12)


def dense_cr2(y, x, total, codes):
    """CR2 with full matrices on rows brought to variance one: A = (I − H)ᵢᵢ^(−½), Satterthwaite from the full P."""
    lower = linalg.cholesky(total, lower=True)
    yw, xw = linalg.solve(lower, y), linalg.solve(lower, x)
    bread = linalg.inv(xw.T @ xw)
    left = np.eye(len(y)) - xw @ bread @ xw.T
    e = left @ yw
    rows = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    adjusted = [linalg.fractional_matrix_power(left[np.ix_(r, r)], -0.5).real for r in rows]
    g = [bread @ xw[r].T @ a @ e[r] for r, a in zip(rows, adjusted, strict=True)]
    p = np.array([left[:, r] @ a @ xw[r] @ bread[0] for r, a in zip(rows, adjusted, strict=True)])
    quadratic = p @ p.T
    df = np.trace(quadratic) ** 2 / np.trace(quadratic @ quadratic)
    return np.sqrt(sum(np.outer(part, part) for part in g)[0, 0]), df


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_robust_errors_are_those_of_full_matrices(correlation):
    codes = np.array([0, 0, 1, 2, 2, 2, 3])
    same = np.equal.outer(codes, codes)
    variance = np.where(same, correlation, 0.0) * np.sqrt(np.outer(V, V))
    np.fill_diagonal(variance, V)
    fitted = fit_studies(Y, variance, groups=[codes, np.arange(7)])
    row = study_table(fitted, kind="cr2", clusters=codes).iloc[0]
    error, df = dense_cr2(Y, np.ones((7, 1)), fitted.total, codes)
    assert row["std_error"] == pytest.approx(error, rel=1e-9)
    assert row["df"] == pytest.approx(df, rel=1e-9)


def test_robust_errors_are_unbiased_under_the_working_model():
    """E CR2 = the true variance if the variances given are right: 40,000 draws, error of the mean below 1 %."""
    rng = np.random.default_rng(5)
    codes = np.array([0, 0, 1, 2, 2, 2, 3])
    draws = 0.3 + rng.standard_normal((40_000, 7)) * np.sqrt(V)
    x = np.ones((7, 1)) / np.sqrt(V)[:, None]
    left = np.eye(7) - x @ x.T / np.sum(1 / V)
    e = (draws / np.sqrt(V)) @ left
    total = np.zeros(len(draws))
    for code in range(4):
        rows = np.flatnonzero(codes == code)
        a = linalg.fractional_matrix_power(left[np.ix_(rows, rows)], -0.5).real
        total += (e[:, rows] @ a @ x[rows, 0] / np.sum(1 / V)) ** 2
    assert total.mean() == pytest.approx(1 / np.sum(1 / V), rel=0.01)
    one = study_table(fit_studies(draws[0], V, method="common"), kind="cr2", clusters=codes).iloc[0]
    assert one["std_error"] ** 2 == pytest.approx(total[0], rel=1e-9)


def test_correlated_estimates_by_hand():
    # V = [[1, .5], [.5, 1]]: mean (1 + 3)/2 = 2, variance 1 / (1′V⁻¹1) = 1 / (2 × 2/3) = .75
    fitted = fit_studies(np.array([1.0, 3.0]), np.array([[1.0, 0.5], [0.5, 1.0]]), method="common")
    row = study_table(fitted, kind="known").iloc[0]
    assert (row["estimate"], row["std_error"]) == (pytest.approx(2.0), pytest.approx(np.sqrt(0.75)))


def test_one_level_of_groups_is_the_usual_variance():
    plain = between_variance(Y, V, np.ones((7, 1)), "REML")
    assert variance_components(Y, V, np.ones((7, 1)), [np.arange(7)])[0][0] == pytest.approx(plain, rel=1e-6)


def test_the_top_of_several_variances_is_a_top():
    """No direction leads higher: a grid around the solution, by the formula of the likelihood written out."""
    codes = np.array([0, 0, 1, 2, 2, 2, 3])
    groups, x = [codes, np.arange(7)], np.ones((7, 1))
    at, height = variance_components(Y, V, x, groups)

    def value(one, two):
        total = np.diag(V + two) + one * np.equal.outer(codes, codes)
        inverse = np.linalg.inv(total)
        mean = x.T @ inverse @ Y / (x.T @ inverse @ x)[0]
        r = Y - mean
        logs = np.linalg.slogdet(total)[1] + np.log((x.T @ inverse @ x)[0, 0]) - np.log(7)
        return -0.5 * (logs + r @ inverse @ r + 6 * np.log(2 * np.pi))

    assert height == pytest.approx(value(*at), rel=1e-10)
    around = [(max(at[0] + i, 0), max(at[1] + j, 0)) for i in (-0.003, 0, 0.003) for j in (-0.003, 0, 0.003)]
    assert height >= max(value(*point) for point in around) - 1e-12


def test_a_new_place():
    row = pd.Series({"estimate": 1.0, "std_error": 0.3})
    # t(5) at .975 is 2.570582; √(.16 + .09) = .5
    low, high = prediction_interval(row, 0.16, df=5)
    assert (low, high) == (pytest.approx(1 - 2.570582 * 0.5, abs=1e-6), pytest.approx(1 + 2.570582 * 0.5, abs=1e-6))
    assert all(np.isnan(prediction_interval(row, 0.16, df=0)))


def test_contrasts_and_what_stands_in():
    design = np.column_stack([np.ones(7), np.array([0, 0, 0, 1, 1, 1, 1])])
    fitted = fit_studies(Y, V, design=design, names=("a", "b less a"), method="common")
    both = study_table(fitted, kind="known", contrast=np.array([[1.0, 0.0], [1.0, 1.0]]))
    first, second = V[:3], V[3:]
    np.testing.assert_allclose(both["std_error"], [np.sqrt(1 / np.sum(1 / first)), np.sqrt(1 / np.sum(1 / second))])
    one = study_table(fit_studies(np.array([1.0]), np.array([0.25]))).iloc[0]
    assert (one["std_error"], one["df"]) == (0.5, np.inf)
    assert "variances are taken as known" in one["reason"]
    two = study_table(fit_studies(Y, V), kind="cr2", clusters=np.zeros(7)).iloc[0]
    assert "no more studies than coefficients" in two["reason"]
    few = study_table(fit_studies(Y, V), kind="cr2", clusters=np.array([0, 0, 0, 0, 0, 1, 2])).iloc[0]
    assert "degrees of freedom" in few["reason"]


def test_effects_that_agree_exactly():
    fitted = fit_studies(np.full(4, 0.2), np.full(4, 0.01))
    assert fitted.between == 0.0
    assert study_table(fitted, kind="known").iloc[0]["std_error"] == pytest.approx(0.05)
    assert study_table(fitted).iloc[0]["std_error"] == 0.0  # Hartung-Knapp is not floored
    found = heterogeneity(np.full(4, 0.2), np.full(4, 0.01), np.ones((4, 1)))
    assert (found.q, found.variance_low, found.variance_high) == (pytest.approx(0.0, abs=1e-20), 0.0, 0.0)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(DataError, match="E-EVI-041"):
        fit_studies(Y, np.zeros(7))
    with pytest.raises(DataError, match="E-EVI-041"):
        heterogeneity(Y, np.full(7, np.nan), np.ones((7, 1)))
    with pytest.raises(ParametersError, match="E-EVI-040"):
        between_variance(Y, V, np.ones((7, 1)), "SJ")
    with pytest.raises(ParametersError, match="E-EVI-042"):
        fit_studies(Y, np.diag(V), method="DL")
    with pytest.raises(DataError, match="E-EVI-048"):
        fit_selection(np.full(12, 5.0), np.full(12, 0.1))


def test_selection_is_found_where_it_was_planted():
    """Of 4,000 studies of mean .2 (τ .1), those with p > .025 are seen one time in four."""
    rng = np.random.default_rng(11)
    v = rng.uniform(0.01, 0.09, 4000)
    y = 0.2 + rng.standard_normal(4000) * np.sqrt(v + 0.01)
    seen = (y / np.sqrt(v) > stats.norm.isf(0.025)) | (rng.random(4000) < 0.25)
    found = fit_selection(y[seen], v[seen])
    naive = study_table(fit_studies(y[seen], v[seen]), kind="known").iloc[0]
    assert found.estimate == pytest.approx(0.2, abs=3 * found.std_error)
    assert found.delta[1] == pytest.approx(0.25, abs=0.08)
    assert naive["estimate"] - 0.2 > 0.05
    assert found.p_value < 1e-6
    mirrored = fit_selection(-y[seen], v[seen], expected=-1)
    assert mirrored.estimate == pytest.approx(-found.estimate, abs=1e-5)


def sharing_a_comparison_group(n=400, sites=4, seed=3):
    """Sites of n treated each and one comparison group of n: every effect has the same comparison mean in it."""
    rng = np.random.default_rng(seed)
    treated = [0.2 + rng.standard_normal(n) for _ in range(sites)]
    comparison = rng.standard_normal(n)
    total = n * (sites + 1)
    influence = np.zeros((total, sites))
    for j, y in enumerate(treated):
        influence[n * j : n * (j + 1), j] = (y - y.mean()) * total / n
        influence[n * sites :, j] = -(comparison - comparison.mean()) * total / n
    return Effects(
        estimate=np.array([y.mean() - comparison.mean() for y in treated]),
        labels=pd.DataFrame({"term": ["att"] * sites, "outcome": ["y"] * sites}),
        influence=influence,
        units=pd.RangeIndex(total),
    )


def test_sites_that_share_units_are_pooled_with_their_covariance():
    effects = sharing_a_comparison_group()
    ours = pooled_sites(effects, method="common")
    row = study_table(ours, kind="known").iloc[0]
    other = pooled(effects)  # the same weights, from the influences
    assert row["estimate"] == pytest.approx(other.estimate[0], rel=1e-12)
    assert row["std_error"] == pytest.approx(covariance(other).std_error[0], rel=1e-12)
    np.testing.assert_allclose(ours.row_weights.sum(), 1.0)
    # by hand, equal variances s²/n: (s²/n) (1/4 + 1); as if apart it would be (s²/n) (2/4)
    assert row["std_error"] == pytest.approx(np.sqrt(1.25 / 400), rel=0.05)
    apart = fit_studies(effects.estimate, np.diag(covariance(effects).matrix), method="common")
    assert study_table(apart, kind="known").iloc[0]["std_error"] == pytest.approx(np.sqrt(0.5 / 400), rel=0.05)


def test_differences_between_sites_are_told_from_a_shared_error():
    """Variance between sites from what differs: the comparison mean, which all share, adds nothing to it."""
    effects = sharing_a_comparison_group()
    estimate, matrix = effects.estimate, covariance(effects).matrix
    shifted = np.array([0.0, 0.4, -0.4, 0.0])
    found = fit_studies(estimate + shifted, matrix)
    # sample variance of the estimates less the part that is not shared, s²/n
    own = float(np.mean(np.diag(matrix))) - float(np.mean(matrix[np.triu_indices(4, 1)]))
    assert found.between == pytest.approx(np.var(estimate + shifted, ddof=1) - own, rel=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_trim_and_fill_is_the_algorithm_of_duval_and_tweedie(seed):
    """Written out once more: sort, trim the k₀ most extreme, rank distances from the mean of the rest, L₀, repeat."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.4, 25)
    y = 0.2 + rng.exponential(1.2, 25) * np.sqrt(v)
    found = trim_and_fill(y, v, side="left")
    order = np.argsort(y)
    k0 = 0
    for _ in range(50):
        kept = order[: 25 - k0]
        center = fit_studies(y[kept], v[kept]).fit.coefficients[0]
        distance = np.abs(y - center)
        rank_sum = sum(1 + int((distance < distance[i]).sum()) for i in range(25) if y[i] > center)
        new = max(0, round((4 * rank_sum - 25 * 26) / 49))
        if new == k0:
            break
        k0 = new
    assert found.missing == k0
    filled = np.concatenate([y, 2 * center - y[order[25 - k0 :]]])
    both = fit_studies(filled, np.concatenate([v, v[order[25 - k0 :]]]))
    assert found.estimate == pytest.approx(both.fit.coefficients[0], rel=1e-9)
    assert found.estimate <= fit_studies(y, v).fit.coefficients[0] + 1e-12
