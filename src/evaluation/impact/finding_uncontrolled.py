"""A change or a raw difference as a finding, always with the check that says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from evaluation.impact import uncontrolled
from evaluation.impact.finding_parts import Parts

if TYPE_CHECKING:
    from evaluation.sample import Sample


def parts(sample: Sample, design: Any, seed: int) -> Parts:
    """What the finding of a design without a comparison group is made of; nothing in it is drawn.

    Raises:
        DataError: what the estimator raises.
    """
    found = uncontrolled.estimate(sample, design)
    tables = dict(found.tables)
    if found.balance is not None:
        tables["balance"] = found.balance
    return Parts(
        estimand="att",
        rows=pd.concat([block.table(design.inference.level) for block in found.blocks], ignore_index=True),
        covariance=found.blocks[0].solved(),
        comparison=(found.comparison, found.weights),
        used=sample.frame,
        checks=found.checks,
        tables=tables,
        notes=found.notes,
    )
