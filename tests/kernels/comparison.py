"""Compare functions of tensors with their first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

RELATIVE = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Of the largest entry; a kernel and a loop add in different orders."""

DTYPES = list(RELATIVE)


def assert_close(found: Tensor, expected: Tensor, name: str = "value") -> None:
    assert found.shape == expected.shape, name
    assert found.dtype == expected.dtype, name
    if found.numel():
        error = (found - expected).abs().max().item()
        assert error <= RELATIVE[found.dtype] * max(expected.abs().max().item(), 1.0), name


def assert_same_to_second_order(
    kernel: Callable[..., Tensor], loop: Callable[..., Tensor], inputs: Sequence[Tensor]
) -> None:
    """Compare values, gradients and gradients of gradients, each along a fixed direction."""
    found, expected = _derivatives(kernel, inputs), _derivatives(loop, inputs)
    for name, some, other in zip(expected, found.values(), expected.values(), strict=True):
        assert_close(some, other, name)


def _derivatives(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    variables = [tensor.detach().requires_grad_() for tensor in inputs]
    result = {"value": function(*variables)}
    first = _gradients(_along_a_direction([result["value"]]), variables)
    second = _gradients(_along_a_direction(first), variables)
    result |= {f"first derivative by input {n}": gradient for n, gradient in enumerate(first)}
    result |= {f"second derivative by input {n}": gradient for n, gradient in enumerate(second)}
    return result


def _along_a_direction(tensors: Sequence[Tensor]) -> Tensor:
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    return (flat * torch.cos(torch.arange(len(flat)).to(flat.dtype))).sum()


def _gradients(scalar: Tensor, variables: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if not scalar.requires_grad:  # the function is linear: nothing is left to differentiate
        return tuple(torch.zeros_like(variable) for variable in variables)
    return torch.autograd.grad(scalar, variables, create_graph=True, materialize_grads=True)


def non_contiguous(tensor: Tensor) -> Tensor:
    """Return the same numbers as every second entry of a larger, transposed array."""
    wide = torch.full((*tensor.shape[:-1], 2 * tensor.shape[-1]), torch.nan, dtype=tensor.dtype)
    wide[..., ::2] = tensor
    if tensor.ndim < 2:
        return wide[..., ::2]
    return wide.transpose(-1, -2).contiguous().transpose(-1, -2)[..., ::2]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(dtype)
