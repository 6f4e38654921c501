"""Layouts that a kernel and a file format rely on."""

import numpy as np
import pytest

from multiace.kernels.tables import ConvolutionTable, ProductTable, split_sizes
from multiace.o3.couplings import product_couplings
from multiace.o3.irreps import Irrep, Irreps

E0, O1, E2 = Irrep(0, 1), Irrep(1, -1), Irrep(2, 1)
CONVOLUTION = ConvolutionTable(
    Irreps.parse("3x0e+2x1o"),
    2,
    ((E0, 0, E0), (E0, 1, O1), (O1, 1, E0), (O1, 0, O1), (O1, 2, O1)),
    Irreps.parse("5x0e+7x1o"),
)


def test_each_path_has_the_channels_of_the_feature_it_reads():
    assert CONVOLUTION.channels_of_path == (3, 3, 2, 2, 2)
    assert CONVOLUTION.n_weights == 12


def test_paths_from_an_irrep_follow_one_another():
    assert CONVOLUTION.paths_from(E0) == (0, 1)
    assert CONVOLUTION.paths_from(O1) == (2, 3, 4)
    assert CONVOLUTION.paths_from(E2) == ()


def test_coupling_holds_the_coefficients_of_each_path_at_its_harmonics():
    coupling = CONVOLUTION.coupling_from(O1)
    assert coupling.shape == (9, 7, 3)  # harmonics to l = 2, 0e + 1o + 1o, 1o
    # 1 x 1 -> 0 is the dot product over sqrt(3), 1 x 0 -> 1 the identity
    np.testing.assert_allclose(coupling[1:4, 0], np.eye(3) / np.sqrt(3), atol=1e-15)
    np.testing.assert_allclose(coupling[0, 1:4], np.eye(3), atol=1e-15)
    # each path reads the harmonics of its own degree only
    assert not coupling[[0, *range(4, 9)], 0].any()
    assert not coupling[1:, 1:4].any()
    assert not coupling[:4, 4:7].any()
    assert np.linalg.norm(coupling[4:9, 4:7]) == pytest.approx(np.sqrt(3))


def test_coupling_of_an_irrep_without_paths_is_empty():
    table = ConvolutionTable(Irreps.parse("1x0e+1x2e"), 1, ((E0, 0, E0),), Irreps.parse("1x0e"))
    assert table.coupling_from(E2).shape == (4, 0, 5)


def product_table(basis, correlation=3):
    return ProductTable(
        Irreps.parse("2x0e+2x1o+2x2e"), Irreps.parse("2x0e+2x1o"), correlation, basis
    )


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_product_paths_are_counted_by_irrep_and_order(basis):
    table = product_table(basis)
    expected = tuple(
        tuple(
            product_couplings(table.irreps_in.irreps, irrep, order, basis).n_paths
            for order in (1, 2, 3)
        )
        for irrep in (E0, O1)
    )
    assert table.n_paths == expected
    assert expected[0][0] == expected[1][0] == 1
    assert table.n_weights == sum(map(sum, expected))


@pytest.mark.parametrize("basis", ["reduced", "mace"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_rows_of_the_coefficients_run_over_irrep_path_and_component(basis, order):
    table, row = product_table(basis), 0
    columns, coefficients = table.monomials[order - 1], table.coefficients(order)
    for irrep in (E0, O1):
        couplings = product_couplings(table.irreps_in.irreps, irrep, order, basis)
        monomials = list(map(tuple, couplings.monomials.tolist()))
        for eta in range(couplings.n_paths):
            for m in range(irrep.dim):
                expected = dict(zip(monomials, couplings.coefficients[m, :, eta], strict=True))
                for column, value in zip(columns, coefficients[row], strict=True):
                    assert value == expected.get(column, 0.0)
                row += 1
    assert row == len(coefficients)


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_every_monomial_is_sorted_and_one_factor_longer_than_one_of_the_order_below(basis):
    below = {()}
    for rows in product_table(basis).monomials:
        assert list(rows) == sorted(set(rows))
        assert all(list(factors) == sorted(factors) for factors in rows)
        assert {factors[:-1] for factors in rows} <= below
        below = set(rows)


def test_split_sizes_are_the_lengths_of_the_slices():
    irreps = Irreps.parse("3x0e+2x1o+5x2e")
    assert split_sizes(irreps) == [s.stop - s.start for s in irreps.slices] == [3, 6, 25]
