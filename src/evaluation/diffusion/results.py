"""data/diffusion: curves, forecasts and their validation, treatment, funnels, lessons and plans, as reports read them.

Every file is made from the facts, the policy and the seed alone: two runs give the same bytes. Numbers of curves keep
six digits, which is more than the figures have.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation import store
from evaluation.diffusion import coverage, drift, fitting, forecast, funnel, lessons, plan, pooling, series, treatment
from evaluation.diffusion.coverage import Coverage
from evaluation.diffusion.fitting import Ceiling
from evaluation.diffusion.forecast import Fitted, HeldOut
from evaluation.diffusion.funnel import Funnel
from evaluation.diffusion.series import Series
from evaluation.diffusion.treatment import Massive
from evaluation.errors import ParametersError
from evaluation.settings.diffusion import DiffusionFacts, DiffusionPolicy
from evaluation.settings.portfolio import Portfolio

Array = np.ndarray

DIGITS: Final = 6
POWERS: Final = (0, 1, 2)
LITTLE_WEIGHT: Final = 0.05  # curves that the figures all but rule out do not decide whether the ceiling is identified


def write(portfolio: Portfolio, facts: DiffusionFacts, policy: DiffusionPolicy | None, seed: int) -> tuple[Path, ...]:
    """Write all files of data/diffusion except coverage.json; return their paths.

    Raises:
        ParametersError: params.yaml has no section `diffusion`.
        DataError: a series or a funnel cannot be.
    """
    policy = _require(policy)
    read = series.read(portfolio, facts)
    fitted, held = fit(read, policy), held_out(read, policy, seed)
    contents = {
        "curves.json": curves(read, fitted, policy, seed, held=held),
        "validation.json": validation(held, policy),
        **treated(portfolio, facts, read, fitted, policy),
        "lessons.json": lessons.as_dict(facts.cases),
    }
    paths = {name: store.path("data", "diffusion", name) for name in contents}
    for name, content in contents.items():
        store.write_json(paths[name], rounded(content))
    return tuple(paths.values())


def fit(read: Sequence[Series], policy: DiffusionPolicy) -> dict[str, Fitted]:
    """Series -> its curves, where there are enough figures."""
    found = {each.facts.id: forecast.fit_all(each, policy) for each in read}
    return {name: each for name, each in found.items() if each is not None}


def held_out(read: Sequence[Series], policy: DiffusionPolicy, seed: int) -> dict[str, tuple[HeldOut, ...]]:
    """Series -> its later figures predicted from the earlier ones, by the curves alone."""
    return {
        each.facts.id: forecast.validate(each, policy, generator(seed, f"validation {each.facts.id}")) for each in read
    }


def curves(
    read: Sequence[Series],
    fitted: Mapping[str, Fitted],
    policy: DiffusionPolicy,
    seed: int,
    *,
    held: Mapping[str, Sequence[HeldOut]],
) -> list[dict[str, Any]]:
    """Each series with its figures, fits, ceiling, fan (with the drift of the other series) and what analogues lend."""
    drifts, every = drift.from_others(held, policy.level), tuple(fitted.values())
    return [
        _curves_of(each, fitted.get(each.facts.id), every, policy, seed, drifts.get(each.facts.id, 0.0))
        for each in read
    ]


def validation(held: Mapping[str, Sequence[HeldOut]], policy: DiffusionPolicy) -> dict[str, Any]:
    """Held-out predictions of each series, and in all; each fan knows the drift of the other series, not its own."""
    drifts = drift.from_others(held, policy.level)
    rows = {name: [drift.with_drift(row, drifts[name], policy.level) for row in found] for name, found in held.items()}
    every = [row for found in rows.values() for row in found]
    return {
        "level": policy.level,
        "all": forecast.summary(every),
        "series": {name: forecast.summary(found) for name, found in rows.items()},
        "drift_sd": {name: float(np.sqrt(variance)) for name, variance in drifts.items()},
        "rows": [forecast.held_out_as_dict(row) for row in every],
    }


def treated(
    portfolio: Portfolio,
    facts: DiffusionFacts,
    read: Sequence[Series],
    fitted: Mapping[str, Fitted],
    policy: DiffusionPolicy,
) -> dict[str, Any]:
    """treatment.json, funnels.json and plans.json."""
    funnels = {each.innovation: funnel.funnel(each, portfolio) for each in facts.funnels}
    rows = coverage.coverage(portfolio)
    fitted = {name: each for name, each in fitted.items() if each.series.current}
    needed = {(row.innovation, row.territory): _massive(row, facts, fitted, portfolio, policy) for row in rows}
    return {
        "treatment.json": [
            _treatment(row, needed[row.innovation, row.territory], facts, read, fitted, policy)
            for row in rows
            if row.need
        ],
        "funnels.json": [each.as_dict() for each in funnels.values()],
        "plans.json": [_plan(name, needed, funnels, policy) for name in policy.plans],
    }


def generator(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each series, which no other series changes."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def rounded(value: Any) -> Any:
    """Plain data with floats of six significant digits; what is not finite becomes None."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


# pieces --------------------------------------------------------------------------------------------------------------


def _curves_of(
    one: Series,
    fitted: Fitted | None,
    others: Sequence[Fitted],
    policy: DiffusionPolicy,
    seed: int,
    variance: float,
) -> dict[str, Any]:
    rng = generator(seed, one.facts.id)
    found: dict[str, Any] = {
        "fits": [],
        "best": None,
        "ceiling": _no_ceiling(one, policy),
        "fan": None,
        "by_variance": [],
    }
    if fitted is not None:
        ceilings = {
            name: fitting.ceiling(fitted.data, each, level=policy.level, within=policy.ceiling_within)
            for name, each in fitted.fits.items()
        }
        found = {
            "fits": [_fit_of(fitted, name, ceilings[name]) for name in fitted.fits],
            "best": fitted.best.curve.name,
            "ceiling": _verdict(fitted, ceilings),
            "fan": _fan(fitted, policy, rng, variance) if one.current else None,
            "by_variance": _by_variance(one, policy),
        }
    return {**series.as_dict(one), **found, "borrowed": _borrowed(one, fitted, others, policy)}


def _fit_of(fitted: Fitted, name: str, found: Ceiling) -> dict[str, Any]:
    interval = {"low": found.low, "high": found.high, "identified": found.identified, "flat": found.flat}
    return {**fitting.as_dict(fitted.fits[name]), "weight": fitted.weights[name], "ceiling_interval": interval}


def _by_variance(one: Series, policy: DiffusionPolicy) -> list[dict[str, Any]]:
    """The ceiling under each assumption on the variance, best curve of each: how much the loss matters."""
    found = []
    for power in POWERS:
        fitted = forecast.fit_all(one, policy.model_copy(update={"variance_power": power}))
        if fitted is not None:
            best = fitted.best
            found.append({"variance_power": power, "curve": best.curve.name, "ceiling": best.ceiling})
    return found


def _verdict(fitted: Fitted, found: Mapping[str, Ceiling]) -> dict[str, Any]:
    """One answer over all curves that are not ruled out: the widest interval, identified only if all are."""
    kept = [found[name] for name, weight in fitted.weights.items() if weight >= LITTLE_WEIGHT]
    lows, highs = [each.low for each in kept], [each.high for each in kept]
    identified = all(each.identified for each in kept)
    return {
        "estimate": fitted.best.ceiling,
        "low": min((each for each in lows if each is not None), default=None) if None not in lows else None,
        "high": max(each for each in highs if each is not None) if None not in highs else None,
        "identified": identified,
        "why_fr": "" if identified else "Plafond non identifié : les chiffres admettent aussi un plafond très élevé.",
        "why_en": "" if identified else "Ceiling not identified: the figures also allow a very high one.",
    }


def _no_ceiling(one: Series, policy: DiffusionPolicy) -> dict[str, Any]:
    count = len(one.fitted)
    return {
        "estimate": None,
        "low": None,
        "high": None,
        "identified": False,
        "why_fr": f"{count} chiffres de même définition, {policy.least_points} au moins pour une courbe.",
        "why_en": f"{count} figures with one definition, at least {policy.least_points} for a curve.",
    }


def _fan(fitted: Fitted, policy: DiffusionPolicy, rng: np.random.Generator, variance: float) -> dict[str, Any]:
    since, known = float(fitted.data.at[-1]), fitted.series.fitted[-1].value
    at = int(since) + 1.5 + np.arange(policy.horizon)
    found = drift.widened(
        forecast.fan(fitted, policy, at, rng),
        variance,
        since=since,
        level=policy.level,
        inner=policy.inner,
        floor=known if fitted.series.facts.kind == "cumulative" else 0.0,
    )
    names = ("low", "inner_low", "median", "inner_high", "high")
    past = np.linspace(max(fitted.series.facts.launch.at, float(fitted.data.at[0])), float(at[-1]), 60)
    return {
        "level": policy.level,
        "inner": policy.inner,
        "at": found.years.tolist(),
        **{name: found.quantiles[:, place].tolist() for place, name in enumerate(names)},
        "curve_at": past.tolist(),
        "curve": fitted.best.level(past - fitted.series.facts.launch.at).tolist(),
    }


def _borrowed(
    one: Series, fitted: Fitted | None, others: Sequence[Fitted], policy: DiffusionPolicy
) -> list[dict[str, Any]]:
    """What analogues lend to each curve: the shrunken shape, or a fit that would not stand alone."""
    found = []
    for name in policy.curves:
        lent = pooling.pace(others, name, without=one.facts.id)
        if lent is None:
            continue
        entry: dict[str, Any] = pooling.as_dict(lent)
        if fitted is not None:
            own = fitted.fits[name]
            entry["shrunk"] = dict(zip(own.curve.names, own.curve.printed(pooling.shrunk(own, lent)), strict=True))
        else:
            entry["fit"] = _fit_with_help(one, lent, others, policy)
        found.append(entry)
    return found


def _fit_with_help(
    one: Series, lent: pooling.Pace, others: Sequence[Fitted], policy: DiffusionPolicy
) -> dict[str, Any] | None:
    data = series.observations(one, policy.variance_power)
    if len(data) < fitting.PARAMETERS:
        return None
    lenders = [each.fits[lent.curve] for each in others if each.series.facts.id in lent.analogues]
    # φ grows with the size of what one figure counts, so that the relative noise of the lenders is what carries over.
    relative = float(np.median([each.dispersion / float(np.mean(each.expected)) for each in lenders]))
    return fitting.as_dict(pooling.borrowed(data, lent, relative * float(np.mean(data.value))))


def _massive(
    row: Coverage,
    facts: DiffusionFacts,
    fitted: Mapping[str, Fitted],
    portfolio: Portfolio,
    policy: DiffusionPolicy,
) -> Massive | None:
    capacity = next((each for each in facts.capacity if each.innovation == row.innovation), None)
    return treatment.massive(row, _fitted_of(row, fitted), capacity, portfolio, policy)


def _fitted_of(row: Coverage, fitted: Mapping[str, Fitted]) -> Fitted | None:
    """The curves of the very series that the row's reach belongs to, if that is a flow."""
    reach = row.reach["id"] if row.reach else None
    for each in fitted.values():
        if each.series.facts.kind == "flow" and reach in {point.id for point in each.series.points}:
            return each
    return None


def _latest(row: Coverage, read: Sequence[Series]) -> float | None:
    """The newest figure of the flow that the row's reach belongs to; the reach itself where there is no series."""
    if row.reach is None:
        return None
    for each in read:
        if each.facts.kind == "flow" and row.reach["id"] in {point.id for point in each.points}:
            return each.points[-1].value
    return float(row.reach["value"])


def _treatment(
    row: Coverage,
    needed: Massive | None,
    facts: DiffusionFacts,
    read: Sequence[Series],
    fitted: Mapping[str, Fitted],
    policy: DiffusionPolicy,
) -> dict[str, Any]:
    factors = [each for each in facts.factors if each.innovation == row.innovation]
    scenarios = treatment.scenarios(row, _latest(row, read), _fitted_of(row, fitted), policy)
    return {
        "innovation": row.innovation,
        "difficulty": row.difficulty,
        "territory": row.territory,
        "need": row.need,
        "reach": row.reach,
        **{name: getattr(row, name) for name in ("share", "share_low", "share_high", "share_kind")},
        "effective": treatment.plain(treatment.effective(row.share, factors)),
        "scenarios": [treatment.plain(each) for each in scenarios],
        "massive": treatment.plain(needed) if needed else None,
    }


def _plan(
    name: str,
    needed: Mapping[tuple[str, str], Massive | None],
    funnels: Mapping[str, Funnel],
    policy: DiffusionPolicy,
) -> dict[str, Any]:
    resources = [each for (innovation, _), each in needed.items() if innovation == name and each is not None]
    return plan.plan(name, policy, resources, funnels.get(name)).as_dict()


def _require(policy: DiffusionPolicy | None) -> DiffusionPolicy:
    if policy is None:
        raise ParametersError(
            code="E-DIF-012",
            what="Nothing says how diffusion is fitted.",
            where="params.yaml",
            found="no section 'diffusion'",
            expected="diffusion: version, level, curves …",
            fix="restore it from the repository",
        )
    return policy
