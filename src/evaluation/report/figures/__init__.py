"""Figures, each a function of one or two tables of aggregates.

Every function returns a matplotlib Figure that carries its own text alternative (`alt`), written from the numbers it
shows. `svg` turns it into text that does not change from run to run, to be put inside a page; `show` displays it in a
notebook. Nothing is estimated here: standard errors, intervals, weights and breakdown values come with the tables.

Colours are Okabe and Ito's, told apart by readers with any colour vision; no meaning rests on colour alone.
"""

from evaluation.report.figures.calibration import coverage_by_grade, funnel
from evaluation.report.figures.choices import acceptability, cost_plane, frontier, league, tornado
from evaluation.report.figures.cohorts import cohort_timeline, group_time_map
from evaluation.report.figures.comparisons import forest, love_plot, means, territories
from evaluation.report.figures.crosswalk import crosswalk, crosswalk_rows, crosswalk_table
from evaluation.report.figures.did import did_credibility, did_effects, did_groups
from evaluation.report.figures.discontinuity import bandwidth_curve, discontinuity
from evaluation.report.figures.drawing import Drawing, alt, show, svg
from evaluation.report.figures.event_time import event_study
from evaluation.report.figures.findings import gap_map, pooled_forest, waterfall
from evaluation.report.figures.instrument import stages
from evaluation.report.figures.matched import matching_credibility, pair_distances, score_overlap
from evaluation.report.figures.planning import attrition_flow, power_curve
from evaluation.report.figures.priorities import burden_parts, merit_profiles, paradox, rank_intervals
from evaluation.report.figures.robustness import bacon, estimators, honest_fan, leave_one_out
from evaluation.report.figures.specification_curve import specification_curve
from evaluation.report.figures.spread import fan_chart, scale_funnel
from evaluation.report.figures.synthetic import (
    donor_weights,
    fit_ratios,
    placebo_gap,
    synthetic_credibility,
    synthetic_effects,
    synthetic_paths,
)
from evaluation.report.figures.trends import raw_trends
from evaluation.report.figures.weights import balance_map, hidden_factor, weight_sizes, weighting_credibility
from evaluation.report.locale import Lang

__all__ = [
    "Drawing",
    "Lang",
    "acceptability",
    "alt",
    "attrition_flow",
    "bacon",
    "balance_map",
    "bandwidth_curve",
    "burden_parts",
    "cohort_timeline",
    "cost_plane",
    "coverage_by_grade",
    "crosswalk",
    "crosswalk_rows",
    "crosswalk_table",
    "did_credibility",
    "did_effects",
    "did_groups",
    "discontinuity",
    "donor_weights",
    "estimators",
    "event_study",
    "fan_chart",
    "fit_ratios",
    "forest",
    "frontier",
    "funnel",
    "gap_map",
    "group_time_map",
    "hidden_factor",
    "honest_fan",
    "league",
    "leave_one_out",
    "love_plot",
    "matching_credibility",
    "means",
    "merit_profiles",
    "pair_distances",
    "paradox",
    "placebo_gap",
    "pooled_forest",
    "power_curve",
    "rank_intervals",
    "raw_trends",
    "scale_funnel",
    "score_overlap",
    "show",
    "specification_curve",
    "stages",
    "svg",
    "synthetic_credibility",
    "synthetic_effects",
    "synthetic_paths",
    "territories",
    "tornado",
    "waterfall",
    "weight_sizes",
    "weighting_credibility",
]
