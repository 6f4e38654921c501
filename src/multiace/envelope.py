"""Envelopes that take radial functions smoothly to zero at the cutoff."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Envelope:
    """u(x), x = distance / cutoff; 0 beyond x = 1.

    | kind | u(x) | zero at x = 1 |
    |---|---|---|
    | polynomial | 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) | u, u', u'' |
    | cosine | (1 + cos pi x) / 2 | u, u' |

    Args:
        kind: polynomial or cosine.
        power: p of the polynomial, 2 or more.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 8 (polynomial); Behler and Parrinello, Phys.
    Rev. Lett. 98, 146401 (2007) (cosine).

    Example:
        >>> Envelope("polynomial", 6)(torch.tensor([0.0, 1.0, 2.0]))
        tensor([1., 0., 0.])
    """

    kind: Literal["polynomial", "cosine"] = "polynomial"
    power: int = 6

    def __call__(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return u(x)."""
        inside, nothing = x < 1.0, torch.zeros_like(x)
        if self.kind == "cosine":
            return torch.where(inside, 0.5 * (1.0 + torch.cos(math.pi * x)), nothing)
        p, x = self.power, torch.where(inside, x, nothing)
        polynomial = (p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x.square()
        return torch.where(inside, 1.0 - x.pow(p) * polynomial, nothing)
