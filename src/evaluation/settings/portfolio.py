"""data/portfolio as one frozen value: what somebody observed, each fact with its source.

Difficulties, territories and innovations are YAML, everything that is a list of figures is CSV. A figure without a
source is refused, unless it is marked as recalled from memory or as a claim; a mark travels with its figure to every
report. All problems of all files are reported at once.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from evaluation import store
from evaluation.errors import ParametersError, Problem, ProblemsError
from evaluation.settings.fact_tables import FILES, FOLDER, cross_checks, read_tables
from evaluation.settings.facts import Difficulty, Innovation, Landmark, Territory
from evaluation.settings.observations import Benchmark, Cost, Finding, Implementation, Inflation, Need, Reach, Valuation
from evaluation.settings.problems import nearest
from evaluation.settings.sourced import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Everything that somebody observed, in the order of the files."""

    difficulties: tuple[Difficulty, ...]
    innovations: tuple[Innovation, ...]
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...]
    reach: tuple[Reach, ...]
    costs: tuple[Cost, ...]
    valuations: tuple[Valuation, ...]
    implementation: tuple[Implementation, ...]
    prices: tuple[Inflation, ...]
    territories: tuple[Territory, ...]
    reference: tuple[Figure, ...]
    landmarks: tuple[Landmark, ...]
    benchmarks: tuple[Benchmark, ...]

    def difficulty(self, identifier: str) -> Difficulty:
        """The difficulty of this id; ParametersError if there is none."""
        return _find(self.difficulties, identifier, "difficulties.yaml")

    def innovation(self, identifier: str) -> Innovation:
        """The innovation of this id; ParametersError if there is none."""
        return _find(self.innovations, identifier, "innovations.yaml")

    def finding(self, identifier: str) -> Finding:
        """The finding of this id; ParametersError if there is none."""
        return _find(self.findings, identifier, "findings.csv")

    def territory(self, identifier: str) -> Territory:
        """The territory of this id; ParametersError if there is none."""
        return _find(self.territories, identifier, "territories.yaml")

    def need(self, identifier: str) -> Need:
        """The need figure of this id; ParametersError if there is none."""
        return _find(self.needs, identifier, "needs.csv")

    def reached(self, identifier: str) -> Reach:
        """The reach figure of this id; ParametersError if there is none."""
        return _find(self.reach, identifier, "reach.csv")

    def needs_of(self, difficulty: str) -> tuple[Need, ...]:
        """Need figures of one difficulty."""
        return tuple(need for need in self.needs if need.difficulty == difficulty)

    def valuation(self, identifier: str) -> Valuation:
        """The valuation of this id; ParametersError if there is none."""
        return _find(self.valuations, identifier, "valuations.csv")

    def delivered(self, innovation: str, measure: str) -> float | None:
        """The lowest value of a measure of implementation of one innovation; None where nothing was read."""
        values = (
            row.value
            for row in self.implementation
            if (row.innovation, row.measure) == (innovation, measure) and row.confidence not in ("recalled", "claim")
        )
        return min((value for value in values if value is not None), default=None)

    def cost_of(self, innovation: str) -> Cost | None:
        """The cost per participant, None if it is not known."""
        return next(
            (cost for cost in self.costs if cost.innovation == innovation and cost.per_participant is not None), None
        )

    @property
    def decision_innovations(self) -> tuple[Innovation, ...]:
        """Innovations that get a decision; benchmarks never do."""
        return tuple(innovation for innovation in self.innovations if innovation.role == "decision")

    @property
    def test_territories(self) -> tuple[Territory, ...]:
        """Territories that are used; candidates are for reference."""
        return tuple(territory for territory in self.territories if territory.status == "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The portfolio with its problems, for callers that report those of other files as well.

    Attributes:
        portfolio: None if anything is wrong.
        problems: what is wrong.
    """

    portfolio: Portfolio | None
    problems: tuple[Problem, ...]


def read_portfolio(root: Path | None = None) -> Portfolio:
    """Everything that somebody observed.

    Args:
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in data/portfolio cannot be; all problems of all files at once.
    """
    examined = examine(root)
    if examined.portfolio is None:
        raise ProblemsError(examined.problems)
    return examined.portfolio


def examine(root: Path | None = None) -> Examined:
    """The portfolio with its problems.

    Raises:
        ProblemsError: a file is not YAML as this project reads it.
        StaleError: a file is missing.
    """
    return _examine_content(
        tuple((name, store.read_bytes(store.resolve(f"{FOLDER}/{name}", base=root))) for name in FILES)
    )


@lru_cache(maxsize=4)
def _examine_content(files: tuple[tuple[str, bytes], ...]) -> Examined:
    """Cached by content: every evaluation reads the same facts, and what they mean never changes."""
    tables = read_tables(dict(files))
    problems = [problem for table in tables.values() for problem in table.problems]
    if not problems:
        problems = list(cross_checks(tables))
    if problems:
        return Examined(portfolio=None, problems=tuple(problems))
    return Examined(portfolio=Portfolio(**{name: table.rows for name, table in tables.items()}), problems=())


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_HasId)


def _find(items: tuple[_Item, ...], identifier: str, file: str) -> _Item:
    found = next((item for item in items if item.id == identifier), None)
    if found is None:
        near = nearest(identifier, (item.id for item in items))
        raise ParametersError(
            code="E-SET-070",
            what="The portfolio has nothing of this id.",
            where=f"{FOLDER}/{file}",
            found=repr(identifier),
            expected="an id of this file",
            fix=f"did you mean {near}?" if near else f"add it to {FOLDER}/{file}",
        )
    return found
