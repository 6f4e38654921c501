"""Distances and spherical harmonics of edges, several edges at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.operations.edge_basis import fake


class Arguments(ctypes.Structure):
    """`MultiaceEdgeBasis` of csrc/edge_basis.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "l_max n_edges n_threads".split()),
        *((name, ctypes.c_void_p) for name in "vectors vectors_dot".split()),
        *((f"{name}_cotangent", ctypes.c_void_p) for name in "distances harmonics".split()),
        *((name, ctypes.c_void_p) for name in "distances harmonics vectors_gradient".split()),
    )


def _call(kernel: str, l_max: int, vectors: Tensor, **others: Tensor | None) -> None:
    """Run a kernel; `others` are operands and results, which are contiguous."""
    tensors = dict(zip(("vectors", *others), contiguous([vectors, *others.values()]), strict=True))
    call = Arguments(
        l_max=l_max,
        n_edges=vectors.shape[0],
        n_threads=threads(),
        **{name: pointer(tensor) for name, tensor in tensors.items()},
    )
    library().call(f"edge_basis_{kernel}", vectors.dtype, call)


def _forward(vectors: Tensor, table: Tensor, l_max: int) -> tuple[Tensor, ...]:
    distances, harmonics = fake(vectors, table, l_max)
    _call("forward", l_max, vectors, distances=distances, harmonics=harmonics)
    return distances, harmonics


def _backward(
    needed: Sequence[bool],
    distances_cotangent: Tensor,
    harmonics_cotangent: Tensor,
    vectors: Tensor,
    table: Tensor,
    l_max: int,
) -> tuple[Tensor, ...]:
    if not needed[0]:
        return (vectors.new_empty(0),)
    gradient = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    _call(
        "backward",
        l_max,
        vectors,
        distances_cotangent=distances_cotangent,
        harmonics_cotangent=harmonics_cotangent,
        vectors_gradient=gradient,
    )
    return (gradient,)


def _double_backward(
    needed: Sequence[bool],
    vectors_dot: Tensor | None,
    distances_cotangent: Tensor,
    harmonics_cotangent: Tensor,
    vectors: Tensor,
    table: Tensor,
    l_max: int,
) -> tuple[Tensor, ...]:
    gradient = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    results = [
        result if wanted else None
        for result, wanted in zip((*fake(vectors, table, l_max), gradient), needed, strict=True)
    ]
    _call(
        "double_backward",
        l_max,
        vectors,
        vectors_dot=vectors_dot,
        distances_cotangent=distances_cotangent,
        harmonics_cotangent=harmonics_cotangent,
        distances=results[0],
        harmonics=results[1],
        vectors_gradient=results[2],
    )
    return tuple(vectors.new_empty(0) if result is None else result for result in results)


PASSES = Passes(_forward, _backward, _double_backward)
