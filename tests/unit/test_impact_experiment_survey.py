"""Samples drawn from a population: linearised variances by hand, shares drawn, weights, refusals, columns read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import experiment, inference
from evaluation.impact.effects import Effects
from evaluation.sample import prepare
from evaluation.settings.designs import ExperimentDesign


def _effects(influence: list[float]) -> Effects:
    return Effects(
        estimate=np.zeros(1),
        labels=pd.DataFrame({"term": ["ate"]}),
        influence=np.array(influence)[:, None],
        units=pd.RangeIndex(len(influence)),
    )


def _by_unit(values: list[Any], name: str) -> pd.Series:
    return pd.Series(values, name=name)


def test_two_strata_by_hand() -> None:
    # Four units, n = 4. Stratum a: z = 3/4, -1/4, mean 1/4: 2 (1/4 + 1/4) = 1. Stratum b: z = -1/2, 0: 2 (1/16 + 1/16).
    # V = 1 + 1/4 = 5/4, four units less two strata: 2 degrees of freedom. Half of stratum a drawn (N = 4): 1/2 + 1/4.
    effects, stratum = _effects([3.0, -1, -2, 0]), _by_unit(["a", "a", "b", "b"], "h")
    found = inference.linearised(effects, inference.Sampling(stratum=stratum))
    assert (found.matrix[0, 0], found.df[0], found.n_clusters) == (pytest.approx(1.25), 2, {})
    population = _by_unit([4.0, 4, np.inf, np.inf], "N")
    found = inference.linearised(effects, inference.Sampling(stratum=stratum, population=population))
    assert found.matrix[0, 0] == pytest.approx(0.75)


def test_sampling_units_count_within_their_stratum() -> None:
    # Both strata have units 1 and 2; taken together by name they would be two, not four.
    effects = _effects([3.0, -1, -2, 0])
    sampling = inference.Sampling(unit=_by_unit([1, 2, 1, 2], "psu"), stratum=_by_unit(["a", "a", "b", "b"], "h"))
    found = inference.linearised(effects, sampling)
    assert (found.matrix[0, 0], found.n_clusters) == (pytest.approx(1.25), {"psu": 4})


def test_one_stratum_of_sampling_units_is_clusters_with_their_factor() -> None:
    influence = np.random.default_rng(20251120).normal(size=40)
    effects, unit = _effects(list(influence - influence.mean())), _by_unit(list(np.arange(40) // 5), "psu")
    plain = inference.covariance(effects, pd.DataFrame({"psu": unit})).matrix[0, 0]
    found = inference.linearised(effects, inference.Sampling(unit=unit)).matrix[0, 0]
    assert found == pytest.approx(plain * 8 / 7, rel=1e-12)
    everybody = inference.Sampling(unit=unit, population=_by_unit([8.0] * 40, "N"))
    assert inference.linearised(effects, everybody).matrix[0, 0] == 0  # the whole population was drawn


def test_the_order_of_units_changes_nothing() -> None:
    effects, order = _effects([3.0, -1, -2, 0]), [2, 0, 3, 1]
    stratum = _by_unit(["a", "a", "b", "b"], "h")
    first = inference.linearised(effects, inference.Sampling(stratum=stratum)).matrix
    moved = inference.linearised(effects, inference.Sampling(stratum=stratum.iloc[order])).matrix
    np.testing.assert_array_equal(first, moved)


def test_a_lonely_sampling_unit_is_refused_or_told_apart() -> None:
    effects = _effects([3.0, -1, -2, 0])
    unit, stratum = _by_unit([1, 2, 3, 3], "psu"), _by_unit(["a", "a", "b", "b"], "h")
    with pytest.raises(DataError) as caught:
        inference.linearised(effects, inference.Sampling(unit=unit, stratum=stratum))
    assert (caught.value.code, caught.value.where) == ("E-IMP-263", "b")
    # Stratum a alone gives 1; b adds its deviation from the mean of all three sums, 0: (-2/4)² = 1/4.
    sure = inference.linearised(effects, inference.Sampling(unit=unit, stratum=stratum, lonely="certainty"))
    centre = inference.linearised(effects, inference.Sampling(unit=unit, stratum=stratum, lonely="centre"))
    assert (sure.matrix[0, 0], centre.matrix[0, 0]) == pytest.approx((1.0, 1.25))
    with pytest.raises(DataError) as caught:
        inference.linearised(effects, inference.Sampling(unit=_by_unit([1] * 4, "psu")))
    assert (caught.value.code, caught.value.where) == ("E-IMP-263", "the whole sample")


@pytest.mark.parametrize("population", [[1.0, 1, 9, 9], [8.0, 9, 9, 9]])
def test_a_population_smaller_than_the_sample_or_of_two_sizes_is_refused(population: list[float]) -> None:
    sampling = inference.Sampling(stratum=_by_unit(["a", "a", "b", "b"], "h"), population=_by_unit(population, "N"))
    with pytest.raises(DataError) as caught:
        inference.linearised(_effects([3.0, -1, -2, 0]), sampling)
    assert (caught.value.code, caught.value.where) == ("E-IMP-264", "a")


def test_a_whole_population_still_has_the_chance_of_the_assignment() -> None:
    # All eight sampling units drawn: nothing of the draw is left; each unit's own assignment is.
    influence = np.random.default_rng(20251120).normal(size=40)
    effects, unit = _effects(list(influence - influence.mean())), _by_unit(list(np.arange(40) // 5), "psu")
    everybody = inference.Sampling(
        unit=unit, population=_by_unit([8.0] * 40, "N"), assigned=_by_unit(list(range(40)), "unit")
    )
    found = inference.linearised(effects, everybody).matrix
    np.testing.assert_allclose(found, inference.covariance(effects).matrix, rtol=1e-12)


# in an experiment -----------------------------------------------------------------------------------------------------

VILLAGES = "\n".join(
    ["id,arm,score,w,answered,stratum,village,villages,came"]
    + [
        f"{i},{i % 2},{(i * 37) % 11 + 3 * (i % 2)},{1 + i % 3},{1 + (i % 5) / 10},{'ab'[i // 40]},v{i // 4 % 10},30,"
        f"{int(i % 2 and i % 3 > 0)}"
        for i in range(80)
    ]
)


def _design(**options: Any) -> ExperimentDesign:
    return ExperimentDesign.model_validate(
        {
            "id": "villages",
            "data": {"file": "data.csv"},
            "unit": "id",
            "outcomes": [{"column": "score", "unit": "points", "better": "higher"}],
            "treatment": "arm",
            **options,
        }
    )


def _prepared(folder: Path, text: str = VILLAGES, **options: Any) -> tuple[Any, ExperimentDesign]:
    (folder / "data.csv").write_text(text, encoding="utf-8")
    design = _design(**options)
    return prepare(design, root=folder), design


SURVEY = {"strata": "stratum", "sampling_unit": "village", "population": "villages"}


def test_the_columns_of_a_survey_are_read_and_used(tmp_path: Path) -> None:
    sample, design = _prepared(tmp_path, weight="w", response_weight="answered", survey=SURVEY)
    named = ["sampling_unit", "sampling_stratum", "sampling_population", "response_weight"]
    assert sample.frame[named].iloc[0].tolist() == ["v0", "a", 30.0, 1.0]
    assert sample.codebook.set_index("canonical").loc["sampling_unit", "column"] == "village"
    block = experiment.estimate(sample, design).blocks[0]
    table, weight = sample.frame, sample.frame["weight"] * sample.frame["response_weight"]
    means = [np.average(table["outcome_1"][arm], weights=weight[arm]) for arm in (table["treated"], ~table["treated"])]
    assert block.effects.estimate[0] == pytest.approx(means[0] - means[1], rel=1e-12)
    # z of a village: sum over its rows of w (y - mean of the arm) / sum of the arm's w, with the sign of the arm.
    sides = table["treated"].to_numpy()
    z = weight * (table["outcome_1"] - np.where(sides, means[0], means[1]))
    z = z / np.where(sides, weight[sides].sum(), -weight[~sides].sum())
    villages = z.groupby([table["sampling_stratum"], table["sampling_unit"]]).sum().unstack(0)
    variance = sum((1 - 10 / 30) * 10 / 9 * ((villages[h] - villages[h].mean()) ** 2).sum() for h in "ab")
    variance += 10 / 30 * (z**2).sum()  # people were assigned one by one, and that chance is not a third smaller
    assert block.solved().std_error[0] == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert block.solved().df[0] == 18
    assert "sampling units less strata" in block.solved().describe()


def test_all_effects_of_a_survey_follow_its_draw(tmp_path: Path) -> None:
    sample, design = _prepared(tmp_path, survey=SURVEY, takeup="came", subgroups=["stratum"], cluster=["village"])
    found = experiment.estimate(sample, design)
    assert {block.solved().kind for block in found.blocks} == {"linearised"}
    row = found.tables["complier_effects"].iloc[0]
    assert row["ar_low"] < row["estimate"] < row["ar_high"]
    assert np.isfinite(found.tables["subgroup_tests"].loc[0, "p_value"])


def test_villages_in_few_of_an_arm_give_no_interval(tmp_path: Path) -> None:
    # The arm is drawn by village; three of ten are treated.
    text = "\n".join(["id,arm,score,village", *(f"{i},{int(i // 8 < 3)},{(i * 37) % 11},v{i // 8}" for i in range(80))])
    sample, design = _prepared(tmp_path, text, survey={"sampling_unit": "village"})
    row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    assert "treated clusters: 3" in row["reason"]


def test_rows_without_a_sampling_unit_leave_and_are_counted(tmp_path: Path) -> None:
    sample, _ = _prepared(tmp_path, VILLAGES.replace(",v3,", ",,"), survey=SURVEY, response_weight="answered")
    step = {step.step: step.dropped for step in sample.flow}
    assert step["missing_sampling_unit"] == 8
