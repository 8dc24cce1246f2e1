"""Does the comparison group feel the treatment? Neighbours of treated units, as a treatment of their own.

A unit that is never treated and has a treated neighbour is exposed from the period in which the first of its neighbours
starts. Three estimates, with their joint covariance:

    as_it_is   treated against all untreated units
    indirect   exposed units, as if their exposure were a treatment, against untreated units that are not exposed
    without    treated against untreated units that are not exposed

If the exposed lose what the treated gain, `indirect` has the other sign and `as_it_is` exaggerates: `without` does not
count the loss of neighbours as a gain. Who is a neighbour is for the evaluator to say (a common border, a distance, a
labour market); units beyond are taken as untouched.

Source: Butts (2023), "Difference-in-differences with spatial spillovers", section 3 (exposure as a treatment, rings).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import did_estimators, inference
from evaluation.impact.checks import Check, measured
from evaluation.impact.cross_section import clusters_of
from evaluation.impact.effects import Effects, concat

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

ESTIMATES = ("as_it_is", "indirect", "without")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Displacement:
    """What neighbours of treated units tell.

    Attributes:
        effects: K = 4: ESTIMATES, then the difference as_it_is - without; labels hold `estimate_of`.
        table: numbers of these, one row each.
        check: interference.displacement: share of the untreated units that are exposed.
    """

    effects: Effects
    table: pd.DataFrame
    check: Check


def displacement(sample: Sample, design: DidDesign, neighbours: pd.DataFrame) -> Displacement:
    """Effects on the treated with and without exposed comparison units, and on the exposed.

    Args:
        sample: of a difference-in-differences; units that start later are compared as the design says.
        design: of the evaluation.
        neighbours: columns unit and neighbour, one row a pair (both ways where both count).

    Raises:
        DataError: no untreated unit is exposed, or all are; what the estimator raises.
    """
    start = exposure(sample, neighbours)
    never = sample.frame["cohort"].isna().to_numpy()
    exposed = never & start.notna().to_numpy()
    _require_both(sample, never, exposed)
    ring = sample.frame.assign(cohort=start, treated=start.notna())[never].reset_index(drop=True)
    clean = sample.frame[~exposed].reset_index(drop=True)
    parts = [
        did_estimators.estimate(part, design).headline
        for part in (sample, replace(sample, frame=ring), replace(sample, frame=clean))
    ]
    named = [
        replace(part, labels=part.labels.assign(estimate_of=name)) for part, name in zip(parts, ESTIMATES, strict=True)
    ]
    effects = concat(named)
    labels = effects.labels.iloc[[0]].assign(estimate_of="difference")
    both = concat([effects, effects.contrast(np.array([[1.0, 0.0, -1.0]]), labels)])
    units = sample.frame["unit"][never].nunique()
    touched = sample.frame["unit"][exposed].nunique()
    detail = f"{touched} of {units} untreated units have a treated neighbour"
    return Displacement(
        effects=both,
        table=inference.summarize(both, clusters_of(sample), level=design.inference.level),
        check=measured("interference.displacement", touched / units, detail),
    )


def exposure(sample: Sample, neighbours: pd.DataFrame) -> pd.Series:
    """For each row the first period in which a neighbour of its unit is treated; missing without such a neighbour."""
    cohorts = sample.frame.drop_duplicates("unit").set_index("unit")["cohort"]
    first = neighbours["neighbour"].map(cohorts).groupby(neighbours["unit"]).min()
    return sample.frame["unit"].map(first).astype("Int64")


def _require_both(sample: Sample, never: np.ndarray, exposed: np.ndarray) -> None:
    if exposed.any() and (never & ~exposed).any():
        return
    units = sample.frame["unit"]
    raise DataError(
        code="E-IMP-366",
        what="Displacement cannot be told: untreated units with and without treated neighbours are needed.",
        found=f"{units[exposed].nunique()} exposed of {units[never].nunique()} untreated units",
        expected="some of both kinds",
        fix="look at the ids of the table of neighbours, or draw the ring more narrowly or widely",
    )
