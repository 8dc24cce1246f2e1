"""Effects by territory and by subgroup, each group estimated by itself, with their joint covariance.

Nothing is assumed alike in two groups; clusters that reach across groups tie their effects together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.cross_section import Block, clusters_of, labels, outcomes_of
from evaluation.impact.effects import Effects, concat

if TYPE_CHECKING:
    from evaluation.sample import Sample

SMALLEST = 2  # units of each arm that a group must have

Within = Callable[["Sample", pd.DataFrame], Effects]  # rows of one group and a row of labels to its effect


def group_blocks(sample: Sample, design: Any, within: Within) -> tuple[list[Block], list[str]]:
    """Effects on the primary outcome within each group and all differences to the first, and what a reader must know.

    Args:
        sample: as for the estimator, with `territory` and `subgroup_1` … where the design names them.
        design: of the whole sample; it holds in each group.
        within: the estimator, for the rows of one group.
    """
    blocks: list[Block] = []
    said: list[str] = []
    for column in _columns(sample, design):
        owner = sample.names.get(column, column)
        found, skipped = effects_by(sample, design, column, within)
        said += [f"No effect for {owner} {name}: {reason}." for name, reason in skipped.items()]
        missing = int(sample.frame[column].isna().sum())
        said += [f"{missing} rows without a value of {owner} count in the headline only."] if missing else []
        if len(found) < 2:
            said.append(f"Fewer than two groups of {owner} have an effect, so that none is shown.")
            continue
        blocks.append(Block(effects=_with_differences(found), kind="influence", clusters=clusters_of(sample)))
    return blocks, said


def effects_by(
    sample: Sample, design: Any, column: str, within: Within
) -> tuple[Mapping[str, Effects], Mapping[str, str]]:
    """Effects by group, and the groups without one with the reason."""
    found: dict[str, Effects] = {}
    skipped: dict[str, str] = {}
    values = sample.frame[column]
    for name in sorted(values.dropna().astype(str).unique()):
        chosen = (values.notna() & (values.astype(str) == name)).to_numpy(dtype=bool)
        part = replace(sample, frame=sample.frame[chosen].reset_index(drop=True))
        arms = part.frame.groupby("treated")["unit"].nunique().reindex([False, True], fill_value=0)
        if arms.min() < SMALLEST:
            skipped[name] = f"{arms[True]} treated and {arms[False]} comparison units"
            continue
        try:
            found[name] = within(part, _row(part, design, column, name))
        except DataError as error:  # this group is listed with its reason, the others stand
            skipped[name] = f"{error.what} ({error.code})"
    return found, skipped


def _columns(sample: Sample, design: Any) -> list[str]:
    subgroups = [f"subgroup_{number}" for number, _ in enumerate(design.subgroups, start=1)]
    return [*(["territory"] if "territory" in sample.frame else []), *subgroups]


def _row(part: Sample, design: Any, column: str, name: str) -> pd.DataFrame:
    kind = "territory" if column == "territory" else "subgroup"
    label = name if kind == "territory" else f"{part.names.get(column, column)} = {name}"
    return labels(kind, outcomes_of(design)[0][1], "supporting", **{kind: label})


def _with_differences(parts: Mapping[str, Effects]) -> Effects:
    """All effects side by side over the union of their units, then the differences of all others to the first."""
    effects, others = concat(list(parts.values())), len(parts) - 1
    kind = str(effects.labels["term"].iloc[0])
    names = effects.labels[kind].tolist()
    said = effects.labels.iloc[1:].assign(term="contrast", **{kind: [f"{name} − {names[0]}" for name in names[1:]]})
    return concat([effects, effects.contrast(np.hstack([-np.ones((others, 1)), np.eye(others)]), said)])
