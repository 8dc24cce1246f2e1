"""data/portfolio/readings.yaml as one frozen value: who read which finding how, and how findings were looked for.

Some things only a person can read in a study: whether the plan came first, who recorded the outcome, whether the gain
of some is the loss of others, who evaluated. Two people read them apart; where they differ, a resolution says what
holds. A search protocol says, for a difficulty, where and how studies were looked for, and what became of each.

Nothing here is filled in by guess: a finding without a rating has none, a difficulty without a search has none.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date as Date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from evaluation.errors import Problem, ProblemsError
from evaluation.settings.documents import read_document
from evaluation.settings.fact_tables import FOLDER
from evaluation.settings.fields import Frozen, Integer, Number, Slug, refusal
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import Origin, nearest
from evaluation.settings.sourced import Address, FrenchName, Name, Note

FILE = f"{FOLDER}/readings.yaml"
RATERS = 2

RatedCheck = Literal["registration.plan", "measurement.source", "interference.displacement", "independence.evaluator"]
Count = Annotated[Integer, Field(ge=0)]

# Largest code of each check; a share is put into a category by its upper ends, the last category takes the rest.
CODES = {"registration.plan": 2, "measurement.source": 3, "independence.evaluator": 2}
SHARES = {"interference.displacement": (0.05, 0.15)}


class _OfAFinding(Frozen):
    finding: Slug
    check: RatedCheck
    value: Annotated[Number, Field(ge=0)]
    date: Date

    @model_validator(mode="after")
    def _possible(self) -> "_OfAFinding":
        code = self.check in CODES
        if self.value > (CODES[self.check] if code else 1) or (code and self.value != int(self.value)):
            raise refusal(
                "E-SET-330",
                "no reading of this check has this value",
                found=f"{self.value:g} for {self.check}",
                expected=f"a whole number from 0 to {CODES[self.check]}" if code else "a share from 0 to 1",
                key="value",
            )
        return self

    @property
    def category(self) -> int:
        """What must be the same for two readings to agree: the code, or the class of a share."""
        if self.check in CODES:
            return int(self.value)
        return sum(self.value > end for end in SHARES[self.check])


class Rating(_OfAFinding):
    """What one person read.

    Attributes:
        finding: id of a row of findings.csv.
        check: what was read.
        value: code or share, as the rubric has it (0 is best).
        date: of the reading.
        rater: a name or pseudonym, the same everywhere.
        passage: page or section that says so.
    """

    rater: Slug
    passage: Name
    note: Note = ""


class Resolution(_OfAFinding):
    """What holds after two readings that differ, and why."""

    reason: Name


class Source(Frozen):
    """Where studies were looked for.

    Attributes:
        words: what was typed or browsed.
        found: hits, before anything was sorted out.
    """

    name: Name
    address: Address = ""
    searched_on: Date
    words: Name
    found: Count


class Exclusion(Frozen):
    """Studies that were left out for one reason."""

    reason_fr: FrenchName
    reason_en: Name
    number: Annotated[Integer, Field(ge=1)]


class Flow(Frozen):
    """What became of all that was found: found - duplicates = screened, screened - excluded = included."""

    found: Count
    duplicates: Count
    screened: Count
    excluded: tuple[Exclusion, ...] = ()
    included: Count

    @model_validator(mode="after")
    def _adds_up(self) -> "Flow":
        left_out = sum(each.number for each in self.excluded)
        if self.found - self.duplicates != self.screened or self.screened - left_out != self.included:
            raise refusal(
                "E-SET-331",
                "the flow of a search does not add up",
                found=f"{self.found} found - {self.duplicates} duplicates, {self.screened} screened - {left_out} "
                f"excluded, {self.included} included",
                expected="found - duplicates = screened, screened - excluded = included",
                key="screened",
            )
        return self


class Search(Frozen):
    """How studies on one difficulty were looked for.

    Attributes:
        question_fr, question_en: what the studies are to answer.
        inclusion_fr, inclusion_en: which studies count.
        written_on: day of the protocol, before the first search.
        flow: None until the search is finished.
    """

    difficulty: Slug
    question_fr: FrenchName
    question_en: Name
    inclusion_fr: FrenchName
    inclusion_en: Name
    written_on: Date
    registered_address: Address = ""
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    flow: Flow | None = None

    @model_validator(mode="after")
    def _protocol_first(self) -> "Search":
        first = min(source.searched_on for source in self.sources)
        if first < self.written_on:
            raise refusal(
                "E-SET-332",
                "a search began before its protocol was written",
                found=f"searched on {first}, protocol of {self.written_on}",
                expected="written_on on or before the first search",
                key="written_on",
            )
        return self

    @model_validator(mode="after")
    def _flow_of_the_sources(self) -> "Search":
        found = sum(source.found for source in self.sources)
        if self.flow is not None and self.flow.found != found:
            raise refusal(
                "E-SET-333",
                "the flow does not begin with what the sources found",
                found=f"{self.flow.found} in the flow, {found} in the sources",
                expected="the same number",
                key="flow",
            )
        return self


class Readings(Frozen):
    """The file.

    Attributes:
        ratings: what people read, at most two people for one check of one finding.
        resolutions: only where two readings differ.
        searches: at most one a difficulty.
    """

    ratings: tuple[Rating, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    searches: tuple[Search, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> "Readings":
        people = Counter((row.finding, row.check, row.rater) for row in self.ratings)
        pairs = Counter((row.finding, row.check) for row in self.ratings)
        settled = Counter((row.finding, row.check) for row in self.resolutions)
        searched = Counter((row.difficulty,) for row in self.searches)
        twice = [key for counted in (people, settled, searched) for key, number in counted.items() if number > 1]
        twice += [key for key, number in pairs.items() if number > RATERS]
        if twice:
            raise refusal(
                "E-SET-334",
                "something is said more often than it can be",
                found="; ".join(", ".join(key) for key in twice),
                expected="one rating a person, at most two people a check, one resolution, one search a difficulty",
            )
        return self

    @model_validator(mode="after")
    def _resolves_a_difference(self) -> "Readings":
        for row in self.resolutions:
            if len({each.category for each in self.of(row.finding, row.check)}) < RATERS:
                raise refusal(
                    "E-SET-335",
                    "a resolution needs two readings that differ",
                    found=f"{row.finding}, {row.check}",
                    expected="two ratings in different categories, or no resolution",
                    key="resolutions",
                )
        return self

    def of(self, finding: str, check: str) -> tuple[Rating, ...]:
        """The ratings of one check of one finding, in the order of raters."""
        rows = (row for row in self.ratings if (row.finding, row.check) == (finding, check))
        return tuple(sorted(rows, key=lambda row: row.rater))

    def resolution(self, finding: str, check: str) -> Resolution | None:
        """What holds after a difference; None if nobody has settled it."""
        rows = (row for row in self.resolutions if (row.finding, row.check) == (finding, check))
        return next(rows, None)


CHECKS_RATED: tuple[str, ...] = get_args(RatedCheck)


def read_readings(portfolio: Portfolio, root: Path | None = None) -> Readings:
    """The readings, checked against the portfolio.

    Args:
        portfolio: what its ids refer to.
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
        StaleError: the file is missing.
    """
    read, origin = read_document(Readings, FILE, root)
    if problems := list(_dangling(read, portfolio, origin)):
        raise ProblemsError(problems)
    return read


def _dangling(read: Readings, portfolio: Portfolio, origin: Origin) -> Iterator[Problem]:
    """Ids that the portfolio does not have; only effects and signs have checks that can be read."""
    findings = [row.id for row in portfolio.findings if row.estimate_kind in ("effect", "sign_only")]
    difficulties = [row.id for row in portfolio.difficulties]
    named = [("ratings", "finding", place, row.finding, findings) for place, row in enumerate(read.ratings)]
    searched = [row.difficulty for row in read.searches]
    named += [("searches", "difficulty", place, name, difficulties) for place, name in enumerate(searched)]
    for part, key, place, name, known in named:
        if name not in known:
            yield origin.problem(
                "E-SET-336",
                "no finding that can be rated, or no difficulty, has this id",
                key=(part, place, key),
                found=repr(name),
                nearest=nearest(name, known),
            )
