"""The density of neighbours of each element."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.operations.neighbour_density import NEIGHBOUR_DENSITY

_INPUTS = NEIGHBOUR_DENSITY.inputs


class Arguments(ctypes.Structure):
    """`MultiaceNeighbourDensity` of csrc/neighbour_density.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_edges n_pairs n_threads".split()),
        *((name, ctypes.c_void_p) for name in "edge_types receivers pairs".split()),
        *((name, ctypes.c_void_p) for name in (*_INPUTS, "cotangent")),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("density", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


def _call(kernel: str, constants: Sequence[Any], **tensors: Tensor | None) -> None:
    """Run a kernel on operands and results."""
    edge_types, receivers, pairs, table, n_nodes, _ = constants
    named = {"edge_types": edge_types, "receivers": receivers, "pairs": pairs, **tensors}
    kept = dict(zip(named, contiguous(list(named.values())), strict=True))
    harmonics, hidden = tensors["harmonics"], tensors["hidden"]
    assert harmonics is not None
    assert hidden is not None
    call = Arguments(
        table=words_of(table),
        n_nodes=n_nodes,
        n_edges=harmonics.shape[0],
        n_pairs=hidden.shape[0],
        n_threads=threads(),
        **{name: pointer(tensor) for name, tensor in kept.items()},
    )
    library().call(f"neighbour_density_{kernel}", harmonics.dtype, call)


def _like(x: Tensor, wanted: bool) -> Tensor | None:
    return torch.empty_like(x, memory_format=torch.contiguous_format) if wanted else None


def _filled(x: Tensor, results: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(0) if result is None else result for result in results)


def _forward(harmonics: Tensor, hidden: Tensor, *constants: Any) -> tuple[Tensor, ...]:
    density = harmonics.new_empty(constants[-2:])
    _call("forward", constants, harmonics=harmonics, hidden=hidden, density=density)
    return (density,)


def _backward(
    needed: Sequence[bool], cotangent: Tensor, harmonics: Tensor, hidden: Tensor, *constants: Any
) -> tuple[Tensor, ...]:
    results = [_like(x, wanted) for x, wanted in zip((harmonics, hidden), needed, strict=True)]
    tensors = {"harmonics": harmonics, "hidden": hidden, "cotangent": cotangent}
    tensors |= {"harmonics_gradient": results[0], "hidden_gradient": results[1]}
    _call("backward", constants, **tensors)
    return _filled(harmonics, results)


def _double_backward(
    needed: Sequence[bool],
    harmonics_dot: Tensor | None,
    hidden_dot: Tensor | None,
    cotangent: Tensor,
    harmonics: Tensor,
    hidden: Tensor,
    *constants: Any,
) -> tuple[Tensor, ...]:
    likes = (cotangent, harmonics, hidden)
    results = [_like(x, wanted) for x, wanted in zip(likes, needed, strict=True)]
    tensors = {"harmonics": harmonics, "hidden": hidden, "cotangent": cotangent}
    tensors |= {"harmonics_dot": harmonics_dot, "hidden_dot": hidden_dot, "density": results[0]}
    tensors |= {"harmonics_gradient": results[1], "hidden_gradient": results[2]}
    _call("double_backward", constants, **tensors)
    return _filled(harmonics, results)


PASSES = Passes(_forward, _backward, _double_backward)
