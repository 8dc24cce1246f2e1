"""What experiments, matching and weighting share: one row a unit, two arms, one or several outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact import inference
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats
from evaluation.impact.effects import Arms, Effects, clear_noise
from evaluation.impact.regression import weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import Design, Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Effects that are summarised together, and the inference that fits them.

    Attributes:
        effects: their labels hold term, outcome, role and, for territories, territory.
        kind: convention of the standard errors, a key of `inference.DESCRIPTIONS`.
        clusters: clusters by unit, or None.
        covariance: a ready covariance for methods that have their own.
    """

    effects: Effects
    kind: str
    clusters: pd.DataFrame | None = None
    covariance: inference.Covariance | None = None

    def solved(self) -> inference.Covariance:
        """The covariance of the effects."""
        if self.covariance is not None:
            return self.covariance
        return inference.covariance(self.effects, self.clusters, kind=self.kind)

    def table(self, level: float) -> pd.DataFrame:
        """Labels, estimates and their uncertainty, one row an effect (see `inference.summarize`)."""
        return inference.summarize(self.effects, self.clusters, kind=self.kind, level=level, covariance=self.covariance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossSection:
    """What a method found.

    Attributes:
        estimand: ate, itt, att or atc.
        blocks: effects; the first row of the first block is the headline.
        balance_weights: (n,) weights of the rows of the sample after the adjustment, 0 for rows left out; None without
            an adjustment.
        score: (n,) propensity score, if there is one.
        notes: what a reader must know, in English, with numbers.
        checks: diagnostics of the method itself; they take the place of common ones with the same id.
        tables: aggregate tables of the method itself, by name.
        flow: rows that the method left out, after those of the sample.
    """

    estimand: str
    blocks: tuple[Block, ...]
    balance_weights: Floats | None = None
    score: Floats | None = None
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    flow: tuple[FlowStep, ...] = ()


def outcomes_of(design: Design) -> list[tuple[str, Outcome]]:
    """Canonical outcome columns with their outcomes, the primary one first."""
    pairs = [(f"outcome_{number}", outcome) for number, outcome in enumerate(design.outcomes, start=1)]
    return sorted(pairs, key=lambda pair: pair[1].role != "primary")


def role_of(outcome: Outcome) -> str:
    """Role of the outcome's effect in the table of effects."""
    return "headline" if outcome.role == "primary" else "secondary"


def labels(term: str, outcome: Outcome, role: str, **more: object) -> pd.DataFrame:
    """One row of labels."""
    return pd.DataFrame([{"term": term, "outcome": outcome.name, "role": role, **more}])


def observed(frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Rows whose outcome is known."""
    return np.asarray(frame[column].notna())


def clusters_of(sample: Sample) -> pd.DataFrame | None:
    """Clusters by unit under the evaluator's own column names; None if the design names none."""
    return clusters_of_frame(sample.frame, sample.names)


def clusters_of_frame(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame | None:
    """`clusters_of` for other rows than those of the sample."""
    columns = sorted(column for column in frame.columns if str(column).startswith("cluster_"))
    if not columns:
        return None
    table = inference.cluster_table(frame, columns)
    return table.rename(columns={column: names.get(column, column) for column in columns})


def regression_kind(design: Design, clusters: pd.DataFrame | None) -> str:
    """Convention for regressions: what the design says, or HC2, with clusters CR2."""
    return design.inference.std_error or ("hc2" if clusters is None else "cr2")


def difference_in_means(
    frame: pd.DataFrame, outcome_column: str, row_labels: pd.DataFrame, weights: Floats | None = None
) -> Effects:
    """Weighted mean of the treated less that of the comparison, as the slope of a regression on treatment.

    Args:
        frame: rows with `unit`, `treated` and the outcome, none missing.
        outcome_column: canonical column.
        row_labels: one row.
        weights: (n,) positive; the sampling weights if None.

    Raises:
        DataError: one of the arms is empty.
    """
    treated = frame["treated"].to_numpy(dtype=bool)
    require_both_arms(treated)
    design = np.column_stack([np.ones(len(frame)), treated])
    fit = weighted_least_squares(
        frame[outcome_column].to_numpy(dtype=float),
        design,
        ["intercept", "treated"],
        frame["weight"].to_numpy(dtype=float) if weights is None else weights,
    )
    units = pd.Index(frame["unit"])
    return fit.to_effects(np.array([0.0, 1.0]), row_labels, units=units, arms=arms_of(units, treated))


def effects_of_rows(
    frame: pd.DataFrame, estimate: float, influence: Floats, row_labels: pd.DataFrame, *, scale: float
) -> Effects:
    """One effect from the influence of each row; rows of one unit are summed.

    Args:
        frame: n rows with `unit` and `treated`.
        estimate: the effect.
        influence: (n,) with estimate - truth ~ mean(influence) over rows.
        row_labels: one row.
        scale: largest absolute outcome; an influence that is rounding error beside it becomes zero.
    """
    codes, units = pd.factorize(frame["unit"])
    by_unit = np.bincount(codes, influence, len(units)) * (len(units) / len(frame))
    return Effects(
        estimate=np.array([estimate]),
        labels=row_labels,
        influence=clear_noise((by_unit - by_unit.mean())[:, None], scale),
        units=pd.Index(units),
        arms=arms_of(pd.Index(frame["unit"]), frame["treated"].to_numpy(dtype=bool)),
    )


def arms_of(units: pd.Index, treated: NDArray[np.bool_], n_effects: int = 1) -> Arms:
    """Arms of the distinct units, in order of first appearance."""
    first = ~units.duplicated()
    return Arms.of(treated[first], n_effects)


def require_both_arms(treated: NDArray[np.bool_]) -> None:
    """Refuse a comparison that lacks a side.

    Raises:
        DataError: nobody is treated, or nobody is not.
    """
    if treated.all() or not treated.any():
        raise DataError(
            code="E-IMP-052",
            what="there is nobody to compare with",
            found=f"{int(treated.sum())} treated and {int((~treated).sum())} comparison rows",
            expected="at least one of each",
            fix="look at the row accounting: `evaluation check data` says which step dropped them",
        )


def raw_difference(sample: Sample, design: Design) -> Block:
    """The naive comparison of all treated with all others on the primary outcome, before any adjustment."""
    column, outcome = outcomes_of(design)[0]
    clusters = clusters_of(sample)
    effects = difference_in_means(sample.frame, column, labels("raw_difference", outcome, "supporting"))
    return Block(effects=effects, kind="hc2" if clusters is None else "cr2", clusters=clusters)
