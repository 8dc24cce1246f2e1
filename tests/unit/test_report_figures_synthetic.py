"""Figures of synthetic controls: the same text each time, an alternative from the numbers."""

import re

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import figures

PATHS = pd.DataFrame(
    {
        "cohort": [2002] * 4,
        "period": [2000, 2001, 2002, 2003],
        "after": [False, False, True, True],
        "treated": [10.0, 11.0, 9.0, 8.0],
        "synthetic": [10.0, 11.0, 12.0, 12.5],
    }
)
GAPS = pd.DataFrame(
    {"event_time": [-2, -1, 0, 1], "gap": [0.0, 0, -3, -4.5], "low": [-1.0, -1, -1, -5], "high": [1.0] * 4}
)
WEIGHTS = pd.DataFrame({"cohort": [2002] * 2, "donor": ["Utah", "Nevada"], "weight": [0.75, 0.25]})
RATIOS = pd.DataFrame(
    {"name": ["Utah", "California", "Ohio"], "ratio": [8.0, 4.0, 1.5], "treated": [False, True, False]}
)
MANY = pd.DataFrame({"donor": [f"d{i:02d}" for i in range(25)], "weight": [0.04] * 25})
MAKERS = [
    lambda lang: figures.synthetic_paths(PATHS, "packs", lang),
    lambda lang: figures.placebo_gap(GAPS, "packs", lang),
    lambda lang: figures.donor_weights(WEIGHTS, lang),
    lambda lang: figures.fit_ratios(RATIOS, lang),
]


def told(figure):
    return re.sub("[\u00a0\u202f]", " ", figures.alt(figure))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_same_text_each_time_and_nothing_that_loads(make, lang):
    first = figures.svg(make(lang))
    assert first == figures.svg(make(lang))
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', first))


def test_alternatives_hold_the_numbers():
    assert told(MAKERS[0]("en")) == (
        "Mean of the treated and of their weighted donors, in packs, from 2000 to 2003; start in 2002. "
        "In 2003: 8 against 12.5."
    )
    # At 0 the gap of -3 is below -1; at 1 the gap of -4.5 is above -5.
    assert told(MAKERS[1]("en")).endswith(
        "1 of 2 periods after the start lie outside the band that holds nine placebos in ten."
    )
    assert told(MAKERS[1]("fr")).startswith(
        "Écart entre les unités traitées et leur comparaison, en packs ; 1 des 2 périodes"
    )
    assert told(MAKERS[2]("en")) == "Weights of the donors: Utah 75%; Nevada 25%."
    assert told(MAKERS[2]("fr")) == "Poids des unités de comparaison : Utah 75 % ; Nevada 25 %."
    assert told(MAKERS[3]("en")).startswith("Gap after over gap before; the treated unit is number 2 of 3: Utah 8;")


def test_many_donors_are_counted_beyond_the_first_twenty():
    assert told(figures.donor_weights(MANY, "en")).endswith("d19 4%; and 5 more.")


def test_empty_tables_are_refused():
    with pytest.raises(InternalError) as caught:
        figures.synthetic_paths(PATHS[:0])
    assert caught.value.code == "E-REP-006"
