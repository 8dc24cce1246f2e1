"""The What Works Clearinghouse's boundaries of attrition, as data that checks, figures and the rubric share.

The model behind them wants a bias of at most 0.05 standard deviations; the table is copied, not derived again.

Source: WWC Standards Handbook 4.0 (2017), table II.1, page 12, as R baselinr 0.6.0 has it; Deke and Chiang (2017),
*Evaluation Review* 41(2), https://doi.org/10.1177/0193841X16670047, for the model.
"""

import csv
import io
import math
from functools import cache
from pathlib import Path

from evaluation import store


def attrition_boundaries(overall: float) -> tuple[float, float] | None:
    """Differential attrition (cautious, optimistic), as shares, from which on a trial counts as beyond the boundary.

    Args:
        overall: share of all people lost, 0 to 1.

    Returns:
        Between two whole percents of overall attrition the stricter of the two rows; None beyond the last row.
    """
    rows = _rows()
    percent = _tidy(100 * overall)
    low, high = math.floor(percent), math.ceil(percent)
    if high >= len(rows):
        return None
    cautious, optimistic = (min(pair) / 100 for pair in zip(rows[low], rows[high], strict=True))
    return cautious, optimistic


def attrition_zone(overall: float, differential: float) -> int:
    """Where a trial stands against the boundaries: 0 below the cautious, 1 below the optimistic one, 2 otherwise.

    Args:
        overall: share of all people lost, 0 to 1.
        differential: absolute difference of the two groups' shares, 0 to 1.
    """
    limits = attrition_boundaries(overall)
    return 2 if limits is None else sum(_tidy(100 * differential) >= _tidy(100 * limit) for limit in limits)


@cache
def _rows() -> tuple[tuple[float, float], ...]:
    """Largest differential attrition (cautious, optimistic), in points, by overall attrition in whole percents."""
    text = store.read_text(Path(__file__).with_name("wwc_attrition.csv"))
    return tuple((float(row["cautious"]), float(row["optimistic"])) for row in csv.DictReader(io.StringIO(text)))


def _tidy(value: float) -> float:
    """Undo the rounding error of a multiplication by 100, which could move a value across a boundary."""
    return round(value, 9)
