"""Adoption curves and their fits, against independent programs, published fits and known truths."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize

from evaluation.diffusion import fitting, forecast, pooling
from evaluation.diffusion.adoption import CURVES, years_to
from evaluation.diffusion.series import Observations, observations, read
from evaluation.errors import DataError
from evaluation.settings.diffusion import DiffusionPolicy, read_diffusion
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio

ROOT = Path(__file__).resolve().parents[2]

# Yearly sales in thousands, printed in Srinivasan and Mason (1986) and in many courses since.
SALES = {
    "room air conditioners": [96, 195, 238, 380, 1045, 1230, 1267, 1828, 1586, 1673, 1800, 1580, 1500],
    "color television": [747, 1480, 2646, 5118, 5777, 5982, 5962, 4631],
    "clothes dryers": [106, 319, 492, 635, 737, 890, 1397, 1523, 1294, 1240, 1425, 1260, 1236],
}


def sales(values: list[float], power: int) -> Observations:
    """Year i covers (i − 1, i] since the launch."""
    end = np.arange(1.0, len(values) + 1)
    start = end - 1
    start[0] = np.nan
    return Observations(
        value=np.array(values, dtype=float),
        start=start,
        end=end,
        at=end,
        at_least=np.zeros(len(values), dtype=bool),
        power=power,
    )


def levels(years: np.ndarray, values: np.ndarray, power: int = 1) -> Observations:
    return Observations(
        value=np.asarray(values, dtype=float),
        start=np.full(len(years), np.nan),
        end=np.asarray(years, dtype=float),
        at=np.asarray(years, dtype=float),
        at_least=np.zeros(len(years), dtype=bool),
        power=power,
    )


@pytest.fixture(scope="module")
def policy() -> DiffusionPolicy:
    found = read_params(ROOT).diffusion
    assert found is not None
    return found


@pytest.fixture(scope="module")
def real() -> dict[str, Observations]:
    portfolio = read_portfolio(ROOT)
    return {each.facts.id: observations(each, 1) for each in read(portfolio, read_diffusion(portfolio, ROOT))}


# curves --------------------------------------------------------------------------------------------------------------


def test_bass_by_hand() -> None:
    # p = 0.03, q = 0.38, t = 1: e^-0.41 = 0.663650; (1 − 0.663650) / (1 + 12.66667 × 0.663650) = 0.336350 / 9.406235
    shape = np.log([[0.03, 0.38]])
    assert CURVES["bass"].share(shape, np.array([1.0]))[0, 0] == pytest.approx(0.035758, abs=1e-6)
    assert CURVES["bass"].share(shape, np.array([0.0]))[0, 0] == 0


def test_bass_solves_its_differential_equation() -> None:
    # F' = (p + q F)(1 − F), by central differences: error of order 1e-8
    shape, p, q = np.log([[0.02, 0.5]]), 0.02, 0.5
    t, step = np.linspace(0.5, 15, 30), 1e-4
    share = CURVES["bass"].share(shape, t)[0]
    slope = (CURVES["bass"].share(shape, t + step)[0] - CURVES["bass"].share(shape, t - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, (p + q * share) * (1 - share), rtol=1e-6)


def test_middles_of_the_other_two() -> None:
    shape = np.array([[np.log(0.7), 4.0]])
    assert CURVES["logistic"].share(shape, np.array([4.0]))[0, 0] == pytest.approx(0.5)
    assert CURVES["gompertz"].share(shape, np.array([4.0]))[0, 0] == pytest.approx(np.exp(-1))


@pytest.mark.parametrize("name", ["bass", "logistic", "gompertz"])
def test_curves_rise_from_nothing_to_the_ceiling(name: str) -> None:
    curve = CURVES[name]
    share = curve.share(curve.grid(5), np.linspace(0, 3000, 500))
    assert (np.diff(share, axis=1) >= -1e-15).all()
    assert (share >= 0).all()
    assert (share <= 1).all()
    np.testing.assert_allclose(share[:, -1], 1, atol=1e-6)


def test_years_to_a_share_of_the_ceiling() -> None:
    shape = np.array([np.log(0.5), 6.0])
    assert years_to(CURVES["logistic"], shape, 0.5) == pytest.approx(6.0, abs=1e-9)
    # 0.8: log(4) / 0.5 = 2.7726 years later
    assert years_to(CURVES["logistic"], shape, 0.8) == pytest.approx(6 + np.log(4) / 0.5, abs=1e-9)
    assert years_to(CURVES["logistic"], np.array([np.log(0.001), 900.0]), 0.9) is None


# fits against others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", sorted(SALES))
def test_least_squares_equal_those_of_scipy(product: str) -> None:
    """Srinivasan and Mason's estimator: sales of a year against M (F(t) − F(t − 1)); scipy searches all three."""
    data = sales(SALES[product], power=0)

    def expected(end: np.ndarray, m: float, p: float, q: float) -> np.ndarray:
        share = lambda t: (1 - np.exp(-(p + q) * t)) / (1 + q / p * np.exp(-(p + q) * t))  # noqa: E731
        return m * (share(end) - share(end - 1))

    other, _ = curve_fit(expected, data.end, data.value, p0=(sum(SALES[product]) * 1.2, 0.02, 0.4), maxfev=20_000)
    found = fitting.fit(data, "bass")
    assert (found.ceiling, *found.curve.printed(found.shape)) == pytest.approx(tuple(other), rel=1e-4)


@pytest.mark.parametrize(
    ("product", "m", "p", "q"),
    [
        ("room air conditioners", 18_713, 0.0094, 0.3748),
        ("color television", 39_659, 0.0185, 0.6159),
        ("clothes dryers", 16_497, 0.0136, 0.3267),
    ],
)
def test_the_published_fits_of_consumer_durables_come_out(product: str, m: float, p: float, q: float) -> None:
    """Srinivasan and Mason (1986), table 2, to its printed digits; recalled, the page was not opened again."""
    found = fitting.fit(sales(SALES[product], power=0), "bass")
    printed = found.curve.printed(found.shape)
    assert (round(found.ceiling), round(printed[0], 4), round(printed[1], 4)) == (m, p, q)


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("name", ["bass", "logistic", "gompertz"])
def test_no_other_search_finds_a_smaller_deviance(power: int, name: str, real: dict[str, Observations]) -> None:
    """Nelder-Mead on the textbook deviance, from several starts."""
    base = real["microcredit-personnel"]
    data = levels(base.end, base.value, power)
    found = fitting.fit(data, name)

    def deviance(row: np.ndarray) -> float:
        mean = np.exp(row[0]) * np.maximum(CURVES[name].share(row[None, 1:], data.end)[0], 1e-12)
        y = data.value
        parts = {
            0: (y - mean) ** 2,
            1: 2 * (y * np.log(y / mean) - y + mean),
            2: 2 * ((y - mean) / mean - np.log(y / mean)),
        }
        return float(parts[power].sum())

    assert found.deviance == pytest.approx(deviance(np.array([np.log(found.ceiling), *found.shape])), rel=1e-9)
    starts = [np.array([np.log(m), *found.shape + shift]) for m, shift in ((15e3, -0.5), (3e4, 0.3))]
    options = {"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-10}
    others = [minimize(deviance, start, method="Nelder-Mead", options=options).fun for start in starts]
    assert found.deviance <= min(others) * (1 + 1e-6)


def test_the_truth_comes_back_from_figures_without_noise() -> None:
    shape = np.log([[0.02, 0.45]])
    years = np.arange(1.0, 15.0)
    data = levels(years, 5_000 * CURVES["bass"].share(shape, years)[0])
    found = fitting.fit(data, "bass")
    assert (found.ceiling, *found.curve.printed(found.shape)) == pytest.approx((5_000, 0.02, 0.45), rel=1e-5)


def test_the_unit_changes_nothing_but_the_ceiling(real: dict[str, Observations]) -> None:
    base = real["microcredit-personnel"]
    one, thousand = fitting.fit(base, "gompertz"), fitting.fit(levels(base.end, base.value / 1000), "gompertz")
    assert one.ceiling / 1000 == pytest.approx(thousand.ceiling, rel=1e-5)
    np.testing.assert_allclose(one.shape, thousand.shape, rtol=1e-4)


# ceilings ------------------------------------------------------------------------------------------------------------


def test_the_plateau_of_personal_microcredit_stands_far_below_its_stated_potential(
    real: dict[str, Observations],
) -> None:
    data = real["microcredit-personnel"]
    for name in CURVES:
        found = fitting.ceiling(data, fitting.fit(data, name), level=0.90, within=3)
        assert found.identified
        assert 16_000 < found.low < found.estimate < found.high < 22_000
    # 100,000 loans a year "could be made": the curve stops at a fifth of it
    assert fitting.fit(data, "gompertz").ceiling / 100_000 == pytest.approx(0.197, abs=0.002)


def test_the_published_reading_of_the_same_series(real: dict[str, Observations]) -> None:
    """Notes of the project, without 2019 and 2020: p = .034, q = .40, M = 19,400 by least squares."""
    base = real["microcredit-personnel"]
    found = fitting.fit(levels(base.end, base.value, power=0), "bass")
    assert found.ceiling == pytest.approx(19_400, rel=0.05)
    assert found.curve.printed(found.shape)[0] == pytest.approx(0.034, abs=0.01)
    assert found.curve.printed(found.shape)[1] == pytest.approx(0.40, abs=0.10)


def test_the_ceiling_of_amap_is_open_because_its_last_counts_are_lower_bounds(real: dict[str, Observations]) -> None:
    data = real["amap"]
    found = fitting.ceiling(data, fitting.fit(data, "gompertz"), level=0.90, within=3)
    assert not found.identified
    assert found.high > 3 * 2_000
    counts = levels(data.end, data.value)  # "more than 2,000" read as 2,000
    closed = fitting.ceiling(counts, fitting.fit(counts, "gompertz"), level=0.90, within=3)
    assert closed.identified


def test_growth_without_a_bend_has_no_ceiling(real: dict[str, Observations]) -> None:
    data = real["adie"]
    found = fitting.ceiling(data, fitting.fit(data, "bass"), level=0.90, within=3)
    assert not found.identified
    assert found.high is None
    assert found.flat < 1  # a ceiling a thousand times higher fits as well


def test_the_profile_is_zero_at_the_estimate_and_rises(real: dict[str, Observations]) -> None:
    data = real["microcredit-personnel"]
    own = fitting.fit(data, "bass")
    excess = fitting.profile(data, own, own.ceiling * np.array([0.9, 0.95, 1.0, 1.05, 1.1]))
    assert excess[2] == pytest.approx(0, abs=1e-4)
    assert excess[0] > excess[1] > excess[2] < excess[3] < excess[4]


# too little ----------------------------------------------------------------------------------------------------------


def test_three_figures_are_too_few() -> None:
    with pytest.raises(DataError) as caught:
        fitting.fit(levels(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])), "bass")
    assert caught.value.code == "E-DIF-006"


@pytest.mark.parametrize("values", [[1, 2, -3, 4, 5], [0, 0, 0, 0, 0], [1, 2, np.nan, 4, 5]])
def test_figures_that_no_curve_describes_are_refused(values: list[float]) -> None:
    with pytest.raises(DataError) as caught:
        fitting.fit(levels(np.arange(1.0, 6), np.array(values)), "bass")
    assert caught.value.code == "E-DIF-007"


# forecasts -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def microcredit(policy: DiffusionPolicy) -> forecast.Fitted:
    portfolio = read_portfolio(ROOT)
    series = next(
        each for each in read(portfolio, read_diffusion(portfolio, ROOT)) if each.facts.id.startswith("micro")
    )
    found = forecast.fit_all(series, policy)
    assert found is not None
    return found


def test_weights_add_up_and_follow_the_deviance(microcredit: forecast.Fitted) -> None:
    assert sum(microcredit.weights.values()) == pytest.approx(1)
    best = microcredit.best
    other = microcredit.fits["bass"]
    expected = np.exp(-(other.deviance - best.deviance) / (2 * best.dispersion))
    assert microcredit.weights["bass"] / microcredit.weights[best.curve.name] == pytest.approx(expected)


def test_a_fan_is_ordered_repeatable_and_wider_outside(microcredit: forecast.Fitted, policy: DiffusionPolicy) -> None:
    at = np.array([2025.5, 2035.5])
    one, two = (forecast.fan(microcredit, policy, at, np.random.default_rng(5)).quantiles for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (np.diff(one, axis=1) > 0).all()
    assert one[0, 2] == pytest.approx(19_700, rel=0.02)


def test_held_out_figures_were_not_known(microcredit: forecast.Fitted, policy: DiffusionPolicy) -> None:
    rows = forecast.validate(microcredit.series, policy, np.random.default_rng(1))
    assert {row.used for row in rows} == {5, 6, 7, 8, 9, 10}
    last = [row for row in rows if row.used == 9]
    assert [row.target[-4:] for row in last] == ["2020", "2023"]  # the last two, from the nine before them
    first = rows[0]
    # known 9,941 (2011) after 7,884 (2010); to be predicted: 11,870 (2012)
    assert first.error_same == pytest.approx(np.log(11_870 / 9_941))
    assert first.error_growth == pytest.approx(np.log(9_941 * 9_941 / 7_884 / 11_870))


def test_the_naive_forecast_may_win_and_is_named() -> None:
    def row(error: float, same: float, growth: float) -> forecast.HeldOut:
        return forecast.HeldOut(
            series="s", target="t", used=5, ahead=1, observed=1, predicted=1, low=0, high=2, inside=True,
            inside_alone=True, error=error, error_same=same, error_growth=growth,
        )  # fmt: skip

    found = forecast.summary([row(0.2, 0.1, 0.4), row(0.2, 0.3, 0.0)])
    assert found["errors"] == pytest.approx({"curves": 0.2, "no_change": 0.2, "last_growth": 0.2})
    assert forecast.summary([row(0.2, 0.1, 0.4)])["winner"] == "no_change"
    assert forecast.summary([]) == {"figures": 0}


# analogues -----------------------------------------------------------------------------------------------------------


def test_shrinkage_by_hand(microcredit: forecast.Fitted) -> None:
    from dataclasses import replace

    own = replace(microcredit.fits["bass"], shape=np.array([1.0, 2.0]), shape_covariance=np.diag([0.5, 1.0]))
    lent = pooling.Pace(
        curve="bass", mean=np.array([3.0, 2.0]), variance=np.array([1.5, 1.0]), between=np.zeros(2), analogues=("a",)
    )
    # weights 2 and 2/3: (1 × 2 + 3 × 2/3) / (8/3) = 1.5
    np.testing.assert_allclose(pooling.shrunk(own, lent), [1.5, 2.0])
    unknown = replace(own, shape_covariance=np.full((2, 2), np.nan))
    np.testing.assert_allclose(pooling.shrunk(unknown, lent), [3.0, 2.0])


def test_a_strong_prior_fixes_the_shape_and_a_weak_one_changes_nothing(real: dict[str, Observations]) -> None:
    data = real["microcredit-personnel"]
    free = fitting.fit(data, "bass")
    target = np.log([0.03, 0.38])
    weak = fitting.fit(
        data, "bass", prior=fitting.Prior(mean=target, variance=np.full(2, 1e9)), dispersion=free.dispersion
    )
    tight = fitting.fit(
        data, "bass", prior=fitting.Prior(mean=target, variance=np.full(2, 1e-9)), dispersion=free.dispersion
    )
    np.testing.assert_allclose(weak.shape, free.shape, atol=1e-3)
    np.testing.assert_allclose(tight.shape, target, atol=1e-3)
    # with the shape given, the ceiling has a closed form for counts: Σ y / Σ F
    assert tight.ceiling == pytest.approx(
        data.value.sum() / CURVES["bass"].share(target[None, :], data.end).sum(), rel=1e-3
    )


def test_three_lenders_at_least_and_never_oneself(microcredit: forecast.Fitted) -> None:
    assert pooling.pace([microcredit] * 2, "bass", without="x") is None
    assert pooling.pace([microcredit] * 3, "bass", without="microcredit-personnel") is None
    lent = pooling.pace([microcredit] * 3, "logistic", without="x")
    assert lent is not None
    assert lent.mean[0] == pytest.approx(microcredit.fits["logistic"].shape[0])
    assert lent.variance[1] > 1e5  # a midpoint belongs to one innovation
