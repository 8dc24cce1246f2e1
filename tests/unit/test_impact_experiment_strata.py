"""Strata averaged by their shares, and pairs by their sizes: by hand, beside the regression, refusals."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import experiment, finding
from evaluation.impact.paired import Pairs


def _row(found: Any, number: int = 0) -> pd.Series:
    return found.blocks[0].table(0.95).iloc[number]


def _stratified(n: int = 120) -> dict[str, Any]:
    rng = np.random.default_rng(20251121)
    stratum = np.repeat(["a", "b", "c"], [n // 2, n // 3, n - n // 2 - n // 3])
    treated = rng.permutation(n) % 3 == 0
    x = rng.normal(size=n) + (stratum == "b")
    return {"y": x + treated * (1 + (stratum == "c") + x) + rng.normal(size=n), "d": treated, "s": stratum, "x": x}


def test_two_strata_by_hand(arms: Any) -> None:
    # a (4 of 10 units): 5, 7 against 1, 3: 4, variance 2/2 + 2/2 = 2. b (6 of 10): 2, 4, 6 against 1, 1, 4: 2, variance
    # 4/3 + 3/3 = 7/3. Effect .4 x 4 + .6 x 2 = 2.8, variance .16 x 2 + .36 x 7/3 = 1.16.
    outcome = np.array([5.0, 7, 1, 3, 2, 4, 6, 1, 1, 4])
    treated = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0]) == 1
    stratum = np.repeat(["a", "b"], [4, 6])
    found = experiment.estimate(*arms("experiment", outcome, treated, stratum=stratum, strata_effects="by_stratum"))
    covariance = found.blocks[0].solved()
    assert found.blocks[0].effects.estimate[0] == pytest.approx(2.8)
    assert covariance.matrix[0, 0] == pytest.approx(1.16)
    assert covariance.df[0] == 6


def test_weights_make_the_shares(arms: Any) -> None:
    drawn = _stratified()
    weight = np.where(drawn["s"] == "c", 4.0, 1.0)
    sample, design = arms(
        "experiment", drawn["y"], drawn["d"], stratum=drawn["s"], weight=weight, strata_effects="by_stratum"
    )
    means = pd.DataFrame(drawn).groupby(["s", "d"])["y"].mean().unstack()
    shares = pd.Series(weight).groupby(drawn["s"]).sum() / weight.sum()
    assert _row(experiment.estimate(sample, design))["estimate"] == pytest.approx(shares @ (means[True] - means[False]))


def test_lin_within_strata_centres_in_each_and_weighs_by_share(arms: Any) -> None:
    # Without noise: the effect in a stratum at its own mean of x is known, so is their mean.
    drawn = _stratified()
    base = pd.Series(drawn["x"]).groupby(drawn["s"]).transform("mean").to_numpy()
    effect = np.select([drawn["s"] == "a", drawn["s"] == "b"], [1.0, 3.0], 5.0)
    outcome = drawn["x"] + drawn["d"] * (effect + 2 * (drawn["x"] - base))
    sample, design = arms(
        "experiment",
        outcome,
        drawn["d"],
        {"x": drawn["x"]},
        stratum=drawn["s"],
        strata_effects="by_stratum",
        adjustment="lin",
    )
    assert _row(experiment.estimate(sample, design))["estimate"] == pytest.approx(effect.mean(), abs=1e-9)


def test_equal_effects_and_shares_make_both_ways_agree(arms: Any) -> None:
    drawn = _stratified()
    treated = np.arange(120) % 2 == 0
    both = [
        _row(experiment.estimate(*arms("experiment", drawn["y"], treated, stratum=drawn["s"], strata_effects=how)))
        for how in ("fixed_effects", "by_stratum")
    ]
    assert both[0]["estimate"] == pytest.approx(both[1]["estimate"], rel=1e-10)  # half of each stratum is treated


def test_no_note_of_a_mean_that_favours_large_strata(arms: Any) -> None:
    drawn = _stratified()
    treated = np.where(drawn["s"] == "a", np.arange(120) % 4 == 0, np.arange(120) % 2 == 0)
    notes = [
        experiment.estimate(*arms("experiment", drawn["y"], treated, stratum=drawn["s"], strata_effects=how)).notes
        for how in ("fixed_effects", "by_stratum")
    ]
    assert [any("of a stratum are treated" in note for note in found) for found in notes] == [True, False]


def test_territories_have_the_mean_of_their_own_strata(arms: Any) -> None:
    drawn, place = _stratified(240), np.where(np.arange(240) % 2 == 0, "rural", "urban")
    found = experiment.estimate(
        *arms("experiment", drawn["y"], drawn["d"], stratum=drawn["s"], territory=place, strata_effects="by_stratum")
    )
    table = found.blocks[1].table(0.95).set_index("territory")
    for name in ("rural", "urban"):
        here = place == name
        alone = _row(
            experiment.estimate(
                *arms(
                    "experiment",
                    drawn["y"][here],
                    drawn["d"][here],
                    stratum=drawn["s"][here],
                    strata_effects="by_stratum",
                )
            )
        )
        assert table.loc[name, "estimate"] == pytest.approx(alone["estimate"], rel=1e-10)
        assert table.loc[name, "std_error"] == pytest.approx(alone["std_error"], rel=1e-10)


def test_a_territory_with_a_thin_stratum_has_no_effect_and_is_named(arms: Any) -> None:
    drawn = _stratified()
    place = np.where((drawn["s"] == "a") | (np.arange(120) == 119), "rural", "urban")
    found = experiment.estimate(
        *arms("experiment", drawn["y"], drawn["d"], stratum=drawn["s"], territory=place, strata_effects="by_stratum")
    )
    assert "No effect for territories with fewer than two units in an arm: rural." in found.notes
    assert len(found.blocks) == 2  # the headline and the difference without strata


@pytest.mark.parametrize("assignment", ["individual", "cluster"])
def test_a_thin_stratum_is_refused_by_name(arms: Any, assignment: str) -> None:
    drawn = _stratified()
    stratum = np.where(np.arange(120) < 2, "thin", drawn["s"])
    treated = np.where(stratum == "thin", np.arange(120) == 0, np.arange(120) % 2 == 0)
    options: dict[str, Any] = {}
    if assignment == "cluster":  # in stratum a all treated are one cluster
        stratum, treated = drawn["s"], np.arange(120) // 5 % 2 == 0
        options = {"cluster": np.where((stratum == "a") & treated, 0, np.arange(120) // 5), "assignment": "cluster"}
    sample, design = arms("experiment", drawn["y"], treated, stratum=stratum, strata_effects="by_stratum", **options)
    with pytest.raises(DataError) as caught:
        experiment.estimate(sample, design)
    assert (caught.value.code, caught.value.where) == ("E-IMP-262", "a" if assignment == "cluster" else "thin")


# pairs ----------------------------------------------------------------------------------------------------------------

BY_SIZE = {"assignment": "paired", "strata_effects": "by_stratum"}


def test_pairs_of_single_units_are_the_paired_t_test(arms: Any) -> None:
    difference, level = np.array([1.0, 3, 2, 4, 0, 2]), np.array([10.0, 20, 30, 40, 50, 60])
    pair = np.tile(list("abcdef"), 2)
    row = _row(
        experiment.estimate(
            *arms("experiment", np.r_[level + difference, level], np.arange(12) < 6, stratum=pair, **BY_SIZE)
        )
    )
    assert row["estimate"] == pytest.approx(2.0)
    assert row["std_error"] == pytest.approx(np.sqrt(10 / 30), rel=1e-10)
    assert row["df"] == 5


def test_pairs_of_unequal_sizes_by_hand(arms: Any) -> None:
    # Pair a: 4 rows, difference 6 - 2 = 4. Pair b: 2 rows, difference 1. Pair c: 2 rows, difference 3. Shares 1/2, 1/4,
    # 1/4: effect 2 + 1/4 + 3/4 = 3. Parts less a third of 3: 1, -3/4, -1/4: V = 3/2 (1 + 9/16 + 1/16) = 39/16.
    outcome = np.array([5.0, 7, 1, 3, 4, 3, 9, 6])
    treated = np.array([1, 1, 0, 0, 1, 0, 1, 0]) == 1
    pair = np.array(list("aaaabbcc"))
    found = experiment.estimate(*arms("experiment", outcome, treated, stratum=pair, **BY_SIZE)).blocks[0]
    assert found.effects.estimate[0] == pytest.approx(3.0)
    assert found.solved().matrix[0, 0] == pytest.approx(39 / 16)
    assert found.solved().n_clusters == {"stratum": 3}


def test_pairs_of_clusters_have_effects_on_compliers(arms: Any) -> None:
    rng = np.random.default_rng(20251122)
    pair, treated = np.repeat(np.arange(12), 10), np.tile(np.repeat([True, False], 5), 12)
    took = (treated & (rng.uniform(size=120) < 0.7)).astype(float)
    sample, design = arms("experiment", 2.0 * took, treated, stratum=pair.astype(str), takeup="came", **BY_SIZE)
    sample.frame["takeup"] = took
    found = experiment.estimate(sample, design)
    row = found.tables["complier_effects"].iloc[0]
    assert row["estimate"] == pytest.approx(2.0)
    assert (row["ar_low"], row["ar_high"]) == pytest.approx((2.0, 2.0))  # no noise: nothing else is left
    assert found.blocks[0].solved().df[0] == 11


def test_pairs_that_lost_an_arm_are_left_out_and_counted(arms: Any) -> None:
    outcome, treated = np.array([5.0, 2, 9, 6, 8, 1, 3]), np.array([1, 0, 1, 0, 1, 0, 1]) == 1
    sample, design = arms("experiment", outcome, treated, stratum=np.array(list("aabbccd")), **BY_SIZE)
    found = experiment.estimate(sample, design)
    assert found.blocks[0].effects.estimate[0] == pytest.approx((3 + 3 + 7) / 3)
    (step,) = found.flow
    assert (step.step, step.dropped, step.left, step.reason) == ("incomplete_pairs", 1, 6, "1 pairs lack an arm")


def test_too_few_complete_pairs_are_refused() -> None:
    frame = pd.DataFrame({"stratum": list("aab"), "treated": [True, False, True], "weight": 1.0, "unit": range(3)})
    with pytest.raises(DataError) as caught:
        Pairs.of(frame)
    assert caught.value.code == "E-IMP-260"


def test_clusters_of_pairs_are_drawn_whole_when_the_draw_is_repeated(arms: Any) -> None:
    # Seven pairs of clusters of three: 2^7 draws, not those of 21 pairs of persons.
    rng = np.random.default_rng(20251123)
    cluster = np.repeat(np.arange(14), 3)
    sample, design = arms(
        "experiment",
        rng.normal(size=42) + rng.normal(size=14)[cluster],
        cluster % 2 == 0,
        stratum=(cluster // 2).astype(str),
        cluster=cluster,
        assignment="paired",
        inference={"test": "randomisation"},
    )
    said = finding.estimate(sample, design).headline["inference"]
    assert said.startswith("randomisation test by assignment of clusters within pairs")
    assert "all 128 assignments" in said


def test_pairs_by_size_can_have_a_wild_bootstrap_by_pair(arms: Any) -> None:
    rng = np.random.default_rng(20251124)
    cluster = np.repeat(np.arange(24), 4)
    sample, design = arms(
        "experiment",
        rng.normal(size=96) + 2.0 * (cluster % 2 == 0),
        cluster % 2 == 0,
        stratum=(cluster // 2).astype(str),
        cluster=cluster,
        inference={"test": "wild", "draws": 999},
        **BY_SIZE,
    )
    row = finding.estimate(sample, design).effects.iloc[0]
    assert row["ci_low"] < 2 < row["ci_high"]
    assert row["p_value"] < 0.05
