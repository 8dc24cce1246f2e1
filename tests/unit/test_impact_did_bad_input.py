"""Bad input to difference-in-differences: each case has one error code, or handling that is counted and documented.

What the estimators see is a sample; what files may hold is tested in test_sample_canonical.py, and end to end below.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.evidence.calibration.designs import staggered
from evaluation.impact.did_estimators import ESTIMATORS
from evaluation.impact.inference import cluster_table, covariance, summarize
from evaluation.sample import prepare
from evaluation.settings.designs import BY_CELL, DESIGNS

EVERY = pytest.mark.parametrize("estimator", ESTIMATORS)
CELLS = pytest.mark.parametrize("estimator", BY_CELL)


def villages(**columns):
    """42 units in six periods, cohorts 3, 4 and never; `columns` are functions of the table."""
    table = staggered(42, np.random.default_rng(20250101))
    return table.assign(**columns)


def run(panel, table, estimator, /, **options):
    sample, design = panel(table, estimator=estimator, **options)
    return ESTIMATORS[estimator](sample, design)


def refused(panel, table, estimator, /, **options):
    with pytest.raises(DataError) as caught:
        run(panel, table, estimator, **options)
    return caught.value


def steps(result):
    return [(step.step, step.dropped) for step in result.flow]


# panels ---------------------------------------------------------------------------------------------------------------


def gappy():
    table = villages()
    return table[~((table["unit"] == 1) & (table["period"] == 2))]


@EVERY
def test_a_balanced_panel_counts_the_rows_of_units_with_gaps(panel, estimator):
    result = run(panel, gappy(), estimator)
    assert steps(result) == [("unbalanced", 5)]
    whole = villages().query("unit != 1")
    np.testing.assert_allclose(result.headline.estimate, run(panel, whole, estimator).headline.estimate)


@EVERY
def test_an_unbalanced_panel_drops_nothing(panel, estimator):
    result = run(panel, gappy(), estimator, panel="unbalanced")
    assert steps(result) == []
    assert result.headline.n_units == 42


@EVERY
def test_a_period_that_all_units_lack_is_no_gap(panel, estimator):
    # Cohort 4 then has its first effect in 5, against 3.
    result = run(panel, villages().query("period != 4"), estimator)
    assert steps(result) == []
    assert 4 not in set(result.group_time.labels["period"].dropna())


@EVERY
def test_a_unit_seen_once_changes_nothing(panel, estimator):
    table = villages()
    extra = pd.concat([table, table.query("unit == 0 and period == 1").assign(unit=999)], ignore_index=True)
    found, expected = (run(panel, t, estimator, panel="unbalanced") for t in (extra, table))
    np.testing.assert_allclose(found.headline.estimate, expected.headline.estimate, atol=1e-10)
    counted = ("single_row", 1) in steps(found) or found.headline.n_units == 43
    assert counted  # dropped and counted, or kept with influence


@pytest.mark.parametrize(
    ("estimator", "code"),
    [(name, "E-IMP-036") for name in (*BY_CELL, "sun_abraham", "stacked")]
    + [("imputation", "E-IMP-090"), ("two_way_fixed_effects", "E-IMP-102")],
)
def test_one_period_is_refused(panel, estimator, code):
    assert refused(panel, villages().query("period == 1"), estimator).code == code


@EVERY
def test_duplicated_rows_are_refused_with_the_unit(panel, estimator):
    table = villages()
    error = refused(panel, pd.concat([table, table.iloc[[8]]]), estimator)
    assert error.code == "E-IMP-035"
    assert error.found == "units [1]"


# cohorts --------------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("start", [1, -5])
def test_a_cohort_from_the_first_period_or_before_is_left_out_and_counted(panel, estimator, start):
    sample, design = panel(villages(), estimator=estimator)
    early = sample.frame["unit"] < 3
    moved = sample.frame.assign(cohort=sample.frame["cohort"].mask(early, start), treated=True)
    result = ESTIMATORS[estimator](replace(sample, frame=moved), design)
    if estimator in (*BY_CELL, "sun_abraham", "stacked"):
        assert steps(result) == [("treated_from_the_start", 18)]
        without = ESTIMATORS[estimator](replace(sample, frame=sample.frame[~early].reset_index(drop=True)), design)
        np.testing.assert_allclose(result.headline.estimate, without.headline.estimate)
    assert start not in set(result.group_time.labels["cohort"].dropna())


@EVERY
def test_a_unit_that_changes_its_cohort_is_refused(panel, estimator):
    table = villages()
    table.loc[9, "cohort"] = 5
    error = refused(panel, table, estimator)
    assert error.code == "E-IMP-034"
    assert error.found == "units [1]"


@pytest.mark.parametrize(
    ("estimator", "code"),
    [(name, "E-IMP-038") for name in (*BY_CELL, "sun_abraham", "stacked")]
    + [("imputation", "E-IMP-090"), ("two_way_fixed_effects", "E-IMP-100")],
)
def test_nobody_treated_is_refused(panel, estimator, code):
    assert refused(panel, villages(cohort=0), estimator).code == code


@EVERY
def test_nobody_never_treated_is_counted_and_said(panel, estimator):
    table = villages(cohort=lambda t: t["cohort"].replace(0, 5))
    result = run(panel, table, estimator)
    if estimator in (*BY_CELL, "sun_abraham", "stacked"):
        assert steps(result) == [("no_comparison", 84)]
        assert "cohort 5 is the comparison" in result.notes[0]
        assert result.weights["period"].max() == 4
    if estimator == "imputation":
        assert steps(result) == [("period_never_untreated", 84)]


@EVERY
def test_a_cohort_of_one_unit_has_no_p_value(panel, estimator):
    table = villages(cohort=lambda t: np.where(t["unit"] == 0, 5, t["cohort"]))
    rows = summarize(run(panel, table, estimator).group_time)
    alone = (rows["cohort"] == 5).fillna(value=False) & rows["std_error"].notna()
    assert rows.loc[alone, "p_value"].isna().all()
    assert (rows.loc[alone, "reason"] != "").all()
    assert estimator == "two_way_fixed_effects" or alone.any()


# covariates -----------------------------------------------------------------------------------------------------------


@CELLS
def test_collinear_covariates_are_named_with_the_cell(panel, estimator):
    error = refused(panel, villages(twin=lambda t: 2 * t["x"]), estimator, covariates=("x", "twin"))
    assert error.code == "E-IMP-039"
    assert "twin" in error.found


def test_a_covariate_that_is_collinear_in_one_cohort_leaves_its_cells_out(panel):
    # The propensity score of cohort 4 sees cohort 4 and the never treated, in which `twin` is twice x.
    table = villages(twin=lambda t: np.where(t["cohort"] == 3, t["x"] ** 2, 2 * t["x"]))
    result = run(panel, table, "inverse_probability", covariates=("x", "twin"))
    assert set(result.skipped["cohort"]) == {4}
    assert set(result.skipped["reason"]) == {"collinear"}
    assert result.skipped["detail"].str.contains("twin").all()
    assert set(result.group_time.labels["cohort"]) == {3}


@CELLS
def test_a_constant_covariate_is_named(panel, estimator):
    error = refused(panel, villages(one=1.0), estimator, covariates=("one",))
    assert error.code == "E-IMP-039"
    assert "one" in error.found


@pytest.mark.parametrize("estimator", ["doubly_robust", "inverse_probability"])
def test_separation_is_named(panel, estimator):
    error = refused(panel, villages(flag=lambda t: (t["cohort"] > 0) * 1.0), estimator, covariates=("flag",))
    assert error.code == "E-IMP-039"
    assert "covariates tell treated and comparison units apart" in error.found
    assert "flag" in error.found


def test_a_regression_cannot_use_a_covariate_that_does_not_vary_in_the_comparison(panel):
    error = refused(panel, villages(flag=lambda t: (t["cohort"] > 0) * 1.0), "regression", covariates=("flag",))
    assert error.code == "E-IMP-039"
    assert "flag" in error.found


@EVERY
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_covariate_without_a_number_is_refused(panel, estimator, value):
    table = villages(x=lambda t: t["x"].where(t["unit"] != 1, value))
    error = refused(panel, table, estimator, covariates=("x",))
    assert error.code == "E-IMP-093"
    assert error.where == "x"


@EVERY
def test_an_empty_sample_is_refused(panel, estimator):
    sample, design = panel(villages(), estimator=estimator)
    with pytest.raises(DataError, match="E-IMP-094"):
        ESTIMATORS[estimator](replace(sample, frame=sample.frame.iloc[:0]), design)


# weights and clusters -------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_impossible_weights_are_refused(panel, estimator, value):
    error = refused(panel, villages(w=lambda t: t["w"].where(t["unit"] != 1, value)), estimator, weight="w")
    assert error.code == "E-IMP-033"
    assert error.where == "w"


@EVERY
def test_weights_that_are_all_zero_are_refused(panel, estimator):
    assert refused(panel, villages(w=0.0), estimator, weight="w").code == "E-IMP-033"


@EVERY
def test_rows_of_weight_zero_are_left_out_and_counted(panel, estimator):
    result = run(panel, villages(w=lambda t: np.where(t["unit"] == 1, 0.0, 1.0)), estimator, weight="w")
    assert ("zero_weight", 6) in steps(result)
    without = run(panel, villages().query("unit != 1"), estimator)
    np.testing.assert_allclose(result.headline.estimate, without.headline.estimate)


@EVERY
@pytest.mark.parametrize("scale", [1e150, 1e-200])
def test_weights_may_have_any_scale(panel, estimator, scale):
    found = run(panel, villages(w=lambda t: t["w"] * scale), estimator, weight="w").headline
    expected = run(panel, villages(), estimator, weight="w").headline
    np.testing.assert_allclose(found.estimate, expected.estimate, rtol=1e-8)
    np.testing.assert_allclose(covariance(found).std_error, covariance(expected).std_error, rtol=1e-8)


def test_a_cluster_that_changes_within_a_unit_is_refused(panel):
    table = villages()
    table.loc[7, "village"] = 99
    sample, _ = panel(table, cluster=("village",))
    with pytest.raises(DataError, match="E-IMP-020") as caught:
        cluster_table(sample.frame, ["cluster_1"])
    assert caught.value.code == "E-IMP-020"


# outcomes -------------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outcomes_that_are_missing_or_infinite_are_left_out_and_counted(panel, estimator, value):
    table = villages(y=lambda t: t["y"].where(t.index != 7, value))
    assert steps(run(panel, table, estimator)) == [("missing_outcome", 1), ("unbalanced", 5)]
    assert steps(run(panel, table, estimator, panel="unbalanced")) == [("missing_outcome", 1)]


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [(name, "balanced") for name in ESTIMATORS] + [(name, "repeated_cross_section") for name in BY_CELL],
)
@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_outcomes_may_have_any_scale(panel, estimator, kind, scale):
    # The squares of 1e150 are still numbers; the units of the answer are those of the outcome.
    table = villages() if kind == "balanced" else villages(unit=lambda t: np.arange(len(t)))
    expected = run(panel, table, estimator, covariates=("x",), panel=kind).headline
    found = run(panel, table.assign(y=scale * table["y"]), estimator, covariates=("x",), panel=kind).headline
    np.testing.assert_allclose(found.estimate / scale, expected.estimate, rtol=1e-8)
    np.testing.assert_allclose(covariance(found).std_error / scale, covariance(expected).std_error, rtol=1e-8)


@EVERY
@pytest.mark.parametrize("value", [0.0, 5.0, -0.1])
def test_a_constant_outcome_has_no_effect_and_no_standard_error(panel, estimator, value):
    row = summarize(run(panel, villages(y=value), estimator).headline).iloc[0]
    assert row["estimate"] == pytest.approx(0, abs=1e-12)
    assert row[["std_error", "ci_low", "ci_high", "p_value"]].isna().all()
    assert row["reason"] != ""


# names and the caller's data ------------------------------------------------------------------------------------------


@EVERY
def test_columns_may_be_named_like_ours_or_like_formulas(panel, estimator):
    table = villages()
    names = {
        "unit": "period", "period": "unit", "cohort": "outcome_1", "y": "_merge", "x": "x + z", "w": "cohort",
        "village": "weight",
    }  # fmt: skip
    plain = {"covariates": ("x",), "weight": "w", "cluster": ("village",)}
    odd = {"covariates": ("x + z",), "weight": "cohort", "cluster": ("weight",)}
    found = run(panel, table.rename(columns=names), estimator, names=("period", "unit", "outcome_1", "_merge"), **odd)
    expected = run(panel, table, estimator, **plain)
    np.testing.assert_array_equal(found.headline.estimate, expected.headline.estimate)
    np.testing.assert_array_equal(found.headline.dense(), expected.headline.dense())
    assert found.headline.labels["outcome"].tolist() == ["_merge"]


@EVERY
@pytest.mark.parametrize("kind", ["balanced", "gappy", "shuffled"])
def test_the_data_of_the_caller_do_not_change(panel, estimator, kind):
    table = gappy() if kind == "gappy" else villages()
    sample, design = panel(table, estimator=estimator, covariates=("x",), weight="w", cluster=("village",))
    if kind == "shuffled":
        sample = replace(sample, frame=sample.frame.sample(frac=1, random_state=1))
    frame, before = sample.frame, sample.frame.copy(deep=True)
    hashes = pd.util.hash_pandas_object(frame).copy()
    result = ESTIMATORS[estimator](sample, design)
    summarize(result.headline, cluster_table(sample.frame, ["cluster_1"]), band_seed=1)
    assert sample.frame is frame
    pd.testing.assert_frame_equal(frame, before, check_exact=True)
    pd.testing.assert_series_equal(pd.util.hash_pandas_object(frame), hashes)


# files, end to end ----------------------------------------------------------------------------------------------------

ROWS = [(unit, year, start) for unit, start in enumerate([2012, 2012, 0, 0], 1) for year in (2010, 2011, 2012, 2013)]


def prepared(folder, rows, *, header="id,year,start,score", **fields):
    text = "\n".join([header, *(",".join(map(str, (*row, row[0] + 0.5 * row[1]))) for row in rows)]) + "\n"
    (folder / "data.csv").write_text(text, encoding="utf-8")
    outcome = {"column": "score", "unit": "points", "better": "higher"}
    cohort = fields.pop("cohort", {"column": "start", "never": 0})
    design = DESIGNS["did"](
        id="p",
        method="did",
        outcomes=outcome,
        unit="id",
        time="year",
        cohort=cohort,
        data={"file": "data.csv"},
        **fields,
    )
    return prepare(design, root=folder)


BAD_FILES = {
    "treatment switches off": (
        "E-DATA-034", [(u, y, int(u < 3 and y == 2012)) for u, y, _ in ROWS], {"cohort": {"indicator": "start"}}
    ),
    "an undeclared code for never": ("E-DATA-031", [(u, y, s or "never") for u, y, s in ROWS], {}),
    "two rows of a unit in a period": ("E-DATA-042", [*ROWS, ROWS[0]], {}),
    "a unit with two cohorts": ("E-DATA-032", [(u, y, 2011 if (u, y) == (1, 2010) else s) for u, y, s in ROWS], {}),
    "nobody treated": ("E-DATA-045", [(u, y, 0) for u, y, _ in ROWS], {}),
    "treated in the first period only": ("E-DATA-046", [(u, y, s and 2010) for u, y, s in ROWS], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(tmp_path, case):
    code, rows, fields = BAD_FILES[case]
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, rows, **fields)
    assert caught.value.code == code


def test_codes_for_never_treated_are_declared_and_mean_the_same(panel, tmp_path):
    for code in ("0", "9999", "never", "inf", ""):
        declared = [code] if code else []
        sample = prepared(
            tmp_path, [(u, y, s or code) for u, y, s in ROWS], cohort={"column": "start", "never": declared}
        )
        starts = sample.frame.groupby("unit")["cohort"].first().fillna(-1)
        assert starts.tolist() == [2012, 2012, -1, -1], code
