"""Trials with saturations: means by hand, known truths, groups as clusters, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import finding, inference
from evaluation.impact.saturation import Saturated, saturation_effects
from evaluation.settings.designs import Outcome

OUTCOME = Outcome(column="y", role="primary", unit="points", better="higher")
# Groups of four, two at saturation 0 (means 2.5 and 1.5), two at one half: treated 5 7 and 7 5, untreated 3 4 and 2 3.
BY_HAND = pd.DataFrame(
    {
        "unit": np.arange(16),
        "cluster_1": np.repeat(["a", "b", "c", "d"], 4),
        "saturation": np.repeat([0.0, 0.0, 0.5, 0.5], 4),
        "treated": [False] * 8 + [True, True, False, False] * 2,
        "outcome_1": [3.0, 2, 3, 2, 1, 2, 2, 1, 5, 7, 3, 4, 7, 5, 2, 3],
        "weight": 1.0,
    }
)


def _estimates(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    parts = saturation_effects(Saturated.of(frame, "outcome_1"), OUTCOME)
    return {
        (row.term, row.subgroup): value
        for part in parts
        for row, value in zip(part.labels.itertuples(), part.estimate, strict=True)
    }


def _world(rng: np.random.Generator, *, groups: int = 60, size: int = 20, **effects: float) -> pd.DataFrame:
    """Groups with a common shock; `direct` for the treated, `indirect` per share treated for everybody in the group."""
    group = np.repeat(np.arange(groups), size)
    share = rng.permutation(np.repeat([0.0, 0.25, 0.75], groups // 3))[group]
    order = rng.random(groups * size).reshape(groups, size).argsort(axis=1).argsort(axis=1).ravel()
    treated = order < share * size
    outcome = rng.normal(size=groups)[group] * 0.3 + rng.normal(size=groups * size)
    outcome += effects["direct"] * treated + effects["indirect"] * share
    return pd.DataFrame(
        {
            "unit": np.arange(groups * size), "cluster_1": group, "saturation": share, "treated": treated,
            "outcome_1": outcome, "weight": 1.0,
        }
    )  # fmt: skip


# by hand --------------------------------------------------------------------------------------------------------------


def test_effects_by_hand() -> None:
    # m(1, .5) = 6, m(0, .5) = 3, m(0, 0) = 2; everybody at one half: 4.5
    assert _estimates(BY_HAND) == {
        ("direct", "saturation 0.5"): pytest.approx(3.0),
        ("indirect", "saturation 0.5"): pytest.approx(1.0),
        ("total", "saturation 0.5"): pytest.approx(4.0),
        ("overall", "saturation 0.5"): pytest.approx(2.5),
    }


def test_errors_are_those_of_groups_by_hand() -> None:
    """CR0: sums of residuals by group over the size of their cell.

    Untreated at one half: +1 and -1 over 4 each: .0625 · 2 = .125. At zero: +2 and -2 over 8: .125. The treated sum to
    zero in both groups. So direct .125, indirect .25, total .125. Overall: 19 - 18 = 1 and -1 over 8: .03125 + .125.
    """
    people = Saturated.of(BY_HAND, "outcome_1")
    clusters = BY_HAND.set_index("unit")[["cluster_1"]]
    by_arm, overall = saturation_effects(people, OUTCOME)
    variances = np.diag(inference.covariance(by_arm, clusters, kind="cr0").matrix)
    np.testing.assert_allclose(variances, [0.125, 0.25, 0.125], rtol=1e-12)
    assert inference.covariance(overall, clusters, kind="cr0").matrix.item() == pytest.approx(0.15625)


def test_sampling_weights_weigh_the_means() -> None:
    heavy = BY_HAND.assign(
        weight=np.where(BY_HAND["unit"] == 9, 3.0, 1.0)
    )  # the treated 7 of group c counts three times
    assert _estimates(heavy)["direct", "saturation 0.5"] == pytest.approx((5 + 21 + 7 + 5) / 6 - 3)


def test_without_a_pure_comparison_group_the_lowest_saturation_is_the_reference() -> None:
    frame = BY_HAND.assign(saturation=np.repeat([0.25, 0.25, 0.5, 0.5], 4))
    frame.loc[[0, 4], "treated"] = True  # outcomes 3 and 1
    found = _estimates(frame)
    assert found["direct", "saturation 0.25"] == pytest.approx(2 - 2)
    assert found["indirect", "saturation 0.5"] == pytest.approx(3 - 2)


# laws and truths ------------------------------------------------------------------------------------------------------


def test_total_is_direct_plus_indirect_and_overall_their_mean_by_share() -> None:
    found = _estimates(_world(np.random.default_rng(1), direct=1.0, indirect=-0.4))
    for share in (0.25, 0.75):
        name = f"saturation {share:g}"
        assert found["total", name] == pytest.approx(found["direct", name] + found["indirect", name])
        mean = share * found["total", name] + (1 - share) * found["indirect", name]
        assert found["overall", name] == pytest.approx(mean)


def test_planted_spillovers_are_found_with_honest_intervals() -> None:
    """Over 40 draws the means of the estimates lie within three errors of the truth, and 95 % intervals cover.

    With 40 draws coverage has a standard error of .034: four below 95 % is .81.
    """
    rng, found, covered = np.random.default_rng(7), [], []
    truth = np.array([1.0, -0.1, 0.9, 1.0, -0.3, 0.7])
    for _ in range(40):
        frame = _world(rng, direct=1.0, indirect=-0.4)
        effects, _ = saturation_effects(Saturated.of(frame, "outcome_1"), OUTCOME)
        table = inference.summarize(effects, frame.set_index("unit")[["cluster_1"]], kind="cr1")
        found.append(table["estimate"].to_numpy())
        covered.append((table["ci_low"] <= truth) & (truth <= table["ci_high"]))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(np.mean(found, axis=0) - truth) < 3 * error).all()
    assert np.mean(covered, axis=0).min() > 0.81


# in an experiment -----------------------------------------------------------------------------------------------------


def _experiment(arms: Any, frame: pd.DataFrame) -> Any:
    return arms(
        "experiment",
        frame["outcome_1"],
        frame["treated"],
        cluster=[f"g{group}" for group in frame["cluster_1"]],
        more={"saturation": frame["saturation"].to_numpy()},
        saturation="s",
    )


def test_an_experiment_with_saturations_says_who_is_affected_how(arms: Any) -> None:
    found = finding.estimate(*_experiment(arms, _world(np.random.default_rng(1), direct=1.0, indirect=-0.4)))
    table = found.tables["saturation_effects"]
    assert table["term"].tolist() == ["direct", "indirect", "total"] * 2 + ["overall"] * 2
    assert (table["reason"] == "").all()
    rows = found.effects[found.effects["term"] == "indirect"]
    assert rows["subgroup"].tolist() == ["saturation 0.25", "saturation 0.75"]
    check = next(check for check in found.checks if check.check == "interference.displacement")
    assert check.value == pytest.approx(400 / 800)  # 300 + 100 untreated people with treated neighbours, 400 without
    assert any("50% have treated neighbours" in note for note in found.notes)


def test_few_groups_get_no_interval(arms: Any) -> None:
    found = finding.estimate(*_experiment(arms, BY_HAND))
    assert found.tables["saturation_effects"]["ci_low"].isna().all()


# refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [-0.1, 50.0, np.nan])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="E-IMP-363"):
        Saturated.of(BY_HAND.assign(saturation=share), "outcome_1")


def test_a_group_of_two_saturations_is_refused() -> None:
    with pytest.raises(DataError, match="E-IMP-364"):
        Saturated.of(BY_HAND.assign(saturation=np.tile([0.0, 0.5], 8)), "outcome_1")


@pytest.mark.parametrize(
    "changes",
    [{"saturation": 0.5}, {"treated": True}, {"treated": [True] + [False] * 15}],
    ids=["one", "all", "at zero"],
)
def test_saturations_that_compare_nobody_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="E-IMP-365"):
        Saturated.of(BY_HAND.assign(**changes), "outcome_1")
