"""Distances and harmonics of edges against SciPy."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from tests.kernels.comparison import (
    DTYPES,
    assert_close,
    assert_same_to_order,
    non_contiguous,
    random,
)

from multiace.kernels.operations.edge_basis import EdgeBasis
from multiace.kernels.tables import EdgeBasisTable


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
@pytest.mark.parametrize("n_edges", [0, 1, 6, 37])
@pytest.mark.parametrize("l_max", [0, 3, 6])
@pytest.mark.parametrize("layout", [lambda x: x, non_contiguous], ids=["contiguous", "strided"])
def test_distances_and_harmonics_are_those_of_scipy(kernels, dtype, n_edges, l_max, layout):
    vectors = random(n_edges, 3)
    distances, harmonics = kernels.edge_basis(EdgeBasisTable(l_max))(layout(vectors.to(dtype)))
    assert_close(distances, torch.linalg.norm(vectors, dim=1).to(dtype))
    expected = torch.from_numpy(real_harmonics(l_max, vectors.numpy()))
    assert_close(harmonics, expected.to(dtype))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_derivatives_of_the_edge_basis_are_finite_differences_on_every_axis(kernels, axis):
    vectors = random(3, 3)
    vectors[0] = 0.0
    vectors[0, axis] = -1.7  # where polar coordinates have their poles
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(kernels.edge_basis(EdgeBasisTable(3)), vectors)
    assert torch.autograd.gradgradcheck(
        kernels.edge_basis(EdgeBasisTable(3)), vectors, fast_mode=True
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edge_of_no_length_has_finite_derivatives(kernels, dtype):
    vectors = torch.zeros(1, 3, dtype=dtype, requires_grad=True)
    distances, harmonics = kernels.edge_basis(EdgeBasisTable(2))(vectors)
    (gradient,) = torch.autograd.grad(distances.sum() + harmonics[:, :1].sum(), vectors)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_edges", [0, 1, 37])
@pytest.mark.parametrize("l_max", [0, 1, 4, 6])
def test_derivatives_of_the_edge_basis_are_those_of_its_definition(kernels, dtype, n_edges, l_max):
    vectors = random(n_edges, 3, dtype=dtype)
    functions = [
        partial(flat_outputs, of(EdgeBasisTable(l_max))) for of in (kernels.edge_basis, EdgeBasis)
    ]
    assert_same_to_order(2, *functions, [vectors / vectors.norm(dim=1, keepdim=True)])


@pytest.mark.parametrize("output", [0, 1])
def test_third_derivatives_of_each_output(kernels, output):
    functions = [
        partial(cube, of(EdgeBasisTable(3)), output) for of in (kernels.edge_basis, EdgeBasis)
    ]
    assert_same_to_order(3, *functions, [random(3, 3)])


def flat_outputs(basis, vectors):
    return torch.cat([part.flatten() for part in basis(vectors)])


def cube(basis, output, vectors):
    return basis(vectors)[output] ** 3
