"""Wild cluster bootstrap: refits draw by draw, enumeration, intervals by inversion, scores, few clusters, refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import ParametersError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.inference import covariance, summarize, wild_test, with_wild_tests
from evaluation.impact.inference.clustering import cluster_codes
from evaluation.impact.inference.few import REFERENCE
from evaluation.impact.inference.multipliers import multipliers
from evaluation.impact.inference.wild import _setting
from evaluation.impact.inference.wild_draws import affine_draws
from evaluation.impact.panel_regression import two_way
from evaluation.impact.regression import weighted_least_squares

LABELS = pd.DataFrame({"term": ["att"]})


def table(*codes):
    return pd.DataFrame({f"cluster_{k}": code for k, code in enumerate(codes, start=1)})


def data(seed=20250101, n=120, n_clusters=9):
    """Rows in random clusters of unequal size, a treatment by cluster, a covariate and correlated errors."""
    rng = np.random.default_rng(seed)
    code = np.r_[np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)]
    treated = code < n_clusters // 2
    x = np.column_stack([treated + 0.3 * rng.normal(size=n), rng.normal(size=n)])
    y = x @ [0.4, 1.0] + rng.normal(size=n_clusters)[code] + rng.normal(size=n)
    return y, x, code, rng


# refits draw by draw --------------------------------------------------------------------------------------------------


def cr1(x, residual, c, bread, codes, k):
    """Squared standard error of c′b with the factor G/(G-1) (N-1)/(N-k), smallest G; inclusion and exclusion."""
    score = (x @ bread @ c) * residual
    total = 0.0
    for chosen in range(1, 2 ** len(codes)):
        names = [j for j in range(len(codes)) if chosen >> j & 1]
        groups = np.bincount(sum(codes[j] * 20**place for place, j in enumerate(names)), weights=score)
        total += (-1) ** (len(names) + 1) * float((groups**2).sum())
    g = min(len(np.unique(code)) for code in codes)
    return total * g / (g - 1) * (len(x) - 1) / (len(x) - k)


def refits(y, x, w, codes, c, r, draws, *, restricted, k):
    """t statistics of complete weighted regressions on the outcomes of each draw, dummies and all."""
    root = np.sqrt(w)
    xw, yw = x * root[:, None], y * root
    bread = np.linalg.pinv(xw.T @ xw)
    beta = bread @ xw.T @ yw
    step = bread @ c * (c @ beta - r) / (c @ bread @ c)
    base = beta - step if restricted else beta
    fitted, residual = xw @ base, yw - xw @ base
    out = []
    smallest = min(codes, key=lambda code: len(np.unique(code)))
    for v in draws:
        new = fitted + v[smallest] * residual
        again = bread @ xw.T @ new
        centre = r if restricted else c @ beta
        out.append((c @ again - centre) / np.sqrt(cr1(xw, new - xw @ again, c, bread, codes, k)))
    t = (c @ beta - r) / np.sqrt(cr1(xw, yw - xw @ beta, c, bread, codes, k))
    return t, np.array(out)


def drawn_for(found, codes, *, restricted, law="rademacher", draws=199):
    setting = _setting(found, cluster_codes(found.units, codes), None, score=False)
    return affine_draws(setting.forms, law, draws, 5, restricted=restricted)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("c", [[0, 1.0, 0], [0, 1.0, -2.0]])
def test_draws_equal_refits(restricted, weighted, c):
    y, x, code, rng = data()
    w = rng.uniform(0.3, 3, len(y)) if weighted else np.ones(len(y))
    design = np.column_stack([np.ones(len(y)), x])
    found = weighted_least_squares(y, design, ["one", "a", "b"], w).to_effects(np.array(c), LABELS)
    for r in (0.0, 0.7):
        t, naive = refits(y, design, w, [code], np.array(c), r, multipliers_of(9, 199), restricted=restricted, k=3)
        drawn = drawn_for(found, table(code), restricted=restricted)
        delta = found.estimate[0] - r
        np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-11)
        # The same refits by other algebra: twelve digits, less what cancels when a draw's residuals are small.
        np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-10)
        test = wild_test(found, table(code), hypothesis=r, law="rademacher", draws=199, seed=5, restricted=restricted)
        p_value = (1 + (np.abs(naive) >= abs(t) * (1 - 1e-9)).sum()) / 200
        if restricted or test.reason == "":
            assert test.p_value == pytest.approx(p_value, abs=1e-12)
            assert test.p_value_strict == pytest.approx((np.abs(naive) > abs(t) * (1 + 1e-9)).mean(), abs=1e-12)


def multipliers_of(n, draws, law="rademacher", seed=5):
    return np.vstack(list(multipliers(law, n, draws, seed))).astype(float)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("n_clusterings", [2, 3])
def test_draws_with_several_clusterings_equal_refits(restricted, n_clusterings):
    y, x, code, rng = data(n=240)
    others = [rng.integers(0, 14, len(y)), rng.integers(0, 11, len(y))]
    codes = [others[0], code, others[1]][:n_clusterings]  # the smallest is not the first
    design = np.column_stack([np.ones(len(y)), x])
    found = weighted_least_squares(y, design, ["one", "a", "b"]).to_effects([0, 1.0, 0], LABELS)
    c = np.array([0, 1.0, 0])
    with np.errstate(invalid="ignore"):
        t, naive = refits(y, design, np.ones(len(y)), codes, c, 0.2, multipliers_of(9, 199), restricted=restricted, k=3)
    drawn = drawn_for(found, table(*codes), restricted=restricted)
    delta = found.estimate[0] - 0.2
    np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-11)
    np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-8, equal_nan=True)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_with_fixed_effects_equal_refits_with_dummies(restricted, crossing, weighted):
    # Villages lie within clusters, periods cross them: their constants answer to each draw.
    rng = np.random.default_rng(11)
    village, period = np.repeat(np.arange(27), 6), np.tile(np.arange(6), 27)
    keep = rng.random(len(village)) > 0.15
    village, period = np.unique(village[keep], return_inverse=True)[1], period[keep]
    code = village % 9
    x = (code < 4) * (period >= 3) + 0.5 * rng.normal(size=len(village))
    y = 0.3 * x + rng.normal(size=27)[village] + rng.normal(size=(9, 6))[code, period] + rng.normal(size=len(x))
    w = rng.uniform(0.3, 3, len(y)) if weighted else np.ones(len(y))
    unit = pd.Index(village)
    fit = two_way(y, x[:, None], ["x"], unit=unit, period=period if crossing else None, weights=w)
    found = fit.to_effects([1.0], LABELS, unit)
    blocks = [x, pd.get_dummies(village).to_numpy(dtype=float)]
    blocks += [pd.get_dummies(period).to_numpy(dtype=float)[:, 1:]] if crossing else []
    design = np.column_stack(blocks)
    c = np.eye(design.shape[1])[0]
    k = 1 + 1 + (5 if crossing else 0)  # villages are nested and count once (fixest)
    t, naive = refits(y, design, w, [code], c, 0.1, multipliers_of(9, 199), restricted=restricted, k=k)
    codes = pd.DataFrame({"c": pd.Series(code).groupby(village).first()})
    drawn = drawn_for(found, codes, restricted=restricted)
    delta = found.estimate[0] - 0.1
    np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-10)
    np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-8)


# enumeration and p-values ---------------------------------------------------------------------------------------------


def slope(n_clusters=9, n=120, seed=20250101):
    y, x, code, _ = data(seed, n, n_clusters)
    design = np.column_stack([np.ones(n), x])
    return weighted_least_squares(y, design, ["one", "a", "b"]).to_effects([0, 1.0, 0], LABELS), table(code)


def test_few_clusters_are_enumerated_and_the_sample_is_one_of_the_draws():
    found, codes = slope()
    test = wild_test(found, codes, law="rademacher")
    assert (test.enumerated, test.draws) == (True, 512)
    drawn = drawn_for(found, codes, restricted=True, draws=9999)
    t = np.abs(drawn.statistics(found.estimate[0]))
    # All multipliers 1 or all -1 give the sample back, apart from its sign: two ties.
    assert np.isclose(t, abs(test.statistic), rtol=1e-12).sum() == 2
    assert test.p_value == pytest.approx((t >= abs(test.statistic) * (1 - 1e-9)).mean())
    assert test.p_value - test.p_value_strict == pytest.approx(2 / 512)
    assert (test.p_value * 512) % 1 == pytest.approx(0.0)


@pytest.mark.parametrize(("law", "n_clusters", "number"), [("webb", 5, 7776), ("webb", 6, 9999), (None, 5, 7776)])
def test_webb_is_enumerated_where_its_combinations_are_few(law, n_clusters, number):
    found, codes = slope(n_clusters)
    test = wild_test(found, codes, law=law)
    assert (test.law, test.draws, test.enumerated) == ("webb", number, number == 7776)


def test_random_draws_approach_all_combinations():
    found, codes = slope()
    exact = wild_test(found, codes, law="rademacher")
    drawn = wild_test(found, codes, law="rademacher", draws=511)
    assert not drawn.enumerated
    # Standard deviation of a share over 511 draws: at most .022.
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.07)


def test_the_law_follows_the_number_of_clusters():
    for n_clusters, law in ((12, "webb"), (13, "rademacher")):
        assert wild_test(*slope(n_clusters)).law == law


@pytest.mark.parametrize("law", ["rademacher", "webb", "mammen"])
def test_laws_agree_where_clusters_are_many(law):
    found, codes = slope(40, n=400)
    p = wild_test(found, codes, law=law).p_value
    assert p == pytest.approx(wild_test(found, codes, law="rademacher", seed=9).p_value, abs=0.04)


def test_equal_tails_take_twice_the_smaller_one():
    found, codes = slope()
    drawn = drawn_for(found, codes, restricted=True, draws=9999)
    t, sample = drawn.statistics(found.estimate[0]), found.estimate[0] / drawn.sigma
    tails = (t >= sample * (1 - 1e-9)).mean(), (t <= sample * (1 + 1e-9)).mean()
    test = wild_test(found, codes, law="rademacher", tails="equal")
    assert test.p_value == pytest.approx(min(1.0, 2 * min(tails)))
    assert test.p_value >= test.p_value_strict


def test_blocks_and_seeds():
    found, codes = slope(30, n=300)
    assert wild_test(found, codes, seed=3) == wild_test(found, codes, seed=3)
    assert wild_test(found, codes, seed=3).p_value != wild_test(found, codes, seed=4).p_value


# intervals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("tails", ["symmetric", "equal"])
@pytest.mark.parametrize("n_clusters", [14, 30])
def test_the_interval_holds_the_hypotheses_that_are_not_rejected(restricted, tails, n_clusters):
    found, codes = slope(n_clusters, n=200)
    options = {"restricted": restricted, "tails": tails, "draws": 999, "level": 0.9}
    test = wild_test(found, codes, **options)
    assert test.ci_low < test.estimate < test.ci_high
    width = test.ci_high - test.ci_low
    for end, side in ((test.ci_low, -1), (test.ci_high, 1)):
        assert wild_test(found, codes, hypothesis=end - side * 1e-8 * width, **options).p_value > 0.1
        assert wild_test(found, codes, hypothesis=end + side * 1e-8 * width, **options).p_value <= 0.1


def test_an_interval_is_infinite_where_no_hypothesis_can_be_rejected():
    # Two clusters a side: of 2⁴ draws two are the sample's own, so that p is never below 1/8.
    y, _, code, _ = data(n_clusters=4, n=60)
    treated = (code < 2).astype(float)
    fit = weighted_least_squares(y, np.column_stack([np.ones(60), treated]), ["one", "a"])
    test = wild_test(fit.to_effects([0, 1.0], LABELS), table(code), law="rademacher")
    assert (test.ci_low, test.ci_high) == (-np.inf, np.inf)
    assert test.p_value >= 1 / 8


def test_the_unit_of_the_outcome_does_not_matter():
    y, x, code, _ = data()
    design = np.column_stack([np.ones(len(y)), x])

    def test_of(outcome):
        found = weighted_least_squares(outcome, design, ["one", "a", "b"]).to_effects([0, 1.0, 0], LABELS)
        return wild_test(found, table(code))

    one, other = test_of(y), test_of(-1e6 * y)
    assert (one.p_value, one.p_value_strict) == (other.p_value, other.p_value_strict)
    np.testing.assert_allclose([other.ci_low, other.ci_high], [-1e6 * one.ci_high, -1e6 * one.ci_low], rtol=1e-9)


# scores ---------------------------------------------------------------------------------------------------------------


def two_means(seed=3, n=160, n_clusters=10, within=False):
    """A difference of two means by regression, and the same effect with its influences alone."""
    rng = np.random.default_rng(seed)
    code = np.r_[np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)]
    treated = rng.random(n) < 0.5 if within else code < 4
    y = 0.5 * treated + rng.normal(size=n_clusters)[code] + rng.normal(size=n)
    fit = weighted_least_squares(y, np.column_stack([np.ones(n), treated]), ["one", "treated"])
    found = fit.to_effects([0, 1.0], LABELS, arms=Arms.of(treated, 1))
    alone = Effects(estimate=found.estimate, labels=LABELS, influence=found.dense(), units=found.units, arms=found.arms)
    return found, alone, table(code)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("within", [False, True])
def test_scores_of_a_difference_in_means_are_its_wild_bootstrap(restricted, within):
    found, alone, codes = two_means(within=within, n_clusters=14)
    options = {"restricted": restricted, "draws": 999, "treated_by_unit": pd.Series(np.arange(160) % 2 == 0)}
    wild = wild_test(found, codes, **options)
    score = wild_test(alone, codes, **options | {"treated_by_unit": None, "restricted": restricted})
    if score.reason:  # too few treated clusters where the hypothesis is not imposed
        assert not restricted
        score = wild_test(found, codes, score=True, restricted=True, draws=999)
        wild = wild_test(found, codes, restricted=True, draws=999)
    assert (wild.kind, score.kind) == ("wild", "score")
    assert score.p_value == wild.p_value
    np.testing.assert_allclose([score.ci_low, score.ci_high], [wild.ci_low, wild.ci_high], rtol=1e-9)
    # CR1 beside the influence function: the factor G/(G-1) (N-1)/(N-k).
    np.testing.assert_allclose(score.std_error * np.sqrt(14 / 13 * 159 / 158), wild.std_error, rtol=1e-12)


def test_scores_without_arms_are_the_wild_bootstrap_of_a_mean():
    rng = np.random.default_rng(5)
    code = np.arange(90) % 11
    y = 0.3 + rng.normal(size=11)[code] + rng.normal(size=90)
    found = weighted_least_squares(y, np.ones((90, 1)), ["one"]).to_effects([1.0], LABELS)
    score, wild = wild_test(found, table(code), score=True), wild_test(found, table(code))
    assert score.p_value == wild.p_value
    np.testing.assert_allclose([score.ci_low, score.ci_high], [wild.ci_low, wild.ci_high], rtol=1e-9)


def test_units_outside_the_effect_change_no_score():
    _, alone, codes = two_means()
    outside = np.r_[alone.arms.codes, np.full(40, -1)]
    wider = Effects(
        estimate=alone.estimate,
        labels=LABELS,
        influence=np.r_[alone.dense() * 200 / 160, np.zeros((40, 1))],
        units=pd.RangeIndex(200),
        arms=Arms(codes=outside, treated=alone.arms.treated, comparison=alone.arms.comparison),
    )
    wider_codes = table(np.r_[codes["cluster_1"], np.arange(40) % 10])
    one, other = wild_test(alone, codes), wild_test(wider, wider_codes)
    assert one.p_value == other.p_value
    np.testing.assert_allclose([one.std_error, one.ci_low], [other.std_error, other.ci_low], rtol=1e-10)


def test_scores_take_several_clusterings():
    found, alone, codes = two_means()
    codes = codes.assign(month=np.arange(160) % 12)
    test = wild_test(alone, codes)
    assert test.std_error == pytest.approx(covariance(alone, codes).std_error[0], rel=1e-12)
    assert test.bootstrapped == "cluster_1"
    assert "residuals by cluster_1" in test.describe()
    assert test.p_value == wild_test(found, codes).p_value


def test_a_nonlinear_function_of_coefficients_is_tested_by_its_scores():
    y, x, code, _ = data()
    fit = weighted_least_squares(y, np.column_stack([np.ones(len(y)), x]), ["one", "a", "b"])
    both = fit.to_effects(np.eye(3)[1:], pd.DataFrame({"term": ["a", "b"]}))
    ratio = both.nonlinear(lambda b: b[:1] / b[1:], lambda b: np.array([[1 / b[1], -b[0] / b[1] ** 2]]), LABELS)
    test = wild_test(ratio, table(code))
    assert test.kind == "score"
    assert test.std_error == pytest.approx(covariance(ratio, table(code)).std_error[0])
    assert wild_test(both, table(code), row=1).kind == "wild"


# standard errors, few clusters, refusals ------------------------------------------------------------------------------


def test_the_standard_error_is_that_of_the_named_convention():
    found, codes = slope()
    two = codes.assign(month=np.arange(120) % 7)
    for chosen in (codes, two):
        test = wild_test(found, chosen)
        assert test.std_error == pytest.approx(covariance(found, chosen, kind="cr1").std_error[0], rel=1e-12)
        assert test.statistic == pytest.approx(test.estimate / test.std_error)


def test_without_clusters_each_unit_is_one():
    found, _ = slope(n=40)
    test = wild_test(found, draws=999)
    assert test.clusters == {"unit": 40}
    assert test.std_error == pytest.approx(covariance(found, kind="cr1").std_error[0])


def test_rows_of_one_unit_are_one_cluster_row():
    rng = np.random.default_rng(6)
    unit = pd.Index(np.repeat(np.arange(30), 4))
    x = rng.normal(size=120)
    fit = weighted_least_squares(0.2 * x + rng.normal(size=30)[unit], np.column_stack([np.ones(120), x]), ["one", "x"])
    found = fit.to_effects([0, 1.0], LABELS, unit)
    by_unit = pd.DataFrame({"unit": np.arange(30)})
    assert wild_test(found, by_unit, draws=999).p_value == wild_test(found, draws=999).p_value
    assert wild_test(found, draws=999).std_error == pytest.approx(covariance(found, kind="cr1").std_error[0])


def by_arms(n_treated, n_comparison, size=4):
    rng = np.random.default_rng(1)
    code = np.repeat(np.arange(n_treated + n_comparison), size)
    treated = code < n_treated
    y = treated + rng.normal(size=n_treated + n_comparison)[code] + rng.normal(size=len(code))
    fit = weighted_least_squares(y, np.column_stack([np.ones(len(code)), treated]), ["one", "treated"])
    return fit.to_effects([0, 1.0], LABELS, arms=Arms.of(treated, 1)), table(code)


@pytest.mark.parametrize(("treated", "comparison"), [(1, 49), (49, 1)])
@pytest.mark.parametrize("score", [False, True])
def test_a_single_cluster_on_a_side_is_refused(treated, comparison, score):
    test = wild_test(*by_arms(treated, comparison), score=score)
    assert np.isnan([test.p_value, test.p_value_strict, test.ci_low, test.ci_high, test.statistic]).all()
    side = "treated" if treated == 1 else "comparison"
    assert test.reason.startswith(f"{side} clusters: 1, fewer than 2")
    assert test.std_error > 0
    assert test.draws == 0


def test_few_clusters_are_allowed_with_the_hypothesis_imposed_and_a_caution():
    found, codes = by_arms(3, 20)
    test = wild_test(found, codes)
    assert 0 < test.p_value <= 1
    assert test.caution == (
        "treated clusters: 3, fewer than 6; a 5 % test then rejects a true hypothesis in 0 to 7 % of samples"
    )
    assert test.caution in test.describe()
    assert wild_test(*by_arms(6, 20)).caution == ""


@pytest.mark.parametrize(("treated", "comparison"), [(3, 3), (2, 5)])
def test_fewer_than_eight_clusters_in_all_are_refused(treated, comparison):
    test = wild_test(*by_arms(treated, comparison))
    assert test.reason == f"clusters: {treated + comparison}, fewer than 8; the test is not reliable"
    assert wild_test(*by_arms(2, 6)).reason == ""


def test_six_clusters_with_both_arms_are_enough():
    rng = np.random.default_rng(2)
    code, treated = np.arange(48) % 6, np.arange(48) < 24
    y = rng.normal(size=6)[code] + rng.normal(size=48)
    fit = weighted_least_squares(y, np.column_stack([np.ones(48), treated]), ["one", "treated"])
    test = wild_test(fit.to_effects([0, 1.0], LABELS, arms=Arms.of(treated, 1)), table(code))
    assert (test.reason, test.caution) == ("", "")


def test_without_the_hypothesis_imposed_the_ordinary_rule_holds():
    assert wild_test(*by_arms(5, 20), restricted=False).reason.startswith("treated clusters: 5, fewer than 6")
    assert wild_test(*by_arms(6, 20), restricted=False).reason == ""


def test_treatment_by_unit_can_be_given_with_the_question():
    found, codes = slope()
    treated = pd.Series(codes["cluster_1"].to_numpy() == 0)
    assert wild_test(found, codes, treated_by_unit=treated).reason.startswith("treated clusters: 1")


def test_a_reference_and_an_exact_fit_have_a_reason_instead_of_a_number():
    flat = Effects(
        estimate=np.zeros(2),
        labels=pd.DataFrame({"term": ["a", "b"]}),
        influence=np.array([[2.0, 0.0], [-2.0, 0.0], [2.0, 0.0], [-2.0, 0.0]]),
        units=pd.RangeIndex(4),
    )
    assert wild_test(flat, table([0, 1, 0, 1]), row=1).reason == REFERENCE
    assert wild_test(flat, table([0, 0, 1, 1])).reason == "the standard error is zero"


def test_the_table_takes_wild_tests():
    found, codes = by_arms(4, 20)
    plain = summarize(found, codes)
    assert np.isnan(plain.loc[0, "p_value"])
    wild = with_wild_tests(plain, found, codes, draws=999, seed=2)
    expected = wild_test(found, codes, draws=999, seed=2)
    row = wild.iloc[0]
    assert [row["p_value"], row["ci_low"], row["ci_high"], row["reason"]] == [
        expected.p_value,
        expected.ci_low,
        expected.ci_high,
        "",
    ]
    assert row["std_error"] == plain.loc[0, "std_error"]


@pytest.mark.parametrize(
    ("options", "code"), [({"law": "normal"}, "E-IMP-060"), ({"draws": 0}, "E-IMP-061"), ({"level": 95}, "E-IMP-031")]
)
def test_impossible_choices_are_refused(options, code):
    with pytest.raises(ParametersError, match=code):
        wild_test(*slope(), **options)


def test_the_convention_is_said_in_words():
    found, codes = slope()
    assert wild_test(found, codes, law="rademacher").describe() == (
        "wild cluster bootstrap; hypothesis imposed; Rademacher multipliers (-1 or 1), all 512 combinations; symmetric "
        "tails, interval by test inversion; clusters: cluster_1 (9)"
    )


# size -----------------------------------------------------------------------------------------------------------------


def rejections(n_clusters, n_treated, repetitions, *, score, draws=199):
    """Share of samples without an effect in which a 5 % test rejects: ten rows a cluster, half the variance shared."""
    rng = np.random.default_rng(n_clusters * 100 + n_treated)
    code = np.repeat(np.arange(n_clusters), 10)
    treated = code < n_treated
    design = np.column_stack([np.ones(len(code)), treated])
    found = []
    for repetition in range(repetitions):
        y = rng.normal(size=n_clusters)[code] + rng.normal(size=len(code))
        fit = weighted_least_squares(y, design, ["one", "treated"])
        effect = fit.to_effects([0, 1.0], LABELS, arms=Arms.of(treated, 1))
        found.append(wild_test(effect, table(code), draws=draws, seed=repetition, score=score).p_value)
    return np.mean(np.array(found) <= 0.05)


@pytest.mark.parametrize("score", [False, True])
def test_size_with_fifty_clusters(score):
    # 120 samples: standard error of 5 % is 2 %; three of them.
    assert rejections(50, 25, 120, score=score) <= 0.05 + 3 * 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_clusters", "n_treated", "lowest", "highest"),
    [(50, 25, 0.042, 0.058), (50, 10, 0.042, 0.060), (20, 10, 0.042, 0.060), (20, 3, 0.0, 0.068), (10, 5, 0.042, 0.068),
     (50, 2, 0.0, 0.02)],
)  # fmt: skip
def test_size_by_simulation(n_clusters, n_treated, lowest, highest):
    # 3,000 samples: standard error .4 %; twice that on each side. CR1 rejects in 5, 6, 6, 15, 6 and 31 % of samples.
    assert lowest - 0.008 <= rejections(n_clusters, n_treated, 3000, score=False, draws=399) <= highest + 0.008


@pytest.mark.slow
def test_size_with_serial_correlation_and_two_way_effects():
    # Bertrand, Duflo and Mullainathan (2004): 50 states, 20 years, errors with autocorrelation .8, a law in 25 states.
    rng = np.random.default_rng(20250101)
    state, year = np.repeat(np.arange(50), 20), np.tile(np.arange(20), 50)
    law = ((state < 25) & (year >= 10)).astype(float)
    rejected = []
    for repetition in range(600):
        shocks, error = rng.normal(size=(50, 20)), np.empty((50, 20))
        error[:, 0] = shocks[:, 0] / 0.6
        for t in range(1, 20):
            error[:, t] = 0.8 * error[:, t - 1] + shocks[:, t]
        fit = two_way(error.ravel(), law[:, None], ["law"], unit=pd.Index(state), period=year)
        found = fit.to_effects([1.0], LABELS, fit.units, Arms.of(np.arange(50) < 25, 1))
        states = pd.DataFrame({"state": np.arange(50)})
        rejected.append(wild_test(found, states, draws=199, seed=repetition).p_value <= 0.05)
    assert 0.05 - 3 * 0.009 <= np.mean(rejected) <= 0.05 + 3 * 0.009  # standard error .9 %
