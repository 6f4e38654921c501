"""Linear maps against loops over nodes, components and channels."""

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_same_to_order,
    assert_same_to_second_order,
    non_contiguous,
    random,
)
from tests.kernels.compiled import needs_compiled

from multiace.kernels.cpu.library import KernelLibraryError
from multiace.kernels.dispatch import select_kernels
from multiace.kernels.tables import LinearTable
from multiace.o3.irreps import Irreps

# name -> irreps of x, irreps of y
MAPS = {
    "equal_channels": ("3x0e+3x1o", "3x0e+3x1o"),
    "unequal_channels": ("3x0e+2x1o+1x2e", "2x0e+4x1o+1x2e"),
    "both_parities": ("2x0e+1x0o+2x1e+1x1o", "1x0e+2x0o+1x1e+2x1o"),
    "irrep_that_x_lacks": ("2x0e", "2x0e+3x1o"),
    "irrep_that_y_lacks": ("2x0e+3x1o", "2x0e"),
    "other_order": ("2x0e+3x1o", "1x1o+2x0e"),
    "many_channels": ("20x0e+37x1o", "33x0e+20x1o"),
}
SPECIES = torch.tensor([2, 0, 2])  # element 1 is absent
ELEMENTS = 3


def build(kernels, name, n_nodes, dtype, species):
    irreps_in, irreps_out = (Irreps.parse(text) for text in MAPS[name])
    copies = () if species is None else (ELEMENTS,)
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    irreps = [str(irrep) for irrep in irreps_out.irreps if irrep in width]
    weights = [
        random(*copies, width[irrep], channels, dtype=dtype)
        for channels, irrep in irreps_out.entries
        if irrep in width
    ]
    map_ = kernels.linear(LinearTable(irreps_in, irreps_out))
    factors = {irrep: 1.5 - n for n, irrep in enumerate(irreps)}

    def kernel(x, *w):
        return map_(x, dict(zip(irreps, w, strict=True)), species, factors)

    def loop(x, *w):
        scaled = {irrep: factors[irrep] * m for irrep, m in zip(irreps, w, strict=True)}
        return loops.linear(irreps_in, irreps_out, x, scaled, species)

    return kernel, loop, [random(n_nodes, irreps_in.dim, dtype=dtype), *weights]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_linear_map_mixes_the_channels_of_each_irrep(kernels, dtype, name, species):
    kernel, loop, inputs = build(kernels, name, len(SPECIES), dtype, species)
    assert_same_to_second_order(kernel, loop, inputs)


def test_without_factors_matrices_are_taken_as_they_are(kernels):
    irreps = Irreps.parse("2x0e+3x1o")
    map_, x = (
        kernels.linear(LinearTable(irreps, irreps)),
        random(4, irreps.dim, dtype=torch.float64),
    )
    weights = {"0e": torch.eye(2).double(), "1o": torch.eye(3).double()}
    assert torch.equal(map_(x, weights), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("species", [None, SPECIES[:1]], ids=["shared", "per_element"])
def test_linear_map_of_one_node(kernels, dtype, species):
    assert_same_to_second_order(*build(kernels, "unequal_channels", 1, dtype, species))


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_map_takes_inputs_that_are_not_contiguous(kernels, dtype):
    kernel, loop, inputs = build(kernels, "unequal_channels", len(SPECIES), dtype, SPECIES)
    assert_same_to_second_order(kernel, loop, [non_contiguous(tensor) for tensor in inputs])


@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_derivatives_of_the_linear_map_are_finite_differences(kernels, species):
    kernel, _, inputs = build(kernels, "unequal_channels", len(SPECIES), torch.float64, species)
    variables = tuple(tensor.requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


def test_an_irrep_that_x_lacks_is_zero(kernels):
    kernel, _, inputs = build(kernels, "irrep_that_x_lacks", 2, torch.float64, None)
    y = kernel(*inputs)
    assert (y[:, :2] != 0).all()
    assert (y[:, 2:] == 0).all()


def test_linear_map_of_no_nodes(kernels):
    kernel, _, (x, *weights) = build(kernels, "unequal_channels", 0, torch.float64, None)
    y = kernel(x, *(weight.requires_grad_() for weight in weights))
    assert y.shape == (0, 19)
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(y.sum(), weights))


def test_third_derivatives_of_the_linear_map(kernels):
    kernel, loop, inputs = build(kernels, "unequal_channels", 3, torch.float64, SPECIES)
    cube = [lambda *tensors, of=of: of(*tensors) ** 3 for of in (kernel, loop)]
    assert_same_to_order(3, *cube, inputs)


def test_an_element_that_the_weights_lack_is_refused(kernels):
    kernel, _, inputs = build(kernels, "equal_channels", 1, torch.float64, SPECIES[:1] + 5)
    with pytest.raises((IndexError, KernelLibraryError), match="index"):
        kernel(*inputs)


@needs_compiled
@pytest.mark.parametrize("species", [None, SPECIES.repeat(20)], ids=["shared", "per_element"])
def test_linear_map_is_the_same_whatever_the_threads(species):
    kernel, _, inputs = build(select_kernels(), "many_channels", 60, torch.float32, species)
    variables = [tensor.requires_grad_() for tensor in inputs]
    found = []
    for n_threads in (1, 2, 5):
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        y = kernel(*variables)
        found.append([y, *torch.autograd.grad(y.square().sum(), variables)])
        torch.set_num_threads(before)
    for of_more in found[1:]:
        for one, more in zip(found[0], of_more, strict=True):
            assert torch.equal(one, more)


@needs_compiled
@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_gradients_of_gradients_that_vanish_are_not_computed(species):
    kernel, _, inputs = build(select_kernels(), "equal_channels", 3, torch.float64, species)
    x, *weights = variables = [tensor.requires_grad_() for tensor in inputs]
    (slope,) = torch.autograd.grad(kernel(*variables).sum(), x, create_graph=True)
    by_x, *by_weights = torch.autograd.grad(slope.square().sum(), variables, allow_unused=True)
    assert by_x is None
    assert all(gradient.any() for gradient in by_weights)
    assert len(by_weights) == len(weights)
