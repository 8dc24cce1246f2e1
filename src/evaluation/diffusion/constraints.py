"""What holds a curve back: how fast places can open, what the budget pays, what operators can handle.

The curve says how far the innovation would stand a year later if nothing held it back, from where it stands now; limits
cut that step. Without limits the path is the curve itself. Deterministic: limits are decided or counted, not estimated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.diffusion.adoption import Curve, years_to
from evaluation.errors import ParametersError

Array = np.ndarray

NOTHING: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps on the level of a flow, or on the yearly step of a stock or total; None does not hold.

    Attributes:
        ramp: the level may rise by at most so much a year (places that can open, staff that can be trained).
        capacity: the most that operators can handle in a year.
        budget, unit_cost: money a year and money for one unit, both or none.
    """

    ramp: float | None = None
    capacity: float | None = None
    budget: float | None = None
    unit_cost: float | None = None

    def caps(self) -> dict[str, float]:
        """Name -> the most units in a year."""
        found = {"capacity": self.capacity}
        if self.budget is not None and self.unit_cost is not None:
            found["budget"] = self.budget / self.unit_cost
        return {name: cap for name, cap in found.items() if cap is not None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """A constrained path.

    Attributes:
        level: (n,) at the end of each year, the first one a year after the start.
        binding: what held each year back; "none" where the curve itself did.
    """

    level: Array
    binding: tuple[str, ...]


def constrained(curve: Curve, shape: Array, ceiling: float, start: float, years: int, limits: Limits) -> Path:
    """The level year by year.

    Args:
        curve: what would happen if nothing held it back.
        shape: (2,) its shape.
        ceiling: its ceiling.
        start: level today, above zero.
        years: how many.
        limits: on the yearly flow; for flow series the level itself is that flow.

    Raises:
        ParametersError: a limit is negative, or budget and unit cost do not come together.
    """
    _require(limits, start)
    levels, binding, level = [], [], start
    for _ in range(years):
        wanted = _a_year_later(curve, shape, ceiling, level)
        allowed = {"ramp": level + limits.ramp} if limits.ramp is not None else {}
        allowed |= limits.caps()
        name = min(allowed, key=lambda each: allowed[each], default=NOTHING)
        held = name != NOTHING and allowed[name] < wanted
        level = allowed[name] if held else wanted
        levels.append(level)
        binding.append(name if held else NOTHING)
    return Path(level=np.array(levels), binding=tuple(binding))


def _a_year_later(curve: Curve, shape: Array, ceiling: float, level: float) -> float:
    """M F(t + 1), with t where the curve stands at `level`; at the ceiling it stays."""
    share = level / ceiling
    now = years_to(curve, shape, share) if share < 1 else None
    if now is None:
        return max(level, ceiling) if share >= 1 else level
    at_now, later = curve.share(shape[None, :], np.array([now, now + 1.0]))[0]
    return level + ceiling * float(later - max(at_now, share))


def _require(limits: Limits, start: float) -> None:
    given = (limits.ramp, limits.capacity, limits.budget, limits.unit_cost)
    half = (limits.budget is None) is not (limits.unit_cost is None)
    if half or start <= 0 or any(each is not None and each < 0 for each in given) or limits.unit_cost == 0:
        raise ParametersError(
            code="E-DIF-008",
            what="These limits cannot be.",
            found=f"start {start:g}, ramp, capacity, budget, unit cost {given}",
            expected="a start and a unit cost above zero, limits of zero and more, budget and unit cost together",
            fix="correct the limits",
        )
