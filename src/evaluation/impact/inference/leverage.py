"""CR2 and CR3: residuals corrected for the leverage of their cluster, with Satterthwaite degrees of freedom."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from evaluation.errors import DataError
from evaluation.impact.regression import Regression

Array = np.ndarray

RANK_TOLERANCE = 1e-10


def adjusted(fit: Regression, loading: Array, codes: Array, power: float) -> tuple[Array, Array]:
    """CR2 (power -1/2) and CR3 (power -1) with Satterthwaite degrees of freedom.

    The working model is equal variances. For cluster i with rows Xᵢ and weights Wᵢ, M = (X′WX)⁻¹ and S = X′W²X:
        CR2: Aᵢ = Bᵢ^(-1/2), Bᵢ = I - Xᵢ M Xᵢ′Wᵢ - Wᵢ Xᵢ M Xᵢ′ + Xᵢ M S M Xᵢ′;   CR3: Aᵢ = (I - Xᵢ M Xᵢ′ Wᵢ)⁻¹;
        V = Σᵢ gᵢ gᵢ′ with gᵢ = L M Xᵢ′ Wᵢ Aᵢ eᵢ.
    Both differ from the identity only in the span of Xᵢ and WᵢXᵢ, so that no matrix of a cluster's size is ever formed.
    For the degrees of freedom of a row c of L, with uᵢ = Aᵢ′ Wᵢ Xᵢ M c, the quadratic form has the matrix
        Pᵢⱼ = 1{i=j} uᵢ′uᵢ - aᵢ′M bⱼ - bᵢ′M aⱼ + aᵢ′M S M aⱼ,  aᵢ = Xᵢ′uᵢ, bᵢ = Xᵢ′Wᵢuᵢ,  and df = tr(P)² / tr(P²).

    Source: Bell and McCaffrey (2002); Pustejovsky and Tipton (2018), equations 7, 9 and 11.
    """
    order = np.argsort(codes, kind="stable")
    order = order[fit.weights[order] > 0]
    blocks = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    root = np.sqrt(fit.weights)
    spread = fit.design.T @ (fit.design * fit.weights[:, None])
    inner = fit.bread @ spread @ fit.bread
    pieces = [_cluster_piece(fit, loading, root, inner, rows, power) for rows in blocks]
    g, uu, a, b = (np.stack(piece) for piece in zip(*pieces, strict=True))
    df = [_satterthwaite(uu[:, k], a[:, :, k], b[:, :, k], fit.bread, inner) for k in range(len(loading))]
    return square(g), np.array(df)


def square(sums: Array) -> Array:
    """Σ_g s_g s_g′ of sums (G, K)."""
    return np.asarray(sums.T @ sums)


def _cluster_piece(
    fit: Regression, loading: Array, root: Array, inner: Array, rows: Array, power: float
) -> tuple[Array, Array, Array, Array]:
    """gᵢ (K,), uᵢ′uᵢ (K,), aᵢ (p, K) and bᵢ (p, K) of one cluster."""
    weight = fit.weights[rows][:, None]
    x = fit.design[rows] / root[rows][:, None]
    residual = (fit.residuals[rows] / root[rows])[:, None]
    carried = weight * (x @ (fit.bread @ loading.T))
    if power == -1.0:
        u = carried + weight * (x @ _without(fit.bread, x, weight, x.T @ carried))
    else:
        u = _root_inverse(x, weight, fit.bread, inner, carried)
    return (u.T @ residual)[:, 0], np.einsum("ij,ij->j", u, u), x.T @ u, x.T @ (weight * u)


def _without(bread: Array, x: Array, weight: Array, vectors: Array) -> Array:
    """(X′WX - Xᵢ′WᵢXᵢ)⁻¹ @ vectors, since (I - HᵢᵢT)⁻¹ = I + WᵢXᵢ (X′WX - Xᵢ′WᵢXᵢ)⁻¹ Xᵢ′."""
    share = np.eye(len(bread)) - (x.T @ (weight * x)) @ bread
    if np.linalg.svd(share, compute_uv=False)[-1] <= RANK_TOLERANCE:
        raise DataError(
            code="E-IMP-030",
            what="without one of the clusters a coefficient cannot be estimated, so that cr3 does not exist",
            found=f"a cluster of {len(x)} rows that alone identifies a column",
            fix="set inference: {std_error: cr2}, or leave out the column that only this cluster varies",
        )
    return bread @ np.linalg.solve(share, vectors)


def _root_inverse(x: Array, weight: Array, bread: Array, inner: Array, vectors: Array) -> Array:
    """Bᵢ^(-1/2) @ vectors within the span of Xᵢ and WᵢXᵢ; the generalised inverse where Bᵢ has none."""
    basis, _ = linalg.qr(np.hstack([x, weight * x]) if np.ptp(weight) > 0 else x, mode="economic")
    p, w = basis.T @ x, basis.T @ (weight * x)
    cross = p @ bread @ w.T
    values, turn = np.linalg.eigh(p @ inner @ p.T - cross - cross.T)
    room = 1 + values
    shrink = np.where(room > RANK_TOLERANCE, np.maximum(room, RANK_TOLERANCE) ** -0.5, 0.0) - 1
    turned = basis @ turn
    out: Array = vectors + turned @ (shrink[:, None] * (turned.T @ vectors))
    return out


def _satterthwaite(uu: Array, a: Array, b: Array, bread: Array, inner: Array) -> float:
    """tr(P)² / tr(P²) from the diagonal and the low-rank part of P; a and b are (G, p)."""
    low = np.hstack([a, b])
    middle = np.block([[inner, -bread], [-bread, np.zeros_like(bread)]])
    product = middle @ (low.T @ low)
    diagonal = np.einsum("ij,ij->i", low @ middle, low)
    trace = uu.sum() + diagonal.sum()
    squares = (uu**2).sum() + 2 * (uu * diagonal).sum() + np.trace(product @ product)
    return float(trace**2 / squares) if squares > 0 else float("nan")
