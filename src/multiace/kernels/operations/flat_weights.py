"""Matrices of a map one after the other in a row, each times its factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Function, HasFunctions, Namespace


def flat_weights(
    matrices: Sequence[Float[Tensor, "..."]], factors: Sequence[float]
) -> Float[Tensor, " weights"]:
    """Return (a_1 W_1, a_2 W_2, ..) in a row: the definition.

    Args:
        matrices: W_k of any shapes, one or more.
        factors: a_k.

    Example:
        >>> flat_weights([torch.ones(1, 2), torch.ones(1)], [2.0, 3.0])
        tensor([2., 2., 3.])
    """
    pairs = zip(matrices, factors, strict=True)
    return torch.cat([matrix.reshape(-1) * factor for matrix, factor in pairs])


def flat_weights_of(kernels: HasFunctions | None) -> Function:
    """Return the function of some kernels, or the definition."""
    return flat_weights if kernels is None else kernels.functions.get("flat_weights", flat_weights)


def register_flat_weights(
    namespace: Namespace,
    join: Callable[..., tuple[Tensor]],
    part: Callable[..., Sequence[Tensor]],
) -> Function:
    """Register a backend's flat weights; return them, differentiable to any order: they are linear.

    Args:
        namespace: of the backend.
        join: (matrices, factors) -> (row,).
        part: (row, like, factors) -> a_k w_k in the shapes of the matrices: gradients by them.
    """
    run_join = namespace.define(
        "flat_weights", "Tensor[] matrices, float[] factors", "Tensor", join, _fake_join
    )
    arguments = "Tensor flat, Tensor[] like, float[] factors"
    run_part = namespace.define("flat_weights_backward", arguments, "Tensor[]", part, _fake_part)
    dispatched = namespace.operations.flat_weights

    def joined(matrices: Sequence[Tensor], factors: Sequence[float]) -> Any:
        if len(matrices) == 1:
            return matrices[0].reshape(-1) * factors[0]
        if namespace.is_plain(matrices):
            return Join.apply(list(factors), *matrices)
        return dispatched(matrices, factors)

    class Join(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, factors: Sequence[float], *matrices: Tensor) -> Tensor:
            ctx.factors = factors
            ctx.save_for_backward(*matrices)
            return run_join(matrices, factors)[0]

        @staticmethod
        def backward(ctx: Any, flat: Tensor) -> Any:
            like = ctx.saved_tensors
            if torch.is_grad_enabled():
                return None, *Part.apply(ctx.factors, flat, *like)  # pyright: ignore
            return None, *run_part(flat, like, ctx.factors)

    class Part(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, factors: Sequence[float], flat: Tensor, *like: Tensor
        ) -> tuple[Tensor, ...]:
            ctx.factors = factors
            return run_part(flat, like, factors)

        @staticmethod
        def backward(ctx: Any, *parts: Tensor) -> Any:
            return None, joined(parts, ctx.factors), *[None] * len(parts)

    autograd = lambda matrices, factors: Join.apply(factors, *matrices)  # noqa: E731
    namespace.library.impl("flat_weights", autograd, "Autograd")
    return joined


def _fake_join(matrices: Sequence[Tensor], factors: Sequence[float]) -> tuple[Tensor]:
    return (matrices[0].new_empty(sum([matrix.numel() for matrix in matrices])),)


def _fake_part(flat: Tensor, like: Sequence[Tensor], factors: Sequence[float]) -> list[Tensor]:
    return [flat.new_empty(matrix.shape) for matrix in like]
