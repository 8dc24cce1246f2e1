"""The arithmetic of grades: from what each rule costs to a level, and which costs would have to vanish to raise it.

Pure functions of a few numbers; `grading` says where these come from and what they mean.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Cost = tuple[str, float, int | None]  # domain, loss, cap of one rule


class Scale(NamedTuple):
    """What the combination takes from the design and the rubric."""

    ceiling: int
    lowest: int
    further_loss: float
    further_domains: int


def combine(costs: Sequence[Cost], scale: Scale) -> int:
    """The level that is left of the ceiling, caps and losses; the formula stands in `grading`.

    Args:
        costs: of the rules that cost something.
        scale: what the design and the rubric say.
    """
    losses: dict[str, float] = {}
    top = scale.ceiling
    for domain, loss, cap in costs:
        if loss > losses.get(domain, -1.0):
            losses[domain] = loss
        if cap is not None and cap < top:
            top = cap
    if top < scale.ceiling:
        losses.pop(_charged_by_cap(costs, top, losses))
    charged = [loss for loss in losses.values() if loss > 0]
    several = scale.further_loss if len(charged) > scale.further_domains else 0.0
    return max(math.floor(top - max(charged, default=0.0) - several), scale.lowest)


def _charged_by_cap(costs: Sequence[Cost], top: int, losses: Mapping[str, float]) -> str:
    """The one domain that has lowered the ceiling to `top` and is not charged again.

    If several have, the one that loses least: otherwise a cap that is lifted could lower the grade.
    """
    return min((domain for domain, _, cap in costs if cap == top), key=losses.__getitem__)


@lru_cache(maxsize=2**16)
def plans(value: int, costs: tuple[Cost, ...], scale: Scale) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Places in `costs` that would have to vanish, and the grade without them; best first.

    Findings differ in their numbers far more than in what these cost, so that most answers are already known.
    """

    def without(places: Sequence[int]) -> int:
        return combine([cost for place, cost in enumerate(costs) if place not in places], scale)

    alone = [combine(costs[:place] + costs[place + 1 :], scale) for place in range(len(costs))]
    raising: list[tuple[tuple[int, ...], int]] = [((place,), to) for place, to in enumerate(alone) if to > value]
    if not raising:
        run = _shortest(len(costs), lambda places: without(places) > value)
        raising = [(run, without(run))] if run else []
    return tuple(sorted(raising, key=lambda found: -found[1]))


def _shortest(count: int, raises: Callable[[Sequence[int]], bool]) -> tuple[int, ...]:
    """The worst ones that raise the grade together, without those that can be spared; none if only the design could."""
    length = 2 + bisect_left(range(2, count + 1), x=True, key=lambda length: raises(range(length)))
    run = list(range(length)) if length <= count else []
    for place in reversed(run):
        without = [other for other in run if other != place]
        run = without if raises(without) else run
    return tuple(run)
