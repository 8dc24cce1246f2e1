"""How often intervals of synthetic difference-in-differences hold an effect of zero, on wages of states (slow).

    python3 run.py test -m slow tests/properties/test_impact_synthetic_coverage.py

prints what docs/coverage.md reports. `EVALUATION_REPETITIONS` before it changes the number of repetitions.

The design is that of Arkhangelsky et al. (2021), section 3: mean log wages by state and year, standardised, are
split into a part of rank four and a rest; samples are the part of rank four plus noise with the rest's size and
correlation (AR(2)); who is treated follows a logit of a law on the four factors of the state, at most ten states, in
the last ten years; nothing has an effect.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import signal

from evaluation.impact import inference
from evaluation.impact.synthetic.jackknife import jackknife
from evaluation.impact.synthetic.panel import Panel, fit_panel
from evaluation.impact.synthetic.placebo import placebos

RANK, AFTER, MOST, DRAWS = 4, 10, 10, 60
REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "400"))
ATT = pd.DataFrame({"term": ["att"]})


class Wages:
    """Systematic part, noise and probabilities of treatment of the design."""

    def __init__(self):
        file = Path(__file__).parents[1] / "golden" / "cps_log_wages.csv"
        table = pd.read_csv(file, comment="#", index_col="state")
        wages = table.drop(columns="min_wage").to_numpy()
        wages = (wages - wages.mean()) / wages.std(ddof=1)
        left, size, right = np.linalg.svd(wages, full_matrices=False)
        self.systematic = (left[:, :RANK] * size[:RANK]) @ right[:RANK]
        rest = wages - self.systematic
        lags = np.column_stack([rest[:, 1:-1].ravel(), rest[:, :-2].ravel()])
        now = rest[:, 2:].ravel()
        self.memory = np.linalg.lstsq(lags, now, rcond=None)[0]
        self.innovation = float(np.std(now - lags @ self.memory))
        self.rest = rest
        factors = sm.add_constant(left[:, :RANK])
        self.chance = sm.Logit(table["min_wage"].to_numpy(), factors).fit(disp=0).predict(factors)

    def draw(self, rng):
        """A panel in which nothing had an effect."""
        n, t = self.systematic.shape
        noise = signal.lfilter([1.0], [1.0, *-self.memory], self.innovation * rng.standard_normal((n, t + 20)))[:, 20:]
        treated = np.flatnonzero(rng.random(n) < self.chance)
        treated = rng.permutation(treated)[:MOST] if len(treated) else rng.integers(n, size=1)
        start = np.full(n, t)
        start[treated] = t - AFTER
        return Panel(outcomes=self.systematic + noise, start=start, units=pd.RangeIndex(n), periods=np.arange(t))


@pytest.fixture(scope="module")
def wages():
    return Wages()


def test_the_parts_are_those_of_the_paper(wages):
    """Arkhangelsky et al. print .992 and .100 for the additive and the other part, and an AR(2) of (.01, -.06)."""
    low = wages.systematic
    additive = low.mean(axis=1, keepdims=True) + low.mean(axis=0) - low.mean()
    size = np.sqrt(low.size)
    assert np.linalg.norm(additive) / size == pytest.approx(0.992, abs=1e-3)  # three digits are printed
    assert np.linalg.norm(low - additive) / size == pytest.approx(0.100, abs=1e-3)  # the same
    np.testing.assert_allclose(wages.memory, [0.01, -0.06], atol=0.005)  # two digits are printed
    assert np.linalg.norm(wages.rest) / size == pytest.approx(0.081, abs=1e-3)


def one(wages, rng, estimator):
    """Estimate, and whether each interval holds zero; missing where there is none."""
    panel = wages.draw(rng)
    fitted = fit_panel(panel, estimator)
    drawn = placebos(fitted, estimator, draws=DRAWS, seed=int(rng.integers(2**31)))
    value, others = np.array([fitted.estimate]), drawn.estimates[:, None]
    tables = {form: inference.placebo_table(ATT, value, others, form=form) for form in ("normal", "permutation")}
    effects = jackknife(fitted, ATT)
    if effects is not None:
        tables["jackknife"] = inference.summarize(effects, few_clusters="own")
    held = {name: float(t["ci_low"].iloc[0] <= 0 <= t["ci_high"].iloc[0]) for name, t in tables.items()}
    return {"estimate": fitted.estimate, **held}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["sdid", "did"])
def test_intervals_hold_zero_as_often_as_they_say(wages, estimator):
    streams = [np.random.default_rng(seed) for seed in np.random.SeedSequence(20250101).spawn(REPETITIONS)]
    found = pd.DataFrame([one(wages, rng, estimator) for rng in streams])
    held = found[["normal", "permutation", "jackknife"]].mean()
    rmse = np.sqrt((found["estimate"] ** 2).mean())
    print(f"{estimator}: R {len(found)}, bias {found['estimate'].mean():.4f}, RMSE {rmse:.4f}")  # noqa: T201
    print(held.round(3).to_dict())  # noqa: T201
    # Four standard errors of a share of .95 in 400 repetitions are .044; the jackknife with few treated falls short.
    assert held["normal"] > 0.89
    assert held["permutation"] > 0.89
    assert held["jackknife"] > 0.85
