"""Clebsch-Gordan coefficients against their definition, SymPy, e3nn and the rotations."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from sympy.physics.wigner import wigner_3j

from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.harmonics import spherical_harmonics
from multiace.o3.irreps import Irrep
from multiace.o3.rotation import random_rotation, rotation_matrix

EXACT = 1e-12  # float64, entries of order one


def _triples(l_max):
    """List the degrees (l1, l2, l3) that couple, none above l_max."""
    return [
        (l1, l2, l3)
        for l1, l2, l3 in itertools.product(range(l_max + 1), repeat=3)
        if abs(l1 - l2) <= l3 <= l1 + l2
    ]


def _real_from_complex(l, rng):
    """Solve for the change of basis from values of both kinds of harmonics at random points."""
    polar, azimuth = np.arccos(rng.uniform(-1, 1, 50)), rng.uniform(0, 2 * np.pi, 50)
    points = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1
    )
    real = spherical_harmonics(l, torch.from_numpy(points))[:, l * l :].numpy()
    complex_ = np.stack([sph_harm_y(l, k, polar, azimuth) for k in range(-l, l + 1)], axis=1)
    change, *_ = np.linalg.lstsq(complex_ * np.sqrt(4 * np.pi), real + 0j, rcond=None)
    return change.T


def test_columns_are_orthonormal_and_complete():
    for l1, l2 in itertools.product(range(7), repeat=2):
        columns = np.concatenate(
            [
                clebsch_gordan(l1, l2, l3).reshape((2 * l1 + 1) * (2 * l2 + 1), -1)
                for l3 in range(abs(l1 - l2), l1 + l2 + 1)
            ],
            axis=1,
        )
        np.testing.assert_allclose(columns.T @ columns, np.eye(len(columns)), atol=EXACT)


def test_coefficients_are_the_3j_symbols_of_sympy_in_the_real_basis(rng):
    """Check the documented formula, its sign i^J included."""
    change = [np.conj(_real_from_complex(l, rng)) for l in range(4)]
    for l1, l2, l3 in _triples(3):
        symbols = np.array(
            [
                [[float(wigner_3j(l1, l2, l3, k1, k2, k3)) for k3 in range(-l3, l3 + 1)]
                 for k2 in range(-l2, l2 + 1)]
                for k1 in range(-l1, l1 + 1)
            ]
        )  # fmt: skip
        expected = np.einsum("ai,bj,ck,ijk", change[l1], change[l2], change[l3], symbols)
        expected = 1j ** (l1 + l2 + l3) * np.sqrt(2 * l3 + 1) * expected
        np.testing.assert_allclose(clebsch_gordan(l1, l2, l3), expected, atol=EXACT)


def test_coefficients_are_those_of_e3nn_up_to_one_sign():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from e3nn.o3 import wigner_3j as e3nn_wigner_3j

    for l1, l2, l3 in _triples(5):
        theirs = e3nn_wigner_3j(l1, l2, l3, dtype=torch.float64).numpy() * np.sqrt(2 * l3 + 1)
        ours = clebsch_gordan(l1, l2, l3)
        error = min(np.abs(ours - theirs).max(), np.abs(ours + theirs).max())
        assert error < EXACT, (l1, l2, l3)


@pytest.mark.parametrize("order", [(1, 2, 0), (1, 0, 2), (0, 2, 1)])
def test_exchanging_two_degrees_gives_the_sign_of_their_sum(order):
    exchanged = order != (1, 2, 0)
    for degrees in _triples(4):
        l3, l3_after = degrees[2], degrees[order[2]]
        sign = (-1) ** (sum(degrees) * exchanged)
        np.testing.assert_allclose(
            sign * clebsch_gordan(*degrees).transpose(order) / np.sqrt(2 * l3 + 1),
            clebsch_gordan(*(degrees[k] for k in order)) / np.sqrt(2 * l3_after + 1),
            atol=EXACT,
        )


def test_products_of_harmonics_are_positive_multiples_of_harmonics():
    direction = torch.tensor([[0.48, 0.6, -0.64]], dtype=torch.float64)
    harmonics = spherical_harmonics(6, direction)[0].numpy()
    y = [harmonics[l * l : (l + 1) ** 2] for l in range(7)]
    for l1, l2, l3 in _triples(6):
        product = np.einsum("abc,a,b", clebsch_gordan(l1, l2, l3), y[l1], y[l2])
        factor = product @ y[l3] / (2 * l3 + 1)
        np.testing.assert_allclose(product, factor * y[l3], atol=EXACT)
        assert factor > 0.1 if (l1 + l2 + l3) % 2 == 0 else abs(factor) < EXACT


def test_two_vectors_couple_to_dot_and_cross_product(rng):
    a, b = rng.normal(size=(2, 3))
    to_degree = [1, 2, 0]  # x, y, z to y, z, x
    dot = np.einsum("abc,a,b", clebsch_gordan(1, 1, 0), a[to_degree], b[to_degree])
    cross = np.einsum("abc,a,b", clebsch_gordan(1, 1, 1), a[to_degree], b[to_degree])
    np.testing.assert_allclose(dot[0], a @ b / np.sqrt(3), atol=EXACT)
    np.testing.assert_allclose(cross, np.cross(a, b)[to_degree] / np.sqrt(2), atol=EXACT)


def test_couplings_commute_with_rotations(rng):
    rotation = random_rotation(rng)
    d = [rotation_matrix(Irrep.natural(l), rotation) for l in range(5)]
    for l1, l2, l3 in _triples(4):
        coupling = clebsch_gordan(l1, l2, l3)
        rotated_before = np.einsum("abm,ac,bd->cdm", coupling, d[l1], d[l2])
        rotated_after = np.einsum("cdn,mn->cdm", coupling, d[l3])
        np.testing.assert_allclose(rotated_before, rotated_after, atol=EXACT)


def test_the_cached_array_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        clebsch_gordan(1, 1, 2)[0, 0, 0] = 1.0


@pytest.mark.parametrize("degrees", [(1, 1, 3), (2, 0, 1), (-1, 1, 1)])
def test_degrees_that_do_not_couple_are_refused_with_the_rule(degrees):
    with pytest.raises(ValueError, match=r"do not couple to .*\|l1 - l2\| <= l3 <= l1 \+ l2"):
        clebsch_gordan(*degrees)
