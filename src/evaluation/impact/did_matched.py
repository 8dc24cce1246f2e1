"""Difference-in-differences after matching: each treated unit against untreated ones with the same past.

For every cohort, treated units look for partners that resemble them in the outcomes of the last periods before the
treatment and in covariates. What follows is an ordinary comparison of changes, with the weights that matching gives.

Source: Imai, Kim and Wang (2023), "Matching methods for causal inference with time-series cross-sectional data",
*American Journal of Political Science* 67(3); Abadie and Spiess (2022) for pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.errors import DataError, ParametersError
from evaluation.impact.balance import balance_table
from evaluation.impact.covariates import Covariates, independent_columns
from evaluation.impact.did_cells import NotIdentified
from evaluation.impact.did_result import DidResult, assemble, cohort_shares
from evaluation.impact.did_tables import (
    Cell,
    Found,
    Sides,
    Table,
    group_time,
    plan,
    read_window,
    require_post,
    skipped_cells,
)
from evaluation.impact.effects import Effects
from evaluation.impact.matched import MatchedSets, Matches
from evaluation.impact.neighbours import nearest_with_replacement, nearest_without_replacement
from evaluation.impact.propensity import fit_propensity

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign, Matched

Array = np.ndarray

SCORE_DECIMALS = 12  # units with the same covariates must have the same score on every machine


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Effects of cohorts in periods against matched units, and their averages.

        ATT(g, t) = Σ ωᵢ (Yᵢₜ - Yᵢ_b) over cohort g  -  Σ ωⱼ (Yⱼₜ - Yⱼ_b) over partners,

    ωᵢ = wᵢ / W of a treated unit with a partner, W the sum of their weights, and ωⱼ = Kⱼ / W of a partner, Kⱼ the sum
    of wᵢ / (number of partners of i) over the treated units it serves: one that serves several counts several times.
    Partners are chosen once for each cohort and comparison group, from outcomes of `match.lags` periods (the base
    period of the effects after treatment and those before it) and covariates of that base period. The distance is the
    absolute difference of fitted probabilities of treatment (propensity_logit), of their log odds (linear_logit), or
    Mahalanobis' with the covariance pooled within arms. Without replacement treated units choose in order of score,
    the largest first; ties go to the first id.

    Standard errors take the matched sets as given: the influence of a unit is n ω times the deviation of its change
    from the mean of its side (Imai, Kim and Wang 2023, section 3.4). That matching was estimated is not in it, and
    members of a set are taken as independent, which they are not: where matching explains the outcome this is
    conservative. Without replacement, clusters by `tables["matched_sets"]` give the standard error of Abadie and
    Spiess (2022). Influences are not derivatives with respect to sampling weights.

    Effects before treatment between two periods that were matched on are zero by construction, as far as partners are
    alike: their phase is "matched", so that no test of parallel trends counts them.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: match, comparison, aggregate, base_period, anticipation.
        outcome: canonical outcome column; units where it is missing in a period are dropped and counted.

    Returns:
        The result, with tables balance (before and after matching, by cohort and comparison), matched_sets (unit, set;
        connected sets, to cluster by) and partners (how many treated units each comparison unit serves).

    Raises:
        ParametersError: the design does not say how to match.
        DataError: no effect after treatment that can be estimated; what `window` refuses.
    """
    match = _required(design)
    table = Table.of(read_window(sample, outcome, design))
    cells = list(plan(table, design))
    matched = _matched(table, cells, design, match)
    sets = [each for each in matched.values() if isinstance(each, _Sets)]
    found, missed = _effects(table, cells, matched)
    require_post(table, found, missed)
    shown = [cell for cell in cells if cell not in missed]
    used = _used(table, sets)
    lost = np.isin(table.group, [each.cohort for each in sets]) & np.isfinite(table.starts)[table.group] & ~used
    result = assemble(
        _labelled(group_time(table, shown, found, _sides(table, shown, used)), table, shown, design),
        cohort_shares(table.units, np.where(used, table.group, -1), table.starts, table.weight, table.rows.outcome),
        aggregate=design.aggregate,
        skipped=skipped_cells(table, missed),
        flow=table.rows.keep(~lost[table.unit], "no_partner", "treated units without a partner").flow,
        notes=(*table.rows.notes, *_notes(table, design, match, sets, lost)),
        event_window=design.event_window,
    )
    return replace(result, tables={**result.tables, **_tables(table, sets)})


# matching -------------------------------------------------------------------------------------------------------------

_Key = tuple[int, tuple[int, ...]]  # a cohort and the cohorts it is compared with


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sets:
    """Matched sets of one cohort with one comparison group.

    Attributes:
        cohort, comparison: positions of the cohorts.
        units: (m,) positions of the units of both.
        treated: (m,) those of the cohort.
        variables: m values of what was matched on.
        weight: (m,) sampling weights of the base period.
        sets: of the m units.
    """

    cohort: int
    comparison: tuple[int, ...]
    units: Array
    treated: Array
    variables: Covariates
    weight: Array
    sets: MatchedSets

    def effect(self, change: Array, n_units: int) -> Found:
        """The difference of two weighted means of the changes (n,), weights taken as given."""
        y = change[self.units]
        sides = [self.sets.by_focal(self.sets.focal_weights), self.sets.by_partner()]
        shares = [side / side.sum() for side in sides]
        means = [float(share @ y) for share in shares]
        influence = n_units * (shares[0] * (y - means[0]) - shares[1] * (y - means[1]))
        return Found(estimate=means[0] - means[1], units=self.units, influence=influence)


def _matched(
    table: Table, cells: Sequence[Cell], design: DidDesign, match: Matched
) -> dict[_Key, _Sets | NotIdentified]:
    """Matched sets of every cohort with every comparison group that its cells have."""
    keys = dict.fromkeys((cell.cohort, cell.comparison) for cell in cells if cell.phase != "reference")
    return {key: _match(table, *key, design, match) for key in keys}


def _match(
    table: Table, cohort: int, comparison: tuple[int, ...], design: DidDesign, match: Matched
) -> _Sets | NotIdentified:
    base = _base(table, cohort, design)
    if base + 1 < match.lags:
        return NotIdentified(reason="too_few_lags", detail=f"{base + 1} periods before treatment, lags: {match.lags}")
    units = np.flatnonzero(np.isin(table.group, [cohort, *comparison]))
    treated = table.group[units] == cohort
    if treated.all():
        return NotIdentified(reason="empty_cell", detail="no comparison units")
    variables, weight = _variables(table, units, base, match.lags), table.wide(table.rows.weight)[units, base]
    points = _points(variables, treated, weight, match.distance)
    if isinstance(points, NotIdentified):
        return points
    matches = _search(points, treated, match)
    if not matches.matched.any():
        return NotIdentified(reason="no_partner", detail=f"caliper {match.caliper}")
    return _Sets(
        cohort=cohort,
        comparison=comparison,
        units=units,
        treated=treated,
        variables=variables,
        weight=weight,
        sets=matches.sets(weight),
    )


def _base(table: Table, cohort: int, design: DidDesign) -> int:
    """Position of the base period of the effects after treatment."""
    return int(np.flatnonzero(table.periods + design.anticipation < table.starts[cohort])[-1])


def _variables(table: Table, units: Array, base: int, lags: int) -> Covariates:
    """Outcomes of the base period and of those before it, and covariates of the base period."""
    periods = np.arange(base, base - lags, -1)
    outcomes = table.wide(table.rows.y)[units][:, periods]
    covariates = table.wide(table.rows.design)[units, base, 1:]
    names = [f"{table.rows.outcome} in period {table.periods[period]:.0f}" for period in periods]
    labels = (*names, *table.rows.names[1:])
    return Covariates(matrix=np.hstack([outcomes, covariates]), labels=labels, columns=labels)


def _points(variables: Covariates, treated: Array, weight: Array, distance: str) -> Array | NotIdentified:
    """(m, d) places whose Euclidean distance is the distance of the units."""
    if distance == "mahalanobis":
        return _whitened(variables.matrix, treated)
    try:
        model = fit_propensity(variables, treated, weight)
    except DataError as error:  # this cohort is listed with its reason, the other cohorts stand
        return NotIdentified(reason="separation", detail=f"{error.what} ({error.where})")
    score = model.linear if distance == "linear_logit" else model.probability
    return np.asarray(np.round(score, SCORE_DECIMALS)[:, None])


def _whitened(matrix: Array, treated: Array) -> Array:
    """x A with A A′ = S⁻¹, S the covariance pooled within arms; equal units in equal places to the last digit."""
    within = matrix - np.where(treated[:, None], matrix[treated].mean(axis=0), matrix[~treated].mean(axis=0))
    within[:, np.abs(within).max(axis=0) <= 1e-12 * np.abs(matrix).max(axis=0)] = 0.0
    kept = independent_columns(within)
    if not kept.any():
        return np.zeros((len(matrix), 1))
    scale = np.sqrt((within[:, kept] ** 2).mean(axis=0))
    triangle = np.linalg.qr(within[:, kept] / scale)[1]
    different, place = np.unique(matrix[:, kept] / scale, axis=0, return_inverse=True)
    points = np.linalg.solve(triangle.T, different.T).T * np.sqrt(max(len(matrix) - 2, 1))
    return np.asarray(points[place.ravel()])


def _search(points: Array, treated: Array, match: Matched) -> Matches:
    focal, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    width = np.inf if match.caliper is None else match.caliper * float(np.std(points[:, 0], ddof=1))
    partners = np.empty((len(focal), match.ratio), dtype=np.intp)
    if match.replace:
        partners[:] = nearest_with_replacement(points, focal, pool, match.ratio, width)
    else:
        score = -points[focal, 0] if points.shape[1] == 1 else np.zeros(len(focal))
        order = np.argsort(score, kind="stable")
        partners[order] = nearest_without_replacement(points, focal[order], pool, match.ratio, width)
    return Matches(focal=focal, partners=partners, n_rows=len(points), width=width)


# effects --------------------------------------------------------------------------------------------------------------


def _effects(
    table: Table, cells: Sequence[Cell], matched: Mapping[_Key, _Sets | NotIdentified]
) -> tuple[dict[Cell, Found], dict[Cell, NotIdentified]]:
    """Cells with an estimate, and cells without."""
    y = table.wide(table.rows.y)
    found: dict[Cell, Found] = {}
    missed: dict[Cell, NotIdentified] = {}
    for cell in cells:
        if cell.phase == "reference":
            continue
        sets = matched[cell.cohort, cell.comparison]
        if isinstance(sets, NotIdentified):
            missed[cell] = sets
        else:
            found[cell] = sets.effect(y[:, cell.period] - y[:, cell.base], len(table.units))
    return found, missed


def _used(table: Table, sets: Sequence[_Sets]) -> Array:
    """(n,) units in a matched set."""
    used = np.zeros(len(table.units), dtype=bool)
    for each in sets:
        used[each.units[each.sets.weights() > 0]] = True
    return used


def _sides(table: Table, cells: Sequence[Cell], used: Array) -> Sides:
    """Groups are the cohorts; units in no matched set belong to none."""
    treated = np.zeros((len(table.starts), len(cells)), dtype=bool)
    comparison = treated.copy()
    for k, cell in enumerate(cells):
        treated[cell.cohort, k] = True
        comparison[list(cell.comparison), k] = True
    return Sides(codes=np.where(used, table.group, -1), treated=treated, comparison=comparison)


def _labelled(effects: Effects, table: Table, cells: Sequence[Cell], design: DidDesign) -> Effects:
    """With phase "matched" where both periods of an effect before treatment were matched on."""
    lags = design.match.lags if design.match else 0
    phases = []
    for cell in cells:
        window = range(_base(table, cell.cohort, design) - lags + 1, _base(table, cell.cohort, design) + 1)
        inside = cell.phase == "pre" and cell.period in window and cell.base in window
        phases.append("matched" if inside else cell.phase)
    return replace(effects, labels=effects.labels.assign(phase=phases))


# what readers see -----------------------------------------------------------------------------------------------------


def _tables(table: Table, sets: Sequence[_Sets]) -> dict[str, pd.DataFrame]:
    return {
        "balance": pd.concat([_balance(table, each) for each in sets], ignore_index=True),
        "matched_sets": _connected(table, sets),
        "partners": pd.concat([_partners(table, each) for each in sets], ignore_index=True),
    }


def _balance(table: Table, each: _Sets) -> pd.DataFrame:
    """Balance of what was matched on, before and after, by cohort and comparison."""
    found = balance_table(each.variables, each.treated, each.weight, each.sets.weights())
    found.insert(0, "cohort", int(table.starts[each.cohort]))
    found.insert(1, "comparison", _named(table, each.comparison))
    return found


def _partners(table: Table, each: _Sets) -> pd.DataFrame:
    """Comparison units in use: how many treated units each serves, and its share of the comparison."""
    rows, times = each.sets.matches.partners_used
    share = each.sets.by_partner()[rows]
    return pd.DataFrame(
        {
            "cohort": int(table.starts[each.cohort]),
            "comparison": _named(table, each.comparison),
            "unit": table.units[each.units[rows]],
            "serves": times,
            "share": share / share.sum(),
        }
    )


def _named(table: Table, comparison: Sequence[int]) -> str:
    starts = table.starts[list(comparison)]
    return ", ".join("never treated" if np.isinf(start) else f"{start:.0f}" for start in starts)


def _connected(table: Table, sets: Sequence[_Sets]) -> pd.DataFrame:
    """Number of the set of each unit, sets with a common unit joined; units in no set are sets of their own."""
    pairs = [np.empty((2, 0), dtype=np.intp)]
    for each in sets:
        i, turn = np.nonzero(each.sets.shares)
        pairs.append(each.units[np.vstack([each.sets.matches.focal[i], each.sets.matches.partners[i, turn]])])
    first, second = np.hstack(pairs)
    n = len(table.units)
    links = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    number = sparse.csgraph.connected_components(links, directed=False)[1]
    return pd.DataFrame({"matched set": number}, index=pd.Index(table.units, name="unit"))


def _notes(table: Table, design: DidDesign, match: Matched, sets: Sequence[_Sets], lost: Array) -> Iterator[str]:
    yield "standard errors take the matched sets as given"
    if lost.any():
        treated = np.isfinite(table.starts)[table.group]
        yield (
            f"{int(lost.sum())} of {int(treated.sum())} treated units found no partner: the effect is that on the "
            "others, which changes what is estimated"
        )
    most = max(int(each.sets.matches.partners_used[1].max()) for each in sets)
    if match.replace and most > 1:
        yield f"one comparison unit serves up to {most} treated units"
    if design.covariates:
        yield "covariates decide who is compared with whom; changes are not adjusted to them once more"
    if match.lags > 1:
        yield "effects between two periods that were matched on say nothing about parallel trends: phase matched"
    if len({each.cohort for each in sets}) < len(sets):
        yield "units not yet treated become fewer: partners are chosen anew for each comparison group"


def _required(design: DidDesign) -> Matched:
    if design.match is None:
        raise ParametersError(
            code="E-IMP-092",
            what="the design does not say how comparison units are matched",
            found="match: none",
            expected="match: {distance: …, ratio: …, lags: …}",
        )
    return design.match
