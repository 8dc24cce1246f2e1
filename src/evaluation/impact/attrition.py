"""Who was lost between the draw and the analysis, whether that can mislead, and what the effect can be in spite of it.

Attrition is counted against the roster (`sample.roster`): everybody who was assigned, in the arm they were assigned to.
Whoever is not in the analysis is lost, for whatever reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.impact import bounds, inference
from evaluation.impact.checks import Check, measured, not_applicable, not_run
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.cross_section import arms_of, clusters_of_frame, outcomes_of
from evaluation.impact.regression import weighted_least_squares
from evaluation.settings.wwc import attrition_boundaries, attrition_zone

if TYPE_CHECKING:
    from evaluation.impact.bounds import Booleans
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign

STEPS = {"assigned": "assigned", "at_baseline": "baseline", "at_endline": "endline", "used": "used"}
ZONES = ("below the cautious boundary", "between the cautious and the optimistic boundary", "above both boundaries")
BOUNDS = pd.DataFrame({"term": ["lower", "upper"]})
_MOSTLY = 0.5  # share of those who left for whom a covariate must be known
_FEWEST = 2  # people in each of the four groups of a comparison of leavers; below there is no standard error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Roster:
    """The roster with what the design says about it.

    Attributes:
        frame: see `sample.roster`, people of weight zero left out.
        names: canonical name -> the evaluator's own.
        weight: (n,) sampling weight over the probability of the arm.
        clusters: clusters by unit, or None.
        by_cluster: canonical column of the clusters that were drawn; "" where people were.
    """

    frame: pd.DataFrame
    names: Mapping[str, str]
    weight: Floats
    clusters: pd.DataFrame | None
    by_cluster: str

    @property
    def treated(self) -> Booleans:
        """(n,) arm."""
        return np.asarray(self.frame["treated"], dtype=bool)

    @property
    def lost(self) -> Booleans:
        """(n,) not in the analysis."""
        return ~np.asarray(self.frame["used"], dtype=bool)


def evidence(sample: Sample, design: ExperimentDesign) -> tuple[tuple[Check, ...], dict[str, pd.DataFrame]]:
    """Checks and tables of attrition; none where nobody says who was assigned.

    Returns:
        checks: where the design has a roster, attrition.overall and attrition.differential (shares, weighted; where
            clusters were drawn also attrition.cluster_overall and attrition.cluster_differential), which take the place
            of what the row accounting says; attrition.leavers (p-value: those who left differ between the arms),
            attrition.lee_low and attrition.lee_high (bounds of the effect).
        tables: attrition_flow, attrition_rates, attrition_leavers, attrition_bounds, attrition_cells.
    """
    if sample.roster is None:
        return (), {}
    roster = _read(sample, design)
    rates = pd.DataFrame(list(_rates(roster)))
    leavers, joint = _leavers(roster)
    limits, cells = _bounds(sample, design, roster)
    tables = {
        "attrition_flow": _flow(roster),
        "attrition_rates": rates,
        "attrition_leavers": leavers,
        "attrition_bounds": limits,
        "attrition_cells": cells,
    }
    counts = _rate_checks(rates) if design.roster is not None else ()
    checks = (*counts, joint, *_bound_checks(limits, design))
    return checks, {name: table for name, table in tables.items() if len(table)}


def _read(sample: Sample, design: ExperimentDesign) -> _Roster:
    roster = sample.roster if sample.roster is not None else pd.DataFrame()
    frame = roster[roster["weight"] > 0].reset_index(drop=True)
    return _Roster(
        frame=frame,
        names=sample.names,
        weight=frame["weight"].to_numpy(dtype=float) / _probability_of_arm(frame),
        clusters=clusters_of_frame(frame, sample.names),
        by_cluster="cluster_1" if design.assignment == "cluster" and "cluster_1" in frame else "",
    )


def _probability_of_arm(frame: pd.DataFrame) -> Floats:
    """Probability of the arm that each unit is in: known, or the share in its stratum; 1 in a draw without either."""
    treated = frame["treated"].to_numpy(dtype=bool)
    if "probability" in frame:
        p = frame["probability"].to_numpy(dtype=float)
    elif "stratum" in frame:
        share = frame.groupby("stratum", observed=True)["treated"].transform("mean").to_numpy(dtype=float)
        p = np.where((share > 0) & (share < 1), share, 0.5)
    else:
        return np.ones(len(frame))
    return np.asarray(np.where(treated, p, 1 - p))


# how many ------------------------------------------------------------------------------------------------------------


def _flow(roster: _Roster) -> pd.DataFrame:
    """People, clusters and their share of those assigned, by step and arm; a step holds who came through all before."""
    frame = roster.frame.assign(assigned=True)
    rows, through = [], np.ones(len(frame), dtype=bool)
    for column, step in STEPS.items():
        if column not in frame:
            continue
        through = through & frame[column].to_numpy(dtype=bool)
        for arm, inside in (("treated", roster.treated), ("comparison", ~roster.treated)):
            here = through & inside
            row: dict[str, object] = {"step": step, "arm": arm, "units": int(here.sum())}
            row["share"] = float(roster.weight[here].sum() / roster.weight[inside].sum())
            if roster.by_cluster:
                row["clusters"] = int(frame.loc[here, roster.by_cluster].nunique())
            rows.append(row)
    return pd.DataFrame(rows)


def _rates(roster: _Roster) -> Iterator[dict[str, object]]:
    """Shares lost, of people and, where clusters were drawn, of clusters and of people in the clusters that stayed.

    Source: WWC Standards Handbook 4.0, section II.A, which looks at both levels of a trial of clusters.
    """
    units = pd.Index(roster.frame["unit"])
    yield _rate("units", roster.lost, roster.treated, roster.weight, units, roster.clusters)
    if not roster.by_cluster:
        return
    codes, names = pd.factorize(roster.frame[roster.by_cluster])
    stayed = np.bincount(codes, ~roster.lost) > 0
    arm = np.bincount(codes, roster.treated) / np.bincount(codes) >= 0.5  # the arm of its people
    yield _rate("clusters", ~stayed, arm, np.ones(len(names)), pd.Index(names), None)
    kept = stayed[codes]
    weight, lost, treated = roster.weight[kept], roster.lost[kept], roster.treated[kept]
    yield _rate("units in clusters that stayed", lost, treated, weight, units[kept], roster.clusters)


def _rate(
    level: str, lost: Booleans, treated: Booleans, weight: Floats, units: pd.Index, clusters: pd.DataFrame | None
) -> dict[str, object]:
    shares = [float(np.average(lost[arm], weights=weight[arm])) if arm.any() else np.nan for arm in (treated, ~treated)]
    overall, differential = float(np.average(lost, weights=weight)), abs(shares[0] - shares[1])
    limits = attrition_boundaries(overall) or (np.nan, np.nan)
    row: dict[str, object] = {
        "level": level,
        "assigned": len(lost),
        "lost": int(lost.sum()),
        "overall": overall,
        "treated": shares[0],
        "comparison": shares[1],
        "differential": differential,
        "p_value": np.nan,
        "cautious": limits[0],
        "optimistic": limits[1],
        "zone": attrition_zone(overall, differential) if np.isfinite(differential) else np.nan,
    }
    if lost.any() and treated.any() and not treated.all():
        fit = weighted_least_squares(
            lost.astype(float), np.column_stack([np.ones(len(lost)), treated]), ["intercept", "treated"], weight
        )
        effects = fit.to_effects(np.array([0.0, 1.0]), pd.DataFrame({"term": ["lost"]}), units, arms_of(units, treated))
        row["p_value"] = inference.summarize(effects, clusters, kind=_kind(clusters))["p_value"].iloc[0]
    return row


def _rate_checks(rates: pd.DataFrame) -> Iterator[Check]:
    names = {"units": "", "clusters": "cluster_"}
    for row in rates[rates["level"].isin(list(names))].itertuples():
        prefix = f"attrition.{names[str(row.level)]}"
        detail = f"{row.lost} of {row.assigned} {row.level} that were assigned are not in the analysis"
        yield measured(f"{prefix}overall", float(row.overall), detail)
        if not np.isfinite(row.differential):
            yield not_run(f"{prefix}differential", "an arm has nobody on the roster")
            continue
        detail = f"{row.treated:.1%} of the treated and {row.comparison:.1%} of the comparison {row.level} are lost"
        detail += f" (p = {row.p_value:.3f})" if np.isfinite(row.p_value) else ""
        yield measured(f"{prefix}differential", float(row.differential), f"{detail}; WWC: {ZONES[int(row.zone)]}")


# who -----------------------------------------------------------------------------------------------------------------


def _leavers(roster: _Roster) -> tuple[pd.DataFrame, Check]:
    """Means of covariates by arm and fate with tests, and a joint test.

    For each covariate x, among those for whom it is known: x = a + b T + c L + d T L. b compares the arms among those
    who stayed, b + d among those who left, and d says whether leavers differ between the arms.

    Source: Ghanem, Hirshleifer and Ortiz-Becerra (2023), *Journal of Human Resources*, for why both groups count.
    """
    name = "attrition.leavers"
    covariates = model_matrix(roster.frame, roster.names)
    if not roster.lost.any():
        return pd.DataFrame(), not_applicable(name, "nobody was lost")
    if not covariates.labels:
        return pd.DataFrame(), not_run(name, "no covariate is known for those who were lost")
    rows = [_leaver_row(roster, label, x) for label, x in zip(covariates.labels, covariates.matrix.T, strict=True)]
    return pd.DataFrame(rows), _joint_test(roster, covariates.matrix, name)


def _leaver_row(roster: _Roster, label: str, values: Floats) -> dict[str, object]:
    known = np.isfinite(values)
    treated, lost, weight = roster.treated[known], roster.lost[known], roster.weight[known]
    groups = {
        f"{arm}_{fate}": inside & gone
        for arm, inside in (("treated", treated), ("comparison", ~treated))
        for fate, gone in (("stayed", ~lost), ("left", lost))
    }
    row: dict[str, object] = {"covariate": label, "known": int(known.sum())}
    for name, here in groups.items():
        row[f"mean_{name}"] = float(np.average(values[known][here], weights=weight[here])) if here.any() else np.nan
        row[f"n_{name}"] = int(here.sum())
    tests = _four_groups(roster, values[known], known) if min(map(np.sum, groups.values())) >= _FEWEST else None
    for position, test in enumerate(("stayed", "left", "leavers")):
        for column in ("estimate", "std_error", "p_value"):
            row[f"{column}_{test}"] = np.nan if tests is None else tests[column].iloc[position]
    return row


def _four_groups(roster: _Roster, values: Floats, known: Booleans) -> pd.DataFrame | None:
    """Treated less comparison among those who stayed, among those who left, and the difference of the two."""
    if np.ptp(values) == 0:
        return None
    treated, lost = roster.treated[known].astype(float), roster.lost[known].astype(float)
    matrix = np.column_stack([np.ones(len(values)), treated, lost, treated * lost])
    names = ["intercept", "treated", "left", "treated x left"]
    fit = weighted_least_squares(values, matrix, names, roster.weight[known])
    pick = np.array([[0.0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]])
    units = pd.Index(roster.frame["unit"][known])
    effects = fit.to_effects(pick, pd.DataFrame({"term": ["stayed", "left", "leavers"]}), units)
    return inference.summarize(effects, roster.clusters, kind=_kind(roster.clusters))


def _joint_test(roster: _Roster, matrix: Floats, name: str) -> Check:
    """Whether the covariates predict leaving differently in the two arms: all slopes of treatment times covariate.

    Covariates that are not known for most of those who left (they were measured later) cannot say anything.
    """
    asked = np.isfinite(matrix[roster.lost]).mean(axis=0) > _MOSTLY
    known = np.asarray(np.isfinite(matrix[:, asked]).all(axis=1))
    matrix = matrix[:, asked]
    treated, x = roster.treated[known].astype(float), matrix[known]
    varies = x.std(axis=0) > 0 if len(x) else np.zeros(matrix.shape[1], dtype=bool)
    x = (x[:, varies] - x[:, varies].mean(axis=0)) / x[:, varies].std(axis=0)
    wide = np.column_stack([np.ones(len(x)), treated, x, x * treated[:, None]])
    crossed = np.arange(wide.shape[1]) >= 2 + x.shape[1]
    kept = independent_columns(wide)
    wide, crossed = wide[:, kept], crossed[kept]
    if not crossed.any() or len(wide) <= wide.shape[1]:
        return not_run(name, "covariates do not vary among those for whom they are known")
    names = [f"column {number}" for number in range(wide.shape[1])]
    fit = weighted_least_squares(roster.lost[known].astype(float), wide, names, roster.weight[known])
    units = pd.Index(roster.frame["unit"][known])
    labels = pd.DataFrame({"term": ["leavers"] * int(crossed.sum())})
    effects = fit.to_effects(np.eye(wide.shape[1])[crossed], labels, units, arms_of(units, treated > 0, len(labels)))
    test = inference.wald(effects, roster.clusters, kind="hc1" if roster.clusters is None else "cr1")
    if test.reason:
        return not_run(name, test.reason)
    detail = f"joint test that {test.df} covariates predict leaving alike in both arms: {test.statistic:.3f}"
    detail += f", {int(known.sum())} of {len(known)} people with all of them"
    late = f"; {int((~asked).sum())} of {len(asked)} covariates are not known for those who left"
    detail += "" if asked.all() else late
    return measured(name, test.p_value, detail)


# what the effect can be ----------------------------------------------------------------------------------------------


def _bounds(sample: Sample, design: ExperimentDesign, roster: _Roster) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lee's bounds, in cells where the design names some, and Manski's; and the cells."""
    people = _people(sample, design, roster)
    if people.seen.all() or not (people.treated & people.seen).any() or not (~people.treated & people.seen).any():
        return pd.DataFrame(), pd.DataFrame()
    level, whole = design.inference.level, np.zeros(len(people.units), dtype=np.intp)
    lowest, highest, said = _range(design, people)
    lee = bounds.lee(_in_cells(people, whole), BOUNDS)
    rows = [_bound_row("lee", lee.effects, roster, level, f"trims {_trimming(lee.cells)}")]
    cells = pd.DataFrame()
    if "cell" in roster.frame:
        code, names = pd.factorize(roster.frame["cell"], sort=True)
        finer = bounds.lee(_in_cells(people, code), BOUNDS)
        cells = finer.cells.assign(cell=np.asarray(names)[finer.cells["cell"]])
        rows.append(_bound_row("lee_in_cells", finer.effects, roster, level, f"{len(cells)} groups"))
    widest = bounds.manski(people, lowest, highest, BOUNDS)
    rows.append(_bound_row("manski", widest, roster, level, f"outcomes from {lowest:g} to {highest:g} ({said})"))
    return pd.DataFrame(rows), cells


def _people(sample: Sample, design: ExperimentDesign, roster: _Roster) -> bounds.Assigned:
    known = sample.frame.set_index("unit")[outcomes_of(design)[0][0]]
    return bounds.Assigned(
        units=pd.Index(roster.frame["unit"]),
        treated=roster.treated,
        outcome=known.reindex(roster.frame["unit"]).to_numpy(dtype=float),
        weight=roster.weight,
        cell=np.zeros(len(roster.frame), dtype=np.intp),
    )


def _in_cells(people: bounds.Assigned, cell: np.ndarray) -> bounds.Assigned:
    return bounds.Assigned(
        units=people.units, treated=people.treated, outcome=people.outcome, weight=people.weight, cell=cell
    )


def _range(design: ExperimentDesign, people: bounds.Assigned) -> tuple[float, float, str]:
    """What the outcome can be at least and at most, and who says so; never less than what was seen."""
    known = people.outcome[people.seen]
    low, high = float(known.min()), float(known.max())
    said = design.roster
    if said is not None and said.lowest is not None and said.highest is not None:
        return min(said.lowest, low), max(said.highest, high), "the range that the design names"
    if np.isin(known, (0.0, 1.0)).all():
        return 0.0, 1.0, "a yes or a no"
    return low, high, "the range that was observed: those who were lost may lie outside"


def _trimming(cells: pd.DataFrame) -> str:
    row = cells.iloc[0]
    return f"{row['trimmed']:.1%} of the {row['trimmed_arm']} units with a known outcome"


def _bound_row(kind: str, effects: Effects, roster: _Roster, level: float, detail: str) -> dict[str, object]:
    """Both bounds with their interval, which is missing where clusters (or people) are too few for one."""
    table = inference.summarize(effects, roster.clusters, level=level)
    std_error, reasons = table["std_error"].to_numpy(dtype=float), [reason for reason in table["reason"] if reason]
    ends = (np.nan, np.nan) if reasons else inference.interval_of_a_set(effects.estimate, std_error, level=level)
    return {
        "bounds": kind,
        "low": effects.estimate[0],
        "high": effects.estimate[1],
        "std_error_low": std_error[0],
        "std_error_high": std_error[1],
        "ci_low": ends[0],
        "ci_high": ends[1],
        "detail": f"{detail}; no interval: {reasons[0]}" if reasons else detail,
    }


def _bound_checks(limits: pd.DataFrame, design: ExperimentDesign) -> Iterator[Check]:
    names = "attrition.lee_low", "attrition.lee_high"
    if limits.empty:
        yield from (not_applicable(name, "nobody was lost, or an arm has no outcome at all") for name in names)
        return
    narrowest = limits[limits["bounds"] != "manski"].iloc[-1]
    detail = f"effect on {design.primary.name} among those seen in either arm: "
    detail += f"{narrowest['low']:.4g} to {narrowest['high']:.4g}"
    if np.isfinite(narrowest["ci_low"]):
        detail += f", {design.inference.level:.0%} interval {narrowest['ci_low']:.4g} to {narrowest['ci_high']:.4g}"
    detail += f"; {narrowest['detail']}"
    for name, end in zip(names, ("low", "high"), strict=True):
        yield measured(name, float(narrowest[end]), detail, design.primary.name)


def _kind(clusters: pd.DataFrame | None) -> str:
    return "hc2" if clusters is None else "cr2"
