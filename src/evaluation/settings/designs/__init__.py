"""Designs: what one evaluation is, fixed before its data are opened.

One frozen model a method, chosen by `method`. Every field that contradicts an earlier one says so itself, so that all
contradictions of all evaluations are reported together with the misspelt and the missing keys.
"""

from collections.abc import Mapping

from evaluation.settings.designs.base import Design, Inference
from evaluation.settings.designs.did import BY_CELL, UNUSED, DidDesign, EventWindow, Matched
from evaluation.settings.designs.discontinuity import DiscontinuityDesign
from evaluation.settings.designs.experiment import ExperimentDesign
from evaluation.settings.designs.instrument import InstrumentDesign
from evaluation.settings.designs.matching import MatchingDesign
from evaluation.settings.designs.roster import Roster
from evaluation.settings.designs.sources import Join, Source
from evaluation.settings.designs.synthetic_control import SyntheticControlDesign
from evaluation.settings.designs.uncontrolled import UncontrolledDesign
from evaluation.settings.designs.variables import Cohort, Combination, Outcome, Treatment
from evaluation.settings.designs.weighting import WeightingDesign

__all__ = [
    "BY_CELL",
    "DESIGNS",
    "UNUSED",
    "Cohort",
    "Combination",
    "Design",
    "DidDesign",
    "DiscontinuityDesign",
    "EventWindow",
    "ExperimentDesign",
    "Inference",
    "InstrumentDesign",
    "Join",
    "Matched",
    "MatchingDesign",
    "Outcome",
    "Roster",
    "Source",
    "SyntheticControlDesign",
    "Treatment",
    "UncontrolledDesign",
    "WeightingDesign",
]

DESIGNS: Mapping[str, type[Design]] = {
    "experiment": ExperimentDesign,
    "did": DidDesign,
    "matching": MatchingDesign,
    "weighting": WeightingDesign,
    "synthetic_control": SyntheticControlDesign,
    "discontinuity": DiscontinuityDesign,
    "instrument": InstrumentDesign,
    "uncontrolled": UncontrolledDesign,
}
