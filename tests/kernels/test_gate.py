"""The gate against a loop over nodes and components."""

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

from multiace.activation import Activation
from multiace.kernels.tables import GateTable
from multiace.o3.irreps import Irrep, Irreps

# name -> irreps of the input, irreps of the output
GATES = {
    "equal_channels": ("4x0e+2x1o", "2x0e+2x1o"),
    "unequal_channels": ("9x0e+2x1o+3x2e", "4x0e+2x1o+3x2e"),
    "both_parities": ("6x0e+2x0o+1x1e+2x1o", "3x0e+2x0o+1x1e+2x1o"),
    "no_even_scalar_in_the_output": ("3x0e+3x1o", "3x1o"),
    "scalars_only": ("3x0e+2x0o", "3x0e+2x0o"),
    "odd_scalars_only": ("2x0o", "2x0o"),
    "many_channels": ("57x0e+20x1o", "37x0e+20x1o"),
}
EVEN, ODD, GATING = (Activation.of(name) for name in ("silu", "tanh", "sigmoid"))


def build(kernels, name):
    irreps_in, irreps_out = (Irreps.parse(text) for text in GATES[name])
    kernel = kernels.gate(GateTable(irreps_in, irreps_out, EVEN, ODD, GATING))
    return kernel, partial(loops.gate, irreps_in, irreps_out, EVEN, ODD, GATING), irreps_in.dim


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in GATES if name != "odd_scalars_only"])
@pytest.mark.parametrize("layout", [lambda x: x, non_contiguous], ids=["contiguous", "strided"])
def test_gate_multiplies_each_channel_by_its_gate(kernels, dtype, name, layout):
    kernel, loop, dim = build(kernels, name)
    assert_same_to_second_order(kernel, loop, [layout(random(3, dim, dtype=dtype))])


@pytest.mark.parametrize("name", GATES)
def test_derivatives_of_the_gate_are_finite_differences(kernels, name):
    kernel, _, dim = build(kernels, name)
    x = random(2, dim).requires_grad_()
    assert torch.autograd.gradcheck(kernel, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, x, fast_mode=True)


def test_odd_scalars_need_no_gate(kernels):
    kernel, _, _ = build(kernels, "odd_scalars_only")
    x = random(3, 2)
    assert_close(kernel(x), torch.tanh(x) * ODD.constant)


def test_gate_of_the_first_entry_follows_the_even_scalars(kernels):
    kernel, _, dim = build(kernels, "unequal_channels")
    x = random(1, dim)
    changed = x.clone()
    changed[0, 4] += 1.0  # 4 scalars, then the first gate of 1o
    difference = kernel(changed) - kernel(x)
    assert difference.nonzero()[:, 1].tolist() == [4, 6, 8]  # channel 0 of 2x1o, 3 components


def test_gate_of_no_nodes(kernels):
    kernel, _, dim = build(kernels, "equal_channels")
    x = torch.zeros(0, dim, requires_grad=True)
    assert kernel(x).shape == (0, 8)
    assert torch.autograd.grad(kernel(x).sum(), x)[0].shape == (0, dim)


def test_third_derivatives_of_the_gate(kernels):
    kernel, loop, dim = build(kernels, "unequal_channels")
    assert_same_to_order(3, kernel, loop, [random(3, dim)])


ROUNDING = {torch.float32: 4 * 2.0**-23, torch.float64: 4 * 2.0**-52}
EXTREMES = [0.0, -0.0, 1e-30, 80.0, -80.0, 88.5, -88.5, 100.0, -100.0, 800.0, -800.0, 1e30, -1e30]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["silu", "tanh", "sigmoid"])
def test_activations_are_exact_to_rounding_everywhere(kernels, dtype, name):
    wide = torch.cat([torch.linspace(-95, 95, 4001), torch.linspace(-2, 2, 4001)]).double()
    x = torch.cat([wide, torch.tensor(EXTREMES, dtype=torch.float64)]).to(dtype).unsqueeze(0)
    scalars = Irreps.of(x.shape[1], [Irrep(0, 1)])
    plain = Activation(name, 1.0)
    found = kernels.gate(GateTable(scalars, scalars, plain, plain, plain))(x)
    expected = plain(x.double())
    tiny = torch.finfo(dtype).tiny * x.double().abs().clamp(min=1.0)  # e^x may underflow
    assert ((found - expected).abs() <= ROUNDING[dtype] * expected.abs() + tiny).all()


@pytest.mark.parametrize("name", ["silu", "tanh", "sigmoid"])
def test_activations_pass_on_what_is_not_finite(kernels, name):
    x = torch.tensor([[torch.nan, torch.inf, -torch.inf, 1.0]])
    scalars = Irreps.of(4, [Irrep(0, 1)])
    plain = Activation(name, 1.0)
    found = kernels.gate(GateTable(scalars, scalars, plain, plain, plain))(x)
    torch.testing.assert_close(found, plain(x), equal_nan=True)
