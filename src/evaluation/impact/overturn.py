"""What it would take to overturn a finding, in one form whatever the design.

Each measure is one number on a scale of its own, the size of something known on the same scale where there is one, and
what would happen there: the effect is gone, no longer told apart from zero, or no longer large enough to matter.
Nothing here judges: a rubric does, and it reads the one measure that is `judged`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from evaluation.errors import InternalError

UNBOUNDED = 2.0**10  # what stands for a number without end, which a record cannot hold

Way = Literal["reach_zero", "lose_significance", "below_smallest_effect"]
Measure = Literal[
    "hidden_factor",
    "hidden_share",
    "hidden_bias",
    "risk_ratio",
    "proportional_selection",
    "trend_departure",
    "trend_bend",
    "single_cohort",
    "single_cluster",
    "single_donor",
    "counterfactual_gap",
    "bandwidth",
    "direct_effect",
    "lost_people",
    "extra_followed",
    "cannot_be_judged",
]

# Where nothing has to happen any more: the measure's number when the finding is overturned already.
NOTHING: dict[str, float] = {"hidden_bias": 1.0, "risk_ratio": 1.0}

# What one unit of each measure is.
SCALES: dict[str, str] = {
    "hidden_factor": "times the strongest covariate",
    "hidden_share": "share of what is left of both treatment and outcome",
    "hidden_bias": "ratio of odds of treatment within a matched set",
    "risk_ratio": "risk ratio with both treatment and outcome",
    "proportional_selection": "times the selection on the covariates",
    "trend_departure": "times the largest change between neighbouring periods before",
    "trend_bend": "unit of the outcome a period",
    "single_cohort": "times the change without the cohort that matters most",
    "single_cluster": "times the change without the cluster that matters most",
    "single_donor": "times the change without the donor that matters most",
    "counterfactual_gap": "times the largest gap in periods before that were held back",
    "bandwidth": "times the change over the bandwidths tried",
    "direct_effect": "share of the instrument's effect on the outcome",
    "lost_people": "standard deviations of the outcome",
    "extra_followed": "share of the people followed in the better followed arm",
    "cannot_be_judged": "",
}
SOURCES: dict[str, str] = {
    "hidden_factor": "Cinelli and Hazlett (2020)",
    "hidden_share": "Cinelli and Hazlett (2020)",
    "hidden_bias": "Rosenbaum (2002)",
    "risk_ratio": "VanderWeele and Ding (2017)",
    "proportional_selection": "Oster (2019)",
    "trend_departure": "Rambachan and Roth (2023)",
    "trend_bend": "Rambachan and Roth (2023)",
    "single_cohort": "house",
    "single_cluster": "house",
    "single_donor": "Abadie, Diamond and Hainmueller (2015)",
    "counterfactual_gap": "Abadie, Diamond and Hainmueller (2015); the ratio is house",
    "bandwidth": "Imbens and Lemieux (2008); the ratio is house",
    "direct_effect": "Conley, Hansen and Rossi (2012)",
    "lost_people": "Yan, Lee and Li (2009), tipping point",
    "extra_followed": "Lee (2009), trimming; the share at zero is house",
    "cannot_be_judged": "house",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overturn:
    """One measure of how wrong a finding could be.

    Attributes:
        measure: what would have to be so.
        overturns: what happens at `value`.
        value: on the scale of the measure; None with a reason. The larger, the harder the finding is to overturn.
            `UNBOUNDED` stands for a number without end.
        benchmark: something known on the same scale; None if there is nothing. The finding stands up to it where
            `value` is larger.
        benchmark_name: the evaluator's word for it, such as a covariate; "" if the scale says what it is.
        judged: the rubric reads this one, as `identification.sensitivity`.
        reason: why there is no number, in English; "" if there is one.
    """

    measure: Measure
    overturns: Way = "reach_zero"
    value: float | None = None
    benchmark: float | None = None
    benchmark_name: str = ""
    judged: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a measure that nobody knows, and one with neither a number nor a reason.

        Raises:
            InternalError: either of the two.
        """
        known = self.measure in get_args(Measure) and self.overturns in get_args(Way)
        if not known or (self.value is None) == (self.reason == "") or not (self.value is None or self.value >= 0):
            raise InternalError(
                code="E-IMP-360",
                what="this is no measure of what would overturn a finding",
                found=f"{self.measure}, {self.overturns}, value {self.value}, reason {self.reason!r}",
                expected="a known measure with a number that is not negative, or with a reason",
            )

    @property
    def scale(self) -> str:
        """What one unit of `value` is."""
        return SCALES[self.measure]

    @property
    def source(self) -> str:
        """Who proposed the measure."""
        return SOURCES[self.measure]

    @property
    def already(self) -> bool:
        """Whether nothing more has to happen: the finding does not say so to begin with."""
        return self.value is not None and self.value <= NOTHING.get(self.measure, 0.0)

    @property
    def unbounded(self) -> bool:
        """Whether nothing that was tried overturns the finding."""
        return self.value is not None and self.value >= UNBOUNDED


COLUMNS = (
    "measure", "scale", "overturns", "value", "unbounded", "already", "benchmark", "benchmark_name", "judged",
    "reason", "source",
)  # fmt: skip


def found(measure: Measure, value: float, overturns: Way = "reach_zero", **more: object) -> Overturn:
    """A measure with its number, cut at `UNBOUNDED`; with a reason where it is not a number."""
    if np.isnan(value):
        return missing(measure, "the numbers it is made of are not known", overturns)
    return Overturn(measure=measure, overturns=overturns, value=min(float(value), UNBOUNDED), **more)  # type: ignore[arg-type]


def missing(measure: Measure, reason: str, overturns: Way = "reach_zero", *, judged: bool = False) -> Overturn:
    """A measure without a number."""
    return Overturn(measure=measure, overturns=overturns, reason=reason, judged=judged)


def frame(measures: Iterable[Overturn]) -> pd.DataFrame:
    """A row a measure, COLUMNS."""
    rows = [{name: getattr(each, name) for name in COLUMNS} for each in measures]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"value": float, "benchmark": float, "unbounded": bool, "already": bool, "judged": bool})
