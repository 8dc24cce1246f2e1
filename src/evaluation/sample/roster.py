"""The roster: everybody who was assigned, with their arm, and how far each of them came.

Attrition is counted against it. It is a table of its own where the design names one; otherwise the rows of the data are
the roster as soon as one of them lacks the outcome.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.sample.columns import covariate, ordered, probability, read_arm, weight
from evaluation.sample.joins import kept
from evaluation.sample.readers import Read, not_found, read
from evaluation.sample.table import Table, categories, identifiers, shown, where
from evaluation.settings.designs import ExperimentDesign, Source


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """How far the units of the data came.

    Attributes:
        table: rows as read.
        everyone: canonical columns of the rows with a unit and an arm; index as the table's.
        used: units of the analysis sample.
    """

    table: Table
    everyone: pd.DataFrame
    used: pd.Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RosterRead:
    """The roster of a sample.

    Attributes:
        frame: sorted by unit, RangeIndex:
            unit, treated, weight, cluster_*, stratum, probability, covariate_*: as in the sample, where known for all
            at_baseline: bool, seen before the treatment (only where the design names a baseline)
            at_endline: bool, the primary outcome is known
            used: bool, in the analysis sample
            cell: str, group within which bounds are computed (only where the design names some)
        sha256: of the files that only the roster uses.
        notes: remarks for the evaluator alone.
    """

    frame: pd.DataFrame
    sha256: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def roster_columns(design: object) -> tuple[str, ...]:
    """Columns of the data that only the roster uses."""
    roster = getattr(design, "roster", None)
    return () if roster is None or roster.assigned is not None else roster.cells


def read_roster(design: object, followed: Followed, *, root: Path | None = None) -> RosterRead | None:
    """The roster of an experiment.

    Args:
        design: its `roster` names tables, or says that the data are the roster; without it, a row without outcome does.
        followed: what became of the units of the data.
        root: folder that file names start from; the project by default.

    Returns:
        None where nobody says who was assigned.

    Raises:
        DataError: the roster and the data do not speak of the same draw.
    """
    if not isinstance(design, ExperimentDesign) or design.phase_in is not None:  # whose rows are units by period
        return None
    outcome = followed.everyone[f"outcome_{design.outcomes.index(design.primary) + 1}"]
    if design.roster is None and outcome.notna().all():
        return None
    known = followed.everyone.loc[outcome.notna(), "unit"]
    frame, hashes = _assigned(design, followed, root)
    frame = frame.assign(at_endline=frame["unit"].isin(known), used=frame["unit"].isin(followed.used))
    if design.roster is not None and design.roster.baseline is not None:
        frame, more = _with_baseline(design, frame, design.roster.baseline, root)
        hashes = (*hashes, more)
    complete = frame[_grouping(frame)].notna().all(axis=1)
    notes = [f"{int((~complete).sum())} rows of the roster lack a weight, cluster or group: not counted."]
    return RosterRead(frame=ordered(frame[complete]), sha256=hashes, notes=() if complete.all() else tuple(notes))


def _assigned(design: ExperimentDesign, followed: Followed, root: Path | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row for everybody who was assigned, and the hash of the file that says so."""
    roster = design.roster
    if roster is None or roster.assigned is None:
        names = ("unit", "treated", "weight", "stratum", "probability")
        columns = [
            name for name in followed.everyone if name in names or str(name).startswith(("cluster_", "covariate_"))
        ]
        frame = followed.everyone[columns]
        cells = () if roster is None else roster.cells
        table = followed.table.take(frame.index)
        return (frame.assign(cell=_cell(table, cells)) if cells else frame), ()
    table, found = _read(design, roster.assigned, (*_own_columns(design), *roster.cells), root)
    frame = _canonical(design, table, roster.cells)
    _require_same_draw(design, table, frame, followed.everyone)
    return frame, (found.sha256,)


def _own_columns(design: ExperimentDesign) -> tuple[str, ...]:
    return str(design.unit), design.treatment.column


def _read(design: ExperimentDesign, source: Source, needed: tuple[str, ...], root: Path | None) -> tuple[Table, Read]:
    """The rows of a table that `keep` selects, one a unit."""
    optional = (*design.covariates, *design.cluster, design.weight, design.strata, design.probability)
    found = read(source, {*needed, *(name for name in optional if isinstance(name, str))}, root=root)
    table = kept(source, found.table)
    missing = [column for column in needed if column not in table.frame]
    if missing:
        raise not_found(missing, list(table.columns), found.description, "roster")
    units = identifiers(table, str(design.unit))
    repeated = units.duplicated(keep=False) | units.isna()
    if repeated.any():
        raise DataError(
            code="E-IMP-290",
            what="A table of the roster does not have one row for each unit.",
            where=where(table, repeated, str(design.unit)),
            found=f"{int(units.isna().sum())} rows without a unit, units that stand twice: "
            + (shown(units[units.duplicated()]) or "none"),
            expected="each unit once",
            fix="remove the repeated rows; a person who was drawn twice is one unit",
        )
    return table, found


def _canonical(design: ExperimentDesign, table: Table, cells: tuple[str, ...]) -> pd.DataFrame:
    """Canonical columns of the roster; covariates, clusters, weights and strata where it has them."""
    columns: dict[str, pd.Series] = {"unit": identifiers(table, str(design.unit))}
    arm = read_arm(table, design.treatment)
    absent = table.frame[design.treatment.column].isna()
    if absent.any():
        raise DataError(
            code="E-IMP-291",
            what="Somebody on the roster has no arm.",
            where=where(table, absent, design.treatment.column),
            found=f"{int(absent.sum())} of {len(absent)} rows without a value",
            expected="the arm that each unit was assigned to",
            fix="complete the roster from the protocol of the draw",
        )
    columns["treated"] = arm == 1
    columns["weight"] = _where_known(table, design.weight, weight, default=1.0)
    columns |= _optional(design, table)
    if cells:
        columns["cell"] = _cell(table, cells)
    return pd.DataFrame(columns)[arm.notna()]


def _optional(design: ExperimentDesign, table: Table) -> dict[str, pd.Series]:
    """Columns of the design that the table has."""
    columns: dict[str, pd.Series] = {}
    for i, name in enumerate(design.covariates, start=1):
        if name in table.frame:
            columns[f"covariate_{i}"] = covariate(table, name, design)
    for i, name in enumerate(design.cluster, start=1):
        if name in table.frame:
            columns[f"cluster_{i}"] = identifiers(table, name)
    if design.strata in table.frame:
        columns["stratum"] = categories(table, str(design.strata))
    if isinstance(design.probability, str) and design.probability in table.frame:
        columns["probability"] = probability(table, design.probability)
    return columns


def _where_known(table: Table, name: str | None, reader: object, *, default: float) -> pd.Series:
    if name is None or name not in table.frame or not callable(reader):
        return pd.Series(default, index=table.frame.index)
    return pd.Series(reader(table, name))


def _cell(table: Table, cells: tuple[str, ...]) -> pd.Series:
    """Values of several columns as one group."""
    texts = [categories(table, column) for column in cells]
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + ", " + text
    return joined


def _with_baseline(
    design: ExperimentDesign, frame: pd.DataFrame, source: Source, root: Path | None
) -> tuple[pd.DataFrame, str]:
    """Who was seen before the treatment, and covariates that only this table has."""
    table, found = _read(design, source, (str(design.unit),), root)
    units = identifiers(table, str(design.unit))
    stray = ~units.isin(frame["unit"])
    if stray.any():
        raise DataError(
            code="E-IMP-292",
            what="The baseline has units that were not assigned.",
            where=where(table, stray, str(design.unit)),
            found=f"{int(stray.sum())} of {len(stray)} units are not on the roster, such as {shown(units[stray], 3)}",
            expected="units of the roster",
            fix="complete the roster, or select rows with keep:",
        )
    optional = {name: values for name, values in _optional(design, table).items() if name not in frame}
    more = pd.DataFrame({"unit": units, **optional, "at_baseline": np.ones(len(units), dtype=bool)})
    joined = frame.merge(more, on="unit", how="left", validate="one_to_one")
    return joined.assign(at_baseline=joined["at_baseline"].eq(True)), found.sha256


def _require_same_draw(design: ExperimentDesign, table: Table, roster: pd.DataFrame, everyone: pd.DataFrame) -> None:
    """Refuse data with units that nobody assigned, or in another arm."""
    arms = roster.set_index("unit")["treated"]
    stray = ~everyone["unit"].isin(arms.index)
    if stray.any():
        raise DataError(
            code="E-IMP-293",
            what="The data have units that are not on the roster.",
            where=table.origins[0].name,
            found=f"{int(stray.sum())} of {len(stray)} units, such as {shown(everyone.loc[stray, 'unit'], 3)}",
            expected="a roster with everybody who was assigned",
            fix="complete the roster; units that came in later were not drawn and do not belong to the sample",
        )
    said = arms.loc[everyone["unit"]].to_numpy()
    moved = said != everyone["treated"].to_numpy()
    if moved.any():
        raise DataError(
            code="E-IMP-294",
            what="The roster and the data put units in different arms.",
            where=f"{table.origins[0].name}, column {design.treatment.column}",
            found=f"{int(moved.sum())} of {len(moved)} units, such as {shown(everyone.loc[moved, 'unit'], 3)}",
            expected="the arm that was drawn, in both",
            fix="who was treated in the end is takeup:; the treatment is the arm that was assigned",
        )


def _grouping(frame: pd.DataFrame) -> list[str]:
    """Columns without which a unit cannot be counted."""
    names = ("weight", "stratum", "probability", "cell")
    return [name for name in frame if name in names or str(name).startswith("cluster_")]
