"""Who else is affected: trials in which chance decided how many of each group are treated, then who.

With groups (towns, classes, labour markets) of different saturations the untreated of a group tell what the treatment
of others does to them. With m(1, s) and m(0, s) the means of the treated and the untreated at saturation s, m(s) that
of everybody, and s₀ the lowest saturation (0: nobody is treated, a pure comparison group):

    direct   m(1, s) - m(0, s)     what the treatment adds for those who get it, others as they are
    indirect m(0, s) - m(0, s₀)    what the treatment of others does to those who do not get it (spillover)
    total    m(1, s) - m(0, s₀)    both: direct + indirect
    overall  m(s) - m(s₀)          for everybody in a group, treated or not: what a policy of this saturation does

Source: Hudgens and Halloran (2008), *JASA* 103(482); Baird, Bohren, McIntosh and Özler (2018), *Review of Economics and
Statistics* 100(5), who call the indirect effect spillover on the non-treated and the overall one total causal effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.checks import Check, measured
from evaluation.impact.covariates import Floats
from evaluation.impact.cross_section import Block, labels, observed, outcomes_of
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.experiment_convention import Convention
from evaluation.impact.regression import weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign, Outcome

DISPLACEMENT = "interference.displacement"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saturated:
    """People in groups of known saturation.

    Attributes:
        frame: n rows with `unit`, `treated`, `weight`, `saturation` and the group `cluster_1`.
        outcome: (n,).
        levels: (S,) saturations, ascending.
        level: (n,) place of each row's saturation among them.
    """

    frame: pd.DataFrame
    outcome: Floats
    levels: Floats
    level: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, column: str, group: str = "group", saturation: str = "saturation") -> Saturated:
        """Read the rows that know the outcome.

        Args:
            frame: canonical columns.
            column: of the outcome.
            group: the evaluator's name of `cluster_1`, for messages.
            saturation: and of `saturation`.

        Raises:
            DataError: a group has two saturations, a saturation is no share, all are the same, somebody is treated
                where nobody should be, or the lowest saturation has nobody untreated.
        """
        rows = frame[observed(frame, column)].reset_index(drop=True)
        share = rows["saturation"].to_numpy(dtype=float)
        _require_shares(share, saturation)
        _require_one_each(rows, group, saturation)
        levels, level = np.unique(share, return_inverse=True)
        _require_contrast(rows, levels, level, saturation)
        return cls(frame=rows, outcome=rows[column].to_numpy(dtype=float), levels=levels, level=level)

    @property
    def treated(self) -> np.ndarray:
        """(n,) arm."""
        return np.asarray(self.frame["treated"], dtype=bool)


def _require_shares(share: Floats, saturation: str) -> None:
    if not ((share >= 0) & (share <= 1)).all():
        raise DataError(
            code="E-IMP-363",
            what=f"Column '{saturation}' does not hold shares of people to be treated.",
            found=f"{int(((share < 0) | (share > 1)).sum())} other numbers, {int(np.isnan(share).sum())} missing",
            expected="0 to 1 in every row",
            fix="divide percentages by 100, or name the column that holds the share each group was assigned",
        )


def _require_one_each(rows: pd.DataFrame, group: str, saturation: str) -> None:
    values = rows.groupby("cluster_1", observed=True)["saturation"]
    several = values.max() > values.min()
    if several.any():
        raise DataError(
            code="E-IMP-364",
            what=f"A group of '{group}' has several values of '{saturation}'.",
            found=f"{int(several.sum())} of {len(several)} groups",
            expected="one saturation a group: the share that chance assigned to it",
            fix="name the groups to which saturations were assigned first under cluster",
        )


def _require_contrast(rows: pd.DataFrame, levels: Floats, level: np.ndarray, saturation: str) -> None:
    treated = rows["treated"].to_numpy(dtype=bool)
    problems = ["all groups have the same saturation"] if len(levels) < 2 else []
    if levels[0] == 0 and treated[level == 0].any():
        problems.append(f"{int(treated[level == 0].sum())} people are treated in groups of saturation 0")
    if treated[level == 0].all():
        problems.append(f"nobody is untreated at the lowest saturation, {levels[0]:g}")
    if problems:
        raise DataError(
            code="E-IMP-365",
            what=f"Column '{saturation}' leaves nobody to compare with.",
            found="; ".join(problems),
            expected="two saturations or more, with untreated people at the lowest",
            fix="check which groups are in the file, and the columns of treatment and saturation",
        )


def saturation_effects(people: Saturated, outcome: Outcome) -> tuple[Effects, Effects]:
    """Direct, indirect and total effects, then overall ones, at every saturation where both sides have people.

    Means weigh people by their sampling weights. Labels: term, outcome, role, subgroup ("saturation 0.5"). The clusters
    of the design must be the groups to which saturations were assigned: what happens in a group happens together.
    """
    unique, cell = np.unique(2 * people.level + people.treated, return_inverse=True)
    place = {(int(code) // 2, bool(code % 2)): position for position, code in enumerate(unique)}
    wanted = [
        (term, level, over, under)
        for level in range(len(people.levels))
        for term, over, under in _contrasts(level)
        if over in place and under in place
    ]
    loads = np.zeros((len(wanted), len(unique)))
    for row, (_, _, over, under) in enumerate(wanted):
        loads[row, place[over]], loads[row, place[under]] = 1.0, -1.0
    rows = [_labels(term, people.levels[level], outcome) for term, level, _, _ in wanted]
    by_arm = _of_means(people, cell, loads, rows)
    overall = np.eye(len(people.levels))[1:]
    overall[:, 0] = -1.0
    rows = [_labels("overall", level, outcome) for level in people.levels[1:]]
    return by_arm, _of_means(people, people.level, overall, rows)


_Cell = tuple[int, bool]


def _contrasts(level: int) -> list[tuple[str, _Cell, _Cell]]:
    """Cells (saturation, arm) that are compared at one saturation."""
    direct = ("direct", (level, True), (level, False))
    if level == 0:
        return [direct]
    return [direct, ("indirect", (level, False), (0, False)), ("total", (level, True), (0, False))]


def _labels(term: str, level: float, outcome: Outcome) -> pd.DataFrame:
    return labels(term, outcome, "supporting", subgroup=f"saturation {level:g}")


def _of_means(people: Saturated, cell: np.ndarray, loads: Floats, rows: list[pd.DataFrame]) -> Effects:
    """Contrasts of the means of cells; a cell is on the treated side of a contrast that adds it."""
    units = pd.Index(people.frame["unit"])
    columns = np.eye(loads.shape[1])[cell]
    names = [f"cell {number}" for number in range(loads.shape[1])]
    fit = weighted_least_squares(people.outcome, columns, names, people.frame["weight"].to_numpy(dtype=float))
    arms = Arms(codes=cell.astype(np.intp), treated=(loads > 0).T, comparison=(loads < 0).T)
    return fit.to_effects(loads, pd.concat(rows, ignore_index=True), units, arms)


# in an experiment -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spillover:
    """What an experiment with saturations adds to its finding: effects by saturation, a check, a note."""

    blocks: tuple[Block, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    def tables(self, level: float) -> dict[str, pd.DataFrame]:
        """saturation_effects: the rows of all blocks; none without saturations."""
        if not self.blocks:
            return {}
        return {"saturation_effects": pd.concat([block.table(level) for block in self.blocks], ignore_index=True)}


def spillover(sample: Sample, design: ExperimentDesign, convention: Convention) -> Spillover:
    """Effects on the primary outcome by saturation; nothing where the design names none.

    Raises:
        DataError: see `Saturated.of`.
    """
    if design.saturation is None:
        return Spillover()
    column, outcome = outcomes_of(design)[0]
    people = Saturated.of(
        sample.frame, column, sample.names.get("cluster_1", "cluster_1"), sample.names.get("saturation", "saturation")
    )
    touched = ~people.treated & (people.levels[people.level] > 0)
    share = float(touched.sum() / (~people.treated).sum())
    detail = (
        f"{int(touched.sum())} of {int((~people.treated).sum())} untreated people live in a group with treated ones"
    )
    note = (
        f"The headline compares the treated with all untreated people, of whom {share:.0%} have treated neighbours. "
        "Rows direct, indirect, total and overall say who is affected how, by saturation of the group."
    )
    blocks = tuple(convention.block(effects) for effects in saturation_effects(people, outcome))
    return Spillover(blocks=blocks, checks=(measured(DISPLACEMENT, share, detail),), notes=(note,))
