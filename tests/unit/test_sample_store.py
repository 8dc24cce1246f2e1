"""The codebook says what a sample holds without a word about single units; a kept sample comes back as it was."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluation.sample
from evaluation.errors import ParametersError, StaleError
from evaluation.sample import Sample, prepare, read, write
from evaluation.settings.designs import DESIGNS

CONTENT = (
    "person,school,arm,score,age,kind,block\n"
    "S017,7,1,12.5,30,rural,10\nS003,7,0,-9,41,urban,9\nS001,8,1,3,55,rural,9\nS020,8,0,8,,urban,10\n"
)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.setenv("EVALUATION_ROOT", str(tmp_path))
    (tmp_path / "data.csv").write_text(CONTENT, encoding="utf-8")
    design = DESIGNS["experiment"](
        id="small-trial",
        data={"file": "data.csv", "missing": -9},
        outcomes={"column": "score", "unit": "points (0 to 20)", "better": "higher"},
        treatment="arm",
        unit="person",
        cluster="school",
        covariates=["age", "block"],
        categorical="block",
        territory="kind",
    )
    return prepare(design)


def test_the_codebook_has_a_row_for_each_column_used(sample: Sample) -> None:
    expected = pd.DataFrame(
        [
            ("score", "outcome_1", "number", "", "points (0 to 20)", 1, "-9 (1)", 3, 12.5, "3; 8; 12.5"),
            ("person", "unit", "id", "", "", 0, "", np.nan, np.nan, "4 different"),
            ("arm", "treated", "whole number", "", "", 0, "", 0, 1, "0; 1"),
            ("kind", "territory", "text", "", "", 0, "", np.nan, np.nan, "rural; urban"),
            ("age", "covariate_1", "whole number", "", "", 1, "", 30, 55, "30; 41; 55"),
            ("block", "covariate_2", "whole number", "", "", 0, "", 9, 10, "9; 10"),
            ("school", "cluster_1", "id", "", "", 0, "", np.nan, np.nan, "2 different"),
        ],
        columns=sample.codebook.columns,
    )
    pd.testing.assert_frame_equal(sample.codebook, expected, check_dtype=False)


def test_nothing_but_the_sample_itself_names_a_unit(sample: Sample) -> None:
    write(sample)
    described = Path(evaluation.sample.model._folder("small-trial") / "sample.json").read_text(encoding="utf-8")
    assert not any(person in described for person in ("S001", "S003", "S017", "S020"))


def test_many_levels_are_counted_and_not_listed(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2},{i},town{i}\n" for i in range(13))
    (tmp_path / "data.csv").write_text("arm,score,town\n" + rows, encoding="utf-8")
    design = DESIGNS["experiment"](
        id="towns",
        data={"file": "data.csv"},
        outcomes={"column": "score", "unit": "points", "better": "higher"},
        treatment="arm",
        territory="town",
    )
    book = prepare(design, root=tmp_path).codebook.set_index("column")
    assert book.loc["town", "values"] == "13 different"


def test_a_kept_sample_comes_back_as_it_was(sample: Sample) -> None:
    write(sample)
    back = read("small-trial")
    pd.testing.assert_frame_equal(back.frame, sample.frame)
    pd.testing.assert_frame_equal(back.codebook, sample.codebook)
    pd.testing.assert_frame_equal(back.roster, sample.roster)
    for name in ("id", "names", "flow", "data_sha256", "data_source", "rows_read", "period_labels", "notes"):
        assert getattr(back, name) == getattr(sample, name)
    assert back.frame["covariate_2"].cat.categories.tolist() == ["9", "10"]


def test_a_second_run_writes_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "processed" / "small-trial"
    write(sample)
    first = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    write(sample)
    assert {path.name: path.read_bytes() for path in sorted(folder.iterdir())} == first
    # one row lacks the outcome, so that the rows are a roster of everybody who was assigned
    assert sorted(first) == ["roster.parquet", "sample.json", "sample.parquet"]


def test_a_sample_changed_by_hand_is_refused(sample: Sample, tmp_path: Path) -> None:
    write(sample)
    path = tmp_path / "data" / "processed" / "small-trial" / "sample.parquet"
    sample.frame.assign(outcome_1=0.0).to_parquet(path)
    with pytest.raises(StaleError) as caught:
        read("small-trial")
    assert (caught.value.code, caught.value.exit_code) == ("E-DATA-001", 4)


def test_a_sample_that_was_not_prepared_is_refused(sample: Sample) -> None:
    with pytest.raises(StaleError):
        read("another-trial")
    with pytest.raises(ParametersError):
        read("../raw")


def test_importing_the_room_is_quick_because_pandas_waits() -> None:
    code = "import sys, evaluation.sample; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_name_of_the_room_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prepared'"):
        _ = evaluation.sample.prepared
