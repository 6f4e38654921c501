"""Matrices of a map one after the other in a row, each times its factor."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer


class Arguments(ctypes.Structure):
    """`MultiaceFlatWeights` of csrc/flat_weights.h, field by field."""

    _fields_ = (
        ("n_matrices", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in "sizes factors matrices flat".split()),
    )


@lru_cache
def _in_c(sizes: tuple[int, ...], factors: tuple[float, ...]) -> tuple[Any, Any]:
    n = len(sizes)
    return (ctypes.c_int64 * n)(*sizes), (ctypes.c_double * n)(*factors)


def _call(kernel: str, matrices: Sequence[Tensor], factors: Sequence[float], flat: Tensor) -> None:
    n = len(matrices)
    sizes, of_matrices = _in_c(tuple([matrix.numel() for matrix in matrices]), tuple(factors))
    pointers = (ctypes.c_void_p * n)(*[matrix.data_ptr() for matrix in matrices])
    addresses = map(ctypes.addressof, (sizes, of_matrices, pointers))
    library().call(f"flat_weights_{kernel}", flat.dtype, Arguments(n, *addresses, pointer(flat)))


def join(matrices: Sequence[Tensor], factors: Sequence[float]) -> tuple[Tensor]:
    """Return a_k W_k in a row."""
    kept: list[Any] = contiguous(matrices)
    flat = matrices[0].new_empty(sum([matrix.numel() for matrix in matrices]))
    _call("join", kept, factors, flat)
    return (flat,)


def part(flat: Tensor, like: Sequence[Tensor], factors: Sequence[float]) -> list[Tensor]:
    """Return a_k w_k in the shapes of the matrices: the gradients by them."""
    parts = [flat.new_empty(matrix.shape) for matrix in like]
    _call("part", parts, factors, flat.contiguous())
    return parts
