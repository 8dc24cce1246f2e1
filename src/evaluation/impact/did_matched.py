"""Difference-in-differences after matching: each treated unit against untreated ones with the same past.

For every cohort, treated units look for partners that resemble them in the outcomes of the last periods before the
treatment and in covariates. What follows is an ordinary comparison of changes, with the weights that matching gives.

Source: Imai, Kim and Wang (2023), "Matching methods for causal inference with time-series cross-sectional data",
*American Journal of Political Science* 67(3); Abadie and Spiess (2022) for pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.errors import DataError, ParametersError
from evaluation.impact.balance import balance_table
from evaluation.impact.covariates import Covariates, independent_columns
from evaluation.impact.did_assembly import arms_of, group_time, plan, require_post_compared, shares, skipped
from evaluation.impact.did_cells import NotIdentified
from evaluation.impact.did_engine import Cell, Estimates, Panel, Store, sorted_by_cohort
from evaluation.impact.did_result import DidResult, assemble
from evaluation.impact.did_rows import as_grid, read_table, window
from evaluation.impact.matched import MatchedSets, Matches
from evaluation.impact.neighbours import nearest_with_replacement, nearest_without_replacement
from evaluation.impact.places import distinct_rows
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
    table = cast("Panel", sorted_by_cohort(as_grid(window(read_table(sample, outcome, design), design), design)))
    cells = list(plan(table, design))
    matched = _matched(table, cells, design, match)
    sets = [each for each in matched.values() if isinstance(each, _Sets)]
    used = _used(table, sets)
    counted = replace(table, weight=np.where(used, table.weight, 0.0))  # shares are those of matched units
    found = _effects(counted, cells, matched)
    require_post_compared(table, found)
    codes = np.where(used, table.codes, -1)
    lost = np.isin(table.codes, [each.cohort for each in sets]) & np.isfinite(table.starts)[table.codes] & ~used
    kept = np.empty(len(lost), dtype=bool)
    kept[table.order] = ~lost
    effects = group_time(table, found, replace(arms_of(table, found.cells), codes=codes))
    result = assemble(
        replace(effects, labels=effects.labels.assign(phase=list(_phases(table, found.cells, design)))),
        shares(counted, found, codes),
        aggregate=design.aggregate,
        skipped=skipped(table, found.missed),
        flow=table.grid.keep(kept, "no_partner", "treated units without a partner").flow,
        notes=(*table.grid.notes, *_notes(table, design, match, sets, lost)),
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

    def effects(self, changes: Array, n_units: int) -> tuple[Array, Array]:
        """Differences of two weighted means of changes (m, q), (q,), and influences (m, q); weights taken as given."""
        sides = [self.sets.by_focal(self.sets.focal_weights), self.sets.by_partner()]
        focal, others = (side / side.sum() for side in sides)
        means = focal @ changes, others @ changes
        influence = focal[:, None] * (changes - means[0]) - others[:, None] * (changes - means[1])
        return means[0] - means[1], n_units * influence


def _matched(
    table: Panel, cells: Sequence[Cell], design: DidDesign, match: Matched
) -> dict[_Key, _Sets | NotIdentified]:
    """Matched sets of every cohort with every comparison group that its cells have."""
    keys = dict.fromkeys((cell.cohort, cell.comparison) for cell in cells if cell.phase != "reference")
    return {key: _match(table, *key, design, match) for key in keys}


def _match(
    table: Panel, cohort: int, comparison: tuple[int, ...], design: DidDesign, match: Matched
) -> _Sets | NotIdentified:
    base = _base(table, cohort, design)
    if base + 1 < match.lags:
        return NotIdentified(reason="too_few_lags", detail=f"{base + 1} periods before treatment, lags: {match.lags}")
    units = table.rows_of((cohort, *comparison))
    units = units[np.argsort(table.order[units])]  # ties go to the first id
    treated = table.codes[units] == cohort
    if treated.all():
        return NotIdentified(reason="empty_cell", detail="no comparison units")
    variables, weight = _variables(table, units, base, match.lags), _at(table.grid.weight, table.order[units], base)
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


def _base(table: Panel, cohort: int, design: DidDesign) -> int:
    """Position of the base period of the effects after treatment."""
    return int(np.flatnonzero(table.periods + design.anticipation < table.starts[cohort])[-1])


def _variables(table: Panel, units: Array, base: int, lags: int) -> Covariates:
    """Outcomes of the base period and of those before it, and covariates of the base period."""
    periods = np.arange(base, base - lags, -1)
    outcomes = table.grid.y[table.order[units]][:, periods]
    covariates = _at(table.grid.design, table.order[units], base)[:, 1:]
    names = [f"{table.outcome} in period {table.periods[period]:.0f}" for period in periods]
    labels = (*names, *table.grid.names[1:])
    return Covariates(matrix=np.hstack([outcomes, covariates]), labels=labels, columns=labels)


def _at(values: Array, units: Array, period: int) -> Array:
    """Values of units in a period, from a table with one column of time if they never change."""
    return np.asarray(values[units, min(period, values.shape[1] - 1)])


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
    different, place = distinct_rows(matrix[:, kept] / scale)
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


def _effects(table: Panel, cells: Sequence[Cell], matched: Mapping[_Key, _Sets | NotIdentified]) -> Estimates:
    """Effects of all cells; those with the same matched sets are computed together."""
    store = Store.of(table, cells)
    for key, sets in matched.items():
        chosen = [k for k, cell in enumerate(cells) if (cell.cohort, cell.comparison) == key]
        positions = [k for k in chosen if cells[k].phase != "reference"]
        if isinstance(sets, NotIdentified):
            store.miss(positions, sets)
            continue
        periods, bases = ([getattr(cells[k], name) for k in positions] for name in ("period", "base"))
        y = table.grid.y[table.order[sets.units]]
        estimate, influence = sets.effects(y[:, periods] - y[:, bases], len(table.units))
        by_cohort = influence[np.argsort(sets.units)]
        cohorts = sorted((sets.cohort, *sets.comparison))
        store.add(positions, estimate, 1.0, (cohorts, by_cohort))
    return store.estimates(table, cells)


def _used(table: Panel, sets: Sequence[_Sets]) -> Array:
    """(n,) units in a matched set."""
    used = np.zeros(len(table.units), dtype=bool)
    for each in sets:
        used[each.units[each.sets.weights() > 0]] = True
    return used


def _phases(table: Panel, cells: Sequence[Cell], design: DidDesign) -> Iterator[str]:
    """Phases, "matched" where both periods of an effect before treatment were matched on."""
    lags = design.match.lags if design.match else 0
    for cell in cells:
        base = _base(table, cell.cohort, design)
        window = range(base - lags + 1, base + 1)
        yield "matched" if cell.phase == "pre" and cell.period in window and cell.base in window else cell.phase


# what readers see -----------------------------------------------------------------------------------------------------


def _tables(table: Panel, sets: Sequence[_Sets]) -> dict[str, pd.DataFrame]:
    return {
        "balance": pd.concat([_balance(table, each) for each in sets], ignore_index=True),
        "matched_sets": _connected(table, sets),
        "partners": pd.concat([_partners(table, each) for each in sets], ignore_index=True),
    }


def _balance(table: Panel, each: _Sets) -> pd.DataFrame:
    """Balance of what was matched on, before and after, by cohort and comparison."""
    found = balance_table(each.variables, each.treated, each.weight, each.sets.weights())
    found.insert(0, "cohort", int(table.starts[each.cohort]))
    found.insert(1, "comparison", _named(table, each.comparison))
    return found


def _partners(table: Panel, each: _Sets) -> pd.DataFrame:
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


def _named(table: Panel, comparison: Sequence[int]) -> str:
    starts = table.starts[list(comparison)]
    return ", ".join("never treated" if np.isinf(start) else f"{start:.0f}" for start in starts)


def _connected(table: Panel, sets: Sequence[_Sets]) -> pd.DataFrame:
    """Number of the set of each unit, sets with a common unit joined; units in no set are sets of their own."""
    pairs = [np.empty((2, 0), dtype=np.intp)]
    for each in sets:
        i, turn = np.nonzero(each.sets.shares)
        pairs.append(each.units[np.vstack([each.sets.matches.focal[i], each.sets.matches.partners[i, turn]])])
    first, second = np.hstack(pairs)
    n = len(table.units)
    links = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    number = sparse.csgraph.connected_components(links, directed=False)[1]
    return pd.DataFrame({"matched set": number}, index=pd.Index(table.units, name="unit")).sort_index()


def _notes(table: Panel, design: DidDesign, match: Matched, sets: Sequence[_Sets], lost: Array) -> Iterator[str]:
    yield "standard errors take the matched sets as given"
    if lost.any():
        treated = np.isfinite(table.starts)[table.codes]
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
