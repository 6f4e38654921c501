"""Envelopes that take radial functions smoothly to zero at the cutoff."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Envelope = Callable[[Tensor], Tensor]


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
