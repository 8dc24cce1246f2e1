"""The specification curve: all defensible variants of one design, what they agree on, and what moves them.

Work that variants share is done once (`specification_did`, `specification_cross_section`). What the curve says as a
whole is judged against curves without an effect: assignments drawn again where chance assigned, else draws from the
joint law of all estimates, which their influences give (`inference.specifications`).

Source: Simonsohn, Simmons and Nelson (2020), *Nature Human Behaviour* 4(11).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError, ParametersError
from evaluation.impact import inference, specification_cross_section, specification_did
from evaluation.impact.cross_section import Block, clusters_of
from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference.specifications import JointTest, joint_test
from evaluation.impact.specification_permutations import permuted_estimates
from evaluation.settings.specifications import Refused, Specification, expand

if TYPE_CHECKING:
    from evaluation.sample import Sample

Array = np.ndarray

NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "reason")
JOBS: Mapping[str, Callable[..., list[Any]]] = {
    "did": specification_did.jobs,
    **dict.fromkeys(("experiment", "matching", "weighting"), specification_cross_section.jobs),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpecificationCurve:
    """What the variants of one design say together.

    Attributes:
        table: a row a specification that the design accepts: a column an axis, then estimate, std_error, ci_low,
            ci_high, p_value, reason (why a number is missing) and declared (the design as it stands).
        axes: axis, alternatives, share (of the variance of the estimates that the axis explains alone) and beyond (what
            it adds to all other axes); the largest share first.
        refused: combinations that contradict themselves, in the design's words.
        effects: all estimates with their influences over the union of units, in the order of the rows with an estimate.
        summary: combinations, refused, estimated, failed, distinct, median, low, high, same_sign, significant,
            above_smallest (shares; None where there is no smallest effect).
        joint: the curve against curves without an effect, or None.
        reason: why there is no joint test.
    """

    table: pd.DataFrame
    axes: pd.DataFrame
    refused: tuple[Refused, ...]
    effects: Effects | None
    summary: Mapping[str, float | None]
    joint: JointTest | None
    reason: str = ""


def run(sample: Sample, design: Any, *, seed: int = 0, workers: int | None = None) -> SpecificationCurve:
    """Estimate all specifications of a design.

    Args:
        sample: what `sample.prepare(design)` returned; all specifications start from its rows.
        design: with `specifications`.
        seed: of the draws behind the joint test.
        workers: threads; as many as processors if None. They change no number.

    Raises:
        ParametersError: the design declares no specifications, or its method has none.
    """
    if design.specifications is None or design.method not in JOBS:
        raise ParametersError(
            code="E-IMP-377",
            what="there are no specifications to run",
            found=f"method {design.method}, specifications: {'none' if design.specifications is None else 'declared'}",
            expected=f"`specifications:` in a design of method {', '.join(JOBS)}",
        )
    specifications, refused = expand(design)
    found = _estimated(JOBS[design.method](sample, specifications), len(specifications), workers)
    numbers, effects = _numbers(sample, design, found)
    table = _table(specifications, design, numbers)
    joint, reason = _joint(sample, design, specifications, table, effects, seed)
    return SpecificationCurve(
        table=table,
        axes=explained(table, list(design.specifications.axes)),
        refused=refused,
        effects=effects,
        summary=_summary(table, refused, design),
        joint=joint,
        reason=reason,
    )


def _estimated(jobs: Sequence[Callable[[], Any]], count: int, workers: int | None) -> list[Any]:
    """What the jobs found, by position; the order in which they end does not matter."""
    found: list[Any] = [None] * count
    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        for pairs in pool.map(lambda job: job(), jobs):
            for position, outcome in pairs:
                found[position] = outcome
    return found


# numbers --------------------------------------------------------------------------------------------------------------


def _numbers(sample: Sample, design: Any, found: Sequence[Any]) -> tuple[list[Mapping[str, Any]], Effects | None]:
    """NUMBERS of each specification by the one inference module, and all effects side by side."""
    good = [position for position, one in enumerate(found) if not isinstance(one, EvaluationError)]
    rows: list[Mapping[str, Any]] = [
        {"reason": f"{one.code}: {one.what}"} if isinstance(one, EvaluationError) else {} for one in found
    ]
    if not good:
        return rows, None
    parts = [found[position] for position in good]
    effects = _side_by_side([part.effects if isinstance(part, Block) else part for part in parts])
    if isinstance(parts[0], Block):
        tables = [part.table(design.inference.level) for part in parts]
        numbers = pd.concat(tables, ignore_index=True)
    else:
        kind = design.inference.std_error or "influence"
        ever = sample.frame.groupby("unit", sort=False)["treated"].any()
        numbers = inference.summarize(
            effects, clusters_of(sample), kind=kind, level=design.inference.level, treated_by_unit=ever
        )
    for position, row in zip(good, numbers[list(NUMBERS)].to_dict("records"), strict=True):
        rows[position] = row
    return rows, effects


def _side_by_side(parts: Sequence[Effects]) -> Effects:
    """All effects over the union of units: first those made of the same atoms, which is free, then the others."""
    lean = [replace(part, arms=None, regression=None, loading=None) for part in parts]
    groups: dict[int, list[int]] = {}
    for position, part in enumerate(lean):
        groups.setdefault(id(part.influence.atoms), []).append(position)  # type: ignore[union-attr]
    joined = concat([concat([lean[position] for position in members]) for members in groups.values()])
    back = np.argsort(np.concatenate(list(groups.values())))
    return replace(
        joined,
        estimate=joined.estimate[back],
        labels=joined.labels.iloc[back].reset_index(drop=True),
        influence=joined.dense()[:, back],
    )


def _table(specifications: Sequence[Specification], design: Any, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    choices = pd.DataFrame([dict(one.choices) for one in specifications])
    numbers = pd.DataFrame(rows).reindex(columns=list(NUMBERS))
    declared = design.model_dump_json(exclude={"specifications"})
    same = [
        one.rows is None
        and one.transform == "none"
        and one.design.model_dump_json(exclude={"specifications"}) == declared
        for one in specifications
    ]
    return pd.concat([choices, numbers], axis="columns").assign(declared=same)


# what they say together -----------------------------------------------------------------------------------------------


def explained(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Shares of the variance of the estimates by axis, main effects by least squares.

        share = R²(axis),   beyond = R²(all axes) - R²(all axes but this one)

    Both are the same where every combination was estimated. What no axis explains is interaction.

    Args:
        table: columns of the axes and estimate.
        axes: their names.
    """
    known = table[table["estimate"].notna()]
    y = known["estimate"].to_numpy(dtype=float)
    dummies = {axis: pd.get_dummies(known[axis], drop_first=True).to_numpy(dtype=float) for axis in axes}
    everything = _r_squared(y, list(dummies.values()))
    rows = [
        {
            "axis": axis,
            "alternatives": int(table[axis].nunique()),
            "share": _r_squared(y, [dummies[axis]]),
            "beyond": everything - _r_squared(y, [part for name, part in dummies.items() if name != axis]),
        }
        for axis in axes
    ]
    return pd.DataFrame(rows).sort_values("share", ascending=False, kind="stable", ignore_index=True)


def _r_squared(y: Array, parts: Sequence[Array]) -> float:
    total = ((y - y.mean()) ** 2).sum() if len(y) else 0.0
    if not total > 0:
        return 0.0
    x = np.column_stack([np.ones(len(y)), *parts])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - residual @ residual / total)


def _summary(table: pd.DataFrame, refused: Sequence[Refused], design: Any) -> dict[str, float | None]:
    known = table[table["estimate"].notna()]
    y = known["estimate"].to_numpy(dtype=float)
    counts: dict[str, float | None] = {
        "combinations": len(table) + len(refused),
        "refused": len(refused),
        "estimated": len(y),
        "failed": len(table) - len(y),
        "distinct": len(np.unique(y.astype("float32"))),  # equal up to rounding
    }
    if not len(y):
        return counts
    direction = np.sign(np.median(y))
    significant = (known["p_value"] < 1 - design.inference.level) & (np.sign(y) == direction)
    smallest, good = design.primary.smallest_effect, 1 if design.primary.better == "higher" else -1
    return counts | {
        "median": float(np.median(y)),
        "low": float(y.min()),
        "high": float(y.max()),
        "same_sign": float((np.sign(y) == direction).mean()),
        "significant": float(significant.mean()),
        "above_smallest": None if smallest is None else float((good * y >= smallest).mean()),
    }


# joint inference ------------------------------------------------------------------------------------------------------


def _joint(
    sample: Sample,
    design: Any,
    specifications: Sequence[Specification],
    table: pd.DataFrame,
    effects: Effects | None,
    seed: int,
) -> tuple[JointTest | None, str]:
    """Against assignments drawn again where chance assigned, else against draws of units or clusters."""
    if effects is None or len(effects) < 2:
        return None, "fewer than two specifications have an estimate"
    known = table["estimate"].notna().to_numpy()
    std_error = table.loc[known, "std_error"].to_numpy(dtype=float)
    if not (np.isfinite(std_error) & (std_error > 0)).all():
        return None, "some specifications have no standard error"
    draws, level = design.specifications.draws, design.inference.level
    law = ""
    if design.method == "experiment":
        chosen = [one for one, there in zip(specifications, known, strict=True) if there]
        drawn, law = permuted_estimates(sample, chosen, effects.estimate, draws=draws, seed=seed)
        if drawn is not None:
            return joint_test(effects.estimate, std_error, drawn, law=law, level=level), ""
    drawn, words = _multiplied(sample, effects, std_error, draws, seed)
    return joint_test(effects.estimate, std_error, drawn, law=f"{words}; {law}".rstrip("; "), level=level), ""


def _multiplied(sample: Sample, effects: Effects, std_error: Array, draws: int, seed: int) -> tuple[Array, str]:
    """(B, K) draws around zero with the correlation of the influences and the specifications' own standard errors."""
    clusters = clusters_of(sample)
    several = clusters is not None and clusters.shape[1] > 1
    law = "gaussian" if several else "rademacher"
    drawn = inference.multiplier_draws(effects, clusters, law=law, draws=draws, seed=seed)
    scale = np.sqrt((drawn**2).mean(axis=0))
    words = "gaussian draws from the joint covariance" if several else "two-point multipliers of the influences"
    return drawn / np.where(scale > 0, scale, 1.0) * std_error, words
