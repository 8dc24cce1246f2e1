"""The files of data/portfolio as tables of facts, and what must agree between them.

All problems of all files are reported at once.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from evaluation.errors import Problem
from evaluation.settings.facts import Difficulty, Innovation, Landmark, Territory
from evaluation.settings.observations import Benchmark, Cost, Finding, Implementation, Inflation, Need, Reach, Valuation
from evaluation.settings.problems import Origin, from_validation, nearest, show
from evaluation.settings.sourced import Figure
from evaluation.settings.yaml12 import Document, parse_yaml

FOLDER = "data/portfolio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One kind of fact, read from one file."""

    rows: tuple[Any, ...]
    origins: tuple[Origin, ...]
    problems: tuple[Problem, ...]

    def ids(self) -> tuple[str, ...]:
        """Ids of the rows, in their order."""
        return tuple(row.id for row in self.rows)


_TABLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("difficulties", "difficulties.yaml", Difficulty),
    ("innovations", "innovations.yaml", Innovation),
    ("findings", "findings.csv", Finding),
    ("needs", "needs.csv", Need),
    ("reach", "reach.csv", Reach),
    ("costs", "costs.csv", Cost),
    ("valuations", "valuations.csv", Valuation),
    ("implementation", "implementation.csv", Implementation),
    ("prices", "prices.csv", Inflation),
    ("territories", "territories.yaml", Territory),
    ("reference", "territories.yaml", Figure),
    ("landmarks", "territories.yaml", Landmark),
    ("benchmarks", "benchmarks.csv", Benchmark),
)
FILES = tuple(dict.fromkeys(file for _, file, _ in _TABLES))


def read_tables(files: Mapping[str, bytes]) -> dict[str, Table]:
    """The tables by name, in a fixed order.

    Args:
        files: content by name, for each name of `FILES`.

    Raises:
        ProblemsError: a file is not YAML as this project reads it.
    """
    documents = {file: parse_yaml(files[file], f"{FOLDER}/{file}") for file in FILES if file.endswith(".yaml")}
    return {
        key: _yaml_table(documents[file], key, model)
        if file in documents
        else _csv_table(files[file], f"{FOLDER}/{file}", model)
        for key, file, model in _TABLES
    }


def _yaml_table(document: Document, key: str, model: type[BaseModel]) -> Table:
    origin = Origin(file=document.file, line=document.line, prefix=(key,))
    raw = document.data.get(key) if isinstance(document.data, Mapping) else None
    if not isinstance(raw, list):
        problem = origin.problem("E-SET-050", "this key holds a list", found=show(raw), expected="- id: …")
        return Table(rows=(), origins=(), problems=(problem,))
    return _table(raw, [origin.below(position) for position in range(len(raw))], model)


def _csv_table(content: bytes, name: str, model: type[BaseModel]) -> Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Origin(file=name, line=_at(line)).problem(
            "E-SET-071", "the text is not UTF-8", found=f"byte 0x{content[error.start]:02x}", expected="UTF-8"
        )
        return Table(rows=(), origins=(), problems=(problem,))
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = _column_problems(reader.fieldnames or (), model, Origin(file=name, line=_at(1)))
    if columns:
        return Table(rows=(), origins=(), problems=tuple(columns))
    raw, origins = [], []
    for cells in reader:
        origins.append(Origin(file=name, line=_at(reader.line_num), prefix=(cells.get("id") or "?",)))
        raw.append({column: cell or None for column, cell in cells.items()})
    return _table(raw, origins, model)


def _at(line: int) -> Callable[[Any], int | None]:
    return lambda _: line


def _column_problems(names: Sequence[str], model: type[BaseModel], origin: Origin) -> list[Problem]:
    missing = [column for column in model.model_fields if column not in names and column not in _OPTIONAL]
    unknown = [column for column in names if column not in model.model_fields]
    return [
        *(origin.problem("E-SET-051", "a column is missing", key=(column,), expected=column) for column in missing),
        *(
            origin.problem(
                "E-SET-052",
                "unknown column",
                key=(column,),
                found=show(column),
                nearest=nearest(column, model.model_fields),
            )
            for column in unknown
        ),
    ]


_OPTIONAL = ("source_title", "low", "high")


def _table(raw: Sequence[Any], origins: Sequence[Origin], model: type[BaseModel]) -> Table:
    rows: list[Any] = []
    problems: list[Problem] = []
    for entry, origin in zip(raw, origins, strict=True):
        if isinstance(entry, dict) and None in entry:
            problems.append(_too_many_cells(entry, origin))
            continue
        try:
            rows.append(model.model_validate(entry))
        except ValidationError as error:
            problems += from_validation(error, model=model, raw=entry, origin=origin)
    return Table(rows=tuple(rows), origins=tuple(origins), problems=tuple(problems))


def _too_many_cells(entry: Mapping[Any, Any], origin: Origin) -> Problem:
    """The csv module puts cells without a column under None; a comma in a text without quotes makes them."""
    extra = ", ".join(map(repr, entry[None]))
    return origin.problem("E-SET-053", "a row has more cells than columns", found=extra, expected="text in quotes")


def cross_checks(tables: Mapping[str, Table]) -> Iterator[Problem]:
    """What is wrong between tables that are each right by themselves."""
    for table in tables.values():
        yield from _repeated_ids(table)
    for name, key, target in _REFERENCES:
        yield from _dangling(tables[name], key, tables[target].ids())
    yield from _dangling_coverage(tables)
    yield from _foreign_publics(tables)
    yield from _moved_findings(tables)
    yield from _repeated_costs(tables["costs"])


_REFERENCES = (
    ("innovations", "difficulty", "difficulties"),
    ("findings", "innovation", "innovations"),
    ("findings", "difficulty", "difficulties"),
    ("needs", "difficulty", "difficulties"),
    ("reach", "innovation", "innovations"),
    ("costs", "innovation", "innovations"),
    ("implementation", "innovation", "innovations"),
)


def _repeated_ids(table: Table) -> Iterator[Problem]:
    counts = Counter(table.ids())
    for row, origin in zip(table.rows, table.origins, strict=True):
        if counts[row.id] > 1:
            found, expected = f"{counts[row.id]} times {row.id!r}", "each id once"
            yield origin.problem("E-SET-054", "an id stands twice", key=("id",), found=found, expected=expected)


def _dangling(table: Table, key: str, known: Sequence[str]) -> Iterator[Problem]:
    for row, origin in zip(table.rows, table.origins, strict=True):
        value = getattr(row, key)
        if value is not None and value not in known:
            yield _unknown(origin, (key,), value, known)


def _unknown(origin: Origin, key: tuple[str | int, ...], value: str, known: Iterable[str]) -> Problem:
    return origin.problem("E-SET-064", "nothing has this id", key=key, found=repr(value), nearest=nearest(value, known))


def _dangling_coverage(tables: Mapping[str, Table]) -> Iterator[Problem]:
    reach = {row.id: row for row in tables["reach"].rows}
    needs = tables["needs"].ids()
    table = tables["innovations"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        if row.coverage is None:
            continue
        link = row.coverage
        yield from (_unknown(origin, ("coverage", "needs"), need, needs) for need in link.needs if need not in needs)
        if link.reach not in reach:
            yield _unknown(origin, ("coverage", "reach"), link.reach, reach)
        elif reach[link.reach].innovation != row.id:
            other = reach[link.reach].innovation
            yield origin.problem(
                "E-SET-065",
                "this reach belongs to another innovation",
                key=("coverage", "reach"),
                found=f"{link.reach!r} of {other!r}",
                expected=f"a reach of {row.id!r}",
            )


def _foreign_publics(tables: Mapping[str, Table]) -> Iterator[Problem]:
    publics = {row.id: [public.id for public in row.publics] for row in tables["difficulties"].rows}
    table = tables["innovations"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        known = publics.get(row.difficulty, [])
        for name in row.publics:
            if name not in known:
                yield origin.problem(
                    "E-SET-324",
                    "the difficulty has no such public",
                    key=("publics",),
                    found=repr(name),
                    expected=", ".join(known) or "none: a benchmark has no public",
                    nearest=nearest(name, known),
                )


def _moved_findings(tables: Mapping[str, Table]) -> Iterator[Problem]:
    homes = {row.id: row.difficulty for row in tables["innovations"].rows}
    table = tables["findings"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        if row.innovation in homes and homes[row.innovation] != row.difficulty:
            yield origin.problem(
                "E-SET-066",
                "a finding and its innovation are about the same difficulty",
                key=("difficulty",),
                found=repr(row.difficulty),
                expected=repr(homes[row.innovation]),
            )


def _repeated_costs(table: Table) -> Iterator[Problem]:
    """Parts of a cost are added up, so that no part may stand twice, nor beside the total of its phase."""
    per_person = [
        (row, origin) for row, origin in zip(table.rows, table.origins, strict=True) if row.basis == "participant"
    ]
    items: dict[tuple[str, str], list[str]] = {}
    for row, _ in per_person:
        items.setdefault((row.innovation, row.phase), []).append(row.item)
    for row, origin in per_person:
        beside = items[row.innovation, row.phase]
        if beside.count(row.item) > 1 or (len(beside) > 1 and "total" in beside):
            yield origin.problem(
                "E-SET-067",
                "the same cost per participant is counted twice",
                key=("innovation",),
                found=f"{', '.join(sorted(beside))} for {row.innovation!r}, {row.phase}",
                expected="one row with item total, or one row an item",
            )
