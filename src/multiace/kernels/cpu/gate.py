"""Gated activation in one pass over the rows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.gate import Gate as Definition
from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irrep, Irreps

FUNCTIONS = {"silu": 0, "tanh": 1, "sigmoid": 2}
"""Name of an activation -> `Function` of csrc/elementary.h."""

_GATES: dict[int, Definition] = {}
"""Key within the packed words -> gate, for derivatives by the definition."""

_SCALAR = Irrep(0, 1)


class Arguments(ctypes.Structure):
    """`MultiaceGate` of csrc/gate.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_threads".split()),
        *((name, ctypes.c_void_p) for name in "x cotangent x_dot y x_gradient".split()),
    )


def pack_gate(
    irreps_in: Irreps, irreps_out: Irreps, even: Activation, odd: Activation, gate: Activation
) -> np.ndarray:
    """Lay a gate out as words for the kernel.

    Returns:
        (n_segments, dim_in, dim_out), then 7 words an irrep of the output: 2l + 1 or 0 for
        scalars, channels, starts of x, of the gates and of y, activation, and its constant as the
        bits of a double.
    """
    place_in, place_out = (
        dict(zip(irreps.irreps, accumulate([0, *split_sizes(irreps)]), strict=False))
        for irreps in (irreps_in, irreps_out)
    )
    widths = {irrep: channels for channels, irrep in irreps_out.entries}
    gates = place_in.get(_SCALAR, 0) + widths.get(_SCALAR, 0)
    words = [len(irreps_out.entries), irreps_in.dim, irreps_out.dim]
    for channels, irrep in irreps_out.entries:
        activation = gate if irrep.l else even if irrep == _SCALAR else odd
        constant = int(np.float64(activation.constant).view(np.int64))
        dim, gates_here = (irrep.dim, gates) if irrep.l else (0, 0)
        words += [dim, channels, place_in[irrep], gates_here, place_out[irrep]]
        words += [FUNCTIONS[activation.name], constant]
        gates += channels if irrep.l else 0
    return np.array(words, dtype=np.int64)


class Gate(nn.Module):
    """The gate of `kernels.reference`.

    Args:
        irreps_in: irreps of the input.
        irreps_out: irreps of the output.
        even: activation of even scalars.
        odd: activation of odd scalars; must be odd.
        gate: activation of gates.
    """

    words: Tensor

    def __init__(
        self,
        irreps_in: Irreps,
        irreps_out: Irreps,
        even: Activation,
        odd: Activation,
        gate: Activation,
    ) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.parts = (irreps_in, irreps_out, even, odd, gate)
        from multiace.kernels.tables import GateTable

        self.table = GateTable(*self.parts)
        key = hash(self.parts)
        _GATES[key] = Definition(*self.parts)
        words = torch.from_numpy(np.concatenate([[key], pack_gate(*self.parts)]).astype(np.int64))
        self.register_buffer("words", words, persistent=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make derivatives of a copy or a pickle find their definition."""
        super().__setstate__(state)
        _GATES[int(self.words[0])] = Definition(*self.parts)

    def forward(self, x: Float[Tensor, "nodes dim_in"]) -> Float[Tensor, "nodes dim_out"]:
        """Apply the gate."""
        return gate(x, self.words, self.irreps_out.dim)


def _call(kernel: str, words: Tensor, x: Tensor, **others: Tensor | None) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip(("x", *others), contiguous([x, *others.values()]), strict=True))
    call = Arguments(
        table=words.data_ptr() + 8,  # behind the key
        n_nodes=x.shape[0],
        n_threads=threads(),
        **{name: pointer(tensor) for name, tensor in tensors.items()},
    )
    library().call(f"gate_{kernel}", x.dtype, call)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _fake(x: Tensor, words: Tensor, dim_out: int) -> tuple[Tensor, ...]:
    return (x.new_empty((x.shape[0], dim_out)),)


def _forward(x: Tensor, words: Tensor, dim_out: int) -> tuple[Tensor, ...]:
    (y,) = _fake(x, words, dim_out)
    _call("forward", words, x, y=y)
    return (y,)


def _backward(
    needed: Sequence[bool], cotangent: Tensor, x: Tensor, words: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    if not needed[0]:
        return (x.new_empty(0),)
    gradient = _like(x)
    _call("backward", words, x, cotangent=cotangent, x_gradient=gradient)
    return (gradient,)


def _double_backward(
    needed: Sequence[bool],
    x_dot: Tensor | None,
    cotangent: Tensor,
    x: Tensor,
    words: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    y_dot = _like(cotangent) if needed[0] else None
    gradient = _like(x) if needed[1] else None
    tensors = {"cotangent": cotangent, "x_dot": x_dot, "y": y_dot, "x_gradient": gradient}
    _call("double_backward", words, x, **tensors)
    return tuple(x.new_empty(0) if result is None else result for result in (y_dot, gradient))


def _reference(x: Tensor, words: Tensor, dim_out: int) -> tuple[Tensor, ...]:
    return (_GATES[int(words[0])](x),)


gate = Operation(
    name="gate",
    inputs=("x",),
    constants="Tensor table, int dim_out",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
).register()
