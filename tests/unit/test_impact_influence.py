"""Influences in blocks: the same as the dense matrix in everything that inference asks, also where atoms cancel."""

import numpy as np
import pytest

from evaluation.impact.influence import NOISE, Atoms, Block, Influence


def in_blocks(seed=20250101):
    """Nine units, five atoms: units 1 to 3 hold atoms 0 and 2, units 4 to 8 atoms 1, 2, 4; nothing in atom 3."""
    rng = np.random.default_rng(seed)
    blocks = (
        Block(start=1, values=rng.normal(size=(3, 2)), columns=np.array([0, 2])),
        Block(start=4, values=np.asfortranarray(rng.normal(size=(5, 3))), columns=np.array([1, 2, 4])),
    )
    atoms = np.zeros((9, 5))
    for block in blocks:
        atoms[np.ix_(np.arange(block.start, block.start + len(block.values)), block.columns)] = block.values
    return Atoms(n_units=9, n_atoms=5, blocks=blocks), atoms


@pytest.fixture(params=["identity", "few", "many"])
def both(request):
    """Influences in blocks and the dense matrix that they stand for, with fewer and with more estimates than atoms."""
    atoms, dense = in_blocks()
    if request.param == "identity":
        return Influence(atoms), dense
    matrix = np.random.default_rng(7).normal(size=(5, {"few": 2, "many": 8}[request.param]))
    return Influence(atoms, matrix), dense @ matrix


def test_everything_is_that_of_the_dense_matrix(both):
    blocks, dense = both
    assert blocks.shape == dense.shape
    np.testing.assert_allclose(blocks.dense(), dense, atol=1e-15)
    np.testing.assert_allclose(blocks.totals(), dense.sum(axis=0), atol=1e-14)
    np.testing.assert_allclose(blocks.sum_of_squares(), (dense**2).sum(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(blocks.cross_product(), dense.T @ dense, atol=1e-13)


def test_sums_by_code_are_those_of_the_dense_matrix(both):
    blocks, dense = both
    codes = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0])
    expected = np.array([dense[codes == code].sum(axis=0) for code in range(3)])
    np.testing.assert_allclose(blocks.sums(codes, 3), expected, atol=1e-14)


def test_weighted_sums_take_the_weights_in_tables(both):
    blocks, dense = both
    weights = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(7, 9))
    found = blocks.weighted_sums(iter([weights[:3], weights[3:]]))
    np.testing.assert_allclose(found, weights @ dense, atol=1e-14)


def test_maps_and_choices_are_those_of_the_columns(both):
    blocks, dense = both
    matrix = np.random.default_rng(5).normal(size=(3, dense.shape[1]))
    np.testing.assert_allclose(blocks.mapped(matrix).dense(), dense @ matrix.T, atol=1e-14)
    mask = np.arange(dense.shape[1]) % 2 == 0
    np.testing.assert_allclose(blocks.chosen(mask).dense(), dense[:, mask], atol=1e-15)
    assert blocks.mapped(matrix).atoms is blocks.atoms
    np.testing.assert_allclose(blocks.beside([blocks.mapped(matrix)]).dense()[:, -3:], dense @ matrix.T, atol=1e-14)


def test_sums_of_squares_are_exact_where_atoms_nearly_cancel():
    # Two atoms of a million that differ by a thousandth: moments of the atoms have lost the difference (1e12 × 1e-16
    # is larger than 1e-6), and it is computed again unit by unit.
    rng = np.random.default_rng(1)
    level, small = 1e6 * rng.normal(size=200), 1e-3 * rng.normal(size=200)
    values = np.column_stack([level, level + small])
    atoms = Atoms(n_units=200, n_atoms=2, blocks=(Block(start=0, values=values, columns=np.arange(2)),))
    difference = Influence(atoms, np.array([[-1.0], [1.0]]))
    exact = ((values[:, 1] - values[:, 0]) ** 2).sum()
    np.testing.assert_allclose(difference.sum_of_squares(), [exact], rtol=1e-12)
    np.testing.assert_allclose(difference.cross_product(), [[exact]], rtol=1e-12)


def test_rounding_beside_the_outcome_is_no_influence():
    values = np.array([[1.0, 1e-13], [-1.0, -1e-13]])
    found = Influence.of(values).without_noise(scale=1.0)
    np.testing.assert_array_equal(found.dense(), [[1.0, 0.0], [-1.0, 0.0]])
    assert NOISE > 1e-13
    kept = Influence.of(values).without_noise(scale=1e-3)
    np.testing.assert_array_equal(kept.dense(), values)
