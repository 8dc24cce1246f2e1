"""Effects by group: declared before the data were opened, or searched for on one part of the units.

The two are kept apart. A declared comparison is a test; what a search finds is a question for the next trial, and its
table says so in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import inference
from evaluation.impact.cross_section import Block, labels, observed, outcomes_of
from evaluation.impact.experiment_convention import Convention
from evaluation.impact.experiment_regression import Places, Plan, comparison, with_both_arms, with_differences

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign
    from evaluation.settings.designs.experiment_options import Exploration

CUTS = (0.25, 0.5, 0.75)  # quantiles at which a covariate of many values may split the units
FEW_VALUES = 6  # at most so many different values are each a possible end of a group
SMALLEST_GROUP = 10  # units in each arm of a group that the search may propose
FOUND = ("covariate", "rule", "part", "units", "inside", "outside", "difference", "std_error", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declared:
    """Effects by the levels of one column, and the test that they are equal.

    Attributes:
        column: the evaluator's name.
        block: effects of the levels, then all differences of two levels.
        test: joint test of equal effects.
        levels: how many have an effect.
        one_sided: levels with fewer than two units in an arm: no effect.
        missing: rows without a level.
    """

    column: str
    block: Block
    test: inference.WaldTest
    levels: int
    one_sided: tuple[str, ...]
    missing: int


def declared(sample: Sample, design: ExperimentDesign, convention: Convention) -> list[Declared]:
    """Effects on the primary outcome by each column of `subgroups` that has at least two levels with both arms."""
    canonical = [f"subgroup_{number}" for number, _ in enumerate(design.subgroups, start=1)]
    found = [_declared(sample, design, convention, column) for column in canonical]
    return [part for part in found if part is not None]


def by_group(
    sample: Sample, design: ExperimentDesign, convention: Convention, column: str, label: str, term: str
) -> tuple[Block, int] | None:
    """Effects on the primary outcome by the levels of a canonical column, and their differences, jointly.

    Args:
        sample: see `experiment.estimate`.
        design: see `experiment.estimate`.
        convention: of the uncertainty.
        column: canonical column of the groups.
        label: column of labels that holds the group: territory or subgroup.
        term: of single groups; differences have the term contrast.

    Returns:
        The block and the number of groups; None for fewer than two groups.
    """
    outcome_column, outcome = outcomes_of(design)[0]
    levels, _ = with_both_arms(design, sample.frame, column)
    if len(levels) < 2:
        return None
    frame = sample.frame[sample.frame[column].isin(levels) & observed(sample.frame, outcome_column)]
    names, mix = with_differences(levels)
    rows = pd.concat(
        [
            labels(term if number < len(levels) else "contrast", outcome, "supporting", **{label: name})
            for number, name in enumerate(names)
        ],
        ignore_index=True,
    )
    plan = Plan.of(design, frame, Places.of(frame[column], levels))
    values = frame[outcome_column].to_numpy(dtype=float)
    effects = comparison(sample, design, plan).effects(values, rows, mix, convention.clusters)
    return convention.block(effects), len(levels)


def _declared(sample: Sample, design: ExperimentDesign, convention: Convention, column: str) -> Declared | None:
    found = by_group(sample, design, convention, column, "subgroup", "subgroup")
    if found is None:
        return None
    block, n = found
    name = sample.names.get(column, column)
    named = block.effects.labels.assign(subgroup=name + " = " + block.effects.labels["subgroup"])
    effects = block.effects.contrast(np.eye(len(named)), named)
    block = convention.block(effects)
    return Declared(
        column=name,
        block=block,
        test=_equality(block, n, convention),
        levels=n,
        one_sided=tuple(map(str, with_both_arms(design, sample.frame, column)[1])),
        missing=int(sample.frame[column].isna().sum()),
    )


def _equality(block: Block, n: int, convention: Convention) -> inference.WaldTest:
    """Differences to the first level are all that equality says."""
    against_first = np.zeros((n - 1, len(block.effects)))
    against_first[:, n : 2 * n - 1] = np.eye(n - 1)
    tested = block.effects.contrast(against_first, pd.DataFrame({"term": ["contrast"] * (n - 1)}))
    ready = None if convention.sampling is None else convention.covariance(tested)
    return inference.wald(tested, convention.clusters, kind=convention.kind, ready=ready)


def declared_table(found: Sequence[Declared], adjustment: str) -> pd.DataFrame:
    """One row a column of subgroups: the test of equal effects, adjusted for the number of columns.

    Columns: column, kind ("declared"), levels, statistic, df, df_denominator, p_value, p_adjusted, reason.
    """
    method = "holm" if adjustment == "romano_wolf" else adjustment
    p = np.array([part.test.p_value for part in found])
    table = pd.DataFrame(
        {
            "column": [part.column for part in found],
            "kind": "declared",
            "levels": [part.levels for part in found],
            "statistic": [part.test.statistic for part in found],
            "df": [part.test.df for part in found],
            "df_denominator": [part.test.df_denominator for part in found],
            "p_value": p,
        }
    )
    adjusted = inference.adjust(p, method) if len(p) else p  # type: ignore[arg-type]
    return table.assign(p_adjusted=adjusted, reason=[part.test.reason for part in found])


def level_table(found: Sequence[Declared], adjustment: str, level: float) -> pd.DataFrame:
    """Effects by level of all declared columns; p-values adjusted over all levels, those of differences not shown."""
    method = "holm" if adjustment == "romano_wolf" else adjustment
    parts = [part.block.table(level).iloc[: part.levels].assign(column=part.column) for part in found]
    table = pd.concat(parts, ignore_index=True)
    names = ["column", "subgroup", "estimate", "std_error", "ci_low", "ci_high", "p_value"]
    adjusted = inference.adjust(table["p_value"].to_numpy(dtype=float), method)  # type: ignore[arg-type]
    return table[names].assign(kind="declared", p_adjusted=adjusted, reason=table["reason"])


# found ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A group that the search may propose: rows where a covariate has a value, or one above a cut."""

    covariate: str
    text: str
    inside: np.ndarray


def explored(sample: Sample, design: ExperimentDesign, convention: Convention) -> pd.DataFrame | None:
    """The split of the units with the largest difference of effects on one part, measured on the other part.

    The search compares, on its part, the effect inside and outside of every group that one covariate makes (a level, or
    values above a cut); the largest |difference / standard error| wins. The other part never chose anything, so that
    its estimate of the difference is honest; the search's own is exaggerated (winner's curse) and shown beside it.

    Returns:
        Two rows, kind "exploratory", part "search" and "honest"; None where no group has enough units in both parts.

    Source: Athey and Imbens (2016) for honest splits.
    """
    if design.explore is None:
        return None
    column, _ = outcomes_of(design)[0]
    frame = sample.frame[observed(sample.frame, column)]
    searching = _split(frame, design, design.explore)
    rules = [rule for rule in _rules(sample, frame, design.explore) if _large_enough(rule, frame, searching)]
    scored = [(rule, _difference(sample, design, convention, frame[searching], rule, searching)) for rule in rules]
    known = [(rule, row) for rule, row in scored if row is not None]
    if not known:
        return None
    best, row = max(known, key=lambda pair: abs(pair[1]["difference"]) / max(pair[1]["std_error"], 1e-300))
    honest = _difference(sample, design, convention, frame[~searching], best, ~searching)
    if honest is None:
        return None
    table = pd.DataFrame([{"part": "search", **row}, {"part": "honest", **honest}])
    table = table.assign(covariate=best.covariate, rule=best.text)[[*FOUND, "p_value"]]
    table.loc[table["part"] == "search", ["ci_low", "ci_high", "p_value"]] = np.nan  # chosen by its own size
    return table.assign(kind="exploratory", searched=len(known))


def _split(frame: pd.DataFrame, design: ExperimentDesign, explore: Exploration) -> np.ndarray:
    """(n,) rows that the search sees: whole clusters where these are named, drawn within arm (pairs: whole pairs).

    The draw goes by sorted ids, so that the order of rows decides nothing.
    """
    whole = "stratum" if design.assignment == "paired" else "cluster_1" if "cluster_1" in frame else "unit"
    ids = frame.groupby(whole, observed=True)["treated"].mean().sort_index()
    rng = np.random.Generator(np.random.Philox(explore.seed))
    order = pd.Series(rng.permutation(len(ids)), index=ids.index)
    arm = ids.round()
    rank = order.groupby(arm).rank(method="first")
    chosen = rank <= explore.share * arm.map(arm.value_counts())
    return np.asarray(frame[whole].map(chosen).to_numpy(dtype=bool))


def _rules(sample: Sample, frame: pd.DataFrame, explore: Exploration) -> list[Rule]:
    canonical = sorted(
        (name for name in frame if str(name).startswith("covariate_")), key=lambda name: int(name.split("_")[1])
    )
    names = {name: sample.names.get(name, name) for name in canonical}
    wanted = [name for name in canonical if not explore.columns or names[name] in explore.columns]
    return [rule for name in wanted for rule in _rules_of(frame[name], names[name])]


def _rules_of(values: pd.Series, name: str) -> list[Rule]:
    if not pd.api.types.is_numeric_dtype(values):
        levels = sorted(values.dropna().unique(), key=str)
        levels = levels[1:] if len(levels) == 2 else levels
        return [Rule(covariate=name, text=f"{name} = {x}", inside=_known(values == x, values)) for x in levels]
    number = values.to_numpy(dtype=float)
    different = np.unique(number[np.isfinite(number)])
    if len(different) <= FEW_VALUES:
        cuts = [float(a + b) / 2 for a, b in pairwise(different)]
    else:
        cuts = sorted({float(cut) for cut in np.nanquantile(number, CUTS) if cut < different[-1]})
    return [Rule(covariate=name, text=f"{name} > {cut:.6g}", inside=_known(values > cut, values)) for cut in cuts]


def _known(inside: pd.Series, values: pd.Series) -> np.ndarray:
    """(n,) 1 inside, 0 outside, missing where the covariate is."""
    return np.where(values.notna(), inside.fillna(False).astype(float), np.nan)


def _large_enough(rule: Rule, frame: pd.DataFrame, searching: np.ndarray) -> bool:
    """Whether both parts have enough units of both arms inside and outside; outcomes do not decide it."""
    treated, known = frame["treated"].to_numpy(dtype=int), np.isfinite(rule.inside)
    cell = 4 * searching + 2 * np.where(known, rule.inside, 0).astype(int) + treated
    return bool(np.bincount(cell[known], minlength=8).min() >= SMALLEST_GROUP)


def _difference(
    sample: Sample,
    design: ExperimentDesign,
    convention: Convention,
    part: pd.DataFrame,
    rule: Rule,
    chosen: np.ndarray,
) -> Mapping[str, float] | None:
    """Effects inside and outside of a group and their difference, on one part of the rows."""
    inside = rule.inside[chosen]
    frame = part[np.isfinite(inside)]
    code = inside[np.isfinite(inside)].astype(int)
    column, outcome = outcomes_of(design)[0]
    rows = pd.concat([labels("subgroup", outcome, "supporting")] * 3, ignore_index=True)
    try:
        plan = Plan.of(design, frame, Places(names=("outside", "inside"), code=code))
        compared = comparison(sample, design, plan)
        mix = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
        effects = compared.effects(frame[column].to_numpy(dtype=float), rows, mix, convention.clusters)
        table = convention.block(effects).table(design.inference.level)
    except DataError:
        return None  # the group leaves a stratum without an arm, or a single cluster: it cannot be proposed
    last = table.iloc[2]
    if not last["std_error"] > 0:
        return None
    return {
        "units": float(frame["unit"].nunique()),
        "inside": table["estimate"].iloc[0],
        "outside": table["estimate"].iloc[1],
        "difference": last["estimate"],
        **{name: last[name] for name in ("std_error", "ci_low", "ci_high", "p_value")},
    }
