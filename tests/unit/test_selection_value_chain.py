"""The value chain, by hand where nothing is uncertain and by formula where everything is normal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from evaluation.selection.readouts import acceptability, best_option, importance, readout
from evaluation.selection.value_chain import Chain, NormalBelief, annuity, quantile, simulate, stratified, streams
from evaluation.settings.policy import Span

SEED, DRAWS = 20260101, 4000


def exactly(value: float) -> Span:
    return Span(low=value, mode=value, high=value)


CERTAIN = Chain(
    innovation="tutoring",
    territory="creil",
    belief=NormalBelief(mean=0.2, sd=0.0, grade=4),
    transfer_sd=0.0,
    voltage=exactly(0.5),
    displacement=exactly(0.25),
    value=exactly(10_000.0),
    years=2.0,
    discount_rate=0.25,
    unit_cost=exactly(400.0),
    people=400.0,
    people_observed=100.0,
    elasticity=exactly(-0.5),
    public_share=1.0,
    public_funds=1.2,
    fiscal_share=0.25,
    equity_elasticity=exactly(2.0),
    relative_income=0.5,
    smallest_effect=0.1,
)
NORMAL = Chain(
    innovation="bus",
    territory="creil",
    belief=NormalBelief(mean=100.0, sd=60.0, grade=3),
    transfer_sd=80.0,
    value=exactly(1.0),
    unit_cost=exactly(50.0),
)


def told(chain: Chain, seed: int = SEED):
    (parts,) = simulate([chain], seed=seed, draws=DRAWS)
    return readout(chain, parts)


def test_a_certain_chain_is_arithmetic():
    # gain 0.2 x 0.5 x 0.75 = 0.075; annuity 1 + 1/1.25 = 1.8; benefit 0.075 x 10,000 x 1.8 = 1,350
    # cost 400 x (400/100)^-0.5 x 1.2 = 400 x 0.5 x 1.2 = 240; net 1,110; ratio 5.625
    # equity (1/0.5)^2 = 4: 4 x 1,350 - 240 = 5,160; per outcome 240 / (0.075 x 1.8) = 1,777.78
    # MVPF: what people keep 0.75 x 1,350 = 1,012.5; budget 200 - 0.25 x 1,350 < 0: it pays for itself
    found = told(CERTAIN)
    assert found.missing == ()
    assert found.benefit == pytest.approx(1350, rel=1e-12)
    assert found.cost == pytest.approx(240, rel=1e-12)
    assert (found.net_low, found.net, found.net_high) == pytest.approx((1110, 1110, 1110), rel=1e-12)
    assert found.benefit_cost_ratio == pytest.approx(5.625, rel=1e-12)
    assert found.net_equity == pytest.approx(5160, rel=1e-12)
    assert found.cost_per_outcome == pytest.approx(240 / 0.135, rel=1e-12)
    assert found.mvpf == float("inf")
    assert (found.p_positive, found.p_harm, found.p_useful, found.p_positive_equity) == (1, 0, 1, 1)
    # without fiscal return: 1,350 / 200
    assert told(replace(CERTAIN, fiscal_share=0.0)).mvpf == pytest.approx(6.75, rel=1e-12)


def test_a_harm_is_not_made_smaller_by_voltage_or_displacement():
    # -0.2 x 10,000 x 1.8 = -3,600; minus 240
    found = told(replace(CERTAIN, belief=NormalBelief(mean=-0.2, sd=0.0, grade=4)))
    assert found.net == pytest.approx(-3840, rel=1e-12)
    assert (found.p_positive, found.p_harm) == (0, 1)
    assert found.cost_per_outcome is None


def test_years_are_discounted_and_the_last_one_counts_in_part():
    assert annuity(1, 0.5) == 1
    assert annuity(2.5, 0.25) == pytest.approx(1 + 1 / 1.25 + 0.5 / 1.25**2, rel=1e-12)
    assert annuity(0.5, 0.03) == 0.5
    # the rate that France Strategie prints: at 3.2 % a benefit is worth half after 22 years
    assert abs(1.032**-22 - 0.5) < 0.001


def test_a_normal_chain_has_the_probabilities_of_the_normal_distribution():
    # net ~ N(100 - 50, 60^2 + 80^2) = N(50, 100^2): P(net > 0) = Phi(0.5); P(effect < 0) = Phi(-1)
    found = told(NORMAL)
    assert found.net == pytest.approx(50, abs=0.5)  # two stratified streams: the error is far below 100 / sqrt(4000)
    assert found.p_positive == pytest.approx(norm.cdf(0.5), abs=0.015)  # 2 Monte Carlo errors of plain draws
    assert found.p_harm == pytest.approx(norm.cdf(-1), abs=0.012)
    assert found.net_low == pytest.approx(50 + 100 * norm.ppf(0.05), abs=6)
    # with one uncertain link, stratified draws are exact to one draw
    alone = told(replace(NORMAL, transfer_sd=0.0))
    assert alone.p_positive == pytest.approx(norm.cdf(50 / 60), abs=1 / DRAWS)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"belief": None}, ("effect",)),
        ({"transfer_sd": None}, ("transfer",)),
        ({"value": None}, ("value",)),
        ({"unit_cost": None}, ("cost",)),
        ({"belief": None, "unit_cost": None}, ("effect", "cost")),
    ],
)
def test_a_missing_link_is_named_and_gives_no_number(change, missing):
    found = told(replace(CERTAIN, **change))
    assert found.missing == missing
    assert (found.net, found.p_positive, found.benefit_cost_ratio, found.mvpf) == (None, None, None, None)
    assert importance(replace(CERTAIN, **change), seed=SEED, draws=100) == ()


def test_without_a_value_there_is_still_a_cost_per_outcome():
    found = told(replace(CERTAIN, value=None))
    assert found.cost_per_outcome == pytest.approx(240 / 0.135, rel=1e-12)
    assert found.p_useful == 1


def test_without_an_income_there_is_no_equity_weight():
    found = told(replace(CERTAIN, relative_income=None))
    assert (found.net_equity, found.p_positive_equity) == (None, None)
    assert found.net == pytest.approx(1110, rel=1e-12)


def test_triangular_quantiles():
    span = Span(low=0.3, mode=0.6, high=1.0)
    u = stratified(1, 50_000)
    drawn = quantile(span, u)
    assert drawn.min() >= 0.3
    assert drawn.max() <= 1.0
    assert drawn.mean() == pytest.approx((0.3 + 0.6 + 1.0) / 3, abs=1e-4)  # stratified: error of the order 1 / n
    # P(X <= mode) = (mode - low) / width
    assert quantile(span, np.array([0.3 / 0.7]))[0] == pytest.approx(0.6, abs=1e-12)
    assert quantile(exactly(2.0), u[:3]).tolist() == [2.0, 2.0, 2.0]


def test_draws_do_not_depend_on_the_other_options_nor_on_their_order():
    pair = simulate([CERTAIN, NORMAL], seed=SEED, draws=500)
    alone = simulate([NORMAL], seed=SEED, draws=500)[0]
    np.testing.assert_array_equal(pair[1].net, alone.net)
    np.testing.assert_array_equal(simulate([NORMAL, CERTAIN], seed=SEED, draws=500)[0].net, alone.net)
    assert not np.array_equal(simulate([NORMAL], seed=SEED + 1, draws=500)[0].net, alone.net)


def test_two_territories_share_the_effect_and_not_the_transfer():
    here, there = (streams(replace(NORMAL, territory=place), seed=SEED, draws=200) for place in ("creil", "thierache"))
    np.testing.assert_array_equal(here["effect"], there["effect"])
    assert not np.array_equal(here["transfer"], there["transfer"])


def test_the_acceptability_curve_is_the_probability_at_each_value():
    # gain ~ N(0.2, 0.1^2), cost 100: P(w gain > 100) = Phi((0.2 - 100 / w) / 0.1); at w = 500 it is one half
    chain = replace(CERTAIN, belief=NormalBelief(mean=0.2, sd=0.1, grade=4), voltage=exactly(1), value=None, years=1)
    chain = replace(chain, displacement=exactly(0), unit_cost=exactly(100), elasticity=exactly(0), public_funds=1.0)
    (parts,) = simulate([chain], seed=SEED, draws=DRAWS)
    willing = np.array([0.0, 250.0, 500.0, 1000.0])
    expected = [0.0, norm.cdf(-2), 0.5, norm.cdf(1)]
    np.testing.assert_allclose(acceptability(chain, parts, willing), expected, atol=1 / DRAWS)


def test_the_best_option_is_counted_draw_by_draw_with_doing_nothing():
    worse = replace(CERTAIN, innovation="dear", unit_cost=exactly(10_000.0))
    shares = best_option(simulate([CERTAIN, worse], seed=SEED, draws=100))
    assert shares.tolist() == [1.0, 0.0, 0.0]
    assert best_option(simulate([worse], seed=SEED, draws=100)).tolist() == [0.0, 1.0]
    assert best_option(simulate([CERTAIN, CERTAIN], seed=SEED, draws=100), nothing=False).tolist() == [0.5, 0.5]


def test_what_matters_most_is_known_in_a_sum_of_two_normal_links():
    # Var = 60^2 + 80^2: the transfer has 64 % of it, the effect 36 %; swings are 2 x 1.2816 sd
    found = importance(NORMAL, seed=SEED, draws=20_000)
    assert [each.link for each in found] == ["transfer", "effect"]
    assert [each.share for each in found] == pytest.approx([0.64, 0.36], abs=0.02)  # 3 errors of a covariance at 20,000
    # low and high start from the median of the effect, 100 - 50 = 50
    assert found[0].high == pytest.approx(50 + 1.2816 * 80, abs=0.2)
    assert found[0].low == pytest.approx(50 - 1.2816 * 80, abs=0.2)
