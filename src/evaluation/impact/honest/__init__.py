"""How far trends may depart from parallel ones before a difference-in-differences says nothing any more.

Two ways to bound what would have happened without treatment: by the largest change between neighbouring periods before
it (relative magnitudes, Mbar), and by how much a trend may bend from one period to the next (smoothness, M). Both give
intervals that hold for every departure within the bound; the breakdown value is the bound at which they first include
zero. Nothing here judges: a rubric does.

Source: Rambachan and Roth (2023), *Review of Economic Studies* 90(5); Andrews, Roth and Pakes (2023), *Review of
Economic Studies* 90(6), for the test behind relative magnitudes.
"""

from evaluation.impact.honest.breakdown import Breakdown, breakdown, fan
from evaluation.impact.honest.event_study import EventStudy, event_study
from evaluation.impact.honest.intervals import HonestInterval, identified_set
from evaluation.impact.honest.relative_magnitudes import relative_magnitudes
from evaluation.impact.honest.smoothness import smoothness

__all__ = [
    "Breakdown",
    "EventStudy",
    "HonestInterval",
    "breakdown",
    "event_study",
    "fan",
    "identified_set",
    "relative_magnitudes",
    "smoothness",
]
