"""The sample of one specification: some rows, some covariates, one outcome, perhaps winsorised."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import ParametersError
from evaluation.impact.cross_section import outcomes_of

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.specifications import Rows, Specification

TAIL = {"winsorised_99": 0.01, "winsorised_95": 0.05}


def outcome_column(design: Any) -> str:
    """Canonical column of the primary outcome."""
    return outcomes_of(design)[0][0]


def sample_of(sample: Sample, specification: Specification) -> Sample:
    """Rows and columns that a specification uses; rows keep their order and their unit ids.

    Covariates that it leaves out leave the table. Their missing values have already been dropped, so that all
    specifications start from the same rows.

    Raises:
        ParametersError: a filter names a column that the sample does not have.
    """
    frame, names = sample.frame, sample.names
    if specification.rows is not None:
        frame = frame[rows_kept(sample, specification.rows)].reset_index(drop=True)
    left_out = [
        *_others(frame, names, "covariate_", specification.design.covariates),
        *_others(frame, names, "exact_", getattr(specification.design, "exact", ())),
        *(column for column in frame if str(column).startswith(("subgroup_", "placebo_", "negative_"))),
        *(column for column in frame if column == "territory"),
    ]
    frame = frame.drop(columns=left_out)
    if specification.transform != "none":
        column = outcome_column(specification.design)
        frame = frame.assign(**{column: _winsorised(frame[column], TAIL[specification.transform])})
    return replace(sample, frame=frame)


def alone(specification: Specification) -> Any:
    """The design of a specification with everything but its headline left out: one outcome's effect, no groups."""
    design = specification.design
    nothing: dict[str, Any] = {"territory": None, "subgroups": (), "placebo_outcomes": ()}
    nothing |= dict.fromkeys(("transport", "explore", "takeup", "experiment", "roster", "baseline_outcome"))
    known = {key: value for key, value in nothing.items() if key in type(design).model_fields}
    return design.model_copy(update=known)


def rows_kept(sample: Sample, rows: Rows) -> np.ndarray:
    """(N,) rows that a filter leaves."""
    kept = np.ones(len(sample.frame), dtype=bool)
    for column, values in rows.keep.items():
        kept &= _equals(_column(sample, column), values)
    for column, values in rows.drop.items():
        kept &= ~_equals(_column(sample, column), values)
    for column, (low, high) in rows.between.items():
        numbers = pd.to_numeric(_column(sample, column), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        kept &= (numbers >= low) & (numbers <= high)
    return kept


def _column(sample: Sample, owner: str) -> pd.Series:
    """A column by the evaluator's own name; outcomes and arms are no ground to choose rows on."""
    usable = {
        sample.names.get(name, name): name
        for name in sample.frame
        if not str(name).startswith(("outcome_", "treated", "takeup"))
    }
    if owner not in usable:
        raise ParametersError(
            code="E-IMP-376",
            what="a filter of `specifications: samples` names a column that the sample does not have",
            found=repr(owner),
            expected=f"one of {', '.join(map(repr, usable))}",
            fix="name it among the covariates, or as territory, cluster, unit or time",
        )
    return sample.frame[usable[owner]]


def _equals(column: pd.Series, values: tuple[Any, ...]) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column):
        wanted = pd.to_numeric(pd.Series(list(values), dtype=object), errors="coerce").astype(float)
        return np.isin(column.to_numpy(dtype=float, na_value=np.nan), wanted)
    return np.asarray(column.astype(str).isin([str(value) for value in values]), dtype=bool)


def _others(frame: pd.DataFrame, names: Any, prefix: str, chosen: tuple[str, ...]) -> list[str]:
    return [column for column in frame if str(column).startswith(prefix) and names.get(column, column) not in chosen]


def _winsorised(values: pd.Series, tail: float) -> pd.Series:
    low, high = values.quantile([tail, 1 - tail])
    return values.clip(low, high)
