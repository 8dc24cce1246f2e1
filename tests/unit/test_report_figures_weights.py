"""Figures of weighting say what they show, in both languages, and refuse tables that are not theirs."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import figures

BALANCE = pd.DataFrame(
    {"covariate": ["age", "income"], "smd_before": [0.4, -1.5], "smd_after": [0.01, -0.3], "counted": [True, True]}
)
WEIGHTS = pd.DataFrame(
    {
        "group": ["treated"] * 2 + ["comparison"] * 2,
        "low": [0.0, 1.0] * 2,
        "high": [1.0, 4.0] * 2,
        "n": [3, 1, 10, 0],
    }
)
# r2 of 1 % and 4 %: bias = 2 sqrt(.01 * .04 / .99 * 100) = 0.402
HIDDEN = pd.DataFrame(
    {
        "covariate": ["age"], "r2_treatment": [0.01], "r2_outcome": [0.04], "adjusted_estimate": [4.598],
        "estimate": [5.0], "std_error": [2.0], "df": [100],
    }
)  # fmt: skip
ESTIMATORS = pd.DataFrame(
    {
        "estimator": ["chosen", "entropy_balancing", "experiment"], "estimate": [1.0, np.nan, 2.0],
        "ci_low": [0.0, np.nan, 1.0], "ci_high": [2.0, np.nan, 3.0], "baseline": [False] * 3,
    }
)  # fmt: skip


def test_the_map_of_balance_reads_out_every_cell():
    assert figures.alt(figures.balance_map(BALANCE, "en")) == (
        "Standardised differences of 2 variables: 2 above 0.25 before adjustment, 1 after. "
        "age: 0.40 / 0.01; income: 1.50 / 0.30."
    ).replace("0.40", "0.4").replace("1.50", "1.5").replace("0.30", "0.3")
    french = figures.alt(figures.balance_map(BALANCE.drop(columns="smd_after"), "fr"))
    assert french.startswith("Écarts standardisés de 2 variables")
    assert "après" not in french


def test_the_map_hatches_what_is_far_apart():
    axes = figures.balance_map(BALANCE, "en").axes[0]
    assert len([patch for patch in axes.patches if patch.get_hatch()]) == 3  # two before, one after


def test_sizes_of_weights_name_the_largest():
    text = figures.alt(figures.weight_sizes(WEIGHTS, "en"))
    assert "comparison: 1; with: 4." in text
    assert figures.alt(figures.weight_sizes(WEIGHTS, "fr")).startswith("Poids des unités")


def test_the_contour_passes_through_the_arithmetic_of_its_points():
    from evaluation.report.figures.weights import _left

    left = _left(5.0, 2.0, 100.0, np.array([0.01]), np.array([0.04]))[0]
    assert left == pytest.approx(5 - 2 * np.sqrt(0.04 * 0.01 / 0.99 * 100))
    assert left == pytest.approx(4.598, abs=5e-4)
    assert _left(-5.0, 2.0, 100.0, np.array([0.01]), np.array([0.04]))[0] == pytest.approx(-left)
    text = figures.alt(figures.hidden_factor(HIDDEN, "euros", "en"))
    assert text == "What is left of the effect of 5, in euros if a hidden factor is as strong as age: 4.6."


def test_credibility_shows_what_is_there():
    tables = {"balance": BALANCE, "weights": WEIGHTS, "hidden_factor": HIDDEN, "estimators": ESTIMATORS}
    assert len(figures.weighting_credibility(tables, "euros", "en")) == 5
    assert figures.weighting_credibility({}, "euros", "en") == []
    french = [figures.alt(each) for each in figures.weighting_credibility({"estimators": ESTIMATORS}, "euros", "fr")]
    assert "méthode choisie\u00a0: 1" in french[0]
    assert "entropie" not in french[0]  # what has no estimate is not drawn


@pytest.mark.parametrize("draw", [figures.balance_map, figures.weight_sizes, figures.hidden_factor])
def test_another_table_is_refused(draw):
    with pytest.raises(InternalError) as caught:
        draw(pd.DataFrame({"x": [1]}))
    assert caught.value.code == "E-REP-005"


@pytest.mark.parametrize(
    ("draw", "table"),
    [(figures.balance_map, BALANCE), (figures.weight_sizes, WEIGHTS), (figures.hidden_factor, HIDDEN)],
)
def test_the_same_figure_is_the_same_text(draw, table):
    assert figures.svg(draw(table)) == figures.svg(draw(table))
