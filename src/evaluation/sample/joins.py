"""Several sources become one table: rows selected, sources stacked, others joined, every loss counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation import store
from evaluation.errors import DataError
from evaluation.sample.model import FlowStep
from evaluation.sample.readers import Read, not_found, read
from evaluation.sample.table import Column, Table, counted, equal, identifiers, nearest, shown, where
from evaluation.settings.designs import Design, Join, Source

REPEATS_ALLOWED = {"one_to_one": (False, False), "one_to_many": (False, True), "many_to_one": (True, False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """All sources of a design as one table, and how it came about."""

    table: Table
    flow: tuple[FlowStep, ...]
    notes: tuple[str, ...]
    sha256: str
    description: str


def combine(design: Design, used: Collection[str], *, root: Path | None, files: Sequence[Path] | None) -> Combined:
    """Read the sources of a design; stack those without `join`, then join the others in their order.

    Args:
        design: the design.
        used: columns it uses.
        root: folder that file names start from; the project by default.
        files: read these files instead of the ones the design names, in the same order.

    Raises:
        DataError: a source is not what the design says, or two do not fit together.
    """
    sources = _sources(design, files)
    keys = {column for source in sources if source.join for column in source.join.on}
    paths: Sequence[Path | None] = files or [None] * len(sources)
    wanted = {*used, *keys}
    reads = [read(source, wanted, root=root, file=path) for source, path in zip(sources, paths, strict=True)]
    stacked = [(s, r) for s, r in zip(sources, reads, strict=True) if s.join is None]
    table, flow = _stack(stacked, wanted)
    notes: list[str] = []
    for source, right in zip(sources, reads, strict=True):
        if source.join is not None:
            table, steps, hints = _join(table, kept(source, right.table), source.join)
            flow, notes = [*flow, *steps], [*notes, *hints]
    missing = [column for column in used if column not in table.frame]
    if missing:
        columns = list(dict.fromkeys(column for r in reads for column in r.table.columns))
        raise not_found(missing, columns, ", ".join(r.description for r in reads), _keys_of(design, missing))
    hashes = [r.sha256 for r in reads]
    return Combined(
        table=table,
        flow=tuple(flow),
        notes=tuple(notes),
        sha256=hashes[0] if len(hashes) == 1 else store.sha256_json(hashes),
        description="; ".join(dict.fromkeys(r.description for r in reads)),
    )


def _keys_of(design: Design, columns: Collection[str]) -> str:
    """The keys of the design under which the columns stand."""
    fields = design.parameters()
    names = [key for key in fields if key != "data" and any(column in _leaves(fields[key]) for column in columns)]
    return ", ".join(names)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def _sources(design: Design, files: Sequence[Path] | None) -> tuple[Source, ...]:
    if files and not design.data:
        return tuple(Source(file=file.name) for file in files)
    if not design.data or (files and len(files) != len(design.data)):
        raise DataError(
            code="E-DATA-023",
            what="The data named on the command line do not fit the design." if files else "The design names no data.",
            where=f"evaluation {design.id}",
            found=f"{len(files or ())} files for {len(design.data)} sources",
            expected="one file a source, in the same order" if files else "data: {file: …} or {package: …, table: …}",
            fix="name as many files as the design has sources" if files else "add data: to the evaluation",
        )
    return design.data


# keep and stack ------------------------------------------------------------------------------------------------------


def kept(source: Source, table: Table) -> Table:
    """The rows that `keep` selects."""
    selected = pd.Series(True, index=table.frame.index)
    for column, values in source.keep.items():
        matches = [equal(table, column, value) for value in values]
        absent = [value for value, match in zip(values, matches, strict=True) if not match.any()]
        if absent:
            raise DataError(
                code="E-DATA-024",
                what=f"'keep' asks for values that column '{column}' does not have.",
                where=table.origins[0].name,
                found=f"no {shown(absent)}",
                expected=f"values of the column: {counted(table.frame[column])}",
                fix="correct keep: in the source",
            )
        selected &= np.logical_or.reduce(matches)
    if not selected.any():
        raise DataError(
            code="E-DATA-025",
            what="'keep' leaves no row: no row has all the values asked for.",
            where=table.origins[0].name,
            found=f"0 of {len(selected)} rows with {_selection(source)}",
            expected="at least one row",
            fix="correct keep: in the source",
        )
    return table.take(selected)


def _selection(source: Source) -> str:
    return ", ".join(f"{column} = {' or '.join(map(str, values))}" for column, values in source.keep.items())


def _stack(parts: Sequence[tuple[Source, Read]], wanted: Collection[str]) -> tuple[Table, list[FlowStep]]:
    tables = [read.table for _, read in parts]
    _require_same_columns(tables, wanted)
    total = sum(len(table.frame) for table in tables)
    read_from = ", ".join(f"{len(table.frame)} of {table.origins[0].name}" for table in tables)
    flow = [FlowStep(step="read", dropped=0, left=total, reason=f"rows read: {read_from}")]
    selected = [kept(source, read.table) for source, read in parts]
    for (source, _), before, after in zip(parts, tables, selected, strict=True):
        if source.keep:
            dropped = len(before.frame) - len(after.frame)
            reason = f"{after.origins[0].name}: only rows with {_selection(source)}"
            flow.append(FlowStep(step="keep", dropped=dropped, left=flow[-1].left - dropped, reason=reason))
    return _concatenated(selected), flow


def _require_same_columns(tables: Sequence[Table], wanted: Collection[str]) -> None:
    known = dict.fromkeys(column for table in tables for column in table.columns if column in wanted)
    for table in tables:
        missing = [column for column in known if column not in table.columns]
        if missing:
            others = [other.origins[0].name for other in tables if missing[0] in other.columns]
            raise DataError(
                code="E-DATA-026",
                what="Sources that are stacked do not have the same columns.",
                where=table.origins[0].name,
                found=f"no {shown(missing)}, which {others[0]} has; its columns: {shown(table.columns, 60)}",
                expected="every column that the design uses",
                fix=f"add under data: rename: {{{_rename_hint(missing[0], table.columns)}: {missing[0]}}}, "
                "or join: if it holds other columns of the same units",
            )


def _rename_hint(missing: str, columns: Collection[str]) -> str:
    return nearest(missing, columns) or "its name there"


def _concatenated(tables: Sequence[Table]) -> Table:
    columns = list(dict.fromkeys(column for table in tables for column in table.frame))
    places = [table.places.assign(origin=position) for position, table in enumerate(tables)]
    return Table(
        frame=pd.concat([_nullable(table.frame[columns]) for table in tables], ignore_index=True),
        places=pd.concat(places, ignore_index=True),
        origins=tuple(table.origins[0] for table in tables),
        columns=tuple(dict.fromkeys(column for table in tables for column in table.columns)),
        text=frozenset().union(*(table.text for table in tables)),
        info={column: _merged([table.info[column] for table in tables]) for column in columns},
    )


def _nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers that stay whole beside missing cells."""
    return frame.astype({name: "Int64" for name in frame if pd.api.types.is_integer_dtype(frame[name].dtype)})


def _merged(infos: Sequence[Column]) -> Column:
    codes: dict[str, int] = {}
    for info in infos:
        for code, cells in info.missing_codes.items():
            codes[code] = codes.get(code, 0) + cells
    return replace(infos[0], missing_codes={code: codes[code] for code in sorted(codes)})


# join ----------------------------------------------------------------------------------------------------------------


def _join(left: Table, right: Table, join: Join) -> tuple[Table, list[FlowStep], list[str]]:
    """Bring the columns of `right` to the rows of `left`; rows without a key have no partner."""
    absent = [column for column in join.on if column not in left.frame]
    if absent:
        raise not_found(absent, left.columns, ", ".join(origin.name for origin in left.origins), "join")
    _require_no_overlap(left, right, join)
    ours, theirs = _join_keys(left, right, join)
    _require_expected(left, right, ours, theirs, join)
    keys = list(range(len(join.on)))
    pairs = ours.reset_index(names="left").merge(theirs.reset_index(names="right"), how="inner", on=keys)
    unmatched = left.frame.index.difference(pairs["left"])
    left_over = right.frame.index.difference(pairs["right"])
    near = _near_misses(left, right, join, unmatched)
    if pairs.empty:
        raise _nothing_matches(left, right, join, near)
    if join.how == "left":
        pairs = pd.concat([pairs, pd.DataFrame({"left": unmatched, "right": -1})])
    pairs = pairs.sort_values(["left", "right"])
    table = _paired(left, right, join, pairs["left"].to_numpy(), pairs["right"].to_numpy())
    return table, _join_steps(left, right, join, len(unmatched), len(left_over), len(pairs), near), near


def _require_no_overlap(left: Table, right: Table, join: Join) -> None:
    both = [column for column in right.frame if column in left.frame and column not in join.on]
    if both:
        raise DataError(
            code="E-DATA-027",
            what="Both sides of a join have a column that the design uses.",
            where=f"{left.origins[0].name} and {right.origins[0].name}",
            found=shown(both),
            expected="each column on one side, besides the keys",
            fix=f"add to one source: rename: {{{both[0]}: another name}}",
        )


def _join_keys(left: Table, right: Table, join: Join) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keys of both sides as columns 0, 1 …; rows with a missing key left out."""
    ours = pd.DataFrame({i: identifiers(left, column) for i, column in enumerate(join.on)})
    theirs = pd.DataFrame({i: identifiers(right, column) for i, column in enumerate(join.on)})
    for i, column in enumerate(join.on):
        if ours[i].dtype != theirs[i].dtype:
            as_number = left if ours[i].dtype == "Int64" else right
            raise DataError(
                code="E-DATA-028",
                what=f"The key '{column}' holds numbers on one side of the join and text on the other.",
                where=f"{left.origins[0].name} and {right.origins[0].name}",
                found=f"{shown(ours[i].dropna(), 3)} and {shown(theirs[i].dropna(), 3)}",
                expected="the same codes; leading zeros count",
                fix=f'if they are equal as text, add to {as_number.origins[0].name}: text: ["{column}"]; '
                "otherwise correct one file",
            )
    return ours.dropna(), theirs.dropna()


def _require_expected(left: Table, right: Table, ours: pd.DataFrame, theirs: pd.DataFrame, join: Join) -> None:
    sides = [(left, ours), (right, theirs)]
    repeats = [keys.duplicated(keep=False) for _, keys in sides]
    for (table, keys), repeated, allowed in zip(sides, repeats, REPEATS_ALLOWED[join.expect], strict=True):
        if repeated.any() and not allowed:
            many = all(side.any() for side in repeats)
            actual = "many_to_one" if table is left else "one_to_many"
            raise DataError(
                code="E-DATA-029",
                what=f"The join expects {join.expect}, but {int(repeated.sum())} rows of {table.origins[0].name} "
                "share their key with another row.",
                where=where(table, repeated.index[repeated]),
                found=shown(keys[repeated].astype("str").agg(" / ".join, axis=1)),
                expected=f"one row a key ({', '.join(join.on)})",
                fix="aggregate one of the files to one row a key: keys repeat on both sides, and joining many rows to "
                "many multiplies them"
                if many
                else f"if that is right, say in join: expect: {actual}; otherwise remove the repeated rows",
            )


def _near_misses(left: Table, right: Table, join: Join, unmatched: pd.Index) -> list[str]:
    """Keys without a partner that would have one if spaces around them and capitals did not count."""
    found = []
    for column in join.on:
        ours, theirs = identifiers(left, column), identifiers(right, column)
        if ours.dtype != "Int64":
            plain = {other.strip().casefold(): other for other in theirs.dropna()}
            alone = [key for key in ours.loc[unmatched].dropna().unique() if key not in {*theirs.dropna()}]
            found += [f"{key!r} and {plain[k]!r}" for key in alone if (k := key.strip().casefold()) in plain]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    files = f"{left.origins[0].name} and {right.origins[0].name}"
    return [f"Keys of {files} differ only by spaces or capitals: {', '.join(found[:5])}{more}."] if found else []


def _nothing_matches(left: Table, right: Table, join: Join, near: Sequence[str]) -> DataError:
    keys = [identifiers(table, join.on[0]).dropna() for table in (left, right)]
    return DataError(
        code="E-DATA-030",
        what=f"No row of {left.origins[0].name} finds a partner in {right.origins[0].name}.",
        where=f"key {', '.join(join.on)}",
        found=f"{shown(keys[0], 3)} against {shown(keys[1], 3)}",
        expected="keys that occur on both sides",
        fix=near[0] if near else "check that both files speak of the same units",
    )


def _paired(left: Table, right: Table, join: Join, ours: Any, theirs: Any) -> Table:
    brought = [column for column in right.frame if column not in join.on]
    cells = _nullable(right.frame[brought]).reindex(theirs).reset_index(drop=True)
    base = left.take(pd.Index(ours))
    rows = right.places["row"].reindex(theirs, fill_value=0).reset_index(drop=True)
    own = pd.DataFrame({"origin": len(left.origins), "row": rows})
    earlier = {column: places.reset_index(drop=True) for column, places in base.joined.items()}
    return Table(
        frame=pd.concat([base.frame.reset_index(drop=True), cells], axis=1),
        places=base.places.reset_index(drop=True),
        origins=(*left.origins, right.origins[0]),
        columns=tuple(dict.fromkeys([*left.columns, *right.columns])),
        text=left.text | right.text,
        info={**right.info, **left.info},
        joined={**earlier, **dict.fromkeys(brought, own)},
    )


def _join_steps(
    left: Table, right: Table, join: Join, unmatched: int, left_over: int, rows: int, near: Sequence[str]
) -> list[FlowStep]:
    ours, theirs = left.origins[0].name, right.origins[0].name
    dropped = unmatched if join.how == "inner" else 0
    lost = f"{unmatched} of {len(left.frame)} rows have no partner in {theirs}" + (" (kept)" * (join.how == "left"))
    hint = "; some keys differ only by spaces or capitals" if near else ""
    others = f"{left_over} of {len(right.frame)} rows of {theirs} have no partner in {ours}"
    return [
        FlowStep(
            step="join",
            dropped=dropped,
            left=rows,
            reason=f"joined with {theirs} on {', '.join(join.on)}: {lost}{hint}",
        ),
        FlowStep(step="join", dropped=left_over, left=rows, reason=others),
    ]
