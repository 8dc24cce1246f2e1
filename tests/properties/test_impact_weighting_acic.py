"""Doubly robust effects against the known truth of the ACIC challenge of 2016: what learners are for.

The slow run downloads one wheel (2 MB) to tmp/ and prints the table of docs/coverage.md; it takes some minutes:

    python3 run.py test -m slow tests/properties/test_impact_weighting_acic.py
"""

import sys

import numpy as np
import pandas as pd
import pytest
from acic_2016 import METHODS, fetch, prepared, read, results, summary


def test_the_table_counts_as_it_says():
    rows = pd.DataFrame(
        {
            "truth": [1.0, 1.0, 1.0], "scale": [2.0, 2.0, 2.0], "estimate": [1.2, 1.6, np.nan],
            "std_error": [0.2, 0.2, np.nan], "refused": ["", "", "E-IMP-051"],
        }
    )  # fmt: skip
    found = summary(rows)
    assert (found["estimated"], found["held"]) == (2, 1)  # 0.2 is one standard error away, 0.6 is three
    assert found["bias"] == pytest.approx((0.1 + 0.3) / 2)
    assert found["rmse"] == pytest.approx(np.sqrt((0.01 + 0.09) / 2))
    assert found["std_error"] == pytest.approx(0.1)


def test_what_hardly_anybody_has_is_merged_or_left_out():
    x = pd.DataFrame({"kind": ["a"] * 60 + ["b"] * 39 + ["c"], "rare": [0] * 99 + [1], "age": np.arange(100)})
    found = prepared(x)
    assert list(found) == ["kind", "age"]
    assert sorted(found["kind"].categories) == ["a", "b", "other"]


@pytest.mark.slow
def test_only_learners_see_what_was_simulated(arms, capsys, repository):
    folder = repository / "tmp"
    folder.mkdir(exist_ok=True)
    x, data_sets = read(fetch(folder))
    assert x.shape == (4802, 58)
    cards = {}
    for method in METHODS:
        cards[method] = summary(results(arms, x, data_sets, method))
        with capsys.disabled():
            numbers = "  ".join(f"{key} {value:.4g}" for key, value in cards[method].items())
            sys.stdout.write(f"\n{method:44s} {numbers}")
    boosted = cards["doubly robust, gradient boosting, 5 folds"]
    assert boosted["held"] >= 9
    assert boosted["rmse"] < 0.03 < cards["doubly robust, linear and logit"]["rmse"]
