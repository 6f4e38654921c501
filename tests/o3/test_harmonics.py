"""Spherical harmonics against SciPy, Legendre polynomials and finite differences."""

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre, sph_harm_y

from multiace.o3.harmonics import L_MAX, spherical_harmonics

EXACT = 1e-12  # float64
SINGLE = 1e-5  # float32


@pytest.fixture
def directions(rng):
    """Return random unit vectors and the six along the axes."""
    random = rng.normal(size=(20, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return torch.from_numpy(np.concatenate([random, np.eye(3), -np.eye(3)]))


def _degree(harmonics, l):
    return harmonics[:, l * l : (l + 1) ** 2]


def test_harmonics_are_those_of_scipy(directions):
    x, y, z = directions.numpy().T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    columns = []
    for l in range(L_MAX + 1):
        for m in range(-l, l + 1):
            value = sph_harm_y(l, abs(m), polar, azimuth) * np.sqrt(4 * np.pi)
            part = value.imag if m < 0 else value.real
            columns.append(part if m == 0 else np.sqrt(2) * (-1) ** m * part)
    harmonics = spherical_harmonics(L_MAX, directions)
    np.testing.assert_allclose(harmonics.numpy(), np.stack(columns, axis=1), atol=EXACT)


def test_degree_one_is_the_vector_in_the_order_y_z_x(directions):
    vector = _degree(spherical_harmonics(1, directions), 1)
    torch.testing.assert_close(vector, 3**0.5 * directions[:, [1, 2, 0]], atol=EXACT, rtol=0)


@pytest.mark.parametrize("l", range(L_MAX + 1))
def test_each_degree_sums_to_a_legendre_polynomial_of_the_angle(directions, l):
    """Include the angle zero: component normalisation, sum_m Y_lm^2 = 2l + 1."""
    harmonics = _degree(spherical_harmonics(l, directions), l).numpy()
    cosines = directions.numpy() @ directions.numpy().T
    expected = (2 * l + 1) * eval_legendre(l, cosines)
    np.testing.assert_allclose(harmonics @ harmonics.T, expected, atol=10 * EXACT)


def test_columns_do_not_depend_on_the_largest_degree(directions):
    all_degrees = spherical_harmonics(L_MAX, directions)
    for l_max in range(L_MAX):
        fewer = spherical_harmonics(l_max, directions)
        assert torch.equal(fewer, all_degrees[:, : (l_max + 1) ** 2])


def test_a_vector_of_length_s_gives_s_to_the_degree(directions):
    harmonics, longer = spherical_harmonics(4, directions), spherical_harmonics(4, 1.5 * directions)
    for l in range(5):
        expected = 1.5**l * _degree(harmonics, l)
        torch.testing.assert_close(_degree(longer, l), expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize(
    "direction",
    [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (1e-9, 0.0, 1.0), (1.0, 0.0, 0.0), (0.48, 0.6, 0.64)],
)
def test_first_and_second_derivatives_are_right_also_at_the_poles(direction):
    vector = torch.tensor([direction], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: spherical_harmonics(4, v), vector)
    assert torch.autograd.gradgradcheck(lambda v: spherical_harmonics(4, v), vector)


def test_harmonics_solve_the_laplace_equation(directions):
    def harmonics_of_one(vector):
        return spherical_harmonics(L_MAX, vector.unsqueeze(0)).squeeze(0)

    hessian = torch.func.jacrev(torch.func.jacrev(harmonics_of_one))
    for direction in directions[[0, -1]]:  # a random one and a pole
        laplacian = hessian(direction).diagonal(dim1=1, dim2=2).sum(1)
        torch.testing.assert_close(laplacian, torch.zeros_like(laplacian), atol=1e-11, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_dtype_of_the_directions(directions, dtype):
    harmonics = spherical_harmonics(3, directions.to(dtype))
    assert harmonics.dtype == dtype
    expected = spherical_harmonics(3, directions)
    torch.testing.assert_close(harmonics.double(), expected, atol=SINGLE, rtol=0)


def test_constants_do_not_depend_on_the_default_dtype(directions):
    expected = spherical_harmonics(3, directions)
    torch.set_default_dtype(torch.float64)
    try:
        single = spherical_harmonics(3, directions.float())
        torch.testing.assert_close(spherical_harmonics(3, directions), expected, atol=0, rtol=0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert single.dtype == torch.float32


def test_no_edges_give_no_rows():
    harmonics = spherical_harmonics(3, torch.empty(0, 3, requires_grad=True))
    assert harmonics.shape == (0, 16)
    harmonics.sum().backward()


def test_strides_do_not_matter(directions):
    transposed = directions.T.contiguous().T
    assert not transposed.is_contiguous()
    torch.testing.assert_close(
        spherical_harmonics(3, transposed), spherical_harmonics(3, directions), atol=EXACT, rtol=0
    )


def test_harmonics_export_as_one_graph(directions):
    class Harmonics(torch.nn.Module):
        def forward(self, vectors):
            return spherical_harmonics(3, vectors)

    exported = torch.export.export(Harmonics(), (directions,))
    assert torch.equal(exported.module()(directions), spherical_harmonics(3, directions))


@pytest.mark.parametrize("l_max", [-1, L_MAX + 1])
def test_a_degree_out_of_range_is_refused(directions, l_max):
    with pytest.raises(ValueError, match=f"l_max must be between 0 and {L_MAX}, got {l_max}"):
        spherical_harmonics(l_max, directions)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_harmonics_on_a_gpu_are_those_on_the_cpu(directions):
    on_gpu = spherical_harmonics(L_MAX, directions.cuda())
    torch.testing.assert_close(
        on_gpu.cpu(), spherical_harmonics(L_MAX, directions), atol=EXACT, rtol=0
    )
