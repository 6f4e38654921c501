"""Gated activation in one pass over the rows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes


class Arguments(ctypes.Structure):
    """`MultiaceGate` of csrc/gate.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_threads".split()),
        *((name, ctypes.c_void_p) for name in "x cotangent x_dot y x_gradient".split()),
    )


def _call(kernel: str, table: Tensor, x: Tensor, **others: Tensor | None) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip(("x", *others), contiguous([x, *others.values()]), strict=True))
    call = Arguments(
        table=words_of(table),
        n_nodes=x.shape[0],
        n_threads=threads(),
        **{name: pointer(tensor) for name, tensor in tensors.items()},
    )
    library().call(f"gate_{kernel}", x.dtype, call)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _forward(x: Tensor, table: Tensor, dim_out: int) -> tuple[Tensor, ...]:
    y = x.new_empty((x.shape[0], dim_out))
    _call("forward", table, x, y=y)
    return (y,)


def _backward(
    needed: Sequence[bool], cotangent: Tensor, x: Tensor, table: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    if not needed[0]:
        return (x.new_empty(0),)
    gradient = _like(x)
    _call("backward", table, x, cotangent=cotangent, x_gradient=gradient)
    return (gradient,)


def _double_backward(
    needed: Sequence[bool],
    x_dot: Tensor | None,
    cotangent: Tensor,
    x: Tensor,
    table: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    y_dot = _like(cotangent) if needed[0] else None
    gradient = _like(x) if needed[1] else None
    tensors = {"cotangent": cotangent, "x_dot": x_dot, "y": y_dot, "x_gradient": gradient}
    _call("double_backward", table, x, **tensors)
    return tuple(x.new_empty(0) if result is None else result for result in (y_dot, gradient))


PASSES = Passes(_forward, _backward, _double_backward)
