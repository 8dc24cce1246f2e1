"""Difference-in-differences on designs whose answer is known without noise, and on Medicaid expansions as in R did."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.evidence.calibration.designs import BAKER_LARCKER_WANG, baker_larcker_wang
from evaluation.impact import did, fixed_effects
from evaluation.impact.inference import summarize

EHEC = pd.read_csv(Path(__file__).parent / "did_ehec.csv", comment="#")
COMPARISONS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
AGGREGATES = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
COLUMNS = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}


# Baker, Larcker and Wang without noise --------------------------------------------------------------------------------

# Averages over treated firms and years; plain means over cohorts; two-way fixed effects; cells that can be estimated
# from units not yet treated (four digits: validity notes, G3; the exact numbers are made below).
PINNED = {
    1: (0.5, 0.5, 0.5, 0.5, 18),
    2: (0.475, 0.475, 0.475, 0.475, 18),
    3: (0.5, 0.5, 0.5, 0.5, 27),
    4: (0.3706, 0.3000, 0.3026, 0.4308, 27),
    5: (0.3326, 0.2850, 0.0132, 0.2383, 27),
    6: (0.4579, 0.3450, -0.0790, 0.3625, 27),
}


def without_noise(scenario):
    """Two firms a state: the averages do not depend on how many there are."""
    return baker_larcker_wang(scenario, firms=2)


def effects_by_hand(scenario):
    """(cohort, year) -> states and effect, for years from treatment on."""
    sizes, size, grows = BAKER_LARCKER_WANG[scenario]
    return {
        (g, t): (sizes[g], size[g] * (t - g + 1 if grows else 1)) for g in sizes for t in range(g, 2016)
    }  # fmt: skip


def identified(scenario):
    """Cells with somebody not yet treated: all in 1 and 2 (half of the states never are), until 2006 otherwise."""
    last = 2015 if scenario < 3 else 2006
    return {key: value for key, value in effects_by_hand(scenario).items() if key[1] <= last}


def mean(cells):
    count, effect = np.array(list(cells.values())).T
    return count @ effect / count.sum()


@pytest.mark.parametrize("scenario", PINNED)
def test_the_simulated_effects_are_those_of_the_paper(scenario):
    table = without_noise(scenario).query("cohort > 0 and period >= cohort")
    by_cohort = table.groupby("cohort")["effect"].mean()
    assert table["effect"].mean() == pytest.approx(PINNED[scenario][0], abs=5e-5)
    assert by_cohort.mean() == pytest.approx(PINNED[scenario][1], abs=5e-5)
    assert mean(effects_by_hand(scenario)) == pytest.approx(table["effect"].mean(), abs=1e-12)


@pytest.mark.parametrize("scenario", PINNED)
def test_group_time_effects_are_the_effects_to_rounding(panel, scenario):
    result = did.estimate(*panel(without_noise(scenario), comparison="not_yet_treated"))
    labels = result.group_time.labels.assign(estimate=result.group_time.estimate)
    after = labels[labels["phase"] == "post"]
    found = dict(zip(zip(after["cohort"], after["period"], strict=True), after["estimate"], strict=True))
    truth = identified(scenario)
    assert len(found) == PINNED[scenario][4]
    assert found == pytest.approx({key: effect for key, (_, effect) in truth.items()}, abs=1e-12)
    # Scenario 4 by hand: (17 × 18 × .5 + 18 × 9 × .3) / (17 × 18 + 18 × 9) = 201.6 / 468 = .430769…
    assert result.overall["simple"].estimate[0] == pytest.approx(mean(truth), abs=1e-12)
    assert mean(truth) == pytest.approx(PINNED[scenario][3], abs=5e-5)
    np.testing.assert_allclose(labels.loc[labels["phase"] == "pre", "estimate"], 0, atol=1e-12)


def test_scenario_six_by_hand(panel):
    # Cohort 1989: .05 × mean(1 … 18) = .475 in 17 states and 18 years; 1998: .03 × mean(1 … 9) = .15 in 18 and 9.
    # simple (306 × .475 + 162 × .15) / 468 = .3625; cohort (17 × .475 + 18 × .15) / 35 = 10.775 / 35 = .307857…
    result = did.estimate(*panel(without_noise(6), comparison="not_yet_treated"))
    assert result.overall["simple"].estimate[0] == pytest.approx(169.65 / 468, abs=1e-12)
    assert result.overall["cohort"].estimate[0] == pytest.approx(10.775 / 35, abs=1e-12)


@pytest.mark.parametrize("scenario", [3, 4, 5, 6])
def test_the_result_says_which_cells_it_averages_and_nothing_after_2006_is(panel, scenario):
    # The last cohort starts in 2007 and nobody is never treated: from then on there is no comparison. .3625 of scenario
    # 6 is the average of 27 cells of two cohorts, not .4579, the effect on the treated.
    result = did.estimate(*panel(without_noise(scenario), comparison="not_yet_treated"))
    for name, cells in result.weights.groupby("aggregate"):
        assert cells["weight"].sum() == pytest.approx(1)
        assert cells["period"].max() == 2006, name
        assert set(cells["cohort"]) == {1989, 1998}, name
    assert result.notes == (
        "nobody is never treated: cohort 2007 is the comparison, periods from 2007 on are left out",
    )
    assert [(step.step, step.dropped) for step in result.flow] == [("no_comparison", 100 * 9)]
    simple = result.weights[result.weights["aggregate"] == "simple"].set_index(["cohort", "period"])["weight"]
    total = 17 * 18 + 18 * 9
    assert dict(simple) == pytest.approx({key: count / total for key, (count, _) in identified(scenario).items()})


@pytest.mark.parametrize("scenario", PINNED)
def test_two_way_fixed_effects_have_the_wrong_sign_in_scenario_six(panel, scenario):
    table = without_noise(scenario)
    sample, design = panel(table, cluster=("state",), estimator="two_way_fixed_effects")
    found = fixed_effects.estimate(sample, design).headline.estimate[0]
    # By Frisch and Waugh on a balanced panel: the treatment less its means by firm and by year, plus its mean.
    d = ((table["cohort"] > 0) & (table["period"] >= table["cohort"])).astype(float)
    left = d - d.groupby(table["unit"]).transform("mean") - d.groupby(table["period"]).transform("mean") + d.mean()
    assert found == pytest.approx((left * table["y"]).sum() / (left**2).sum(), abs=1e-12)
    assert found == pytest.approx(PINNED[scenario][2], abs=5e-5)


# Medicaid expansions: R did on the same data --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ehec(shared_data):
    return pd.read_csv(shared_data / "trials" / "castle_ehec_inputs" / "tmp_ehec.csv")


@pytest.mark.parametrize("weights", ["none", "W"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_medicaid_expansions(panel, ehec, comparison, weights):
    expected = EHEC.query("control_group == @comparison and weights == @weights")
    sample, design = panel(
        ehec,
        names=("stfips", "year", "g", "dins"),
        weight=None if weights == "none" else weights,
        comparison=COMPARISONS[comparison],
    )
    result = did.estimate(sample, design)
    assert_rows(result.group_time, expected[expected["aggregate"] == "group_time"], "period")
    for kind, name in AGGREGATES.items():
        assert_rows(result.overall[name], expected[expected["aggregate"] == f"overall_{kind}"], None)
        if name != "simple":
            assert_rows(result.aggregates[name], expected[expected["aggregate"] == kind], COLUMNS[name])


def assert_rows(effects, expected, column):
    found = summarize(effects)
    if column is not None:
        assert found[column].tolist() == expected["at"].tolist()
    np.testing.assert_allclose(found["estimate"], expected["att"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=1e-8)
