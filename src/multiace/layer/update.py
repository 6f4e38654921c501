"""h_i^(t+1): message, self-connection and nonlinearity."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irreps


class Update(nn.Module):
    """h_i^(t+1) = sigma( W m_i + S h_i ).

    Args:
        linear: W, or None for the message as it is.
        self_connection: S, or None.
        nonlinearity: sigma, or None: the update is linear and keeps the body order.

    Source: Batatia et al. 2025, update.
    """

    def __init__(
        self,
        linear: nn.Module | None,
        self_connection: nn.Module | None,
        nonlinearity: nn.Module | None,
    ) -> None:
        super().__init__()
        self.linear = linear
        self.self_connection = self_connection
        self.nonlinearity = nonlinearity

    def forward(
        self,
        m: Float[Tensor, "nodes dim_message"],
        h: Float[Tensor, "nodes dim_in"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return h^(t+1) of every node."""
        update = m if self.linear is None else self.linear(m, species)
        if self.self_connection is not None:
            update = update + self.self_connection(h, species)
        return update if self.nonlinearity is None else self.nonlinearity(update)


class Select(nn.Module):
    """Keep some irreps of the features and lay them out as others; the rest is zero.

    Channels beyond those of the input (gate scalars of an identity self-connection) are zero.

    Args:
        irreps_in: irreps of the features.
        irreps_out: irreps wanted.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        width = {irrep: channels for channels, irrep in irreps_out.entries}
        assert all(channels <= width.get(i, channels) for channels, i in irreps_in.entries)

    def forward(
        self, h: Float[Tensor, "nodes dim_in"], species: Int[Tensor, " nodes"] | None = None
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return the features in the layout wanted."""
        blocks = dict(
            zip(self.irreps_in.irreps, h.split(split_sizes(self.irreps_in), dim=1), strict=True)
        )
        result = []
        for channels, irrep in self.irreps_out.entries:
            if irrep not in blocks:
                result.append(h.new_zeros(h.shape[0], irrep.dim * channels))
                continue
            block = blocks[irrep].unflatten(1, (irrep.dim, -1))
            missing = channels - block.shape[2]
            if missing:
                block = nn.functional.pad(block, (0, missing))
            result.append(block.flatten(1))
        return torch.cat(result, dim=1)
