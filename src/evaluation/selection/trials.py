"""How often the rules are wrong, and what that costs: planted worlds through the code that decides.

Each way to select reads the same portfolios and has the same actions at the same costs:

    stop    nothing
    fund    the net benefit at scale
    test    a new randomised study (standard error `std_error`, no bias) at `cost`, while `delay` of the benefits goes
            by; then fund or stop
    phase   fund half while the study runs, then fund or stop: half of `delay` more than a test

`ours` builds a Situation for each innovation, from the posterior of evidence/posterior.py (with the bias that its grade
declares) and the value of a test, and does what rules.py decides: GENERALISER and extension in steps fund, extension
under evaluation phases in, EXPERIMENTER tests. After the study it decides again, with what is then known. `bayes` knows
the world: it takes the action of the highest expected value under the true prior and the true biases.

Regret is the share of the gain of somebody who knows all effects and funds those above their cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.evidence.posterior import Belief, Shrunk, house_belief, shrink_variance
from evaluation.evidence.programme import of_one_study
from evaluation.evidence.worlds import GRID, Drawn, Floats, beliefs, own_belief
from evaluation.selection.learning import value_of_phase_in, value_of_test
from evaluation.selection.rules import Rule, Situation, binding
from evaluation.settings.synthesis import Prior

Actions = NDArray[np.int64]

STOP, FUND, TEST, PHASE = 0, 1, 2, 3
_ACTIONS: Mapping[str, int] = {
    "scale": FUND,
    "extend-in-steps": FUND,
    "extend": PHASE,
    "test-value": TEST,
    "test-estimate": TEST,
}
_BLOCK = 20_000  # innovations whose posterior on the grid is held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The study that can be made before a decision; cost in standard deviations of the outcome, for one person served.

    Attributes:
        std_error: of a randomised study, without bias.
        cost: of the study; delay: share of the benefits that is over when it is read.
    """

    std_error: float = 0.08
    cost: float = 0.01
    delay: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What was done, arrays (R, J).

    Attributes:
        first: the action; funded: whether it was funded in the end.
        label: whether it got the label GENERALISER, now or after a study.
    """

    first: Actions
    funded: NDArray[np.bool_]
    label: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one way to select did in one world.

    Attributes:
        labelled: innovations that got the label, for one portfolio.
        false_share: of the labelled, how many are not worth their cost; harmful_share: how many do harm.
        any_label: share of portfolios with at least one label.
        funded, tested: innovations for one portfolio.
        missed: of those worth their cost, how many were not funded.
        false_funded: of the funded, how many are not worth their cost.
        value: net benefit for one portfolio, studies paid; regret: share of what could be had that was not.
        curse: how much the estimates of the labelled exceed their true effects.
    """

    labelled: float
    false_share: float
    harmful_share: float
    any_label: float
    funded: float
    tested: float
    missed: float
    false_funded: float
    value: float
    regret: float
    curse: float


def outcome(drawn: Drawn, course: Course, study: Study) -> Outcome:
    """Score a course of action against the truth."""
    net = drawn.at_scale - drawn.world.cost
    worth = net > 0
    payoff = _payoff(net, course, study)
    best = np.maximum(net, 0).sum()
    labelled = max(int(course.label.sum()), 1)
    return Outcome(
        labelled=float(course.label.sum(axis=1).mean()),
        false_share=float((course.label & ~worth).sum() / labelled),
        harmful_share=float((course.label & (drawn.at_scale < 0)).sum() / labelled),
        any_label=float(course.label.any(axis=1).mean()),
        funded=float(course.funded.sum(axis=1).mean()),
        tested=float(np.isin(course.first, (TEST, PHASE)).sum(axis=1).mean()),
        missed=float((worth & ~course.funded).sum() / max(int(worth.sum()), 1)),
        false_funded=float((course.funded & ~worth).sum() / max(int(course.funded.sum()), 1)),
        value=float(payoff.sum(axis=1).mean()),
        regret=float(1 - payoff.sum() / best) if best > 0 else float("nan"),
        curse=float((drawn.estimate - drawn.truth)[course.label].sum() / labelled),
    )


# ways to select that decide at once ----------------------------------------------------------------------------------


def significant(drawn: Drawn, _: Study | None = None) -> Course:
    """Fund what has p < 0.05 and the right sign."""
    return at_once(drawn.estimate > 1.959963984540054 * drawn.std_error)


def shrunk_without_bias(drawn: Drawn, _: Study | None = None) -> Course:
    """Fund what has P(effect > cost) > 0.8, with the standard error alone."""
    return at_once(beliefs(drawn, np.square(drawn.std_error)).above(drawn.world.cost) > 0.8)


def shrunk_with_bias(drawn: Drawn, _: Study | None = None) -> Course:
    """Fund what has P(effect > cost) > 0.8, with the bias that the grade declares."""
    return at_once(beliefs(drawn).above(drawn.world.cost) > 0.8)


def at_once(chosen: NDArray[np.bool_]) -> Course:
    """A course that funds some, now, under the label."""
    return Course(first=np.where(chosen, FUND, STOP), funded=chosen, label=chosen)


# ours ----------------------------------------------------------------------------------------------------------------


def ours(ordered: Sequence[Rule], prior: Prior) -> Callable[[Drawn, Study, Floats], Course]:
    """The rules of selection, test before scale included.

    Args:
        ordered: as rules.rules gives them.
        prior: of params.yaml, used until a portfolio has innovations enough (`empirical_from`) to make its own.
    """

    def course(drawn: Drawn, study: Study, news: Floats) -> Course:
        variance = np.square(drawn.std_error) + np.square(drawn.bias_sd)
        enough = drawn.world.innovations >= prior.empirical_from
        belief = own_belief(drawn.estimate, variance) if enough else house_belief(prior)
        before = shrink_variance(drawn.estimate, variance, belief)
        net = before.mean - drawn.world.cost
        about = {"cost": study.cost, "delay": study.delay}
        tests = np.maximum(
            value_of_test(net, before.sd, study.std_error, **about),
            value_of_phase_in(net, before.sd, study.std_error, **about),
        )
        first, label = decided(before, drawn.world.cost, drawn.grade, tests, ordered)
        studied = np.isin(first, (TEST, PHASE))
        after = shrink_variance(news, np.full_like(news, study.std_error**2), _as_prior(before))
        then, later = decided(after, drawn.world.cost, np.full_like(drawn.grade, 4), np.zeros_like(net), ordered)
        return Course(
            first=first,
            funded=np.where(studied, then == FUND, first == FUND),
            label=label | (studied & later),
        )

    return course


def decided(
    belief: Shrunk, cost: float, grade: NDArray[np.int64], tests: Floats, ordered: Sequence[Rule]
) -> tuple[Actions, NDArray[np.bool_]]:
    """Action and label of each innovation, by the rules; (R, J) each.

    Each innovation has one study, so that the grade of the programme is that of its finding, at most 4. The conditions
    that have nothing to do with the effect (transfer, sites, displacement, capacity) are met here.
    """
    columns = (belief.above(cost), 1 - belief.above(0.0), belief.mean - cost, tests, grade)
    names = [
        binding(_situation(*(float(each) for each in row)), ordered).name
        for row in zip(*(column.ravel() for column in columns), strict=True)
    ]
    actions = np.array([_ACTIONS.get(name, STOP) for name in names], dtype=np.int64).reshape(grade.shape)
    return actions, np.array([name == "scale" for name in names]).reshape(grade.shape)


def _situation(p_positive: float, p_harm: float, net: float, test: float, grade: float) -> Situation:
    return Situation(
        evidence="effect",
        favourable=True,
        cost_known=True,
        grade=int(grade),
        programme=of_one_study(int(grade)),
        transfer="A",
        p_positive=p_positive,
        p_harm=p_harm,
        net=net,
        value_of_test=test,
        sustained_months=12,
        cost_sites=2,
        displacement_open=False,
        capacity_plan=True,
    )


def _as_prior(before: Shrunk) -> Belief:
    return Belief(mean=before.mean, sd=before.sd, basis="portfolio", programmes=1)


# the rule of somebody who knows the world ----------------------------------------------------------------------------


def bayes(drawn: Drawn, study: Study, news: Floats, *, may_test: bool = True) -> Course:
    """Highest expected value among the four actions, under the true prior and the true biases.

    Args:
        drawn: portfolios.
        study: that can be made.
        news: (R, J) what the study would find.
        may_test: False leaves stop and fund alone.
    """
    net = GRID - drawn.world.cost
    prior, to_scale = drawn.world.prior(), drawn.world.to_scale()
    variance = np.square(drawn.std_error) + np.square(drawn.true_bias_sd)
    flat = [each.ravel() for each in (drawn.estimate, variance, news)]
    first, funded = np.empty(flat[0].size, dtype=np.int64), np.empty(flat[0].size, dtype=bool)
    for start in range(0, flat[0].size, _BLOCK):
        block = slice(start, start + _BLOCK)
        weights = _on_grid(flat[0][block], flat[1][block], prior) @ to_scale
        first[block], funded[block] = _best(weights, net, flat[2][block], study, may_test=may_test)
    shape = drawn.estimate.shape
    return Course(first=first.reshape(shape), funded=funded.reshape(shape), label=funded.reshape(shape))


def _on_grid(estimate: Floats, variance: Floats, prior: Floats) -> Floats:
    """Posterior weights of the effect, (N, G)."""
    log = -0.5 * (estimate[:, None] - GRID) ** 2 / variance[:, None]
    weights = prior * np.exp(log - log[:, prior > 0].max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _best(
    weights: Floats, net: Floats, news: Floats, study: Study, *, may_test: bool
) -> tuple[Actions, NDArray[np.bool_]]:
    """E[max(E[net | news], 0)] is the integral over news of the positive part of sum_g net_g w_g density(news | g)."""
    expected = weights @ net
    values = np.zeros((len(weights), 4))
    values[:, FUND] = expected
    if may_test:
        points = np.arange(GRID[0] - 4 * study.std_error, GRID[-1] + 4 * study.std_error, study.std_error / 4)
        density = _density(points[None, :], GRID[:, None], study.std_error) * (study.std_error / 4)
        later = (1 - study.delay) * np.maximum((weights * net) @ density, 0).sum(axis=1)
        values[:, TEST] = later - study.cost
        values[:, PHASE] = later - study.cost + study.delay / 2 * expected
    else:
        values[:, [TEST, PHASE]] = -np.inf
    first = values.argmax(axis=1)
    after = (weights * _density(news[:, None], GRID[None, :], study.std_error)) @ net > 0
    return first, np.where(first >= TEST, after, first == FUND)


def _density(x: Floats, mean: Floats, sd: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi)))


def _payoff(net: Floats, course: Course, study: Study) -> Floats:
    """Net benefit of each innovation, its study paid."""
    studied = course.first >= TEST
    late = np.where(course.funded, (1 - study.delay) * net, 0.0) - study.cost
    late += np.where(course.first == PHASE, study.delay / 2 * net, 0.0)
    return np.where(studied, late, np.where(course.funded, net, 0.0))


def news_of(drawn: Drawn, study: Study, rng: np.random.Generator) -> Floats:
    """What a study in the territory would find, (R, J)."""
    return drawn.at_scale + study.std_error * rng.standard_normal(drawn.at_scale.shape)


def price_of_caution(drawn: Drawn, levels: Sequence[float]) -> list[tuple[float, Outcome]]:
    """What it costs to be more careful: P(effect > cost) above each level, without a test; for funders to choose."""
    p = beliefs(drawn).above(drawn.world.cost)
    return [(level, outcome(drawn, at_once(p > level), Study())) for level in levels]
