"""Weak designs: computed right, never without the check that says what is missing, refused where they cannot be."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pydantic import ValidationError
from scipy import stats

from evaluation.errors import DataError, ParametersError
from evaluation.evidence import record
from evaluation.impact import effects as module
from evaluation.impact import finding, inference
from evaluation.sample import prepare
from evaluation.settings.designs import UncontrolledDesign

OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}
PERIODS = 24
HASHES = ("data_sha256", "code_sha256", "lock_sha256", "parameters_sha256")
PROVENANCE = {"public": False, "seed": 1, **dict.fromkeys(HASHES, "0" * 64)}
TWO = [OUTCOME, OUTCOME | {"column": "z", "role": "secondary"}]


def _design(**more: Any) -> UncontrolledDesign:
    return UncontrolledDesign(**({"id": "weak", "outcomes": [OUTCOME]} | more))


def _found(frame: pd.DataFrame, tmp_path: Any, **more: Any) -> tuple[Any, Any]:
    """The finding through a file, as an evaluator would have it, and the record's class of design."""
    frame.to_csv(tmp_path / "data.csv", index=False)
    design = _design(data=[{"file": "data.csv"}], **more)
    sample = prepare(design, root=tmp_path)
    found = finding.estimate(sample, design)
    made = record.from_finding(found, sample, design, PROVENANCE)
    return found, made.design_class


def _checks(found: Any) -> dict[str, Any]:
    return {check.check: check for check in found.checks}


def _people(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    before = rng.normal(10, 2, n)
    took = (rng.random(n) < 0.4).astype(int)
    return pd.DataFrame(
        {
            "before": before,
            "y": before + 1 + took + rng.normal(size=n),
            "took": took,
            "age": rng.normal(40, 9, n),
            "town": np.arange(n) // 8,
        }
    )


def _series(other: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    time = np.arange(PERIODS)
    noise = np.convolve(rng.normal(size=PERIODS + 1), [1, 0.6], "valid")
    y = 20 + 0.5 * time + np.where(time >= 14, 3 + 0.2 * (time - 14), 0) + noise
    frame = pd.DataFrame({"when": [f"{2015 + t // 4}-Q{t % 4 + 1}" for t in time], "y": y, "here": 1})
    if not other:
        return frame
    return pd.concat([frame, frame.assign(y=18 + 0.5 * time + rng.normal(size=PERIODS), here=0)], ignore_index=True)


SERIES = {"compared": "series", "time": "when", "start": "2018-Q3"}  # the 15th period


# before and after -----------------------------------------------------------------------------------------------------


def test_before_and_after_is_the_paired_t(tmp_path: Any) -> None:
    frame = _people()
    found, kind = _found(frame, tmp_path, compared="before_after", baseline_outcome="before")
    theirs = stats.ttest_rel(frame["y"], frame["before"])
    low, high = theirs.confidence_interval()
    assert found.headline["estimate"] == pytest.approx((frame["y"] - frame["before"]).mean(), rel=1e-12)
    assert found.headline["p_value"] == pytest.approx(theirs.pvalue, rel=1e-8)
    assert (found.headline["ci_low"], found.headline["ci_high"]) == pytest.approx((low, high), rel=1e-10)
    assert found.headline["comparison_mean"] == pytest.approx(frame["before"].mean(), rel=1e-12)
    assert kind == "before_after"


def test_before_and_after_with_clusters(tmp_path: Any) -> None:
    frame = _people()
    found, _ = _found(frame, tmp_path, compared="before_after", baseline_outcome="before", cluster=["town"])
    # ten towns of eight: the t of their mean changes
    change = (frame["y"] - frame["before"]).groupby(frame["town"]).mean()
    assert found.headline["std_error"] == pytest.approx(change.std(ddof=1) / np.sqrt(10), rel=1e-10)


def test_people_without_a_baseline_are_counted(tmp_path: Any) -> None:
    frame = _people()
    frame.loc[:4, "before"] = np.nan
    found, _ = _found(frame, tmp_path, compared="before_after", baseline_outcome="before")
    assert {step["step"]: step["dropped"] for step in found.sample["flow"]}["missing_baseline"] == 5


# raw ------------------------------------------------------------------------------------------------------------------


def test_a_raw_comparison_is_welch(tmp_path: Any) -> None:
    frame = _people()
    found, kind = _found(frame, tmp_path, compared="raw", treatment="took", covariates=["age"])
    arms = [frame.loc[frame["took"] == arm, "y"] for arm in (1, 0)]
    error = np.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms))  # HC2 of one 0/1 regressor
    assert found.headline["estimate"] == pytest.approx(arms[0].mean() - arms[1].mean(), rel=1e-12)
    assert found.headline["std_error"] == pytest.approx(error, rel=1e-10)
    assert _checks(found)["balance.adjusted"].value == 0
    assert _checks(found)["balance.max_smd"].subject == "age"
    assert kind == "raw_comparison"


# series ---------------------------------------------------------------------------------------------------------------


def _peer(y: np.ndarray, lags: int) -> Any:
    """The independent program."""
    time, after = np.arange(PERIODS) - 14.0, (np.arange(PERIODS) >= 14).astype(float)
    columns = np.column_stack([np.ones(PERIODS), time, after, after * time])
    return sm.OLS(y, columns).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True)


@pytest.mark.parametrize("lags", [0, 1, 4])
def test_segments_and_their_errors_are_statsmodels(tmp_path: Any, lags: int) -> None:
    frame = _series()
    found, kind = _found(frame, tmp_path, lags=lags, **SERIES)
    theirs, ours = _peer(frame["y"].to_numpy(), lags), found.tables["segments"]
    assert ours["estimate"].to_numpy() == pytest.approx(theirs.params, rel=1e-10)
    assert ours["std_error"].to_numpy() == pytest.approx(theirs.bse, rel=1e-10)
    assert ours["p_value"].to_numpy() == pytest.approx(theirs.pvalues, rel=1e-8)
    # the headline is the mean of c + d k over the ten periods k = 0 ... 9
    mean = theirs.t_test(np.array([0, 0, 1, 4.5]))
    assert found.headline["estimate"] == pytest.approx(mean.effect[0], rel=1e-10)
    assert found.headline["std_error"] == pytest.approx(float(mean.sd[0, 0]), rel=1e-10)
    assert kind == "before_after"


def _seasonal() -> pd.DataFrame:
    """Four years of quarters before the start, two after, with a swing of the year."""
    frame = _series()
    return frame.assign(y=frame["y"] + np.tile([4.0, -1.0, -5.0, 2.0], PERIODS // 4))


def test_seasons_are_dummies(tmp_path: Any) -> None:
    frame = _seasonal()
    found, _ = _found(frame, tmp_path, lags=2, seasons=4, **SERIES)
    time, after = np.arange(PERIODS) - 14.0, (np.arange(PERIODS) >= 14).astype(float)
    dummies = np.eye(4)[np.arange(PERIODS) % 4]
    columns = np.column_stack([dummies, time, after, after * time])  # other coding: a level for each quarter
    model = sm.OLS(frame["y"].to_numpy(), columns)
    theirs = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2, "use_correction": True}, use_t=True)
    segments = found.tables["segments"].set_index("segment")
    for place, name in ((4, "trend"), (5, "change_of_level"), (6, "change_of_trend")):
        assert segments["estimate"][name] == pytest.approx(theirs.params[place], rel=1e-9)
        assert segments["std_error"][name] == pytest.approx(theirs.bse[place], rel=1e-9)
        assert segments["p_value"][name] == pytest.approx(theirs.pvalues[place], rel=1e-7)
    assert segments["estimate"]["level"] == pytest.approx(theirs.params[:4].mean(), rel=1e-9)
    assert any("4 seasons a year" in note for note in found.notes)


def test_what_neighbours_share_is_durbin_and_watsons(tmp_path: Any) -> None:
    from statsmodels.stats.stattools import durbin_watson

    frame = _series()
    found, _ = _found(frame, tmp_path, lags=1, **SERIES)
    check = _checks(found)["series.durbin_watson"]
    assert check.value == pytest.approx(durbin_watson(_peer(frame["y"].to_numpy(), 1).resid), rel=1e-9)
    assert "Newey-West lags: 1" in check.detail
    line = np.arange(PERIODS) * 2.0
    flat, _ = _found(frame.assign(y=line), tmp_path, **SERIES)
    assert _checks(flat)["series.durbin_watson"].status == "not_run"


def test_seasons_of_a_short_series_are_refused(tmp_path: Any) -> None:
    with pytest.raises(DataError) as caught:
        _found(_series(), tmp_path, seasons=12, **SERIES)
    assert caught.value.code == "E-IMP-387"
    assert "14 periods before" in caught.value.found


def test_another_series_is_taken_away(tmp_path: Any) -> None:
    frame = _series(other=True)
    found, kind = _found(frame, tmp_path, treatment="here", **SERIES)
    gap = frame.loc[frame["here"] == 1, "y"].to_numpy() - frame.loc[frame["here"] == 0, "y"].to_numpy()
    lags = inference.default_lags(PERIODS)
    assert lags == 2  # 4 (24/100)^(2/9) = 2.91
    assert found.tables["segments"]["estimate"].to_numpy() == pytest.approx(_peer(gap, lags).params, rel=1e-10)
    assert kind == "before_after_adjusted"


def test_each_period_after_the_start_has_its_row(tmp_path: Any) -> None:
    found, _ = _found(_series(), tmp_path, **SERIES)
    rows = found.effects[found.effects["term"] == "event_time"]
    assert list(rows["event_time"]) == list(range(10))
    assert rows["estimate"].mean() == pytest.approx(found.headline["estimate"], rel=1e-10)


def test_several_rows_a_period_count_by_their_mean(tmp_path: Any) -> None:
    frame = _series()
    twice = pd.concat([frame.assign(y=frame["y"] - 2), frame.assign(y=frame["y"] + 2)], ignore_index=True)
    one, _ = _found(frame, tmp_path, **SERIES)
    two, _ = _found(twice, tmp_path, **SERIES)
    assert two.headline["estimate"] == pytest.approx(one.headline["estimate"], rel=1e-10)
    assert any("2 to 2 of them" in note for note in two.notes)
    assert not any("of them" in note for note in one.notes)


def test_lags_beyond_the_series_are_refused() -> None:
    rows = np.array([[1.0], [-1.0], [0.5], [-0.5]])
    made = module.Effects(
        estimate=np.zeros(1), labels=pd.DataFrame({"term": ["att"]}), influence=rows, units=pd.RangeIndex(4)
    )
    with pytest.raises(ParametersError) as caught:
        inference.newey_west(made, 4, coefficients=1)
    assert caught.value.code == "E-IMP-350"
    # by hand, one lag: [2.5 + 2 * 1/2 * (-1 - 0.5 - 0.25)] * 4/3 / 16
    assert inference.newey_west(made, 1, coefficients=1).matrix[0, 0] == pytest.approx((2.5 - 1.75) * 4 / 3 / 16)


# what always stands beside --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compared", ["before_after", "raw", "series"])
def test_what_is_missing_is_always_said(tmp_path: Any, compared: str) -> None:
    options = {
        "before_after": {"compared": compared, "baseline_outcome": "before"},
        "raw": {"compared": compared, "treatment": "took"},
        "series": SERIES,
    }[compared]
    found, _ = _found(_series() if compared == "series" else _people(), tmp_path, **options)
    assert _checks(found)["identification.counterfactual"].value == 0
    assert "what would have happened" in _checks(found)["identification.counterfactual"].detail
    assert _checks(found)["identification.sensitivity"].status == "not_run"
    assert found.notes


# bad input ------------------------------------------------------------------------------------------------------------


def test_a_short_series_is_refused(tmp_path: Any) -> None:
    with pytest.raises(DataError) as caught:
        _found(_series().iloc[12:], tmp_path, **SERIES)
    assert caught.value.code == "E-IMP-349"
    assert "2 before" in str(caught.value.found)


def test_series_with_gaps_are_refused(tmp_path: Any) -> None:
    frame = _series(other=True)
    with pytest.raises(DataError) as caught:
        _found(frame.drop(index=[3]), tmp_path, treatment="here", **SERIES)
    assert caught.value.code == "E-IMP-351"
    assert caught.value.found == "2015-Q4"
    with pytest.raises(DataError) as caught:
        _found(_series().drop(index=[3]), tmp_path, **SERIES)
    assert caught.value.code == "E-IMP-352"
    assert "2015-Q3 and 2016-Q1" in str(caught.value.found)


@pytest.mark.parametrize("start", ["2015-Q1", "2031-Q1", "summer"])
def test_a_start_outside_the_series_is_refused(tmp_path: Any, start: str) -> None:
    with pytest.raises(DataError) as caught:
        _found(_series(), tmp_path, **(SERIES | {"start": start}))
    assert caught.value.code == "E-DATA-049"


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("E-SET-270", {"compared": "raw", "treatment": "d", "territory": "region"}),
        ("E-SET-271", {"compared": "before_after"}),
        ("E-SET-271", {"compared": "raw"}),
        ("E-SET-271", {"compared": "series", "time": "t"}),
        ("E-SET-272", {"compared": "raw", "treatment": "d", "lags": 2}),
        ("E-SET-272", {"compared": "raw", "treatment": "d", "seasons": 4}),
        ("E-SET-272", {"compared": "before_after", "baseline_outcome": "b", "treatment": "d"}),
        ("E-SET-273", {"compared": "before_after", "baseline_outcome": "b", "outcomes": TWO}),
        ("E-SET-274", {"compared": "before_after", "baseline_outcome": "b", "blinded": True}),
        ("E-SET-275", {"compared": "raw", "treatment": "d", "inference": {"bands": "multiplier"}}),
        ("E-SET-275", {"compared": "series", "time": "t", "start": 3, "inference": {"std_error": "hc1"}}),
    ],
)  # fmt: skip
def test_contradictions(code: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        _design(**more)
    assert code in str(caught.value)
