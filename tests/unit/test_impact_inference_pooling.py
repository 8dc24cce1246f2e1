"""Pooling effects: by hand, the fixed-effect mean of R metafor, shared units, refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, ParametersError
from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import covariance, pooled

EIGHT_SCHOOLS = ([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])  # Rubin (1981), table 1


def site(estimate, std_error, first, n=2):
    """An effect on n units from number `first` on, whose influences give this standard error."""
    influence = std_error * np.sqrt(n) * np.resize([1.0, -1.0], n)
    labels = pd.DataFrame({"term": ["att"], "outcome": ["y"]})
    units = pd.RangeIndex(first, first + n)
    return Effects(estimate=np.array([estimate]), labels=labels, influence=influence[:, None], units=units)


def test_independent_sites_give_the_fixed_effect_mean_of_metafor():
    sites = concat([site(float(y), float(s), 2 * k) for k, (y, s) in enumerate(zip(*EIGHT_SCHOOLS, strict=True))])
    found = pooled(sites)
    # rma(yi, sei, method = "FE"), metafor 3.8.1: 7.68561672495604 (4.0719191584023)
    np.testing.assert_allclose(found.estimate, [7.68561672495604], rtol=1e-13)
    np.testing.assert_allclose(covariance(found).std_error, [4.0719191584023], rtol=1e-13)
    assert found.labels.to_dict("records") == [{"term": "pooled", "outcome": "y"}]


def correlated():
    # ψ₁ = (2, -2, 0, 0), ψ₂ = (2, -2, 4, -4): V = [[8, 8], [8, 40]] / 16.
    return Effects(
        estimate=np.array([1.0, 3.0]),
        labels=pd.DataFrame({"term": ["a", "b"], "outcome": ["y", "y"]}),
        influence=np.array([[2.0, 2.0], [-2.0, -2.0], [0.0, 4.0], [0.0, -4.0]]),
        units=pd.RangeIndex(4),
    )


def test_shared_units_change_the_weights_by_hand():
    # V⁻¹1 ∝ (40 - 8, 8 - 8) = (32, 0): the second effect adds only noise to the first, its weight is zero.
    found = pooled(correlated())
    np.testing.assert_allclose(found.estimate, [1.0])
    np.testing.assert_allclose(found.dense()[:, 0], [2.0, -2.0, 0.0, 0.0], atol=1e-14)


def test_no_other_weights_have_a_smaller_variance():
    effects = correlated()
    least = covariance(pooled(effects)).std_error[0]
    for share in np.linspace(-1, 2, 31):
        other = covariance(pooled(effects, weights=np.array([share, 1 - share]))).std_error[0]
        assert other >= least * (1 - 1e-12)


def test_given_weights_are_scaled_to_one():
    np.testing.assert_allclose(pooled(correlated(), weights=np.array([30.0, 10.0])).estimate, [1.5])


def test_clusters_decide_the_precision():
    villages = pd.DataFrame({"village": ["x", "y", "z", "z"]}, index=pd.RangeIndex(4))
    # in z the influences on b cancel: V = [[8, 8], [8, 8]] / 16, singular
    with pytest.raises(DataError, match="E-IMP-069"):
        pooled(correlated(), villages)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [np.nan, 1.0]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ParametersError, match="E-IMP-070"):
        pooled(correlated(), weights=np.array(weights))
