"""From effects to standard errors, intervals, bands, p-values and joint tests: the only place that does so.

The clusters are chosen after estimation, any number of them. Which convention was used is part of the result
(`Covariance.kind`, `Covariance.describe()`), because programs differ in their small-sample factors and readers cannot
guess.
"""

from evaluation.impact.inference.anderson_rubin import AndersonRubin, anderson_rubin
from evaluation.impact.inference.bands import BAND_DRAWS, normal_numbers
from evaluation.impact.inference.bootstrap import (
    MULTIPLIER_DRAWS,
    MultiplierBands,
    multiplier_bands,
    multiplier_draws,
)
from evaluation.impact.inference.clustering import cluster_table
from evaluation.impact.inference.covariances import DESCRIPTIONS, Covariance, abadie_imbens, covariance
from evaluation.impact.inference.exclusion import Direct, direct_effect, union_of_intervals
from evaluation.impact.inference.few import MINIMUM_CLUSTERS
from evaluation.impact.inference.instruments import anderson_rubin_several, critical_f, effective_f, restrictions_p
from evaluation.impact.inference.joint import WaldTest, wald
from evaluation.impact.inference.linearised import Sampling, linearised
from evaluation.impact.inference.multiple import adjust, benjamini_hochberg, holm, romano_wolf, sharpened_q
from evaluation.impact.inference.newey_west import default_lags, newey_west
from evaluation.impact.inference.placebos import fewest_placebos, kept_interval, placebo_table, rank_p, shift_p
from evaluation.impact.inference.pooling import pooled, pooled_sites
from evaluation.impact.inference.randomisation import RandomisationTest, randomisation_test
from evaluation.impact.inference.sets import interval_of_a_set
from evaluation.impact.inference.summary import summarize, summarize_together, with_wild_tests
from evaluation.impact.inference.valid_t import tf_factor
from evaluation.impact.inference.wild import WILD_DRAWS, WildTest, wild_test

__all__ = [
    "BAND_DRAWS",
    "DESCRIPTIONS",
    "MINIMUM_CLUSTERS",
    "MULTIPLIER_DRAWS",
    "WILD_DRAWS",
    "AndersonRubin",
    "Covariance",
    "Direct",
    "MultiplierBands",
    "RandomisationTest",
    "Sampling",
    "WaldTest",
    "WildTest",
    "abadie_imbens",
    "adjust",
    "anderson_rubin",
    "anderson_rubin_several",
    "benjamini_hochberg",
    "cluster_table",
    "covariance",
    "critical_f",
    "default_lags",
    "direct_effect",
    "effective_f",
    "fewest_placebos",
    "holm",
    "interval_of_a_set",
    "kept_interval",
    "linearised",
    "multiplier_bands",
    "multiplier_draws",
    "newey_west",
    "normal_numbers",
    "placebo_table",
    "pooled",
    "pooled_sites",
    "randomisation_test",
    "rank_p",
    "restrictions_p",
    "romano_wolf",
    "sharpened_q",
    "shift_p",
    "summarize",
    "summarize_together",
    "tf_factor",
    "union_of_intervals",
    "wald",
    "wild_test",
    "with_wild_tests",
]
