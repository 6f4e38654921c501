"""Products of any channels: as many as counted, invariant, and linearly independent."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.kernels.comparison import random

from multiace.kernels.operations.polynomial_product import PolynomialProduct
from multiace.kernels.tables import ProductTable
from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irrep, Irreps
from multiace.o3.rotation import rotation_matrix

SCALAR, VECTOR = Irrep.natural(0), Irrep.natural(1)


@pytest.mark.parametrize(
    ("degrees", "expected"), [((20.0, 16.0, 12.0), 299), ((25.0, 21.0, 17.0), 1016)]
)
def test_counts_are_those_that_ace_reports_for_one_element(degrees, expected):
    degree, irreps = TotalDegree(degrees, 1.5), [Irrep.natural(l) for l in range(7)]
    widths = degree.widths(irreps, [SCALAR])
    channels = list(zip(widths, irreps, strict=True))
    assert sum(degree.count(channels, 1, SCALAR)) == expected
    wider = [(n + 3, irrep) for n, irrep in channels]  # no function needs more
    assert degree.count(wider, 1, SCALAR) == degree.count(channels, 1, SCALAR)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(1, 3),
    st.lists(st.floats(1.0, 6.0), min_size=1, max_size=4),
    st.floats(0.5, 2.0),
    st.sampled_from([SCALAR, VECTOR]),
)
def test_as_many_products_are_listed_as_are_counted(widths, n_types, degrees, l_weight, irrep_out):
    degree = TotalDegree(tuple(degrees), l_weight)
    channels = [(n, Irrep.natural(l)) for l, n in enumerate(widths)]
    for order, expected in enumerate(degree.count(channels, n_types, irrep_out), 1):
        products = list(degree.products(channels, n_types, irrep_out, order))
        assert sum(c.coefficients.shape[2] for _, c in products) == expected
        assert len({factors for factors, _ in products}) == len(products)
        for factors, _ in products:
            total = sum(f.n + l_weight * channels[f.irrep][1].l for f in factors)
            assert total <= degrees[order - 1] + 1e-6
            assert list(factors) == sorted(factors)


def coupled(irreps_in: str, irreps_out: str, n_types: int = 1) -> ProductTable:
    degree = TotalDegree((4.0, 5.0, 6.0), 1.0)
    irreps = (Irreps.parse(irreps_in), Irreps.parse(irreps_out))
    return ProductTable(*irreps, 3, total_degree=degree, n_types=n_types)


def functions(table: ProductTable, a: torch.Tensor) -> np.ndarray:
    """Return every B at some A: (rows of the message, nodes, paths)."""
    product = PolynomialProduct(table).double()
    paths = torch.eye(table.n_weights, dtype=torch.float64).unsqueeze(2)
    rows = [product(a, w.unsqueeze(0), None) for w in paths]
    return torch.stack(rows, dim=2).transpose(0, 1).numpy()


def test_scalar_functions_are_linearly_independent():
    table = coupled("4x0e+4x1o+2x2e", "1x0e", n_types=2)
    b = functions(table, random(3 * table.n_weights, table.irreps_in.dim))[0]
    singular = np.linalg.svd(b / np.linalg.norm(b, axis=0), compute_uv=False)
    assert table.n_weights > 50
    assert (singular > 1e-8).sum() == table.n_weights


def test_functions_turn_with_their_factors():
    table = coupled("3x0e+3x1o+2x2e", "1x0e+1x1o")
    a = random(5, table.irreps_in.dim)
    rotation = Rotation.random(random_state=1).as_matrix()
    d = [rotation_matrix(irrep, rotation) for irrep in table.irreps_in.irreps]
    blocks = [
        torch.from_numpy(matrix) @ a[:, where].unflatten(1, (len(matrix), -1))
        for matrix, where in zip(d, table.irreps_in.slices, strict=True)
    ]
    turned = torch.cat([block.flatten(1) for block in blocks], dim=1)
    before, after = functions(table, a), functions(table, turned)
    np.testing.assert_allclose(after[0], before[0], atol=1e-12)
    expected = np.einsum("mk,knp->mnp", d[1], before[1:])
    np.testing.assert_allclose(after[1:], expected, atol=1e-12)


def test_one_channel_couples_as_it_does_channel_by_channel():
    irreps = (Irreps.parse("1x0e+1x1o+1x2e"), Irreps.parse("1x0e+1x1o"))
    everything = TotalDegree((99.0, 99.0, 99.0), 1.0)
    a = random(4, irreps[0].dim)
    full = functions(ProductTable(*irreps, 3, total_degree=everything), a)
    np.testing.assert_allclose(full, functions(ProductTable(*irreps, 3), a), atol=1e-12)
