"""Hidden layers of radial functions, a block of edges in the cache at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.operations.radial_network import RADIAL_NETWORK, fake
from multiace.kernels.tables import RadialNetworkTable
from multiace.kernels.tables.encoding import FUNCTIONS

_INPUTS = RADIAL_NETWORK.inputs


class Arguments(ctypes.Structure):
    """`MultiaceRadialNetwork` of csrc/radial_network.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows n_layers n_threads".split()),
        ("widths", ctypes.c_void_p),
        ("function", ctypes.c_int64),
        ("constant", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        ("cotangent", ctypes.c_void_p),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("features", ctypes.c_void_p),
        ("features_dot", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


def fixed(table: RadialNetworkTable, encoding: Tensor) -> dict[str, Any]:
    """Return the arguments that a table and its encoding say; widths point into the latter."""
    return {
        "n_layers": len(table.widths) - 1,
        "function": FUNCTIONS.index(table.activation.name),
        "constant": table.activation.constant,
        "widths": words_of(encoding) + 3 * encoding.itemsize,
    }


def _call(kernel: str, inputs: Sequence[Tensor], table: Tensor, **others: Tensor | None) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip((*_INPUTS, *others), contiguous([*inputs, *others.values()]), strict=True))
    call = Arguments(
        n_rows=inputs[0].shape[0],
        n_threads=threads(),
        **fixed(RadialNetworkTable.decode(table), table),
        **{name: t.data_ptr() for name, t in tensors.items() if t is not None and t.numel()},
    )
    library().call(f"radial_network_{kernel}", inputs[0].dtype, call)


def _forward(*arguments) -> tuple[Tensor, ...]:
    (features,) = fake(*arguments)
    _call("forward", arguments[:4], arguments[4], features=features)
    return (features,)


def _gradients(inputs: Sequence[Tensor], needed: Sequence[bool]) -> dict[str, Tensor]:
    """Arrays for the gradients that are needed."""
    return {
        f"{name}_gradient": torch.empty_like(x, memory_format=torch.contiguous_format)
        if wanted
        else x.new_empty(0)
        for name, x, wanted in zip(_INPUTS, inputs, needed, strict=True)
    }


def _backward(needed: Sequence[bool], cotangent: Tensor, *arguments) -> tuple[Tensor, ...]:
    inputs = arguments[:4]
    results = _gradients(inputs, needed)
    _call("backward", inputs, arguments[4], cotangent=cotangent, **results)
    return tuple(results.values())


def _double_backward(needed: Sequence[bool], *arguments) -> tuple[Tensor, ...]:
    dots, cotangent, inputs = arguments[:4], arguments[4], arguments[5:9]
    of_inputs = {f"{name}_dot": dot for name, dot in zip(_INPUTS, dots, strict=True)}
    features = torch.empty_like(cotangent, memory_format=torch.contiguous_format)
    results = {"features": features if needed[0] else cotangent.new_empty(0)}
    results |= _gradients(inputs, needed[1:])
    _call("double_backward", inputs, arguments[9], cotangent=cotangent, **of_inputs, **results)
    return tuple(results.values())


PASSES = Passes(_forward, _backward, _double_backward)
