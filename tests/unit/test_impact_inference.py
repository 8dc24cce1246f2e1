"""Standard errors, intervals, bands and joint tests: cases by hand, independent calculations, refusals."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from evaluation.errors import DataError, InternalError, ParametersError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.inference import DESCRIPTIONS, Covariance, cluster_table, covariance, summarize, wald
from evaluation.impact.inference.few import REFERENCE
from evaluation.impact.panel_regression import two_way
from evaluation.impact.regression import weighted_least_squares


def effects(influence, estimate=None, **more):
    influence = np.asarray(influence, dtype=float)
    k = influence.shape[1]
    return Effects(
        estimate=np.zeros(k) if estimate is None else np.asarray(estimate, dtype=float),
        labels=pd.DataFrame({"term": [f"effect {j}" for j in range(k)]}),
        influence=influence,
        units=more.pop("units", pd.RangeIndex(len(influence))),
        **more,
    )


def centered(rng, n, k):
    values = rng.normal(size=(n, k))
    return values - values.mean(axis=0)


def regression(rng, n=40, weights=False):
    x = np.column_stack([np.ones(n), rng.normal(size=n), rng.random(n) < 0.4])
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=n) * (1 + x[:, 2])
    w = rng.uniform(0.4, 2.5, n) if weights else None
    fit = weighted_least_squares(y, x, ["constant", "a", "b"], w)
    return fit, fit.to_effects(np.eye(3), pd.DataFrame({"term": ["constant", "a", "b"]})), y, x


def clusters(*codes):
    return pd.DataFrame({f"cluster_{k}": code for k, code in enumerate(codes, start=1)})


# covariances ----------------------------------------------------------------------------------------------------------


def test_four_units_by_hand():
    # Influences ±2 for four units: standard error √(4 + 4 + 4 + 4) / 4 = 1. An interval of 1.96 each way around 4.
    found = summarize(effects([[2.0], [-2.0], [2.0], [-2.0]], [4.0]))
    row = found.iloc[0]
    assert row["std_error"] == 1.0
    assert row["ci_low"] == pytest.approx(4 - 1.959963984540054)
    assert row["ci_high"] == pytest.approx(4 + 1.959963984540054)
    assert row["p_value"] == pytest.approx(2 * stats.norm.sf(4))
    assert row["df"] == np.inf
    assert row["reason"] == ""


def test_clusters_whose_influences_cancel_have_no_standard_error_to_speak_of():
    found = effects([[2.0], [-2.0], [2.0], [-2.0]], [4.0])
    row = summarize(found, clusters([0, 0, 1, 1])).iloc[0]
    assert row["std_error"] == 0.0
    assert np.isnan(row["ci_low"])
    assert np.isnan(row["p_value"])
    assert row["reason"] == "the standard error is zero"


def test_clusters_that_move_together_by_hand():
    # Sums of influence 4 and -4 over n = 4: √(16 + 16) / 4 = √2.
    found = covariance(effects([[2.0], [2.0], [-2.0], [-2.0]]), clusters(["x", "x", "y", "y"]))
    np.testing.assert_allclose(found.std_error, [np.sqrt(2)])
    assert found.n_clusters == {"cluster_1": 2}


def test_clusters_are_matched_by_label_not_by_position():
    found = effects([[2.0], [2.0], [-2.0], [-2.0]], units=pd.Index(["a", "b", "c", "d"]))
    table = pd.DataFrame({"village": ["y", "y", "x", "x", "z"]}, index=["d", "c", "b", "a", "e"])
    np.testing.assert_allclose(covariance(found, table).std_error, [np.sqrt(2)])


def test_two_clusterings_add_and_subtract_their_intersection():
    rng = np.random.default_rng(20250101)
    a, b = rng.integers(0, 8, 60), rng.integers(0, 7, 60)
    influence = rng.normal(size=(60, 2)) + rng.normal(size=(8, 2))[a] + rng.normal(size=(7, 2))[b]
    found = effects(influence - influence.mean(axis=0))

    def one_way(code):
        sums = pd.DataFrame(found.dense()).groupby(code).sum().to_numpy()
        return sums.T @ sums / 60**2

    expected = one_way(a) + one_way(b) - one_way(a * 100 + b)
    two_way_found = covariance(found, clusters(a, b))
    assert not two_way_found.repaired
    np.testing.assert_allclose(two_way_found.matrix, expected, rtol=1e-12)


def test_three_clusterings_alternate_signs():
    rng = np.random.default_rng(3)
    found, codes = effects(centered(rng, 80, 1)), [rng.integers(0, g, 80) for g in (9, 7, 5)]
    total = 0.0
    for size in (1, 2, 3):
        for chosen in itertools.combinations(codes, size):
            sums = pd.Series(found.dense()[:, 0]).groupby(list(chosen)).sum()
            total += (-1) ** (size + 1) * (sums**2).sum() / 80**2
    np.testing.assert_allclose(covariance(found, clusters(*codes)).matrix[0, 0], total)


def test_a_covariance_with_negative_eigenvalues_is_repaired_and_says_so():
    # A checkerboard: rows and columns cancel, so that V = 0 + 0 - Σ influence² / n² < 0.
    found = effects([[1.0], [-1.0], [-1.0], [1.0]])
    repaired = covariance(found, clusters([0, 0, 1, 1], [0, 1, 0, 1]))
    assert repaired.repaired
    assert repaired.matrix[0, 0] == 0.0
    assert "negative eigenvalues set to zero" in repaired.describe()


@pytest.mark.parametrize("kind", ["hc0", "hc1", "hc2", "hc3"])
def test_heteroskedastic_errors_equal_an_independent_implementation(kind):
    _, found, y, x = regression(np.random.default_rng(20250101))
    theirs = OLS(y, x).fit(cov_type=kind.upper(), use_t=True)
    table = summarize(found, kind=kind)
    np.testing.assert_allclose(covariance(found, kind=kind).matrix, theirs.cov_params(), rtol=1e-10)
    np.testing.assert_allclose(table["p_value"], theirs.pvalues, rtol=1e-9)
    np.testing.assert_allclose(table[["ci_low", "ci_high"]], theirs.conf_int(), rtol=1e-9)
    assert (table["df"] == 37).all()


def test_hc0_is_the_influence_function():
    _, found, *_ = regression(np.random.default_rng(1), weights=True)
    np.testing.assert_allclose(covariance(found, kind="hc0").matrix, covariance(found).matrix, rtol=1e-12)


def test_conventional_errors_equal_an_independent_implementation():
    _, found, y, x = regression(np.random.default_rng(20250101))
    np.testing.assert_allclose(covariance(found, kind="conventional").matrix, OLS(y, x).fit().cov_params(), rtol=1e-10)


def test_a_row_with_leverage_one_adds_nothing():
    # Only the first unit has b = 1: it is fitted exactly, and HC2 would divide zero by zero.
    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(20), np.arange(20) == 0])
    fit = weighted_least_squares(rng.normal(size=20), x, ["constant", "b"])
    found = fit.to_effects([1, 0], pd.DataFrame({"term": ["constant"]}))
    expected = fit.residuals[1:] / np.sqrt(1 - 1 / 19)
    np.testing.assert_allclose(covariance(found, kind="hc2").matrix[0, 0], np.sum((expected / 19) ** 2))


@pytest.mark.parametrize("correction", [False, True])
def test_one_way_cr_errors_equal_an_independent_implementation(correction):
    rng = np.random.default_rng(20250101)
    _, found, y, x = regression(rng)
    code = rng.integers(0, 8, 40)
    theirs = OLS(y, x).fit(
        cov_type="cluster", cov_kwds={"groups": code, "use_correction": correction, "df_correction": True}, use_t=True
    )
    table = summarize(found, clusters(code), kind="cr1" if correction else "cr0")
    np.testing.assert_allclose(table["std_error"], theirs.bse, rtol=1e-10)
    np.testing.assert_allclose(table["p_value"], theirs.pvalues, rtol=1e-9)


def test_two_way_cr1_has_one_factor_from_the_smaller_clustering():
    rng = np.random.default_rng(20250101)
    a, b = rng.integers(0, 9, 40), rng.integers(0, 5, 40)
    fit = weighted_least_squares(rng.normal(size=9)[a] + rng.normal(size=5)[b], np.ones((40, 1)), ["constant"])
    found = fit.to_effects([1.0], pd.DataFrame({"term": ["ate"]}))
    parts = [covariance(found, clusters(code), kind="cr0").matrix for code in (a, b, a * 10 + b)]
    expected = (parts[0] + parts[1] - parts[2]) * 5 / 4 * 39 / 39
    two = covariance(found, clusters(a, b), kind="cr1")
    np.testing.assert_allclose(two.matrix, expected, rtol=1e-10)
    np.testing.assert_array_equal(two.df, 4.0)


def test_cr_errors_without_clusters_take_each_unit_as_one():
    fit, found, *_ = regression(np.random.default_rng(5))
    np.testing.assert_allclose(covariance(found, kind="cr2").matrix, covariance(found, kind="hc2").matrix, rtol=1e-10)
    np.testing.assert_allclose(covariance(found, kind="cr3").matrix, covariance(found, kind="hc3").matrix, rtol=1e-10)
    np.testing.assert_allclose(covariance(found, kind="cr0").matrix, covariance(found, kind="hc0").matrix, rtol=1e-10)
    assert (covariance(found, kind="cr2").df < fit.n_rows).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_cr3_is_the_jackknife_over_clusters(weighted):
    rng = np.random.default_rng(20250101)
    fit, found, y, x = regression(rng, weights=weighted)
    code = rng.integers(0, 6, 40)
    without = [
        weighted_least_squares(y[code != g], x[code != g], list("abc"), fit.weights[code != g]).coefficients
        for g in range(6)
    ]
    moves = np.array(without) - fit.coefficients
    np.testing.assert_allclose(covariance(found, clusters(code), kind="cr3").matrix, moves.T @ moves, rtol=1e-9)


def dense_cr2(fit, code, contrast):
    """CR2 variance and degrees of freedom with N × N matrices, straight from Pustejovsky and Tipton (2018)."""
    root = np.sqrt(fit.weights)
    x, e, w = fit.design / root[:, None], fit.residuals / root, np.diag(fit.weights)
    bread = np.linalg.inv(x.T @ w @ x)
    left = np.eye(len(x)) - x @ bread @ x.T @ w
    working = left @ left.T
    columns, variance = [], 0.0
    for g in np.unique(code):
        rows = np.flatnonzero(code == g)
        values, vectors = np.linalg.eigh(working[np.ix_(rows, rows)])
        half = (vectors * np.where(values > 1e-10, np.abs(values) ** -0.5, 0)) @ vectors.T
        u = half @ w[np.ix_(rows, rows)] @ x[rows] @ bread @ contrast
        variance += (u @ e[rows]) ** 2
        columns.append(left[rows].T @ u)
    p = np.array(columns) @ np.array(columns).T
    return variance, np.trace(p) ** 2 / np.trace(p @ p)


@pytest.mark.parametrize("weighted", [False, True])
def test_cr2_equals_its_definition_with_dense_matrices(weighted):
    rng = np.random.default_rng(20250101)
    fit, found, *_ = regression(rng, weights=weighted)
    code = np.sort(rng.integers(0, 7, 40))
    ours = covariance(found, clusters(code), kind="cr2")
    for k in range(3):
        variance, df = dense_cr2(fit, code, np.eye(3)[k])
        np.testing.assert_allclose(ours.matrix[k, k], variance, rtol=1e-9)
        np.testing.assert_allclose(ours.df[k], df, rtol=1e-9)


def test_cr2_uses_the_generalised_inverse_for_a_cluster_that_alone_has_a_column():
    rng = np.random.default_rng(20250101)
    code = np.repeat(np.arange(8), 5)
    x = np.column_stack([np.ones(40), rng.normal(size=40), code == 3])
    fit = weighted_least_squares(rng.normal(size=40), x, ["constant", "a", "b"])
    found = fit.to_effects(np.eye(3)[:2], pd.DataFrame({"term": ["constant", "a"]}))
    ours = covariance(found, clusters(code), kind="cr2")
    for k in range(2):
        variance, df = dense_cr2(fit, code, np.eye(3)[k])
        np.testing.assert_allclose([ours.matrix[k, k], ours.df[k]], [variance, df], rtol=1e-8)


def test_rows_of_weight_zero_do_not_touch_cr2():
    rng = np.random.default_rng(20250101)
    fit, found, y, x = regression(rng, weights=True)
    code, w = rng.integers(0, 7, 40), fit.weights.copy()
    w[:3] = 0
    full = weighted_least_squares(y, x, list("abc"), w).to_effects(np.eye(3), found.labels)
    part = weighted_least_squares(y[3:], x[3:], list("abc"), w[3:]).to_effects(np.eye(3), found.labels)
    for kind in ("cr1", "cr2"):
        ours = covariance(full, clusters(code), kind=kind).matrix
        np.testing.assert_allclose(ours, covariance(part, clusters(code[3:]), kind=kind).matrix, rtol=1e-10)


def test_the_convention_is_said_in_words():
    said = covariance(effects([[1.0], [-1.0]]), clusters(["x", "y"])).describe()
    assert said == "influence function, population scaling, normal interval; clusters: cluster_1 (2)"
    assert set(DESCRIPTIONS) >= {"influence", "hc0", "hc1", "hc2", "hc3", "cr0", "cr1", "cr2", "cr3", "conventional"}


# tables ---------------------------------------------------------------------------------------------------------------


def test_a_reference_has_no_standard_error_and_says_why():
    table = summarize(effects([[1.0, 0.0], [-1.0, 0.0]], [2.0, 0.0]), band_seed=1)
    assert table["reason"].tolist() == ["", REFERENCE]
    assert np.isnan(table.loc[1, "std_error"])
    assert np.isnan(table.loc[1, "band_low"])


def test_the_band_of_one_effect_is_its_interval():
    row = summarize(effects(centered(np.random.default_rng(1), 200, 1)), band_seed=1).iloc[0]
    assert row["band_high"] == pytest.approx(row["ci_high"], rel=0.03)
    assert row["band_high"] >= row["ci_high"]


def test_the_band_of_independent_effects_is_sidaks():
    # Ten independent effects: P(max |t| ≤ c) = (2Φ(c) - 1)¹⁰ = 0.95 at c = 2.800.
    influence = np.vstack([np.eye(10), -np.eye(10)])
    row = summarize(effects(influence), band_seed=1).iloc[0]
    exact = stats.norm.ppf((1 + 0.95**0.1) / 2)
    assert row["band_high"] / row["std_error"] == pytest.approx(exact, rel=0.01)


def test_the_band_with_few_degrees_of_freedom_is_wider():
    rng = np.random.default_rng(20250101)
    _, found, *_ = regression(rng)
    code = np.repeat(np.arange(8), 5)
    t = summarize(found, clusters(code), kind="cr1", band_seed=1)
    critical = ((t["band_high"] - t["estimate"]) / t["std_error"]).to_numpy()
    assert (critical > stats.t.ppf(0.975, 7)).all()
    assert (critical < stats.t.ppf(1 - 0.025 / 3, 7)).all()  # Bonferroni is the worst case


def test_bands_depend_on_the_seed_and_on_nothing_else():
    found = effects(centered(np.random.default_rng(1), 50, 4))
    pd.testing.assert_frame_equal(summarize(found, band_seed=1), summarize(found, band_seed=1))
    moved = summarize(found, band_seed=2)["band_high"] / summarize(found, band_seed=1)["band_high"]
    assert moved.ne(1).all()
    assert moved.sub(1).abs().max() < 0.02


def test_without_a_seed_there_are_no_bands():
    assert summarize(effects([[1.0], [-1.0]]))["band_low"].isna().all()


def test_the_level_sets_the_width():
    row = summarize(effects([[1.0], [-1.0]]), level=0.90).iloc[0]
    assert row["ci_high"] / row["std_error"] == pytest.approx(stats.norm.ppf(0.95))


def test_effects_without_influence_keep_their_estimate_and_say_so():
    none = effects(np.zeros((0, 1)), [3.0], kind="permutation")
    row = summarize(none).iloc[0]
    assert row["estimate"] == 3.0
    assert np.isnan(row["std_error"])
    assert row["reason"] == "the method gives no standard error"


def test_a_ready_covariance_is_used_as_it_is():
    ready = Covariance(matrix=np.array([[4.0]]), df=np.array([np.inf]), kind="abadie_imbens")
    assert summarize(effects([[1.0], [-1.0]]), covariance=ready)["std_error"].tolist() == [2.0]


# few clusters ---------------------------------------------------------------------------------------------------------


def two_arms(n_treated_clusters, n_comparison_clusters, size=3):
    n_clusters = n_treated_clusters + n_comparison_clusters
    code = np.repeat(np.arange(n_clusters), size)
    treated = code < n_treated_clusters
    influence = centered(np.random.default_rng(1), len(code), 1)
    return effects(influence, arms=Arms.of(treated, 1)), clusters(code), pd.Series(treated)


@pytest.mark.parametrize(
    ("treated", "comparison", "refused"),
    [(6, 6, ""), (5, 30, "treated clusters: 5"), (30, 5, "comparison clusters: 5")],
)
def test_fewer_than_six_clusters_on_a_side_have_a_standard_error_but_no_test(treated, comparison, refused):
    found, table, _ = two_arms(treated, comparison)
    row = summarize(found, table, band_seed=1).iloc[0]
    assert row["std_error"] > 0
    assert np.isnan(row["p_value"]) == bool(refused)
    assert np.isnan(row["ci_low"]) == np.isnan(row["band_low"]) == bool(refused)
    assert row["reason"].startswith(refused)
    assert bool(row["reason"]) == bool(refused)


def test_a_method_with_its_own_inference_is_not_refused():
    found, table, _ = two_arms(3, 3)
    assert summarize(found, table, few_clusters="own").iloc[0]["reason"] == ""


def test_treatment_by_unit_can_be_given_with_the_question():
    found, table, treated = two_arms(3, 30)
    plain = effects(found.dense())
    assert summarize(plain, table).iloc[0]["reason"] == ""
    assert summarize(plain, table, treated_by_unit=treated).iloc[0]["reason"].startswith("treated clusters: 3")


def test_without_clusters_units_are_counted():
    influence = centered(np.random.default_rng(1), 20, 1)
    row = summarize(effects(influence, arms=Arms.of(np.arange(20) < 1, 1))).iloc[0]
    assert row["reason"].startswith("treated units: 1")


def test_a_cluster_with_both_arms_counts_on_both_sides():
    code = np.repeat(np.arange(6), 4)
    found = effects(centered(np.random.default_rng(1), 24, 1), arms=Arms.of(np.arange(24) % 2 == 0, 1))
    assert summarize(found, clusters(code)).iloc[0]["reason"] == ""


def test_each_of_several_clusterings_must_have_enough():
    found, table, _ = two_arms(8, 8)
    table = table.assign(cluster_2=np.arange(48) % 4)
    assert "treated clusters: 4" in summarize(found, table).iloc[0]["reason"]


def test_treatment_must_be_known_for_all_units():
    found, table, treated = two_arms(8, 8)
    with pytest.raises(InternalError, match="E-IMP-029"):
        summarize(found, table, treated_by_unit=treated.iloc[1:])


# joint tests ----------------------------------------------------------------------------------------------------------


def test_a_joint_test_by_hand():
    # Independent effects 1 and 2 with standard errors ½ and 1: W = 2² + 2² = 8, chi-squared with 2 degrees of freedom.
    influence = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]]) * np.sqrt(2)
    found = wald(effects(influence, [1.0, 2.0]))
    assert found.statistic == pytest.approx(8.0)
    assert (found.df, found.reason) == (2, "")
    assert found.p_value == pytest.approx(stats.chi2.sf(8, 2))


def test_a_joint_test_with_finite_degrees_of_freedom_is_an_f_test():
    _, found, y, x = regression(np.random.default_rng(20250101))
    theirs = OLS(y, x).fit(cov_type="HC1", use_t=True).f_test(np.eye(3)[1:])
    ours = wald(found, None, np.eye(3)[1:], kind="hc1")
    assert ours.df_denominator == 37
    assert ours.statistic / 2 == pytest.approx(float(theirs.fvalue))
    assert ours.p_value == pytest.approx(float(theirs.pvalue))


def test_a_joint_test_does_not_depend_on_the_units_of_measurement():
    rng = np.random.default_rng(1)
    influence, estimate = centered(rng, 100, 3), rng.normal(size=3) / 10
    scale = np.array([1e-6, 1.0, 1e6])
    assert wald(effects(influence * scale, estimate * scale)).statistic == pytest.approx(
        wald(effects(influence, estimate)).statistic
    )


def test_references_are_left_out_of_a_joint_test():
    influence = np.column_stack([centered(np.random.default_rng(1), 50, 2), np.zeros(50)])
    assert wald(effects(influence, [0.1, 0.1, 0.0])).df == 2


def test_a_rank_deficient_joint_test_gives_a_reason_instead_of_a_number():
    one = centered(np.random.default_rng(1), 50, 1)
    found = wald(effects(np.hstack([one, 2 * one]), [1.0, 2.0]))
    assert np.isnan(found.statistic)
    assert np.isnan(found.p_value)
    assert found.reason == "the covariance of the 2 estimates has rank 1: no joint test"


def test_more_effects_than_clusters_cannot_be_tested_jointly():
    found = wald(effects(centered(np.random.default_rng(1), 60, 8)), clusters(np.arange(60) % 6))
    assert "rank" in found.reason


def test_nothing_to_test_is_said():
    assert wald(effects([[0.0], [0.0]])).reason == "there is nothing to test"


def test_a_joint_test_with_few_treated_clusters_is_refused():
    found, table, _ = two_arms(2, 30)
    assert wald(found, table).reason.startswith("treated clusters: 2")


# refusals -------------------------------------------------------------------------------------------------------------


def test_a_unit_in_two_clusters_is_refused():
    frame = pd.DataFrame({"unit": ["a", "a", "b"], "cluster_1": ["x", "y", "x"]})
    with pytest.raises(DataError, match="E-IMP-020") as refusal:
        cluster_table(frame, ["cluster_1"])
    assert "'a'" in refusal.value.found


def test_a_cluster_table_has_one_row_a_unit():
    frame = pd.DataFrame({"unit": ["a", "a", "b"], "cluster_1": ["x", "x", "y"]})
    assert cluster_table(frame, ["cluster_1"])["cluster_1"].to_dict() == {"a": "x", "b": "y"}


def test_effects_without_influence_have_no_covariance():
    with pytest.raises(InternalError, match="E-IMP-021"):
        covariance(effects(np.zeros((0, 1)), kind="jackknife"))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ParametersError, match="E-IMP-022"):
        covariance(effects([[1.0], [-1.0]]), kind="robust")


@pytest.mark.parametrize("kind", ["conventional", "hc1", "hc2", "cr1", "cr2", "cr3"])
def test_corrections_need_a_regression(kind):
    with pytest.raises(ParametersError, match="E-IMP-023"):
        covariance(effects([[1.0], [-1.0]]), kind=kind)


@pytest.mark.parametrize("kind", ["hc2", "conventional"])
def test_errors_for_independent_units_refuse_clusters(kind):
    _, found, *_ = regression(np.random.default_rng(1))
    with pytest.raises(ParametersError, match="E-IMP-024"):
        covariance(found, clusters(np.arange(40) % 8), kind=kind)


def test_a_cluster_table_with_repeated_units_is_refused():
    table = pd.DataFrame({"c": [1, 2, 2]}, index=[0, 1, 1])
    with pytest.raises(InternalError, match="E-IMP-025"):
        covariance(effects([[1.0], [-1.0]]), table)


def test_a_unit_missing_in_the_cluster_table_is_an_error():
    with pytest.raises(DataError, match="E-IMP-026") as refusal:
        covariance(effects([[1.0], [-1.0]]), pd.DataFrame({"c": [1, 2]}, index=[0, 7]))
    assert "[1]" in refusal.value.found


def test_a_unit_without_a_cluster_is_an_error():
    with pytest.raises(DataError, match="E-IMP-027"):
        covariance(effects([[1.0], [-1.0]]), clusters(["x", None]))


def test_a_single_cluster_is_an_error():
    with pytest.raises(DataError, match="E-IMP-028"):
        covariance(effects([[1.0], [-1.0]]), clusters(["x", "x"]))


def test_cr3_is_refused_where_a_coefficient_hangs_on_one_cluster():
    code = np.repeat(np.arange(8), 5)
    x = np.column_stack([np.ones(40), code == 3])
    fit = weighted_least_squares(np.random.default_rng(1).normal(size=40), x, ["constant", "b"])
    found = fit.to_effects(np.eye(2), pd.DataFrame({"term": ["constant", "b"]}))
    with pytest.raises(DataError, match="E-IMP-030"):
        covariance(found, clusters(code), kind="cr3")


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_not_a_share_is_refused(level):
    with pytest.raises(ParametersError, match="E-IMP-031"):
        summarize(effects([[1.0], [-1.0]]), level=level)


def test_leverage_corrections_refuse_absorbed_fixed_effects():
    rng = np.random.default_rng(1)
    unit = pd.Index(np.repeat(np.arange(10), 4))
    fit = two_way(rng.normal(size=40), rng.normal(size=(40, 1)), ["a"], unit=unit)
    found = fit.to_effects([1.0], pd.DataFrame({"term": ["a"]}), unit)
    with pytest.raises(ParametersError, match="E-IMP-040"):
        covariance(found, kind="cr2")
