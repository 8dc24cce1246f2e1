"""What params.yaml and data/portfolio say about each other."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from evaluation.errors import Problem, ProblemsError
from evaluation.settings import params, participation, portfolio
from evaluation.settings.params import FILE, Params
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import Origin, nearest
from evaluation.settings.yaml12 import Document

_Examined = TypeVar("_Examined", params.Examined, portfolio.Examined)


def check(root: Path | None = None) -> tuple[Params, Portfolio]:
    """See `settings.check_all`."""
    problems: list[Problem] = []
    decided = _examined(params.examine, root, problems)
    typed = _examined(portfolio.examine, root, problems)
    if decided is not None and typed is not None and typed.portfolio is not None:
        problems += _between(decided.document, typed.portfolio)
    if typed is not None and typed.portfolio is not None:
        problems += _participation(typed.portfolio, root)
    if problems or decided is None or decided.params is None or typed is None or typed.portfolio is None:
        raise ProblemsError(problems)
    return decided.params, typed.portfolio


def _examined(
    examine: Callable[[Path | None], _Examined], root: Path | None, problems: list[Problem]
) -> _Examined | None:
    """What was examined, or None where a file cannot be read at all; problems are added to the list."""
    try:
        examined = examine(root)
    except ProblemsError as error:
        problems += error.problems
        return None
    problems += examined.problems
    return examined


def _participation(typed: Portfolio, root: Path | None) -> tuple[Problem, ...]:
    try:
        participation.read_participation(typed, root)
    except ProblemsError as error:
        return error.problems
    return ()


def _between(document: Document, typed: Portfolio) -> Iterator[Problem]:
    """Looks at what params.yaml says, not at what it means, so that its other problems do not hide these."""
    roles = {innovation.id: innovation.role for innovation in typed.innovations}
    for identifier, entry in _entries(document.data):
        key = ("evaluations", identifier, "innovation")
        origin = Origin(file=FILE, line=document.line)
        innovation = entry.get("innovation")
        if not isinstance(innovation, str):
            continue
        if innovation not in roles:
            yield origin.problem(
                "E-SET-098",
                "the portfolio has no such innovation",
                key=key,
                found=repr(innovation),
                expected="a key of data/portfolio/innovations.yaml",
                nearest=nearest(innovation, roles),
            )
        elif entry.get("role") == "decision" and roles[innovation] != "decision":
            yield origin.problem(
                "E-SET-099",
                "a decision cannot rest on an innovation that serves as a benchmark",
                key=key,
                found=repr(innovation),
                expected="an innovation with role decision, or role: benchmark here",
            )


def _entries(data: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    evaluations = data.get("evaluations") if isinstance(data, Mapping) else None
    for identifier, entry in evaluations.items() if isinstance(evaluations, Mapping) else ():
        if isinstance(entry, Mapping):
            yield identifier, entry
