"""The specification curve of a finding: a table for the figure, its summary, and one check."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from evaluation.impact import checks, specification_curve
from evaluation.impact.checks import Check
from evaluation.impact.finding_parts import Parts

if TYPE_CHECKING:
    from evaluation.impact.specification_curve import SpecificationCurve
    from evaluation.sample import Sample

CHECK = "identification.specification_share"


def added(parts: Parts, sample: Sample, design: Any, seed: int) -> Parts:
    """The same with the check and the tables of the specifications that the design declares, if it declares any."""
    if design.specifications is None:
        return parts
    curve = specification_curve.run(sample, design, seed=seed)
    tables = {"specifications": curve.table, "specification_axes": curve.axes, "specification_summary": _summary(curve)}
    if curve.refused:
        tables["specifications_refused"] = pd.DataFrame(
            [{**one.choices, "reason": one.reason} for one in curve.refused]
        )
    return replace(parts, checks=[*parts.checks, _check(curve)], tables={**parts.tables, **tables})


def _summary(curve: SpecificationCurve) -> pd.DataFrame:
    """name, value, p_value (joint, where there is one)."""
    rows = [{"name": name, "value": value} for name, value in curve.summary.items()]
    if curve.joint is not None:
        joint = curve.joint
        rows += [
            {"name": f"joint_{name}", "value": joint.value[name], "p_value": joint.p_value[name]}
            for name in joint.value
        ]
    return pd.DataFrame(rows, columns=["name", "value", "p_value"])


def _check(curve: SpecificationCurve) -> Check:
    """Share of the specifications whose estimate has the sign of their median."""
    said = curve.summary
    if said["estimated"] is None or said["estimated"] < 2:
        return checks.not_run(CHECK, "fewer than two specifications have an estimate")
    p = (
        f"joint p of the median {curve.joint.p_value['median']:.3g} ({curve.joint.law})"
        if curve.joint
        else curve.reason
    )
    detail = (
        f"{said['estimated']} of {said['combinations']} specifications estimated, {said['refused']} refused, "
        f"{said['failed']} without an estimate; median {said['median']:.6g}, from {said['low']:.6g} to "
        f"{said['high']:.6g}; significant in that direction: {said['significant']:.0%}; {p}"
    )
    return checks.measured(CHECK, float(said["same_sign"] or 0.0), detail)
