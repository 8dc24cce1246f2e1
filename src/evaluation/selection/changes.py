"""What would change a decision: thresholds that are solved for through the whole chain, never guessed.

For each of five dimensions (the estimate, its standard error, the unit cost, the letter of the transfer, the grade) the
question is: what is the smallest change of this one alone, everything else as it is, that leads to a better decision?
Numbers are found on a grid from where they are to where they could be, then by bisection; letters and grades by trying.
The random numbers of the chain are common, so that the answer is one number and not an estimate of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evaluation.selection.rules import VERDICTS, Rule, Situation, Verdict, binding

Dimension = Literal["estimate", "std_error", "unit_cost", "transfer", "grade"]

_GRID, _HALVINGS = 60, 40
_FARTHEST = 1.0  # no programme moves an outcome by more than one standard deviation more than it was seen to
_BETTER = VERDICTS[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a decision is made from, as far as it can change.

    Attributes:
        estimate, std_error: in standard deviations of the outcome, positive is good.
        unit_cost: for one person.
        transfer: A to D, None where nobody assessed it.
        grade: 0 to 5.
    """

    estimate: float
    std_error: float
    unit_cost: float
    transfer: str | None
    grade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """One change that would be enough by itself.

    Attributes:
        what: the dimension; value: what it would have to be.
        verdict: the decision it would lead to.
    """

    what: Dimension
    value: float | str
    verdict: Verdict


def needed(model: Callable[[Inputs], Situation], now: Inputs, ordered: Sequence[Rule]) -> tuple[Needed, ...]:
    """The smallest change of each dimension that leads to a better decision; a dimension that cannot is left out.

    Args:
        model: from inputs to what the rules look at.
        now: where things stand.
        ordered: the rules.
    """
    rank = _rank(binding(model(now), ordered).verdict)

    def reached(inputs: Inputs) -> Verdict | None:
        verdict = binding(model(inputs), ordered).verdict
        return verdict if _rank(verdict) < rank else None

    spans: dict[Dimension, tuple[float, float]] = {
        "estimate": (now.estimate, now.estimate + _FARTHEST),
        "std_error": (now.std_error, 0.0),
        "unit_cost": (now.unit_cost, 0.0),
    }
    found = [_number(reached, now, name, *ends) for name, ends in spans.items()]
    letters = [letter for letter in "CBA" if now.transfer is None or letter < now.transfer]
    found += [_level(reached, now, "transfer", letters), _level(reached, now, "grade", range(now.grade + 1, 6))]
    return tuple(each for each in found if each is not None)


def _number(
    reached: Callable[[Inputs], Verdict | None], now: Inputs, name: Dimension, start: float, end: float
) -> Needed | None:
    """First point of the grid that is enough, then halved towards the last one that is not."""
    points = np.linspace(start, end, _GRID + 1)[1:].tolist()
    last = start
    for point in points:
        if reached(_with(now, name, point)):
            return _halved(reached, now, name, last, point)
        last = point
    return None


def _halved(
    reached: Callable[[Inputs], Verdict | None], now: Inputs, name: Dimension, short: float, enough: float
) -> Needed | None:
    for _ in range(_HALVINGS):
        middle = (short + enough) / 2
        if reached(_with(now, name, middle)):
            enough = middle
        else:
            short = middle
    verdict = reached(_with(now, name, enough))
    return None if verdict is None else Needed(what=name, value=enough, verdict=verdict)


def _level(
    reached: Callable[[Inputs], Verdict | None], now: Inputs, name: Dimension, levels: Sequence[str] | Sequence[int]
) -> Needed | None:
    for level in levels:
        verdict = reached(_with(now, name, level))
        if verdict is not None:
            return Needed(what=name, value=level if isinstance(level, str) else float(level), verdict=verdict)
    return None


def _with(now: Inputs, name: Dimension, value: Any) -> Inputs:
    changed: dict[str, Any] = {name: value}
    return replace(now, **changed)


def _rank(verdict: Verdict) -> int:
    """Better decisions have lower ranks; those that keep a programme from being tested share one."""
    return _BETTER.index(verdict) if verdict in _BETTER else len(_BETTER)
