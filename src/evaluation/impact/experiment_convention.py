"""Whose variance an experiment has: that of the assignment, of the draw of the sample, or of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from evaluation.impact import inference
from evaluation.impact.cross_section import Block, clusters_of, regression_kind

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convention:
    """How the uncertainty of all effects of one experiment is computed.

    Attributes:
        kind: a key of `inference.DESCRIPTIONS`.
        clusters: clusters by unit, or None.
        sampling: the draw that variances follow instead of a regression's residuals, or None.
    """

    kind: str
    clusters: pd.DataFrame | None = None
    sampling: inference.Sampling | None = None

    @classmethod
    def of(cls, sample: Sample, design: ExperimentDesign) -> Convention:
        """The convention of a design: pairs by size, a survey, or HC2 (CR2 with clusters) unless it says more."""
        by_pair = design.assignment == "paired" and design.strata_effects == "by_stratum"
        if design.survey is None and not by_pair:
            clusters = clusters_of(sample)
            return cls(kind=regression_kind(design, clusters), clusters=clusters)
        by_unit = sample.frame.drop_duplicates("unit").set_index("unit")
        if design.survey is None:
            pairs = _named(by_unit, "stratum", sample)
            sampling = inference.Sampling(unit=pairs, kind="paired")
            return cls(kind="paired", clusters=pairs.to_frame(), sampling=sampling)
        sampling = inference.Sampling(
            unit=_optional(by_unit, "sampling_unit", sample),
            stratum=_optional(by_unit, "sampling_stratum", sample),
            population=_optional(by_unit, "sampling_population", sample),
            lonely=design.survey.lonely,
            assigned=_assigned(by_unit, design),
        )
        return cls(kind="linearised", clusters=_as_clusters(sampling), sampling=sampling)

    def covariance(self, effects: Effects) -> inference.Covariance:
        """The covariance of effects."""
        if self.sampling is None:
            return inference.covariance(effects, self.clusters, kind=self.kind)
        return inference.linearised(effects, self.sampling)

    def block(self, effects: Effects) -> Block:
        """Effects with this convention."""
        ready = None if self.sampling is None else self.covariance(effects)
        return Block(effects=effects, kind=self.kind, clusters=self.clusters, covariance=ready)


def _named(by_unit: pd.DataFrame, column: str, sample: Sample) -> pd.Series:
    return by_unit[column].rename(sample.names.get(column, column))


def _optional(by_unit: pd.DataFrame, column: str, sample: Sample) -> pd.Series | None:
    return _named(by_unit, column, sample) if column in by_unit else None


def _assigned(by_unit: pd.DataFrame, design: ExperimentDesign) -> pd.Series:
    """What chance assigned to an arm: clusters (which are sampling units), or each unit by itself."""
    if design.assignment == "cluster":
        return by_unit["cluster_1"]
    return pd.Series(range(len(by_unit)), by_unit.index)


def _as_clusters(sampling: inference.Sampling) -> pd.DataFrame | None:
    """Sampling units as clusters, to count them by arm: ids that count within strata become different ones."""
    if sampling.unit is None:
        return None
    if sampling.stratum is None:
        return sampling.unit.to_frame()
    return (sampling.stratum.astype(str) + ", " + sampling.unit.astype(str)).rename(sampling.unit.name).to_frame()
