"""The products of A against loops over nodes, couplings and monomials."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_close,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.kernels.reference.polynomial_product import PolynomialProduct
from multiace.kernels.tables import ProductTable
from multiace.o3.irreps import Irreps

# name -> irreps of A, irreps of the message
TABLES = {
    "natural": ("2x0e+2x1o", "2x0e+2x1o"),
    "both_parities": ("1x0e+1x0o+1x1e+1x1o", "1x0e+1x0o+1x1e"),
    "no_scalar_among_the_factors": ("2x1o", "2x0e"),
    "no_product_at_all": ("2x1o", "2x0o"),
    "irrep_of_the_message_that_nothing_gives": ("2x0e", "2x0e+2x1o"),
}
SPECIES = torch.tensor([1, 0, 1])
ELEMENTS = 3


def build(table, correlation, basis):
    irreps_in, irreps_out = (Irreps.parse(text) for text in TABLES[table])
    return ProductTable(irreps_in, irreps_out, correlation, basis)


def build_inputs(table, dtype, species):
    n_nodes, n_elements = (2, 1) if species is None else (len(species), ELEMENTS)
    channels = table.irreps_in.channels[0]
    return [
        random(n_nodes, table.irreps_in.dim, dtype=dtype),
        random(n_elements, table.n_weights, channels, dtype=dtype),
    ]


def assert_is_the_loop(table, dtype, species=None, layout=lambda tensor: tensor):
    kernel = partial(PolynomialProduct(table).to(dtype), species=species)
    loop = partial(loops.polynomial_product, table, species=species)
    inputs = [layout(tensor) for tensor in build_inputs(table, dtype, species)]
    assert_same_to_second_order(kernel, loop, inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("basis", ["reduced", "mace"])
@pytest.mark.parametrize("correlation", [1, 2, 3])
@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_message_is_the_weighted_sum_of_products(dtype, basis, correlation, species):
    assert_is_the_loop(build("natural", correlation, basis), dtype, species)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_message_is_the_weighted_sum_of_products_of_four_factors(dtype, basis):
    assert_is_the_loop(build("no_scalar_among_the_factors", 4, basis), dtype, SPECIES[:1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", TABLES)
def test_message_is_the_weighted_sum_of_products_for_every_table(dtype, table):
    assert_is_the_loop(build(table, 2, "reduced"), dtype, SPECIES[:1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_take_inputs_that_are_not_contiguous(dtype):
    assert_is_the_loop(build("natural", 2, "reduced"), dtype, SPECIES, non_contiguous)


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_derivatives_of_the_products_are_finite_differences(basis):
    table = build("natural", 3, basis)
    kernel = partial(PolynomialProduct(table), species=SPECIES[:1])
    inputs = build_inputs(table, torch.float64, SPECIES[:1])
    variables = tuple(tensor.requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


def test_the_scalar_square_of_a_vector_is_its_length():
    table = ProductTable(Irreps.parse("2x1o"), Irreps.parse("2x0e"), 2, "reduced")
    vectors = random(4, 3, 2)  # nodes, components, channels
    found = PolynomialProduct(table)(
        vectors.flatten(1), torch.ones(1, 1, 2, dtype=torch.float64), None
    )
    assert_close(found, vectors.square().sum(dim=1) / 3**0.5)


def test_a_table_can_be_evaluated_without_nodes():
    table = build("natural", 3, "reduced")
    weights = random(1, table.n_weights, 2)
    found = PolynomialProduct(table)(random(0, table.irreps_in.dim), weights, None)
    assert found.shape == (0, table.irreps_out.dim)
