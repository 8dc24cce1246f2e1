"""Errors that a person can act on.

Every error says what went wrong, where, what was found, what was expected and what to do. Each place that raises has a
code of its own (docs/errors.md lists them all); the exit code of the command line follows from the class.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

KEPT = "nothing was written; last good outputs are kept"


class EvaluationError(Exception):
    """What every error of this project is.

    Args:
        code: unique to the place that raises, such as "E-DATA-004".
        what: one sentence.
        where: file, column, first rows.
        found: what stands there.
        expected: what should stand there.
        fix: what to do.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self, *, code: str, what: str, where: str = "", found: str = "", expected: str = "", fix: str = ""
    ) -> None:
        self.code = code
        self.what = what
        self.where = where
        self.found = found
        self.expected = expected
        self.fix = fix
        super().__init__(code, what)

    def __str__(self) -> str:
        return "\n".join([f"{self.code} {self.what}", *self._details(), KEPT])

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel from worker processes to the one that prints them; keyword-only arguments need this."""
        return _rebuild, (type(self), self._arguments())

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data, for `--json`."""
        return {**self._arguments(), "exit_code": self.exit_code}

    def _arguments(self) -> dict[str, Any]:
        names = ("code", "what", "where", "found", "expected", "fix")
        return {name: getattr(self, name) for name in names}

    def _details(self) -> list[str]:
        names = ("where", "found", "expected", "fix")
        return [f"{name}: {getattr(self, name)}" for name in names if getattr(self, name)]


class ParametersError(EvaluationError):
    """The command line, params.yaml, a design file or the portfolio says something that cannot be."""

    exit_code = 2


class DataError(EvaluationError):
    """The data are not what the design says they are."""

    exit_code = 3


class StaleError(EvaluationError):
    """A result is missing, out of date, or departs from the plan it was frozen under."""

    exit_code = 4


class DisclosureError(EvaluationError):
    """Publishing this could reveal something about a person."""

    exit_code = 5


class SetupError(EvaluationError):
    """The machine, the folder or the installed packages do not allow the work."""

    exit_code = 6


class InternalError(EvaluationError):
    """A mistake of ours."""

    exit_code = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file that people write.

    Attributes:
        file: name of the file, from the project root.
        key: path of the key, such as "evaluations.small-classes.outcomes.0.unit" ("" = the whole file).
        line: number of the line, from 1, where known.
        found: what stands there.
        expected: what may stand there.
        nearest: the valid spelling closest to what was found, if one is close.
        message: one sentence.
        code: unique to the kind of problem.
    """

    file: str
    key: str
    line: int | None
    found: str
    expected: str
    nearest: str | None
    message: str
    code: str = ""

    def __str__(self) -> str:
        hints = [f"found: {self.found}"] if self.found else []
        hints += [f"expected: {self.expected}"] if self.expected else []
        hints += [f"did you mean {self.nearest}?"] if self.nearest else []
        place = f"{self.file}:{self.line}" if self.line else self.file
        head = " ".join(part for part in (f"{place}:", self.code, self.key and f"{self.key}:", self.message) if part)
        return "\n".join([head, *(f"    {hint}" for hint in hints)])


class ProblemsError(ParametersError):
    """All problems of all files that were read, at once.

    Args:
        problems: at least one; sorted here by file, line and key, so that the order does not depend on who found them.
        code: code of the report as a whole; each problem has its own.
        what: one sentence; by default the number of problems.
    """

    def __init__(self, problems: Iterable[Problem], *, code: str = "E-SET-001", what: str = "") -> None:
        self.problems = tuple(sorted(problems, key=_place))
        super().__init__(
            code=code,
            what=what or _how_many(self.problems),
            where=", ".join(sorted({problem.file for problem in self.problems})),
            fix="correct the lines named above, then run again",
        )

    def __str__(self) -> str:
        return "\n".join([f"{self.code} {self.what}", *map(str, self.problems), f"fix: {self.fix}", KEPT])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_problems, (type(self), self.problems, self.code, self.what)

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data, for `--json`, with `problems` as a list of mappings."""
        return {**super().as_dict(), "problems": [asdict(problem) for problem in self.problems]}


def _place(problem: Problem) -> tuple[str, int, str, str]:
    return problem.file, problem.line or 0, problem.key, problem.message


def _how_many(problems: tuple[Problem, ...]) -> str:
    return "one problem in what was written" if len(problems) == 1 else f"{len(problems)} problems in what was written"


def _rebuild(kind: type[EvaluationError], arguments: Mapping[str, Any]) -> EvaluationError:
    return kind(**arguments)


def _rebuild_problems(
    kind: type[ProblemsError], problems: tuple[Problem, ...], code: str, what: str
) -> EvaluationError:
    return kind(problems, code=code, what=what)
