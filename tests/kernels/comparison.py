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
    assert_same_to_order(2, kernel, loop, inputs)


def assert_same_to_order(
    order: int,
    kernel: Callable[..., Tensor],
    loop: Callable[..., Tensor],
    inputs: Sequence[Tensor],
) -> None:
    """Compare values and derivatives, each along a fixed direction of those before."""
    found, expected = (_derivatives(function, inputs, order) for function in (kernel, loop))
    for name, some, other in zip(expected, found.values(), expected.values(), strict=True):
        assert_close(some, other, name)


def _derivatives(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], order: int
) -> dict[str, Tensor]:
    variables = [tensor.detach().requires_grad_() for tensor in inputs]
    result = {"value": function(*variables)}
    last = (result["value"],)
    for n in range(1, order + 1):
        last = _gradients(_along_a_direction(last), variables)
        result |= {f"derivative {n} by input {k}": gradient for k, gradient in enumerate(last)}
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
