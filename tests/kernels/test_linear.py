"""Linear maps against loops over nodes, components and channels."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.kernels.reference.linear import Linear
from multiace.o3.irreps import Irreps

# name -> irreps of x, irreps of y
MAPS = {
    "equal_channels": ("3x0e+3x1o", "3x0e+3x1o"),
    "unequal_channels": ("3x0e+2x1o+1x2e", "2x0e+4x1o+1x2e"),
    "both_parities": ("2x0e+1x0o+2x1e+1x1o", "1x0e+2x0o+1x1e+2x1o"),
    "irrep_that_x_lacks": ("2x0e", "2x0e+3x1o"),
    "irrep_that_y_lacks": ("2x0e+3x1o", "2x0e"),
    "other_order": ("2x0e+3x1o", "1x1o+2x0e"),
}
SPECIES = torch.tensor([2, 0, 2])
ELEMENTS = 3


def build(name, n_nodes, dtype, species):
    irreps_in, irreps_out = (Irreps.parse(text) for text in MAPS[name])
    copies = () if species is None else (ELEMENTS,)
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    irreps = [str(irrep) for irrep in irreps_out.irreps if irrep in width]
    weights = [
        random(*copies, width[irrep], channels, dtype=dtype)
        for channels, irrep in irreps_out.entries
        if irrep in width
    ]
    map_ = Linear(irreps_in, irreps_out)

    def of(function):
        return lambda x, *w: function(x, dict(zip(irreps, w, strict=True)), species)

    inputs = [random(n_nodes, irreps_in.dim, dtype=dtype), *weights]
    return of(map_), of(partial(loops.linear, irreps_in, irreps_out)), inputs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_linear_map_mixes_the_channels_of_each_irrep(dtype, name, species):
    kernel, loop, inputs = build(name, len(SPECIES), dtype, species)
    assert_same_to_second_order(kernel, loop, inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("species", [None, SPECIES[:1]], ids=["shared", "per_element"])
def test_linear_map_of_one_node(dtype, species):
    assert_same_to_second_order(*build("unequal_channels", 1, dtype, species))


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_map_takes_inputs_that_are_not_contiguous(dtype):
    kernel, loop, inputs = build("unequal_channels", len(SPECIES), dtype, SPECIES)
    assert_same_to_second_order(kernel, loop, [non_contiguous(tensor) for tensor in inputs])


@pytest.mark.parametrize("species", [None, SPECIES], ids=["shared", "per_element"])
def test_derivatives_of_the_linear_map_are_finite_differences(species):
    kernel, _, inputs = build("unequal_channels", len(SPECIES), torch.float64, species)
    variables = tuple(tensor.requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


def test_an_irrep_that_x_lacks_is_zero():
    kernel, _, inputs = build("irrep_that_x_lacks", 2, torch.float64, None)
    y = kernel(*inputs)
    assert (y[:, :2] != 0).all()
    assert (y[:, 2:] == 0).all()
