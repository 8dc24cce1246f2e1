"""Negative controls: the same method where there can be no effect.

An outcome that the treatment cannot have moved, or an exposure that cannot have moved the outcome, shares with the real
comparison what it must not rest on: who selects whom, how things are measured. An effect there is none of the
treatment's.

Source: Lipsitch, Tchetgen Tchetgen and Cohen (2010), *Epidemiology* 21(3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import checks
from evaluation.impact.checks import Check
from evaluation.impact.finding_parts import Parts
from evaluation.impact.inference import adjust
from evaluation.impact.power.core import power

if TYPE_CHECKING:
    from evaluation.sample import Sample

NEGATIVE, TABLE = "identification.negative_control", "negative_controls"
COLUMNS = ("control", "kind", "estimate", "std_error", "ci_low", "ci_high", "p_value", "power", "reason")
Method = Callable[[Any, Any, int], Parts]


def added(parts: Parts, sample: Sample, design: Any, seed: int, method: Method) -> Parts:
    """The same with a check and a table of the negative controls that the design declares, if it declares any."""
    rows = [*_declared(sample, design, seed, method), *_placebo_outcomes(parts, design)]
    if not rows:
        return parts
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return replace(parts, checks=[*parts.checks, _check(table)], tables={**parts.tables, TABLE: table})


def _declared(sample: Sample, design: Any, seed: int, method: Method) -> Iterator[dict[str, Any]]:
    named = design.negative_controls
    for number, control in enumerate(named.outcomes, start=1):
        made = _with_outcome(sample, design, f"negative_outcome_{number}", control)
        yield _row(control, "outcome", made, seed, method)
    for number, control in enumerate(named.exposures, start=1):
        made = _with_exposure(sample, design, f"negative_exposure_{number}")
        yield _row(control, "exposure", made, seed, method)


def _with_outcome(sample: Sample, design: Any, column: str, control: str) -> tuple[Sample, Any]:
    """The sample and the design whose one outcome is the control, on the rows that know it."""
    frame = sample.frame[sample.frame[column].notna()].reset_index(drop=True)
    others = [name for name in frame if str(name).startswith("outcome_")]
    frame = frame.drop(columns=others).assign(outcome_1=frame[column].astype(float))
    names = {name: owner for name, owner in sample.names.items() if not name.startswith("outcome_")}
    outcome = design.primary.model_copy(update={"column": control, "name": control, "smallest_effect": None})
    return replace(sample, frame=frame, names=names | {"outcome_1": control}), _plain(design, outcomes=(outcome,))


def _with_exposure(sample: Sample, design: Any, column: str) -> tuple[Sample, Any]:
    """The sample of those without the treatment, and the design, with the exposure in the place of the treatment."""
    frame = sample.frame[~sample.frame["treated"] & sample.frame[column].notna()].reset_index(drop=True)
    return replace(sample, frame=frame.assign(treated=frame[column] == 1)), _plain(design)


def _plain(design: Any, **changes: Any) -> Any:
    """The design without what speaks of the outcome or the treatment alone."""
    changes |= {"negative_controls": type(design.negative_controls)()}
    single = ("baseline_outcome", "takeup", "roster", "explore", "experiment", "transport", "saturation", "territory")
    nothing: dict[str, Any] = {**dict.fromkeys(single), "subgroups": ()}
    changes |= {key: value for key, value in nothing.items() if key in type(design).model_fields}
    robust = getattr(design, "doubly_robust", None)
    if robust is not None and robust.outcome == "logit" and "outcomes" in changes:
        changes["doubly_robust"] = robust.model_copy(update={"outcome": "linear"})
    return design.model_copy(update=changes)


def _row(control: str, kind: str, made: tuple[Sample, Any], seed: int, method: Method) -> dict[str, Any]:
    """The effect by the same method, or why there is none."""
    try:
        rows = method(*made, seed).rows
    except EvaluationError as error:
        return {"control": control, "kind": kind, "reason": error.what}
    found = rows[rows["role"] == "headline"].iloc[0]
    return _numbers(control, kind, found, made[1])


def _placebo_outcomes(parts: Parts, design: Any) -> Iterator[dict[str, Any]]:
    """Rows that a comparison of changes has made of its placebo outcomes."""
    placebo = getattr(design, "placebo_outcomes", ())
    rows = parts.rows[(parts.rows["term"] == "placebo") & parts.rows["outcome"].isin(list(placebo))]
    for _, row in rows.iterrows():
        yield _numbers(str(row["outcome"]), "outcome", row, design)


def _numbers(control: str, kind: str, row: pd.Series, design: Any) -> dict[str, Any]:
    names = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "reason")
    numbers = {name: row[name] for name in names}
    smallest = design.primary.smallest_effect if kind == "exposure" else None
    seen = float(power(smallest, float(row["std_error"]), np.inf)) if smallest and row["std_error"] > 0 else np.nan
    return {"control": control, "kind": kind, **numbers, "power": seen}


def _check(table: pd.DataFrame) -> Check:
    """The smallest p-value, by Holm over all controls that have one."""
    known = table[table["p_value"].notna()].reset_index(drop=True)
    if known.empty:
        return checks.not_run(NEGATIVE, _joined(table["control"], table["reason"]))
    adjusted = adjust(known["p_value"].to_numpy(dtype=float), "holm")
    worst = int(np.argmin(adjusted))
    row = known.iloc[worst]
    detail = (
        f"{row['control']} ({row['kind']}), where there can be no effect: {row['estimate']:.6g} (standard error "
        f"{row['std_error']:.4g}), p = {row['p_value']:.4g}; smallest of {len(known)} by Holm"
    )
    detail += f"; without a number: {', '.join(table.loc[table['p_value'].isna(), 'control'])}" * (
        len(known) < len(table)
    )
    check = checks.measured(NEGATIVE, float(adjusted[worst]), detail, str(row["control"]))
    return replace(check, power=float(row["power"])) if np.isfinite(row["power"]) else check


def _joined(names: Sequence[str], reasons: Sequence[str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True))
