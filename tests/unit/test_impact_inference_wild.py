"""Wild cluster bootstrap: refits draw by draw, enumeration, intervals by inversion, scores, few clusters, refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import ParametersError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.fixed_effects import two_way
from evaluation.impact.inference import covariance, wild_test
from evaluation.impact.inference.clustering import cluster_codes
from evaluation.impact.inference.multipliers import combinations_of, enumerable, multipliers
from evaluation.impact.inference.wild import _setting
from evaluation.impact.inference.wild_draws import affine_draws
from evaluation.impact.regression import weighted_least_squares

LABELS = pd.DataFrame({"term": ["att"]})


def table(*codes):
    return pd.DataFrame({f"cluster_{k}": code for k, code in enumerate(codes, start=1)})


def data(seed=20250101, n=120, n_clusters=9):
    """Rows in random clusters of unequal size, a treatment by cluster, a covariate and correlated errors."""
    rng = np.random.default_rng(seed)
    code = np.r_[np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)]
    treated = code < n_clusters // 2
    x = np.column_stack([treated + 0.3 * rng.normal(size=n), rng.normal(size=n)])
    y = x @ [0.4, 1.0] + rng.normal(size=n_clusters)[code] + rng.normal(size=n)
    return y, x, code, rng


# refits draw by draw --------------------------------------------------------------------------------------------------


def cr1(x, residual, c, bread, codes, k):
    """Squared standard error of c′b with the factor G/(G-1) (N-1)/(N-k), smallest G; inclusion and exclusion."""
    score = (x @ bread @ c) * residual
    total = 0.0
    for chosen in range(1, 2 ** len(codes)):
        names = [j for j in range(len(codes)) if chosen >> j & 1]
        groups = np.bincount(sum(codes[j] * 20**place for place, j in enumerate(names)), weights=score)
        total += (-1) ** (len(names) + 1) * float((groups**2).sum())
    g = min(len(np.unique(code)) for code in codes)
    return total * g / (g - 1) * (len(x) - 1) / (len(x) - k)


def refits(y, x, w, codes, c, r, draws, *, restricted, k):
    """t statistics of complete weighted regressions on the outcomes of each draw, dummies and all."""
    root = np.sqrt(w)
    xw, yw = x * root[:, None], y * root
    bread = np.linalg.pinv(xw.T @ xw)
    beta = bread @ xw.T @ yw
    step = bread @ c * (c @ beta - r) / (c @ bread @ c)
    base = beta - step if restricted else beta
    fitted, residual = xw @ base, yw - xw @ base
    out = []
    smallest = min(codes, key=lambda code: len(np.unique(code)))
    for v in draws:
        new = fitted + v[smallest] * residual
        again = bread @ xw.T @ new
        centre = r if restricted else c @ beta
        out.append((c @ again - centre) / np.sqrt(cr1(xw, new - xw @ again, c, bread, codes, k)))
    t = (c @ beta - r) / np.sqrt(cr1(xw, yw - xw @ beta, c, bread, codes, k))
    return t, np.array(out)


def drawn_for(found, codes, *, restricted, law="rademacher", draws=199):
    setting = _setting(found, cluster_codes(found.units, codes), None, score=False)
    return affine_draws(setting.forms, law, draws, 5, restricted=restricted)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("c", [[0, 1.0, 0], [0, 1.0, -2.0]])
def test_draws_equal_refits(restricted, weighted, c):
    y, x, code, rng = data()
    w = rng.uniform(0.3, 3, len(y)) if weighted else np.ones(len(y))
    design = np.column_stack([np.ones(len(y)), x])
    found = weighted_least_squares(y, design, ["one", "a", "b"], w).to_effects(np.array(c), LABELS)
    for r in (0.0, 0.7):
        t, naive = refits(
            y, design, w, [code], np.array(c), r, multipliers_of(9, 199), restricted=restricted, k=3
        )
        drawn = drawn_for(found, table(code), restricted=restricted)
        delta = found.estimate[0] - r
        np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-11)
        # The same refits by other algebra: twelve digits, less what cancels when a draw's residuals are small.
        np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-10)
        test = wild_test(
            found, table(code), hypothesis=r, law="rademacher", draws=199, seed=5, restricted=restricted
        )
        p_value = (1 + (np.abs(naive) >= abs(t) * (1 - 1e-9)).sum()) / 200
        if restricted or test.reason == "":
            assert test.p_value == pytest.approx(p_value, abs=1e-12)
            assert test.p_value_strict == pytest.approx((np.abs(naive) > abs(t) * (1 + 1e-9)).mean(), abs=1e-12)


def multipliers_of(n, draws, law="rademacher", seed=5):
    return np.vstack(list(multipliers(law, n, draws, seed))).astype(float)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("n_clusterings", [2, 3])
def test_draws_with_several_clusterings_equal_refits(restricted, n_clusterings):
    y, x, code, rng = data(n=240)
    others = [rng.integers(0, 14, len(y)), rng.integers(0, 11, len(y))]
    codes = [others[0], code, others[1]][:n_clusterings]  # the smallest is not the first
    design = np.column_stack([np.ones(len(y)), x])
    found = weighted_least_squares(y, design, ["one", "a", "b"]).to_effects([0, 1.0, 0], LABELS)
    c = np.array([0, 1.0, 0])
    with np.errstate(invalid="ignore"):
        t, naive = refits(
            y, design, np.ones(len(y)), codes, c, 0.2, multipliers_of(9, 199), restricted=restricted, k=3
        )
    drawn = drawn_for(found, table(*codes), restricted=restricted)
    delta = found.estimate[0] - 0.2
    np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-11)
    np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-8, equal_nan=True)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_with_fixed_effects_equal_refits_with_dummies(restricted, crossing, weighted):
    # Villages lie within clusters, periods cross them: their constants answer to each draw.
    rng = np.random.default_rng(11)
    village, period = np.repeat(np.arange(27), 6), np.tile(np.arange(6), 27)
    keep = rng.random(len(village)) > 0.15
    village, period = np.unique(village[keep], return_inverse=True)[1], period[keep]
    code = village % 9
    x = (code < 4) * (period >= 3) + 0.5 * rng.normal(size=len(village))
    y = 0.3 * x + rng.normal(size=27)[village] + rng.normal(size=(9, 6))[code, period] + rng.normal(size=len(x))
    w = rng.uniform(0.3, 3, len(y)) if weighted else np.ones(len(y))
    unit = pd.Index(village)
    fit = two_way(y, x[:, None], ["x"], unit=unit, period=period if crossing else None, weights=w)
    found = fit.to_effects([1.0], LABELS, unit)
    blocks = [x, pd.get_dummies(village).to_numpy(dtype=float)]
    blocks += [pd.get_dummies(period).to_numpy(dtype=float)[:, 1:]] if crossing else []
    design = np.column_stack(blocks)
    c = np.eye(design.shape[1])[0]
    k = 1 + 1 + (5 if crossing else 0)  # villages are nested and count once (fixest)
    t, naive = refits(y, design, w, [code], c, 0.1, multipliers_of(9, 199), restricted=restricted, k=k)
    codes = pd.DataFrame({"c": pd.Series(code).groupby(village).first()})
    drawn = drawn_for(found, codes, restricted=restricted)
    delta = found.estimate[0] - 0.1
    np.testing.assert_allclose(delta / drawn.sigma, t, rtol=1e-10)
    np.testing.assert_allclose(drawn.statistics(delta), naive, rtol=1e-8)
