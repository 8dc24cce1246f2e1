"""Sums of products of columns over many rows, a few thousand rows at a time."""

from __future__ import annotations

import numpy as np

from evaluation.impact.covariates import Floats

AT_A_TIME = 4096  # rows of a product: what is multiplied stays in the cache


def products(columns: Floats, weights: Floats) -> Floats:
    """(k, k) sums of w z z' over rows.

    Args:
        columns: (k, n), stored one after the other.
        weights: (n,).
    """
    out, some = np.zeros((len(columns), len(columns))), np.empty((len(columns), AT_A_TIME))
    for start in range(0, columns.shape[1], AT_A_TIME):
        part = columns[:, start : start + AT_A_TIME]
        scaled = np.multiply(part, weights[start : start + AT_A_TIME], out=some[:, : part.shape[1]])
        out += scaled @ part.T
    return out
