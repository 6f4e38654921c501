"""Distances and harmonics of edges against SciPy."""

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from tests.kernels.comparison import DTYPES, assert_close, non_contiguous, random

from multiace.kernels.reference.edge_basis import EdgeBasis


def real_harmonics(l_max, vectors):
    """Combine SciPy's complex harmonics of m and -m; sum_m Y_lm^2 = 2l + 1."""
    x, y, z = vectors.T
    polar, azimuth = np.arccos(z / np.linalg.norm(vectors, axis=1)), np.arctan2(y, x)
    columns = []
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            value = sph_harm_y(l, abs(m), polar, azimuth) * (-1.0) ** m
            part = value.imag if m < 0 else value.real
            columns.append(part * np.sqrt(4 * np.pi) * (1.0 if m == 0 else np.sqrt(2)))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_edges", [0, 1, 6])
@pytest.mark.parametrize("l_max", [0, 3, 6])
@pytest.mark.parametrize("layout", [lambda x: x, non_contiguous], ids=["contiguous", "strided"])
def test_distances_and_harmonics_are_those_of_scipy(dtype, n_edges, l_max, layout):
    vectors = random(n_edges, 3)
    distances, harmonics = EdgeBasis(l_max)(layout(vectors.to(dtype)))
    assert_close(distances, torch.linalg.norm(vectors, dim=1).to(dtype))
    expected = torch.from_numpy(real_harmonics(l_max, vectors.numpy()))
    assert_close(harmonics, expected.to(dtype))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_derivatives_of_the_edge_basis_are_finite_differences_on_every_axis(axis):
    vectors = random(3, 3)
    vectors[0] = 0.0
    vectors[0, axis] = -1.7  # where polar coordinates have their poles
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(EdgeBasis(3), vectors)
    assert torch.autograd.gradgradcheck(EdgeBasis(3), vectors, fast_mode=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edge_of_no_length_has_finite_derivatives(dtype):
    vectors = torch.zeros(1, 3, dtype=dtype, requires_grad=True)
    distances, harmonics = EdgeBasis(2)(vectors)
    (gradient,) = torch.autograd.grad(distances.sum() + harmonics[:, :1].sum(), vectors)
    assert gradient.isfinite().all()
