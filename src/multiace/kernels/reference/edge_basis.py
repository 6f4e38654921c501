"""Distances and spherical harmonics of edges."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.o3.harmonics import spherical_harmonics

_TINY = 1e-30  # Å^2: keeps the derivative at r = 0 finite, and is below rounding elsewhere


class EdgeBasis(nn.Module):
    """d_ji = |r_ji| and Y_lm(r_ji / d_ji), component-normalised.

    Args:
        l_max: largest l.
    """

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max

    def forward(
        self, edge_vectors: Float[Tensor, "edges 3"]
    ) -> tuple[Float[Tensor, " edges"], Float[Tensor, "edges lm"]]:
        """Return distances (Å) and harmonics."""
        distances = torch.sqrt(edge_vectors.square().sum(dim=1) + _TINY)
        harmonics = spherical_harmonics(self.l_max, edge_vectors / distances.unsqueeze(1))
        return distances, harmonics
