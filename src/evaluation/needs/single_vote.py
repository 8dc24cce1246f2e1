"""One file of ballots on the command line: counted, told in words, kept; and the form to print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.needs import ballot_form, priorities, results
from evaluation.needs.components import loads
from evaluation.settings.params import read_params
from evaluation.settings.participation import Consultation, read_participation
from evaluation.settings.portfolio import read_portfolio


def told(file: Path, identifier: str | None, *, keep: bool = False) -> dict[str, Any]:
    """The count of a file of ballots as plain data, for the command line.

    Args:
        file: typed ballots.
        identifier: a consultation; by default all difficulties of the portfolio.
        keep: copy the file to where the consultation says.

    Raises:
        DataError: the ballots are wrong.
        ParametersError: a file cannot be kept without a consultation, or one stands there already.
    """
    portfolio = read_portfolio()
    read = read_participation(portfolio)
    consultation = read.consultation(identifier) if identifier else ballot_form.draft(portfolio)
    target = _place(consultation, named=identifier is not None) if keep else None
    vote = results.count_vote(portfolio, read, consultation, read_params().seed, file=file)
    if target is not None:
        store.write_bytes(target, store.read_bytes(file))
    burdens = [load for row in portfolio.difficulties for load in loads(portfolio, row)]
    found = priorities.from_ballots(vote, burdens, portfolio, read.rule)
    return {**results.vote_data(vote, portfolio, read), "priorities": found.as_dict()}


def in_words(told: Mapping[str, Any]) -> str:
    """The same for people."""
    flow = [
        f"{row['left']:>8,} ballots left {row['dropped']:>6,} set aside  {row['step']}: {row['reason']}"
        for row in told["accounting"][:-1]
    ]
    blanks = f"{told['accounting'][-1]['cells']:,} answers left empty; they count for nothing, not as the lowest grade"
    sure = {row["difficulty"]: row for row in told["certainty"]}
    grades = {row["difficulty"]: row for row in told["groups"]["official"]["rows"]}
    head = f"{'':3} {'difficulty':26} {'majority grade':16} {'first':>6} {'top':>6}  places"
    lines = [_line(name, grades[name], sure[name]) for name in told["ranking"]]
    stamp = ["SIMULATED BALLOTS: no person filled them in", ""] if told["simulated"] else []
    return "\n".join(
        [*stamp, *flow, blanks, "", head, *lines, "", *told["priorities"]["reasons_en"], *told["differences_en"]]
    )


def write_form(folder: Path, identifier: str | None) -> list[Path]:
    """Write the ballot to print and its empty table."""
    portfolio = read_portfolio()
    read = read_participation(portfolio)
    consultation = read.consultation(identifier) if identifier else ballot_form.draft(portfolio)
    return ballot_form.write(folder, consultation, read, portfolio)


def _line(name: str, graded: Mapping[str, Any], sure: Mapping[str, Any]) -> str:
    place, grade = graded["places"]["majority_judgment"], f"{graded['majority_grade']}{'+' if graded['plus'] else '-'}"
    chances = f"{sure['first']:6.0%} {sure['among_top']:6.0%}  {sure['low']} to {sure['high']}"
    return f"{place:>3} {name:26} {grade:16} {chances}"


def _place(consultation: Consultation, *, named: bool) -> Path:
    """Where ballots are kept."""
    if not named:
        raise ParametersError(
            code="E-CLI-020",
            what="Ballots can only be kept for a consultation that is declared.",
            found="--keep without --consultation",
            expected="--consultation ID",
            fix="declare it in data/portfolio/participation.yaml, with its question, file and recruitment",
        )
    target = store.resolve(consultation.file)
    if target.exists():
        raise ParametersError(
            code="E-CLI-021",
            what="Ballots of this consultation are kept already.",
            where=consultation.file,
            expected="no file there",
            fix="delete it yourself if it is to be replaced; votes are never overwritten",
        )
    return target
