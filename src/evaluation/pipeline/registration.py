"""Freezing the plan of an evaluation before its outcomes are opened, and what differs from it afterwards.

The plan is the evaluation's entry in params.yaml. Freezing keeps a copy in data/plans and gives a hash that the entry
then carries (`frozen: …`): the finding compares the two by itself, and the history of the repository dates them. Only a
blinded evaluation can be frozen, because a plan made after the answer was seen is none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.settings.designs.base import OUTSIDE_THE_PLAN, Design
from evaluation.settings.params import FILE, read_design

State = Literal["open", "frozen", "deviated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether an evaluation still follows its plan.

    Attributes:
        state: open (nothing was frozen), frozen (as planned) or deviated.
        differences: what was planned and is otherwise now, one sentence each; empty where the copy is missing.
    """

    evaluation: str
    state: State
    blinded: bool
    differences: tuple[str, ...]

    def in_words(self) -> str:
        """One line, and one more for each difference."""
        said = {"open": "no plan was frozen", "frozen": "as planned", "deviated": "differs from its frozen plan"}
        eyes = "outcomes are still blinded" if self.blinded else "outcomes are open"
        lines = [f"{self.evaluation}: {said[self.state]}; {eyes}."]
        return "\n".join([*lines, *(f"  {difference}" for difference in self.differences)])


def kept_plan(evaluation_id: str) -> Path:
    """The copy of a frozen plan."""
    return store.path("data", "plans", f"{store.require_slug(evaluation_id)}.json")


def freeze(evaluation_id: str) -> str:
    """Keep the plan of a blinded evaluation, and say what to write into params.yaml.

    Raises:
        ParametersError: outcomes are open already, or another plan was frozen before.
    """
    design = read_design(evaluation_id)
    if not design.blinded:
        raise ParametersError(
            code="E-CLI-060",
            what="a plan is frozen before outcomes are opened, and these are open",
            where=FILE,
            found=f"{evaluation_id}: blinded: false",
            expected="blinded: true",
            fix="what was analysed with open eyes is exploratory; blind the next one from its first day",
        )
    target, plan = kept_plan(evaluation_id), {"sha256": design.plan_sha256(), "plan": design.plan()}
    if target.is_file() and store.read_json(target) != plan:
        raise ParametersError(
            code="E-CLI-061",
            what="another plan of this evaluation was frozen before",
            where=store.path("data", "plans").name,
            found=target.name,
            expected="one plan an evaluation",
            fix="see what differs: evaluation plan status; take it back, or let it count as a deviation",
        )
    store.write_json(target, plan)
    return (
        f"Plan kept in data/plans/{target.name}. In {FILE}, under {evaluation_id}, write now, and commit both:\n"
        f"    frozen: {plan['sha256']}\n"
        "Then set blinded: false to see the answer."
    )


def status(evaluation_id: str) -> Status:
    """Whether the evaluation is as it was frozen, and what differs."""
    design = read_design(evaluation_id)
    if design.frozen is None:
        return Status(evaluation=evaluation_id, state="open", blinded=design.blinded, differences=())
    same = design.frozen == design.plan_sha256()
    found = () if same else tuple(_differences(design))
    return Status(
        evaluation=evaluation_id, state="frozen" if same else "deviated", blinded=design.blinded, differences=found
    )


def _differences(design: Design) -> Iterator[str]:
    target = kept_plan(design.id)
    if not target.is_file():
        yield f"{target.name} is missing, so that nobody can say what was planned"
        return
    planned: Mapping[str, Any] = store.read_json(target)["plan"]
    now = design.plan()
    for key in sorted({*planned, *now} - set(OUTSIDE_THE_PLAN)):
        if planned.get(key) != now.get(key):
            yield f"{key}: planned {planned.get(key)!r}, now {now.get(key)!r}"
