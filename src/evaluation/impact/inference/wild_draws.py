"""The algebra of the wild cluster bootstrap: every draw from a few products, none of the size of rows by draws.

A draw multiplies the residuals of each cluster g by v_g. With ℓᵢ = c′M xᵢ the weight of row i in the coefficient, M the
inverse of X′X (rows are √w x throughout), uᵢ the residuals, s_g = Σ_{i∈g} xᵢuᵢ and q_a = Σ_{i∈a} ℓᵢxᵢ:
    the coefficient moves by Σ_g v_g h_g, h_g = Σ_{i∈g} ℓᵢuᵢ;
    the score of a variance cluster a becomes Σ_g v_g (C_ag - q_a′ M s_g), C_ag = Σ_{i∈a∩g} ℓᵢuᵢ,
so that its squared standard error is a quadratic form in v whose matrix has rank at most twice the number of columns
beside the part C′C, which is diagonal where variance clusters lie within bootstrap clusters. Residuals under the
hypothesis that the coefficient is δ smaller than estimated are u + δ ℓ / c′Mc: all pieces are affine in δ.

Source: Cameron, Gelbach and Miller (2008); Roodman, MacKinnon, Nielsen and Webb (2019), section 5; MacKinnon (2023),
"Fast cluster bootstrap methods for linear regression models".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from evaluation.impact.inference.clustering import sums
from evaluation.impact.inference.inversion import AffineDraws
from evaluation.impact.inference.multipliers import combinations_of, enumerable, multipliers
from evaluation.impact.within import within

Array = np.ndarray
Piece = tuple[int, tuple[Any, Any], Array]

# Of the largest; smaller squares are zero. Where all multipliers are equal the draw is the sample, at every hypothesis.
ROUNDING = 1e-13
CHUNK = 1 << 23  # numbers held at a time while fixed effects are taken out of the residuals of single clusters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One coefficient of a least-squares fit, or of the working model that stands in for one.

    Attributes:
        design: (N, p) rows √w x.
        bread: (p, p) M = (X′WX)⁻¹.
        residuals: (N,) √w (y - x′b).
        carried: (N,) ℓ = X M c.
        weights: (N,) w.
        absorbed: codes of the fixed effects that were taken out of outcome and design.
        factor: small-sample factor of the variance.
    """

    design: Array
    bread: Array
    residuals: Array
    carried: Array
    weights: Array
    absorbed: tuple[Array, ...] = ()
    factor: float = 1.0

    @property
    def information(self) -> float:
        """c′Mc, since X′X M = I."""
        return float(self.carried @ self.carried)

    @property
    def affine_residuals(self) -> tuple[Array, Array]:
        """Residuals, and what is added to them for each δ."""
        return self.residuals, self.carried / self.information


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forms:
    """What a draw v (G,) is multiplied with; index 0 is the part without δ, index 1 what δ multiplies.

    Attributes:
        numerator: (G, 2) h.
        squares: C₀′C₀, C₀′C₁ and C₁′C₁, each (G,) where it is diagonal, otherwise (G, G).
        cross: two (G, p), C′q.
        response: two (p, G), M s.
        inner: (p, p), q′q.
        variance: squared standard error of the sample's estimate; with several clusterings it may be negative.
        plain: the same with independent rows.
        factor: small-sample factor, in `variance` already.
    """

    numerator: Array
    squares: tuple[Array, Array, Array]
    cross: tuple[Array, Array]
    response: tuple[Array, Array]
    inner: Array
    variance: float
    plain: float
    factor: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters whose residuals are multiplied."""
        return len(self.numerator)


def forms_of(rows: Rows, bootstrap: Array, variance: Mapping[tuple[str, ...], Array]) -> Forms:
    """The products behind all draws.

    Args:
        rows: the fit.
        bootstrap: (N,) codes of the clusters whose residuals are multiplied.
        variance: (N,) codes of the variance clusters by the clusterings that are crossed; the signs of their variances
            alternate with the number of clusterings (Cameron, Gelbach and Miller 2011).
    """
    n, both = int(bootstrap.max()) + 1, rows.affine_residuals
    scores = [sums(rows.design * u[:, None], bootstrap, n) for u in both]
    pieces = [_piece(rows, bootstrap, codes, (-1) ** (len(names) + 1)) for names, codes in variance.items()]
    scored = rows.carried * rows.residuals
    squares = [float(np.sum(sums(scored, codes, int(codes.max()) + 1) ** 2)) for codes in variance.values()]
    total = sum(sign * square for (sign, *_), square in zip(pieces, squares, strict=True))
    return Forms(
        numerator=np.column_stack([sums(rows.carried * u, bootstrap, n) for u in both]),
        squares=(_square(pieces, 0, 0), _square(pieces, 0, 1), _square(pieces, 1, 1)),
        cross=(_cross(pieces, 0), _cross(pieces, 1)),
        response=(rows.bread @ scores[0].T, rows.bread @ scores[1].T),
        inner=np.asarray(sum(sign * (q.T @ q) for sign, _, q in pieces)),
        variance=rows.factor * total,
        plain=rows.factor * float(scored @ scored),
        factor=rows.factor,
    )


def affine_draws(forms: Forms, law: str, draws: int, seed: int, *, restricted: bool) -> AffineDraws:
    """All draws: every combination of multipliers where there are no more of them than draws, otherwise random ones.

    Args:
        forms: what draws are multiplied with.
        law: of the multipliers.
        draws: number wanted.
        seed: of the multipliers.
        restricted: residuals under the hypothesis; otherwise those of the fit, and draws do not depend on δ.
    """
    counted = enumerable(law, forms.n_clusters, draws)
    blocks = _all_combinations(law, forms.n_clusters) if counted else multipliers(law, forms.n_clusters, draws, seed)
    found = np.hstack([_statistics(forms, block.astype(float)) for block in blocks])
    if restricted:
        settled = np.abs(found[4]) <= ROUNDING * np.max(np.abs(found[4]))
        found[3:, settled] = 0.0
    else:
        found[[1, 3, 4]] = 0.0
    return AffineDraws(
        numerator=found[:2], variance=forms.factor * found[2:], sigma=float(np.sqrt(forms.variance)), counted=counted
    )


def _all_combinations(law: str, n: int) -> Iterator[Array]:
    yield combinations_of(law, n)


def _statistics(forms: Forms, v: Array) -> Array:
    """(5, b) numerators a and b, and the three parts of the squared standard error, of the draws v (b, G)."""
    p = len(forms.inner)
    stacked = np.hstack([forms.numerator, *forms.cross, forms.response[0].T, forms.response[1].T])
    moved = v @ stacked
    cross = moved[:, 2 : 2 + p], moved[:, 2 + p : 2 + 2 * p]
    response = moved[:, 2 + 2 * p : 2 + 3 * p], moved[:, 2 + 3 * p :]
    squared = v * v
    parts = [
        _quadratic(v, squared, square)
        + _rowwise(response[i] @ forms.inner, response[j])
        - _rowwise(cross[i], response[j])
        - _rowwise(cross[j], response[i])
        for (i, j), square in zip(((0, 0), (0, 1), (1, 1)), forms.squares, strict=True)
    ]
    return np.vstack([moved[:, :2].T, *parts])


def _quadratic(v: Array, squared: Array, square: Array) -> Array:
    return np.asarray(squared @ square) if square.ndim == 1 else _rowwise(v, v @ square)


def _rowwise(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _piece(rows: Rows, bootstrap: Array, codes: Array, sign: int) -> Piece:
    """Sign, the two C (A, G) and q (A, p) of one variance clustering."""
    n = int(codes.max()) + 1
    q = sums(rows.design * rows.carried[:, None], codes, n)
    if all(_nested(effect, bootstrap) for effect in rows.absorbed):
        shape = (n, int(bootstrap.max()) + 1)
        parts = [
            sparse.coo_array((rows.carried * u, (codes, bootstrap)), shape=shape).tocsr() for u in rows.affine_residuals
        ]
    else:
        parts = [_without_effects(rows, u, bootstrap, codes) for u in rows.affine_residuals]
    return sign, (parts[0], parts[1]), q


def _without_effects(rows: Rows, residuals: Array, bootstrap: Array, codes: Array) -> Array:
    """C (A, G) where fixed effects cross clusters: they answer to each draw, and are taken out of it again."""
    n, size = int(bootstrap.max()) + 1, len(residuals)
    root = np.sqrt(rows.weights)
    out = []
    for first in range(0, n, max(1, CHUNK // size)):
        chosen = np.arange(first, min(n, first + max(1, CHUNK // size)))
        single = np.where(bootstrap[:, None] == chosen, (residuals / root)[:, None], 0.0)
        left = within(single, rows.absorbed, rows.weights)
        out.append(sums(left * (rows.carried * root)[:, None], codes, int(codes.max()) + 1))
    return np.hstack(out)


def _square(pieces: Sequence[Piece], i: int, j: int) -> Array:
    """Signed sum of C′C; only its diagonal where everything off it is zero."""
    products = [sign * (parts[i].T @ parts[j]) for sign, parts, _ in pieces]
    if all(sparse.issparse(product) and _is_diagonal(product) for product in products):
        return np.asarray(sum(product.diagonal() for product in products))
    return np.asarray(sum(product.toarray() if sparse.issparse(product) else product for product in products))


def _is_diagonal(product: sparse.csr_array) -> bool:
    found = product.tocoo()
    return bool((found.row == found.col).all())


def _cross(pieces: Sequence[Piece], i: int) -> Array:
    return np.asarray(sum(sign * (parts[i].T @ q) for sign, parts, q in pieces))


def _nested(inner: Array, outer: Array) -> bool:
    """Whether each level of `inner` lies within one level of `outer`."""
    holder = np.empty(int(inner.max()) + 1, dtype=outer.dtype)
    holder[inner] = outer
    return bool((holder[inner] == outer).all())
