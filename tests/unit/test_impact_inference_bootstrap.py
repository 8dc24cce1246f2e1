"""Multipliers, draws and bands: by hand, moments, independence of blocks, R's quantiles, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.errors import ParametersError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.inference import Covariance, covariance, multiplier_bands, multiplier_draws, summarize
from evaluation.impact.inference.multipliers import LOWER_SHARE, POINTS, combinations_of, enumerable, multipliers

LAWS = ["rademacher", "mammen", "webb"]


def effects(n=60, k=3, seed=1, **more):
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=(n, k)) @ rng.normal(size=(k, k))
    return Effects(
        estimate=np.arange(k, dtype=float),
        labels=pd.DataFrame({"term": [f"effect {j}" for j in range(k)]}),
        influence=influence - influence.mean(axis=0),
        units=more.pop("units", pd.RangeIndex(n)),
        **more,
    )


def all_of(law, n, draws, seed=0, **more):
    return np.vstack(list(multipliers(law, n, draws, seed, **more)))


# multipliers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
def test_multipliers_have_mean_zero_and_variance_one(law):
    # In law, exactly; in 200,000 draws within five standard errors of 1/√200,000 = .0022 and √(kurtosis - 1) of that.
    share = np.full(len(POINTS[law]), 1 / len(POINTS[law]))
    if law == "mammen":
        share = np.array([LOWER_SHARE, 1 - LOWER_SHARE])
        assert share @ POINTS[law] ** 3 == pytest.approx(1.0)  # Mammen's third moment
    assert share @ POINTS[law] == pytest.approx(0.0, abs=1e-15)
    assert share @ POINTS[law] ** 2 == pytest.approx(1.0)
    drawn = all_of(law, 100, 2000).astype(float)
    assert set(np.unique(drawn)) == set(POINTS[law])
    assert abs(drawn.mean()) < 5 * 0.0022
    assert abs((drawn**2).mean() - 1) < 5 * 0.0022
    for point, expected in zip(POINTS[law], share, strict=True):
        assert (drawn == point).mean() == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("law", LAWS)
def test_multipliers_of_units_and_of_draws_are_independent(law):
    drawn = all_of(law, 70, 3000).astype(float)
    correlation = np.corrcoef(drawn, rowvar=False) - np.eye(70)
    assert np.abs(correlation).max() < 6 / np.sqrt(3000)
    along = [(drawn[:-1, j] * drawn[1:, j]).mean() for j in range(70)]
    assert np.abs(along).max() < 6 / np.sqrt(3000)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("block", [1, 131, 1 << 20])
def test_blocks_do_not_change_multipliers(law, block):
    np.testing.assert_array_equal(all_of(law, 65, 40, 3, block=block), all_of(law, 65, 40, 3))


def test_seeds_change_multipliers_and_fewer_draws_are_the_first_ones():
    assert (all_of("webb", 20, 5, 1) != all_of("webb", 20, 5, 2)).any()
    np.testing.assert_array_equal(all_of("webb", 20, 9, 1)[:4], all_of("webb", 20, 4, 1))


def test_combinations_are_all_there_are():
    for law, n in (("rademacher", 5), ("webb", 3)):
        table = combinations_of(law, n)
        assert table.shape == (len(POINTS[law]) ** n, n)
        assert len(np.unique(table, axis=0)) == len(table)
    assert enumerable("rademacher", 13, 9999)
    assert not enumerable("rademacher", 14, 9999)
    assert enumerable("webb", 5, 7776)
    assert not enumerable("webb", 5, 7775)
    assert not enumerable("mammen", 2, 9999)  # its two points are not equally likely


def test_an_unknown_law_is_refused():
    with pytest.raises(ParametersError, match="E-IMP-060"):
        multiplier_draws(effects(), law="normal")


def test_no_draws_are_refused():
    with pytest.raises(ParametersError, match="E-IMP-061"):
        multiplier_draws(effects(), draws=0)


# draws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
def test_draws_are_means_of_multiplied_influences(law):
    found = effects()
    expected = all_of(law, 60, 50, 7).astype(float) @ found.dense() / 60
    # Sixty numbers in single precision: 6e-8 each, beside standard errors of about .13.
    np.testing.assert_allclose(multiplier_draws(found, law=law, draws=50, seed=7), expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_draws_in_single_precision_hold_outcomes_of_any_unit(unit):
    found = effects()
    scaled = Effects(
        estimate=found.estimate * unit, labels=found.labels, influence=found.dense() * unit, units=found.units
    )
    drawn = multiplier_draws(scaled, draws=50, seed=7) / unit
    np.testing.assert_allclose(drawn, multiplier_draws(found, draws=50, seed=7), rtol=0, atol=3e-7)


def test_draws_with_clusters_multiply_the_sums_of_clusters():
    found, code = effects(), np.arange(60) % 8
    sums = pd.DataFrame(found.dense()).groupby(code).sum().to_numpy()
    expected = all_of("webb", 8, 50, 7) @ sums / 60
    drawn = multiplier_draws(found, pd.DataFrame({"village": code}), law="webb", draws=50, seed=7)
    np.testing.assert_allclose(drawn, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("law", [*LAWS, "gaussian"])
@pytest.mark.parametrize("clustered", [False, True])
def test_draws_have_the_covariance_of_the_estimates(law, clustered):
    found = effects()
    table = pd.DataFrame({"village": np.arange(60) % 20}) if clustered else None
    drawn = multiplier_draws(found, table, law=law, draws=20_000, seed=2)
    expected = covariance(found, table)
    scale = np.outer(expected.std_error, expected.std_error)
    # 20,000 draws: standard error of a variance √2/√20,000 = 1 %, of a covariance less; five of them.
    assert np.abs(drawn.T @ drawn / 20_000 / scale - expected.matrix / scale).max() < 0.05


def test_gaussian_draws_take_any_number_of_clusterings_and_references():
    base = effects()
    influence = np.column_stack([base.dense(), np.zeros(60)])
    found = Effects(
        estimate=np.zeros(4), labels=pd.DataFrame({"term": list("abcd")}), influence=influence, units=base.units
    )
    table = pd.DataFrame({"village": np.arange(60) % 20, "month": np.arange(60) % 7})
    drawn = multiplier_draws(found, table, law="gaussian", draws=20_000)
    np.testing.assert_allclose(drawn.std(axis=0)[:3], covariance(found, table).std_error[:3], rtol=0.05)
    assert (drawn[:, 3] == 0).all()


def test_several_clusterings_of_multipliers_are_refused():
    table = pd.DataFrame({"village": np.arange(60) % 20, "month": np.arange(60) % 7})
    with pytest.raises(ParametersError, match="E-IMP-062") as refusal:
        multiplier_draws(effects(), table)
    assert "village, month" in refusal.value.found


# bands ----------------------------------------------------------------------------------------------------------------


def test_bands_from_draws_by_hand():
    # Quantiles are draws: of 1 … 8 in the first column, the sixth less the second is 4, so the standard error is
    # 4 / 1.348980 = 2.965204. The second column is a tenth of it. max |t| = 8 / 2.965 for the largest draw in both.
    draws = np.arange(1.0, 9.0)[:, None] * [1.0, 0.1]
    found = multiplier_bands(draws, level=0.9)
    np.testing.assert_allclose(found.std_error, [2.965204, 0.2965204], rtol=1e-6)
    # ceil(.9 · 8) = 8: the largest.
    assert found.critical == pytest.approx(8 / 2.965204, rel=1e-6)
    assert found.note == ""


def test_a_band_is_not_narrower_than_one_interval():
    draws = np.r_[np.linspace(-1, 1, 99)][:, None]  # uniform draws have thin tails
    found = multiplier_bands(draws)
    assert found.critical == pytest.approx(stats.norm.ppf(0.975))
    assert "below the normal quantile" in found.note


def test_an_unusual_critical_value_is_said():
    draws = np.r_[np.linspace(-1, 1, 90), np.full(10, 30.0)][:, None]
    assert "unusually large" in multiplier_bands(draws).note


def test_columns_that_do_not_move_are_left_out():
    draws = np.column_stack([np.random.default_rng(1).normal(size=999), np.zeros(999)])
    found = multiplier_bands(draws)
    assert np.isnan(found.std_error[1])
    assert found.critical == multiplier_bands(draws[:, :1]).critical
    nothing = multiplier_bands(np.zeros((99, 2)))
    assert nothing.critical == pytest.approx(stats.norm.ppf(0.975))
    assert nothing.note == "no estimate moves: pointwise band"


def test_the_table_takes_bands_from_multipliers():
    found = effects(n=400, k=6)
    options = {"band_seed": 3, "level": 0.9}
    plain, drawn = summarize(found, **options), summarize(found, bands="multiplier", band_draws=5000, **options)
    same = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]
    pd.testing.assert_frame_equal(plain[same], drawn[same])
    critical = ((drawn["band_high"] - drawn["estimate"]) / drawn["std_error"]).to_numpy()
    expected = multiplier_bands(multiplier_draws(found, draws=5000, seed=3), level=0.9).critical
    np.testing.assert_allclose(critical, expected)
    # Two estimates of one quantile: within .1 for 5,000 draws and 400 units.
    np.testing.assert_allclose(critical, (plain["band_high"] - plain["estimate"]) / plain["std_error"], atol=0.1)


def test_multiplier_bands_leave_refused_rows_out():
    arms = Arms(
        codes=np.arange(60) // 30,
        treated=np.array([[False, False], [True, True]]),
        comparison=np.array([[True, False], [False, False]]),
    )
    found = effects(k=2, arms=arms)
    table = summarize(found, bands="multiplier", band_seed=1)
    assert table.loc[1, "reason"].startswith("comparison units: 0")
    assert np.isnan(table.loc[1, "band_high"])
    alone = summarize(found.select([True, False]), bands="multiplier", band_seed=1)
    # the same draws; a product with two columns is rounded otherwise than one with a single column
    assert table.loc[0, "band_high"] == pytest.approx(alone.loc[0, "band_high"], rel=1e-13)


def test_a_ready_covariance_keeps_plug_in_bands():
    ready = Covariance(matrix=np.eye(3), df=np.full(3, np.inf), kind="abadie_imbens")
    options = {"covariance": ready, "band_seed": 1}
    pd.testing.assert_frame_equal(summarize(effects(), bands="multiplier", **options), summarize(effects(), **options))


def test_tables_made_together_are_those_made_one_by_one():
    from evaluation.impact.inference import summarize, summarize_together

    rng = np.random.default_rng(11)
    influence = rng.normal(size=(40, 5))
    influence -= influence.mean(axis=0)
    labels = pd.DataFrame({"term": list("abcde")})
    whole = Effects(estimate=np.arange(5.0), labels=labels, influence=influence, units=pd.RangeIndex(40))
    parts = [whole.select(np.arange(5) < 2), whole.select(np.arange(5) >= 2)]
    for bands in ("plug_in", "multiplier"):
        together = summarize_together(parts, band_seed=3, bands=bands, band_draws=199)
        for part, table in zip(parts, together, strict=True):
            alone = summarize(part, band_seed=3, bands=bands, band_draws=199)
            pd.testing.assert_frame_equal(table, alone, rtol=1e-12)
