"""Equivariant linear maps on flat rows, nothing split or copied."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.tables import LinearTable


class Arguments(ctypes.Structure):
    """`MultiaceLinear` of csrc/linear.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_elements n_threads accumulate".split()),
        *((name, ctypes.c_void_p) for name in "species x weights y packed".split()),
    )


_PANEL = 32
"""Columns that packed matrices are padded to, at most; see csrc/linear.h."""


def pack_weights(
    table: LinearTable, weights: Tensor, n_elements: int, *, transposed: bool
) -> Tensor:
    """Lay the matrices of a map out in the order in which a product reads them.

    Args:
        table: irreps.
        weights: all matrices, irrep after irrep of y, each (elements, c, d).
        n_elements: number of matrices for each irrep.
        transposed: for y W^T instead of x W.
    """
    ends = (table.irreps_in, table.irreps_out)
    inner, columns = reversed(ends) if transposed else ends
    heights = {irrep: channels for channels, irrep in inner.entries}
    padded = ((irrep, math.ceil(n / _PANEL) * _PANEL) for n, irrep in columns.entries)
    size = sum(heights.get(irrep, 0) * width for irrep, width in padded)
    packed, weights = weights.new_empty(n_elements * size), weights.contiguous()
    call = Arguments(table=words_of(table.encoding), n_elements=n_elements)
    call.weights, call.packed = pointer(weights), pointer(packed)
    name = "linear_pack_transposed" if transposed else "linear_pack_forward"
    library().call(name, weights.dtype, call)
    return packed


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _multiply(
    product: str,
    constants: Sequence,
    *,
    x: Tensor,
    weights: Tensor,
    y: Tensor,
    accumulate: bool = False,
) -> None:
    """Write the product of two operands into the third: y (`forward`), x (`transposed`), weights.

    The third is contiguous and stays where it is; `accumulate` adds to it.
    """
    species, table, _, n_elements = constants
    kept = contiguous([species, x, weights, y])
    call = Arguments(
        words_of(table), x.shape[0], n_elements, threads(), accumulate, *map(pointer, kept)
    )
    library().call(f"linear_{product}", x.dtype, call)


def _forward(x: Tensor, weights: Tensor, *constants) -> tuple[Tensor, ...]:
    y = x.new_empty((x.shape[0], constants[2]))
    _multiply("forward", constants, x=x, weights=weights, y=y)
    return (y,)


def _backward(
    needed: Sequence[bool],
    cotangent: Tensor,
    x: Tensor,
    weights: Tensor,
    *constants,
) -> tuple[Tensor, ...]:
    to_x = _like(x) if needed[0] else x.new_empty(0)
    to_weights = _like(weights) if needed[1] else x.new_empty(0)
    if needed[0]:
        _multiply("transposed", constants, x=to_x, weights=weights, y=cotangent)
    if needed[1]:
        _multiply("outer", constants, x=x, weights=to_weights, y=cotangent)
    return to_x, to_weights


def _double_backward(
    needed: Sequence[bool],
    x_dot: Tensor | None,
    weights_dot: Tensor | None,
    cotangent: Tensor,
    x: Tensor,
    weights: Tensor,
    *constants,
) -> tuple[Tensor, ...]:
    y_dot = _like(cotangent) if needed[0] else x.new_empty(0)
    to_x = _like(x) if needed[1] else x.new_empty(0)
    to_weights = _like(weights) if needed[2] else x.new_empty(0)
    if x_dot is None:
        to_weights.zero_()
    else:
        if needed[0]:
            _multiply("forward", constants, x=x_dot, weights=weights, y=y_dot)
        if needed[2]:
            _multiply("outer", constants, x=x_dot, weights=to_weights, y=cotangent)
    if weights_dot is None:
        to_x.zero_()
    else:
        if needed[0]:
            add = x_dot is not None
            _multiply("forward", constants, x=x, weights=weights_dot, y=y_dot, accumulate=add)
        if needed[1]:
            _multiply("transposed", constants, x=to_x, weights=weights_dot, y=cotangent)
    return y_dot, to_x, to_weights


PASSES = Passes(_forward, _backward, _double_backward)
