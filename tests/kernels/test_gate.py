"""The gate against a loop over nodes and components."""

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

from multiace.activation import Activation
from multiace.kernels.reference.gate import Gate
from multiace.o3.irreps import Irreps

# name -> irreps of the input, irreps of the output
GATES = {
    "equal_channels": ("4x0e+2x1o", "2x0e+2x1o"),
    "unequal_channels": ("9x0e+2x1o+3x2e", "4x0e+2x1o+3x2e"),
    "both_parities": ("6x0e+2x0o+1x1e+2x1o", "3x0e+2x0o+1x1e+2x1o"),
    "no_even_scalar_in_the_output": ("3x0e+3x1o", "3x1o"),
    "scalars_only": ("3x0e+2x0o", "3x0e+2x0o"),
    "odd_scalars_only": ("2x0o", "2x0o"),
}
EVEN, ODD, GATING = (Activation.of(name) for name in ("silu", "tanh", "sigmoid"))


def build(name):
    irreps_in, irreps_out = (Irreps.parse(text) for text in GATES[name])
    kernel = Gate(irreps_in, irreps_out, EVEN, ODD, GATING)
    return kernel, partial(loops.gate, irreps_in, irreps_out, EVEN, ODD, GATING), irreps_in.dim


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in GATES if name != "odd_scalars_only"])
@pytest.mark.parametrize("layout", [lambda x: x, non_contiguous], ids=["contiguous", "strided"])
def test_gate_multiplies_each_channel_by_its_gate(dtype, name, layout):
    kernel, loop, dim = build(name)
    assert_same_to_second_order(kernel, loop, [layout(random(3, dim, dtype=dtype))])


@pytest.mark.parametrize("name", GATES)
def test_derivatives_of_the_gate_are_finite_differences(name):
    kernel, _, dim = build(name)
    x = random(2, dim).requires_grad_()
    assert torch.autograd.gradcheck(kernel, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, x, fast_mode=True)


def test_odd_scalars_need_no_gate():
    kernel, _, _ = build("odd_scalars_only")
    x = random(3, 2)
    assert_close(kernel(x), torch.tanh(x) * ODD.constant)


def test_gate_of_the_first_entry_follows_the_even_scalars():
    kernel, _, dim = build("unequal_channels")
    x = random(1, dim)
    changed = x.clone()
    changed[0, 4] += 1.0  # 4 scalars, then the first gate of 1o
    difference = kernel(changed) - kernel(x)
    assert difference.nonzero()[:, 1].tolist() == [4, 6, 8]  # channel 0 of 2x1o, 3 components
