"""Neighbours of treated units: planted losses are found, and the comparison without them is clean."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did_estimators
from evaluation.impact.did_displacement import displacement, exposure

UNITS, PERIODS = 90, 6
NEIGHBOURS = pd.DataFrame(
    {"unit": np.arange(30, 60), "neighbour": np.arange(30)}
)  # each treated unit has one neighbour


def _rows(seed: int = 1, *, gain: float = 2.0, loss: float = 1.0, noise: float = 0.3) -> pd.DataFrame:
    """Units 0 to 29 start in 3 or 4, their neighbours 30 to 59 lose from then on, units 60 to 89 are far away."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"unit": np.repeat(np.arange(UNITS), PERIODS), "period": np.tile(np.arange(PERIODS), UNITS)})
    start = np.where(np.arange(UNITS) % 2 == 0, 3, 4)
    rows["cohort"] = np.where(rows["unit"] < 30, start[rows["unit"]], 0)
    near = (rows["unit"] >= 30) & (rows["unit"] < 60) & (rows["period"] >= start[rows["unit"] % 30])
    treated = (rows["cohort"] > 0) & (rows["period"] >= rows["cohort"])
    outcome = rows["unit"] * 0.1 + rows["period"] + gain * treated - loss * near
    return rows.assign(y=outcome + noise * rng.normal(size=len(rows)))


def test_exposure_starts_with_the_first_neighbour(panel: Any) -> None:
    sample, _ = panel(_rows())
    pairs = pd.concat([NEIGHBOURS, pd.DataFrame({"unit": [30, 89], "neighbour": [1, 70]})])
    start = exposure(sample, pairs).groupby(sample.frame["unit"]).first()
    assert start.loc[30] == 3  # of neighbours that start in 3 (unit 0) and 4 (unit 1)
    assert start.loc[31] == 4
    assert pd.isna(start.loc[89])  # its neighbour is never treated
    assert pd.isna(start.loc[0])


def test_without_noise_the_three_numbers_are_exact(panel: Any) -> None:
    """The exposed lose 1; without them the gain is 2.

    As it is: of 60 untreated units 15 lose from period 3 on, 30 from 4 on. Start 3, base 2: 2 + ¼, 2 + ½, 2 + ½; start
    4, base 3: 2 + ¼ twice. The mean of 2 + 5/12 and 2 + 1/4 is 2 + 1/3.
    """
    sample, design = panel(_rows(noise=0.0))
    found = displacement(sample, design, NEIGHBOURS)
    np.testing.assert_allclose(found.table["estimate"], [7 / 3, -1.0, 2.0, 1 / 3], atol=1e-12)
    assert found.table["estimate_of"].tolist() == ["as_it_is", "indirect", "without", "difference"]
    assert found.check.value == 0.5
    assert found.check.check == "interference.displacement"


def test_with_noise_the_planted_loss_is_inside_its_interval(panel: Any) -> None:
    found = displacement(*panel(_rows()), NEIGHBOURS).table.set_index("estimate_of")
    for name, truth in {"as_it_is": 7 / 3, "indirect": -1.0, "without": 2.0, "difference": 1 / 3}.items():
        assert abs(found.loc[name, "estimate"] - truth) < 4 * found.loc[name, "std_error"]
    assert found.loc["indirect", "ci_high"] < 0


def test_the_first_number_is_that_of_the_evaluation(panel: Any) -> None:
    sample, design = panel(_rows())
    own = did_estimators.estimate(sample, design).headline.estimate[0]
    assert displacement(sample, design, NEIGHBOURS).effects.estimate[0] == own


def test_the_error_of_the_difference_knows_that_units_are_shared(panel: Any) -> None:
    found = displacement(*panel(_rows()), NEIGHBOURS).table.set_index("estimate_of")["std_error"]
    assert found["difference"] < np.hypot(found["as_it_is"], found["without"])


@pytest.mark.parametrize("pairs", [NEIGHBOURS.iloc[:0], pd.DataFrame({"unit": np.arange(30, 90), "neighbour": 0})])
def test_where_nobody_or_everybody_is_exposed_nothing_can_be_told(panel: Any, pairs: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="E-IMP-366"):
        displacement(*panel(_rows()), pairs)
