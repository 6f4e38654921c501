"""Matrices of a map one after the other in a row, each times its factor."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.cpu.differentiable import LIBRARY, define, is_plain
from multiace.kernels.cpu.library import contiguous, library, pointer


class Arguments(ctypes.Structure):
    """`MultiaceFlatWeights` of csrc/flat_weights.h, field by field."""

    _fields_ = (
        ("n_matrices", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in "sizes factors matrices flat".split()),
    )


def flat_weights(
    matrices: Sequence[Float[Tensor, "..."]], factors: Sequence[float]
) -> Float[Tensor, " weights"]:
    """Return (a_1 W_1, a_2 W_2, ..) in a row; differentiable to any order, as it is linear.

    Args:
        matrices: W_k of any shapes, one or more.
        factors: a_k.

    Raises:
        TypeError: matrices of several dtypes, or other than float32 and float64.

    Example:
        >>> flat_weights([torch.ones(1, 2), torch.ones(1)], [2.0, 3.0])
        tensor([2., 2., 3.])
    """
    if len(matrices) == 1:
        return matrices[0].reshape(-1) * factors[0]
    if is_plain(matrices):
        return _Join.apply(list(factors), *matrices)  # pyright: ignore[reportReturnType]
    return torch.ops.multiace.flat_weights(matrices, factors)


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


def _join(matrices: Sequence[Tensor], factors: Sequence[float]) -> tuple[Tensor]:
    kept: list[Any] = contiguous(matrices)
    (flat,) = _fake_join(matrices, factors)
    _call("join", kept, factors, flat)
    return (flat,)


def _part(flat: Tensor, like: Sequence[Tensor], factors: Sequence[float]) -> list[Tensor]:
    """Return a_k w_k in the shapes of the matrices: the gradients by them."""
    parts = _fake_part(flat, like, factors)
    _call("part", parts, factors, flat.contiguous())
    return parts


def _fake_join(matrices: Sequence[Tensor], factors: Sequence[float]) -> tuple[Tensor]:
    return (matrices[0].new_empty(sum([matrix.numel() for matrix in matrices])),)


def _fake_part(flat: Tensor, like: Sequence[Tensor], factors: Sequence[float]) -> list[Tensor]:
    return [flat.new_empty(matrix.shape) for matrix in like]


define("flat_weights", "Tensor[] matrices, float[] factors", "Tensor", _join, _fake_join)
define(
    "flat_weights_backward",
    "Tensor flat, Tensor[] like, float[] factors",
    "Tensor[]",
    _part,
    _fake_part,
)


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factors: Sequence[float], *matrices: Tensor) -> Tensor:
        ctx.factors = factors
        ctx.save_for_backward(*matrices)
        if is_plain(matrices):
            return _join(matrices, factors)[0]
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.multiace.flat_weights(matrices, factors)

    @staticmethod
    def backward(ctx: Any, flat: Tensor) -> Any:
        apply = _Part.apply if torch.is_grad_enabled() else _parts
        return None, *apply(ctx.factors, flat, *ctx.saved_tensors)


def _parts(factors: Sequence[float], flat: Tensor, *like: Tensor) -> tuple[Tensor, ...]:
    """Compute what `_Part` does, beneath autograd."""
    if is_plain((flat, *like)):
        return tuple(_part(flat, like, factors))
    with torch._C._AutoDispatchBelowAutograd():
        return tuple(torch.ops.multiace.flat_weights_backward(flat, like, factors))


class _Part(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, factors: Sequence[float], flat: Tensor, *like: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.factors = factors
        return _parts(factors, flat, *like)

    @staticmethod
    def backward(ctx: Any, *parts: Tensor) -> Any:
        return None, flat_weights(parts, ctx.factors), *[None] * len(parts)


LIBRARY.impl("flat_weights", lambda matrices, factors: _Join.apply(factors, *matrices), "Autograd")
