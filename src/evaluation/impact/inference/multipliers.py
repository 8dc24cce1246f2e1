"""Random multipliers of units or clusters, the same whatever the size of the blocks in which they are drawn.

Every draw takes a fixed number of words from one Philox stream (a counter run through a cipher), so that neither blocks
nor threads change a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from evaluation.errors import ParametersError

Array = np.ndarray
Law = Literal["rademacher", "mammen", "webb"]

BLOCK = 1 << 23  # multipliers held at a time: 64 MB in double precision
SIGNS = 1 << 25  # the same of one byte each, 32 MB: enough rows for a matrix product at full speed
ROOT_FIVE = float(np.sqrt(5.0))
POINTS = {
    "rademacher": np.array([-1.0, 1.0]),
    "mammen": np.array([(1 - ROOT_FIVE) / 2, (1 + ROOT_FIVE) / 2]),
    "webb": np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)]),
}
LOWER_SHARE = (ROOT_FIVE + 1) / (2 * ROOT_FIVE)  # probability of Mammen's lower point
DESCRIPTIONS = {
    "rademacher": "Rademacher multipliers (-1 or 1)",
    "mammen": "Mammen (1993) two-point multipliers",
    "webb": "Webb six-point multipliers",
    "gaussian": "normal draws from the estimated covariance (another law than multipliers of units: no unit is drawn)",
}
_EQUALLY_LIKELY = ("rademacher", "webb")
# Eight signs for each byte, lowest bit first, as one item: there can be hundreds of millions of them.
_EIGHT_SIGNS = (
    (2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view(np.int8) - 1)
    .astype(np.int8)
    .view(np.uint64)
    .ravel()
)


def multipliers(law: str, n: int, draws: int, seed: int, block: int | None = None) -> Iterator[Array]:
    """Blocks (b, n) of independent multipliers with mean 0 and variance 1, `draws` rows in all.

    Rademacher multipliers are int8, the others float64.

    Args:
        law: rademacher, mammen or webb.
        n: multipliers of a draw.
        draws: number of draws.
        seed: not negative.
        block: multipliers of a block at most, `BLOCK` or `SIGNS` if None; it changes no number.

    Raises:
        ParametersError: unknown law, or fewer than one draw.

    Source: Mammen (1993); Webb (2023), six points; Salmon et al. (2011) for Philox.
    """
    require_law(law)
    require_draws(draws)
    stream = np.random.Philox(seed)
    held = block or (SIGNS if law == "rademacher" else BLOCK)
    step = max(1, held // max(n, 1))
    for start in range(0, draws, step):
        yield _block(law, min(step, draws - start), n, stream)


def enumerable(law: str, n: int, draws: int) -> bool:
    """Whether all combinations of equally likely multipliers are no more than the draws that are wanted."""
    return law in _EQUALLY_LIKELY and bool(n * np.log(len(POINTS[law])) <= np.log(draws) + 1e-9)


def combinations_of(law: str, n: int) -> Array:
    """(L^n, n) every combination of the L equally likely points of a law."""
    points = POINTS[law]
    digits = np.arange(len(points) ** n)[:, None] // len(points) ** np.arange(n)[None, :] % len(points)
    return points[digits]


def require_law(law: str) -> None:
    """Refuse a law of multipliers that does not exist."""
    if law not in POINTS:
        raise ParametersError(
            code="E-IMP-060", what="no such law of multipliers", found=f"{law}", expected=", ".join(POINTS)
        )


def require_draws(draws: int) -> None:
    """Refuse fewer than one draw."""
    if draws < 1:
        raise ParametersError(
            code="E-IMP-061", what="a bootstrap or randomisation test needs draws", found=f"{draws}", expected="9999"
        )


def _block(law: str, rows: int, n: int, stream: np.random.Philox) -> Array:
    if law == "rademacher":
        return np.take(_EIGHT_SIGNS, _words(stream, rows, n, 64).view(np.uint8)).view(np.int8)[:, :n]
    uniform = _words(stream, rows, n, 2).view(np.uint32)[:, :n]
    if law == "mammen":
        return POINTS[law][(uniform >= np.uint32(LOWER_SHARE * 2**32)).astype(np.intp)]
    return POINTS[law][(uniform.astype(np.uint64) * np.uint64(6) >> np.uint64(32)).astype(np.intp)]


def _words(stream: np.random.Philox, rows: int, n: int, per_word: int) -> Array:
    """(rows, w) little-endian words of 64 bits; w depends on n alone, so that draws do not depend on blocks."""
    words = -(-n // per_word)
    return np.asarray(stream.random_raw((rows, words))).astype("<u8", copy=False)
