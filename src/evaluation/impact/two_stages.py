"""What an instrument, or a draw, does to outcome and treatment: the two stages that every ratio of effects is made of.

Compliers of an experiment and instruments as a design share it, because both divide an effect on the outcome (reduced
form) by an effect on the treatment (first stage).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evaluation.impact import inference
from evaluation.impact.effects import Effects, concat

# Below this effective F the worst bias of two-stage least squares can exceed a tenth of that of least squares at the
# 5 % level (one instrument; Montiel Olea and Pflueger 2013, table 1). `inference.critical_f` computes it.
WEAK = 23.1

Convention = Callable[[Effects], inference.Covariance]


def joint(reduced: Effects, first: Effects, convention: Convention) -> inference.Covariance:
    """Covariance (2, 2) of both effects, with the factor for small samples of one regression.

    The covariance of two regressions side by side counts their columns twice; it is set to that of one.
    """
    alone, both = convention(reduced), convention(concat([reduced, first]))
    scale = alone.matrix[0, 0] / both.matrix[0, 0] if both.matrix[0, 0] > 0 else 1.0
    return replace(both, matrix=both.matrix * scale)


def anderson_rubin(
    reduced: Effects, first: Effects, convention: Convention, level: float = 0.95
) -> inference.AndersonRubin:
    """The set of ratios that is not rejected, however weak the first stage."""
    return inference.anderson_rubin(
        np.r_[reduced.estimate, first.estimate],
        joint(reduced, first, convention),
        float(convention(reduced).df[0]),
        level=level,
    )
