"""How matched sets are formed: by hand and against searches that try everything."""

from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import finding, matching, optimal
from evaluation.impact.cardinality import largest_balanced
from evaluation.impact.covariates import Covariates
from evaluation.impact.free_partners import ranked
from evaluation.impact.neighbours import NOBODY, nearest_with_replacement, nearest_without_replacement
from evaluation.impact.pair_rules import Rules
from evaluation.impact.strata import NO_SET, Strata, cells, coarse, sturges, subclasses
from evaluation.sample import prepare
from evaluation.settings.designs import MatchingDesign

FOCAL, POOL = np.arange(8), np.arange(8, 24)


def _points(seed: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(24, columns))


def _gaps(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[FOCAL][:, None] - points[POOL], axis=2)


# order, rules, ranges -------------------------------------------------------------------------------------------------


def test_the_closest_pair_is_made_first_by_hand() -> None:
    # .50 and .49 both want .48 (distances .02 and .01): .49 is closer and takes it, .50 takes .55.
    points = np.array([0.50, 0.49, 0.48, 0.55])[:, None]
    found = nearest_without_replacement(points, np.array([0, 1]), np.array([2, 3]), 1, closest=True)
    np.testing.assert_array_equal(found[:, 0], [3, 2])
    greedy = nearest_without_replacement(points, np.array([0, 1]), np.array([2, 3]), 1)
    np.testing.assert_array_equal(greedy[:, 0], [2, 3])


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_closest_order_is_that_of_brute_force(columns: int, seed: int) -> None:
    points = _points(seed, columns)
    left, expected = _gaps(points), np.full(8, NOBODY)
    for _ in FOCAL:
        i, j = np.unravel_index(left.argmin(), left.shape)
        expected[i] = POOL[j]
        left[i], left[:, j] = np.inf, np.inf
    found = nearest_without_replacement(points, FOCAL, POOL, 1, closest=True)
    np.testing.assert_array_equal(found[:, 0], expected)


@pytest.mark.parametrize("seed", range(10))
def test_equal_values_stand_in_the_order_of_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, rows = rng.integers(0, 5, 40).astype(float), rng.permutation(40)
    focal, pool = np.sort(rows[:15]), np.sort(rows[15:])
    ascending, before = ranked(values, focal, pool)
    np.testing.assert_array_equal(ascending, pool[np.lexsort((pool, values[pool]))])
    lower = [((values[pool] < values[i]) | ((values[pool] == values[i]) & (pool < i))).sum() for i in focal]
    np.testing.assert_array_equal(before, lower)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_forbidden_pairs_are_never_made_and_the_rest_is_brute_force(columns: int, seed: int) -> None:
    points, rng = _points(seed, columns), np.random.default_rng(seed)
    rules = Rules(calipers=((rng.normal(size=24), 1.0),), differ=(rng.integers(0, 3, 24),))
    gaps = np.where(rules.allow(FOCAL, np.broadcast_to(POOL, (8, 16))), _gaps(points), np.inf)
    found = nearest_with_replacement(points, FOCAL, POOL, 2, rules=rules)
    for i in FOCAL:
        order = [POOL[j] for j in np.argsort(gaps[i])[:2] if np.isfinite(gaps[i, j])]
        assert [row for row in found[i] if row != NOBODY] == order
    greedy = nearest_without_replacement(points, FOCAL, POOL, 1, rules=rules)[:, 0]
    for i in FOCAL:
        j = int(gaps[i].argmin())
        assert greedy[i] == (POOL[j] if np.isfinite(gaps[i, j]) else NOBODY)
        gaps[:, j] = np.where(np.isfinite(gaps[i, j]), np.inf, gaps[:, j])


def test_many_candidates_are_looked_through_until_one_is_allowed() -> None:
    # 200 of the pool are nearer, but all of the focal unit's own town; the one of the other town is the farthest.
    points = np.r_[0.0, np.linspace(0.01, 1, 200), 5.0][:, None]
    town = np.r_[np.zeros(201, dtype=int), 1]
    rules = Rules(differ=(town,))
    for search in (nearest_with_replacement, nearest_without_replacement):
        found = search(points, np.array([0]), np.arange(1, 202), 2, rules=rules)
        np.testing.assert_array_equal(found, [[201, NOBODY]])
        assert search(points, np.array([0]), np.arange(1, 202), 1, 4.0, rules=rules)[0, 0] == NOBODY


def test_designs_with_calipers_on_covariates_and_units_that_must_differ(arms: Any) -> None:
    rng = np.random.default_rng(20250120)
    age, town, treated = rng.uniform(20, 60, 80), rng.integers(0, 2, 80).astype(str), np.arange(80) < 25
    sample, design = arms(
        "matching",
        age,
        treated,
        {"age": age, "x": rng.normal(size=80)},
        more={"anti_exact_1": town},
        anti_exact=["town"],
        covariate_calipers=[{"column": "age", "width": 3}, {"column": "x", "width": 0.5, "unit": "sd"}],
    )
    matches = matching.match(sample, matching.place_units(sample, design), design)
    got = matches.partners[:, 0] != NOBODY
    one, other = matches.focal[got], matches.partners[got, 0]
    assert 0 < got.sum() < 25
    assert (np.abs(age[one] - age[other]) <= 3).all()
    assert (town[one] != town[other]).all()
    x = sample.frame["covariate_2"].to_numpy()
    assert (np.abs(x[one] - x[other]) <= 0.5 * x.std(ddof=1)).all()
    assert "within the calipers of age, x with another town" in matching.estimate(sample, design).notes[1]


def test_low_scores_get_the_most_partners(arms: Any) -> None:
    # Four treated, mean 2 of 1 to 4: four partners beyond the fewest, the lowest score has all 3 that it may, the next
    # the one left: 4, 2, 1, 1 from the lowest score upwards.
    score = np.r_[[0.8, 0.2, 0.4, 0.6], np.linspace(0.1, 0.9, 12)]
    sample, design = arms(
        "matching", score, np.arange(16) < 4, more={"score": score}, distance="score", score="s", ratio=2,
        ratio_range=[1, 4],
    )  # fmt: skip
    matches = matching.match(sample, matching.place_units(sample, design), design)
    np.testing.assert_array_equal((matches.partners != NOBODY).sum(axis=1), [1, 4, 2, 1])


def test_a_raw_caliper_is_in_the_unit_of_the_score(arms: Any) -> None:
    score = np.array([10.0, 20.0, 10.4, 21.0])
    options = {"distance": "score", "score": "s", "caliper": 0.5, "caliper_unit": "raw", "more": {"score": score}}
    sample, design = arms("matching", score, np.array([1, 1, 0, 0]), **options)
    matches = matching.match(sample, matching.place_units(sample, design), design)
    np.testing.assert_array_equal(matches.partners[:, 0], [2, NOBODY])
    assert matching.place_units(sample, design).score is None  # not a probability


def test_a_random_order_depends_on_its_seed_alone(arms: Any) -> None:
    x, treated = np.random.default_rng(20250121).normal(size=60), np.arange(60) < 25
    partners = []
    for seed in (1, 1, 2):
        sample, design = arms("matching", x, treated, {"x": x}, order="random", order_seed=seed)
        partners.append(matching.match(sample, matching.place_units(sample, design), design).partners)
    np.testing.assert_array_equal(partners[0], partners[1])
    assert (partners[0] != partners[2]).any()
    assert "random order (seed 2)" in matching.estimate(sample, design).notes[-1]


def test_everybody_looks_for_a_partner_for_the_effect_on_everybody(arms: Any) -> None:
    # Scores 1, 2 (treated), 1.1, 3 (others). Treated: 1 -> 1.1, 2 -> 1.1 (.9 < 1). Others: 1.1 -> 1, 3 -> 2.
    # Differences treated less other: 5 - 1, 7 - 1, 5 - 1, 7 - 2 = 4, 6, 4, 5; mean 4.75.
    score, outcome = np.array([1.0, 2.0, 1.1, 3.0]), np.array([5.0, 7.0, 1.0, 2.0])
    options = {"distance": "score", "score": "s", "replace": True, "estimand": "ate", "more": {"score": score}}
    found = matching.estimate(*arms("matching", outcome, np.array([1, 1, 0, 0]), **options))
    assert found.blocks[0].effects.estimate[0] == pytest.approx(4.75)
    assert found.blocks[0].effects.labels["term"].iloc[0] == "ate"
    np.testing.assert_allclose(found.balance_weights, [2, 2, 3, 1])


def test_units_outside_the_range_of_the_other_arm_are_discarded_and_said(arms: Any) -> None:
    score = np.array([0.2, 0.5, 0.9, 0.1, 0.4, 0.6, 0.3])
    treated = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
    options = {"distance": "score", "score": "s", "more": {"score": score}}
    for discard, kept in (("treated", 6), ("comparison", 6), ("both", 5)):
        sample, design = arms("matching", score, treated, **options, discard=discard)
        assert matching.place_units(sample, design).usable.sum() == kept
    found = matching.estimate(sample, design)
    assert found.notes[1].startswith("1 treated units have a score outside the range")
    assert found.flow[0].step == "discarded"
    assert (found.flow[0].dropped_treated, found.flow[0].dropped_comparison) == (1, 1)


def test_arms_whose_scores_do_not_overlap_are_refused(arms: Any) -> None:
    score = np.arange(6.0)
    options = {"distance": "score", "score": "s", "more": {"score": score}, "discard": "both"}
    with pytest.raises(DataError) as caught:
        matching.estimate(*arms("matching", score, score > 2, **options))
    assert caught.value.code == "E-IMP-200"


def test_scaled_distances_by_hand(arms: Any) -> None:
    # Within-arm variances (3 degrees of freedom less one: 4 rows, 2 arms): a: (1 + 1 + 1 + 1) / 2 = 2, b: 4 times that.
    a, b = np.array([0.0, 2.0, 0.0, 2.0]), np.array([0.0, 4.0, 4.0, 0.0])
    sample, design = arms("matching", a, np.array([1, 1, 0, 0]), {"a": a, "b": b}, distance="scaled_euclidean")
    points = matching.place_units(sample, design).points
    np.testing.assert_allclose(points, np.column_stack([a / np.sqrt(2), b / np.sqrt(8)]))


# total distances ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_optimal_pairs_are_those_of_all_permutations(seed: int) -> None:
    points = _points(seed, 2)
    focal, pool = np.arange(4), np.arange(4, 10)
    gaps = np.linalg.norm(points[focal][:, None] - points[pool], axis=2)
    least = min(gaps[focal, list(chosen)].sum() for chosen in permutations(range(6), 4))
    found = optimal.optimal_pairs(points, focal, pool, 1)[:, 0]
    assert np.linalg.norm(points[focal] - points[found], axis=1).sum() == pytest.approx(least)


def test_optimal_pairs_within_a_width_are_as_many_as_possible() -> None:
    # 0 can have .1 only (width .15), 0.2 can have .1 and .3: two pairs need 0.2 to take .3.
    points = np.array([0.0, 0.2, 0.1, 0.3])[:, None]
    found = optimal.optimal_pairs(points, np.array([0, 1]), np.array([2, 3]), 1, 0.15)
    np.testing.assert_array_equal(found[:, 0], [2, 3])
    assert (optimal.optimal_pairs(points, np.array([0]), np.array([3]), 1, 0.15) == NOBODY).all()


def test_optimal_triples_and_too_few_partners() -> None:
    points = np.array([0.0, 1.0, 0.1, 0.2, 0.9, 1.3])[:, None]
    found = optimal.optimal_pairs(points, np.array([0, 1]), np.array([2, 3, 4, 5]), 2)
    np.testing.assert_array_equal(found, [[2, 3], [4, 5]])
    with pytest.raises(DataError) as caught:
        optimal.optimal_pairs(points, np.array([0, 1]), np.array([2, 3, 4]), 2)
    assert caught.value.code == "E-IMP-201"


def test_what_is_too_large_is_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(optimal, "MOST_PAIRS", 10)
    with pytest.raises(DataError) as caught:
        optimal.optimal_pairs(_points(1, 1), FOCAL, POOL, 1)
    assert caught.value.code == "E-IMP-202"


def _least_cover(gaps: np.ndarray) -> float:
    """Each unit takes any one partner; the smallest total over all choices, each pair counted once."""
    m, p = gaps.shape
    best = np.inf
    for to in product(range(p), repeat=m):
        for back in product(range(m), repeat=p):
            pairs = {(i, j) for i, j in enumerate(to)} | {(i, j) for j, i in enumerate(back)}
            best = min(best, sum(gaps[pair] for pair in pairs))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_full_matching_has_the_least_total_distance_of_all_sets(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(7, 2))
    one, other = np.arange(3), np.arange(3, 7)
    first, second, total = optimal.full_sets(points, one, other)
    gaps = np.linalg.norm(points[one][:, None] - points[other], axis=2)
    assert total == pytest.approx(_least_cover(gaps))
    for number in range(first.max() + 1):  # one with several, never several with several
        sizes = (first == number).sum(), (second == number).sum()
        assert min(sizes) == 1
    within = sum(gaps[i, j] for i in range(3) for j in range(4) if first[i] == second[j])
    assert within == pytest.approx(total)


def test_full_matching_leaves_out_whom_nobody_may_join() -> None:
    points = np.array([0.0, 5.0, 0.1, 0.2])[:, None]
    first, second, total = optimal.full_sets(points, np.array([0, 1]), np.array([2, 3]), width=1.0)
    assert (first.tolist(), second.tolist(), round(total, 12)) == ([0, -1], [0, 0], 0.3)


def test_equal_units_in_full_matching_stay_in_stars() -> None:
    points = np.zeros((6, 1))
    first, second, total = optimal.full_sets(points, np.array([0, 1, 2]), np.array([3, 4, 5]))
    assert total == 0
    assert all(min((first == k).sum(), (second == k).sum()) == 1 for k in range(first.max() + 1))


# strata ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimand", "expected"),
    [
        # set 0: treated 1 and 3, other 2 and 2; set 1: treated 1, other 4; unit 6 is in no set, set 2 lacks an arm.
        ("att", [1, 3, 2, 2, 1, 1, 0, 0]),
        ("atc", [1, 3, 2, 2, 4, 4, 0, 0]),
        ("ate", [2, 6, 4, 4, 5, 5, 0, 0]),
    ],
)
def test_weights_of_sets_by_hand(estimand: Any, expected: list[float]) -> None:
    treated = np.array([1, 1, 0, 0, 1, 0, 0, 1], dtype=bool)
    weights = np.array([1.0, 3, 2, 2, 1, 4, 9, 1])
    strata = Strata(codes=np.array([0, 0, 0, 0, 1, 1, NO_SET, 2]), treated=treated, estimand=estimand)
    np.testing.assert_allclose(strata.sets(weights).weights(), expected)


def test_subclasses_lie_between_quantiles_and_have_both_arms() -> None:
    # Treated 1, 2, 3, 4: cut at the median 2.5. Others 0, 1: none above, so both subclasses become one.
    score = np.array([1.0, 2, 3, 4, 0, 1])
    treated, usable = np.arange(6) < 4, np.ones(6, dtype=bool)
    np.testing.assert_array_equal(subclasses(score, treated, usable, 2, "att"), np.zeros(6))
    other = np.where(treated, score, [0, 0, 0, 0, 2.5, 1])
    np.testing.assert_array_equal(subclasses(other, treated, usable, 2, "att"), [0, 0, 1, 1, 1, 0])
    usable[4] = False
    np.testing.assert_array_equal(subclasses(other, treated, usable, 2, "att"), [0, 0, 0, 0, NO_SET, 0])
    lowest = np.where(treated, score, [0, 0, 0, 0, 3, 4])
    np.testing.assert_array_equal(subclasses(lowest, treated, np.ones(6, dtype=bool), 2, "att"), np.zeros(6))


def test_bins_and_cells_by_hand() -> None:
    np.testing.assert_array_equal(coarse(np.array([19.0, 20, 25, 40]), (20.0, 30.0), 0), [0, 1, 1, 2])
    np.testing.assert_array_equal(coarse(np.array([0.0, 1, 2, 4]), (), 2), [0, 0, 1, 1])
    np.testing.assert_array_equal(coarse(np.full(3, 7.0), (), 0), np.zeros(3))
    assert (sturges(614), sturges(8)) == (11, 4)
    treated = np.array([1, 0, 1, 0], dtype=bool)
    np.testing.assert_array_equal(cells([np.array([0, 0, 1, 2])], treated), [0, 0, NO_SET, NO_SET])


def test_coarsened_exact_matching_agrees_in_categories_and_exact_columns(arms: Any) -> None:
    rng = np.random.default_rng(20250122)
    covariates = {"x": rng.normal(size=300), "kind": np.array(["a", "b"])[rng.integers(0, 2, 300)]}
    covariates["kind"] = pd.Categorical(covariates["kind"])
    group, treated = rng.integers(0, 2, 300), rng.random(300) < 0.4
    sample, design = arms(
        "matching", covariates["x"], treated, covariates, exact=group, sets="coarsened_exact",
        cutpoints=[{"column": "x", "bins": 3}],
    )  # fmt: skip
    found = matching.form_sets(sample, matching.place_units(sample, design), design)
    for number in np.unique(found.codes[found.codes != NO_SET]):
        inside = found.codes == number
        assert len(set(group[inside])) == len(set(covariates["kind"][inside])) == 1
        assert 0 < treated[inside].mean() < 1


def test_the_largest_balanced_sample_is_that_of_all_subsets() -> None:
    rng = np.random.default_rng(20250123)
    x = rng.normal(size=(10, 1)) + np.repeat([[1.0], [0.0]], [4, 6], axis=0)
    treated = np.arange(10) < 4
    covariates = Covariates(matrix=x, labels=("x",), columns=("covariate_1",))
    bound, best = 0.1 * x[treated, 0].std(ddof=1), 0
    for size in range(1, 5):
        for one in combinations(range(4), size):
            for other in combinations(range(4, 10), size):
                gap = abs(x[list(one), 0].mean() - x[list(other), 0].mean())
                best = max(best, size if gap <= bound else 0)
    chosen = largest_balanced(covariates, treated, 0.1)
    assert (chosen & treated).sum() == (chosen & ~treated).sum() == best
    assert abs(x[chosen & treated].mean() - x[chosen & ~treated].mean()) <= bound + 1e-9


def test_a_sample_that_cannot_be_balanced_is_refused() -> None:
    x = np.r_[np.ones(3), np.zeros(3)][:, None] + np.arange(6)[:, None] / 100
    covariates = Covariates(matrix=x, labels=("x",), columns=("covariate_1",))
    with pytest.raises(DataError) as caught:
        largest_balanced(covariates, np.arange(6) < 3, 0.1)
    assert caught.value.code == "E-IMP-205"


@pytest.mark.parametrize("sets", ["optimal_pairs", "full", "subclasses", "coarsened_exact", "cardinality"])
def test_each_form_gives_an_effect_and_says_whom_it_is_about(arms: Any, sets: str) -> None:
    rng = np.random.default_rng(20250124)
    x, treated = rng.normal(size=200), np.arange(200) < 60
    x[treated] += 0.3
    sample, design = arms("matching", 2 * x + treated + 0.1 * rng.normal(size=200), treated, {"x": x}, sets=sets)
    found = matching.estimate(sample, design)
    row = found.blocks[0].table(0.95).iloc[0]
    assert row["estimate"] == pytest.approx(1, abs=0.5)
    assert 0 < row["std_error"] < 0.5
    assert "60 treated" in found.notes[0]


def test_from_a_file_to_a_finding_with_a_score_and_columns_that_must_differ(tmp_path: Any) -> None:
    rng = np.random.default_rng(20250125)
    table = pd.DataFrame(
        {
            "risk": rng.uniform(0.1, 0.9, 200),
            "town": rng.choice(["Creil", "Nantes", ""], 200, p=[0.5, 0.45, 0.05]),
            "sex": rng.choice(["f", "m"], 200),
            "treat": rng.integers(0, 2, 200),
        }
    )
    table["y"] = table["risk"] + 2 * table["treat"] + 0.1 * rng.normal(size=200)
    table.to_csv(tmp_path / "people.csv", index=False)
    design = MatchingDesign.model_validate(
        {
            "id": "from-a-file",
            "method": "matching",
            "outcomes": [{"column": "y", "unit": "points", "better": "higher"}],
            "treatment": "treat",
            "distance": "score",
            "score": "risk",
            "replace": True,
            "anti_exact": ["town"],
            "subgroups": ["sex"],
        }
    )
    sample = prepare(design, files=[tmp_path / "people.csv"])
    assert sample.rows_used == (table["town"] != "").sum()  # a unit without a town could differ from nobody
    assert {"score", "anti_exact_1", "subgroup_1"} <= set(sample.frame.columns)
    found = finding.estimate(sample, design)
    assert found.headline["estimate"] == pytest.approx(2, abs=0.1)
    assert found.effects["subgroup"].dropna().tolist() == ["sex = f", "sex = m", "sex = m − sex = f"]
    assert {"overlap.share_in_01_09", "identification.sensitivity"} <= {check.check for check in found.checks}
