"""Envelopes that take radial functions smoothly to zero at the cutoff."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Envelope:
    """A function of x = distance / cutoff, and its derivative.

    Args:
        value: u(x).
        slope: du/dx.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]

    def __call__(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return u(x)."""
        return self.value(x)


def polynomial_envelope(x: Float[Tensor, "*shape"], power: int) -> Float[Tensor, "*shape"]:
    """Return u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), 0 beyond x = 1.

    u, u' and u'' vanish at x = 1 for every p.

    Args:
        x: distance / cutoff.
        power: p.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 8.

    Example:
        >>> polynomial_envelope(torch.tensor([0.0, 1.0, 2.0]), 6)
        tensor([1., 0., 0.])
    """
    p = power
    inside = x < 1.0
    x = torch.where(inside, x, torch.zeros_like(x))
    polynomial = (p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x.square()
    return torch.where(inside, 1.0 - x.pow(p) * polynomial, torch.zeros_like(x))


def polynomial_envelope_slope(x: Float[Tensor, "*shape"], power: int) -> Float[Tensor, "*shape"]:
    """Return u'(x) = -p(p+1)(p+2)/2 x^(p-1) (1 - x)^2 of `polynomial_envelope`, 0 beyond x = 1.

    Args:
        x: distance / cutoff.
        power: p.

    Example:
        >>> polynomial_envelope_slope(torch.tensor([0.5, 1.0, 2.0]), 1)
        tensor([-0.7500, -0.0000, -0.0000])
    """
    p, x = power, x.clamp(max=1.0)
    return -p * (p + 1) * (p + 2) / 2 * x.pow(p - 1) * (1.0 - x).square()


def cosine_envelope(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return (1 + cos pi x) / 2, 0 beyond x = 1; only its first derivative vanishes there.

    Args:
        x: distance / cutoff.

    Source: Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007).

    Example:
        >>> cosine_envelope(torch.tensor([0.0, 1.0, 2.0]))
        tensor([1., 0., 0.])
    """
    inside = x < 1.0
    return torch.where(inside, 0.5 * (1.0 + torch.cos(math.pi * x)), torch.zeros_like(x))


def cosine_envelope_slope(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return -pi/2 sin pi x, the derivative of `cosine_envelope`, 0 beyond x = 1.

    Args:
        x: distance / cutoff.

    Example:
        >>> cosine_envelope_slope(torch.tensor([0.5, 2.0]))
        tensor([-1.5708,  0.0000])
    """
    slope = -0.5 * math.pi * torch.sin(math.pi * x)
    return torch.where(x < 1.0, slope, torch.zeros_like(x))
