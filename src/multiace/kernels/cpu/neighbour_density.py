"""The density of neighbours of each element."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.neighbour_density import NeighbourDensity as Definition

_INPUTS = ("harmonics", "hidden")


class Arguments(ctypes.Structure):
    """`MultiaceNeighbourDensity` of csrc/neighbour_density.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_nodes n_edges n_pairs n_elements".split()),
        *((name, ctypes.c_int64) for name in "n_harmonics n_hidden n_threads".split()),
        *((name, ctypes.c_void_p) for name in "elements receivers pairs".split()),
        *((name, ctypes.c_void_p) for name in (*_INPUTS, "cotangent")),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("density", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
        ("add_harmonics_gradient", ctypes.c_int64),
    )


class NeighbourDensity(nn.Module):
    """The density of `kernels.reference`, without products of edges in memory.

    Args:
        n_elements: chemical elements of the model.
    """

    def __init__(self, n_elements: int) -> None:
        super().__init__()
        self.n_elements = n_elements

    def forward(
        self,
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "pairs hidden"],
        elements: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        n_nodes: int,
        pairs: Int[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, "nodes dim"]:
        """Sum over neighbours; arguments are those of the definition."""
        constants = (elements, receivers, pairs, n_nodes, self.n_elements)
        return neighbour_density(harmonics, hidden, *constants)


def _call(kernel: str, constants: Sequence[Any], **tensors: Tensor | None) -> None:
    """Run a kernel on operands and results."""
    elements, receivers, pairs, n_nodes, n_elements = constants
    named = {"elements": elements, "receivers": receivers, "pairs": pairs, **tensors}
    kept = dict(zip(named, contiguous(list(named.values())), strict=True))
    harmonics, hidden = kept["harmonics"], kept["hidden"]
    assert harmonics is not None
    assert hidden is not None
    call = Arguments(
        n_nodes=n_nodes,
        n_edges=harmonics.shape[0],
        n_pairs=hidden.shape[0],
        n_elements=n_elements,
        n_harmonics=harmonics.shape[1],
        n_hidden=hidden.shape[1],
        n_threads=threads(),
        **{name: pointer(tensor) for name, tensor in kept.items()},
    )
    library().call(f"neighbour_density_{kernel}", harmonics.dtype, call)


def _like(x: Tensor, wanted: bool) -> Tensor | None:
    return torch.empty_like(x, memory_format=torch.contiguous_format) if wanted else None


def _filled(x: Tensor, results: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(0) if result is None else result for result in results)


def _fake(harmonics: Tensor, hidden: Tensor, *constants: Any) -> tuple[Tensor, ...]:
    *_, n_nodes, n_elements = constants
    return (harmonics.new_empty((n_nodes, harmonics.shape[1] * n_elements * hidden.shape[1])),)


def _forward(harmonics: Tensor, hidden: Tensor, *constants: Any) -> tuple[Tensor, ...]:
    (density,) = _fake(harmonics, hidden, *constants)
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


def _reference(*arguments: Any) -> tuple[Tensor, ...]:
    *tensors, pairs, n_nodes, n_elements = arguments
    return (Definition(n_elements)(*tensors, n_nodes, pairs),)


neighbour_density = Operation(
    name="neighbour_density",
    inputs=_INPUTS,
    constants="Tensor elements, Tensor receivers, Tensor? pairs, SymInt n_nodes, int n_elements",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
    multilinear=True,
).register()
