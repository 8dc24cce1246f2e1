"""Pairs that may not be: too far apart in one covariate, or alike where they must differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.impact.places import TIE, Floats, Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """What a pair must keep besides the distance.

    Attributes:
        calipers: (n,) values of a covariate and the largest difference allowed in it.
        differ: (n,) codes that must not be equal.
    """

    calipers: tuple[tuple[Floats, float], ...] = ()
    differ: tuple[NDArray[np.signedinteger], ...] = ()

    def allow(self, focal: Rows, candidates: Rows) -> NDArray[np.bool_]:
        """(m, j) True where focal row (m,) and candidate (m, j) may be partners."""
        allowed = np.ones(candidates.shape, dtype=bool)
        for values, width in self.calipers:
            allowed &= np.abs(values[candidates] - values[focal][:, None]) <= width + TIE
        for codes in self.differ:
            allowed &= codes[candidates] != codes[focal][:, None]
        return allowed
