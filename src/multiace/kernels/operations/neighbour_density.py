"""The density of neighbours of each type."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.segment_sum import segment_sum
from multiace.kernels.tables import DensityTable


class NeighbourDensity(OperationModule):
    """rho_{i z k lm} = sum_{j in N(i), z_ji = z} u_k(j -> i) Y_lm(j -> i), k in the range of l.

    The atomic base of linear ACE. Rows are flat, lm after lm, each (types, k): channels of an l are
    the pairs (z, k). The type z_ji of an edge is the element of j, or any other index.
    """

    name, of_table = "neighbour_density", DensityTable

    def forward(
        self,
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "pairs hidden"],
        edge_types: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        n_nodes: int,
        pairs: Int[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, "nodes dim"]:
        """Sum over neighbours.

        Args:
            harmonics: Y.
            hidden: u.
            edge_types: z_ji of each edge.
            receivers: i of each edge.
            n_nodes: number of nodes.
            pairs: row of u that each edge takes, or None: its own.
        """
        indices, function = (edge_types, receivers, pairs), self.function
        if function is None:
            return neighbour_density(self.table, harmonics, hidden, *indices, n_nodes)
        return function(harmonics, hidden, *indices, self.encoding, n_nodes, self.table.dim)


def neighbour_density(
    table: DensityTable,
    harmonics: Float[Tensor, "edges lm"],
    hidden: Float[Tensor, "pairs hidden"],
    edge_types: Int[Tensor, " edges"],
    receivers: Int[Tensor, " edges"],
    pairs: Int[Tensor, " edges"] | None,
    n_nodes: int,
) -> Float[Tensor, "nodes dim"]:
    """Sum over neighbours: the definition."""
    n_types, n_hidden = table.n_types, table.n_hidden
    hidden = hidden if pairs is None else hidden[pairs]
    products = harmonics.unsqueeze(2) * hidden.unsqueeze(1)  # (edges, lm, hidden)
    of_types = segment_sum(products, receivers * n_types + edge_types, n_nodes * n_types)
    rho = of_types.view(n_nodes, n_types, harmonics.shape[1], n_hidden).transpose(1, 2)
    if set(table.ranges) == {(0, n_hidden)}:
        return rho.flatten(1)
    by_l = rho.split([2 * l + 1 for l in range(table.l_max + 1)], dim=1)
    ranges = zip(by_l, table.ranges, strict=True)
    return torch.cat([of_l[..., k : k + n].flatten(1) for of_l, (k, n) in ranges], dim=1)


def _definition(harmonics: Tensor, hidden: Tensor, *constants: Any) -> tuple[Tensor, ...]:
    edge_types, receivers, pairs, table, n_nodes, _ = constants
    indices = (edge_types, receivers, pairs)
    return (neighbour_density(DensityTable.decode(table), harmonics, hidden, *indices, n_nodes),)


NEIGHBOUR_DENSITY = Operation(
    name="neighbour_density",
    inputs=("harmonics", "hidden"),
    constants="Tensor edge_types, Tensor receivers, Tensor? pairs, Tensor table, "
    "SymInt n_nodes, int dim",
    n_outputs=1,
    fake=lambda harmonics, hidden, *constants: (harmonics.new_empty(constants[-2:]),),
    definition=_definition,
    multilinear=True,
)
