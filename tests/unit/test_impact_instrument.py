"""Instruments as a design: linearmodels' numbers through our record, influence as derivative, what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.errors import DataError
from evaluation.impact import finding, inference, instrument, instrumented
from evaluation.impact.instrumented import Linear, fit, restrictions
from evaluation.report import figures, locale
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import InstrumentDesign

N = 600
OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}
WHY = "A reason that is long enough to be read by somebody else."
ROW = pd.DataFrame({"term": ["ate"]})


def _linear(several: int = 3, seed: int = 3, *, weighted: bool = False, strength: float = 0.4) -> Linear:
    """Truth 0.7; errors with unequal variances, correlated with the treatment."""
    rng = np.random.default_rng(seed)
    z, x, u = rng.normal(size=(N, several)), rng.normal(size=N), rng.normal(size=N)
    d = strength * z.sum(axis=1) + 0.5 * x + u + rng.normal(size=N)
    y = 0.7 * d - 0.3 * x + (1 + 0.5 * np.abs(z[:, 0])) * (u + rng.normal(size=N))
    return Linear(
        y=y,
        treatment=d,
        instruments=z,
        exogenous=np.column_stack([np.ones(N), x]),
        names=("intercept", "x"),
        weights=rng.uniform(0.5, 2.0, N) if weighted else np.ones(N),
        units=pd.RangeIndex(N),
    )


def _peer(linear: Linear, estimator: str) -> Any:
    """The independent program."""
    from linearmodels.iv import IV2SLS, IVGMM, IVLIML

    maker = {"2sls": IV2SLS, "liml": IVLIML, "gmm": IVGMM}[estimator]
    model = maker(linear.y, linear.exogenous, linear.treatment, linear.instruments, weights=linear.weights)
    return model.fit(iter_limit=2) if estimator == "gmm" else model.fit(cov_type="robust")


def _place(found: Any) -> int:
    return list(found.params.index).index("endog")


# equality with linearmodels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("estimator", ["2sls", "liml", "gmm"])
def test_estimates_are_linearmodels(estimator: str, weighted: bool) -> None:
    linear = _linear(weighted=weighted)
    theirs = _peer(linear, estimator)
    ours = fit(linear, estimator, ROW)
    assert ours.estimate[0] == pytest.approx(theirs.params["endog"], rel=1e-10)  # two ways of solving one system


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("estimator", ["2sls", "liml", "gmm"])
def test_robust_errors_are_linearmodels(estimator: str, weighted: bool) -> None:
    linear = _linear(weighted=weighted)
    theirs = _peer(linear, estimator)
    ours = inference.covariance(fit(linear, estimator, ROW), kind="influence").std_error[0]
    # theirs does not centre the scores of LIML, whose mean is not zero: variance = mean square less squared mean
    uncentred = ours**2 + (_mean_score_of_liml(linear) if estimator == "liml" else 0.0) ** 2 / N
    assert np.sqrt(uncentred) == pytest.approx(theirs.std_errors["endog"], rel=1e-8)
    assert ours == pytest.approx(theirs.std_errors["endog"], rel=1e-3)


def _mean_score_of_liml(linear: Linear) -> float:
    """Mean of the influences as linearmodels has them, from its own κ and estimates."""
    theirs = _peer(linear, "liml")
    y, x, z = linear.scaled()
    fitted = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    left = y - x @ theirs.params[["endog", "exog.0", "exog.1"]].to_numpy()
    bread = np.linalg.inv(x.T @ (x - theirs.kappa * (x - fitted)))
    return float(bread[0] @ fitted.T @ left)


def test_clustered_errors_of_gmm_are_linearmodels() -> None:
    from linearmodels.iv import IVGMM

    groups = np.arange(N) // 15
    linear = _with(_linear(), groups=groups)
    model = IVGMM(
        linear.y, linear.exogenous, linear.treatment, linear.instruments, weight_type="clustered", clusters=groups
    )
    theirs = model.fit(iter_limit=2, cov_type="clustered", clusters=groups)
    ours = fit(linear, "gmm", ROW)
    assert ours.estimate[0] == pytest.approx(theirs.params["endog"], rel=1e-10)
    found = inference.covariance(ours, pd.DataFrame({"group": groups}), kind="influence")
    assert found.std_error[0] == pytest.approx(theirs.std_errors["endog"], rel=1e-8)


def test_clustered_errors_are_linearmodels() -> None:
    from linearmodels.iv import IV2SLS

    linear, groups = _linear(), np.arange(N) // 15
    model = IV2SLS(linear.y, linear.exogenous, linear.treatment, linear.instruments)
    theirs = model.fit(cov_type="clustered", clusters=groups)
    ours = inference.covariance(fit(linear, "2sls", ROW), pd.DataFrame({"group": groups}), kind="cr0")
    assert ours.std_error[0] == pytest.approx(theirs.std_errors["endog"], rel=1e-10)


def test_tests_of_agreement_are_linearmodels() -> None:
    linear = _linear()
    two, gmm, ours = _peer(linear, "2sls"), _peer(linear, "gmm"), restrictions(linear)
    assert (ours["sargan"], ours["sargan_p"]) == pytest.approx((two.sargan.stat, two.sargan.pval), rel=1e-8)
    assert (ours["hansen"], ours["hansen_p"]) == pytest.approx((gmm.j_stat.stat, gmm.j_stat.pval), rel=1e-8)
    assert ours["restrictions"] == 2


def test_one_instrument_makes_all_estimators_the_same_ratio() -> None:
    linear = _linear(1)
    both = np.column_stack([linear.instruments, linear.exogenous])
    ratio = sm.OLS(linear.y, both).fit().params[0] / sm.OLS(linear.treatment, both).fit().params[0]
    for estimator in ("2sls", "liml", "gmm"):
        assert fit(linear, estimator, ROW).estimate[0] == pytest.approx(ratio, rel=1e-10)


@pytest.mark.parametrize("estimator", ["2sls", "liml"])
def test_influence_is_the_derivative_by_a_units_weight(estimator: str) -> None:
    """Infinitesimal jackknife: the estimate with a little more weight on one unit.

    The fitted treatment and the root of LIML move as well, by terms that vanish with the mean of the moments: at 600
    rows they are a few per cent of the influence. (The first-step weights of GMM move it more; its errors are pinned to
    linearmodels above.)
    """
    linear = _linear(strength=0.8)
    whole = fit(linear, estimator, ROW).dense()[:, 0]
    step, moved = 1e-4, []
    for unit in range(0, N, 40):
        sides = []
        for sign in (1, -1):
            weights = np.ones(N)
            weights[unit] += sign * step
            sides.append(fit(_with(linear, weights=weights), estimator, ROW).estimate[0])
        moved.append(N * (sides[0] - sides[1]) / (2 * step))
    assert np.max(np.abs(np.array(moved) - whole[::40])) < 0.08 * np.abs(whole).max()


def _with(linear: Linear, **change: Any) -> Linear:
    fields = ("y", "treatment", "instruments", "exogenous", "names", "weights", "units", "groups")
    return Linear(**({name: getattr(linear, name) for name in fields} | change))


def test_one_instrument_influence_is_exact() -> None:
    linear = _linear(1)
    whole, step = fit(linear, "2sls", ROW).dense()[:, 0], 1e-4
    for unit in (0, 17, 301):
        weights = np.ones(N)
        sides = []
        for sign in (1, -1):
            weights[unit] = 1 + sign * step
            sides.append(fit(_with(linear, weights=weights.copy()), "2sls", ROW).estimate[0])
        # central difference: error of the order of the squared step
        assert N * (sides[0] - sides[1]) / (2 * step) == pytest.approx(whole[unit], rel=1e-5, abs=1e-7)


# strength -------------------------------------------------------------------------------------------------------------


def _sample(linear: Linear, **more: Any) -> tuple[Sample, InstrumentDesign]:
    columns: dict[str, Any] = {"unit": np.arange(N), "outcome_1": linear.y, "received": linear.treatment, "weight": 1.0}
    several = linear.instruments.shape[1]
    columns |= {f"instrument_{k + 1}": linear.instruments[:, k] for k in range(several)}
    columns |= {"covariate_1": linear.exogenous[:, 1], **more.pop("columns", {})}
    frame = pd.DataFrame(columns)
    frame["treated"] = frame["received"] > frame["received"].mean()
    design = InstrumentDesign(
        id="iv", outcomes=[OUTCOME], treatment="d", instruments=[f"z{k + 1}" for k in range(several)],
        covariates=["x"], exclusion=WHY, monotonicity=WHY, **more,
    )  # fmt: skip
    names = {"outcome_1": "y", "unit": "row", "covariate_1": "x", "received": "d", "cluster_1": "g"}
    sample = Sample(
        id="iv", frame=frame, names=names, flow=(FlowStep(step="read", dropped=0, left=N, reason="made"),),
        codebook=pd.DataFrame(), data_sha256="0" * 64, data_source="made", rows_read=N, period_labels={}, notes=(),
    )  # fmt: skip
    return sample, design


def _checks(found: Any) -> dict[str, Any]:
    return {check.check: check for check in found.checks}


def _set(found: Any) -> pd.DataFrame:
    """Pieces of the Anderson-Rubin set."""
    rows = found.tables["intervals"]
    return rows.loc[rows["interval"] == "Anderson-Rubin", ["low", "high"]]


def test_with_one_instrument_the_effective_f_is_the_robust_one() -> None:
    linear = _linear(1)
    found = finding.estimate(*_sample(linear))
    both = np.column_stack([linear.instruments, linear.exogenous])
    robust = sm.OLS(linear.treatment, both).fit(cov_type="HC2").tvalues[0] ** 2
    assert _checks(found)["compliance.first_stage_f"].value == pytest.approx(robust, rel=1e-10)
    # reduced form / first stage, and the covariance that sensitivity reads
    stages = found.tables["instrument_stages"]
    assert stages["estimate"][0] / stages["estimate"][1] == pytest.approx(found.headline["estimate"], rel=1e-10)
    assert np.sqrt(stages["covariance_2"][1]) == pytest.approx(
        sm.OLS(linear.treatment, both).fit(cov_type="HC2").bse[0], rel=1e-10
    )
    assert _checks(found)["identification.sensitivity"].value is not None


def test_the_anderson_rubin_set_is_that_of_tests_at_every_effect() -> None:
    """Dense twin: t of the instrument in a regression of y - b d, at the ends of the set, is the critical value."""
    from scipy import stats

    linear = _linear(1)
    sample, design = _sample(linear)
    known = _set(finding.estimate(sample, design)).iloc[0]
    both = np.column_stack([linear.instruments, linear.exogenous])
    for end in (known["low"], known["high"]):
        t = sm.OLS(linear.y - end * linear.treatment, both).fit(cov_type="HC2").tvalues[0]
        assert abs(t) == pytest.approx(stats.t.ppf(0.975, N - 3), rel=1e-8)


def test_the_set_with_clusters_is_that_of_tests_at_every_effect() -> None:
    """As above with CR1: 40 clusters, so that the factor for small samples counts."""
    from scipy import stats

    linear, groups = _linear(1), np.arange(N) // 15
    options = {"cluster": ["g"], "inference": {"std_error": "cr1"}}
    found = finding.estimate(*_sample(linear, columns={"cluster_1": groups}, **options))
    both = np.column_stack([linear.instruments, linear.exogenous])
    for end in _set(found).iloc[0]:
        left = sm.OLS(linear.y - end * linear.treatment, both)
        t = left.fit(cov_type="cluster", cov_kwds={"groups": groups}).tvalues[0]
        assert abs(t) == pytest.approx(stats.t.ppf(0.975, 39), rel=1e-8)


@pytest.mark.parametrize("strength", [0.4, 0.03])
def test_the_set_of_several_instruments_is_that_of_wald_tests(strength: float) -> None:
    """Dense twin: χ² of all instruments in a regression of y - b d is the quantile at each finite end."""
    from scipy import stats

    linear = _linear(2, strength=strength)
    known = _set(finding.estimate(*_sample(linear, inference={"std_error": "hc0"})))
    both = np.column_stack([linear.instruments, linear.exogenous])
    ends = known.to_numpy().ravel()
    for end in ends[np.isfinite(ends)]:
        left = sm.OLS(linear.y - end * linear.treatment, both).fit(cov_type="HC0")
        wald = left.wald_test(np.eye(2, 4), scalar=True, use_f=False).statistic
        assert wald == pytest.approx(stats.chi2.ppf(0.95, 2), rel=1e-6)
    assert np.isfinite(ends).all() == (strength == 0.4)  # a weak first stage: the set has no end on some side


def test_several_instruments_are_shown_with_their_agreement_and_estimators() -> None:
    found = finding.estimate(*_sample(_linear(3), estimator="gmm"))
    assert list(found.tables["estimators"]["estimator"]) == ["ols", "2sls", "liml", "gmm"]
    assert found.headline["estimate"] == pytest.approx(found.tables["estimators"]["estimate"][3])
    assert 0 < _checks(found)["instrument.overidentification_p"].value < 1
    assert len(found.tables["stages"]) == 6
    # least squares is biased upwards by the common cause, the others are not: truth 0.7, standard errors near 0.06
    assert found.tables["estimators"]["estimate"][0] > 0.9
    assert (found.tables["estimators"]["estimate"][1:] - 0.7).abs().max() < 0.2


def test_a_weak_instrument_says_so() -> None:
    found = finding.estimate(*_sample(_linear(1, strength=0.05)))
    assert _checks(found)["compliance.first_stage_f"].value < 23.1
    assert any("Weak instruments" in note and "Anderson-Rubin" in note for note in found.notes)


def test_texts_on_what_no_data_can_show_reach_the_reader() -> None:
    notes = finding.estimate(*_sample(_linear(1))).notes
    assert sum(WHY in note for note in notes) == 2


def test_clusters_reach_the_interval() -> None:
    linear = _linear(1)
    groups = np.arange(N) // 15
    found = finding.estimate(*_sample(linear, columns={"cluster_1": groups}, cluster=["g"]))
    assert "CR2" in found.headline["inference"]
    assert found.sample["clusters"] == 40


def test_covariates_that_repeat_one_another_are_left_out() -> None:
    linear = _linear(1)
    twice = _sample(linear, columns={"covariate_2": 2 * linear.exogenous[:, 1]})
    assert finding.estimate(*twice).headline["estimate"] == pytest.approx(
        finding.estimate(*_sample(linear)).headline["estimate"], rel=1e-10
    )


# bad input ------------------------------------------------------------------------------------------------------------


def test_an_instrument_that_covariates_hold_is_refused() -> None:
    linear = _linear(1)
    with pytest.raises(DataError) as caught:
        instrument.estimate(*_sample(linear, columns={"instrument_1": 3 * linear.exogenous[:, 1] + 1}))
    assert caught.value.code == "E-IMP-346"
    assert caught.value.found == "z1"


def test_a_treatment_that_covariates_fix_is_refused() -> None:
    linear = _linear(1)
    with pytest.raises(DataError) as caught:
        instrument.estimate(*_sample(linear, columns={"received": 2 * linear.exogenous[:, 1]}))
    assert caught.value.code == "E-IMP-347"


def test_an_instrument_that_moves_nothing_is_refused() -> None:
    z, d = np.repeat([0.0, 1.0], 4), np.tile([0.0, 1.0], 4)  # as many treated with the instrument as without
    linear = Linear(
        y=np.arange(8.0), treatment=d, instruments=z[:, None], exogenous=np.ones((8, 1)), names=("intercept",),
        weights=np.ones(8), units=pd.RangeIndex(8),
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        instrumented.fit(linear, "2sls", ROW)
    assert caught.value.code == "E-IMP-348"


# figure ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "says"), [("fr", "Ce que la variable instrumentale change"), ("en", "What the instr")]
)
def test_both_stages_are_drawn_with_their_numbers(lang: Any, says: str) -> None:
    table = finding.estimate(*_sample(_linear(2))).tables["stages"]
    figure = figures.stages(table, "points", lang)
    assert says in figures.alt(figure)
    assert locale.number(float(table["estimate"][0]), lang) in figures.alt(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 4
    assert "points" in labels[2]
