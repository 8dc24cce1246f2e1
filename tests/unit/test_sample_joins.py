"""Sources are selected, stacked and joined, and every row that goes is counted on the side it came from."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evaluation import store
from evaluation.errors import DataError
from evaluation.sample import FlowStep, Sample, prepare
from evaluation.settings.designs import DidDesign, ExperimentDesign

JOIN = {"on": "id", "how": "inner", "expect": "one_to_one"}


def experiment(*data: dict[str, Any], **options: Any) -> ExperimentDesign:
    fields = {"outcomes": {"column": "score", "unit": "points", "better": "higher"}, "treatment": "arm", "unit": "id"}
    return ExperimentDesign(id="trial", data=data, **{**fields, **options})


def put(folder: Path, **files: str) -> None:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")


def steps(sample: Sample) -> list[tuple[str, int, int]]:
    return [(step.step, step.dropped, step.left) for step in sample.flow]


def refused(folder: Path, *data: dict[str, Any], **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        prepare(experiment(*data, **options), root=folder)
    return caught.value


# keep ----------------------------------------------------------------------------------------------------------------

SITES = "id,arm,score,site,dept\n1,1,5,Creil,01\n2,0,4,Creil,02\n3,1,3,Sète,02\n4,0,2,Sète,2A\n5,0,1,Brest,29\n"


@pytest.mark.parametrize(
    ("keep", "units"),
    [
        ({"site": "Creil"}, [1, 2]),
        ({"site": ["Creil", "Sète"]}, [1, 2, 3, 4]),
        ({"score": [2, 3.0, "4"]}, [2, 3, 4]),
        ({"dept": ["02", "2A"]}, [2, 3, 4]),
        ({"site": ["Creil", "Sète"], "score": [3, 4]}, [2, 3]),
    ],
)
def test_keep_compares_in_the_type_of_the_column(tmp_path: Path, keep: dict[str, Any], units: list[int]) -> None:
    put(tmp_path, a=SITES)
    sample = prepare(experiment({"file": "a.csv", "keep": keep}), root=tmp_path)
    assert sample.frame["unit"].tolist() == units
    assert steps(sample)[:2] == [("read", 0, 5), ("keep", 5 - len(units), len(units))]


def test_keep_understands_true_and_false(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score,here\n1,1,5,TRUE\n2,0,4,FALSE\n3,0,3,TRUE\n")
    assert prepare(experiment({"file": "a.csv", "keep": {"here": True}}), root=tmp_path).units == 2
    pd.DataFrame({"id": [1, 2, 3], "arm": [1, 0, 0], "score": [5, 4, 3], "here": [True, False, True]}).to_parquet(
        tmp_path / "a.parquet"
    )
    assert prepare(experiment({"file": "a.parquet", "keep": {"here": True}}), root=tmp_path).units == 2


@pytest.mark.parametrize("value", [1, "1"])
def test_a_code_with_a_leading_zero_is_text(tmp_path: Path, value: Any) -> None:
    put(tmp_path, a=SITES)
    error = refused(tmp_path, {"file": "a.csv", "keep": {"dept": value}})
    assert (error.code, error.found) == ("E-DATA-024", "no '1'")
    assert error.expected == "values of the column: '01' (1), '02' (2), '29' (1), '2A' (1)"


def test_a_column_of_codes_alone_is_text_too(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score,dept\n1,1,5,01\n2,0,4,01\n3,0,3,1\n")
    assert prepare(experiment({"file": "a.csv", "keep": {"dept": "01"}}), root=tmp_path).units == 2
    declared = {"file": "a.csv", "text": ["score"], "keep": {"score": ["5", 4]}}
    assert prepare(experiment(declared), root=tmp_path).units == 2


def test_a_value_that_never_occurs_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a=SITES)
    error = refused(tmp_path, {"file": "a.csv", "keep": {"site": ["Creil", "creil"]}})
    assert (error.code, error.found) == ("E-DATA-024", "no 'creil'")


def test_selections_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    put(tmp_path, a=SITES)
    error = refused(tmp_path, {"file": "a.csv", "keep": {"site": "Creil", "score": 1}})
    assert (error.code, error.found) == ("E-DATA-025", "0 of 5 rows with site = Creil, score = 1")


# stack ---------------------------------------------------------------------------------------------------------------


def test_stacked_sources_keep_their_own_notation(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score\n1,1,1.5\n2,0,2\n", b="score;arm;id\n3,5;0;7\n4;1;3\n")
    sample = prepare(experiment({"file": "a.csv"}, {"file": "b.csv", "separator": ";", "decimal": ","}), root=tmp_path)
    assert sample.frame[["unit", "outcome_1"]].to_numpy().tolist() == [[1, 1.5], [2, 2], [3, 4], [7, 3.5]]
    assert sample.rows_read == 4
    assert sample.data_source == "a.csv; b.csv"
    hashes = [store.sha256_file(tmp_path / name) for name in ("a.csv", "b.csv")]
    assert sample.data_sha256 == store.sha256_json(hashes)


def test_an_error_names_the_stacked_file_and_its_row(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score\n1,1,1.5\n2,0,x\n", b="id,arm,score\n3,1,1.5\n4,0,y\n5,0,y\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv"})
    assert error.where == "a.csv, row 3; b.csv, rows 3, 4"


def test_stacked_sources_must_agree_on_the_columns_used(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score,z\n1,1,1,1\n2,0,2,2\n", b="id,arm,Score,y\n3,0,3,3\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv"})
    assert (error.code, error.where) == ("E-DATA-026", "b.csv")
    assert "rename: {Score: score}" in error.fix
    renamed = {"file": "b.csv", "rename": {"Score": "score"}}
    assert prepare(experiment({"file": "a.csv"}, renamed), root=tmp_path).units == 3


def test_rows_without_a_unit_are_numbered_through_all_stacked_sources(tmp_path: Path) -> None:
    put(tmp_path, a="arm,score\n1,1\n0,2\n1,3\n", b="arm,score\n0,4\n0,\n1,6\n")
    design = experiment({"file": "a.csv", "keep": {"arm": 1}}, {"file": "b.csv"}, unit=None)
    # two rows of a stay and three of b: positions 0 to 4; position 3 has no score
    assert prepare(design, root=tmp_path).frame["unit"].tolist() == [0, 1, 2, 4]


# join ----------------------------------------------------------------------------------------------------------------

# Roster: 5 units, one without an id. Endline: 4 rows, of which unit 9 is not in the roster and one has no id.
# Inner: units 1 and 2 find a partner; 3 rows of the roster (3, 4 and the nameless) and 2 of the endline do not.
ROSTER = "id,arm\n1,1\n2,0\n3,1\n4,0\n,1\n"
ENDLINE = "id,score\n2,20\n9,90\n1,10\n,50\n"


def test_an_inner_join_counts_what_both_sides_lose(tmp_path: Path) -> None:
    put(tmp_path, roster=ROSTER, endline=ENDLINE)
    sample = prepare(experiment({"file": "roster.csv"}, {"file": "endline.csv", "join": JOIN}), root=tmp_path)
    assert sample.frame[["unit", "outcome_1"]].to_numpy().tolist() == [[1, 10], [2, 20]]
    assert sample.flow[1:3] == (
        FlowStep(
            step="join",
            dropped=3,
            left=2,
            reason="joined with endline.csv on id: 3 of 5 rows have no partner in endline.csv",
        ),
        FlowStep(step="join", dropped=2, left=2, reason="2 of 4 rows of endline.csv have no partner in roster.csv"),
    )
    assert sample.rows_read == 5


def test_a_left_join_keeps_rows_without_a_partner(tmp_path: Path) -> None:
    put(tmp_path, roster=ROSTER, endline=ENDLINE)
    left = {**JOIN, "how": "left"}
    sample = prepare(experiment({"file": "roster.csv"}, {"file": "endline.csv", "join": left}), root=tmp_path)
    assert steps(sample) == [
        ("read", 0, 5),
        ("join", 0, 5),
        ("join", 2, 5),
        ("missing_unit", 1, 4),
        ("missing_outcome", 2, 2),
    ]
    assert (sample.flow[-1].dropped_treated, sample.flow[-1].dropped_comparison) == (1, 1)


def test_rows_without_a_unit_keep_the_order_of_the_left_side(tmp_path: Path) -> None:
    # The second row finds no partner and stays second.
    put(tmp_path, a="key,arm,score\nx,1,1\ny,0,2\nz,1,3\n", b="key,age\nz,30\nx,10\n")
    left = {"on": "key", "how": "left", "expect": "one_to_one"}
    design = experiment({"file": "a.csv"}, {"file": "b.csv", "join": left}, unit=None, covariates="age")
    frame = prepare(design, root=tmp_path).frame
    assert frame["outcome_1"].tolist() == [1, 2, 3]
    assert frame["covariate_1"].fillna(-1).tolist() == [10, -1, 30]


def test_one_row_may_have_many_partners_if_the_design_expects_it(tmp_path: Path) -> None:
    # Firm a has 3 periods, firm b 2, firm c none, firm d is not in the roster: 5 rows, 1 firm and 1 row lost.
    put(
        tmp_path,
        firms="firm,start,sector\na,2002,x\nb,,y\nc,2003,y\n",
        years="firm,year,score\na,2001,1\na,2002,2\na,2003,3\nb,2001,4\nb,2002,5\nd,2001,6\n",
    )
    join = {"on": "firm", "how": "inner", "expect": "one_to_many"}
    design = DidDesign(
        id="firms",
        data=[{"file": "firms.csv"}, {"file": "years.csv", "join": join}],
        outcomes={"column": "score", "unit": "points", "better": "higher"},
        unit="firm",
        time="year",
        cohort={"column": "start"},
        panel="unbalanced",
        cluster="sector",
    )
    sample = prepare(design, root=tmp_path)
    assert steps(sample) == [("read", 0, 3), ("join", 1, 5), ("join", 1, 5), ("missing_outcome", 0, 5)]
    assert sample.frame["cohort"].tolist() == [2002, 2002, 2002, pd.NA, pd.NA]


def test_many_rows_may_share_a_partner_if_the_design_expects_it(tmp_path: Path) -> None:
    put(tmp_path, pupils="id,arm,school,score\n1,1,A,1\n2,0,A,2\n3,1,B,3\n", schools="school,kind\nA,rural\nB,urban\n")
    join = {"on": "school", "how": "inner", "expect": "many_to_one"}
    data = ({"file": "pupils.csv"}, {"file": "schools.csv", "join": join})
    assert prepare(experiment(*data, territory="kind"), root=tmp_path).frame["territory"].tolist() == [
        "rural",
        "rural",
        "urban",
    ]


def test_keys_may_be_several_columns_and_files_several(tmp_path: Path) -> None:
    put(
        tmp_path,
        a="id,wave,arm\n1,1,1\n1,2,1\n2,1,0\n2,2,0\n",
        b="wave,id,score\n2,1,12\n1,1,11\n1,2,21\n2,2,22\n",
        c="id,size\n2,200\n1,100\n",
    )
    sample = prepare(
        experiment(
            {"file": "a.csv", "keep": {"wave": 2}},
            {"file": "b.csv", "join": {"on": ["id", "wave"], "how": "inner", "expect": "one_to_one"}},
            {"file": "c.csv", "join": JOIN},
            covariates="size",
        ),
        root=tmp_path,
    )
    assert sample.frame[["unit", "outcome_1", "covariate_1"]].to_numpy().tolist() == [[1, 12, 100], [2, 22, 200]]


def test_cells_that_a_join_brought_are_read_in_the_notation_of_their_file(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\n1,1\n2,0\n3,0\n", b="id;score\n3;1,5\n1;2,5\n2;3\n")
    joined = {"file": "b.csv", "separator": ";", "decimal": ",", "join": JOIN}
    assert prepare(experiment({"file": "a.csv"}, joined), root=tmp_path).frame["outcome_1"].tolist() == [2.5, 3, 1.5]
    error = refused(tmp_path, {"file": "a.csv"}, {**joined, "decimal": "."})
    assert (error.code, error.where) == ("E-DATA-005", "b.csv, rows 2, 3")


def test_a_repeated_key_that_is_not_expected_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\n1,1\n2,0\n", b="id,score\n1,1\n2,2\n2,3\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": JOIN})
    assert (error.code, error.where, error.found) == ("E-DATA-029", "b.csv, rows 3, 4", "'2'")
    assert "expect: one_to_many" in error.fix
    wrong_way = {**JOIN, "expect": "many_to_one"}
    assert refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": wrong_way}).code == "E-DATA-029"


@pytest.mark.parametrize("expect", ["one_to_many", "many_to_one"])
def test_many_to_many_is_refused(tmp_path: Path, expect: str) -> None:
    put(tmp_path, a="id,arm\n1,1\n1,0\n2,0\n", b="id,score\n1,1\n1,2\n2,3\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": {**JOIN, "expect": expect}})
    assert error.code == "E-DATA-029"
    assert "keys repeat on both sides" in error.fix


def test_missing_keys_never_match(tmp_path: Path) -> None:
    # Two rows without a key on both sides: as keys they would be many-to-many and make four rows.
    put(tmp_path, a="id,arm\n1,1\n2,0\n,0\n,1\n", b="id,score\n1,1\n2,2\n,3\n,4\n")
    sample = prepare(experiment({"file": "a.csv"}, {"file": "b.csv", "join": JOIN}), root=tmp_path)
    assert steps(sample)[1:3] == [("join", 2, 2), ("join", 2, 2)]


def test_keys_that_differ_by_spaces_or_capitals_are_pointed_out(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\nA ,1\nB,0\nC,1\n", b="id,score\nA,1\nB,2\nc,3\nC,4\n")
    sample = prepare(experiment({"file": "a.csv"}, {"file": "b.csv", "join": JOIN}), root=tmp_path)
    assert sample.flow[1].reason.endswith(
        "1 of 3 rows have no partner in b.csv; some keys differ only by spaces or capitals"
    )
    assert sample.notes == ("Keys of a.csv and b.csv differ only by spaces or capitals: 'A ' and 'A'.",)


def test_a_join_in_which_nothing_matches_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\na,1\nb,0\n", b="id,score\nA,1\nB,2\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": JOIN})
    assert (error.code, error.found) == ("E-DATA-030", "'a', 'b' against 'A', 'B'")
    assert "'a' and 'A'" in error.fix


def test_keys_of_different_types_are_refused_with_a_way_out(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\n01,1\n75,0\n76,1\n", b="id,score\n1,1\n75,2\n76,3\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": JOIN})
    assert (error.code, error.found) == ("E-DATA-028", "'01', '75', '76' and '1', '75', '76'")
    assert 'add to b.csv: text: ["id"]' in error.fix
    declared = {"file": "b.csv", "text": ["id"], "join": JOIN}
    assert prepare(experiment({"file": "a.csv"}, declared), root=tmp_path).frame["unit"].tolist() == ["75", "76"]


def test_columns_on_both_sides_are_refused(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score\n1,1,1\n2,0,2\n", b="id,score\n1,1\n2,2\n")
    error = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": JOIN})
    assert (error.code, error.found) == ("E-DATA-027", "'score'")


def test_a_key_that_a_file_does_not_have_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm\n1,1\n2,0\n", b="Id,score\n1,1\n2,2\n", c="ident,arm\n1,1\n2,0\n")
    right = refused(tmp_path, {"file": "a.csv"}, {"file": "b.csv", "join": JOIN})
    assert (right.code, right.where) == ("E-DATA-008", "b.csv")
    left = refused(tmp_path, {"file": "c.csv"}, {"file": "b.csv", "rename": {"Id": "id"}, "join": JOIN}, unit=None)
    assert (left.code, left.where) == ("E-DATA-008", "c.csv")


def test_a_column_nobody_has_is_refused_with_the_key_of_the_design(tmp_path: Path) -> None:
    put(tmp_path, a="id,arm,score\n1,1,1\n2,0,2\n")
    error = refused(tmp_path, {"file": "a.csv"}, outcomes={"column": "scor", "unit": "points", "better": "higher"})
    assert (error.code, error.what) == ("E-DATA-008", "Columns named under 'outcomes' are not in the data.")
    assert error.found == "no 'scor' (did you mean 'score'?)"
