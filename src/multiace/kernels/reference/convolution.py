"""The sum over neighbours of the one-particle basis."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.segment_sum import segment_sum
from multiace.kernels.tables import ConvolutionTable, row_paths, split_sizes


class Convolution(nn.Module):
    """sum_{j in N(i)} R_{p c}(j -> i) sum_{m1 m2} C^p_{m1 m2 m} Y_{m1}(j -> i) h_{j c m2}.

    The radial functions are formed here, R = u V_type, so that a fused kernel never has to store
    them: u are the last hidden features of the radial network, V its last map.

    | symbol | argument | shape |
    |---|---|---|
    | h | `features` | (nodes, dim of irreps_in) |
    | Y | `harmonics` | (edges, lm) |
    | u | `hidden` | (edges, hidden) |
    | V | `weights` | (types, hidden, n_weights) |

    Args:
        table: couplings and layout.
    """

    def __init__(self, table: ConvolutionTable) -> None:
        super().__init__()
        self.table = table
        self.groups = [(irrep, table.paths_from(irrep)) for irrep in table.irreps_in.irreps]
        for irrep, _ in self.groups:
            coupling = torch.from_numpy(table.coupling_from(irrep)).flatten(1)
            self.register_buffer(f"coupling_{irrep}", coupling, persistent=False)
            rows = torch.tensor(row_paths(table, irrep))
            self.register_buffer(f"rows_{irrep}", rows, persistent=False)

    def forward(
        self,
        features: Float[Tensor, "nodes dim_in"],
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "edges hidden"],
        weights: Float[Tensor, "types hidden n_weights"],
        edge_types: Int[Tensor, " edges"] | None,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return the sums over neighbours, laid out as `table.irreps_out`."""
        n_edges, n_nodes = len(senders), len(features)
        radial = radial_functions(hidden, weights, edge_types)  # (edges, n_weights)
        widths = [
            len(paths) * channels
            for (_, paths), channels in zip(self.groups, self.table.irreps_in.channels, strict=True)
        ]
        blocks = zip(
            self.groups,
            self.table.irreps_in.channels,
            features.split(split_sizes(self.table.irreps_in), dim=1),
            radial.split(widths, dim=1),
            strict=True,
        )
        messages = []
        for (irrep, paths), channels, h, weight in blocks:
            # T = sum_m C Y_m: one matrix (rows, 2 l_in + 1) an edge
            coupled = harmonics @ self.get_buffer(f"coupling_{irrep}")
            rows = self.get_buffer(f"rows_{irrep}")
            coupled = coupled.view(n_edges, len(rows), irrep.dim)  # (edges, rows, m_in)
            neighbours = h.view(n_nodes, irrep.dim, channels)[senders]  # (edges, m_in, channels)
            weight = weight.view(n_edges, len(paths), channels)
            weight = weight.index_select(1, rows)
            messages.append((coupled @ neighbours * weight).flatten(1))
        pooled = segment_sum(torch.cat(messages, dim=1), receivers, n_nodes)
        return self._by_irrep_out(pooled)

    def _by_irrep_out(self, pooled: Tensor) -> Tensor:
        """Reorder from path after path to irrep_out after irrep_out, paths side by side."""
        sizes = [
            out.dim * channels
            for (_, _, out), channels in zip(
                self.table.paths, self.table.channels_of_path, strict=True
            )
        ]
        columns = pooled.split(sizes, dim=1)
        blocks = []
        for irrep_out in self.table.irreps_out.irreps:
            of_irrep = [
                column.unflatten(1, (irrep_out.dim, -1))
                for column, path in zip(columns, self.table.paths, strict=True)
                if path[2] == irrep_out
            ]
            blocks.append(torch.cat(of_irrep, dim=2).flatten(1))
        return torch.cat(blocks, dim=1)


def radial_functions(
    hidden: Float[Tensor, "edges hidden"],
    weights: Float[Tensor, "types hidden n_weights"],
    edge_types: Int[Tensor, " edges"] | None,
) -> Float[Tensor, "edges n_weights"]:
    """Return R = u V_type; without types, R = u V.

    Each edge's hidden features are placed in the block of its type, so that one matrix product
    serves all types.
    """
    if edge_types is None:
        return hidden @ weights[0]
    types = torch.arange(len(weights), device=hidden.device)
    mine = (edge_types.unsqueeze(1) == types).to(hidden.dtype)  # (edges, types)
    placed = mine.unsqueeze(2) * hidden.unsqueeze(1)  # (edges, types, hidden)
    return placed.flatten(1) @ weights.flatten(0, 1)
