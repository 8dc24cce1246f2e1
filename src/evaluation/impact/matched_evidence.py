"""What a matched comparison hands over besides its effects: checks, aggregate tables, what was left out, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from evaluation.errors import EvaluationError
from evaluation.impact import checks, hidden_bias
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Covariates, Floats, model_matrix
from evaluation.impact.cross_section import outcomes_of
from evaluation.impact.hidden_factor import Hidden, contour_points, hidden_factor_checks
from evaluation.impact.matched import MatchedSets, Matches
from evaluation.impact.matched_balance import standardised_balance
from evaluation.impact.matched_outcome import Case, Mask
from evaluation.impact.overturn import UNBOUNDED
from evaluation.impact.strata import NO_SET, Strata
from evaluation.sample import FlowStep

GAMMA = "sensitivity.rosenbaum_gamma"
PAIR = 2
CURVE_POINTS, LARGEST_SHOWN = 21, 50.0  # of the curve of p-values
DISTANCE_BINS = 20
LARGE_SETS = 64  # members of a set that Rosenbaum bounds look at: beyond, the sets are subclasses, not matched sets


# checks ---------------------------------------------------------------------------------------------------------------


def own_checks(case: Case, hidden: Hidden) -> Iterator[Check]:
    """How strong something that nobody measured would have to be.

    Rosenbaum's Γ is never below 1 and has no yardstick in the data, so that it cannot be what a rubric judges.
    """
    yield from hidden_factor_checks(hidden)
    yield _gamma(case)


def _gamma(case: Case) -> Check:
    """Rosenbaum bounds for matched pairs and sets."""
    scores = _scores(case)
    if isinstance(scores, Check):
        return scores
    try:
        found = hidden_bias.hidden_bias(scores)
    except EvaluationError as error:
        return checks.not_run(GAMMA, error.what)
    gamma = min(found.gamma, UNBOUNDED)
    direction = "larger" if found.direction > 0 else "smaller"
    ranks = "signed ranks" if scores.shape[1] == PAIR else "aligned ranks"
    detail = (
        f"odds of treatment that differ within sets by a factor of {gamma:.3g} because of a hidden factor could make "
        f"the one-sided p-value of outcomes {direction} with treatment reach {found.level:g}; without hidden bias it "
        f"is {found.p_value:.4g} ({found.sets} sets, {ranks})"
    )
    return checks.measured(GAMMA, gamma, detail)


def _scores(case: Case) -> Floats | Check:
    """Scores of each set, the unit that stands alone first, or the check that says why there are none."""
    if case.design.replace:
        return checks.not_applicable(GAMMA, "a comparison unit serves in several sets, which are not independent")
    if case.design.sets in ("subclasses", "coarsened_exact"):
        return checks.not_applicable(GAMMA, "subclasses and cells are no matched sets of one unit with others")
    values = _aligned(case, outcomes_of(case.design)[0][0])
    if values.shape[1] > LARGE_SETS:
        return checks.not_run(GAMMA, f"a set has {values.shape[1]} members, more than {LARGE_SETS}")
    if values.shape[1] == PAIR:
        return hidden_bias.signed_ranks(values[:, 0] - values[:, 1])
    return _ranks(values)


def _curve(case: Case) -> pd.DataFrame:
    """The largest p-value by Γ, to beyond where it reaches the level; nothing where there are no bounds."""
    scores = _scores(case)
    if isinstance(scores, Check):
        return pd.DataFrame()
    try:
        gamma = hidden_bias.hidden_bias(scores).gamma
    except EvaluationError:
        return pd.DataFrame()
    end = min(max(2.0, 1.5 * gamma), LARGEST_SHOWN)
    return hidden_bias.bias_curve(scores, np.linspace(1.0, end, CURVE_POINTS).tolist())


def _aligned(case: Case, column: str) -> Floats:
    """(sets, members) outcomes less their set's mean, the unit that stands alone on its side first; NaN for nobody.

    In sets of one comparison unit with several treated ones outcomes are turned, so that the lone unit counts as
    treated.
    """
    rows, numbers = case.sets(column).members
    table = pd.DataFrame({"set": numbers, "treated": case.treated[rows], "y": case.values(column)[rows]})
    count = table.groupby("set")["treated"].agg(["sum", "size"])
    several = count["sum"].reindex(table["set"]).to_numpy() > 1
    table["alone"] = table["treated"].to_numpy() ^ several
    table["y"] *= np.where(several, -1.0, 1.0)
    table["y"] -= table.groupby("set")["y"].transform("mean")
    table = table.sort_values(["set", "alone"], ascending=[True, False], kind="stable")
    place = table.groupby("set").cumcount().to_numpy()
    codes = pd.factorize(table["set"])[0]
    out = np.full((codes.max() + 1, place.max() + 1), np.nan)
    out[codes, place] = table["y"]
    return out


def _ranks(aligned: Floats) -> Floats:
    """Ranks over all sets (Hodges and Lehmann 1962; Rosenbaum 2002, section 4.6); NaN stays."""
    out, known = np.full(aligned.shape, np.nan), np.isfinite(aligned)
    scale = np.abs(aligned[known]).max() or 1.0
    out[known] = stats.rankdata(np.round(aligned[known] / scale, 12))
    return out


# tables ---------------------------------------------------------------------------------------------------------------


def own_tables(case: Case, hidden: Hidden) -> dict[str, pd.DataFrame]:
    """Balance in cobalt's conventions, how far partners are apart, points of the contour figure; aggregates only."""
    sets = case.sets()
    tables = {}
    covariates = _with_score(case)
    if covariates.labels:
        tables["standardised_balance"] = standardised_balance(
            covariates, case.treated, case.weights, sets.weights(), case.design.estimand, sets
        )
    if isinstance(sets, MatchedSets):
        tables["pair_distances"] = _distance_bins(sets, case.space.points)
    tables["set_sizes"] = _set_sizes(case)
    if not isinstance(hidden, str):
        tables["hidden_factor"] = contour_points(hidden)
    curve = _curve(case)
    return tables if curve.empty else {**tables, "gamma_curve": curve}


def _with_score(case: Case) -> Covariates:
    covariates = model_matrix(case.sample.frame, case.sample.names, all_levels=True)
    if not case.design.has_score or not covariates.labels:
        return covariates
    return Covariates(
        matrix=np.column_stack([case.space.points[:, 0], covariates.matrix]),
        labels=("score", *covariates.labels),
        columns=("score", *covariates.columns),
    )


def _distance_bins(sets: MatchedSets, points: Floats) -> pd.DataFrame:
    """Numbers of pairs by distance: low, high, pairs."""
    i, turn = np.nonzero(sets.shares)
    gaps = np.linalg.norm(points[sets.matches.focal[i]] - points[sets.matches.partners[i, turn]], axis=1)
    pairs, edges = np.histogram(gaps, bins=DISTANCE_BINS, range=(0.0, float(gaps.max()) or 1.0))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "pairs": pairs})


def _set_sizes(case: Case) -> pd.DataFrame:
    """Numbers of sets by their numbers of treated and comparison units: treated, comparison, sets."""
    rows, numbers = case.sets().members
    table = pd.DataFrame({"set": numbers, "treated": case.treated[rows]})
    sizes = table.groupby("set")["treated"].agg(treated="sum", size="size")
    sizes["comparison"] = sizes["size"] - sizes["treated"]
    return sizes.groupby(["treated", "comparison"]).size().rename("sets").reset_index()


# what was left out ----------------------------------------------------------------------------------------------------


def own_flow(case: Case) -> tuple[FlowStep, ...]:
    """Rows that were discarded for their score, then rows that no set has."""
    treated, kept = case.treated, case.space.usable
    matched = case.sets().weights() > 0
    steps = []
    for name, before, after, reason in (
        ("discarded", np.ones_like(kept), kept, "score outside the range of the other arm"),
        ("unmatched", kept, kept & matched, "in no matched set"),
    ):
        out = before & ~after
        if out.any():
            steps.append(
                FlowStep(
                    step=name,
                    dropped=int(out.sum()),
                    left=int(after.sum()),
                    reason=reason,
                    dropped_treated=int((out & treated).sum()),
                    dropped_comparison=int((out & ~treated).sum()),
                )
            )
    return tuple(steps)


# notes ----------------------------------------------------------------------------------------------------------------

_ARMS: Mapping[str, tuple[str, str]] = {
    "att": ("treated", "comparison"),
    "atc": ("comparison", "treated"),
    "ate": ("of all", "other"),
}


def notes(case: Case) -> Iterator[str]:
    """What a reader must know, with numbers."""
    design = case.design
    yield _who(case)
    yield from _changed_estimand(case)
    if design.replace and isinstance(case.found, Matches):
        yield _reuse(case)
    if case.space.left_out:
        yield f"Left out because they add nothing to earlier covariates: {', '.join(case.space.left_out)}."
    if design.order == "random":
        yield f"Units chose in a random order (seed {design.order_seed}); another seed gives other partners."
    if design.adjustment == "g_computation":
        yield "The means of the covariates over which predicted differences are averaged are taken as fixed."


def _who(case: Case) -> str:
    design, found = case.design, case.found
    if isinstance(found, Strata):
        inside = found.codes != NO_SET
        kinds = {"full": "sets", "subclasses": "subclasses", "coarsened_exact": "cells"}[design.sets]
        far = f"; total distance {found.distance:.6g}" if np.isfinite(found.distance) else ""
        return (
            f"{int((inside & found.treated).sum())} of {int(found.treated.sum())} treated and "
            f"{int((inside & ~found.treated).sum())} of {int((~found.treated).sum())} comparison units are in "
            f"{len(np.unique(found.codes[inside]))} {kinds} with units of both arms{far}."
        )
    arm, other = _ARMS[design.estimand]
    partners, _ = found.partners_used
    unit_count = found.n_rows if design.estimand == "ate" else found.n_rows - len(found.focal)
    what = {"nearest": "distance", "optimal_pairs": "smallest total", "cardinality": "largest balanced sample, then"}
    return (
        f"{int(found.matched.sum())} of {len(found.focal)} {arm} units were matched with {len(partners)} of "
        f"{unit_count} {other} units; {what[design.sets]} {design.distance}, ties decided by the order of unit ids."
    )


def _changed_estimand(case: Case) -> Iterator[str]:
    """Leaving units out whose effect is wanted changes what is estimated."""
    arm, _ = _ARMS[case.design.estimand]
    treated = case.treated
    wanted = {"att": treated, "atc": ~treated, "ate": np.ones_like(treated)}[case.design.estimand]
    found = _with_partner(case)
    lost, left = int((wanted & ~found).sum()), int((wanted & found).sum())
    discarded = int((wanted & ~case.space.usable).sum())
    if not lost:
        return
    if discarded:
        yield f"{discarded} {arm} units have a score outside the range of the other arm and were discarded."
    if lost > discarded:
        yield (
            f"{lost - discarded} {arm} units found no partner {_why_unmatched(case)}. "
            + _mean_over(arm, left, int(wanted.sum()))
        )
    else:
        yield _mean_over(arm, left, int(wanted.sum()))


def _mean_over(arm: str, left: int, wanted: int) -> str:
    arm = "" if arm == "of all" else f"{arm} "
    return (
        f"The effect is the mean over the {left} matched {arm}units, not over all {wanted}: leaving units out changes "
        "what is estimated."
    )


def _with_partner(case: Case) -> Mask:
    """(n,) units whose own effect enters."""
    if isinstance(case.found, Strata):
        return np.asarray(case.found.codes != NO_SET)
    out = np.zeros(case.found.n_rows, dtype=bool)
    out[case.found.focal[case.found.matched]] = True
    return out


def _why_unmatched(case: Case) -> str:
    design, reasons = case.design, []
    if design.sets == "cardinality":
        return f"among those whose means agree within {design.balance_tolerance:g} standard deviations"
    if design.sets == "coarsened_exact":
        return "in their cell of coarsened covariates"
    if design.caliper is not None and isinstance(case.found, Matches):
        unit = "standard deviations of the score" if design.caliper_unit == "sd" else "of the score"
        reasons.append(f"within {design.caliper:g} {unit} ({case.found.width:.4g})")
    elif design.caliper is not None:
        reasons.append(f"within the caliper of {design.caliper:g}")
    if design.covariate_calipers:
        reasons.append(f"within the calipers of {', '.join(each.column for each in design.covariate_calipers)}")
    if design.exact:
        reasons.append(f"with the same {', '.join(design.exact)}")
    if design.anti_exact:
        reasons.append(f"with another {', '.join(design.anti_exact)}")
    return " ".join(reasons) or "before all were taken"


def _reuse(case: Case) -> str:
    assert isinstance(case.found, Matches)  # noqa: S101 - for mypy
    _, times = case.found.partners_used
    _, other = _ARMS[case.design.estimand]
    said = f"One {other} unit serves up to {times.max()} times. "
    if case.design.score_error == "corrected":
        return f"{said}The standard error allows for the estimated score (Abadie and Imbens 2016)."
    known = "conservative" if case.design.estimand == "ate" else "can go either way"
    if not case.design.has_score or case.design.distance == "score":
        return f"{said}The distance is taken as known (Abadie and Imbens 2006)."
    which = "everybody is" if case.design.estimand == "ate" else "one arm"
    return (
        f"{said}The standard error takes the score as known (Abadie and Imbens 2006); with an estimated score its "
        f"error for the effect on {which} {known}."
    )
