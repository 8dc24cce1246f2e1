"""Conversions by hand, there and back, against simulation; what cannot be converted is refused."""

import math

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.evidence import effect_sizes
from evaluation.evidence.effect_sizes import EffectSize


def difference(value, variance):
    return EffectSize(value=value, variance=variance, scale="difference", formula="")


def sd(value, variance):
    return EffectSize(value=value, variance=variance, scale="sd", formula="")


def test_counts_by_hand():
    # 30 of 100 against 20 of 100: .30 − .20 = .10; .3 × .7 / 100 + .2 × .8 / 100 = .0021 + .0016 = .0037
    found = effect_sizes.risk_difference((30, 100), (20, 100))
    assert (found.value, found.variance) == (pytest.approx(0.10), pytest.approx(0.0037))
    # ln(30 × 80 / (70 × 20)) = ln(1.7142857); 1/30 + 1/70 + 1/20 + 1/80 = .1101190
    found = effect_sizes.log_odds_ratio((30, 100), (20, 100))
    assert (found.value, found.variance) == (pytest.approx(math.log(12 / 7)), pytest.approx(0.110119048, rel=1e-8))
    # ln 1.5; 1/30 − 1/100 + 1/20 − 1/100 = .0633333
    found = effect_sizes.log_risk_ratio((30, 100), (20, 100))
    assert (found.value, found.variance) == (pytest.approx(math.log(1.5)), pytest.approx(0.063333333, rel=1e-8))


def test_an_empty_cell_gets_one_half_in_every_cell():
    # 0 of 10 against 2 of 10: cells ½, 10½, 2½, 8½
    found = effect_sizes.log_odds_ratio((0, 10), (2, 10))
    assert found.value == pytest.approx(math.log(0.5 * 8.5 / (10.5 * 2.5)))
    assert found.variance == pytest.approx(1 / 0.5 + 1 / 10.5 + 1 / 2.5 + 1 / 8.5)


def test_the_correction_of_small_samples():
    # Hedges (1981): 1 − 3 / (4 df − 1) is within 0.0005 of the exact factor from df = 10 on; J(2) = √π / 2 · … = 0.5642
    assert effect_sizes.hedges_correction(2) == pytest.approx(1 / math.sqrt(math.pi), rel=1e-12)
    for df in (10, 38, 200):
        assert effect_sizes.hedges_correction(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=5e-4)
    # difference 5, SD 10, 20 and 20 people: d = .5, J = .98011, g = .49005; J² (.1 + .25/80)
    found = effect_sizes.hedges_g(5, 10, 20, 20)
    assert found.value == pytest.approx(0.490054, abs=2e-6)
    assert found.variance == pytest.approx(0.980109**2 * (0.1 + 0.25 / 80), rel=1e-5)
    # t = d / √(1/20 + 1/20)
    assert effect_sizes.hedges_g_from_t(0.5 / math.sqrt(0.1), 20, 20).value == pytest.approx(found.value, rel=1e-12)


def test_errors_from_intervals_and_p_values():
    assert effect_sizes.std_error_from_interval(0.012, 0.208) == pytest.approx(0.05, abs=1e-6)
    # t(10) at .975 is 2.228139
    assert effect_sizes.std_error_from_interval(-1, 1, df=10) == pytest.approx(1 / 2.228139, rel=1e-6)
    assert effect_sizes.std_error_from_interval(0, 2 * 1.644854, level=0.9) == pytest.approx(1.0, rel=1e-6)
    # p = .05 stands for 1.959964 standard errors
    assert effect_sizes.std_error_from_p(-0.98, 0.05) == pytest.approx(0.5, rel=1e-4)
    assert effect_sizes.std_error_from_p(2.228139, 0.05, df=10) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(("estimate", "p"), [(0.0, 0.5), (1.0, 0.0), (1.0, 1.0), (1.0, 1.2)])
def test_p_values_that_say_nothing_about_the_error_are_refused(estimate, p):
    with pytest.raises(DataError, match="E-EVI-043"):
        effect_sizes.std_error_from_p(estimate, p)


@pytest.mark.parametrize(("treated", "comparison"), [((11, 10), (1, 10)), ((1, 10), (0, 0)), ((-1, 10), (1, 10))])
def test_impossible_counts_are_refused(treated, comparison):
    with pytest.raises(DataError, match="E-EVI-044"):
        effect_sizes.log_odds_ratio(treated, comparison)


def test_between_scales_and_back():
    odds = effect_sizes.log_odds_from_sd(sd(0.5, 0.04))
    # .5 π/√3 = .9069; .04 π²/3 = .13159
    assert (odds.value, odds.variance) == (pytest.approx(0.906900, abs=1e-6), pytest.approx(0.131595, abs=1e-6))
    back = effect_sizes.sd_from_log_odds(odds)
    assert (back.value, back.variance) == (pytest.approx(0.5), pytest.approx(0.04))
    assert effect_sizes.cox_index(odds).value == pytest.approx(0.9069 / 1.65, abs=1e-5)
    standard = effect_sizes.standardised(difference(300, 2500), 5000)
    assert (standard.value, standard.variance) == (pytest.approx(0.06), pytest.approx(1e-4))
    units = effect_sizes.natural(standard, 5000)
    assert (units.value, units.variance, units.scale) == (pytest.approx(300), pytest.approx(2500), "difference")


def test_odds_ratios_in_natural_units_at_a_base_rate():
    # OR 2 at a base rate of .2: odds .25 → .5, rate 1/3, difference .13333; at .5: 2/3 − 1/2 = .16667
    ratio = EffectSize(value=math.log(2), variance=0.04, scale="log_odds_ratio", formula="")
    found = effect_sizes.risk_difference_from_log_odds(ratio, 0.2)
    assert found.value == pytest.approx(1 / 3 - 0.2)
    assert found.variance == pytest.approx(0.04 * (2 / 9) ** 2)  # [1/3 × 2/3]²
    assert effect_sizes.risk_difference_from_log_odds(ratio, 0.5).value == pytest.approx(1 / 6)
    back = effect_sizes.log_odds_from_risk_difference(found, 0.2)
    assert (back.value, back.variance) == (pytest.approx(math.log(2)), pytest.approx(0.04))
    # RR 1.5 at .2: .30 − .20; (.3)² × .04
    risk = EffectSize(value=math.log(1.5), variance=0.04, scale="log_risk_ratio", formula="")
    found = effect_sizes.risk_difference_from_log_risk_ratio(risk, 0.2)
    assert (found.value, found.variance) == (pytest.approx(0.1), pytest.approx(0.0036))


def test_rates_outside_zero_and_one_are_refused():
    risk = EffectSize(value=math.log(6), variance=0.04, scale="log_risk_ratio", formula="")
    with pytest.raises(DataError, match="E-EVI-045"):
        effect_sizes.risk_difference_from_log_risk_ratio(risk, 0.2)
    with pytest.raises(DataError, match="E-EVI-045"):
        effect_sizes.sd_of_share(1.0)


@pytest.mark.parametrize("measure", ["risk_difference", "log_odds_ratio", "log_risk_ratio"])
def test_variances_are_those_of_repeated_studies(measure):
    """20,000 studies of 400 and 300 people: the SD of a variance is 1 %, and the first order leaves out under 3 %."""
    rng = np.random.default_rng(20261124)
    events = rng.binomial([400, 300], [0.35, 0.25], (20_000, 2))
    function = getattr(effect_sizes, measure)
    values = np.array([function((a, 400), (c, 300)).value for a, c in events])
    assert function((140, 400), (75, 300)).variance == pytest.approx(values.var(), rel=0.05)


def test_the_error_of_hedges_g_is_that_of_repeated_studies():
    rng = np.random.default_rng(7)
    one, two = rng.normal(0.4, 1, (20_000, 25)), rng.normal(0, 1, (20_000, 35))
    pooled = np.sqrt((24 * one.var(axis=1, ddof=1) + 34 * two.var(axis=1, ddof=1)) / 58)
    values = (one.mean(axis=1) - two.mean(axis=1)) / pooled * effect_sizes.hedges_correction(58)
    assert values.mean() == pytest.approx(0.4, abs=0.008)  # four errors of the mean
    assert effect_sizes.hedges_g(0.4, 1, 25, 35).variance == pytest.approx(values.var(), rel=0.05)


def test_a_spread_from_an_error_and_a_number_of_people():
    # two halves of 400 people with SD 10: SE = 10 √(1/200 + 1/200) = 1; 1 × √400 / 2 = 10
    assert effect_sizes.sd_from_std_error(1.0, 400) == pytest.approx(10.0)
