"""Layouts that a kernel and a file format rely on."""

import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from multiace.activation import Activation
from multiace.envelope import Envelope
from multiace.kernels.tables import (
    AgnesiTable,
    ConvolutionTable,
    DensityTable,
    EdgeBasisTable,
    GateTable,
    LinearTable,
    NormalisedAgnesiTable,
    NormTable,
    ProductTable,
    RadialBasisTable,
    RadialNetworkTable,
    RepulsionTable,
    SelectTable,
    SplineTable,
    split_sizes,
)
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


SILU, TANH, SIGMOID = Activation.of("silu"), Activation.of("tanh"), Activation("sigmoid", 1.0)
TABLES = [
    EdgeBasisTable(3),
    AgnesiTable(1.0, 0.9, 4.6, (0.31, 0.76)),
    RadialBasisTable("bessel", 8, 5.0, Envelope("polynomial", 6), "weights"),
    RadialBasisTable("gaussian", 5, 4.2, Envelope("cosine"), "basis"),
    RadialBasisTable("jacobi", 5, 4.2, Envelope("cosine"), "basis", falling=True),
    RadialBasisTable("jacobi", 5, 4.2, Envelope("two_sided", 3, 0), "weights"),
    RadialBasisTable("bessel", 8, 5.0, Envelope("two_sided", 2, 1), "basis"),
    NormalisedAgnesiTable(2.0, 4.0, 0.5, 4.2, (0.31, 0.76)),
    RadialNetworkTable((8, 64, 16), SILU),
    RadialNetworkTable((8,), TANH),
    SplineTable(300, 0.0167, 96),
    CONVOLUTION,
    DensityTable.full(2, 3, 8),
    DensityTable(1, 2, ((0, 5), (2, 3)), 5),
    product_table("reduced"),
    product_table("mace"),
    LinearTable(Irreps.parse("3x0e+2x1o+1x2e"), Irreps.parse("2x0e+4x1o+1x0o")),
    LinearTable(Irreps(()), Irreps.parse("1x0e")),
    GateTable(
        Irreps.parse("6x0e+2x0o+1x1e+2x1o"),
        Irreps.parse("3x0e+2x0o+1x1e+2x1o"),
        SILU,
        TANH,
        SIGMOID,
    ),
    NormTable(Irreps.parse("3x0e+2x0o+1x1e"), SILU, TANH),
    RepulsionTable((1.0, 6.0), (0.31, 0.76), 0.47, 0.23, 14.4, 6, (0.2, 0.8), (3.2, 0.9)),
    SelectTable(Irreps.parse("3x0e+2x1o"), Irreps.parse("5x0e+1x0o")),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: type(table).__name__)
def test_a_table_is_decoded_from_its_words_alone(table):
    encoding = table.encoding.clone()
    assert (encoding.dtype, encoding.device.type, encoding.ndim) == (torch.int64, "cpu", 1)
    table._decoded.clear()
    decoded = type(table).decode(encoding)
    assert decoded == table
    assert decoded is not table
    assert type(table).decode(encoding) is decoded
    assert torch.equal(decoded.encoding, encoding)


def test_copies_and_pickles_of_a_table_have_its_encoding():
    for table in TABLES:
        for copied in (deepcopy(table), pickle.loads(pickle.dumps(table))):
            assert copied == table
            assert torch.equal(copied.encoding, table.encoding)


def test_digests_differ_between_tables_and_classes_and_are_those_of_any_process():
    digests = [int(table.encoding[0]) for table in TABLES]
    assert len(set(digests)) == len(digests)
    assert EdgeBasisTable(3).encoding.tolist() == [-8806324347388121075, 3]
    code = "from tests.kernels.test_tables import TABLES\n"
    code += "print([int(table.encoding[0]) for table in TABLES])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    assert found.strip() == str(digests)


def test_words_of_another_table_are_refused():
    with pytest.raises(ValueError, match=r"no EdgeBasisTable: their digest is -?\d+.*encoding"):
        EdgeBasisTable.decode(SplineTable(1, 1.0, 2).encoding)


def words(table, n, first=0):
    return table.encoding[1 + first : 1 + first + n].tolist()


def test_words_of_a_radial_basis_are_what_they_were_before_the_two_sided_envelope():
    table = RadialBasisTable("gaussian", 5, 4.2, Envelope("cosine"), "basis")
    assert table.encoding.tolist() == [5159226257295686482, 2, 5, 4616414798036126925, 0, 1]
    cutoff = np.float64(4.2).view(np.int64).item()
    jacobi = RadialBasisTable("jacobi", 5, 4.2, Envelope("polynomial", 6), "basis", falling=True)
    assert words(jacobi, 8) == [3, 5, cutoff, 6, 1, 0, 0, 1]
    two_sided = RadialBasisTable("bessel", 5, 4.2, Envelope("two_sided", 3, 2), "weights")
    assert words(two_sided, 8) == [0, 5, cutoff, -1, 0, 3, 2, 0]


def test_words_of_a_convolution_are_its_paths_and_couplings():
    assert words(CONVOLUTION, 7) == [5, 9, 26, 9, 12, 9, 1 + 3 + 3 + 3 + 11]
    # 2l + 1 of input and output; start and channels in h; start in A, channels there; weight
    paths = np.array(words(CONVOLUTION, 45, 7)).reshape(5, 9)
    assert paths[:, :7].tolist() == [
        [1, 1, 0, 3, 0, 5, 0],
        [1, 3, 0, 3, 5, 7, 3],
        [3, 1, 3, 2, 3, 5, 6],
        [3, 3, 3, 2, 8, 7, 8],
        [3, 3, 3, 2, 10, 7, 10],
    ]
    assert paths[:, 7].tolist() == [0, 1, 4, 7, 10]
    assert paths[:, 8].tolist() == [1, 4, 7, 10, 21]
    couplings = np.array(words(CONVOLUTION, 3 * 21, 52)).reshape(-1, 3)
    for (irrep_in, _, out), (*_, first, end) in zip(CONVOLUTION.paths, paths, strict=True):
        of_path = couplings[first:end]
        assert (of_path[:, 1] < irrep_in.dim * out.dim).all()
        norm = of_path[:, 2].copy().view(np.float64)
        assert (norm**2).sum() == pytest.approx(out.dim)


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_words_of_a_product_are_its_coefficients_as_triplets(basis):
    table = product_table(basis)
    head = words(table, 6)
    n_terms, n_coefficients = head[4:]
    assert head[:4] == [9, 4, table.n_weights, 3]
    terms = np.array(words(table, 3 * n_terms, 6)).reshape(-1, 3)
    mixes = np.array(words(table, 4 * n_coefficients, 6 + 3 * n_terms)).reshape(-1, 4)
    values = mixes[:, 3].copy().view(np.float64)
    assert set(mixes[:, 1].tolist()) == set(range(n_terms))
    assert [first for first, n in enumerate(mixes[:, 1]) if n not in mixes[:first, 1]] == sorted(
        {int(np.argmax(mixes[:, 1] == n)) for n in range(n_terms)}
    )
    found = {
        (row, tuple(int(c) for c in terms[term] if c >= 0), path): value
        for (row, term, path, _), value in zip(mixes.tolist(), values, strict=True)
    }
    expected, row, path = {}, 0, 0
    for irrep in table.irreps_out.irreps:
        for order in (1, 2, 3):
            of_order = product_couplings(table.irreps_in.irreps, irrep, order, basis)
            for m, q, eta in np.argwhere(of_order.coefficients):
                factors = tuple(map(int, of_order.monomials[q]))
                expected[row + m, factors, path + eta] = of_order.coefficients[m, q, eta]
            path += of_order.n_paths
        row += irrep.dim
    assert found == expected


def test_words_of_maps_between_irreps_are_their_blocks():
    irreps = Irreps.parse("3x0e+2x1o+1x2e"), Irreps.parse("2x0e+4x1o+1x0o")
    blocks = [1, 0, 3, 0, 2, 0, 3, 3, 2, 2, 4, 6, 1, 0, 0, 14, 1, 14, 5, 9, 1, 0, 0, 14]
    assert words(LinearTable(*irreps), 27) == [4, 14, 15, *blocks]
    selected = SelectTable(Irreps.parse("3x0e+2x1o"), Irreps.parse("1x0o+5x1o"))
    assert words(selected, 8) == [1, 9, 16, 3, 3, 2, 1, 5]


def test_words_of_nonlinearities_are_their_segments():
    silu, tanh, sigmoid = (
        np.float64(of.constant).view(np.int64).item() for of in (SILU, TANH, SIGMOID)
    )
    gate = GateTable(
        Irreps.parse("5x0e+1x0o+2x1o"), Irreps.parse("3x0e+1x0o+2x1o"), SILU, TANH, SIGMOID
    )
    assert words(gate, 3) == [3, 12, 10]
    assert words(gate, 7, 3) == [0, 3, 0, 0, 0, 0, silu]
    assert words(gate, 7, 10) == [0, 1, 5, 0, 3, 1, tanh]
    assert words(gate, 7, 17) == [3, 2, 6, 3, 4, 2, sigmoid]
    norm = NormTable(Irreps.parse("3x0e+1x0o+2x1o"), SILU, TANH)
    assert words(norm, 17) == [
        *(3, 10, 0, 3, 0, 0, silu),
        *(0, 1, 3, 1, tanh),
        *(3, 2, 4, 0, silu),
    ]


def test_density_rows_hold_the_range_of_each_l():
    assert DensityTable.full(2, 3, 8).dim == 9 * 3 * 8
    table = DensityTable(1, 2, ((0, 5), (2, 3)), 5)
    assert words(table, 7) == [1, 5, 2, 0, 5, 2, 3]
    assert table.dim == 2 * 5 + 3 * 2 * 3
