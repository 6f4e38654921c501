"""The products of A against loops over nodes, couplings and monomials."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_close,
    assert_same_to_order,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.kernels.cpu.library import KernelLibraryError
from multiace.kernels.dispatch import REFERENCE
from multiace.kernels.operations.polynomial_product import PolynomialProduct
from multiace.kernels.tables import ProductTable
from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irreps

# name -> irreps of A, irreps of the message
TABLES = {
    "natural": ("2x0e+2x1o", "2x0e+2x1o"),
    "both_parities": ("1x0e+1x0o+1x1e+1x1o", "1x0e+1x0o+1x1e"),
    "no_scalar_among_the_factors": ("2x1o", "2x0e"),
    "no_product_at_all": ("2x1o", "2x0o"),
    "irrep_of_the_message_that_nothing_gives": ("2x0e", "2x0e+2x1o"),
}
SPECIES = torch.tensor([1, 0, 1])  # element 2 is absent
ELEMENTS = 3
MANY = torch.tensor([2, 0, 0, 2, 0] * 9 + [2] * 20)


def build(table, correlation, basis):
    irreps_in, irreps_out = (Irreps.parse(text) for text in TABLES[table])
    return ProductTable(irreps_in, irreps_out, correlation, basis)


def build_inputs(table, dtype, species):
    n_nodes, n_elements = (2, 1) if species is None else (len(species), ELEMENTS)
    return [
        random(n_nodes, table.irreps_in.dim, dtype=dtype),
        random(n_elements, table.n_weights, table.lanes, dtype=dtype),
    ]


def assert_is_the_loop(kernels, table, dtype, species=None, layout=lambda tensor: tensor):
    kernel = partial(kernels.polynomial_product(table).to(dtype), species=species)
    loop = partial(loops.polynomial_product, table, species=species)
    inputs = [layout(tensor) for tensor in build_inputs(table, dtype, species)]
    assert_same_to_second_order(kernel, loop, inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("basis", ["reduced", "mace"])
@pytest.mark.parametrize("correlation", [1, 2, 3])
@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_message_is_the_weighted_sum_of_products(kernels, dtype, basis, correlation, species):
    assert_is_the_loop(kernels, build("natural", correlation, basis), dtype, species)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_message_is_the_weighted_sum_of_products_of_four_factors(kernels, dtype, basis):
    assert_is_the_loop(kernels, build("no_scalar_among_the_factors", 4, basis), dtype, SPECIES[:1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", TABLES)
def test_message_is_the_weighted_sum_of_products_for_every_table(kernels, dtype, table):
    assert_is_the_loop(kernels, build(table, 2, "reduced"), dtype, SPECIES[:1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_take_inputs_that_are_not_contiguous(kernels, dtype):
    assert_is_the_loop(kernels, build("natural", 2, "reduced"), dtype, SPECIES, non_contiguous)


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_derivatives_of_the_products_are_finite_differences(kernels, basis):
    table = build("natural", 3, basis)
    kernel = partial(kernels.polynomial_product(table), species=SPECIES[:1])
    inputs = build_inputs(table, torch.float64, SPECIES[:1])
    variables = tuple(tensor.requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("irreps_out", ["1x0e", "2x0e+3x1o"])
@pytest.mark.parametrize("species", [None, SPECIES, MANY], ids=["shared", "per_element", "many"])
def test_compiled_products_of_any_channels_are_their_definition(
    compiled, dtype, irreps_out, species
):
    irreps = (Irreps.parse("6x0e+4x1o+2x2e"), Irreps.parse(irreps_out))
    degree = TotalDegree((3.0, 5.0, 6.0), 1.0)
    table = ProductTable(*irreps, 3, total_degree=degree, n_types=2)
    functions = [
        partial(of(table).to(dtype), species=species)
        for of in (compiled.polynomial_product, PolynomialProduct)
    ]
    assert_same_to_second_order(*functions, build_inputs(table, dtype, species))


def test_the_scalar_square_of_a_vector_is_its_length(kernels):
    table = ProductTable(Irreps.parse("2x1o"), Irreps.parse("2x0e"), 2, "reduced")
    vectors = random(4, 3, 2)  # nodes, components, channels
    found = kernels.polynomial_product(table)(
        vectors.flatten(1), torch.ones(1, 1, 2, dtype=torch.float64), None
    )
    assert_close(found, vectors.square().sum(dim=1) / 3**0.5)


def test_a_table_can_be_evaluated_without_nodes(kernels):
    table = build("natural", 3, "reduced")
    weights = random(1, table.n_weights, 2)
    found = kernels.polynomial_product(table)(random(0, table.irreps_in.dim), weights, None)
    assert found.shape == (0, table.irreps_out.dim)


def test_gradients_of_no_nodes_are_zero(kernels):
    table = build("natural", 3, "reduced")
    weights = random(2, table.n_weights, 2).requires_grad_()
    found = kernels.polynomial_product(table)(
        random(0, table.irreps_in.dim), weights, torch.empty(0, dtype=torch.int64)
    )
    (gradient,) = torch.autograd.grad(found.sum(), weights)
    assert (gradient == 0).all()


def test_third_derivatives_of_the_products(kernels):
    table = build("natural", 3, "reduced")
    kernel = partial(kernels.polynomial_product(table), species=SPECIES)
    loop = partial(loops.polynomial_product, table, species=SPECIES)
    inputs = build_inputs(table, torch.float64, SPECIES)
    assert_same_to_order(3, kernel, loop, inputs)


def test_an_element_without_weights_is_refused(kernels):
    table = build("natural", 2, "reduced")
    features, weights = build_inputs(table, torch.float64, SPECIES[:1])
    with pytest.raises((IndexError, KernelLibraryError), match="index"):
        kernels.polynomial_product(table)(features, weights, SPECIES[:1] + ELEMENTS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 8, 16, 20, 33])
@pytest.mark.parametrize("species", [None, MANY], ids=["shared", "per_element"])
def test_vectors_may_hold_several_nodes_or_some_channels(compiled, dtype, channels, species):
    text = f"{channels}x0e+{channels}x1o+{channels}x2e", f"{channels}x0e+{channels}x1o"
    table = ProductTable(*map(Irreps.parse, text), correlation=3, basis="mace")
    features = random(len(MANY), table.irreps_in.dim, dtype=dtype)
    weights = random(1 if species is None else ELEMENTS, table.n_weights, channels, dtype=dtype)
    fused, defined = (
        partial(kernels.polynomial_product(table).to(dtype), species=species)
        for kernels in (compiled, REFERENCE)
    )
    assert_same_to_second_order(fused, defined, (features, 0.1 * weights))


@pytest.mark.parametrize("channels", [1, 20])
def test_threads_change_sums_over_nodes_only_and_repeat_them(compiled, channels):
    text = f"{channels}x0e+{channels}x1o", f"{channels}x0e+{channels}x1o"
    table = ProductTable(*map(Irreps.parse, text), correlation=3, basis="reduced")
    kernel = compiled.polynomial_product(table)
    features = random(500, table.irreps_in.dim, dtype=torch.float32).requires_grad_()
    weights = random(2, table.n_weights, channels, dtype=torch.float32).requires_grad_()
    species = torch.arange(500) // 400
    before = torch.get_num_threads()
    found = []
    for n_threads in (1, 2, 2, 5, 5):
        torch.set_num_threads(n_threads)
        product = kernel(features, weights, species)
        found.append([product, *torch.autograd.grad(product.square().sum(), [features, weights])])
    torch.set_num_threads(before)
    for of_more in found[1:]:
        assert torch.equal(found[0][0], of_more[0])
        assert torch.equal(found[0][1], of_more[1])
        assert_close(of_more[2], found[0][2])
    assert torch.equal(found[1][2], found[2][2])
    assert torch.equal(found[3][2], found[4][2])


def test_tensors_of_other_shapes_or_precision_are_refused(compiled):
    kernel = compiled.polynomial_product(build("natural", 2, "reduced"))
    features, weights = build_inputs(kernel.table, torch.float64, None)
    shapes = r"weights \(1, 4, 2\); they must be \(nodes, 8\) and \(elements, 5, 2\)"
    with pytest.raises(ValueError, match=shapes):
        kernel(features, weights[:, 1:], None)
    with pytest.raises(ValueError, match=r"features are \(2, 7\)"):
        kernel(features[:, 1:], weights, None)
    with pytest.raises(ValueError, match=r"torch.float64, weights torch.float32"):
        kernel(features, weights.float(), None)
