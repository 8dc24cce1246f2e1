"""Difference-in-differences by subgroup or territory with joint covariance, and for outcomes that cannot have moved.

The effects of all groups stand side by side with the influence of each unit. Groups that are compared with the same
untreated units are then correlated as they should be, so that differences between groups and the joint test of equal
effects need no further assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParametersError
from evaluation.impact import did_estimators
from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import WaldTest, wald

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Comparison = Literal["own", "shared"]
Estimate = Callable[..., "DidResult"]

SMALLEST = 2  # treated units that a group must have


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupEffects:
    """Effects within groups of units.

    Attributes:
        column: canonical column of the groups; labels hold the group under "territory" or "subgroup".
        effects: G headline effects, one a group, largest group (treated units) first.
        event_time: the event-time effects of all groups.
        contrasts: G - 1 differences to the first group.
        skipped: groups without an estimate: group, units, treated_units, reason.
        notes: one sentence each.
    """

    column: str
    effects: Effects
    event_time: Effects
    contrasts: Effects
    skipped: pd.DataFrame
    notes: tuple[str, ...]

    def equality(self, clusters: pd.DataFrame | None = None, *, kind: str = "influence") -> WaldTest:
        """Joint test that the effects of all groups are equal."""
        return wald(self.contrasts, clusters, kind=kind)


def by_group(
    sample: Sample,
    design: DidDesign,
    column: str,
    *,
    outcome: str = "outcome_1",
    comparison: Comparison = "own",
    estimate: Estimate = did_estimators.estimate,
) -> GroupEffects:
    """Effects within each value of a column, over the union of the units.

    With `own` the treated of a group are compared with the untreated of the same group. With `shared` they are compared
    with the never treated of all groups: more precise, but the trend of a group that all its units have is then part of
    its effect. Units of a group that are treated later serve as comparison in their own group alone.

    Args:
        sample: as for the estimator, with `column`; rows where it is missing belong to no group (and, with `shared`,
            still serve as comparison).
        design: of the whole sample; it holds in each group.
        column: "territory", "subgroup_1", "subgroup_2", …
        outcome: canonical outcome column.
        comparison: see above.
        estimate: what estimates one group.

    Raises:
        ParametersError: no such column.
        DataError: no group in which an effect can be estimated.
    """
    _require_column(sample, column)
    groups, kind = _groups(sample.frame, column), "territory" if column == "territory" else "subgroup"
    reasons = dict(zip(groups["group"], map(_too_small, groups["treated_units"]), strict=True))
    results: dict[str, DidResult] = {}
    for group in [group for group, reason in reasons.items() if not reason]:
        try:
            results[group] = estimate(_part(sample, column, group, comparison), design, outcome=outcome)
        except DataError as error:  # this group is listed with its reason, the other groups stand
            reasons[group] = f"{error.what} ({error.code})"
    _require_some(sample, column, list(results), reasons)
    owner = sample.names.get(column, column)
    names = {group: group if kind == "territory" else f"{owner} = {group}" for group in results}
    effects = _side_by_side({group: each.headline for group, each in results.items()}, kind, names)
    event_time = {group: each.aggregates["event_time"] for group, each in results.items()}
    skipped = groups.assign(reason=groups["group"].map(reasons))
    return GroupEffects(
        column=column,
        effects=effects,
        event_time=_side_by_side(event_time, kind, names),
        contrasts=_contrasts(effects, kind),
        skipped=skipped[skipped["reason"] != ""].reset_index(drop=True),
        notes=tuple(_notes(sample, column, comparison, list(results))),
    )


def placebo_effects(sample: Sample, design: DidDesign, *, estimate: Estimate = did_estimators.estimate) -> Effects:
    """Headline effects on outcomes that the treatment cannot have moved, one a placebo outcome, over all units.

    Raises:
        ParametersError: the design names no placebo outcome.
        DataError: what the estimator raises; a placebo that cannot be estimated is not passed over.
    """
    columns = placebo_columns(sample.frame)
    if not columns:
        raise ParametersError(
            code="E-IMP-120",
            what="there is no outcome that the treatment cannot have moved",
            found="placebo_outcomes: none",
            expected="placebo_outcomes: [columns]",
        )
    parts = [estimate(sample, design, outcome=column).headline for column in columns]
    return concat([replace(part, labels=part.labels.assign(role="placebo")) for part in parts])


def group_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Canonical columns that effects can be estimated by: territory, then the subgroups."""
    return (*(("territory",) if "territory" in frame else ()), *_numbered(frame, "subgroup_"))


def placebo_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Canonical columns of outcomes that the treatment cannot have moved."""
    return _numbered(frame, "placebo_")


# groups ---------------------------------------------------------------------------------------------------------------


def _numbered(frame: pd.DataFrame, prefix: str) -> tuple[str, ...]:
    found = [str(column) for column in frame.columns if str(column).startswith(prefix)]
    return tuple(sorted(found, key=lambda column: int(column.removeprefix(prefix))))


def _groups(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """group, units, treated_units: the most treated units first, then by name."""
    known = frame[frame[column].notna()]
    group = known[column].astype(str).rename("group")
    units = known.groupby(group)["unit"].nunique()
    treated = known[known["cohort"].notna()].groupby(group)["unit"].nunique().reindex(units.index, fill_value=0)
    table = pd.DataFrame({"units": units, "treated_units": treated}).reset_index()
    return table.sort_values(["treated_units", "group"], ascending=[False, True], ignore_index=True)


def _too_small(treated_units: int) -> str:
    return "" if treated_units >= SMALLEST else f"{treated_units} treated units, at least {SMALLEST} are needed"


def _part(sample: Sample, column: str, group: str, comparison: Comparison) -> Sample:
    """The rows of a group, and those of its comparison."""
    values = sample.frame[column]
    chosen = (values.notna() & (values.astype(str) == group)).to_numpy(dtype=bool)
    if comparison == "shared":
        chosen = chosen | sample.frame["cohort"].isna().to_numpy()
    return replace(sample, frame=sample.frame[chosen].reset_index(drop=True))


def _side_by_side(parts: Mapping[str, Effects], kind: str, names: Mapping[str, str]) -> Effects:
    """All parts over the union of their units; `kind` (territory, subgroup) labels the rows."""
    labelled = []
    for group, part in parts.items():
        term = {"term": kind} if (part.labels["term"] == "att").all() else {}
        labelled.append(replace(part, labels=part.labels.assign(**term, **{kind: names[group]})))
    return concat(labelled)


def _contrasts(effects: Effects, kind: str) -> Effects:
    """Differences of all groups to the first."""
    others = len(effects) - 1
    names = effects.labels[kind].tolist()
    labels = effects.labels.iloc[1:].assign(term="contrast", **{kind: [f"{name} − {names[0]}" for name in names[1:]]})
    return effects.contrast(np.hstack([-np.ones((others, 1)), np.eye(others)]), labels)


def _notes(sample: Sample, column: str, comparison: Comparison, used: Sequence[str]) -> Iterator[str]:
    missing = int(sample.frame.loc[sample.frame[column].isna(), "unit"].nunique())
    name = sample.names.get(column, column)
    if missing:
        yield f"{missing} units without a value of {name} belong to no group"
    if comparison == "shared":
        yield f"the treated of each {name} are compared with the never treated of all"
    if len(used) > 1:
        yield f"differences are to {used[0]}, the group with the most treated units"


# refusals -------------------------------------------------------------------------------------------------------------


def _require_column(sample: Sample, column: str) -> None:
    if column not in group_columns(sample.frame):
        raise ParametersError(
            code="E-IMP-121",
            what="there is no such column to estimate by",
            found=column,
            expected=", ".join(group_columns(sample.frame)) or "territory: column, or subgroups: [columns]",
        )


def _require_some(sample: Sample, column: str, used: Sequence[str], reasons: Mapping[str, str]) -> None:
    if not used:
        raise DataError(
            code="E-IMP-122",
            what="no group has an effect that can be estimated",
            where=sample.names.get(column, column),
            found="; ".join(f"{group}: {reason}" for group, reason in list(reasons.items())[:3]) or "no group",
            fix="merge groups, or compare them with the untreated of all (comparison: shared)",
        )
