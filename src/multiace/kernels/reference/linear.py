"""Equivariant linear maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irreps


class Linear(nn.Module):
    """y_{n m d} = a sum_c x_{n m c} W_{c d}, one matrix for each irrep; or W_{z_n c d}.

    Irreps that x does not have are zero in y.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out

    def forward(
        self,
        x: Float[Tensor, "nodes dim_in"],
        weights: Mapping[str, Tensor],
        species: Int[Tensor, " nodes"] | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Apply the map.

        Args:
            x: features.
            weights: irrep -> (c, d), or (elements, c, d) with `species`.
            species: element of each node, for maps that depend on it.
            factors: irrep -> a; None: all are 1.
        """
        blocks = dict(
            zip(self.irreps_in.irreps, x.split(split_sizes(self.irreps_in), dim=1), strict=True)
        )
        result = []
        for channels, irrep in self.irreps_out.entries:
            if irrep not in blocks:
                result.append(x.new_zeros(x.shape[0], irrep.dim * channels))
                continue
            block = blocks[irrep].unflatten(1, (irrep.dim, -1))  # (nodes, m, c)
            weight = weights[str(irrep)]
            if factors is not None:
                weight = weight * factors[str(irrep)]
            if species is not None:
                weight = weight[species]  # (nodes, c, d)
            result.append((block @ weight).flatten(1))
        return torch.cat(result, dim=1)
