"""The data of the races, the same for every program."""

from __future__ import annotations

import numpy as np
import pandas as pd

PERIODS = 10
COHORTS = (3, 4, 5, 6, 7)


def staggered(units: int, *, covariates: int, shuffled: bool, seed: int = 1) -> pd.DataFrame:
    """A balanced panel: unit, period, cohort (0: never treated), outcome, covariate_1 … that do not change.

    40 % are never treated; who is depends on the first two covariates, and so do trends.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(units, max(covariates, 2)))
    ever = 0.3 * (x[:, 0] + x[:, 1]) + rng.logistic(size=units) > np.log(2 / 3)
    cohort = np.where(ever, rng.choice(COHORTS, size=units), 0)
    unit, period = np.repeat(np.arange(units), PERIODS), np.tile(np.arange(1, PERIODS + 1), units)
    order = rng.permutation(len(unit)) if shuffled else slice(None)
    unit, period = unit[order], period[order]
    outcome = rng.normal(size=units)[unit] + period * (1 + 0.2 * x[unit, 0]) + rng.normal(size=len(unit))
    outcome += (cohort[unit] > 0) & (period >= cohort[unit])
    columns = {"unit": unit, "period": period, "cohort": cohort[unit], "outcome": outcome}
    return pd.DataFrame(columns | {f"covariate_{k + 1}": x[unit, k] for k in range(covariates)})


def few_treated(units: int, periods: int, *, treated: int, seed: int = 5) -> pd.DataFrame:
    """A factor panel in which the last units are treated in the last third of the periods: unit, period, treated, y."""
    rng = np.random.default_rng(seed)
    paths = rng.normal(size=(units, 3)) @ np.cumsum(rng.normal(size=(3, periods)), axis=1)
    y = 100 + 3 * paths + 10 * rng.normal(size=(units, 1)) + rng.normal(size=(units, periods))
    unit, period = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    last = (unit >= units - treated).astype(int)
    y[units - treated :, periods - periods // 3 :] -= 8
    return pd.DataFrame({"unit": unit, "period": period, "treated": last, "y": y.ravel()})


def two_way(rows: int, *, balanced: bool, seed: int = 2) -> pd.DataFrame:
    """Unit, period, y, x1 (which goes with the unit's own level), x2; sorted; a tenth of the rows missing or none."""
    rng = np.random.default_rng(seed)
    units = rows // PERIODS
    unit, period = np.repeat(np.arange(units), PERIODS), np.tile(np.arange(1, PERIODS + 1), units)
    level = rng.normal(size=units)[unit]
    x1, x2 = level + rng.normal(size=rows), rng.normal(size=rows)
    y = 0.5 * x1 - 0.2 * x2 + level + 0.1 * period + rng.normal(size=rows)
    frame = pd.DataFrame({"unit": unit, "period": period, "y": y, "x1": x1, "x2": x2})
    return frame if balanced else frame[rng.random(rows) < 0.9].reset_index(drop=True)


def clustered(rows: int, *, clusters: int, seed: int = 3) -> pd.DataFrame:
    """Cluster, y, x1 and x2, with what members of a cluster share in all of them."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(clusters, size=rows)
    shared = rng.normal(size=(3, clusters))[:, cluster]
    x1, x2 = shared[0] + rng.normal(size=rows), 0.5 * shared[1] + rng.normal(size=rows)
    y = 0.05 * x1 + 0.3 * x2 + 0.4 * shared[2] + rng.normal(size=rows)
    return pd.DataFrame({"cluster": cluster, "y": y, "x1": x1, "x2": x2})


def people(number: int, *, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight covariates (n, 8), who is treated (n,), a fifth or so, and the outcome (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, 8))
    treated = rng.random(number) < 1 / (1 + np.exp(1.6 - 0.4 * x[:, :4].sum(axis=1)))
    return x, treated, x.sum(axis=1) + treated + rng.normal(size=number)
