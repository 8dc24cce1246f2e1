"""Which difficulties may be among the first k, with a guarantee that holds near ties: all pairs compared at once.

A difficulty is left out only if at least k others are above it in comparisons that hold all together with the given
probability. The set then contains the true first k with that probability, however close they are, at the price of being
wider than resampled places suggest. It needs a number with a normal limit for each difficulty: here the share of
answers that call it serious or more (approval), not the median grade, which moves by jumps.

Source: Mogstad, Romano, Shaikh and Wilhelm (2024), Review of Economic Studies 91(1), section 3 (confidence sets for the
tau-best, by inverting comparisons of all pairs; one step, without their step-down).
"""

from itertools import combinations

import numpy as np
import pandas as pd

from evaluation.impact.effects import Effects
from evaluation.impact.inference import summarize
from evaluation.needs.ballots import NO_ANSWER, POINT, Ballots, Floats


def approval_effects(ballots: Ballots, approving: int, weights: Floats | None = None) -> Effects:
    """Share of answers at the approving grade or above, with the influence of each ballot: n w (a − share) / Σ w.

    Args:
        ballots: (n, m) answers; a missing one has no influence on its difficulty.
        approving: place of the lowest grade that approves.
        weights: (n,), one each by default.
    """
    given = (ballots.answers != NO_ANSWER) * (np.ones(len(ballots)) if weights is None else weights)[:, None]
    approves = ballots.answers >= approving
    total = given.sum(axis=0)
    share = (given * approves).sum(axis=0) / total
    return Effects(
        estimate=share,
        labels=pd.DataFrame({"term": "approval", "difficulty": ballots.difficulties}),
        influence=len(ballots) * given * (approves - share) / total,
        units=pd.RangeIndex(len(ballots), name="ballot"),
    )


def clusters_of(ballots: Ballots) -> pd.DataFrame:
    """Collection point of each ballot, for `summarize`."""
    points = ballots.attribute(POINT).astype(str)
    return pd.DataFrame({POINT: points}, index=pd.RangeIndex(len(ballots), name="ballot"))


def simultaneous_set(
    effects: Effects, clusters: pd.DataFrame | None, top: int, probability: float, seed: int
) -> tuple[str, ...]:
    """Difficulties that fewer than k others are surely above, in the order of the ballot.

    Args:
        effects: one number a difficulty, larger is more serious.
        clusters: of ballots; None where points are too few to be the units of chance.
        top: k.
        probability: with which all comparisons hold together.
        seed: of the draws behind the simultaneous bands.
    """
    m = len(effects)
    pairs = np.array(list(combinations(range(m), 2)))
    weights = np.zeros((len(pairs), m))
    weights[np.arange(len(pairs)), pairs[:, 0]], weights[np.arange(len(pairs)), pairs[:, 1]] = 1.0, -1.0
    labels = pd.DataFrame({"term": "difference", "above": pairs[:, 0], "below": pairs[:, 1]})
    table = summarize(effects.contrast(weights, labels), clusters, level=probability, band_seed=seed)
    surely_above = np.zeros((m, m), dtype=bool)
    surely_above[pairs[:, 0], pairs[:, 1]] = table["band_low"].to_numpy(dtype=float) > 0
    surely_above[pairs[:, 1], pairs[:, 0]] = table["band_high"].to_numpy(dtype=float) < 0
    kept = surely_above.sum(axis=0) < top
    names = effects.labels["difficulty"]
    return tuple(str(name) for name, inside in zip(names, kept, strict=True) if inside)
