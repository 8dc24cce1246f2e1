"""From effects to standard errors, intervals, bands, p-values and joint tests: the only place that does so.

The clusters are chosen after estimation, any number of them. Which convention was used is part of the result
(`Covariance.kind`, `Covariance.describe()`), because programs differ in their small-sample factors and readers cannot
guess.
"""

from evaluation.impact.inference.bands import BAND_DRAWS
from evaluation.impact.inference.clustering import cluster_table
from evaluation.impact.inference.covariances import DESCRIPTIONS, Covariance, abadie_imbens, covariance
from evaluation.impact.inference.few import MINIMUM_CLUSTERS
from evaluation.impact.inference.joint import WaldTest, wald
from evaluation.impact.inference.summary import summarize
from evaluation.impact.inference.wild import WILD_DRAWS, WildTest, wild_test

__all__ = [
    "BAND_DRAWS",
    "DESCRIPTIONS",
    "MINIMUM_CLUSTERS",
    "WILD_DRAWS",
    "Covariance",
    "WaldTest",
    "WildTest",
    "abadie_imbens",
    "cluster_table",
    "covariance",
    "summarize",
    "wald",
    "wild_test",
]
