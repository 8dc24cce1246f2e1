"""Planted worlds: portfolios whose true effects are known, seen through studies that can be biased.

An innovation is worth scaling if its effect at scale exceeds its cost, both in standard deviations of the outcome. What
is seen is an estimate of the true effect, with sampling error and the bias of its design, and the grade that says how
large such biases are. In world W6 the grades lie: biases are twice what they say.

    W0  all null              W4  biases share a common shock, correlation 0.5
    W1  the mixture below     W5  effect at scale = 0.6 effect + N(0, 0.1^2)
    W2  all harmful           W6  biases twice as large as declared
    W3  heavy tails (t3)      W7  W1 with 200 innovations

W1: effects 50 % zero, 20 % N(-0.15, 0.05^2), 30 % N(0.25, 0.10^2); designs 25 % of standard error 0.08 without bias
(grade 4), 50 % of 0.10 with bias N(0, 0.10^2) (grade 3), 25 % of 0.15 with bias N(0, 0.25^2) (grade 2); cost 0.10. The
parameters are made up to be plausible (reference note B8); nothing here is an estimate. `graded` gives a world the
biases that `synthesis.bias_sd` declares. `by_grade` says whether grades, intervals and posteriors mean what they say;
what rules of choice lead to is in selection/trials.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from evaluation.errors import ParametersError
from evaluation.evidence.posterior import Belief, Shrunk, bias_sd, empirical_prior, shrink_variance
from evaluation.settings.synthesis import Synthesis

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GRID = np.arange(-1.0, 1.5001, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How effects and studies come about.

    Attributes:
        shares, means, sds: of the parts of the mixture of effects.
        degrees: of freedom of each part's t distribution; 0 = normal.
        innovations: in a portfolio.
        cost: of one person, in standard deviations of the outcome.
        design_shares, std_errors, bias_sds, grades: of the designs; bias_sds are those that the grades declare.
        lying: true bias sd / declared.
        bias_correlation: between the biases of one portfolio.
        scale_factor, scale_sd: effect at scale = factor x effect + N(0, sd^2).
    """

    name: str
    shares: tuple[float, ...] = (0.5, 0.2, 0.3)
    means: tuple[float, ...] = (0.0, -0.15, 0.25)
    sds: tuple[float, ...] = (0.0, 0.05, 0.10)
    degrees: int = 0
    innovations: int = 20
    cost: float = 0.10
    design_shares: tuple[float, ...] = (0.25, 0.50, 0.25)
    std_errors: tuple[float, ...] = (0.08, 0.10, 0.15)
    bias_sds: tuple[float, ...] = (0.0, 0.10, 0.25)
    grades: tuple[int, ...] = (4, 3, 2)
    lying: float = 1.0
    bias_correlation: float = 0.0
    scale_factor: float = 1.0
    scale_sd: float = 0.0

    def prior(self) -> Floats:
        """Weights of the effect on GRID, (G,)."""
        weights = np.zeros(len(GRID))
        for share, mean, sd in zip(self.shares, self.means, self.sds, strict=True):
            weights += share * _weights(mean, sd, self.degrees)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def to_scale(self) -> Floats:
        """Weights of the effect at scale for each effect, (G, G)."""
        return np.array([_weights(self.scale_factor * effect, self.scale_sd, 0) for effect in GRID])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Portfolios of one world, arrays (R, J).

    Attributes:
        at_scale: true effect at scale; truth: true effect where the study took place.
        estimate, std_error: as seen; bias_sd, grade: as declared; true_bias_sd: as it is.
    """

    world: World
    truth: Floats
    at_scale: Floats
    estimate: Floats
    std_error: Floats
    bias_sd: Floats
    true_bias_sd: Floats
    grade: Integers


W1 = World(name="W1")
WORLDS: Mapping[str, World] = {
    "W0": replace(W1, name="W0", shares=(1.0,), means=(0.0,), sds=(0.0,)),
    "W1": W1,
    "W2": replace(W1, name="W2", shares=(1.0,), means=(-0.15,), sds=(0.05,)),
    "W3": replace(W1, name="W3", degrees=3),
    "W4": replace(W1, name="W4", bias_correlation=0.5),
    "W5": replace(W1, name="W5", scale_factor=0.6, scale_sd=0.10),
    "W6": replace(W1, name="W6", lying=2.0),
    "W7": replace(W1, name="W7", innovations=200),
}


def draw(world: World, portfolios: int, rng: np.random.Generator) -> Drawn:
    """Portfolios of one world.

    Args:
        world: how they come about.
        portfolios: how many.
        rng: random numbers.

    Raises:
        ParametersError: no portfolio, or shares of designs that do not sum to one.
    """
    if portfolios < 1 or abs(sum(world.design_shares) - 1) > 1e-12:
        raise ParametersError(
            code="E-EVI-057",
            what="this world cannot be simulated",
            found=f"{portfolios} portfolios, designs with shares {list(world.design_shares)}",
            expected="at least one portfolio, shares that sum to one",
        )
    shape = (portfolios, world.innovations)
    part = rng.choice(len(world.shares), size=shape, p=world.shares)
    noise = rng.standard_t(world.degrees, shape) if world.degrees else rng.standard_normal(shape)
    truth = np.array(world.means)[part] + np.array(world.sds)[part] * noise
    design = rng.choice(len(world.grades), size=shape, p=world.design_shares)
    declared, std_error = np.array(world.bias_sds)[design], np.array(world.std_errors)[design]
    shock = rng.standard_normal((portfolios, 1))
    mixed = np.sqrt(world.bias_correlation) * shock + np.sqrt(1 - world.bias_correlation) * rng.standard_normal(shape)
    bias = world.lying * declared * mixed
    return Drawn(
        world=world,
        truth=truth,
        at_scale=world.scale_factor * truth + world.scale_sd * rng.standard_normal(shape),
        estimate=truth + bias + std_error * rng.standard_normal(shape),
        std_error=std_error,
        bias_sd=declared,
        true_bias_sd=world.lying * declared,
        grade=np.array(world.grades)[design],
    )


def _weights(mean: float, sd: float, degrees: int) -> Floats:
    """Of one part on GRID; a point lies on its nearest point of the grid."""
    weights = np.zeros(len(GRID))
    if sd == 0:
        weights[np.argmin(np.abs(GRID - mean))] = 1.0
        return weights
    z = (GRID - mean) / sd
    density = stats.t.pdf(z, degrees) if degrees else stats.norm.pdf(z)
    return np.asarray(density / density.sum(), dtype=np.float64)


# what grades mean ----------------------------------------------------------------------------------------------------


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


def graded(world: World, settings: Synthesis, grades: tuple[int, ...] = (5, 3, 1)) -> World:
    """The world with these grades for its designs, and the biases that they declare."""
    declared = tuple(float(bias_sd(grade, settings)) for grade in grades)
    return replace(world, grades=grades, bias_sds=declared)


def own_belief(estimate: Floats, variance: Floats) -> Belief:
    """One prior for each portfolio, from its own innovations (R, J)."""
    mean, sd = empirical_prior(estimate, variance)
    return Belief(mean=mean[:, None], sd=sd[:, None], basis="portfolio", programmes=estimate.shape[1])


def beliefs(drawn: Drawn, variance: Floats | None = None) -> Shrunk:
    """Posteriors of all effects with the portfolio's own prior; the variance holds the declared bias if None."""
    own = np.square(drawn.std_error) + np.square(drawn.bias_sd) if variance is None else variance
    return shrink_variance(drawn.estimate, own, own_belief(drawn.estimate, own))


def by_grade(drawn: Drawn, level: float = 0.95) -> tuple[GradeRow, ...]:
    """Coverage, error and wrong signs of each grade that occurs, best grade first."""
    z = float(special.ndtri(0.5 + level / 2))
    error, shrunk = drawn.estimate - drawn.truth, beliefs(drawn)
    held = {
        "conventional": np.abs(error) <= z * drawn.std_error,
        "inclusive": np.abs(error) <= z * np.hypot(drawn.std_error, drawn.bias_sd),
        "posterior": np.abs(shrunk.mean - drawn.truth) <= z * shrunk.sd,
    }
    called = (np.abs(drawn.estimate) > z * drawn.std_error) & (drawn.truth != 0)
    levels = sorted(np.unique(drawn.grade).tolist(), reverse=True)
    return tuple(_row(grade, drawn, error, held, called) for grade in levels)


def _row(
    level: int, drawn: Drawn, error: Floats, held: Mapping[str, NDArray[np.bool_]], called: NDArray[np.bool_]
) -> GradeRow:
    mine = drawn.grade == level
    number, share = int(mine.sum()), {name: float(table[mine].mean()) for name, table in held.items()}
    both = mine & called
    estimate, truth = drawn.estimate[both], drawn.truth[both]
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
