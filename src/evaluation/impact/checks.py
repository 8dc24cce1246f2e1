"""Checks: one diagnostic, one number, or the reason why there is none. A check reports; the rubric judges."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact.balance import effective_size
from evaluation.impact.covariates import Floats

if TYPE_CHECKING:
    from evaluation.impact.inference import WaldTest
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import Design, Outcome

Status = Literal["measured", "not_run", "not_applicable"]

# Smallest true effect that a two-sided 5 % test finds with probability 80 %: (1.96 + 0.84) standard errors.
DETECTABLE = 2.8
# Bounds of the score between which comparisons are sound (Crump, Hotz, Imbens and Mitnik 2009).
SCORE_LOW, SCORE_HIGH = 0.1, 0.9

# What stands for a standardised difference without bound, which a record cannot hold.
UNBOUNDED = 10.0

# How the outcome was recorded, as `outcome.source` says it; the numbers are codes that the rubric reads.
SOURCES = {
    "administrative": 0.0,
    "standardised test": 0.0,
    "measured": 0.0,
    "self-report": 1.0,
    "delivering staff": 2.0,
    "programme": 3.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One diagnostic.

    Attributes:
        check: id, such as "balance.max_smd".
        value: the number; None unless measured.
        power: probability that the check finds a problem of relevant size, where known.
        status: measured, not_run (it could have been, and was not) or not_applicable (it makes no sense here).
        detail: English, with numbers, or the reason.
        subject: the evaluator's name of the column that the number is about.
    """

    check: str
    value: float | None = None
    power: float | None = None
    status: Status = "measured"
    detail: str = ""
    subject: str = ""


def measured(check: str, value: float, detail: str, subject: str = "") -> Check:
    """A check with a number."""
    return Check(check=check, value=float(value), detail=detail, subject=subject)


def not_run(check: str, reason: str) -> Check:
    """A check that would say something here, but was not run."""
    return Check(check=check, status="not_run", detail=reason)


def not_applicable(check: str, reason: str) -> Check:
    """A check that says nothing here."""
    return Check(check=check, status="not_applicable", detail=reason)


def balance(table: pd.DataFrame | None) -> Check:
    """Largest absolute standardised difference of the groups that are compared, and the covariate it belongs to."""
    name = "balance.max_smd"
    if table is None or not len(table):
        return not_run(name, "no covariates measured before the treatment are named")
    after = "smd_after" in table
    counted = table[table["counted"]]
    smd = counted["smd_after" if after else "smd_before"].abs()
    if smd.isna().all():
        return not_run(name, "no covariate is known in both groups")
    worst = counted.loc[smd.idxmax()]
    label = str(worst["covariate"])
    if np.isinf(smd.max()):
        detail = f"{label} differs between the groups and does not vary within them: no bound, written as {UNBOUNDED}"
        return measured(name, UNBOUNDED, detail, label)
    detail = (
        f"largest of {len(counted)} standardised differences {'after the adjustment' if after else 'as assigned'}: "
        f"{label}, {'Cox index' if worst['kind'] == 'binary' else 'Hedges g'} {smd.max():.3f}"
    )
    detail += f"; before it {counted['smd_before'].abs().max():.3f}" if after else ""
    rare = len(table) - len(counted)
    detail += f"; {rare} levels that fewer than 1 % of the units have or lack are not counted" if rare else ""
    return measured(name, float(smd.max()), detail, label)


def overlap(score: Floats | None, focal: NDArray[np.bool_], reason: str = "") -> Check:
    """Share of the units whose effect is wanted with a score in [0.1, 0.9].

    Args:
        score: (n,) propensity score, or None.
        focal: (n,) those units.
        reason: why there is no score.
    """
    name = "overlap.share_in_01_09"
    if score is None:
        return not_run(name, reason)
    inside = (score[focal] >= SCORE_LOW) & (score[focal] <= SCORE_HIGH)
    detail = (
        f"{int(inside.sum())} of {len(inside)} units have a score from {SCORE_LOW} to {SCORE_HIGH}; "
        f"scores from {score[focal].min():.3f} to {score[focal].max():.3f}"
    )
    return measured(name, float(inside.mean()), detail)


def effective_share(weights: Floats | None) -> Check:
    """Kish's effective size of the comparison group over the number of its units that are used."""
    name = "overlap.ess_share"
    if weights is None:
        return not_applicable(name, "nothing was weighted")
    used = weights[weights > 0]
    size = effective_size(used)
    detail = f"effective size {size:.1f} of {len(used)} units in use, out of {len(weights)} in the comparison group"
    return measured(name, size / len(used), detail)


def pretest(sample: Sample, design: Design) -> Check:
    """Whether the outcome was measured before the treatment, and used (1) or not (0)."""
    name = "baseline.outcome_pretest"
    if design.method == "experiment":
        return not_applicable(name, "chance decided who was treated")
    if design.method == "did":
        return not_applicable(name, "changes from before are what is compared")
    column = getattr(design, "baseline_outcome", None)
    if column is None:
        return measured(name, 0.0, "no measure of the outcome before the treatment is named")
    used = column in design.covariates
    known = int(sample.frame["baseline_outcome"].notna().sum()) if "baseline_outcome" in sample.frame else 0
    detail = f"{column} is {'among' if used else 'not among'} the covariates; known for {known} units"
    return measured(name, float(used), detail, column)


def attrition(flow: tuple[FlowStep, ...], design: Design, arms: tuple[int, int]) -> tuple[Check, Check]:
    """Share of rows with a known arm whose outcome is missing, overall and as the difference between the arms.

    Args:
        flow: row accounting; "missing_outcome" counts the rows that were lost.
        design: a panel is its own roster, so that nothing lost is a measured zero; other files need not hold the lost.
        arms: treated and comparison rows in use.

    Returns:
        attrition.overall and attrition.differential, both 0 to 1.
    """
    names = "attrition.overall", "attrition.differential"
    steps = [step.step for step in flow]
    if "missing_outcome" not in steps or not flow[steps.index("missing_outcome")].dropped:
        if design.method == "did" and getattr(design, "panel", "") != "repeated_cross_section":
            detail = "no row of the panel lacks the outcome"
            return measured(names[0], 0.0, detail), measured(names[1], 0.0, detail)
        reason = "no row lacks the outcome: nobody was lost, or the lost are not in the file (no roster)"
        return not_run(names[0], reason), not_run(names[1], reason)
    place = steps.index("missing_outcome")
    lost = flow[place]
    overall = lost.dropped / (lost.dropped + lost.left)
    detail = f"{lost.dropped} of {lost.dropped + lost.left} rows lack the outcome"
    return measured(names[0], overall, detail), _differential(names[1], flow[place:], arms)


def _differential(name: str, flow: tuple[FlowStep, ...], arms: tuple[int, int]) -> Check:
    lost = (flow[0].dropped_treated, flow[0].dropped_comparison)
    later = [(step.dropped_treated, step.dropped_comparison) for step in flow[1:] if step.dropped]
    if None in lost or any(None in pair for pair in later):
        return not_run(name, "the arms of the rows without an outcome are not known")
    shares = []
    for side in (0, 1):
        gone = lost[side] or 0
        left = arms[side] + sum(pair[side] or 0 for pair in later)
        shares.append(gone / (gone + left) if gone + left else 0.0)
    detail = f"{shares[0]:.1%} of the treated and {shares[1]:.1%} of the comparison rows lack the outcome"
    return measured(name, abs(shares[0] - shares[1]), detail)


def detectable_effect(std_error: float, outcome_sd: float) -> Check:
    """2.8 standard errors in standard deviations of the outcome of the comparison group."""
    name = "precision.mdes_sd"
    if not np.isfinite(std_error):
        return not_run(name, "the effect has no standard error")
    if not outcome_sd > 0:
        return not_run(name, "the outcome does not vary in the comparison group")
    value = DETECTABLE * std_error / outcome_sd
    return measured(name, value, f"{DETECTABLE} x {std_error:.4g} / {outcome_sd:.4g} (standard deviation, comparison)")


def cluster_counts(counts: tuple[int, int] | None, clusters: str) -> tuple[Check, Check]:
    """Number of clusters, and of clusters with treated units.

    Args:
        counts: both numbers, or None without clusters.
        clusters: name of the clustering variable with the fewest clusters.
    """
    names = "precision.clusters", "precision.treated_clusters"
    if counts is None:
        reason = "units are independent: no clusters are named"
        return not_applicable(names[0], reason), not_applicable(names[1], reason)
    return (
        measured(names[0], counts[0], f"{counts[0]} clusters of {clusters}", clusters),
        measured(names[1], counts[1], f"{counts[1]} clusters of {clusters} with treated units", clusters),
    )


def pretrend(test: WaldTest | None, event_times: list[int]) -> tuple[Check, Check]:
    """Joint test of the effects before treatment, and how many event times it looks at.

    Args:
        test: the test; None where the method has no periods.
        event_times: distinct event times before the treatment with an estimate.
    """
    names = "pretrend.periods", "pretrend.joint_p"
    if test is None:
        reason = "the method does not compare periods"
        return not_applicable(names[0], reason), not_applicable(names[1], reason)
    number = measured(
        names[0], len(event_times), f"event times before treatment: {', '.join(map(str, event_times)) or 'none'}"
    )
    if test.reason:
        return number, not_run(names[1], test.reason)
    return number, measured(names[1], test.p_value, f"Wald statistic {test.statistic:.3f} with {test.df} restrictions")


def multiplicity(primary: pd.Series, family_size: int) -> Check:
    """Holm-adjusted p-value of the primary outcome within its family.

    Args:
        primary: row of the effects table.
        family_size: outcomes in the family.
    """
    name = "multiplicity.holm_p"
    if family_size == 1:
        return not_applicable(name, "the primary outcome is alone in its family")
    if not np.isfinite(primary["p_adjusted"]):
        return not_run(name, "the primary outcome has no p-value")
    detail = f"Holm over {family_size} outcomes; unadjusted {primary['p_value']:.4g}"
    return measured(name, float(primary["p_adjusted"]), detail)


def measurement(outcome: Outcome) -> Check:
    """How the outcome was recorded, as a code: 0 records, tests, measurements; 1 self-report; 2 staff; 3 programme."""
    name = "measurement.source"
    if outcome.source.lower() not in SOURCES:
        said = f"source: {outcome.source!r}" if outcome.source else "no source of the outcome"
        return not_run(name, f"{said}; known are {', '.join(SOURCES)}")
    return measured(name, SOURCES[outcome.source.lower()], outcome.source, outcome.name)


def unmeasured(design: Design, known: Collection[str] = ()) -> Iterator[Check]:
    """What no computation on this sample can say, and what was not computed; `known` are the ids of other checks."""
    if "identification.sensitivity" in known:
        pass
    elif design.method == "experiment":
        yield not_applicable("identification.sensitivity", "chance decided who was treated")
    else:
        yield not_run("identification.sensitivity", "sensitivity to hidden factors is not computed in this version")
    yield not_run("interference.displacement", "whether the comparison group was affected is not in the data")
    yield not_run("independence.evaluator", "who evaluated is not in the data")
    if design.frozen is not None:
        yield _planned(design)
    elif design.role == "benchmark" and design.public:
        yield not_applicable("registration.plan", "public data that others published, analysed again")
    else:
        yield not_run("registration.plan", "no analysis plan was frozen before the data were opened")


def _planned(design: Design) -> Check:
    """0 where the evaluation is as its plan was frozen, 1 where it differs."""
    name = "registration.plan"
    if design.frozen == design.plan_sha256():
        return measured(name, 0.0, "as in the plan that was frozen before outcomes were opened")
    return measured(name, 1.0, "differs from the frozen plan: `evaluation plan status` says in what")
