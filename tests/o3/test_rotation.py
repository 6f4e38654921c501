"""Representation matrices: a group homomorphism, and the one under which harmonics turn."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from multiace.o3.harmonics import spherical_harmonics
from multiace.o3.irreps import Irrep
from multiace.o3.rotation import random_rotation, rotation_matrix

EXACT = 1e-12  # float64

IRREPS = [Irrep(l, p) for l in range(7) for p in (1, -1)]


@pytest.mark.parametrize("irrep", IRREPS, ids=str)
def test_matrices_are_orthogonal_and_multiply_like_the_transformations(irrep, rng):
    first, second = random_rotation(rng), -random_rotation(rng)
    d_first, d_second = rotation_matrix(irrep, first), rotation_matrix(irrep, second)
    np.testing.assert_allclose(d_first @ d_first.T, np.eye(irrep.dim), atol=EXACT)
    np.testing.assert_allclose(
        rotation_matrix(irrep, first @ second), d_first @ d_second, atol=EXACT
    )


@pytest.mark.parametrize("irrep", IRREPS, ids=str)
def test_the_inversion_is_the_parity(irrep):
    np.testing.assert_allclose(
        rotation_matrix(irrep, -np.eye(3)), irrep.p * np.eye(irrep.dim), atol=EXACT
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_harmonics_of_turned_directions_are_turned_harmonics(sign, rng):
    transformation = sign * random_rotation(rng)
    directions = rng.normal(size=(5, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = spherical_harmonics(6, torch.from_numpy(directions)).numpy()
    after = spherical_harmonics(6, torch.from_numpy(directions @ transformation.T)).numpy()
    for l in range(7):
        columns = slice(l * l, (l + 1) ** 2)
        matrix = rotation_matrix(Irrep.natural(l), transformation)
        np.testing.assert_allclose(after[:, columns], before[:, columns] @ matrix.T, atol=EXACT)


def test_a_turn_about_the_polar_axis_mixes_m_and_minus_m():
    angle, l = 0.7, 4
    matrix = rotation_matrix(Irrep.natural(l), Rotation.from_euler("z", angle).as_matrix())
    expected = np.zeros_like(matrix)
    for m in range(-l, l + 1):
        expected[l + m, l + m] = np.cos(m * angle)
        expected[l + m, l - m] -= np.sin(m * angle)
    expected[l, l] = 1.0
    np.testing.assert_allclose(matrix, expected, atol=EXACT)


def test_random_rotations_are_proper_and_uniform(rng):
    rotations = np.stack([random_rotation(rng) for _ in range(2000)])
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=EXACT)
    # Over the uniform measure an entry has mean 0 and variance 1/3; 2000 draws resolve 0.013.
    assert np.abs(rotations.mean(axis=0)).max() < 0.06
    assert np.abs(rotations.var(axis=0) - 1 / 3).max() < 0.03


def test_a_matrix_that_is_not_orthogonal_is_refused():
    with pytest.raises(ValueError, match=r"must be orthogonal, but R R\^T differs from 1 by 3.0e"):
        rotation_matrix(Irrep.parse("1o"), 2 * np.eye(3))
    with pytest.raises(ValueError, match="must be orthogonal"):
        rotation_matrix(Irrep.parse("1o"), np.full((3, 3), np.nan))
