"""An outcome that the treatment cannot have moved: what its effect says, whatever the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evaluation.errors import EvaluationError
from evaluation.impact import checks
from evaluation.impact.power.core import power

if TYPE_CHECKING:
    from evaluation.impact.checks import Check
    from evaluation.impact.cross_section import Block
    from evaluation.settings.designs import Design

PLACEBO = "placebo.baseline_p"


def not_named() -> Check:
    """The check of a design that names no outcome before the treatment."""
    return checks.not_run(PLACEBO, "no measure of the outcome before the treatment is named")


def placebo_check(design: Design, name: str, said: str, estimate: Callable[[], Block]) -> tuple[Check, Block | None]:
    """The effect on an outcome before the treatment, which should be none.

    Args:
        design: level, and the smallest effect worth having.
        name: of the outcome, in the evaluator's words.
        said: how it was compared, at the end of the sentence.
        estimate: makes the effect.

    Returns:
        The p-value, with the power to see an effect as large as the smallest one worth having; and the effect, None
        where there is none.
    """
    try:
        block = estimate()
        row = block.table(design.inference.level).iloc[0]
    except EvaluationError as error:
        return checks.not_run(PLACEBO, error.what), None
    if not np.isfinite(row["p_value"]):
        return checks.not_run(PLACEBO, str(row["reason"])), block
    detail = (
        f"effect on {name}, which the treatment cannot have moved: {row['estimate']:.6g} (standard error "
        f"{row['std_error']:.4g}), {said}"
    )
    found = checks.measured(PLACEBO, float(row["p_value"]), detail, name)
    smallest, std_error = design.primary.smallest_effect, float(row["std_error"])
    if not smallest or not std_error > 0:
        return found, block
    return replace(found, power=float(power(smallest, std_error, np.inf))), block
