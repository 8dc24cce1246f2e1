"""Ballots that people filled in: read, checked, counted. A missing answer is missing; it is never the worst grade.

A file has one row a ballot: `voter` (the number printed on the ballot), `collection_point`, and, where they were asked,
`role` (lives, professional, other), `territory` and what ballots are weighted by; then one column a difficulty, with
grades by id, by label in French or English, or by their place from 0 (least serious).

What cannot be a ballot is refused (an unknown grade, one number twice with different answers, a difficulty without its
column); what is only incomplete is counted, step by step.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.sample.model import FlowStep
from evaluation.sample.readers import read as read_source
from evaluation.sample.table import texts
from evaluation.settings.designs import Source
from evaluation.settings.participation import Consultation, Grade

VOTER, POINT, ROLE, TERRITORY = "voter", "collection_point", "role", "territory"
LIVES, PROFESSIONAL = "lives", "professional"
UNKNOWN = "unknown"
STAMP = "simulated"  # a column of this name marks a file that nobody filled in
NO_ANSWER = -1

Floats = NDArray[np.float64]

_ROLES: Mapping[str, str] = {
    "lives": LIVES,
    "vit la difficulte": LIVES,
    "personne concernee": LIVES,
    "habitant": LIVES,
    "professional": PROFESSIONAL,
    "professionnel": PROFESSIONAL,
    "professionnelle": PROFESSIONAL,
    "other": "other",
    "autre": "other",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ballots:
    """Ballots of one vote, in the order of the file.

    Attributes:
        difficulties: (m,) ids, in the order of the ballot.
        grades: (K,) ids, from the least to the most serious.
        answers: (n, m) place of the grade, −1 where there is no answer.
        voters: (n,) numbers of the ballots.
        attributes: column -> (n,) text, such as collection_point, role, territory; 'unknown' where the cell is empty.
        flow: what was read, set aside and kept.
        simulated: no person filled these ballots in.
    """

    difficulties: tuple[str, ...]
    grades: tuple[str, ...]
    answers: NDArray[np.int8]
    voters: NDArray[Any]
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    flow: tuple[FlowStep, ...] = ()
    simulated: bool

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def missing_answers(self) -> int:
        """Number of cells without an answer on ballots that were kept."""
        return int((self.answers == NO_ANSWER).sum())

    def attribute(self, name: str) -> NDArray[Any]:
        """(n,) values of a column; 'unknown' for all ballots where the file does not have it."""
        return np.asarray(self.attributes.get(name, np.full(len(self), UNKNOWN, dtype=object)))

    def chosen(self, rows: NDArray[np.bool_]) -> "Ballots":
        """Some of the ballots."""
        attributes = {name: values[rows] for name, values in self.attributes.items()}
        return replace(self, answers=self.answers[rows], voters=self.voters[rows], attributes=attributes)

    def answering(self, grade: int) -> "Ballots":
        """The same ballots with `grade` in place of no answer, to show what that would change; never the default."""
        return replace(self, answers=np.where(self.answers == NO_ANSWER, np.int8(grade), self.answers))

    def counts(self, weights: Floats | None = None) -> Floats:
        """(m, K) ballots, or sums of weights, by difficulty and grade."""
        return np.asarray(self.counts_by(np.zeros(len(self), dtype=np.int64), 1, weights)[0])

    def counts_by(self, codes: NDArray[np.int64], groups: int, weights: Floats | None = None) -> Floats:
        """(G, m, K) the same by group, for codes 0..G−1."""
        m, K = len(self.difficulties), len(self.grades)
        place = (codes[:, None] * m + np.arange(m)) * K + self.answers
        given = self.answers != NO_ANSWER
        spread = None if weights is None else np.broadcast_to(weights[:, None], given.shape)[given]
        counts = np.bincount(place[given], spread, minlength=groups * m * K)
        return np.asarray(counts.reshape(groups, m, K), dtype=float)


def read(
    consultation: Consultation, scale: Sequence[Grade], *, root: Path | None = None, file: Path | None = None
) -> Ballots:
    """Ballots of a consultation.

    Args:
        consultation: what the ballot asked, and how its file is written.
        scale: grades from the least to the most serious.
        root: folder that file names start from; the project by default.
        file: another file to read, anywhere.

    Raises:
        DataError: the file cannot be read, a column is missing, a grade is unknown, one ballot stands twice with
            different answers, or nothing is left.
    """
    name = file.name if file is not None else consultation.file
    frame, stamped = _cells(consultation, root, file)
    answers = _answers(frame, consultation, scale, name)
    kept, flow = _kept(frame, answers, name)
    return Ballots(
        difficulties=consultation.difficulties,
        grades=tuple(grade.id for grade in scale),
        answers=answers[kept],
        voters=frame[VOTER].astype(str).to_numpy()[kept],
        attributes=_attributes(frame.loc[kept], consultation),
        flow=flow,
        simulated=consultation.simulated or stamped,
    )


def accounting(ballots: Ballots) -> list[dict[str, Any]]:
    """What was read and kept, and the answers that are missing, as plain data."""
    rows: list[dict[str, Any]] = [
        {"step": step.step, "dropped": step.dropped, "left": step.left, "reason": step.reason} for step in ballots.flow
    ]
    blank = [int(count) for count in (ballots.answers == NO_ANSWER).sum(axis=0)]
    missing = dict(zip(ballots.difficulties, blank, strict=True))
    return [*rows, {"step": "no answer", "cells": ballots.missing_answers, "by_difficulty": missing}]


# cells ---------------------------------------------------------------------------------------------------------------


def _cells(consultation: Consultation, root: Path | None, file: Path | None) -> tuple[pd.DataFrame, bool]:
    """The columns that are used, as text, numbers of the rows as index; and whether the file says simulated."""
    name = file.name if file is not None else consultation.file
    plain = Path(name).suffix.lower() in (".csv", ".tsv", ".txt")
    source = Source(
        file=name, separator=consultation.separator if plain else None, encoding=consultation.encoding or None
    )
    margins = (margin.variable for margin in consultation.margins)
    used = dict.fromkeys((VOTER, POINT, ROLE, TERRITORY, *margins, *consultation.difficulties))
    table = read_source(source, used, root=root, file=file).table
    missing = [column for column in used if column not in table.columns and column not in (ROLE, TERRITORY)]
    if missing:
        raise _missing_columns(missing, table.columns, name)
    frame = pd.DataFrame({column: texts(table, column).str.strip() for column in used if column in table.columns})
    return frame.set_axis(pd.Index(table.places["row"].to_numpy()), axis=0), STAMP in table.columns


def _missing_columns(missing: Sequence[str], found: Sequence[str], name: str) -> DataError:
    return DataError(
        code="E-NEE-002",
        what="The file of ballots lacks columns.",
        where=name,
        found=", ".join(found),
        expected=", ".join(missing),
        fix="start from the empty table that `evaluation ballot-form` writes; it has every column",
    )


def _answers(frame: pd.DataFrame, consultation: Consultation, scale: Sequence[Grade], name: str) -> NDArray[np.int8]:
    """(n, m) places of grades."""
    known = _spellings(scale)
    columns = []
    for difficulty in consultation.difficulties:
        cells = frame[difficulty]
        words = cells.dropna().map(folded)
        places = words[words != ""].astype(object).map(known).astype(float)
        if places.isna().any():
            raise _unknown_grade(cells[places.index[places.isna()]], difficulty, scale, name)
        columns.append(places.reindex(frame.index).fillna(NO_ANSWER).to_numpy(dtype=np.int8))
    return np.column_stack(columns)


def _spellings(scale: Sequence[Grade]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, grade in enumerate(scale):
        words = (grade.id, grade.label_fr, grade.label_en, grade.easy_fr, str(place))
        found |= {folded(word): place for word in words}
    return found


def folded(text: str) -> str:
    """Without capitals, accents, punctuation and doubled spaces: what a hurried hand writes."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^a-z0-9]+", " ", plain).split())


def _unknown_grade(cells: "pd.Series[Any]", difficulty: str, scale: Sequence[Grade], name: str) -> DataError:
    counted = cells.value_counts()
    return DataError(
        code="E-NEE-003",
        what="A ballot holds a grade that is not on the scale.",
        where=f"{name}, column {difficulty}, row {', '.join(str(row) for row in cells.index[:5])}",
        found=", ".join(f"{value!r} ({count}×)" for value, count in counted.head(5).items()),
        expected=" | ".join(f"{grade.id} or {grade.label_fr}" for grade in scale) + ", or empty for no answer",
        fix="look at the paper ballot; an answer that cannot be read is left empty",
    )


# which ballots count -------------------------------------------------------------------------------------------------


def _kept(frame: pd.DataFrame, answers: NDArray[np.int8], name: str) -> tuple[NDArray[np.bool_], tuple[FlowStep, ...]]:
    """Which rows are ballots that count, and the account of the others."""
    _require_numbers(frame, name)
    repeated = _copies(frame, answers, name)
    blank = (answers == NO_ANSWER).all(axis=1) & ~repeated
    kept = ~repeated & ~blank
    if not kept.any():
        raise DataError(
            code="E-NEE-004",
            what="No ballot holds an answer.",
            where=name,
            found=f"{len(frame)} rows, {int(blank.sum())} of them blank",
            expected="at least one ballot with one answer",
            fix="check that the columns of difficulties hold the grades",
        )
    left = len(frame) - int(repeated.sum())
    flow = (
        FlowStep(step="read", dropped=0, left=len(frame), reason="rows of the file"),
        FlowStep(step="copies", dropped=int(repeated.sum()), left=left, reason="the same ballot typed twice"),
        FlowStep(
            step="blank", dropped=int(blank.sum()), left=int(kept.sum()), reason="no answer at all: counted, no say"
        ),
    )
    return kept, flow


def _require_numbers(frame: pd.DataFrame, name: str) -> None:
    empty = frame[VOTER].isna() | (frame[VOTER] == "")
    if empty.any():
        raise DataError(
            code="E-NEE-005",
            what="A ballot has no number, so that a copy of it could not be told from another ballot.",
            where=f"{name}, column {VOTER}, row {', '.join(str(row) for row in frame.index[empty][:5])}",
            found=f"{int(empty.sum())} empty cells",
            expected="the number printed on the ballot",
            fix="number the ballots before typing them",
        )


def _copies(frame: pd.DataFrame, answers: NDArray[np.int8], name: str) -> NDArray[np.bool_]:
    """Rows that repeat an earlier one: same number, same answers. Different answers under one number are refused."""
    whole = pd.DataFrame(answers).assign(voter=frame[VOTER].to_numpy())
    copies = whole.duplicated().to_numpy()
    twice = whole["voter"].duplicated(keep=False).to_numpy() & ~whole.duplicated(keep=False).to_numpy()
    if twice.any():
        numbers = sorted(set(frame[VOTER][twice]))
        rows = frame.index[twice][:4]
        raise DataError(
            code="E-NEE-006",
            what="One voter has two ballots with different answers.",
            where=f"{name}, rows {', '.join(str(row) for row in rows)}",
            found=f"{len(numbers)} numbers with several ballots, such as {numbers[0]!r}",
            expected="one ballot a voter",
            fix="keep the ballot that was handed in, or give the other its own number",
        )
    return np.asarray(copies)


def _attributes(frame: pd.DataFrame, consultation: Consultation) -> dict[str, NDArray[Any]]:
    names = [column for column in frame.columns if column not in (VOTER, *consultation.difficulties)]
    cells = {str(column): frame[column].fillna(UNKNOWN).replace("", UNKNOWN).to_numpy(dtype=object) for column in names}
    if ROLE in cells:
        cells[ROLE] = np.array([_ROLES.get(folded(value), value) for value in cells[ROLE]], dtype=object)
    return cells
