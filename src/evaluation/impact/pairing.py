"""Who is compared with whom: matched sets from a design, by covariates alone, once for all outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact.cardinality import largest_balanced
from evaluation.impact.covariates import Floats, covariate_columns, model_matrix
from evaluation.impact.distances import Space
from evaluation.impact.matched import Matches
from evaluation.impact.neighbours import NOBODY, Rows, nearest_with_replacement, nearest_without_replacement
from evaluation.impact.optimal import full_sets, optimal_pairs
from evaluation.impact.pair_rules import Rules
from evaluation.impact.strata import NO_SET, Codes, Strata, cells, coarse, subclasses

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import MatchingDesign

Mask = NDArray[np.bool_]


def form_sets(sample: Sample, space: Space, design: MatchingDesign) -> Matches | Strata:
    """Matched sets of a design.

    Args:
        sample: one row a unit.
        space: where units stand, from `distances.place_units`.
        design: how sets are formed.

    Raises:
        DataError: see `optimal` and `cardinality`.
    """
    if design.sets in ("nearest", "optimal_pairs"):
        return match(sample, space, design)
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    if design.sets == "cardinality":
        return _balanced_pairs(sample, space, design, treated)
    if design.sets == "full":
        return _full(sample, space, design, treated)
    if design.sets == "subclasses":
        codes = subclasses(space.points[:, 0], treated, space.usable, design.subclasses, design.estimand)
    else:
        codes = cells([*_coarsened(sample, design), *exact_codes(sample.frame)], treated)
    return Strata(codes=codes, treated=treated, estimand=design.estimand)


def match(sample: Sample, space: Space, design: MatchingDesign) -> Matches:
    """Partners one by one: within exact strata, by distance, with or without replacement.

    Without replacement units choose one after the other; where there is no score, largest is the order of unit ids.
    The caliper is in standard deviations (ddof 1) of the score over all units that are not discarded, or raw.
    For ate every unit of both arms looks for partners in the other.
    """
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    arms = {"att": [treated], "atc": [~treated], "ate": [treated, ~treated]}[design.estimand]
    parts = [_match_arm(sample, space, design, arm) for arm in arms]
    focal = np.concatenate([part.focal for part in parts])
    order = np.argsort(focal)
    partners = np.concatenate([part.partners for part in parts])[order]
    return Matches(focal=focal[order], partners=partners, n_rows=len(treated), width=parts[0].width)


def _match_arm(sample: Sample, space: Space, design: MatchingDesign, arm: Mask) -> Matches:
    focal, width = np.flatnonzero(arm), width_of(space, design)
    partners = np.full((len(focal), _most(design)), NOBODY, dtype=np.intp)
    rules = rules_of(sample, design)
    for stratum in strata_of(sample.frame):
        choosers = _in_order(np.flatnonzero(stratum & arm & space.usable), space, design)
        pool = np.flatnonzero(stratum & ~arm & space.usable)
        partners[np.searchsorted(focal, choosers)] = _partners(space, design, choosers, pool, width, rules)
    return Matches(focal=focal, partners=partners, n_rows=len(arm), width=width)


def _most(design: MatchingDesign) -> int:
    return design.ratio if design.ratio_range is None else design.ratio_range[1]


def _partners(
    space: Space, design: MatchingDesign, choosers: Rows, pool: Rows, width: float, rules: Rules | None
) -> Rows:
    if design.sets == "optimal_pairs":
        return optimal_pairs(space.points, choosers, pool, design.ratio, width, rules)
    if design.replace:
        return nearest_with_replacement(space.points, choosers, pool, design.ratio, width, rules=rules)
    wanted = (
        None if design.ratio_range is None else _wanted(space.points[choosers, 0], design.ratio, design.ratio_range)
    )
    return nearest_without_replacement(
        space.points,
        choosers,
        pool,
        _most(design),
        width,
        wanted=wanted,
        closest=design.order == "closest",
        rules=rules,
    )


def _wanted(score: Floats, mean: int, limits: tuple[int, int]) -> Rows:
    """Partners of each unit: the most for low scores, where comparison units are many, the fewest for high ones.

    As many units as possible have one of the limits and at most one has a number between, so that the mean is `mean`.

    Source: Ming and Rosenbaum (2000), *Biometrics* 56(1).
    """
    fewest, most = limits
    extra = len(score) * (mean - fewest)
    full, rest = divmod(extra, most - fewest)
    out = np.full(len(score), fewest, dtype=np.intp)
    lowest = np.argsort(score, kind="stable")
    out[lowest[:full]] = most
    out[lowest[full : full + 1]] += rest
    return out


def width_of(space: Space, design: MatchingDesign) -> float:
    """Largest distance allowed, in the unit of the points."""
    if design.caliper is None:
        return np.inf
    return design.caliper * (space.spread if design.caliper_unit == "sd" else 1.0)


def rules_of(sample: Sample, design: MatchingDesign) -> Rules | None:
    """What pairs must keep besides the distance."""
    if not (design.covariate_calipers or design.anti_exact):
        return None
    calipers = []
    for caliper in design.covariate_calipers:
        values = sample.frame[f"covariate_{design.covariates.index(caliper.column) + 1}"].to_numpy(dtype=float)
        calipers.append((values, caliper.width * (float(np.std(values, ddof=1)) if caliper.unit == "sd" else 1.0)))
    differ = tuple(pd.factorize(sample.frame[f"anti_exact_{k + 1}"])[0] for k in range(len(design.anti_exact)))
    return Rules(calipers=tuple(calipers), differ=differ)


def exact_codes(frame: pd.DataFrame) -> list[Codes]:
    """(n,) codes of each column on which partners must agree."""
    columns = sorted(column for column in frame.columns if str(column).startswith("exact_"))
    return [pd.factorize(frame[column], sort=True)[0] for column in columns]


def strata_of(frame: pd.DataFrame) -> Iterator[Mask]:
    """Masks of the strata within which units are matched; one of everybody where nothing must agree."""
    columns = exact_codes(frame)
    if not columns:
        yield np.ones(len(frame), dtype=bool)
        return
    _, stratum = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    for number in range(int(stratum.max()) + 1):
        yield stratum.ravel() == number


def _in_order(rows: Rows, space: Space, design: MatchingDesign) -> Rows:
    if design.order == "random":
        return np.random.default_rng(design.order_seed).permutation(rows)
    if design.order in ("data", "closest") or not design.has_score or design.replace:
        return rows
    score = space.points[rows, 0]
    return rows[np.argsort(-score if design.order == "largest" else score, kind="stable")]


# sets of several ------------------------------------------------------------------------------------------------------


def _full(sample: Sample, space: Space, design: MatchingDesign, treated: Mask) -> Strata:
    codes, total, taken = np.full(len(treated), NO_SET, dtype=np.intp), 0.0, 0
    rules, width = rules_of(sample, design), width_of(space, design)
    for stratum in strata_of(sample.frame):
        one, other = (np.flatnonzero(stratum & arm & space.usable) for arm in (treated, ~treated))
        if not len(one) or not len(other):
            continue
        first, second, distance = full_sets(space.points, one, other, width, rules)
        codes[one] = np.where(first == NO_SET, NO_SET, first + taken)
        codes[other] = np.where(second == NO_SET, NO_SET, second + taken)
        taken, total = int(codes.max()) + 1, total + distance
    return Strata(codes=codes, treated=treated, estimand=design.estimand, distance=total)


def _coarsened(sample: Sample, design: MatchingDesign) -> Iterator[Codes]:
    """Categories as they are, numbers in bins."""
    cuts = {cut.column: cut for cut in design.cutpoints}
    for column, name in zip(covariate_columns(sample.frame), design.covariates, strict=True):
        values = sample.frame[column]
        if not pd.api.types.is_numeric_dtype(values):
            yield pd.factorize(values, sort=True)[0]
            continue
        cut = cuts.get(name)
        yield coarse(values.to_numpy(dtype=float), cut.at if cut else (), cut.bins if cut else 0)


def _balanced_pairs(sample: Sample, space: Space, design: MatchingDesign, treated: Mask) -> Matches:
    """The largest balanced sample, then paired at the smallest total distance; pairs matter for the error only."""
    covariates = model_matrix(sample.frame, sample.names)
    chosen = largest_balanced(covariates, treated, design.balance_tolerance)
    focal, pool = np.flatnonzero(treated), np.flatnonzero(chosen & ~treated)
    partners = np.full((len(focal), 1), NOBODY, dtype=np.intp)
    kept = chosen[focal]
    partners[kept] = optimal_pairs(space.points, focal[kept], pool, 1)
    return Matches(focal=focal, partners=partners, n_rows=len(treated))
