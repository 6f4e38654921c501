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
    """u, a function of x = distance / cutoff; 0 from x = 1 on.

    | kind | u | zero at x = 1 |
    |---|---|---|
    | polynomial | 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) | u, u', u'' |
    | cosine | (1 + cos pi x) / 2 | u, u' |
    | two_sided | s^inner (1 - s)^p | u and p - 1 derivatives |

    s is x, or another coordinate that rises from 0 to 1 at the cutoff.

    Args:
        kind: polynomial, cosine or two_sided.
        power: p, 2 or more; not read by the cosine.
        inner: power of the two-sided envelope at s = 0, 0 or more.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 8 (polynomial); Behler and Parrinello, Phys.
    Rev. Lett. 98, 146401 (2007) (cosine); Witt et al., J. Chem. Phys. 159, 164101 (2023)
    (two-sided).

    Example:
        >>> Envelope("polynomial", 6)(torch.tensor([0.0, 1.0, 2.0]))
        tensor([1., 0., 0.])
        >>> Envelope("two_sided", 2, 1)(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.1250, 0.0000])
    """

    kind: Literal["polynomial", "cosine", "two_sided"] = "polynomial"
    power: int = 6
    inner: int = 0

    def __call__(
        self, x: Float[Tensor, "*shape"], s: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """Return u.

        Args:
            x: distance / cutoff.
            s: coordinate of the two-sided envelope; None: x.
        """
        inside, nothing = x < 1.0, torch.zeros_like(x)
        if self.kind == "cosine":
            return torch.where(inside, 0.5 * (1.0 + torch.cos(math.pi * x)), nothing)
        if self.kind == "two_sided":
            s = torch.where(inside, x if s is None else s, nothing)
            return torch.where(inside, s.pow(self.inner) * (1.0 - s).pow(self.power), nothing)
        p, x = self.power, torch.where(inside, x, nothing)
        polynomial = (p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x.square()
        return torch.where(inside, 1.0 - x.pow(p) * polynomial, nothing)
