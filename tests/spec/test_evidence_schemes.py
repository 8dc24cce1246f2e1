"""Foreign schemes, value by value: golden verdicts, every edge, every rule reached, worse never rated better."""

import dataclasses
import itertools

import pytest

from evaluation.errors import ParametersError
from evaluation.evidence import rubric, schemes
from evaluation.evidence.grading import grade
from evaluation.evidence.record import parse
from evaluation.evidence.schemes import consistency
from evaluation.evidence.schemes.reading import MEASURES

METHOD = {
    "randomised": "experiment",
    "randomised_cluster": "experiment",
    "lottery": "experiment",
    "discontinuity": "discontinuity",
    "instrument": "instrument",
    "event_study": "did",
    "matched_did": "did",
    "did": "did",
    "synthetic_control": "synthetic_control",
    "matching_pretest": "matching",
    "matching": "weighting",
    "comparison_group": "comparison",
    "meta_analysis_randomised": "meta_analysis",
    "meta_analysis": "meta_analysis",
    "before_after_adjusted": "uncontrolled",
    "before_after": "uncontrolled",
    "raw_comparison": "uncontrolled",
    "declared": "uncontrolled",
    "monitoring": "uncontrolled",
    "social_return": "uncontrolled",
    "account": "uncontrolled",
}
# Everything that any scheme asks for, at its best.
COMPLETE = {
    "balance.max_smd": 0.0,
    "balance.adjusted": 1.0,
    "attrition.overall": 0.0,
    "attrition.differential": 0.0,
    "attrition.clusters_overall": 0.0,
    "attrition.clusters_differential": 0.0,
    "pretrend.joint_p": 0.5,
    "precision.mdes_sd": 0.1,
    "precision.treated_clusters": 50.0,
    "registration.plan": 0.0,
    "sample.sites": 3.0,
    "discontinuity.integrity": 0.0,
    "discontinuity.attrition": 0.0,
    "discontinuity.continuity": 0.0,
    "discontinuity.bandwidth": 0.0,
    "programme.logic_model": 1.0,
    "programme.replication": 1.0,
    "synthesis.consistency": 0.0,
}
GOOD = {"estimate": 0.3, "std_error": 0.05, "ci_low": 0.2, "ci_high": 0.4}
BAD = {"estimate": -0.3, "std_error": 0.05, "ci_low": -0.4, "ci_high": -0.2}
UNCLEAR = {"estimate": 0.1, "std_error": 0.1, "ci_low": -0.1, "ci_high": 0.3}
NULL = {"estimate": 0.0, "std_error": 0.02, "ci_low": -0.04, "ci_high": 0.04}  # 90 % interval within 0.05
RATIO = {"estimate": 6.0, "ci_low": 4.0, "ci_high": 9.0}
ABSENT = object()


def finding(design="randomised", checks=None, *, kind="effect", headline=None, outcome=None, units=1000, **more):
    """A record that has all that is asked for, except what is changed; ABSENT takes a check away."""
    given = COMPLETE | (checks or {})
    return parse(
        {
            "id": "finding",
            "role": "decision",
            "kind": kind,
            "method": METHOD[design],
            "design_class": design,
            "source": {"kind": "published", "citation": "Author 2020", "address": "https://example.org"},
            "plan": "exploratory",
            "outcome": {
                "name": "marks",
                "unit": "SD",
                "better": "higher",
                "smallest_effect": 0.05,
                "source": "standardised test",
                **(outcome or {}),
            },
            "headline": {"outcome_sd": 1.0, **GOOD, **(headline or {})} if kind == "effect" else headline or {},
            "claim": {"value": 1.0} if kind in ("claim", "take_up", "level") else None,
            "sample": {"units": units},
            "checks": [
                {"check": name, "value": value, "status": "measured"}
                for name, value in given.items()
                if value is not ABSENT
            ],
            "provenance": {"public": True},
            **more,
        }
    )


def rated(scheme, *args, **options):
    found = schemes.verdicts(finding(*args, **options))[scheme]
    return found.rating, found.rule


# golden verdicts of the What Works Clearinghouse ---------------------------------------------------------------------

# At 10 % overall attrition the boundaries are 6.3 and 10.9 points, at 57 % 0 and 2.3 (handbook 4.0, table II.1).
LOW, MIDDLE, HIGH = (0.10, 0.0629), (0.10, 0.063), (0.10, 0.109)
WITHOUT, WITH, NOT_MET = "without_reservations", "with_reservations", "does_not_meet"
GROUP_DESIGNS = [
    ("randomised", LOW, 0.30, 0.0, WITHOUT, "low-attrition"),  # balance is not asked for where attrition is low
    ("lottery", LOW, 0.30, 0.0, WITHOUT, "low-attrition"),
    ("randomised", (0.57, 0.0), 0.30, 1.0, NOT_MET, "not-equivalent"),  # 0 is not below the cautious boundary of 0
    ("randomised", MIDDLE, 0.05, 0.0, WITH, "equivalent"),
    ("randomised", MIDDLE, 0.0501, 0.0, NOT_MET, "not-adjusted"),
    ("randomised", MIDDLE, 0.0501, 1.0, WITH, "equivalent-adjusted"),
    ("randomised", HIGH, 0.25, 1.0, WITH, "equivalent-adjusted"),
    ("randomised", HIGH, 0.25, 0.0, NOT_MET, "not-adjusted"),
    ("randomised", HIGH, 0.2501, 1.0, NOT_MET, "not-equivalent"),
    ("randomised_cluster", LOW, 0.30, 0.0, WITHOUT, "low-attrition"),
    ("matching_pretest", LOW, 0.05, 0.0, WITH, "equivalent"),  # never without reservations, however few are lost
    ("matching", HIGH, 0.05, 0.0, WITH, "equivalent"),  # and attrition does not matter: who is left is compared
    ("matching", LOW, 0.0501, 0.0, NOT_MET, "not-adjusted"),
    ("matching", LOW, 0.25, 1.0, WITH, "equivalent-adjusted"),
    ("matching", LOW, 0.2501, 1.0, NOT_MET, "not-equivalent"),
    ("comparison_group", LOW, 0.04, 0.0, WITH, "equivalent"),
    ("did", LOW, 0.25, 0.0, WITH, "equivalent-adjusted"),  # changes take the difference at the start away
    ("did", LOW, 0.2501, 0.0, NOT_MET, "not-equivalent"),
]


@pytest.mark.parametrize(("design", "attrition", "gap", "adjusted", "rating", "rule"), GROUP_DESIGNS)
def test_group_designs_are_rated_as_the_handbook_says(design, attrition, gap, adjusted, rating, rule):
    checks = {"attrition.overall": attrition[0], "attrition.differential": attrition[1]}
    assert rated("wwc", design, checks | {"balance.max_smd": gap, "balance.adjusted": adjusted}) == (rating, rule)


def test_where_groups_were_drawn_too_few_groups_left_is_high_attrition():
    lost = {"attrition.clusters_overall": 0.10, "attrition.clusters_differential": 0.063, "balance.max_smd": 0.3}
    assert rated("wwc", "randomised_cluster", lost) == (NOT_MET, "not-equivalent")


@pytest.mark.parametrize("design", ["did", "event_study", "synthetic_control", "randomised_cluster"])
def test_one_treated_group_is_a_confounding_factor(design):
    assert rated("wwc", design, {"precision.treated_clusters": 1.0}) == (NOT_MET, "confounding")
    assert rated("wwc", design, {"precision.treated_clusters": 2.0})[0] != NOT_MET


@pytest.mark.parametrize(
    ("codes", "rating"),
    [
        ((0, 0, 0, 0), WITHOUT),
        ((1, 0, 0, 0), WITH),
        ((0, 2, 0, 0), WITH),
        ((0, 0, 2, 1), WITH),
        ((1, 1, 1, 1), WITH),
        ((0, 2, 2, 0), NOT_MET),
        ((2, 0, 0, 0), NOT_MET),
        ((0, 0, 0, 2), NOT_MET),
    ],
)
def test_thresholds_have_standards_of_their_own(codes, rating):
    names = ("integrity", "attrition", "continuity", "bandwidth")
    checks = {f"discontinuity.{name}": float(code) for name, code in zip(names, codes, strict=True)}
    assert rated("wwc", "discontinuity", checks)[0] == rating


@pytest.mark.parametrize("design", ["before_after", "before_after_adjusted", "declared", "monitoring", "account"])
def test_without_a_comparison_group_nothing_is_eligible(design):
    assert rated("wwc", design) == ("ineligible", "comparison-group")


@pytest.mark.parametrize("kind", ["claim", "take_up", "level"])
def test_a_figure_that_is_no_effect_is_ineligible(kind):
    assert rated("wwc", "monitoring", kind=kind) == ("ineligible", "not-an-effect")


# the edges of the other schemes --------------------------------------------------------------------------------------

EDGES = [
    # scheme, design, checks, other options, rating
    ("essa", "randomised", {}, {}, "tier_1"),
    ("essa", "randomised", {}, {"units": 350}, "tier_1"),
    ("essa", "randomised", {}, {"units": 349}, "tier_3"),
    ("essa", "randomised", {"sample.sites": 2.0}, {}, "tier_1"),
    ("essa", "randomised", {"sample.sites": 1.0}, {}, "tier_3"),
    ("essa", "matching", {}, {}, "tier_2"),
    ("essa", "matching", {"balance.max_smd": 0.3}, {}, "tier_3"),
    ("essa", "comparison_group", {"balance.max_smd": 0.3}, {}, "tier_3"),
    ("essa", "comparison_group", {"balance.max_smd": 0.3, "balance.adjusted": 0.0}, {}, "tier_4"),
    ("essa", "randomised", {}, {"headline": BAD}, "none"),
    ("essa", "randomised", {}, {"headline": NULL}, "none"),
    ("essa", "randomised", {}, {"headline": UNCLEAR}, "tier_4"),
    ("essa", "before_after", {}, {}, "tier_4"),
    ("essa", "before_after", {"programme.logic_model": 0.0}, {}, "none"),
    ("maryland", "randomised", {}, {}, "5"),
    ("maryland", "instrument", {}, {}, "4"),
    ("maryland", "discontinuity", {}, {}, "4"),
    ("maryland", "did", {"pretrend.joint_p": 0.05}, {}, "3"),
    ("maryland", "did", {"pretrend.joint_p": 0.0499}, {}, "2"),
    ("maryland", "matching", {"balance.max_smd": 0.25}, {}, "3"),
    ("maryland", "matching", {"balance.max_smd": 0.2501}, {}, "2"),
    ("maryland", "synthetic_control", {}, {}, "3"),
    ("maryland", "before_after_adjusted", {}, {}, "2"),
    ("maryland", "comparison_group", {}, {}, "2"),
    ("maryland", "comparison_group", {"balance.adjusted": 0.0}, {}, "1"),
    ("maryland", "before_after", {}, {}, "1"),
    ("eef_padlocks", "randomised", {}, {}, "5"),
    ("eef_padlocks", "did", {}, {}, "4"),
    ("eef_padlocks", "matching", {}, {}, "3"),
    ("eef_padlocks", "comparison_group", {}, {}, "2"),
    ("eef_padlocks", "raw_comparison", {}, {}, "1"),
    ("eef_padlocks", "before_after", {}, {}, "0"),
    *(
        ("eef_padlocks", "randomised", {"precision.mdes_sd": value}, {}, locks)
        for value, locks in [
            (0.20, "5"),
            (0.2001, "4"),
            (0.29, "4"),
            (0.2901, "3"),
            (0.39, "3"),
            (0.3901, "2"),
            (0.49, "2"),
            (0.4901, "1"),
            (0.59, "1"),
            (0.5901, "0"),
        ]
    ),
    *(
        ("eef_padlocks", "randomised", {"attrition.overall": value}, {}, locks)
        for value, locks in [
            (0.10, "5"),
            (0.1001, "4"),
            (0.20, "4"),
            (0.2001, "3"),
            (0.30, "3"),
            (0.3001, "2"),
            (0.40, "2"),
            (0.4001, "1"),
            (0.50, "1"),
            (0.5001, "0"),
        ]
    ),
    ("eef_padlocks", "randomised", {"registration.plan": 1.0}, {}, "5"),
    ("eef_padlocks", "randomised", {"registration.plan": 2.0}, {}, "4"),
    *(
        ("eef_months", "randomised", {}, {"headline": {"estimate": size, "ci_low": -9.0, "ci_high": 9.0}}, months)
        for size, months in [
            (0.01, "0"),
            (0.02, "1"),
            (0.09, "1"),
            (0.10, "2"),
            (0.18, "2"),
            (0.19, "3"),
            (0.26, "3"),
            (0.27, "4"),
            (0.35, "4"),
            (0.36, "5"),
            (0.44, "5"),
            (0.45, "6"),
            (0.52, "6"),
            (0.53, "7"),
            (0.61, "7"),
            (0.62, "8"),
            (0.69, "8"),
            (0.70, "9"),
            (0.78, "9"),
            (0.79, "10"),
            (0.87, "10"),
            (0.88, "11"),
            (0.95, "11"),
            (0.96, "12"),
            (3.0, "12"),
            (-0.27, "-4"),
        ]
    ),
    ("grade", "randomised", {}, {}, "high"),
    ("grade", "randomised", {"attrition.overall": 0.10, "attrition.differential": 0.063}, {}, "moderate"),
    ("grade", "randomised", {"attrition.overall": 0.10, "attrition.differential": 0.109}, {}, "low"),
    ("grade", "randomised", {"balance.max_smd": 0.25}, {}, "high"),
    ("grade", "randomised", {"balance.max_smd": 0.2501}, {}, "moderate"),
    ("grade", "randomised", {}, {"headline": UNCLEAR}, "low"),  # both benefit (0.3) and harm (-0.1) matter
    ("grade", "randomised", {}, {"headline": {**UNCLEAR, "ci_low": -0.04}}, "moderate"),
    ("grade", "did", {}, {}, "low"),
    ("grade", "did", {"pretrend.joint_p": 0.04}, {}, "very_low"),
    ("grade", "matching", {"balance.max_smd": 0.3}, {}, "very_low"),
    ("grade", "before_after", {}, {}, "very_low"),
    ("grade", "meta_analysis_randomised", {"synthesis.consistency": 1.0}, {}, "moderate"),
    *(
        (
            "grade",
            "matching",
            {},
            {
                "outcome": {"no_effect": 1.0},
                "headline": {"estimate": ratio, "ci_low": 1.5, "ci_high": 9.0},
            },
            level,
        )
        for ratio, level in [(2.0, "low"), (2.01, "moderate"), (5.0, "moderate"), (5.01, "high")]
    ),
    ("grade", "randomised", {}, {"outcome": {"no_effect": 1.0}, "headline": RATIO}, "high"),  # nothing above high
    ("nesta", "randomised", {}, {}, "3"),
    ("nesta", "before_after", {}, {}, "2"),
    ("nesta", "raw_comparison", {}, {}, "2"),
    ("nesta", "account", {}, {}, "1"),
    ("nesta", "meta_analysis", {}, {}, "4"),
    ("nesta", "meta_analysis", {"programme.replication": 0.0}, {}, "3"),
    ("nesta", "randomised", {}, {"headline": UNCLEAR}, "none"),
    ("nesta", "monitoring", {}, {"kind": "claim"}, "2"),
    ("nesta", "monitoring", {}, {"kind": "take_up"}, "1"),
    ("eif", "randomised", {}, {}, "3"),
    ("eif", "randomised", {"attrition.overall": 0.50}, {}, "3"),
    ("eif", "randomised", {"attrition.overall": 0.5001}, {}, "NL2"),
    ("eif", "randomised", {"balance.max_smd": 0.25}, {}, "3"),
    ("eif", "randomised", {"balance.max_smd": 0.2501}, {}, "2"),
    ("eif", "before_after", {}, {"units": 20}, "2"),
    ("eif", "before_after", {}, {"units": 19}, "NL2"),
    ("eif", "before_after", {"attrition.overall": 0.40}, {}, "2"),
    ("eif", "before_after", {"attrition.overall": 0.4001}, {}, "NL2"),
    ("eif", "randomised", {}, {"headline": NULL}, "NE"),
    ("eif", "randomised", {}, {"headline": BAD}, "NE"),
    ("eif", "before_after", {}, {"headline": BAD}, "NL2"),
    ("eif", "randomised", {}, {"headline": UNCLEAR}, "NE"),  # "no evidence of improving" in a rigorous evaluation
    ("eif", "randomised", {"balance.max_smd": 0.2501}, {"headline": UNCLEAR}, "NL2"),
    ("has", "randomised", {"precision.mdes_sd": 0.20}, {}, "A"),
    ("has", "randomised", {"precision.mdes_sd": 0.2001}, {}, "B"),
    ("has", "randomised", {"attrition.overall": 0.10, "attrition.differential": 0.109}, {}, "C"),
    ("has", "meta_analysis_randomised", {}, {}, "A"),
    ("has", "meta_analysis", {}, {}, "B"),
    ("has", "did", {"pretrend.joint_p": 0.05}, {}, "B"),
    ("has", "did", {"pretrend.joint_p": 0.0499}, {}, "C"),
    ("has", "matching", {"balance.max_smd": 0.25}, {}, "B"),
    ("has", "matching", {"balance.max_smd": 0.2501}, {}, "C"),
    ("has", "monitoring", {}, {}, "C"),
    ("has", "account", {}, {}, "AE"),
    ("results_first", "randomised", {}, {}, "green"),
    ("results_first", "matching", {}, {}, "yellow"),
    ("results_first", "matching", {"balance.max_smd": 0.3}, {}, "insufficient"),
    ("results_first", "randomised", {}, {"headline": BAD}, "red"),
    ("results_first", "randomised", {}, {"headline": NULL}, "grey"),
    ("results_first", "randomised", {}, {"headline": UNCLEAR}, "insufficient"),
]
NAMES = [f"{case[0]}-{case[1]}-{place}" for place, case in enumerate(EDGES)]


@pytest.mark.parametrize(("scheme", "design", "checks", "options", "rating"), EDGES, ids=NAMES)
def test_each_edge_of_each_scheme(scheme, design, checks, options, rating):
    assert rated(scheme, design, checks, **options)[0] == rating


def test_what_a_scheme_does_not_rate_is_said_to_be_outside():
    outside = {
        scheme: rated(scheme, "meta_analysis")[0] == schemes.NOT_COVERED
        for scheme in ("wwc", "essa", "maryland", "eef_padlocks", "eif", "results_first")
    }
    assert all(outside.values()), outside
    assert rated("wwc", "instrument") == (schemes.NOT_COVERED, "instruments")
    assert rated("maryland", "social_return") == (schemes.NOT_COVERED, "unscoreable")
    assert rated("eef_months", outcome={"source": "administrative"}) == (schemes.NOT_COVERED, "attainment")
    assert rated("grade", "monitoring", kind="claim") == (schemes.NOT_COVERED, "not-an-effect")


def every_record():
    """Designs, kinds, signs and weaknesses, enough to reach every rule."""
    weak = [{}, {"balance.max_smd": 0.1, "balance.adjusted": 0.0}, {"balance.max_smd": 0.1}, {"balance.max_smd": 0.3}]
    weak += [{"attrition.overall": 0.1, "attrition.differential": 0.2, **each} for each in weak]
    weak += [{"precision.treated_clusters": 1.0}, {"registration.plan": 2.0}, {"pretrend.joint_p": 0.01}]
    weak += [{"discontinuity.integrity": 1.0}, {"discontinuity.integrity": 2.0}, {"precision.mdes_sd": 0.3}]
    weak += [{"attrition.overall": 0.45}, {"programme.logic_model": 0.0, "balance.adjusted": 0.0}]
    weak += [{"synthesis.consistency": 1.0}]
    for design, checks, headline in itertools.product(METHOD, weak, (GOOD, BAD, UNCLEAR, NULL)):
        yield finding(design, checks, headline=headline)
    yield finding("matching", outcome={"no_effect": 1.0}, headline={"estimate": 3.0, "ci_low": 2.0, "ci_high": 4.0})
    yield from (finding("monitoring", kind=kind) for kind in ("claim", "take_up", "level", "not_read"))
    yield finding("monitoring", outcome={"source": "administrative"})


@pytest.fixture(scope="module")
def everything():
    return [(record, schemes.verdicts(record)) for record in every_record()]


@pytest.mark.parametrize("scheme", schemes.SCHEMES, ids=lambda scheme: scheme.id)
def test_every_rule_of_every_scheme_is_reached(scheme, everything):
    assert {found[scheme.id].rule for _, found in everything} - {""} == set(scheme.rules)


# what is missing -----------------------------------------------------------------------------------------------------


def test_what_the_record_lacks_is_named_and_bounded():
    found = schemes.verdicts(finding(checks={"attrition.overall": ABSENT, "balance.max_smd": 0.3}))["wwc"]
    assert (found.rating, found.missing) == (schemes.CANNOT_BE_JUDGED, ("attrition.overall",))
    assert (found.at_least, found.at_most, found.judged) == (NOT_MET, WITHOUT, False)
    assert found.sentence("fr").startswith("Ne peut pas être jugé\u00a0: la fiche ne dit pas la part des résultats")
    assert found.sentence("en").endswith("between “does not meet” and “meets without reservations”.")


def test_what_does_not_matter_may_be_missing():
    """Half a padlock table suffices where one column already allows no padlock."""
    found = schemes.verdicts(finding(checks={"precision.mdes_sd": 0.7, "attrition.overall": ABSENT}))["eef_padlocks"]
    assert (found.rating, found.missing) == ("0", ())


def test_unknown_overall_attrition_is_bounded_where_the_boundary_is_highest():
    """A difference of 6 points is beyond the cautious limit at 0 % (5.7), but below it at 10 % (6.3)."""
    checks = {"attrition.overall": ABSENT, "attrition.differential": 0.06, "balance.max_smd": 0.3}
    found = schemes.verdicts(finding(checks=checks))["wwc"]
    assert (found.at_least, found.at_most) == (NOT_MET, WITHOUT)


def test_a_result_that_nobody_read_cannot_be_judged_by_anyone():
    found = schemes.verdicts(finding("randomised", kind="not_read"))
    assert {each.rating for each in found.values()} == {schemes.CANNOT_BE_JUDGED}
    assert found["wwc"].sentence("en") == (
        "Cannot be judged: the record does not say the result of the study, which nobody has read."
    )


@pytest.mark.parametrize("name", sorted(COMPLETE))
@pytest.mark.parametrize("design", sorted(METHOD))
def test_a_missing_check_never_gives_more_than_its_best_value_or_less_than_its_worst(design, name):
    full, without = (schemes.verdicts(finding(design, {name: value})) for value in (COMPLETE[name], ABSENT))
    for scheme in schemes.SCHEMES:
        best, unknown = full[scheme.id], without[scheme.id]
        if unknown.rating != best.rating:
            assert unknown.rating == schemes.CANNOT_BE_JUDGED
            assert unknown.at_most == best.rating
            assert unknown.missing


# worse is never rated better -----------------------------------------------------------------------------------------

# Values from best to worst. Overall attrition is left out: the WWC's boundary first rises with it.
WORSENING = {
    "balance.max_smd": (0.0, 0.05, 0.06, 0.25, 0.26, 1.0),
    "balance.adjusted": (1.0, 0.0),
    "attrition.differential": (0.0, 0.0569, 0.057, 0.0999, 0.10, 1.0),
    "attrition.clusters_differential": (0.0, 0.057, 0.1, 1.0),
    "pretrend.joint_p": (1.0, 0.05, 0.049, 0.0),
    "precision.mdes_sd": (0.0, 0.2, 0.21, 0.3, 0.4, 0.5, 0.6, 5.0),
    "precision.treated_clusters": (50.0, 2.0, 1.0),
    "registration.plan": (0.0, 1.0, 2.0),
    "sample.sites": (5.0, 2.0, 1.0),
    "discontinuity.integrity": (0.0, 1.0, 2.0),
    "discontinuity.continuity": (0.0, 1.0, 2.0),
    "programme.logic_model": (1.0, 0.0),
    "programme.replication": (1.0, 0.0),
    "synthesis.consistency": (0.0, 1.0, 2.0),
}
OTHERS = [{}, {"attrition.differential": 0.2}, {"balance.max_smd": 0.1}, {"attrition.differential": ABSENT}]


@pytest.mark.parametrize("name", sorted(WORSENING))
@pytest.mark.parametrize("design", sorted(METHOD))
def test_a_worse_measure_is_never_rated_better(design, name):
    for other, headline in itertools.product(OTHERS, (GOOD, UNCLEAR)):
        listed = [
            schemes.verdicts(finding(design, {**other, name: value}, headline=headline)) for value in WORSENING[name]
        ]
        for scheme in schemes.SCHEMES:
            for end in ("at_least", "at_most"):
                ranks = [scheme.rating(getattr(found[scheme.id], end)).rank for found in listed]
                known = [rank for rank in ranks if rank is not None]
                assert known == sorted(known, reverse=True), (scheme.id, end, other, ranks)


# sentences, and our grades beside them -------------------------------------------------------------------------------


def test_rules_that_were_not_verified_say_so(everything):
    for _, found in everything:
        for each in found.values():
            if each.kind == "recalled":
                assert "non vérifiée" in each.sentence("fr")
                assert "not verified" in each.sentence("en")
            if each.kind == "ours":
                assert "le nôtre" in each.sentence("fr")
                assert "is ours" in each.sentence("en")


def test_every_rule_has_a_source_and_both_languages():
    for scheme in schemes.SCHEMES:
        assert len({rating.rank for rating in scheme.ratings.values() if rating.rank is not None}) > 2
        for rule in scheme.rules.values():
            assert min(len(rule.cite), len(rule.fr), len(rule.en)) > 3
            assert not {rule.fr[-1], rule.en[-1]} & set(".:")
    for measure in MEASURES.values():
        assert measure.fr
        assert measure.en


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


def test_no_record_of_the_grid_contradicts_our_grade(everything, scale):
    for record, found in everything:
        assert consistency.contradictions(grade(record, scale), found) == []


BROKEN = [
    ("wwc-not-met", 5, finding(checks={"attrition.differential": 0.2, "balance.max_smd": 0.3})),
    ("wwc-ineligible", 3, finding("before_after")),
    ("maryland-random", 5, finding("discontinuity")),
    ("maryland-weak", 4, finding("did", {"pretrend.joint_p": 0.01})),
    ("maryland-unscoreable", 2, finding("monitoring")),
    ("grade-very-low", 5, finding("before_after")),
    ("has-experts", 1, finding("account")),
    ("has-low", 5, finding("before_after")),
    ("nesta-cause", 3, finding("before_after")),
]


@pytest.mark.parametrize(("assertion", "value", "record"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_grade_that_contradicts_a_scheme_is_refused(assertion, value, record, scale):
    wrong = dataclasses.replace(grade(record, scale), value=value)
    found = schemes.verdicts(record)
    assert assertion in [each.id for each in consistency.contradictions(wrong, found)]
    with pytest.raises(ParametersError, match="E-EVI-070") as caught:
        consistency.require_consistent({record.id: wrong}, {record.id: found})
    assert f"finding (grade {value})" in str(caught.value)


@pytest.mark.parametrize(
    ("assertion", "verdict", "record"),
    [
        ("eif-not-effective", "positive", finding(headline=BAD)),
        ("essa-harmful", "harmful", finding()),
        ("results-first-green", "harmful", finding()),
        ("results-first-green", "positive", finding(headline=BAD)),
    ],
)
def test_a_verdict_that_contradicts_a_scheme_is_refused(assertion, verdict, record, scale):
    wrong = dataclasses.replace(grade(record, scale), verdict=verdict)
    assert assertion in [each.id for each in consistency.contradictions(wrong, schemes.verdicts(record))]


def test_every_assertion_is_broken_by_something_above():
    tested = {case[0] for case in BROKEN} | {"eif-not-effective", "essa-harmful", "results-first-green"}
    assert tested == {each.id for each in consistency.ASSERTIONS}
