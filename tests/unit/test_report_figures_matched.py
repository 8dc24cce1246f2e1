"""Figures of matching: the same text each time, an alternative from the numbers."""

import re

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import figures

SCORES = pd.DataFrame(
    {
        "group": ["treated"] * 3 + ["comparison"] * 3,
        "low": [0.0, 0.1, 0.9] * 2,
        "high": [0.1, 0.9, 1.0] * 2,
        "n": [1, 2, 1, 6, 3, 1],
        "weight": [0.0, 2.0, 0.0, 1.0, 3.0, 0.0],
    }
)
DISTANCES = pd.DataFrame({"low": [0.0, 0.1, 0.2], "high": [0.1, 0.2, 0.3], "pairs": [6, 1, 1]})
BALANCE = pd.DataFrame({"covariate": ["age"], "smd_before": [0.3], "smd_after": [0.1]})
MAKERS = [lambda lang: figures.score_overlap(SCORES, lang), lambda lang: figures.pair_distances(DISTANCES, lang)]


def told(figure):
    return re.sub("[\u00a0\u202f]", " ", figures.alt(figure))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_same_text_each_time_and_nothing_that_loads(make, lang):
    first = figures.svg(make(lang))
    assert first == figures.svg(make(lang))
    assert first.startswith("<svg ")
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', first))


def test_alternatives_hold_the_numbers():
    # Treated: 2 of 4 between 0.1 and 0.9 before, all after; comparison 3 of 10, then 3 of 4.
    assert told(figures.score_overlap(SCORES, "en")) == (
        "Propensity scores of the two groups; share between 0.1 and 0.9 before and after adjustment: "
        "with: 50%, then 100%; comparison: 30%, then 75%."
    )
    assert told(figures.score_overlap(SCORES, "fr")).endswith(
        "avec : 50 %, puis 100 % ; comparaison : 30 %, puis 75 %."
    )
    assert told(figures.pair_distances(DISTANCES, "en")) == (
        "Distance within 8 matched pairs: half are at most 0.1 apart, all at most 0.3."
    )
    assert told(figures.pair_distances(DISTANCES, "fr")).startswith("Distance au sein de 8 paires appariées")


def test_one_figure_for_each_table_that_is_there():
    tables = {"balance": BALANCE, "score": SCORES, "pair_distances": DISTANCES, "other": BALANCE}
    assert len(figures.matching_credibility(tables, "euros", "en")) == 3
    assert figures.matching_credibility({}, "euros", "en") == []


def test_empty_tables_are_refused():
    with pytest.raises(InternalError) as caught:
        figures.score_overlap(SCORES[:0])
    assert caught.value.code == "E-REP-006"
