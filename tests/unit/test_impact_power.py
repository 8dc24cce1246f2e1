"""Power, detectable effects and sizes against statsmodels, published tables, dense algebra and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.errors import DataError, ParametersError
from evaluation.impact.power import core, pilot, planning
from evaluation.impact.power.designs import Adjusted, Clusters, Individuals, Pairs, Spread
from evaluation.impact.power.over_time import Changes, InTime, SteppedWedge
from evaluation.impact.power.several import family_power
from evaluation.impact.power.simulation import resampled, simulate
from evaluation.impact.power.study import Cost, Study, Subgroup, curve, design_for, planned
from evaluation.settings.power import PowerPlan

UNIT = Spread()


def std_error(design, n, size=1.0, spread=UNIT, effect=0.0):
    return float(design.precision(np.array(float(n)), size, spread, effect).std_error)


# the test ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "ratio", "effect"), [(5, 1.0, 1.5), (20, 1.0, 0.5), (64, 0.5, 0.5), (100, 2.0, 0.3)])
def test_two_arms_as_statsmodels_has_them(n, ratio, effect):
    """TTestIndPower: noncentral t with n₁ + n₀ - 2 degrees of freedom, unequal arms."""
    power = pytest.importorskip("statsmodels.stats.power").TTestIndPower()
    study = Study(design=Individuals(share=1 / (1 + ratio)))
    units = n * (1 + ratio)
    found = study.power(effect, np.array(units))
    assert float(found) == pytest.approx(power.power(effect, n, 0.05, ratio), abs=1e-10)
    # their root search stops at about 1e-7
    assert float(study.mde(np.array(units))) == pytest.approx(power.solve_power(None, n, 0.05, 0.8, ratio), rel=1e-5)


def test_pairs_as_statsmodels_has_them():
    """TTestPower on differences, whose standard deviation is √(2 (1 - r))."""
    power = pytest.importorskip("statsmodels.stats.power").TTestPower()
    study = Study(design=Pairs(correlation=0.6))
    expected = power.power(0.4 / np.sqrt(2 * 0.4), 30, 0.05)
    assert float(study.power(0.4, np.array(60.0))) == pytest.approx(expected, abs=1e-10)


def test_a_sum_of_quantiles_is_nearly_right_and_exact_for_the_normal():
    """Bloom (1995): 2.80 with many units; with few, t_{1-α/2} + t_{power} differs from noncentral t by little.

    The normal is exact but for the other tail, which finds an effect with the wrong sign once in a million times.
    """
    assert float(core.detectable(np.inf)) == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), abs=1e-5)
    for df in (8, 20, 60):
        assert float(core.detectable(df)) == pytest.approx(stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df), rel=0.02)


def test_power_at_no_effect_is_the_level_and_grows_from_there():
    effects = np.linspace(0, 3, 50)
    found = core.power(effects, 1.0, 7.0, level=0.1)
    assert found[0] == pytest.approx(0.1)
    assert (np.diff(found) > 0).all()
    assert np.isnan(core.power(1.0, 1.0, 0.0))


def test_power_is_that_of_the_noncentral_t_distribution():
    critical = stats.t.ppf(0.975, 11)
    expected = stats.nct.sf(critical, 11, 2.5) + stats.nct.cdf(-critical, 11, 2.5)
    assert float(core.power(2.5, 1.0, 11.0)) == pytest.approx(expected, abs=1e-12)


# designs -------------------------------------------------------------------------------------------------------------


def test_clusters_as_powerup_has_them():
    """PowerUp!'s CRA2_2r: √(ρ (1 - R²₂)/(P (1 - P) J) + (1 - ρ)(1 - R²₁)/(P (1 - P) J n)), df = J - g - 2."""
    design = Clusters(icc=0.17, share=0.4, r2=0.5, r2_clusters=0.6, covariates=2)
    expected = np.sqrt(0.17 * 0.4 / (0.24 * 30) + 0.83 * 0.5 / (0.24 * 30 * 55))
    found = design.precision(np.array(30.0), 55, UNIT, 0.0)
    assert float(found.std_error) == pytest.approx(expected)
    assert float(found.df) == 30 - 2 - 2


def test_clusters_as_webpower_prints_them():
    """wp.crt2arm(f = 0.6, n = 20 … 60, J = 10, icc = 0.1), the example of R WebPower's help page.

    Its effect size is in standard deviations, its test noncentral t with J - 2 degrees of freedom.
    https://search.r-project.org/CRAN/refmans/WebPower/html/wp.crt2arm.html
    """
    study = Study(design=Clusters(icc=0.1))
    printed = [0.5901684, 0.6365313, 0.6620030, 0.6780525, 0.6890755]
    found = study.power(0.6, np.array(10.0), np.array([20.0, 30.0, 40.0, 50.0, 60.0]))
    np.testing.assert_allclose(found, printed, atol=5e-8)  # as printed


def test_unequal_clusters_cost_what_eldridge_says():
    """Design effect 1 + ((1 + CV²) m - 1) ρ over that of individuals (Eldridge, Ashby and Kerry 2006, equation 3)."""
    found = std_error(Clusters(icc=0.05, size_cv=0.65), 40, 25) ** 2
    individuals = 4 / (40 * 25)
    assert found / individuals == pytest.approx(1 + ((1 + 0.65**2) * 25 - 1) * 0.05)


def test_one_unit_a_cluster_is_an_individual_draw():
    assert std_error(Clusters(icc=0.3), 80, 1) == pytest.approx(std_error(Individuals(), 80))


def test_pairs_of_clusters_by_hand():
    # ρ = 0.1, r = 0.4, m = 20, 16 clusters: 2 (0.1 · 0.6 + 0.9/20) / 8 = 2 · 0.105 / 8
    design = Pairs(correlation=0.4, drawn="clusters", icc=0.1)
    assert std_error(design, 16, 20) == pytest.approx(np.sqrt(2 * 0.105 / 8))
    assert float(design.precision(np.array(16.0), 20, UNIT, 0.0).df) == 7


def test_strata_and_covariates_explain_and_cost_degrees_of_freedom():
    found = Individuals(r2=0.36, covariates=3, strata=5).precision(np.array(100.0), 1, UNIT, 0.0)
    assert float(found.std_error) == pytest.approx(0.8 * 2 / 10)  # √(1 - 0.36) · 2/√100
    assert float(found.df) == 100 - 1 - 5 - 3


def test_matched_groups_are_as_large_as_their_effective_size():
    # 25 treated, 75 comparison units worth 0.4 · 75 = 30: √(1/25 + 1/30), df = 55 - 2
    found = Adjusted(effective=0.4, share=0.25).precision(np.array(100.0), 1, UNIT, 0.0)
    assert float(found.std_error) == pytest.approx(np.sqrt(1 / 25 + 1 / 30))
    assert float(found.df) == 53


@pytest.mark.parametrize("same_units", [True, False])
@pytest.mark.parametrize(("waves", "before", "after"), [(4, 1, 1), (3, 2, 2), (5, 1, 3)])
def test_a_stepped_wedge_is_generalised_least_squares(waves, before, after, same_units):
    """Hussey and Hughes's closed form against (Σ D′ Γ⁻¹ D)⁻¹ over all clusters, with effects of periods."""
    time = InTime(icc=0.08, cluster_autocorrelation=0.7, persistence=0.5, same_units=same_units)
    design = SteppedWedge(waves=waves, in_time=time, before=before, after=after)
    plan = np.repeat(design.plan, 3, axis=0)
    periods, size = plan.shape[1], 12
    between, within = time.covariance(periods)
    inverse = np.linalg.inv(between + within / size)
    information = np.zeros((periods + 1, periods + 1))
    for row in plan:
        columns = np.column_stack([np.eye(periods), row])
        information += columns.T @ inverse @ columns
    expected = np.sqrt(np.linalg.inv(information)[-1, -1])
    assert std_error(design, len(plan), size) == pytest.approx(expected, rel=1e-10)


def test_the_plan_of_a_stepped_wedge():
    plan = SteppedWedge(waves=3, in_time=InTime(icc=0.1)).plan
    assert plan.tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]


@pytest.mark.parametrize(("m", "r"), [(1, 1), (4, 3), (2, 6)])
def test_changes_of_one_group_have_the_variance_of_burlig_preonas_and_woerman(m, r):
    """Their equation: [(m+r)/(mr) σ² + (m-1)/m ψᴮ + (r-1)/r ψᴬ - 2 ψˣ] / (P (1-P) J), any serial correlation."""
    share, units, rho = 0.4, 100, 0.6
    design = Changes(shares={m: share}, periods=m + r, in_time=InTime(autocorrelation=rho), base="all")
    cov = rho ** np.abs(np.subtract.outer(np.arange(m + r), np.arange(m + r)))
    before, after, across = cov[:m, :m], cov[m:, m:], cov[:m, m:]
    psi_before = (before.sum() - m) / (m * (m - 1)) if m > 1 else 0
    psi_after = (after.sum() - r) / (r * (r - 1)) if r > 1 else 0
    inner = (m + r) / (m * r) + (m - 1) / m * psi_before + (r - 1) / r * psi_after - 2 * across.mean()
    assert std_error(design, units) == pytest.approx(np.sqrt(inner / (share * (1 - share) * units)))


def test_two_periods_by_hand():
    # change of a unit: variance 2 (1 - ρ) = 1; ten treated and ten others: √(1/10 + 1/10)
    design = Changes(shares={1: 0.5}, periods=2, in_time=InTime(autocorrelation=0.5))
    assert std_error(design, 20) == pytest.approx(np.sqrt(0.2))


def test_what_never_changes_cancels():
    """A permanent part of a unit's level has no bearing on changes: only the moving part counts."""
    moving = Changes(shares={2: 0.3}, periods=4, in_time=InTime(autocorrelation=0.3))
    mixed = Changes(shares={2: 0.3}, periods=4, in_time=InTime(autocorrelation=0.3, persistence=0.75))
    assert std_error(mixed, 100) == pytest.approx(0.5 * std_error(moving, 100))


@pytest.mark.parametrize("base", ["last", "all"])
def test_weights_of_staggered_starts_recover_the_mean_effect(base):
    """Applied to means with effects of groups and periods and an effect of 1, 2, … since the start: its mean."""
    design = Changes(shares={2: 0.3, 4: 0.2}, periods=6, base=base)
    starts, shares = design.groups
    time = np.arange(6)
    effect = np.where(time >= starts[:, None], time - starts[:, None] + 1, 0)
    means = np.array([5.0, -2, 1])[:, None] + time**2 + effect
    by_group = [effect[g, time >= starts[g]].mean() for g in (0, 1)]
    assert (design.weights * means).sum() == pytest.approx(np.average(by_group, weights=shares[:2]))


def test_where_all_start_in_the_end_the_last_serve_as_comparison():
    weights = Changes(shares={2: 0.5, 4: 0.5}, periods=6).weights
    assert (weights[:, 4:] == 0).all()
    np.testing.assert_allclose(weights[0], [0, -1, 0.5, 0.5, 0, 0])


def test_sections_do_not_share_units():
    """Other units in each period: only what clusters share over time cancels."""
    time = InTime(icc=0.2, cluster_autocorrelation=1.0, same_units=False)
    design = Changes(shares={1: 0.5}, periods=2, drawn="clusters", in_time=time)
    # a cluster's change: 2 · 0.8/16 = 0.1; 20 + 20 clusters
    assert std_error(design, 40, 16) == pytest.approx(np.sqrt(0.1 / 20 * 2))


# yes or no -----------------------------------------------------------------------------------------------------------


def test_shares_are_planned_at_the_effect():
    """At the detectable effect the unpooled variance p₁(1-p₁)/n₁ + p₀(1-p₀)/n₀ holds, found here by a root search."""
    from scipy.optimize import brentq

    study = Study(design=Individuals(share=0.4), spread=Spread(share=0.2))

    def gap(effect):
        variance = (0.2 + effect) * (0.8 - effect) / 200 + 0.2 * 0.8 / 300
        return float(core.power(effect, np.sqrt(variance), 498)) - 0.8

    assert float(study.mde(np.array(500.0))) == pytest.approx(brentq(gap, 0.01, 0.5), rel=1e-9)


def test_shares_as_statsmodels_has_them():
    """power_proportions_2indep: unpooled variance, normal instead of t, upper side only; 4,000 units hide both."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    expected = proportion.power_proportions_2indep(0.05, 0.3, 2000, alpha=0.05, return_results=False)
    study = Study(design=Individuals(), spread=Spread(share=0.3))
    # they test with the variance under no effect and plan with that at the effect
    assert float(study.power(0.05, np.array(4000.0))) == pytest.approx(float(expected), abs=2e-3)


def test_the_direction_of_an_effect_on_a_share_matters():
    up, down = (Study(design=Individuals(), spread=Spread(share=0.2, direction=d)) for d in (1, -1))
    assert float(up.mde(np.array(400.0))) > float(down.mde(np.array(400.0)))
    assert np.isnan(down.mde(np.array(10.0)))  # no fall from 20 % could be found with ten people


# on the way ----------------------------------------------------------------------------------------------------------


def test_attrition_leaves_a_smaller_study():
    whole, part = Study(design=Individuals()), Study(design=Individuals(), attrition=0.2)
    assert float(part.mde(np.array(500.0))) == pytest.approx(float(whole.mde(np.array(400.0))))
    clusters = Study(design=Clusters(icc=0.1), attrition=0.2, clusters_lost=0.25)
    assert float(clusters.mde(np.array(40.0), 25)) == pytest.approx(
        float(Study(design=Clusters(icc=0.1)).mde(np.array(30.0), 20))
    )


def test_a_pair_is_lost_with_either_of_its_members():
    kept = Study(design=Pairs(correlation=0.5), attrition=0.1)
    assert float(kept.mde(np.array(200.0))) == pytest.approx(
        float(Study(design=Pairs(correlation=0.5)).mde(np.array(162.0)))  # 200 · 0.9²
    )


def test_a_contrast_of_two_halves_needs_twice_the_effect():
    """Two effects in halves of the sample, each with twice the variance: four times that of the whole."""
    whole = Study(design=Individuals())
    halves = Study(design=Individuals(), subgroup=Subgroup(share=0.5, contrast=True))
    n = np.array(10_000.0)
    assert float(halves.precision(n).std_error) == pytest.approx(2 * float(whole.precision(n).std_error))
    one = Study(design=Individuals(), subgroup=Subgroup(share=0.5))
    assert float(one.precision(n).std_error) == pytest.approx(np.sqrt(2) * float(whole.precision(n).std_error))


def test_a_subgroup_within_clusters_keeps_all_clusters():
    within = Study(design=Clusters(icc=0.1), subgroup=Subgroup(share=0.5))
    among = Study(design=Clusters(icc=0.1), subgroup=Subgroup(share=0.5, of="clusters"))
    assert float(within.precision(np.array(40.0), 20).df) == 38
    assert float(among.precision(np.array(40.0), 20).df) == 18
    assert float(within.mde(np.array(40.0), 20)) < float(among.mde(np.array(40.0), 20))


def test_several_outcomes_share_the_level():
    one, five = Study(design=Individuals(), level=0.01), Study(design=Individuals(), outcomes=5)
    assert float(five.mde(np.array(300.0))) == pytest.approx(float(one.mde(np.array(300.0))))


# several outcomes ----------------------------------------------------------------------------------------------------


def test_holm_lies_between_bonferroni_and_no_correction():
    shifts = np.array([2.8, 2.8, 2.8])
    found = {name: family_power(shifts, 0.3, 200.0, method=name) for name in ("none", "holm", "bonferroni")}
    assert found["bonferroni"].each.mean() < found["holm"].each.mean() < found["none"].each.mean()
    # Bonferroni for one outcome is a test at a third of the level; three Monte Carlo errors of 0.0035
    alone = float(core.power(2.8, 1.0, 200.0, level=0.05 / 3))
    np.testing.assert_allclose(found["bonferroni"].each, alone, atol=0.011)
    # Holm finds at least one exactly where Bonferroni does
    assert found["holm"].at_least_one == found["bonferroni"].at_least_one


def test_independent_outcomes_by_hand():
    # power 0.5 each without correction (a shift of 1.96, normal): one of two 0.75, both 0.25
    found = family_power(np.array([1.96, 1.96]), 0.0, np.inf, method="none")
    np.testing.assert_allclose([*found.each, found.at_least_one, found.all], [0.5, 0.5, 0.75, 0.25], atol=0.011)
    assert found.monte_carlo_error == pytest.approx(0.0035, abs=1e-4)


def test_holm_keeps_the_level_of_a_family_without_effects():
    found = family_power(np.zeros(4), 0.5, 30.0)
    assert found.at_least_one <= 0.05 + 3 * found.monte_carlo_error


def test_outcomes_with_one_correlation_are_the_same_test():
    found = family_power(np.array([2.0, 2.0]), 1.0, np.inf)
    assert found.at_least_one == pytest.approx(found.all)


def test_a_correlation_that_no_outcomes_have_is_refused():
    with pytest.raises(ParametersError) as caught:
        family_power(np.zeros(3), -0.6, 30.0)
    assert caught.value.code == "E-IMP-305"


# sizes and costs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "study",
    [
        Study(design=Individuals()),
        Study(design=Pairs(correlation=0.3)),
        Study(design=SteppedWedge(waves=4, in_time=InTime(icc=0.05, same_units=False))),
        Study(design=Clusters(icc=0.1), spread=Spread(share=0.4)),
    ],
)
def test_the_size_needed_is_the_smallest(study):
    n, step = float(study.needed(0.2, 15.0)), study.design.step
    assert n % step == 0
    assert float(study.power(0.2, np.array(n), 15.0)) >= 0.8
    assert float(study.power(0.2, np.array(n - step), 15.0)) < 0.8


def test_the_cheapest_study_is_found_by_trying_all():
    study, cost = Study(design=Clusters(icc=0.08)), Cost(fixed=500, cluster=900, unit=30, treated_unit=100)
    found = design_for(study, mde=0.25, cost=cost, sizes=np.arange(2.0, 80))
    tried = []
    for size in range(2, 80):
        n = next(n for n in range(4, 2000) if float(study.power(0.25, np.array(float(n)), float(size))) >= 0.8)
        tried.append(500 + 900 * n + n * size * (30 + 0.5 * 100))
        if size > 12 and tried[-1] > 2 * min(tried):
            break
    assert found.cost == pytest.approx(min(tried))
    assert found.mde <= 0.25


def test_a_budget_buys_the_most_precise_study():
    study, cost = Study(design=Clusters(icc=0.08)), Cost(cluster=900, unit=30)
    found = design_for(study, budget=60_000, cost=cost, sizes=np.arange(2.0, 60))
    assert found.cost <= 60_000
    others = [
        float(study.mde(np.array(float(60_000 // (900 + 30 * size))), float(size)))
        for size in range(2, 60)
        if 60_000 // (900 + 30 * size) >= 4
    ]
    assert found.mde == pytest.approx(min(others))


def test_a_planned_study_says_what_it_is():
    found = planned(Study(design=Clusters(icc=0.1), target=0.9), 40, 25.0, Cost(cluster=10, unit=1))
    assert (found.design, found.n, found.clusters, found.cost, found.df) == ("cluster", 1000, 40, 1400, 38)
    assert found.mde == pytest.approx(float(core.detectable(38, target=0.9)) * found.standard_error)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"design": "individual", "units": 100, "share": 0.3}, 100 * 10 + 30 * 50),
        # three waves: four periods; all 12 · 5 people are treated in the end
        ({"design": "stepped_wedge", "waves": 3, "icc": 0.1, "clusters": 12, "cluster_size": 5}, 60 * 4 * 10 + 60 * 50),
        # other people in each period: those asked in 3, 2 and 1 treated periods, 2 on average
        (
            {
                "design": "stepped_wedge",
                "waves": 3,
                "icc": 0.1,
                "clusters": 12,
                "cluster_size": 5,
                "time": {"same_units": False},
            },
            60 * 4 * 10 + 60 * 2 * 50,
        ),
        ({"design": "difference", "units": 40, "starts": {1: 0.25, 2: 0.25}, "after": 1}, 40 * 3 * 10 + 20 * 50),
    ],
)
def test_a_unit_costs_each_time_that_it_is_asked(fields, expected):
    prices = {"unit": 10, "treated_unit": 50}
    plan = PowerPlan.model_validate({"outcome": {"sd": 1}, "cost": prices, **fields})
    assert planning.answer(plan).planned.cost == pytest.approx(expected)


def test_thousands_of_sizes_are_one_call():
    table = curve(Study(design=Clusters(icc=0.1)), np.arange(4.0, 2004), 25, 0.2)
    assert table["mde"].is_monotonic_decreasing
    assert table["power"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "E-IMP-297"),
        ({"mde": 0.2, "budget": 10}, "E-IMP-297"),
        ({"mde": 0.01, "sizes": 20, "most": 100}, "E-IMP-298"),
        ({"budget": 1000}, "E-IMP-299"),
        ({"budget": 1000, "cost": Cost(cluster=900)}, "E-IMP-300"),
    ],
)
def test_studies_that_cannot_be_planned_are_refused(options, code):
    with pytest.raises(ParametersError) as caught:
        design_for(Study(design=Clusters(icc=0.1)), **options)
    assert caught.value.code == code


# drawn ---------------------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_studies():
    study = Study(design=Individuals())
    one, other = (simulate(study, 60, 1.0, 0.5, repetitions=4, seed=4) for _ in range(2))
    assert one == other
    assert simulate(study, 60, 1.0, 0.5, repetitions=4, seed=5) != one


def test_the_power_of_drawn_studies_has_its_error():
    found = simulate(Study(design=Individuals()), 40, 1.0, 0.0, repetitions=10, seed=1)
    assert found.monte_carlo_error == pytest.approx(np.sqrt(found.power * (1 - found.power) / 10))
    assert abs(found.mean_estimate) < 4 * found.sd_of_estimates / np.sqrt(10)


@pytest.mark.parametrize(
    "study",
    [
        Study(design=SteppedWedge(waves=3, in_time=InTime(icc=0.1))),
        Study(design=Adjusted(effective=0.5)),
        Study(design=Individuals(), subgroup=Subgroup(share=0.5)),
    ],
)
def test_designs_without_a_model_are_not_drawn(study):
    with pytest.raises(ParametersError) as caught:
        simulate(study, 60, 1.0, 0.5)
    assert caught.value.code == "E-IMP-301"


def test_studies_like_a_pilot_carry_its_outcomes_and_not_its_effect(arms):
    rng = np.random.default_rng(1)
    treated = np.arange(80) % 2 == 0
    made, design = arms("experiment", 10 + rng.normal(size=80) + 5 * treated, treated)
    found = resampled(made, design, 0.0, n=200, repetitions=10, seed=2)
    assert abs(found.mean_estimate) < 0.18  # four standard errors of the mean of ten
    assert found.sd_of_estimates == pytest.approx(2 / np.sqrt(200), rel=0.7)
    more = resampled(made, design, 1.0, n=200, repetitions=10, seed=2)
    assert more.mean_estimate == pytest.approx(found.mean_estimate + 1)


def test_clusters_of_a_pilot_are_drawn_whole(arms):
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(30), 6)
    y = rng.normal(size=30)[cluster] + 0.3 * rng.normal(size=180)
    made, design = arms("experiment", y, cluster % 2 == 0, cluster=cluster, assignment="cluster")
    found = resampled(made, design, 0.0, repetitions=12, seed=3)
    # between clusters √(4/30) = 0.37; units drawn one by one would give √(4/180) = 0.15
    assert found.sd_of_estimates == pytest.approx(np.sqrt(4 * (1 + 0.09 / 6) / 30), rel=0.5)


def test_a_pilot_must_be_one_of_a_trial_or_of_changes(arms):
    made, design = arms("weighting", np.arange(20.0), np.arange(20) % 2 == 0, {"x": np.arange(20) % 7})
    with pytest.raises(DataError) as caught:
        resampled(made, design, 1.0)
    assert caught.value.code == "E-IMP-302"


def panel_of(rng, units=60, never=True):
    start = np.where(np.arange(units) % 3 == 0, 3, 0 if never else 4)
    table = pd.DataFrame({"unit": np.repeat(np.arange(units), 4), "period": np.tile(np.arange(1, 5), units)})
    own = rng.normal(size=units)[table["unit"]]
    return table.assign(cohort=start[table["unit"]], y=own + rng.normal(size=len(table)))


def test_changes_of_a_pilot_are_drawn_from_units_never_treated(panel):
    made, design = panel(panel_of(np.random.default_rng(4)))
    found = resampled(made, design, 0.7, repetitions=12, seed=5)
    assert found.mean_estimate == pytest.approx(0.7, abs=0.25)
    made, design = panel(panel_of(np.random.default_rng(4), never=False), comparison="not_yet_treated")
    with pytest.raises(DataError) as caught:
        resampled(made, design, 0.7)
    assert caught.value.code == "E-IMP-303"


# like a pilot --------------------------------------------------------------------------------------------------------


def test_the_correlation_within_clusters_by_hand():
    # two clusters (1, 3), (5, 7): MSB = 2 · (2² + 2²) / 1 = 16, MSW = (1 + 1 + 1 + 1)/2 = 2, ρ = 14 / (16 + 2)
    assert pilot.intra_cluster_correlation(np.array([1.0, 3, 5, 7]), np.array([0, 0, 1, 1])) == pytest.approx(14 / 18)
    assert pilot.intra_cluster_correlation(np.array([1.0, 3, 1, 3]), np.array([0, 0, 1, 1])) == 0


def test_a_plan_like_a_trial_foresees_its_standard_error(arms):
    """A new study of the size of the pilot: the planned standard error is the estimated one but for chance."""
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(60), 10)
    y = 0.5 * rng.normal(size=60)[cluster] + rng.normal(size=600)
    made, design = arms("experiment", y, cluster % 2 == 0, cluster=cluster, assignment="cluster")
    plan, study = pilot.plan_like(made, design)
    assert (plan.design, plan.clusters, plan.cluster_size) == ("cluster", 60, 10)
    assert plan.icc == pytest.approx(0.2, abs=0.08)
    from evaluation.impact import experiment

    estimated = experiment.estimate(made, design).blocks[0].table(0.95)["std_error"].iloc[0]
    assert float(study.precision(np.array(60.0), 10.0).std_error) == pytest.approx(estimated, rel=0.06)


def test_a_plan_like_changes_foresees_their_standard_error(panel):
    made, design = panel(panel_of(np.random.default_rng(7), units=150))
    plan, study = pilot.plan_like(made, design)
    assert (plan.design, plan.units, dict(plan.starts), plan.after) == ("difference", 150, {2: 0.3333}, 2)
    from evaluation.impact import did, inference

    estimated = inference.summarize(did.estimate(made, design).headline)["std_error"].iloc[0]
    assert float(study.precision(np.array(150.0)).std_error) == pytest.approx(estimated, rel=0.1)


def test_a_pilot_that_is_too_small_for_a_covariance_is_refused(panel):
    made, design = panel(panel_of(np.random.default_rng(8), units=4))
    with pytest.raises(DataError) as caught:
        pilot.plan_like(made, design)
    assert caught.value.code == "E-IMP-304"
