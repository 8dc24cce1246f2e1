"""Matched difference-in-differences: by hand, plain loops, the matching of cross-sections, pairs, flow, refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, ParametersError
from evaluation.impact import did, did_matched, matching
from evaluation.impact.inference import covariance


def staggered(n=90, periods=6, starts=(0, 0, 4, 5), seed=20250101):
    """Cohorts in turn; treated units start from higher levels, and what grows depends on where it starts."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    level = (rng.normal(size=n) + 0.5 * (np.take(starts, np.arange(n) % len(starts)) > 0))[table["unit"]]
    on = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    table["y"] = level * (1 + 0.3 * table["period"]) + 2 * on + 0.5 * rng.normal(size=len(table))
    table["x"] = (level + rng.normal(size=n)[table["unit"]]) * 1.0
    table["w"] = np.exp(0.3 * rng.normal(size=n))[table["unit"]]
    return table


def cells(result):
    labels, errors = result.group_time.labels, covariance(result.group_time).std_error
    keys = zip(labels["cohort"], labels["period"], strict=True)
    return dict(zip(keys, zip(result.group_time.estimate, errors, strict=True), strict=True))


# by hand --------------------------------------------------------------------------------------------------------------


def five_units():
    # Treated A (level 10, change 5) and B (level 20, change 9). Comparison C (level 11, change 1), D (level 18, change
    # 3), E (level 90, change 50). A is nearest to C, B to D: ATT = (5 - 1 + 9 - 3) / 2 = 5. E counts nothing.
    # Influence 5 · ½ · deviation: treated 5 - 7 and 9 - 7, partners -(1 - 2) and -(3 - 2), so ∓5 and ±2.5;
    # standard error = √(25 + 25 + 6.25 + 6.25) / 5.
    rows = [("A", 3, 10, 5), ("B", 3, 20, 9), ("C", 0, 11, 1), ("D", 0, 18, 3), ("E", 0, 90, 50)]
    parts = [(unit, t, cohort, level + (t == 3) * change) for unit, cohort, level, change in rows for t in (1, 2, 3)]
    return pd.DataFrame(parts, columns=["unit", "period", "cohort", "y"])


@pytest.mark.parametrize("replace", [True, False])
def test_five_units_by_hand(panel, replace):
    options = {"distance": "mahalanobis", "lags": 1, "replace": replace}
    result = did_matched.estimate(*panel(five_units(), match=options))
    assert cells(result)[3, 3] == pytest.approx((5.0, np.sqrt(62.5) / 5), abs=1e-12)
    assert cells(result)[3, 2][0] == 0  # nobody moved before
    post = result.group_time.select(result.group_time.labels["period"] == 3)
    influence = pd.Series(post.dense()[:, 0], index=post.units)
    assert influence.to_dict() == pytest.approx({"A": -5, "B": 5, "C": 2.5, "D": -2.5, "E": 0}, abs=1e-12)
    sets = result.tables["matched_sets"]["matched set"]
    assert sets["A"] == sets["C"] != sets["B"] == sets["D"] != sets["E"]


def test_a_partner_that_serves_twice_counts_twice(panel):
    # Without D, B too is nearest to C (level 11; 20 is 9 away from it, 70 from E): ATT = (5 + 9) / 2 - 1 = 6.
    table = five_units().query("unit != 'D'")
    result = did_matched.estimate(*panel(table, match={"distance": "mahalanobis", "lags": 1}))
    assert cells(result)[3, 3][0] == pytest.approx(6.0, abs=1e-12)
    partners = result.tables["partners"]
    assert partners[["unit", "serves", "share"]].to_numpy().tolist() == [["C", 2, 1.0]]
    assert any("serves up to 2" in note for note in result.notes)
    sets = result.tables["matched_sets"]["matched set"]
    assert sets["A"] == sets["B"] == sets["C"]


# what it is equal to --------------------------------------------------------------------------------------------------


def loops(table, *, ratio, comparison, weight=None):
    """Nearest outcomes of the base period, with replacement, one treated unit at a time."""
    wide = table.pivot(index="unit", columns="period", values="y")
    start = table.groupby("unit")["cohort"].first()
    w = pd.Series(1.0, index=wide.index) if weight is None else table.groupby("unit")[weight].first()
    found = {}
    for g in sorted(set(start) - {0}):
        for t in wide.columns[1:]:
            base = g - 1 if t >= g else t - 1
            later = (start > max(t, base)) & (start != g) & (comparison == "not_yet_treated")
            pool = wide.index[(start == 0) | later]
            shares, effects = pd.Series(0.0, index=wide.index), []
            for i in wide.index[start == g]:
                nearest = (wide.loc[pool, g - 1] - wide.loc[i, g - 1]).abs().nsmallest(ratio).index
                shares[nearest] -= w[i] / ratio
                shares[i] += w[i]
            shares /= w[start == g].sum()
            change = wide[t] - wide[base]
            effects = shares @ change
            sides = [shares.clip(lower=0), -shares.clip(upper=0)]
            squares = sum(((side * (change - side @ change)) ** 2).sum() for side in sides)
            found[g, t] = (effects, np.sqrt(squares))
    return found


@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
@pytest.mark.parametrize(("ratio", "weight"), [(1, None), (3, None), (2, "w")])
def test_plain_loops(panel, comparison, ratio, weight):
    table = staggered()
    options = {"distance": "mahalanobis", "lags": 1, "ratio": ratio}
    found = cells(did_matched.estimate(*panel(table, match=options, comparison=comparison, weight=weight)))
    expected = loops(table, ratio=ratio, comparison=comparison, weight=weight)
    assert found.keys() == expected.keys()
    for cell, numbers in expected.items():
        np.testing.assert_allclose(found[cell], numbers, atol=1e-12, err_msg=str(cell))


CASES = [
    {"distance": "propensity_logit"},
    {"distance": "linear_logit", "ratio": 2},
    {"distance": "mahalanobis", "ratio": 2},
    {"distance": "propensity_logit", "replace": False},
    {"distance": "propensity_logit", "caliper": 0.1},
    {"distance": "linear_logit", "replace": False, "ratio": 2, "caliper": 0.3},
]


@pytest.mark.parametrize("options", CASES, ids=lambda case: " ".join(map(str, case.values())))
def test_two_periods_equal_matching_of_the_changes(panel, arms, options):
    """The matching of cross-sections is pinned to MatchIt; its outcome here is the change, its covariates the past."""
    table = staggered(periods=2, starts=(0, 0, 2))
    table["x"] += 0.01 * np.random.default_rng(9).normal(size=len(table))
    result = did_matched.estimate(*panel(table, covariates=("x",), match={"lags": 1} | options))
    wide = table.pivot(index="unit", columns="period", values=["y", "x"])
    treated = table.groupby("unit")["cohort"].first() > 0
    sample, design = arms(
        "matching",
        (wide["y"][2] - wide["y"][1]).to_numpy(),
        treated.to_numpy(),
        {"y1": wide["y"][1].to_numpy(), "x": wide["x"][1].to_numpy()},
        **({"replace": True} | options),
    )
    expected = matching.estimate(sample, design)
    np.testing.assert_allclose(result.headline.estimate, expected.blocks[0].effects.estimate, atol=1e-12)
    lost = {step.step: step.dropped // 2 for step in result.flow}
    unmatched = int((treated.to_numpy() & (expected.balance_weights == 0)).sum())
    assert lost.get("no_partner", 0) == unmatched
    if "caliper" in options:
        assert unmatched
        assert any("which changes what is estimated" in note for note in result.notes)


def test_with_everybody_as_partner_it_is_the_ordinary_difference_in_differences(panel):
    table = staggered()
    everybody = int((table.groupby("unit")["cohort"].first() == 0).sum())
    found = did_matched.estimate(*panel(table, weight=None, match={"ratio": everybody}))
    expected = did.estimate(*panel(table))
    assert found.group_time.labels.equals(expected.group_time.labels)  # the same plan of cells
    order = expected.group_time.units.get_indexer(found.group_time.units)
    for name in ("group_time", "headline"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-12)
        np.testing.assert_allclose(ours.dense(), theirs.dense()[order], atol=1e-10)


# standard errors ------------------------------------------------------------------------------------------------------


def test_clusters_of_pairs_give_the_error_of_abadie_and_spiess(panel):
    """Pairs without replacement: the variance is Σ (d - mean d)² / m² over the m differences of the pairs."""
    table = staggered(periods=2, starts=(0, 0, 0, 2))
    table["y"] *= np.where(table["period"] == 2, 3.0, 1.0)  # the change depends on the level
    result = did_matched.estimate(*panel(table, match={"replace": False, "distance": "mahalanobis"}))
    wide = table.pivot(index="unit", columns="period", values="y")
    sets = result.tables["matched_sets"]
    paired = sets[sets.groupby("matched set")["matched set"].transform("size") == 2]
    sign = np.where(table.groupby("unit")["cohort"].first().loc[paired.index] > 0, 1, -1)
    d = ((wide[2] - wide[1]).loc[paired.index] * sign).groupby(paired["matched set"]).sum()
    assert d.mean() == pytest.approx(result.headline.estimate[0], abs=1e-12)
    clustered = covariance(result.headline, sets).std_error[0]
    assert clustered == pytest.approx(np.sqrt(((d - d.mean()) ** 2).sum()) / len(d), rel=1e-10)
    assert clustered < covariance(result.headline).std_error[0]  # the past explains the change: pairs are alike


def test_weights_multiply_treated_units(panel):
    """A treated unit that counts twice equals two of it; partners keep the weight of those they serve."""
    table = staggered(starts=(0, 0, 4)).assign(w=1.0)
    twice = (table["unit"] % 4 == 0) & (table["cohort"] > 0)
    options = {"match": {"distance": "mahalanobis"}, "weight": "w"}
    weighted = did_matched.estimate(*panel(table.assign(w=1.0 + twice), **options))
    copies = pd.concat([table, table[twice].assign(unit=table["unit"] + 1000)])
    copied = did_matched.estimate(*panel(copies, **options))
    np.testing.assert_allclose(weighted.headline.estimate, copied.headline.estimate, atol=1e-12)


def test_order_and_common_shocks_change_nothing(panel):
    table = staggered()
    options = {"match": {"distance": "mahalanobis", "lags": 2}, "covariates": ("x",)}
    expected = did_matched.estimate(*panel(table, **options)).group_time
    shifted = table.assign(y=table["y"] + 3 * np.sin(table["period"])).sample(frac=1, random_state=1)
    found = did_matched.estimate(*panel(shifted, **options)).group_time
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-11)
    np.testing.assert_allclose(found.dense(), expected.dense(), atol=1e-9)


# what readers see -----------------------------------------------------------------------------------------------------


def test_balance_of_the_past_before_and_after(panel):
    result = did_matched.estimate(*panel(staggered(), covariates=("x",), match={"lags": 2}))
    table = result.tables["balance"]
    first = table[table["cohort"] == 4]
    assert first["covariate"].tolist() == ["y in period 3", "y in period 2", "x"]
    assert set(table["comparison"]) == {"never treated"}
    assert (first["smd_after"].abs() < first["smd_before"].abs()).all()
    units = staggered().groupby("unit").first()
    past = staggered().pivot(index="unit", columns="period", values="y")[3]
    assert first["mean_treated"].iloc[0] == pytest.approx(past[units["cohort"] == 4].mean(), abs=1e-12)


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_periods_that_were_matched_on_are_no_evidence_on_trends(panel, base):
    result = did_matched.estimate(*panel(staggered(), match={"lags": 2}, base_period=base))
    labels = result.group_time.labels
    matched = labels[labels["phase"] == "matched"]
    # Base periods 3 (cohort 4) and 4 (cohort 5), and the one before: the change from 2 to 3, and from 3 to 4.
    period = [3, 4] if base == "varying" else [2, 3]
    assert matched["period"].tolist() == period
    assert set(result.pre_treatment.labels["phase"]) == {"pre"}
    assert any("phase matched" in note for note in result.notes)


def test_treated_units_without_partner_are_counted_and_leave_the_shares(panel):
    table = staggered()
    far = table["unit"] == 2  # cohort 4
    table.loc[far, "y"] += 1000
    result = did_matched.estimate(*panel(table, match={"caliper": 0.5}))
    step = result.flow[-1]
    assert (step.step, step.dropped_comparison) == ("no_partner", 0)
    assert step.dropped == step.dropped_treated >= 6
    influence = result.group_time.dense()[result.group_time.units.get_loc(2)]
    assert not influence.any()
    lost = step.dropped // 6
    treated = table[table["cohort"] > 0]["unit"].nunique()
    assert any(note.startswith(f"{lost} of {treated} treated units found no partner") for note in result.notes)
    used = result.group_time.dense().any(axis=1)
    start = table.groupby("unit")["cohort"].first().loc[result.group_time.units].to_numpy()
    matched = pd.Series(start[used & (start > 0)]).value_counts()
    assert matched.sum() == treated - lost
    weights = result.weights.query("aggregate == 'simple'")
    share = matched.loc[weights["cohort"]].to_numpy(dtype=float)
    np.testing.assert_allclose(weights["weight"], share / share.sum(), atol=1e-12)


def test_units_not_yet_treated_are_matched_anew(panel):
    result = did_matched.estimate(*panel(staggered(), comparison="not_yet_treated", match={}))
    assert set(result.tables["balance"].query("cohort == 4")["comparison"]) == {"5, never treated", "never treated"}
    assert any("chosen anew" in note for note in result.notes)


def test_the_data_of_the_caller_are_not_changed(panel):
    sample, design = panel(staggered(), covariates=("x",), match={})
    before = sample.frame.copy(deep=True)
    did_matched.estimate(sample, design)
    pd.testing.assert_frame_equal(sample.frame, before)


# what is not identified -----------------------------------------------------------------------------------------------


def test_a_cohort_with_too_short_a_past_is_listed(panel):
    result = did_matched.estimate(*panel(staggered(starts=(0, 0, 3, 5)), match={"lags": 3}))
    assert set(result.group_time.labels["cohort"]) == {5}
    assert set(result.skipped["reason"]) == {"too_few_lags"}
    assert set(result.skipped["detail"]) == {"2 periods before treatment, lags: 3"}
    assert not [step for step in result.flow if step.step == "no_partner"]  # they are skipped, not unmatched


def test_a_past_that_tells_the_arms_apart_is_listed(panel):
    table = staggered()
    table.loc[table["cohort"] == 4, "y"] += 1000
    result = did_matched.estimate(*panel(table, match={}))
    assert set(result.skipped["reason"]) == {"separation"}
    assert set(result.skipped["cohort"]) == {4}


def test_no_partner_at_all_is_refused(panel):
    with pytest.raises(DataError, match=r"E-IMP-117[\s\S]*no_partner: caliper 1e-09"):
        did_matched.estimate(*panel(staggered(), match={"caliper": 1e-9}))


def test_a_design_without_matching_is_refused(panel):
    with pytest.raises(ParametersError, match="E-IMP-092"):
        did_matched.estimate(*panel(staggered()))
