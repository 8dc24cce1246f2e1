"""The canonical sample: what each column means, which rows leave and why, and what no estimate could come of."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.sample import FlowStep, Sample, prepare
from evaluation.settings.designs import DESIGNS, Design

SCORE = {"column": "score", "unit": "points", "better": "higher"}


Fields = dict[str, Any]


def trial(**options: Any) -> Fields:
    return {"method": "experiment", "id": "trial", "outcomes": SCORE, "treatment": "arm", **options}


def did(**options: Any) -> Fields:
    cohort = {"column": "start", "never": 0}
    return {"method": "did", "id": "p", "outcomes": SCORE, "unit": "id", "time": "year", "cohort": cohort, **options}


def build(fields: Fields) -> Design:
    return DESIGNS[fields["method"]](**fields)


def sample_of(folder: Path, content: str, fields: Fields, /, **source: Any) -> Sample:
    (folder / "data.csv").write_text(content, encoding="utf-8")
    return prepare(build({**fields, "data": {"file": "data.csv", **source}}), root=folder)


def refused(folder: Path, content: str, fields: Fields, /, **source: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        sample_of(folder, content, fields, **source)
    return caught.value


def steps(sample: Sample) -> list[tuple[str, int, int]]:
    return [(step.step, step.dropped, step.left) for step in sample.flow]


# outcomes, covariates, names -----------------------------------------------------------------------------------------

# Scores of four pupils: the sum of reading and arithmetic, and the gain in reading; pupil 3 has no arithmetic score.
PUPILS = "id,arm,read,math,before\n1,1,10,5,8\n2,0,20,6,21\n3,1,30,,30\n4,0,40,8,30\n"


def test_outcomes_may_be_sums_and_differences(tmp_path: Path) -> None:
    design = trial(
        unit="id",
        outcomes=[
            {"column": {"sum": ["read", "math"]}, "name": "score", "unit": "points", "better": "higher"},
            {
                "column": {"difference": ["read", "before"]},
                "name": "gain",
                "role": "secondary",
                "unit": "points",
                "better": "higher",
            },
        ],
    )
    sample = sample_of(tmp_path, PUPILS, design)
    # 10 + 5, 20 + 6, 40 + 8; 10 - 8, 20 - 21, 40 - 30
    assert sample.frame[["outcome_1", "outcome_2"]].to_numpy().tolist() == [[15, 2], [26, -1], [48, 10]]
    assert sample.names["outcome_1"] == "score"
    assert sample.names["outcome_2"] == "gain"


def test_a_secondary_outcome_may_be_missing(tmp_path: Path) -> None:
    second = {"column": "math", "role": "secondary", "unit": "points", "better": "higher"}
    design = trial(outcomes=[{"column": "read", "unit": "points", "better": "higher"}, second])
    sample = sample_of(tmp_path, PUPILS, design)
    assert sample.frame["outcome_2"].isna().tolist() == [False, False, True, False]


def test_the_primary_outcome_need_not_come_first(tmp_path: Path) -> None:
    points = {"unit": "points", "better": "higher"}
    design = trial(outcomes=[{"column": "math", "role": "secondary", **points}, {"column": "read", **points}])
    sample = sample_of(tmp_path, PUPILS, design)
    assert sample.rows_used == 4
    assert sample.flow[-1].reason == "'read' is missing"


def test_columns_have_the_types_of_the_contract(tmp_path: Path) -> None:
    text = (
        "id,arm,score,age,sex,level,dept,school,town,w,block,got,p\n"
        "7,a,1,30,f,10,01,3,x,2,u,1,0.5\n5,b,2,40,m,2,02,4,y,1,u,0,0.5\n9,b,3,50,f,10,2A,3,,1,v,,0.4\n"
    )
    design = trial(
        unit="id",
        treatment={"column": "arm", "treated": "a", "comparison": "b"},
        covariates=["age", "sex", "level", "dept"],
        categorical=["level"],
        cluster=["school", "dept"],
        territory="town",
        weight="w",
        strata="block",
        takeup="got",
        probability="p",
    )
    frame = sample_of(tmp_path, text, design).frame
    assert frame.dtypes.astype("str").to_dict() == {
        "unit": "int64",
        "treated": "bool",
        "outcome_1": "float64",
        "covariate_1": "float64",
        "covariate_2": "category",
        "covariate_3": "category",
        "covariate_4": "category",
        "cluster_1": "int64",
        "cluster_2": "category",
        "weight": "float64",
        "territory": "str",
        "stratum": "str",
        "takeup": "float64",
        "probability": "float64",
    }
    assert frame["unit"].tolist() == [5, 7, 9]
    assert frame["treated"].tolist() == [False, True, False]
    assert frame["covariate_3"].cat.categories.tolist() == ["2", "10"]
    assert frame["covariate_4"].tolist() == ["02", "01", "2A"]
    assert frame["territory"].isna().tolist() == [False, False, True]


def test_matching_brings_its_exact_columns_and_baseline(tmp_path: Path) -> None:
    design = trial(method="matching", covariates="age", exact="sex", baseline_outcome="before")
    text = "arm,score,age,sex,before\n1,1,20,1,\n0,2,30,2,5\n0,3,40,,6\n1,4,,1,7\n"
    sample = sample_of(tmp_path, text, design)
    assert steps(sample) == [
        ("read", 0, 4),
        ("missing_outcome", 0, 4),
        ("missing_covariates", 1, 3),
        ("missing_covariates", 1, 2),
    ]
    assert sample.frame["exact_1"].tolist() == ["1", "2"]
    assert sample.frame["baseline_outcome"].isna().tolist() == [True, False]
    assert [step.reason for step in sample.flow[2:]] == ["'age' is missing", "'sex' is missing"]


@pytest.mark.parametrize(
    "name", ["x + z", "revenu net", "C", "post", ".w", "unit", "covariate_1", "e\u0301tat", "0", "'"]
)
def test_any_column_name_works(tmp_path: Path, name: str) -> None:
    text = f'"{name}",arm,score,y\n1,1,1,4\n2,0,2,5\n3,0,3,7\n'
    design = trial(covariates=[name.replace("e\u0301", "é"), "y"], unit=None)
    sample = sample_of(tmp_path, text, design)
    assert sample.frame["covariate_1"].tolist() == [1, 2, 3]
    assert sample.names["covariate_1"] == name.replace("e\u0301", "é")


def test_the_data_of_the_caller_do_not_change(tmp_path: Path) -> None:
    frame = pd.DataFrame({"arm": [1, 0, 1], "score": [1.0, -9.0, 3.0], "z": [3, 1, 2]})
    frame.to_csv(tmp_path / "data.csv", index=False)
    before = (tmp_path / "data.csv").read_bytes()
    design = build(trial(covariates="z", data={"file": "data.csv", "missing": "99"}))
    first, second = prepare(design, root=tmp_path), prepare(design, root=tmp_path)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert (tmp_path / "data.csv").read_bytes() == before


# which rows leave ----------------------------------------------------------------------------------------------------

# 10 rows: unit 10 has no arm, unit 9 is in a third arm; 3 and 4 have no outcome (one of each arm), 5 no age, 6 no
# school, 7 no weight; 8 has no secondary outcome and stays.
ROWS = (
    "id,arm,score,second,age,school,w\n1,a,1,1,30,x,1\n2,b,2,2,40,y,1\n3,a,,3,50,x,1\n4,b,,4,60,y,1\n5,a,5,5,,x,1\n"
    "6,b,6,6,30,,1\n7,b,7,7,30,x,\n8,a,8,,31,y,2\n9,c,9,9,30,x,1\n10,,10,10,30,x,1\n,a,1,1,30,x,1\n"
)
ARMS = {"column": "arm", "treated": "a", "comparison": "b"}


def test_every_row_that_leaves_is_counted_once_with_its_arm(tmp_path: Path) -> None:
    outcomes = [SCORE, {"column": "second", "role": "secondary", "unit": "points", "better": "higher"}]
    design = trial(
        unit="id", treatment=ARMS, outcomes=outcomes, covariates="age", adjustment="lin", cluster="school", weight="w"
    )
    sample = sample_of(tmp_path, ROWS, design)
    assert sample.flow == (
        FlowStep(step="read", dropped=0, left=11, reason="rows read: 11 of data.csv"),
        FlowStep(step="missing_unit", dropped=1, left=10, reason="'id' is missing"),
        FlowStep(step="missing_treatment", dropped=1, left=9, reason="'arm' is missing"),
        FlowStep(step="other_treatment", dropped=1, left=8, reason="'arm' is neither a nor b"),
        _arms("missing_outcome", 2, 6, "'score' is missing", 1, 1),
        _arms("missing_covariates", 1, 5, "'age' is missing", 1, 0),
        _arms("missing_cluster", 1, 4, "'school' is missing", 0, 1),
        _arms("missing_weight", 1, 3, "'w' is missing", 0, 1),
    )
    assert sample.frame["unit"].tolist() == [1, 2, 8]
    assert (sample.rows_read, sample.rows_used, sample.units) == (11, 3, 3)


def _arms(step: str, dropped: int, left: int, reason: str, treated: int, comparison: int) -> FlowStep:
    return FlowStep(
        step=step, dropped=dropped, left=left, reason=reason, dropped_treated=treated, dropped_comparison=comparison
    )


def test_without_adjustment_a_missing_covariate_drops_no_row(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, ROWS, trial(unit="id", treatment=ARMS, covariates="age"))
    assert sample.frame["covariate_1"].isna().sum() == 1
    assert "missing_covariates" not in [step.step for step in sample.flow]


def test_rows_without_stratum_or_probability_leave(tmp_path: Path) -> None:
    text = "arm,score,block,p\n1,1,u,.5\n0,2,u,.5\n1,3,,.5\n0,4,v,\n"
    sample = sample_of(tmp_path, text, trial(strata="block", probability="p"))
    assert steps(sample)[2:] == [("missing_stratum", 1, 3), ("missing_probability", 1, 2)]


def test_missing_values_may_be_errors(tmp_path: Path) -> None:
    error = refused(tmp_path, ROWS, trial(unit="id", treatment=ARMS, missing="error"))
    assert (error.code, error.where, error.found) == ("E-DATA-040", "data.csv, row 12", "1 of 11 rows")


# two arms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "2", "2"], "'1' (1), '2' (2)"),
        (["1", "0", "2"], "'0' (1), '1' (1), '2' (1)"),
        (["yes", "no", "no"], "'no' (2), 'yes' (1)"),
    ],
)
def test_a_treatment_that_is_not_0_and_1_is_refused_with_its_values(
    tmp_path: Path, values: list[str], found: str
) -> None:
    text = "arm,score\n" + "".join(f"{value},1\n" for value in values)
    error = refused(tmp_path, text, trial())
    assert (error.code, error.found) == ("E-DATA-037", found)
    assert "treated:" in error.fix


def test_a_treatment_value_that_never_occurs_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, "arm,score\nsmall,1\nlarge,2\n", trial(treatment={**ARMS, "treated": "small"}))
    assert (error.code, error.where) == ("E-DATA-043", "data.csv")
    assert error.found == "no 'b'; the column holds 'large' (1), 'small' (1)"


@pytest.mark.parametrize(("text", "lacking"), [("1,1\n1,2\n0,\n", "comparison"), ("0,1\n0,2\n1,\n", "treated")])
def test_a_sample_without_one_of_the_arms_is_refused(tmp_path: Path, text: str, lacking: str) -> None:
    error = refused(tmp_path, f"arm,score\n{text}", trial())
    assert (error.code, error.what) == ("E-DATA-045", f"No {lacking} row is left.")


def test_a_sample_without_rows_is_refused_with_the_step_that_took_the_last(tmp_path: Path) -> None:
    error = refused(tmp_path, "arm,score\n1,\n0,\n", trial())
    assert (error.code, error.what) == ("E-DATA-041", "No row is left: 'score' is missing.")


def test_take_up_must_be_0_and_1(tmp_path: Path) -> None:
    error = refused(tmp_path, "arm,score,got\n1,1,2\n0,2,0\n", trial(takeup="got"))
    assert (error.code, "'takeup'" in error.what) == ("E-DATA-037", True)


@pytest.mark.parametrize("value", ["0", "1", "50"])
def test_a_probability_is_between_0_and_1(tmp_path: Path, value: str) -> None:
    error = refused(tmp_path, f"arm,score,p\n1,1,{value}\n0,2,.5\n", trial(probability="p"))
    assert (error.code, error.where) == ("E-DATA-039", "data.csv, row 2")


# ids, weights, covariates --------------------------------------------------------------------------------------------


def test_ids_with_leading_zeros_stay_text_and_others_become_numbers(tmp_path: Path) -> None:
    codes = sample_of(tmp_path, "id,arm,score\n010,1,1\n10,0,2\n2,0,3\n", trial(unit="id"))
    assert codes.frame["unit"].tolist() == ["010", "10", "2"]
    numbers = sample_of(tmp_path, "id,arm,score\n10,1,1\n2,0,2\n", trial(unit="id"))
    assert numbers.frame["unit"].tolist() == [2, 10]
    declared = sample_of(tmp_path, "id,arm,score\n10,1,1\n2,0,2\n", trial(unit="id"), text=["id"])
    assert declared.frame["unit"].tolist() == ["10", "2"]


def test_ids_stored_as_inexact_numbers_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [2.0**53, 2.0**53 + 2], "arm": [1, 0], "score": [1, 2]})
    frame.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DataError) as caught:
        prepare(build(trial(unit="id", data={"file": "data.parquet"})), root=tmp_path)
    assert caught.value.code == "E-DATA-003"


def test_ids_that_differ_only_by_spaces_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, "id,arm,score\nA,1,1\nB,0,2\nA ,0,3\n", trial(unit="id"))
    assert (error.code, error.where, error.found) == ("E-DATA-004", "data.csv, row 4", "'A', 'A '")


def test_two_rows_of_one_unit_are_refused_with_keys_and_rows(tmp_path: Path) -> None:
    error = refused(tmp_path, "id,arm,score\n1,1,1\n2,0,2\n1,1,\n", trial(unit="id"))
    assert (error.code, error.where, error.found) == ("E-DATA-042", "data.csv, rows 2, 4", "1")


def test_weights_are_not_negative_and_not_all_zero(tmp_path: Path) -> None:
    negative = refused(tmp_path, "arm,score,w\n1,1,1\n0,2,-1\n", trial(weight="w"))
    assert (negative.code, negative.where) == ("E-DATA-038", "data.csv, row 3")
    zero = refused(tmp_path, "arm,score,w\n1,1,0\n0,2,0\n", trial(weight="w"))
    assert zero.code == "E-DATA-044"
    infinite = refused(tmp_path, "arm,score,w\n1,1,inf\n0,2,1\n", trial(weight="w"))
    assert infinite.code == "E-DATA-002"


@pytest.mark.parametrize(
    ("cells", "found"), [(["5", "5", "5"], "only '5'"), (["", "", ""], "no value"), (["a", "a", ""], "only 'a'")]
)
def test_a_covariate_that_says_nothing_is_refused(tmp_path: Path, cells: list[str], found: str) -> None:
    text = "arm,score,z\n" + "".join(f"{i % 2},{i},{cell}\n" for i, cell in enumerate(cells))
    error = refused(tmp_path, text, trial(covariates="z"))
    assert (error.code, error.found) == ("E-DATA-048", found)
    assert "'z'" in error.what


def test_a_covariate_of_numbers_and_words_must_be_declared(tmp_path: Path) -> None:
    text = "arm,score,z\n1,1,1\n0,2,2\n0,3,other\n"
    error = refused(tmp_path, text, trial(covariates="z"))
    assert (error.code, error.where) == ("E-DATA-006", "data.csv, row 4")
    assert "categorical: [z]" in error.fix
    sample = sample_of(tmp_path, text, trial(covariates="z", categorical="z"))
    assert sample.frame["covariate_1"].tolist() == ["1", "2", "other"]


# panels --------------------------------------------------------------------------------------------------------------

# Three units, three years; unit 1 treated from 2002, unit 3 never (code 0), unit 2 never (empty cell).
PANEL = "id,year,start,score\n" + "".join(
    f"{unit},{year},{start},{10 * unit + year - 2000}\n"
    for unit, start in ((1, 2002), (2, ""), (3, 0))
    for year in (2001, 2002, 2003)
)


def test_a_cohort_column_gives_the_first_treated_period(tmp_path: Path) -> None:
    frame = sample_of(tmp_path, PANEL, did()).frame
    assert frame["cohort"].tolist() == [2002] * 3 + [pd.NA] * 6
    assert frame["treated"].tolist() == [True] * 3 + [False] * 6
    assert frame.dtypes.astype("str")[["unit", "period", "cohort"]].tolist() == ["int64", "int64", "Int64"]
    assert frame["outcome_1"].tolist() == [11, 12, 13, 21, 22, 23, 31, 32, 33]


def test_never_treated_may_be_infinite_or_text(tmp_path: Path) -> None:
    infinite = PANEL.replace(",0,", ",Inf,")
    assert sample_of(tmp_path, infinite, did(cohort={"column": "start", "never": "inf"})).units == 3
    text = PANEL.replace(",0,", ",jamais,")
    assert sample_of(tmp_path, text, did(cohort={"column": "start", "never": "jamais"})).units == 3
    error = refused(tmp_path, text, did())
    assert (error.code, error.found) == ("E-DATA-031", "'jamais'")


def test_an_undeclared_zero_is_no_period(tmp_path: Path) -> None:
    error = refused(tmp_path, PANEL, did(cohort={"column": "start"}))
    assert (error.code, error.where, error.found) == ("E-DATA-033", "data.csv, rows 8, 9, 10", "0")
    assert "never: [0]" in error.fix


def test_a_cohort_after_the_last_period_stays_and_is_noted(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, PANEL.replace(",0,", ",9999,"), did())
    assert sample.frame["cohort"].tolist()[-1] == 9999
    assert sample.frame["treated"].tolist()[-1] is True
    last = sample.flow[-1]
    assert (last.step, last.dropped, last.left) == ("outside_window", 0, 9)
    assert "0 units are treated from the first period (2001) on, 1 only after the last (2003)" in last.reason


def test_a_cohort_that_changes_within_a_unit_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, PANEL.replace("3,2003,0", "3,2003,2003"), did())
    assert (error.code, error.found) == ("E-DATA-032", "units '3'")


# Unit 1 has the grant in 2002 and no more in 2003; unit 2 never; unit 3 in 2003.
GRANTS = (
    "id,year,grant,score\n1,2001,0,1\n1,2002,1,\n1,2003,0,3\n2,2001,0,4\n2,2002,0,5\n2,2003,0,6\n"
    "3,2003,1,9\n3,2002,0,8\n3,2001,0,7\n"
)


def test_an_indicator_that_switches_back_is_refused_with_units_and_dates(tmp_path: Path) -> None:
    error = refused(tmp_path, GRANTS, did(cohort={"indicator": "grant"}))
    assert (error.code, error.where, error.found) == ("E-DATA-034", "data.csv, row 4", "1 in 2003")
    assert "once: true" in error.fix


def test_an_indicator_that_stays_gives_the_first_treated_period(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, GRANTS.replace("1,2003,0,3", "1,2003,1,3"), did(cohort={"indicator": "grant"}))
    assert sample.frame.drop_duplicates("unit")["cohort"].tolist() == [pd.NA, 2003]
    whole = GRANTS.replace("1,2003,0,3", "1,2003,1,3").replace("1,2002,1,", "1,2002,1,2")
    assert sample_of(tmp_path, whole, did(cohort={"indicator": "grant"})).frame["cohort"].tolist()[:3] == [2002] * 3


def test_an_indicator_that_switches_back_after_a_gap_is_refused_too(tmp_path: Path) -> None:
    gap = "id,year,grant,score\n1,2001,1,1\n1,2002,,2\n1,2003,0,3\n2,2001,0,1\n2,2002,0,1\n2,2003,0,1\n"
    assert refused(tmp_path, gap, did(cohort={"indicator": "grant"})).code == "E-DATA-034"


def test_an_indicator_of_the_first_period_gives_cohorts_also_where_the_outcome_is_missing(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, GRANTS, did(cohort={"indicator": "grant", "once": True}, panel="unbalanced"))
    assert sample.frame["cohort"].tolist() == [2002] * 2 + [pd.NA] * 3 + [2003] * 3
    assert sample.flow[-1] == _arms("missing_outcome", 1, 8, "'score' is missing", 1, 0)


def test_an_indicator_is_0_and_1(tmp_path: Path) -> None:
    error = refused(tmp_path, GRANTS.replace("2003,1,9", "2003,2,9"), did(cohort={"indicator": "grant", "once": True}))
    assert error.code == "E-DATA-037"


def test_rows_without_the_indicator_leave(tmp_path: Path) -> None:
    text = GRANTS.replace("2,2002,0,5", "2,2002,,5")
    sample = sample_of(tmp_path, text, did(cohort={"indicator": "grant", "once": True}, panel="unbalanced"))
    assert steps(sample)[1] == ("missing_treatment", 1, 8)


def test_units_may_be_named(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, PANEL, did(cohort={"units": {1: 2003}}))
    assert sample.frame["cohort"].tolist() == [2003] * 3 + [pd.NA] * 6
    unknown = refused(tmp_path, PANEL, did(cohort={"units": {4: 2003}}))
    assert (unknown.code, unknown.found) == ("E-DATA-035", "no '4'")
    unclear = refused(tmp_path, PANEL, did(cohort={"units": {1: "spring"}}))
    assert (unclear.code, unclear.found) == ("E-DATA-036", "'spring'")


QUARTERS = "id,year,score\n" + "".join(
    f"{state},{quarter},{i}\n"
    for i, state in enumerate(("Ohio", "California"))
    for quarter in ("2010-Q4", "2011-Q1", "2011-Q3")
)


def test_labels_of_periods_are_counted_from_the_first_with_their_gaps(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, QUARTERS, did(cohort={"units": {"California": "2011-Q3"}}))
    # 2010-Q4 = 1, 2011-Q1 = 2, 2011-Q2 (no row) = 3, 2011-Q3 = 4
    assert sample.frame["period"].tolist() == [1, 2, 4, 1, 2, 4]
    assert sample.frame["cohort"].tolist() == [4, 4, 4, pd.NA, pd.NA, pd.NA]
    assert sample.period_labels == {1: "2010-Q4", 2: "2011-Q1", 3: "2011-Q2", 4: "2011-Q3"}
    near = refused(tmp_path, QUARTERS, did(cohort={"units": {"california": "2011-Q3"}}))
    assert "did you mean 'California'?" in near.found


@pytest.mark.parametrize(
    ("first", "second", "periods"),
    [
        ("2010-11", "2011-02", [1, 4]),
        ("2010-S2", "2011-S1", [1, 2]),
        ("2010-T1", "2011-T1", [1, 5]),
        ("01", "3", [1, 3]),
    ],
)
def test_months_terms_and_numbers_are_periods(tmp_path: Path, first: str, second: str, periods: list[int]) -> None:
    text = f"id,year,score\na,{first},1\na,{second},2\nb,{first},3\nb,{second},4\n"
    sample = sample_of(tmp_path, text, did(cohort={"units": {"a": second}}))
    assert sample.frame["period"].tolist() == periods * 2


@pytest.mark.parametrize("cell", ["13/02/2002", "2002-02-13", "2002.5", "Q12002", "spring", "inf"])
def test_other_dates_are_refused(tmp_path: Path, cell: str) -> None:
    error = refused(tmp_path, PANEL.replace("2,2002,", f"2,{cell},"), did())
    assert error.code == "E-DATA-031"
    assert "data.csv, row" in error.where


def test_dates_of_a_typed_file_are_refused_too(tmp_path: Path) -> None:
    days = pd.to_datetime(["2001-01-01", "2002-01-01"] * 2)
    pd.DataFrame({"id": [1, 1, 2, 2], "year": days, "score": range(4)}).to_parquet(tmp_path / "data.parquet")
    design = build(did(cohort={"units": {1: 2002}}, data={"file": "data.parquet"}))
    with pytest.raises(DataError) as caught:
        prepare(design, root=tmp_path)
    assert caught.value.code == "E-DATA-031"


def test_two_rows_of_a_unit_in_a_period_are_refused_with_keys_and_rows(tmp_path: Path) -> None:
    error = refused(tmp_path, PANEL + "2,2002,,7\n", did())
    assert (error.code, error.where, error.found) == ("E-DATA-042", "data.csv, rows 6, 11", "2 in 2002")


def test_a_balanced_panel_loses_units_with_gaps(tmp_path: Path) -> None:
    gap = PANEL.replace("3,2002,0,32\n", "3,2002,0,\n") + "4,2001,0,1\n"
    sample = sample_of(tmp_path, gap, did())
    assert steps(sample) == [("read", 0, 10), ("missing_outcome", 1, 9), ("unbalanced", 3, 6)]
    assert sample.flow[-1].reason == "2 units are not observed in all 3 periods"
    assert sample.notes == ("Units without a row in every period: '3', '4'.",)
    assert sample_of(tmp_path, gap, did(panel="unbalanced")).rows_used == 9


def test_a_repeated_cross_section_needs_no_unit(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, PANEL, did(unit=None, panel="repeated_cross_section", cluster="id"))
    assert sample.frame["unit"].tolist() == list(range(9))
    assert sample.frame["cohort"].notna().sum() == 3


def test_a_repeated_cross_section_may_name_the_group_that_is_treated(tmp_path: Path) -> None:
    # Two persons in each state and year; the order in which they stand in the file changes nothing.
    rows = [f"{state},{year},{score}" for state in "AB" for year in (1, 2) for score in (year, 7)]
    design = did(panel="repeated_cross_section", cohort={"units": {"A": 2}})
    one = sample_of(tmp_path, "\n".join(["id,year,score", *rows]), design)
    other = sample_of(tmp_path, "\n".join(["id,year,score", *reversed(rows)]), design)
    assert one.frame["outcome_1"].tolist() == [1, 7, 2, 7] * 2
    pd.testing.assert_frame_equal(one.frame, other.frame)


def test_a_cohort_after_the_last_period_may_be_the_comparison(tmp_path: Path) -> None:
    later = PANEL.replace(",0,", ",2005,").replace(",,", ",2005,")
    assert sample_of(tmp_path, later, did()).units == 3


def test_rows_without_unit_or_period_leave(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, PANEL + ",2001,0,1\n3,,0,1\n", did())
    assert steps(sample)[1:3] == [("missing_unit", 1, 10), ("missing_period", 1, 9)]


@pytest.mark.parametrize("key", ["cluster", "territory", "subgroups"])
def test_a_group_that_changes_within_a_unit_is_refused(tmp_path: Path, key: str) -> None:
    lines = PANEL.splitlines()
    text = "\n".join([lines[0] + ",town", *(f"{line},{'x' if i != 4 else 'y'}" for i, line in enumerate(lines[1:]))])
    error = refused(tmp_path, text, did(**{key: "town"}))
    assert (error.code, error.found) == ("E-DATA-047", "units '2'")


def with_column(name: str, *values: object) -> str:
    """PANEL with one more column, the same value in all rows of a unit."""
    lines = PANEL.splitlines()
    of_unit = dict(zip(("1", "2", "3"), values, strict=True))
    return "\n".join([f"{lines[0]},{name}", *(f"{line},{of_unit[line.split(',')[0]]}" for line in lines[1:])])


def test_eligible_subgroups_and_placebo_outcomes_have_columns_and_rows_in_the_codebook(tmp_path: Path) -> None:
    text = with_column("poor,rain,area", "1,2.5,north", "0,,south", "1,3,")
    sample = sample_of(tmp_path, text, did(eligible="poor", subgroups=["area"], placebo_outcomes=["rain"]))
    first = sample.frame.drop_duplicates("unit")
    assert {name: str(first[name].dtype) for name in ("eligible", "subgroup_1", "placebo_1")} == {
        "eligible": "bool",
        "subgroup_1": "str",
        "placebo_1": "float64",
    }
    assert first["eligible"].tolist() == [True, False, True]
    assert first["subgroup_1"].fillna("-").tolist() == ["north", "south", "-"]
    assert first["placebo_1"].fillna(-1).tolist() == [2.5, -1, 3]
    assert {name: sample.names[name] for name in ("eligible", "subgroup_1", "placebo_1")} == {
        "eligible": "poor",
        "subgroup_1": "area",
        "placebo_1": "rain",
    }
    book = sample.codebook.set_index("column")
    assert book.loc[["poor", "area", "rain"], "canonical"].tolist() == ["eligible", "subgroup_1", "placebo_1"]
    assert book.loc["area", "values"] == "north; south"


def test_who_is_not_known_to_be_eligible_leaves(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, with_column("poor", 1, 0, ""), did(eligible="poor"))
    assert ("missing_eligible", 3, 6) in steps(sample)


def test_eligible_is_zero_or_one(tmp_path: Path) -> None:
    error = refused(tmp_path, with_column("poor", 1, 2, 0), did(eligible="poor"))
    assert error.code == "E-DATA-037"
    assert error.what == "Column 'poor' stands under 'eligible' and does not hold 0 and 1."


def test_eligibility_that_changes_within_a_unit_is_refused(tmp_path: Path) -> None:
    lines = PANEL.splitlines()
    rows = [f"{line},{int(line.startswith('1') or i == 4)}" for i, line in enumerate(lines[1:])]
    error = refused(tmp_path, "\n".join([lines[0] + ",poor", *rows]), did(eligible="poor"))
    assert (error.code, error.what, error.found) == ("E-DATA-047", "Column 'poor' changes within a unit.", "units '2'")


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [
        ("eligible", (1, 1, 1), "only '1'"),
        ("subgroups", ("north", "north", ""), "only 'north'"),
        ("placebo_outcomes", ("", "", ""), "no value"),
    ],
)
def test_a_column_of_one_value_makes_no_groups(tmp_path: Path, key: str, values: tuple, found: str) -> None:
    error = refused(tmp_path, with_column("extra", *values), did(**{key: "extra"}))
    assert (error.code, error.found) == ("E-DATA-048", found)
    assert "'extra'" in error.what


def test_a_placebo_outcome_is_a_number(tmp_path: Path) -> None:
    error = refused(tmp_path, with_column("rain", 1, "wet", 2), did(placebo_outcomes="rain"))
    assert (error.code, error.found) == ("E-DATA-006", "'wet'")


def test_a_panel_needs_somebody_treated_and_somebody_to_compare_with(tmp_path: Path) -> None:
    nobody = refused(tmp_path, PANEL.replace(",2002,1", ",0,1"), did())
    assert (nobody.code, nobody.what) == ("E-DATA-045", "No treated row is left.")
    everybody = PANEL.replace(",0,", ",2003,").replace(",,", ",2003,")
    alone = refused(tmp_path, everybody, did())
    assert (alone.code, alone.what) == ("E-DATA-045", "No comparison row is left.")
    assert "not_yet_treated" in alone.fix
    assert sample_of(tmp_path, everybody, did(comparison="not_yet_treated")).units == 3


@pytest.mark.parametrize(
    ("starts", "said"),
    [
        ({1: 2001, 2: 0, 3: 0}, "before and after its treatment starts"),
        ({1: 2004, 2: 0, 3: 0}, "before and after its treatment starts"),
        ({1: 2002, 2: 2002, 3: 2002}, "in the same period"),
        ({1: 2002, 2: 2001, 3: 2001}, "in the same period"),
    ],
)
def test_a_panel_without_a_contrast_in_time_is_refused(tmp_path: Path, starts: dict[int, int], said: str) -> None:
    text = "id,year,start,score\n" + "".join(
        f"{unit},{year},{start},{unit + year}\n" for unit, start in starts.items() for year in (2001, 2002, 2003)
    )
    error = refused(tmp_path, text, did(comparison="not_yet_treated"))
    assert error.code == "E-DATA-046"
    assert said in error.what
