"""Effects of matching by territory and by subgroup, with their joint covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from evaluation.impact.cross_section import Block, labels, observed, outcomes_of
from evaluation.impact.matched_outcome import Case, Mask, group_block

if TYPE_CHECKING:
    from evaluation.settings.designs import Outcome

SMALLEST = 2  # units of each arm in a group with an effect of its own


def group_blocks(case: Case) -> tuple[list[Block], list[str]]:
    """Effects on the primary outcome by territory and by each subgroup column, and what a reader must know."""
    blocks, said = [], []
    column, outcome = outcomes_of(case.design)[0]
    for name in _columns(case):
        groups, small = _groups(case, name, column)
        kind = "territory" if name == "territory" else "subgroup"
        owner = case.sample.names.get(name, name)
        if small:
            said.append(
                f"No effect by {owner} for groups in which fewer than {SMALLEST} units of each arm are matched: "
                f"{', '.join(small)}."
            )
        missing = int(case.sample.frame[name].isna().sum())
        if missing:
            said.append(f"{missing} units without a value of {owner} count in the headline only.")
        if len(groups) > 1:
            rows = _labels(list(groups), kind, owner, outcome)
            blocks.append(group_block(case, column, rows, list(groups.values())))
            said.append(_meaning(case, owner, next(iter(groups))))
    return blocks, said


def _meaning(case: Case, owner: str, first: str) -> str:
    arm = {"att": "treated units", "atc": "comparison units", "ate": "units"}[case.design.estimand]
    return (
        f"Effects by {owner} are those on the {arm} of each group, with the partners they have, in whatever group "
        f"these are; differences are to {first}."
        + (" Their errors take the score as known." if case.design.score_error == "corrected" else "")
    )


def _columns(case: Case) -> list[str]:
    subgroups = [f"subgroup_{k + 1}" for k in range(len(case.design.subgroups))]
    return [*(["territory"] if "territory" in case.sample.frame else []), *subgroups]


def _groups(case: Case, name: str, column: str) -> tuple[dict[str, Mask], list[str]]:
    """Masks of the groups that have matched units of both arms, by name, and the names of the others."""
    values = case.sample.frame[name]
    groups, small = {}, []
    for level in sorted(values.dropna().astype(str).unique()):
        inside = (values.notna() & (values.astype(str) == level)).to_numpy(dtype=bool)
        used = case.sets(column, inside).weights() > 0
        used &= observed(case.sample.frame, column)
        counts = int((used & case.treated).sum()), int((used & ~case.treated).sum())
        if min(counts) >= SMALLEST:
            groups[level] = inside
        else:
            small.append(level)
    return groups, small


def _labels(names: list[str], kind: str, owner: str, outcome: Outcome) -> pd.DataFrame:
    shown = names if kind == "territory" else [f"{owner} = {name}" for name in names]
    single = [labels(kind, outcome, "supporting", **{kind: name}) for name in shown]
    apart = [labels("contrast", outcome, "supporting", **{kind: f"{name} − {shown[0]}"}) for name in shown[1:]]
    return pd.concat([*single, *apart], ignore_index=True)
