"""Samples of the public benchmark data have the sizes and means that their papers print.

Sources: Dehejia and Wahba (1999, JASA 94), tables 1 and 2: 185 treated and 260 control men, CPS-1 with 15,992; mean
earnings of 1978 6,349 and 4,555 in the trial (the difference is 1,794). Stock and Watson, Introduction to Econometrics,
table 13.1 (Tennessee STAR, kindergarten): regular classes score 918.04, small ones 13.90 more. Wooldridge,
Introductory Econometrics, example 14.1 (jtrain): 54 firms report scrap rates in 1987, 1988 and 1989, of which 19 get a
grant in 1988 and 10 in 1989. Papke (1994): enterprise zones in 6 cities from 1984, in 4 from 1985, none in 12. Kessler
and Roth (2014): 27 states in 6 quarters, California asks from the third quarter of 2011 (the fourth in the data).
"""

from pathlib import Path

import pandas as pd
import pytest

from evaluation.sample import Sample, prepare
from evaluation.settings.params import read_design

ROWS_AND_UNITS = {
    "work-experience-trial": (445, 445),
    "work-experience-matched": (185 + 15_992, 185 + 15_992),
    "job-training-observational": (614, 614),
    "job-search-workshop": (899, 899),
    "training-grants-firms": (54 * 3, 54),
    "enterprise-zones": (22 * 9, 22),
    "small-classes": (1738 + 2005, 3743),
    "crop-insurance-sessions": (1410, 1410),
    "crop-insurance-peers": (1378, 1378),
    "job-training-before-after": (185, 185),
    "work-experience-raw": (185 + 15_992, 185 + 15_992),
    "seat-belt-series": (192, 192),
    "hiv-results-incentives": (2830, 2830),
    "organ-donation-active-choice": (27 * 6, 27),
    "quitting-smoking": (1566, 1566),
}


def sample_of(evaluation_id: str, repository: Path) -> Sample:
    return prepare(read_design(evaluation_id, repository), root=repository)


@pytest.mark.parametrize("evaluation_id", ROWS_AND_UNITS)
def test_every_benchmark_of_the_repository_prepares(evaluation_id: str, repository: Path) -> None:
    sample = sample_of(evaluation_id, repository)
    assert (sample.rows_used, sample.units) == ROWS_AND_UNITS[evaluation_id]
    assert sample.rows_used == sample.rows_read - sum(step.dropped for step in sample.flow)
    assert sample.frame["outcome_1"].notna().all()


@pytest.mark.parametrize(
    ("evaluation_id", "treated", "comparison", "treated_mean", "comparison_mean"),
    [
        ("work-experience-trial", 185, 260, 6349.14, 4554.80),
        ("work-experience-matched", 185, 15_992, 6349.14, 14846.66),
        ("small-classes", 1738, 2005, 918.04 + 13.90, 918.04),
    ],
)
def test_arms_have_the_published_sizes_and_means(
    evaluation_id: str, treated: int, comparison: int, treated_mean: float, comparison_mean: float, repository: Path
) -> None:
    frame = sample_of(evaluation_id, repository).frame
    outcome = frame.groupby("treated")["outcome_1"].agg(["size", "mean"])
    assert outcome["size"].to_dict() == {False: comparison, True: treated}
    assert outcome["mean"].to_dict() == pytest.approx({False: comparison_mean, True: treated_mean}, abs=0.006)


@pytest.mark.parametrize(
    ("evaluation_id", "cohorts"),
    [
        ("training-grants-firms", {1988: 19, 1989: 10, pd.NA: 25}),
        ("enterprise-zones", {1984: 6, 1985: 4, pd.NA: 12}),
        ("organ-donation-active-choice", {4: 1, pd.NA: 26}),
    ],
)
def test_cohorts_have_the_published_sizes(evaluation_id: str, cohorts: dict[object, int], repository: Path) -> None:
    frame = sample_of(evaluation_id, repository).frame
    found = frame.drop_duplicates("unit")["cohort"].value_counts(dropna=False)
    assert found.to_dict() == cohorts
