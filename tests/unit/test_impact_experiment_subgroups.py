"""Groups with different effects: declared beforehand with a joint test, or searched for and measured on other units."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.impact import experiment, finding, subgroups
from evaluation.impact.experiment_convention import Convention


def _people(n: int = 400, gap: float = 0.0, seed: int = 20251130) -> dict[str, Any]:
    """Half are treated; the effect is 1, and larger by `gap` for women."""
    rng = np.random.default_rng(seed)
    sex, age = rng.choice(["f", "m"], n), rng.integers(18, 66, n).astype(float)
    treated = rng.permutation(n) % 2 == 0
    return {
        "y": treated * (1 + gap * (sex == "f")) + rng.normal(size=n),
        "d": treated,
        "sex": sex,
        "age": age,
        "area": rng.choice(["north", "south", "west"], n),
    }


def _declared(arms: Any, people: dict[str, Any], columns: tuple[str, ...], **options: Any) -> tuple[Any, Any]:
    sample, design = arms("experiment", people["y"], people["d"], subgroups=list(columns), **options)
    for number, column in enumerate(columns, start=1):
        sample.frame[f"subgroup_{number}"] = people[column]
    return sample, design


def _named(sample: Any, columns: tuple[str, ...]) -> Any:
    return replace(sample, names={**sample.names, **{f"subgroup_{k}": c for k, c in enumerate(columns, start=1)}})


def test_declared_effects_are_those_of_each_group_alone(arms: Any) -> None:
    people = _people(gap=0.8)
    sample, design = _declared(arms, people, ("sex",))
    found = experiment.estimate(_named(sample, ("sex",)), design)
    table = found.blocks[1].table(0.95)
    assert table["subgroup"].tolist() == ["sex = f", "sex = m", "sex = f − m"]
    assert table["term"].tolist() == ["subgroup", "subgroup", "contrast"]
    errors = []
    for row, sex in zip(table.itertuples(), "fm", strict=False):
        here = people["sex"] == sex
        alone = experiment.estimate(*arms("experiment", people["y"][here], people["d"][here])).blocks[0].table(0.95)
        assert (row.estimate, row.std_error) == pytest.approx((alone["estimate"][0], alone["std_error"][0]), rel=1e-10)
        errors.append(row.std_error)
    assert table["std_error"].iloc[2] == pytest.approx(np.hypot(*errors), rel=1e-10)


def test_the_test_of_equal_effects_of_two_groups_is_that_of_their_difference(arms: Any) -> None:
    sample, design = _declared(arms, _people(), ("sex", "area"))
    found = experiment.estimate(_named(sample, ("sex", "area")), design)
    tests = found.tables["subgroup_tests"].set_index("column")
    contrast = found.blocks[1].table(0.95).iloc[2]
    assert tests.loc["sex", "statistic"] == pytest.approx((contrast["estimate"] / contrast["std_error"]) ** 2)
    assert tests.loc["sex", "p_value"] == pytest.approx(contrast["p_value"], rel=1e-8)
    assert tests["kind"].tolist() == ["declared", "declared"]
    assert tests["df"].tolist() == [1, 2]
    smaller = tests["p_value"].min()
    assert tests["p_adjusted"].min() == pytest.approx(min(1.0, 2 * smaller))  # Holm over two columns


def test_three_groups_are_equal_by_the_wald_test_written_out(arms: Any) -> None:
    people = _people()
    sample, design = _declared(arms, people, ("area",))
    found = experiment.estimate(_named(sample, ("area",)), design)
    effects = found.blocks[1].effects.select(np.arange(6) < 3)
    matrix = found.blocks[1].solved().matrix[:3, :3]
    c = np.array([[1.0, -1, 0], [1, 0, -1]])
    difference = c @ effects.estimate
    w = difference @ np.linalg.solve(c @ matrix @ c.T, difference)
    row = found.tables["subgroup_tests"].iloc[0]
    assert row["statistic"] == pytest.approx(w, rel=1e-9)
    assert row["p_value"] == pytest.approx(stats.f.sf(w / 2, 2, row["df_denominator"]), rel=1e-9)


def test_effects_by_level_are_adjusted_over_all_levels(arms: Any) -> None:
    sample, design = _declared(arms, _people(), ("sex", "area"), inference={"adjustment": "romano_wolf"})
    table = experiment.estimate(_named(sample, ("sex", "area")), design).tables["subgroup_effects"]
    assert table["subgroup"].tolist() == ["sex = f", "sex = m", "area = north", "area = south", "area = west"]
    assert table["p_adjusted"].min() == pytest.approx(min(1.0, 5 * table["p_value"].min()))
    assert set(table["kind"]) == {"declared"}


def test_groups_covary_within_clusters(arms: Any) -> None:
    people, cluster = _people(), np.arange(400) // 20
    noise = np.random.default_rng(1).normal(size=20)[cluster] * people["d"] * 3
    sample, design = _declared(arms, {**people, "y": people["y"] + noise}, ("sex",), cluster=cluster)
    assert experiment.estimate(sample, design).blocks[1].solved().matrix[0, 1] > 0


def test_what_has_no_group_or_one_arm_is_said(arms: Any) -> None:
    people = _people()
    sex = people["sex"].astype(object)
    sex[:7], sex[7:9] = None, "x"
    treated = np.where(sex == "x", True, people["d"])
    sample, design = _declared(arms, {**people, "sex": sex, "d": treated}, ("sex",))
    found = experiment.estimate(_named(sample, ("sex",)), design)
    assert "7 rows without a value of sex count in the headline only." in found.notes
    assert "No effect for sex = x: fewer than two units in an arm." in found.notes


def test_a_column_of_one_group_says_nothing(arms: Any) -> None:
    people = _people()
    sample, design = _declared(arms, {**people, "sex": np.full(400, "f")}, ("sex",))
    found = experiment.estimate(sample, design)
    assert len(found.blocks) == 1
    assert "subgroup_tests" not in found.tables


def test_subgroups_and_horizons_stand_in_the_finding(arms: Any) -> None:
    people = _people()
    sample, design = _declared(arms, people, ("sex",), secondary={"later": people["y"] + 1})
    horizons = {"y": 6.0, "later": 24.0}
    outcomes = [one.model_copy(update={"horizon_months": horizons[one.name]}) for one in design.outcomes]
    design = design.model_copy(update={"outcomes": tuple(outcomes)})
    found = finding.estimate(_named(sample, ("sex",)), design)
    table = found.effects
    assert table[table["role"].isin(["headline", "secondary"])]["horizon"].tolist() == [6.0, 24.0]
    assert table[table["subgroup"].notna()]["horizon"].tolist() == [6.0] * 3
    assert table["p_adjusted"].notna().tolist() == [True, True, False, False, False]
    assert {"subgroup_tests", "subgroup_effects"} <= set(found.tables)


# searched for ---------------------------------------------------------------------------------------------------------


def _explored(arms: Any, people: dict[str, Any], **options: Any) -> pd.DataFrame | None:
    explore = options.pop("explore", {"seed": 1})
    covariates = {name: people[name] for name in ("sex", "age")}
    covariates["sex"] = pd.Categorical(covariates["sex"])
    sample, design = arms("experiment", people["y"], people["d"], covariates, explore=explore, **options)
    return subgroups.explored(sample, design, Convention.of(sample, design))


def test_a_planted_difference_is_found_and_measured_on_other_units(arms: Any) -> None:
    table = _explored(arms, _people(1000, gap=2.0))
    assert table is not None
    assert table["rule"].tolist() == ["sex = m"] * 2
    assert table["part"].tolist() == ["search", "honest"]
    assert set(table["kind"]) == {"exploratory"}
    search, honest = table.iloc[0], table.iloc[1]
    assert search["units"] + honest["units"] == 1000
    assert search[["ci_low", "ci_high", "p_value"]].isna().all()
    assert abs(honest["difference"] + 2) < 4 * honest["std_error"]
    assert honest["ci_low"] < honest["difference"] < honest["ci_high"]
    assert honest["outside"] - honest["inside"] == pytest.approx(-honest["difference"])


def test_the_honest_part_does_not_exaggerate_what_the_search_found(arms: Any) -> None:
    # No difference anywhere. The search's |t| is the largest of four; the honest t is one draw of a standard normal:
    # mean of squares 1 (standard error of 40 draws: sqrt(2/40) = .22), against more than 2 for the largest of four.
    tables = [_explored(arms, _people(200, seed=seed)) for seed in range(40)]
    t = np.array([(table["difference"] / table["std_error"]).to_numpy() for table in tables if table is not None])
    assert len(t) == 40
    assert np.mean(t[:, 0] ** 2) > 1.6
    assert np.mean(t[:, 1] ** 2) < 1.6


def test_whole_clusters_are_on_one_side_of_the_split(arms: Any) -> None:
    people, cluster = _people(), np.arange(400) // 10
    treated = cluster % 2 == 0
    covariates = {"age": people["age"]}
    sample, design = arms(
        "experiment", people["y"], treated, covariates, cluster=cluster, explore={"share": 0.4, "seed": 3}
    )
    searching = subgroups._split(sample.frame, design, design.explore)
    by_cluster = pd.Series(searching).groupby(cluster).nunique()
    assert (by_cluster == 1).all()
    share = (
        pd.DataFrame({"s": searching, "c": cluster, "d": treated}).groupby(["d", "c"])["s"].first().groupby("d").sum()
    )
    assert share.tolist() == [8, 8]  # .4 of 20 in each arm


def test_the_order_of_rows_decides_nothing(arms: Any) -> None:
    people = _people()
    order = np.random.default_rng(2).permutation(400)
    first = _explored(arms, people, unit=np.arange(400))
    moved = _explored(arms, {name: values[order] for name, values in people.items()}, unit=order)
    assert first is not None
    pd.testing.assert_frame_equal(first, moved)


def test_groups_too_small_to_measure_are_not_proposed(arms: Any) -> None:
    assert _explored(arms, _people(30)) is None
    table = _explored(arms, _people(gap=1.0), explore={"columns": ["age"], "seed": 1})
    assert table is not None
    assert set(table["covariate"]) == {"age"}


def test_without_a_wish_nothing_is_searched(arms: Any) -> None:
    people = _people()
    found = experiment.estimate(*arms("experiment", people["y"], people["d"], {"age": people["age"]}))
    assert "exploratory_subgroups" not in found.tables
    sample, design = arms("experiment", people["y"], people["d"], {"age": people["age"]}, explore={})
    assert "exploratory_subgroups" in experiment.estimate(sample, design).tables
