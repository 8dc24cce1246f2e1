"""Specification curves: sharing changes no number, refusals are counted, the joint test finds what was planted."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.errors import InternalError, ParametersError
from evaluation.impact import did_estimators, inference, specification_curve
from evaluation.impact.inference.specifications import joint_test
from evaluation.impact.specification_sample import alone, sample_of
from evaluation.sample import Sample
from evaluation.settings.designs import DidDesign, ExperimentDesign
from evaluation.settings.specifications import expand

OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "smallest_effect": 0.1}
DID = {
    "id": "a", "method": "did", "unit": "unit", "time": "year", "cohort": {"column": "g"}, "outcomes": [OUTCOME],
    "covariates": ["x1", "x2"], "territory": "region",
}  # fmt: skip
AXES = {
    "estimator": ["doubly_robust", "regression", "imputation"],
    "comparison": ["never_treated", "not_yet_treated"],
    "base_period": ["varying", "universal"],
    "covariates": [[], ["x1"], ["x1", "x2"]],
    "samples": [{"name": "all"}, {"name": "without-a", "drop": {"region": ["a"]}}],
}


def _sample(frame: pd.DataFrame) -> Sample:
    names = {"unit": "unit", "period": "year", "cohort": "g", "outcome_1": "y", "territory": "region"}
    names |= {"covariate_1": "x1", "covariate_2": "x2"}
    return Sample(
        id="a", frame=frame, names=names, flow=(), codebook=pd.DataFrame(), data_sha256="", data_source="",
        rows_read=len(frame), period_labels={}, notes=(), roster=None,
    )  # fmt: skip


def _panel(units: int = 200, periods: int = 5) -> Sample:
    rng = np.random.default_rng(1)
    cohort = rng.choice([np.nan, 3, 4], units, p=[0.4, 0.3, 0.3])
    x, period = rng.normal(size=(units, 2)), np.tile(np.arange(1, periods + 1), units)
    unit = np.repeat(np.arange(units), periods)
    y = rng.normal(size=len(unit)) + 0.3 * x[unit, 0] * period + (period >= np.nan_to_num(cohort, nan=99)[unit])
    frame = {"unit": unit, "period": period, "cohort": pd.array(cohort[unit], dtype="Int64"), "outcome_1": y}
    frame |= {"treated": ~np.isnan(cohort[unit]), "weight": 1.0, "covariate_1": x[unit, 0], "covariate_2": x[unit, 1]}
    return _sample(pd.DataFrame({**frame, "territory": np.array(["a", "b", "c"])[unit % 3]}))


def test_shared_work_gives_the_numbers_of_separate_runs() -> None:
    """Same arithmetic in another order: 1e-10 leaves room for rounding only.

    Imputation has no universal base period: 12 combinations are refused.
    """
    sample, design = _panel(), DidDesign.model_validate({**DID, "specifications": AXES})
    curve = specification_curve.run(sample, design, seed=1)
    specifications, refused = expand(design)
    assert len(specifications) + len(refused) == 3 * 2 * 2 * 3 * 2
    assert len(refused) == 12 == curve.summary["refused"]
    assert all(one.choices["estimator"] == "imputation" for one in refused)
    for position in range(0, len(specifications), 7):
        one = specifications[position]
        effects = did_estimators.estimate(sample_of(sample, one), alone(one)).headline
        row = inference.summarize(effects).iloc[0]
        found = curve.table.loc[position, ["estimate", "std_error"]].to_numpy(dtype=float)
        assert found == pytest.approx([row["estimate"], row["std_error"]], abs=1e-10)
    assert curve.joint is not None
    assert curve.joint.p_value["median"] == pytest.approx(0.001)  # an effect of one is planted


def test_threads_change_no_number() -> None:
    sample, design = _panel(), DidDesign.model_validate({**DID, "specifications": AXES})
    one, two = (specification_curve.run(sample, design, seed=1, workers=k).table for k in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_permutations_of_an_experiment_and_its_estimates_agree() -> None:
    rng = np.random.default_rng(2)
    x, treated = rng.normal(size=80), rng.permutation(np.arange(80) < 40)
    frame = {"unit": np.arange(80), "outcome_1": x + 2 * treated + rng.normal(size=80), "treated": treated}
    frame |= {"weight": 1.0, "covariate_1": x}
    axes = {"adjustment": ["none", "lin", "ancova"], "transform": ["none", "winsorised_95"]}
    raw = {"id": "a", "method": "experiment", "treatment": "t", "outcomes": [OUTCOME], "covariates": ["x1"]}
    design = ExperimentDesign.model_validate({**raw, "specifications": axes})
    curve = specification_curve.run(_sample(pd.DataFrame(frame)), design, seed=3)
    assert curve.joint is not None
    assert curve.joint.law == "complete assignment of units"  # had the sums not been the estimates: multipliers
    assert curve.joint.p_value["median"] == pytest.approx(0.001)


def test_joint_p_values_by_hand() -> None:
    """Median of (1, 2, 3) is 2; draws with medians 0, 3, -2: two are as far from zero, p = (1 + 2) / (1 + 3)."""
    draws = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0], [-2.0, -2.0, -2.0]])
    found = joint_test(np.array([1.0, 2.0, 3.0]), np.ones(3), draws, law="by hand")
    assert found.p_value["median"] == 0.75
    assert found.value["share_significant"] == pytest.approx(2 / 3)
    with pytest.raises(InternalError, match="E-IMP-375"):
        joint_test(np.ones(3), np.zeros(3), draws, law="by hand")


def test_joint_p_values_are_uniform_without_an_effect() -> None:
    """400 curves of 5 correlated estimates: the share of p ≤ 0.1 is 0.1 within three binomial errors, 0.045."""
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky(0.8 + 0.2 * np.eye(5))
    found = []
    for curve in rng.normal(size=(400, 5)) @ root.T:
        draws = rng.normal(size=(199, 5)) @ root.T
        found.append(joint_test(curve, np.ones(5), draws, law="normal").p_value["median"])
    assert abs(np.mean(np.array(found) <= 0.1) - 0.1) < 0.045


@pytest.mark.parametrize(
    ("axes", "code"),
    [
        ({"estimator": []}, "E-SET-290"),
        ({"estimator": ["regression", "regression"]}, "E-SET-291"),
        ({"estimator": ["regression"]}, "E-SET-292"),
        ({"samples": [{"name": "one"}, {"name": "two"}]}, "E-SET-293"),
        ({"estimater": ["regression", "imputation"]}, "E-SET-294"),
        ({"covariates": [[], ["x9"]]}, "E-SET-295"),
    ],
)
def test_axes_that_cannot_be(axes: dict[str, object], code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DidDesign.model_validate({**DID, "specifications": axes})
    assert caught.value.errors()[0]["type"] == code


def test_filters_and_designs_that_cannot_be() -> None:
    axes = {"samples": [{"name": "all"}, {"name": "some", "keep": {"nowhere": [1]}}]}
    with pytest.raises(ParametersError, match="E-IMP-376"):
        specification_curve.run(_panel(), DidDesign.model_validate({**DID, "specifications": axes}))
    with pytest.raises(ParametersError, match="E-IMP-377"):
        specification_curve.run(_panel(), DidDesign.model_validate(DID))


def test_the_figure_says_what_it_shows() -> None:
    from evaluation.report.figures.drawing import alt
    from evaluation.report.figures.specification_curve import specification_curve as drawn

    table = pd.DataFrame({"estimator": ["a", "b"], "estimate": [2.0, 1.0], "ci_low": [1.0, 0.0], "ci_high": [3.0, 2.0]})
    figure = drawn(table.assign(declared=[True, False]), ["estimator"], "points", "en")
    assert alt(figure) == "2 variants: from 1 to 2, median 1.5 (points)."
