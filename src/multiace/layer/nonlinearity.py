"""Nonlinearities of the update other than the gate kernel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irrep, Irreps


class Norm(nn.Module):
    """Scalars f(x) (odd ones: tanh); the others x_{l m c} f(n_{l c}) / n_{l c}.

    n^2 = 1 + sum_m x_{l m c}^2 / (2 l + 1) is smooth where the feature vanishes.

    Args:
        irreps: irreps of input and output.
        even: f.
        odd: activation of odd scalars; must be odd.
    """

    def __init__(self, irreps: Irreps, even: Activation, odd: Activation) -> None:
        super().__init__()
        self.irreps, self.even, self.odd = irreps, even, odd

    def forward(self, x: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes dim"]:
        """Apply the nonlinearity."""
        result = []
        blocks = x.split(split_sizes(self.irreps), dim=1)
        for block, irrep in zip(blocks, self.irreps.irreps, strict=True):
            if irrep.l == 0:
                result.append(self.even(block) if irrep == Irrep(0, 1) else self.odd(block))
                continue
            components = block.unflatten(1, (irrep.dim, -1))  # (nodes, m, channels)
            norm = (1.0 + components.square().mean(dim=1, keepdim=True)).sqrt()
            result.append((components * (self.even(norm) / norm)).flatten(1))
        return torch.cat(result, dim=1)
