"""Portfolios with planted truth, without micro-data: do grades, intervals and posteriors mean what they say?

Worlds W0 to W7 plant true effects (in standard deviations, favourable above zero), designs with their grade, sampling
error and bias. The bias of a finding of grade G has the standard deviation that `synthesis.bias_sd` declares for G,
times the factor of the world: W6, where it is twice as large, shows what happens if the declaration is wrong.

| world | planted |
|---|---|
| W0 | no programme works |
| W1 | half do nothing, a fifth harm (−.15, sd .05), three tenths work (.25, sd .10) |
| W2 | all harm |
| W3 | effects with heavy tails: t(3) around .06 with scale .10 |
| W4 | as W1, biases of one portfolio correlated ½ |
| W5 | as W1, effect at scale .6 of the effect and N(0, .1²) |
| W6 | as W1, bias twice what the grade declares |
| W7 | as W1, 200 programmes |

Source: reference note on validity, B8.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from evaluation.errors import ParametersError
from evaluation.evidence import posterior
from evaluation.evidence.posterior import Belief, Shrunk
from evaluation.settings.synthesis import Synthesis

Array = np.ndarray
Effects = Literal["null", "mixture", "harmful", "heavy"]

WORTH = 0.10  # effect from which scaling pays, in the note
MIXTURE = ((0.5, 0.0, 0.0), (0.2, -0.15, 0.05), (0.3, 0.25, 0.10))  # share, mean, sd
HARMFUL = (-0.15, 0.05)
HEAVY = (0.06, 0.10, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is planted.

    Attributes:
        programmes: number in a portfolio.
        effects: law of true effects.
        designs: (share, grade, standard error) of the findings.
        bias_factor: times the declared standard deviation of the bias.
        bias_correlation: between the biases of one portfolio.
        kept_at_scale, scale_sd: effect at scale = kept × effect + N(0, sd²).
    """

    programmes: int = 20
    effects: Effects = "mixture"
    designs: tuple[tuple[float, int, float], ...] = ((0.25, 5, 0.08), (0.5, 3, 0.10), (0.25, 1, 0.15))
    bias_factor: float = 1.0
    bias_correlation: float = 0.0
    kept_at_scale: float = 1.0
    scale_sd: float = 0.0


WORLDS: Mapping[str, World] = {
    "W0": World(effects="null"),
    "W1": World(),
    "W2": World(effects="harmful"),
    "W3": World(effects="heavy"),
    "W4": World(bias_correlation=0.5),
    "W5": World(kept_at_scale=0.6, scale_sd=0.1),
    "W6": World(bias_factor=2.0),
    "W7": World(programmes=200),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolios:
    """Simulated findings, arrays (repetitions, programmes).

    Attributes:
        truth: effect of the programme where it was tested.
        at_scale: its effect when it is scaled.
        grade, std_error, estimate: of its finding.
    """

    truth: Array
    at_scale: Array
    grade: Array
    std_error: Array
    estimate: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRow:
    """What findings of one grade did.

    Attributes:
        grade: 1 to 5.
        findings: number simulated.
        conventional: share of intervals estimate ± z SE that hold the truth.
        inclusive: the same with the bias of the grade in the error.
        posterior: share of posterior intervals that hold it.
        monte_carlo_error: of `inclusive`.
        mean_error, sd_error: of the estimate.
        wrong_sign: share with the wrong sign among those that a conventional test calls an effect (truth not zero).
        exaggeration: mean |estimate| / mean |truth| among the same.
    """

    grade: int
    findings: int
    conventional: float
    inclusive: float
    posterior: float
    monte_carlo_error: float
    mean_error: float
    sd_error: float
    wrong_sign: float | None
    exaggeration: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a rule of choice did, on average over portfolios.

    Attributes:
        chosen: programmes for each portfolio.
        false: share of the chosen whose effect at scale is below what is worth having.
        harmful: share of the chosen whose effect at scale is below zero.
        missed: share of the programmes worth having that were not chosen.
        winners_curse: mean of estimate − truth among the chosen.
    """

    chosen: float
    false: float
    harmful: float
    missed: float
    winners_curse: float


def simulate(world: World, repetitions: int, seed: int, settings: Synthesis) -> Portfolios:
    """Findings of many portfolios; the same seed gives the same ones.

    Raises:
        ParametersError: shares of designs that do not sum to one, or no repetition.
    """
    shares = np.array([share for share, _, _ in world.designs])
    if repetitions < 1 or abs(shares.sum() - 1) > 1e-12:
        raise ParametersError(
            code="E-EVI-057",
            what="this world cannot be simulated",
            found=f"{repetitions} repetitions, designs with shares {shares.tolist()}",
            expected="at least one repetition, shares that sum to one",
        )
    rng = np.random.Generator(np.random.Philox(seed))
    shape = (repetitions, world.programmes)
    truth = _effects(world, rng, shape)
    design = rng.choice(len(shares), shape, p=shares)
    grade = np.array([level for _, level, _ in world.designs])[design]
    error = np.array([value for _, _, value in world.designs])[design]
    shock = rng.standard_normal((repetitions, 1))
    own, common = np.sqrt(1 - world.bias_correlation), np.sqrt(world.bias_correlation)
    bias = world.bias_factor * posterior.bias_sd(grade, settings) * (own * rng.standard_normal(shape) + common * shock)
    return Portfolios(
        truth=truth,
        at_scale=world.kept_at_scale * truth + world.scale_sd * rng.standard_normal(shape),
        grade=grade,
        std_error=error,
        estimate=truth + bias + error * rng.standard_normal(shape),
    )


def beliefs(found: Portfolios, settings: Synthesis) -> Shrunk:
    """Posteriors of all programmes, with the prior that each portfolio makes for itself."""
    variance = found.std_error**2 + posterior.bias_sd(found.grade, settings) ** 2
    return _own_prior(found, variance)


def by_grade(found: Portfolios, settings: Synthesis) -> tuple[GradeRow, ...]:
    """Coverage, error and wrong signs of each grade that occurs, best grade first."""
    z = float(special.ndtri(0.5 + settings.level / 2))
    error = found.estimate - found.truth
    inclusive = np.hypot(found.std_error, posterior.bias_sd(found.grade, settings))
    shrunk = beliefs(found, settings)
    held = {
        "conventional": np.abs(error) <= z * found.std_error,
        "inclusive": np.abs(error) <= z * inclusive,
        "posterior": np.abs(shrunk.mean - found.truth) <= z * shrunk.sd,
    }
    called = (np.abs(found.estimate) > z * found.std_error) & (found.truth != 0)
    levels = sorted(np.unique(found.grade).tolist(), reverse=True)
    return tuple(_row(level, found, error, held, called) for level in levels)


def choose(found: Portfolios, chosen: Array, *, worth: float = WORTH) -> Choice:
    """What a choice (repetitions, programmes) led to.

    Args:
        found: the portfolios.
        chosen: True for the programmes chosen.
        worth: the least effect that is worth having.
    """
    number = max(int(chosen.sum()), 1)
    good = found.at_scale > worth
    return Choice(
        chosen=float(chosen.sum(axis=1).mean()),
        false=float((chosen & ~good).sum() / number),
        harmful=float((chosen & (found.at_scale < 0)).sum() / number),
        missed=float((good & ~chosen).sum() / max(int(good.sum()), 1)),
        winners_curse=float((found.estimate - found.truth)[chosen].mean()) if chosen.any() else 0.0,
    )


def calibrate(repetitions: int, seed: int, settings: Synthesis) -> dict[str, Any]:
    """All worlds as plain data: the rows by grade, and choices with and without what grades add."""
    return {
        "repetitions": repetitions,
        "seed": seed,
        "worlds": {name: _world(name, world, repetitions, seed, settings) for name, world in WORLDS.items()},
    }


def _world(name: str, world: World, repetitions: int, seed: int, settings: Synthesis) -> dict[str, Any]:
    found = simulate(world, repetitions, seed + int(name[1:]), settings)
    z = float(special.ndtri(0.5 + settings.level / 2))
    plain = _own_prior(found, found.std_error**2)
    choices = {
        "significant": found.estimate > z * found.std_error,
        "posterior_without_bias": plain.above(WORTH) > 0.8,
        "posterior": beliefs(found, settings).above(WORTH) > 0.8,
    }
    return {
        "world": asdict(world),
        "grades": [asdict(row) for row in by_grade(found, settings)],
        "choices": {rule: asdict(choose(found, chosen)) for rule, chosen in choices.items()},
    }


def _own_prior(found: Portfolios, variance: Array) -> Shrunk:
    mean, sd = posterior.empirical_prior(found.estimate, variance)
    own = Belief(mean=mean[:, None], sd=sd[:, None], basis="portfolio", programmes=int(found.truth.shape[1]))
    return posterior.shrink_variance(found.estimate, variance, own)


def _effects(world: World, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    if world.effects == "null":
        return np.zeros(shape)
    if world.effects == "harmful":
        return np.asarray(HARMFUL[0] + HARMFUL[1] * rng.standard_normal(shape))
    if world.effects == "heavy":
        return np.asarray(HEAVY[0] + HEAVY[1] * rng.standard_t(HEAVY[2], shape))
    shares, means, sds = (np.array(column) for column in zip(*MIXTURE, strict=True))
    kind = rng.choice(len(shares), shape, p=shares)
    return np.asarray(means[kind] + sds[kind] * rng.standard_normal(shape))


def _row(level: int, found: Portfolios, error: Array, held: Mapping[str, Array], called: Array) -> GradeRow:
    mine = found.grade == level
    number, share = int(mine.sum()), {name: float(table[mine].mean()) for name, table in held.items()}
    both = mine & called
    estimate, truth = found.estimate[both], found.truth[both]
    return GradeRow(
        grade=int(level),
        findings=number,
        **share,
        monte_carlo_error=float(np.sqrt(share["inclusive"] * (1 - share["inclusive"]) / number)),
        mean_error=float(error[mine].mean()),
        sd_error=float(error[mine].std()),
        wrong_sign=float((np.sign(estimate) != np.sign(truth)).mean()) if both.any() else None,
        exaggeration=float(np.abs(estimate).mean() / np.abs(truth).mean()) if both.any() else None,
    )
