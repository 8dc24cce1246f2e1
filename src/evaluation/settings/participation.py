"""data/portfolio/participation.yaml as one frozen value: who was asked, when, how many, how, and what they said.

It holds the scale of grades, the consultations and where their ballots lie, the register of participation (need chosen,
outcome and smallest effect worth having, decision, follow-up), the operators' right of reply, the rule that turns
ballots into priorities, and the difficulties that the founding document names, which stand in until people have voted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date as Date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from evaluation import store
from evaluation.errors import Problem, ProblemsError
from evaluation.settings.documents import read_document
from evaluation.settings.fact_tables import FOLDER
from evaluation.settings.fields import Column, Flag, Frozen, Slug, refusal
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import Origin, nearest
from evaluation.settings.sourced import Address, Confidence, FrenchName, FrenchNote, Name, Note

FILE = f"{FOLDER}/participation.yaml"
PHASES: tuple[str, ...] = ("need", "outcome", "decision", "follow_up")
SHARE_TOLERANCE = 0.005  # printed shares are rounded

Share = Annotated[float, Field(gt=0, le=1)]
Phase = Literal["need", "outcome", "decision", "follow_up"]


class Grade(Frozen):
    """One word of the scale.

    Attributes:
        approves: counts as approval: the difficulty is at least this serious.
    """

    id: Slug
    label_fr: FrenchName
    label_en: Name
    easy_fr: FrenchName
    approves: Flag = False


class Founding(Frozen):
    """The difficulties that the founding document names, and in which words they are attributed to it."""

    difficulties: Annotated[tuple[Slug, ...], Field(min_length=1)]
    attributed_fr: FrenchName
    attributed_en: Name


class PriorityRule(Frozen):
    """How ballots become a priority set.

    Attributes:
        top: how many difficulties are looked for (k).
        probability: with which the set must contain the true first k.
        draws: of the bootstrap.
        few_points: below so many collection points the bootstrap draws ballots within points instead of points.
    """

    version: Name = "1"
    top: Annotated[int, Field(ge=1, le=10)] = 3
    probability: Annotated[float, Field(gt=0.5, lt=1)] = 0.90
    draws: Annotated[int, Field(ge=100, le=100_000)] = 2000
    few_points: Annotated[int, Field(ge=2)] = 8


class Margin(Frozen):
    """The share of a territory's people in one level of a variable, to which ballots are raked."""

    variable: Column
    level: Name
    share: Share
    source_address: Address = ""
    confidence: Confidence


class Consultation(Frozen):
    """One vote.

    Attributes:
        file: ballots, from the project root; micro-data of persons stay in data/raw, which git ignores.
        difficulties: on the ballot, in its order.
        margins: of the territory; empty where ballots cannot be weighted.
        simulated: no person filled these ballots in.
    """

    id: Slug
    label_fr: FrenchName
    label_en: Name
    question_fr: FrenchName
    question_en: Name
    question_easy_fr: FrenchName
    date: Date | None
    file: Column
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ";"
    encoding: Note = ""
    difficulties: Annotated[tuple[Slug, ...], Field(min_length=2)]
    margins: tuple[Margin, ...] = ()
    simulated: Flag
    recruited_fr: FrenchName
    recruited_en: Name

    @model_validator(mode="after")
    def _file_stays_inside(self) -> "Consultation":
        if not store.is_inside(self.file):
            raise refusal(
                "E-SET-200", "the file is outside the project", found=repr(self.file), expected="data/raw/…", key="file"
            )
        return self

    @model_validator(mode="after")
    def _margins_add_up(self) -> "Consultation":
        twice = [pair for pair, count in Counter((m.variable, m.level) for m in self.margins).items() if count > 1]
        if twice:
            raise refusal(
                "E-SET-201", "a level has two shares", found=" = ".join(twice[0]), expected="one each", key="margins"
            )
        for variable in dict.fromkeys(margin.variable for margin in self.margins):
            total = sum(margin.share for margin in self.margins if margin.variable == variable)
            if abs(total - 1) > SHARE_TOLERANCE:
                raise refusal(
                    "E-SET-202",
                    "the shares of a margin do not add up to one",
                    found=f"{variable}: {total:.4g}",
                    expected="1",
                    key="margins",
                )
        return self


class Concern(Frozen):
    """What a step or a reply is about; reports show it on the pages of these things."""

    difficulty: Slug | None = None
    innovation: Slug | None = None
    territory: Slug | None = None


class SmallestEffect(Frozen):
    """The smallest effect that those concerned call worth having, in the unit of the outcome."""

    outcome_fr: FrenchName
    outcome_en: Name
    value: float
    unit_fr: FrenchName
    unit_en: Name


class Step(Frozen):
    """One step of participation, held or missing.

    Attributes:
        status: held, planned, or not_held (nobody was asked: said as plainly as the rest).
        people: how many took part.
    """

    id: Slug
    phase: Phase
    status: Literal["held", "planned", "not_held"]
    date: Date | None = None
    concerns: Concern = Concern()
    who_fr: FrenchName
    who_en: Name
    people: Annotated[int, Field(ge=1)] | None = None
    recruited_fr: FrenchNote = ""
    recruited_en: Note = ""
    said_fr: FrenchName
    said_en: Name
    smallest_effect: SmallestEffect | None = None
    source_address: Address = ""
    simulated: Flag = False

    @model_validator(mode="after")
    def _held_is_complete(self) -> "Step":
        missing = [name for name in ("date", "people", "recruited_fr", "recruited_en") if not getattr(self, name)]
        if self.status == "held" and missing:
            raise refusal(
                "E-SET-203",
                "a step that was held says when, how many people, and how they were recruited",
                found=f"no {', '.join(missing)}",
                expected="all of them, or status: planned",
                key=missing[0],
            )
        if self.status != "held" and self.people is not None:
            raise refusal(
                "E-SET-204",
                "a step that was not held has no participants",
                found=f"people: {self.people}",
                expected="status: held, or no people",
                key="people",
            )
        return self


class Reply(Frozen):
    """An operator's reply to what reports say about its innovation."""

    id: Slug
    innovation: Slug
    operator: Name
    status: Literal["invited", "received", "declined"]
    invited_on: Date
    received_on: Date | None = None
    text_fr: FrenchNote = ""
    text_en: Note = ""
    source_address: Address = ""

    @model_validator(mode="after")
    def _dated(self) -> "Reply":
        received = self.received_on is not None and bool(self.text_fr) and bool(self.text_en)
        if (self.status == "received") is not received:
            raise refusal(
                "E-SET-205",
                "a reply that was received has a date and its text in both languages, and no other has",
                found=f"status {self.status}, received_on {self.received_on or 'nothing'}",
                expected="received_on, text_fr and text_en for status received",
                key="received_on",
            )
        if self.received_on is not None and self.received_on < self.invited_on:
            raise refusal(
                "E-SET-206",
                "the reply came before the invitation",
                found=f"received {self.received_on}, invited {self.invited_on}",
                expected="received_on on or after invited_on",
                key="received_on",
            )
        return self


class Participation(Frozen):
    """Everything in participation.yaml."""

    founding: Founding
    rule: PriorityRule = PriorityRule()
    grades: Annotated[tuple[Grade, ...], Field(min_length=3, max_length=9)]
    consultations: tuple[Consultation, ...] = ()
    steps: tuple[Step, ...] = ()
    replies: tuple[Reply, ...] = ()

    @model_validator(mode="after")
    def _ids_and_scale(self) -> "Participation":
        for name in ("grades", "consultations", "steps", "replies"):
            twice = [key for key, count in Counter(row.id for row in getattr(self, name)).items() if count > 1]
            if twice:
                raise refusal("E-SET-207", "an id stands twice", found=repr(twice[0]), expected="each once", key=name)
        approving = [grade.approves for grade in self.grades]
        if approving != sorted(approving) or not any(approving) or all(approving):
            raise refusal(
                "E-SET-208",
                "grades go from the least to the most serious, and those that approve are the last ones",
                found=", ".join(f"{grade.id}{' (approves)' if grade.approves else ''}" for grade in self.grades),
                expected="approves: true on the upper grades only, at least one",
                key="grades",
            )
        return self

    @property
    def grade_ids(self) -> tuple[str, ...]:
        """The scale, from the least to the most serious."""
        return tuple(grade.id for grade in self.grades)

    def consultation(self, identifier: str) -> Consultation:
        """One vote.

        Raises:
            ProblemsError: there is none of this id.
        """
        found = next((row for row in self.consultations if row.id == identifier), None)
        if found is None:
            known = [row.id for row in self.consultations]
            problem = Origin(file=FILE, prefix=("consultations",)).problem(
                "E-SET-209",
                "there is no such consultation",
                found=repr(identifier),
                expected=", ".join(known) or "a consultation; none is declared yet",
                nearest=nearest(identifier, known),
            )
            raise ProblemsError([problem])
        return found


def read_participation(portfolio: Portfolio, root: Path | None = None, *, file: str = FILE) -> Participation:
    """The register, checked against the portfolio.

    Args:
        portfolio: what its ids refer to.
        root: the project's folder; found by `store.root` if None.
        file: name of the file; examples have their own.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
        StaleError: the file is missing.
    """
    read, origin = read_document(Participation, file, root)
    if problems := list(_dangling(read, portfolio, origin)):
        raise ProblemsError(problems)
    return read


def _dangling(read: Participation, portfolio: Portfolio, origin: Origin) -> Iterator[Problem]:
    """Ids that the portfolio does not have."""
    difficulties = [row.id for row in portfolio.difficulties]
    innovations = [row.id for row in portfolio.innovations]
    territories = [row.id for row in portfolio.territories]
    check = _checker(origin)
    yield from check(read.founding.difficulties, difficulties, ("founding", "difficulties"))
    for place, vote in enumerate(read.consultations):
        yield from check(vote.difficulties, difficulties, ("consultations", place, "difficulties"))
    for place, step in enumerate(read.steps):
        key = ("steps", place, "concerns")
        yield from check(filter(None, [step.concerns.difficulty]), difficulties, (*key, "difficulty"))
        yield from check(filter(None, [step.concerns.innovation]), innovations, (*key, "innovation"))
        yield from check(filter(None, [step.concerns.territory]), territories, (*key, "territory"))
    for place, reply in enumerate(read.replies):
        yield from check([reply.innovation], innovations, ("replies", place, "innovation"))


def _checker(origin: Origin) -> Callable[[Iterable[str], list[str], tuple[Any, ...]], Iterator[Problem]]:
    def check(ids: Iterable[str], known: list[str], key: tuple[Any, ...]) -> Iterator[Problem]:
        for name in ids:
            if name not in known:
                yield origin.problem(
                    "E-SET-210", "nothing has this id", key=key, found=repr(name), nearest=nearest(name, known)
                )

    return check
