"""From people reached to people effectively treated, when half and four fifths would be, and what 'massive' would take.

    effective share = share reached × benefit × voltage × (1 − displacement)

A factor that nobody measured gives no number; as none of them exceeds one, the share reached is then the most that can
be said. Flow and stock are kept apart. A need that renews itself each year (pupils) is treated when a year's flow is
that share of it. A standing need (a stock) is treated by adding up the years, each person counted once and the need as
it was counted: newcomers and leavers are not known, and this is said.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from evaluation.diffusion.constraints import NOTHING, Limits, constrained
from evaluation.diffusion.coverage import FRANCE, Coverage
from evaluation.diffusion.forecast import Fitted
from evaluation.errors import ParametersError
from evaluation.settings.diffusion import Capacity, DiffusionPolicy, Factor
from evaluation.settings.portfolio import Portfolio

Array = np.ndarray
NeedKind = Literal["flow", "stock"]

FACTORS: Final = ("benefit", "voltage", "displacement")
FAR: Final = 200  # years beyond which a date means nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The share of a need that is effectively treated.

    Attributes:
        share: None while a factor is unknown.
        at_most: the share reached: no factor exceeds one.
        unknown: factors that nobody measured.
    """

    share: float | None
    at_most: float | None
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way the years to come could go.

    Attributes:
        name: as_now (the fitted curve, or the last figure where there is none) | funded (towards the stated potential,
            no faster than the largest step ever seen times `ramp`) | massive.
        units: a year, ten (`horizon`) years from now.
        milestones: share of the need -> years from the last figure; None: not within FAR years.
        binding: what holds it back first.
        rests_on: fitted curve, last figure.
    """

    name: Literal["as_now", "funded", "massive"]
    units: float
    milestones: dict[str, float | None]
    binding: str
    rests_on: Literal["curve", "last figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Massive:
    """What treating this share of the need within so many years would take, in one place.

    Attributes:
        units: people a year.
        times_now: units over those of today; None without local or national reach.
        money: a year, in `currency` of `price_year`; None where no cost per person is known.
        workers: places or platforms, at the pace that was observed; None where nobody counted it.
        pace: years that the largest step ever observed would take to get there; None without a series.
        binding: the scarcest of volume and pace, by how many times it exceeds what was seen; "none" if neither does.
        unknown: what must be collected before this can be judged.
    """

    territory: str
    need: float
    need_kind: NeedKind
    synthetic: bool
    units: float
    times_now: float | None
    money: float | None
    currency: str | None
    price_year: int | None
    cost_source: str
    workers: float | None
    worker_fr: str
    worker_en: str
    pace: float | None
    binding: str
    unknown: tuple[str, ...]


def effective(share: float | None, factors: Sequence[Factor]) -> Effective:
    """Share reached × benefit × voltage × (1 − displacement).

    Args:
        share: of the need reached; None where it is unknown.
        factors: of one innovation, those that are known.

    Raises:
        ParametersError: a factor stands twice.
    """
    known = {each.factor: each.value for each in factors}
    if len(known) < len(factors):
        raise ParametersError(
            code="E-DIF-010",
            what="A factor of one innovation stands twice.",
            where="data/portfolio/diffusion.yaml, factors",
            found=", ".join(each.factor for each in factors),
            expected="benefit, voltage and displacement, each once",
            fix="keep the value whose source holds here",
        )
    unknown = tuple(name for name in FACTORS if name not in known)
    if share is None or unknown:
        return Effective(share=None, at_most=share, unknown=unknown)
    treated = share * known["benefit"] * known["voltage"] * (1 - known["displacement"])
    return Effective(share=treated, at_most=share, unknown=())


def required(need: float, kind: NeedKind, share: float, years: int) -> float:
    """Units a year: share × need for a need that renews itself, share × need / years for a standing one."""
    return share * need if kind == "flow" else share * need / years


def years_until(flow: Array, need: float, kind: NeedKind, share: float) -> float | None:
    """Years until the yearly flow (flow need) or its sum (standing need) is that share of the need; None if never here.

    Args:
        flow: (n,) people in each of the years to come.
        need: people.
        kind: of the need.
        share: looked for.
    """
    reached = flow if kind == "flow" else np.cumsum(flow)
    hits = np.flatnonzero(reached >= share * need)
    return float(hits[0] + 1) if len(hits) else None


def scenarios(row: Coverage, now: float | None, fitted: Fitted | None, policy: DiffusionPolicy) -> tuple[Scenario, ...]:
    """The three scenarios of one national row; () where reach or need is not a yearly number of people.

    Args:
        row: of coverage, with a share and a flow.
        now: the newest figure of that flow.
        fitted: its series, where there is one in the same unit.
        policy: horizon, milestones, ramp, massive.
    """
    if row.share_kind != "flow" or row.need is None or now is None:
        return ()
    need, kind = float(row.need["value"]), _need_kind(row)
    target = required(need, kind, policy.massive.share, policy.massive.years)
    paths = {"as_now": _as_now(fitted, now), "funded": _funded(fitted, target, policy), "massive": _straight(target)}
    return tuple(
        Scenario(
            name=name,  # type: ignore[arg-type]
            units=float(path[policy.horizon - 1]),
            milestones={f"{share:g}": years_until(path, need, kind, share) for share in policy.milestones},
            binding=binding,
            rests_on="curve" if fitted is not None else "last figure",
        )
        for name, (path, binding) in paths.items()
        if path is not None
    )


def massive(
    row: Coverage, fitted: Fitted | None, capacity: Capacity | None, portfolio: Portfolio, policy: DiffusionPolicy
) -> Massive | None:
    """What massive treatment would take in France or in a territory; None without a need that counts people."""
    if row.need is None or row.need["kind"] == "rate":
        return None
    need, kind = float(row.need["value"]), _need_kind(row)
    units = required(need, kind, policy.massive.share, policy.massive.years)
    local = row.territory != FRANCE
    now = None if local or row.share_kind != "flow" or row.reach is None else float(row.reach["value"])
    cost = portfolio.cost_of(row.innovation)
    per_person = None if cost is None else cost.per_participant
    pace = None if fitted is None or local else _years_at_largest_step(fitted, units)
    strain = {"volume": units / now if now else None, "pace": None if pace is None else pace / policy.massive.years}
    beyond = {name: value for name, value in strain.items() if value is not None and value > 1}
    return Massive(
        territory=row.territory,
        need=need,
        need_kind=kind,
        synthetic=bool(row.need.get("synthetic")),
        units=units,
        times_now=strain["volume"],
        money=None if per_person is None else units * per_person,
        currency=None if cost is None else cost.currency,
        price_year=None if cost is None else cost.year,
        cost_source="" if cost is None else cost.source_address,
        workers=None if capacity is None else units / capacity.people_a_year,
        worker_fr="" if capacity is None else capacity.worker_fr,
        worker_en="" if capacity is None else capacity.worker_en,
        pace=pace,
        binding=max(beyond, key=lambda name: beyond[name], default=NOTHING),
        unknown=_unknown(now, per_person, capacity, pace),
    )


def plain(value: Scenario | Massive | Effective) -> dict[str, Any]:
    """As plain data."""
    return asdict(value)


# pieces --------------------------------------------------------------------------------------------------------------


def _need_kind(row: Coverage) -> NeedKind:
    return "flow" if row.need is not None and row.need["kind"] == "flow" else "stock"


def _straight(level: float) -> tuple[Array, str]:
    return np.full(FAR, level), NOTHING


def _as_now(fitted: Fitted | None, now: float) -> tuple[Array, str]:
    """The best curve from the last figure on, or that figure for ever."""
    if fitted is None:
        return _straight(now)
    years = fitted.data.end[-1] + np.arange(1, FAR + 1)
    return fitted.best.level(years), "ceiling"


def _funded(fitted: Fitted | None, target: float, policy: DiffusionPolicy) -> tuple[Array | None, str]:
    """Towards the stated potential (or what massive treatment takes), no faster than `ramp` times the largest step."""
    step = None if fitted is None else largest_step(fitted)
    if fitted is None or step is None:
        return None, NOTHING
    potential = fitted.series.facts.potential
    ceiling = max(potential.value if potential else target, float(fitted.data.value[-1]) * 1.0001)
    start, limits = float(fitted.data.value[-1]), Limits(ramp=step * policy.ramp)
    path = constrained(fitted.best.curve, fitted.best.shape, ceiling, start, FAR, limits)
    held = [name for name in path.binding if name != NOTHING]
    return path.level, held[0] if held else "potential"


def largest_step(fitted: Fitted) -> float | None:
    """The largest rise in one year that was ever observed, between neighbouring figures; None if it never rose."""
    points = fitted.series.fitted
    value, at = np.array([point.value for point in points]), np.array([point.at for point in points])
    best = float((np.diff(value) / np.diff(at)).max())
    return best if best > 0 else None


def _years_at_largest_step(fitted: Fitted, units: float) -> float | None:
    step = largest_step(fitted)
    return None if step is None else max(units - fitted.series.fitted[-1].value, 0.0) / step


def _unknown(now: float | None, cost: float | None, capacity: Capacity | None, pace: float | None) -> tuple[str, ...]:
    found = {"reach": now, "cost": cost, "capacity": capacity, "pace": pace}
    return tuple(name for name, value in found.items() if value is None)
