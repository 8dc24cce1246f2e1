"""Regression discontinuity: rdrobust's numbers from linear forms, influence as derivative, what is refused."""

import contextlib
import io
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.errors import DataError
from evaluation.impact import discontinuity, finding, local_polynomial
from evaluation.impact.local_polynomial import Extra, Window, choose, jump, ratio
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import DESIGNS

N = 900
OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}


def _data(seed: int = 7, *, fuzzy: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, N)
    received = (rng.random(N) < 0.2 + 0.5 * (x >= 0)).astype(float) if fuzzy else (x >= 0).astype(float)
    return x, np.sin(3 * x) + 0.4 * received + 0.3 * rng.normal(size=N), received


def _options(**change: Any) -> Any:
    known = {"kernel": "triangular", "order": 1, "bandwidth": "mserd", "bias_correction": True}
    return SimpleNamespace(**(known | change))


def _rdrobust(y: np.ndarray, x: np.ndarray, **options: Any) -> Any:
    """The independent program."""
    from rdrobust import rdrobust

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return rdrobust(y, x, **options)


def _sample(x: np.ndarray, y: np.ndarray, **more: Any) -> tuple[Sample, Any]:
    named_columns = ("received", "cluster_1", "covariate_1", "weight", "territory", "subgroup_1")
    columns = {name: more.pop(name) for name in named_columns if name in more}
    below = more.get("treated_side") == "below"
    frame = pd.DataFrame({"unit": np.arange(len(x)), "running": x, "outcome_1": y, "weight": 1.0} | columns)
    frame["treated"] = frame["running"] <= 0 if below else frame["running"] >= 0
    named = {"received": "d"} if "received" in columns else {}
    named |= {"cluster": ["village"]} if "cluster_1" in columns else {}
    named |= {"covariates": ["age"]} if "covariate_1" in columns else {}
    named |= {"weight": "w"} if "weight" in columns else {}
    named |= {"territory": "place"} if "territory" in columns else {}
    named |= {"subgroups": ["sex"]} if "subgroup_1" in columns else {}
    design = DESIGNS["discontinuity"](
        id="rd", method="discontinuity", outcomes=[OUTCOME], running="x", **(named | more)
    )
    names = {"outcome_1": "y", "running": "x", "unit": "row", "cluster_1": "village", "covariate_1": "age"}
    names |= {"territory": "place", "subgroup_1": "sex"}
    sample = Sample(
        id="rd", frame=frame, names=names, flow=(FlowStep(step="read", dropped=0, left=len(x), reason="made"),),
        codebook=pd.DataFrame(), data_sha256="0" * 64, data_source="made", rows_read=len(x), period_labels={}, notes=(),
    )  # fmt: skip
    return sample, design


# equality with rdrobust -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("bandwidth", ["mserd", "certwo", 0.4])
def test_the_linear_form_is_rdrobusts_estimate(kernel: str, order: int, bandwidth: str | float) -> None:
    x, y, _ = _data()
    width = {"bwselect": bandwidth} if isinstance(bandwidth, str) else {"h": bandwidth}
    theirs = _rdrobust(y, x, p=order, kernel=kernel, **width)
    for corrected, place in ((True, "Robust"), (False, "Conventional")):
        made = choose(y, x, _options(kernel=kernel, order=order, bandwidth=bandwidth, bias_correction=corrected))
        found = jump(y, x, made.window)
        assert found.estimate == pytest.approx(theirs.coef.loc[place].iloc[0], abs=1e-10)
        assert found.form @ y == pytest.approx(found.estimate, abs=1e-12)
        assert made.std_error == theirs.se.loc[place].iloc[0]
        assert int(found.used.sum()) == sum(made.effective)


@pytest.mark.parametrize("corrected", [True, False])
def test_fuzzy_estimates_are_rdrobusts(*, corrected: bool) -> None:
    x, y, received = _data(fuzzy=True)
    theirs = _rdrobust(y, x, fuzzy=received)
    made = choose(y, x, _options(bias_correction=corrected), received)
    found = ratio(jump(y, x, made.window), jump(received, x, made.window))
    place = "Robust" if corrected else "Conventional"
    assert found.estimate == pytest.approx(theirs.coef.loc[place].iloc[0], abs=1e-10)
    assert made.std_error == theirs.se.loc[place].iloc[0]


def test_with_equal_bandwidths_the_influence_gives_rdrobusts_hc0() -> None:
    """Bias correction with b = h is the polynomial one degree higher: its HC0 is exactly that of the influence."""
    x, y, _ = _data()
    theirs = _rdrobust(y, x, h=0.5, b=0.5, vce="hc0")
    found = jump(y, x, Window(kernel="triangular", order=1, h=(0.5, 0.5), b=(0.5, 0.5)))
    assert np.sqrt(found.influence @ found.influence) / N == pytest.approx(theirs.se.loc["Robust"].iloc[0], rel=1e-8)


def test_one_slope_a_side_in_the_whole_window_is_least_squares() -> None:
    x, y, received = _data()
    fitted = sm.OLS(y, np.column_stack([np.ones(N), received, x, x * received])).fit(cov_type="HC0")
    found = jump(y, x, Window(kernel="uniform", order=1, h=(1.0, 1.0)))
    assert found.estimate == pytest.approx(fitted.params[1], abs=1e-12)
    assert np.sqrt(found.influence @ found.influence) / N == pytest.approx(fitted.bse[1], rel=1e-10)


def _extra(*, weighted: bool, adjusted: bool) -> Extra:
    rng = np.random.default_rng(11)
    z = np.column_stack([rng.normal(size=N), rng.integers(0, 2, N).astype(float)])
    return Extra(weights=rng.uniform(0.5, 3.0, N) if weighted else None, covariates=z if adjusted else None)


@pytest.mark.parametrize("kernel", ["triangular", "uniform"])
@pytest.mark.parametrize("bandwidth", ["mserd", "msetwo", 0.4])
@pytest.mark.parametrize(("weighted", "adjusted"), [(True, False), (False, True), (True, True)])
def test_with_weights_and_covariates_it_is_rdrobusts_estimate(
    kernel: str, bandwidth: str | float, *, weighted: bool, adjusted: bool
) -> None:
    x, y, _ = _data()
    extra = _extra(weighted=weighted, adjusted=adjusted)
    y = y if extra.covariates is None else y + extra.covariates @ np.array([0.5, -0.3])
    width = {"bwselect": bandwidth} if isinstance(bandwidth, str) else {"h": bandwidth}
    theirs = _rdrobust(y, x, kernel=kernel, weights=extra.weights, covs=extra.covariates, **width)
    for corrected, place in ((True, "Robust"), (False, "Conventional")):
        options = _options(kernel=kernel, bandwidth=bandwidth, bias_correction=corrected)
        made = choose(y, x, options, extra=extra)
        found = jump(y, x, made.window, extra)
        assert found.estimate == pytest.approx(theirs.coef.loc[place].iloc[0], abs=1e-8)
        assert found.form @ y == pytest.approx(found.estimate, abs=1e-10)
        assert found.plain_form @ y == pytest.approx(found.plain, abs=1e-10)
        assert made.std_error == theirs.se.loc[place].iloc[0]


def test_fuzzy_with_covariates_is_rdrobusts_estimate() -> None:
    x, y, received = _data(fuzzy=True)
    extra = _extra(weighted=True, adjusted=True)
    theirs = _rdrobust(y, x, fuzzy=received, weights=extra.weights, covs=extra.covariates)
    made = choose(y, x, _options(), received, extra=extra)
    found = ratio(jump(y, x, made.window, extra), jump(received, x, made.window, extra))
    assert found.estimate == pytest.approx(theirs.coef.loc["Robust"].iloc[0], abs=1e-8)


# laws -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("corrected", [True, False])
def test_the_influence_with_weights_and_covariates_is_the_derivative_too(*, corrected: bool) -> None:
    """Of the estimate itself with one sampling weight a little larger: w (1 + e) moves it by psi e / n."""
    x, y, _ = _data()
    extra = _extra(weighted=True, adjusted=True)
    window = Window(kernel="triangular", order=1, h=(0.6, 0.7), b=(0.9, 0.8) if corrected else None)
    found, step = jump(y, x, window, extra), 1e-5
    for i in np.flatnonzero(np.abs(x) < 0.5)[:5]:
        sides = []
        for sign in (1, -1):
            weights = extra.weights.copy()
            weights[i] *= 1 + sign * step
            sides.append(jump(y, x, window, Extra(weights=weights, covariates=extra.covariates)).estimate)
        assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(found.influence[i] / N, rel=1e-5, abs=1e-9)
    assert abs(found.influence.mean()) < 1e-12


def test_whole_weights_are_copies() -> None:
    x, y, _ = _data()
    weights = np.random.default_rng(2).integers(1, 4, N)
    window = Window(kernel="epanechnikov", order=1, h=(0.5, 0.6), b=(0.8, 0.8))
    copies = np.repeat(np.arange(N), weights)
    weighted = jump(y, x, window, Extra(weights=weights.astype(float)))
    assert weighted.estimate == pytest.approx(jump(y[copies], x[copies], window).estimate, abs=1e-10)


@pytest.mark.parametrize("corrected", [True, False])
def test_the_influence_is_the_derivative_with_respect_to_each_weight(*, corrected: bool) -> None:
    """Weighted least squares with one row weighted by 1 + e: the derivative is psi / n."""
    x, y, _ = _data()
    window = Window(kernel="triangular", order=1, h=(0.6, 0.7), b=(0.9, 0.8) if corrected else None)
    found, step = jump(y, x, window), 1e-5
    for i in np.flatnonzero(np.abs(x) < 0.5)[:5]:
        up, down = (_weighted(x, y, window, i, sign * step) for sign in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(found.influence[i] / N, rel=1e-5, abs=1e-9)
    assert abs(found.influence.mean()) < 1e-12


def test_the_influence_of_a_ratio_is_that_of_the_delta_method() -> None:
    x, y, received = _data(fuzzy=True)
    window = Window(kernel="uniform", order=1, h=(0.6, 0.7))
    above, below = jump(y, x, window), jump(received, x, window)
    expected = (above.influence - above.estimate / below.estimate * below.influence) / below.estimate
    np.testing.assert_allclose(ratio(above, below).influence, expected, atol=1e-12)


def _weighted(x: np.ndarray, y: np.ndarray, window: Window, row: int, change: float) -> float:
    """The estimate with one row weighted by 1 + change."""
    weights, estimate = np.ones(N), 0.0
    weights[row] += change
    for place, (side, sign) in enumerate(((x < 0, -1), (x >= 0, 1))):
        u, near = x[side], np.maximum(1 - np.abs(x[side] / window.h[place]), 0)
        estimate += sign * _fit(u, y[side], weights[side] * near, 1)[0]
        if window.b is not None:
            wide = np.maximum(1 - np.abs(u / window.b[place]), 0)
            bias = _fit(u, u**2, weights[side] * near, 1)[0] * _fit(u, y[side], weights[side] * wide, 2)[2]
            estimate -= sign * bias
    return estimate


def _fit(u: np.ndarray, y: np.ndarray, w: np.ndarray, degree: int) -> np.ndarray:
    return sm.WLS(y, np.vander(u, degree + 1, increasing=True), w).fit().params


def test_neither_the_unit_of_the_score_nor_that_of_the_outcome_matters() -> None:
    x, y, _ = _data()
    window = Window(kernel="epanechnikov", order=1, h=(0.4, 0.5), b=(0.7, 0.6))
    wide = Window(kernel="epanechnikov", order=1, h=(400.0, 500.0), b=(700.0, 600.0))
    first, second = jump(y, x, window), jump(3 * y - 8, 1000 * x, wide)
    assert second.estimate == pytest.approx(3 * first.estimate, rel=1e-9)
    np.testing.assert_allclose(second.influence, 3 * first.influence, atol=1e-9)


def test_turning_the_score_around_turns_the_sign() -> None:
    x, y, _ = _data()
    window, turned = (Window(kernel="triangular", order=1, h=h) for h in ((0.4, 0.6), (0.6, 0.4)))
    assert jump(y, -x, turned).estimate == pytest.approx(-jump(y, x, window).estimate, abs=1e-12)


# findings -------------------------------------------------------------------------------------------------------------


def test_a_finding_has_rdrobusts_headline_and_its_diagnostics() -> None:
    x, y, _ = _data()
    rng = np.random.default_rng(1)
    found = finding.estimate(*_sample(x, y, covariate_1=rng.normal(size=N)))
    theirs = _rdrobust(y, x)
    assert found.headline["estimate"] == pytest.approx(theirs.coef.loc["Robust"].iloc[0], abs=1e-10)
    assert found.headline["std_error"] == pytest.approx(theirs.se.loc["Robust"].iloc[0], rel=1e-10)
    assert found.headline["ci_low"] == pytest.approx(theirs.ci.loc["Robust"].iloc[0], abs=1e-8)
    checks = {check.check: check for check in found.checks}
    assert 0.01 < checks["discontinuity.density_p"].value <= 1
    assert checks["discontinuity.covariates_p"].subject == "age"
    assert 0 < checks["discontinuity.placebo_cutoff_p"].value <= 1
    assert checks["discontinuity.effective_units"].value == min(theirs.N_h)
    assert checks["identification.sensitivity"].status == "measured"
    change = (found.tables["donuts"]["estimate"] - found.headline["estimate"]).abs().max()
    assert checks["discontinuity.donut"].value == pytest.approx(found.headline["estimate"] / change, rel=1e-10)
    assert checks["balance.max_smd"].status == "not_applicable"
    curve = found.tables["bandwidth_curve"]
    same = curve[np.isclose(curve["bandwidth"], np.mean(theirs.bws.loc["h"]))]
    assert same["estimate"].item() == pytest.approx(found.headline["estimate"], abs=1e-8)
    assert set(found.tables["score_bins"]["side"]) == {"left", "right"}
    assert any("it says nothing about others" in note for note in found.notes)


def test_an_effect_of_the_nearest_units_alone_shows_in_the_holes() -> None:
    x, y, _ = _data()
    near, window = (np.abs(x) < 0.05) & (x >= 0), {"bandwidth": 0.3, "bias_correction": False}
    found = finding.estimate(*_sample(x, y + 3.0 * near, **window))
    checks = {check.check: check for check in found.checks}
    plain = {check.check: check for check in finding.estimate(*_sample(x, y, **window)).checks}
    assert checks["discontinuity.donut"].value < 2 < plain["discontinuity.donut"].value


def test_holes_that_leave_nobody_are_said() -> None:
    x, y, _ = _data()
    shared = np.where(x >= 0, np.abs(x) * 0.001, -np.abs(x) * 0.001)  # everybody within a hole of the bandwidth
    found = finding.estimate(*_sample(shared, y, bandwidth=0.1, bias_correction=False))
    checks = {check.check: check for check in found.checks}
    assert checks["discontinuity.donut"].status == "not_run"


def test_units_that_choose_their_side_show_in_the_density() -> None:
    rng = np.random.default_rng(7)
    x = rng.uniform(-1, 1, 3000)
    chose = (x < 0) & (x > -0.3) & (rng.random(3000) < 0.6)
    sample = _sample(np.where(chose, -x, x), rng.normal(size=3000))
    checks = {check.check: check for check in finding.estimate(*sample).checks}
    assert checks["discontinuity.density_p"].value < 0.01


def test_a_covariate_that_jumps_is_named() -> None:
    x, y, received = _data()
    rng = np.random.default_rng(1)
    found = finding.estimate(*_sample(x, y, covariate_1=2 * received + rng.normal(size=N)))
    checks = {check.check: check for check in found.checks}
    assert checks["discontinuity.covariates_p"].value < 0.01


def test_what_cannot_be_computed_stays_with_its_reason() -> None:
    """A window of a tenth of the range holds enough units, half of it in a thin sample does not: no row is dropped."""
    x, y, _ = _data()
    found = finding.estimate(*_sample(x[::4], y[::4], bandwidth=0.07, placebo_cutoffs=[0.99]))
    curve, placebos = found.tables["bandwidth_curve"], found.tables["placebo_cutoffs"]
    assert len(curve) == 6
    lost = curve[curve["estimate"].isna()]
    assert 0 < len(lost) < 6
    assert lost["reason"].str.startswith("too few units near the cutoff").all()
    assert placebos["reason"].str.startswith("the cutoff has too few units").tolist() == [True]
    checks = {check.check: check for check in found.checks}
    assert checks["discontinuity.placebo_cutoff_p"].status == "not_run"
    assert checks["identification.sensitivity"].status == "measured"


def test_fuzzy_findings_have_the_jump_of_the_outcome_and_of_the_treatment() -> None:
    x, y, received = _data(fuzzy=True)
    found = finding.estimate(*_sample(x, y, received=received))
    theirs = _rdrobust(y, x, fuzzy=received)
    assert found.headline["estimate"] == pytest.approx(theirs.coef.loc["Robust"].iloc[0], abs=1e-8)
    terms = found.effects.set_index("term")["estimate"]
    checks = {check.check: check for check in found.checks}
    assert checks["compliance.first_stage_f"].value > 4
    assert "0.388" in checks["compliance.first_stage_f"].detail
    assert terms["itt"] < terms["ate"]


def test_a_side_below_is_the_mirror_image() -> None:
    x, y, _ = _data()
    first = finding.estimate(*_sample(x, y)).headline
    second = finding.estimate(*_sample(-x, y, treated_side="below")).headline
    assert second["estimate"] == pytest.approx(first["estimate"], abs=1e-10)


def test_clusters_take_the_influence() -> None:
    x, y, _ = _data()
    found = finding.estimate(*_sample(x, y, cluster_1=np.arange(N) % 30))
    assert "village (30)" in found.headline["inference"]
    plain = finding.estimate(*_sample(x, y, inference={"std_error": "influence"}))
    assert found.headline["estimate"] == plain.headline["estimate"]
    assert found.headline["std_error"] == pytest.approx(plain.headline["std_error"], rel=0.5)


@pytest.mark.parametrize("kind", ["hc0", "hc1", "hc2", "hc3"])
def test_lines_without_correction_have_the_errors_of_regressions(kind: str) -> None:
    x, y, received = _data()
    made = finding.estimate(
        *_sample(x, y, bandwidth=1.0, kernel="uniform", bias_correction=False, inference={"std_error": kind})
    )
    fitted = sm.OLS(y, np.column_stack([np.ones(N), received, x, x * received])).fit(cov_type=kind.upper())
    assert made.headline["estimate"] == pytest.approx(fitted.params[1], abs=1e-12)
    assert made.headline["std_error"] == pytest.approx(fitted.bse[1], rel=1e-10)
    assert len(made.tables["bandwidth_curve"]) == 3  # half, three quarters, all: no window is wider than the data


def test_an_adjusted_and_weighted_finding_is_rdrobusts() -> None:
    x, y, _ = _data()
    extra = _extra(weighted=True, adjusted=True)
    age = extra.covariates[:, 0]
    found = finding.estimate(*_sample(x, y + 0.5 * age, covariate_1=age, weight=extra.weights, adjustment="linear"))
    theirs = _rdrobust(y + 0.5 * age, x, covs=age, weights=extra.weights)
    plain = finding.estimate(*_sample(x, y + 0.5 * age, covariate_1=age, weight=extra.weights))
    assert found.headline["estimate"] == pytest.approx(theirs.coef.loc["Robust"].iloc[0], abs=1e-8)
    assert found.headline["std_error"] == pytest.approx(theirs.se.loc["Robust"].iloc[0], rel=1e-8)
    assert found.headline["std_error"] < plain.headline["std_error"]  # age explains most of what the lines leave
    assert any(note.startswith("Adjusted for age") for note in found.notes)
    assert any(note.startswith("Sampling weights") for note in plain.notes)


@pytest.mark.parametrize("kind", ["hc0", "hc1"])
def test_adjusted_lines_without_correction_are_least_squares(kind: str) -> None:
    x, y, received = _data()
    age = _extra(weighted=False, adjusted=True).covariates[:, 0]
    options = {"bandwidth": 1.0, "kernel": "uniform", "bias_correction": False, "adjustment": "linear"}
    made = finding.estimate(*_sample(x, y + age, covariate_1=age, inference={"std_error": kind}, **options))
    matrix = np.column_stack([np.ones(N), received, x, x * received, age])
    fitted = sm.OLS(y + age, matrix).fit(cov_type=kind.upper())
    assert made.headline["estimate"] == pytest.approx(fitted.params[1], abs=1e-10)
    assert made.headline["std_error"] == pytest.approx(fitted.bse[1], rel=1e-9)


def test_places_and_groups_have_effects_of_their_own_with_differences() -> None:
    x, y, _ = _data()
    place = np.where(np.arange(N) % 2, "urban", "rural")
    sample, design = _sample(x, y + (place == "urban") * (x >= 0), territory=place, subgroup_1=place)
    found = finding.estimate(sample, design)
    rows = found.effects[found.effects["territory"].notna()]
    assert rows["territory"].tolist() == ["rural", "urban", "urban − rural"]
    for name in ("rural", "urban"):
        part = _sample(x[place == name], sample.frame["outcome_1"].to_numpy()[place == name])
        alone = finding.estimate(part[0], part[1].model_copy(update={"inference": _influence(part[1])}))
        row = rows[rows["territory"] == name].iloc[0]
        assert row["estimate"] == pytest.approx(alone.headline["estimate"], abs=1e-12)
        assert row["std_error"] == pytest.approx(alone.headline["std_error"], rel=1e-9)
    apart = rows.iloc[2]
    assert apart["estimate"] == pytest.approx(rows["estimate"].iloc[1] - rows["estimate"].iloc[0], abs=1e-12)
    assert apart["std_error"] == pytest.approx(np.hypot(*rows["std_error"].iloc[:2]), rel=1e-9)  # no unit is in both
    assert "sex = urban" in found.effects["subgroup"].tolist()
    assert set(found.tables["territory_covariance"]["territory"]) == {"rural", "urban", "urban − rural"}


def _influence(design: Any) -> Any:
    return design.inference.model_copy(update={"std_error": "influence"})


def test_a_place_without_units_near_the_cutoff_is_named() -> None:
    x, y, _ = _data()
    place = np.where(np.abs(x) < 0.5, "near", "far")
    found = finding.estimate(*_sample(x, y, territory=np.where(x < -0.9, "low", place)))
    assert any(note.startswith("No effect for place low: 0 treated") for note in found.notes)
    assert any(note.startswith("No effect for place far: ") for note in found.notes)
    assert "Fewer than two groups of place have an effect, so that none is shown." in found.notes


def test_bins_have_intervals_of_their_means() -> None:
    """Student's interval of a mean with normal quantiles, by hand for the first bin."""
    x, y, _ = _data()
    bins = finding.estimate(*_sample(x, y)).tables["score_bins"]
    left = bins[bins["side"] == "left"]
    first = y[x < 0][np.argsort(x[x < 0])][: int(left["n"].iloc[0])]
    error = first.std(ddof=1) / np.sqrt(len(first))
    assert left["mean"].iloc[0] == pytest.approx(first.mean(), abs=1e-12)
    assert left["ci_high"].iloc[0] == pytest.approx(first.mean() + 1.959963984540054 * error, abs=1e-10)
    assert left["ci_low"].iloc[0] == pytest.approx(first.mean() - 1.959963984540054 * error, abs=1e-10)


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_unit_at_the_cutoff_is_on_the_treated_side(side: str) -> None:
    x, y, _ = _data()
    x[0] = 0.0
    sample, design = _sample(x, y, treated_side=side)
    made = discontinuity._distance(sample.frame, design)
    assert made[0] == 0
    assert sample.frame["treated"].iloc[0]
    assert ((made >= 0) == sample.frame["treated"]).all()


def test_shared_scores_are_counted_and_said() -> None:
    x, y, _ = _data()
    x[:300] = np.round(x[:300], 1) + 0.05
    found = finding.estimate(*_sample(x, y))
    _, counts = np.unique(x, return_counts=True)
    share = counts[counts > 1].sum() / N
    assert any(f"{share:.0%} of the units share their score" in note for note in found.notes)


def test_a_donut_leaves_the_nearest_units_out() -> None:
    x, y, _ = _data()
    found = finding.estimate(*_sample(x, y, donut=0.05)).headline["estimate"]
    kept = np.abs(x) >= 0.05
    assert found == pytest.approx(_rdrobust(y[kept], x[kept]).coef.loc["Robust"].iloc[0], abs=1e-8)


# what cannot be -------------------------------------------------------------------------------------------------------


def _refused(code: str, x: np.ndarray, y: np.ndarray, **more: Any) -> None:
    with pytest.raises(DataError) as caught:
        finding.estimate(*_sample(x, y, **more))
    assert caught.value.code == code


def test_a_cutoff_outside_the_data() -> None:
    x, y, _ = _data()
    _refused("E-IMP-332", x, y, cutoff=5)


def test_too_few_units_or_scores_near_the_cutoff() -> None:
    x, y, _ = _data()
    _refused("E-IMP-330", x, y, bandwidth=0.01, bias_correction=False)
    with pytest.raises(DataError, match="different scores") as caught:
        jump(y, np.sign(x), Window(kernel="uniform", order=1, h=(2.0, 2.0)))
    assert caught.value.code == "E-IMP-330"


def test_what_rdrobust_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, _ = _data()

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("no bandwidth")

    monkeypatch.setattr("rdrobust.rdrobust", fails)
    _refused("E-IMP-331", x, y)


def test_a_treatment_that_does_not_jump() -> None:
    x, y, _ = _data()
    flat = jump(np.zeros(N), x, Window(kernel="triangular", order=1, h=(0.5, 0.5)))
    with pytest.raises(DataError) as caught:
        ratio(jump(y, x, Window(kernel="triangular", order=1, h=(0.5, 0.5))), flat)
    assert caught.value.code == "E-IMP-333"
    assert local_polynomial.LEAST_JUMP > 0


@pytest.mark.slow
def test_robust_intervals_hold_the_truth() -> None:
    """2,000 draws of a curved design with a jump of .4: between 92 and 97.5 % (900 units, about 200 of them used)."""
    held = 0
    for seed in range(2000):
        x, y, _ = _data(seed)
        made = choose(y, x, _options())
        held += abs(made.estimate - 0.4) <= 1.96 * made.std_error
    assert 0.92 <= held / 2000 <= 0.975
