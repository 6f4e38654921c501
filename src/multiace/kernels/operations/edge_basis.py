"""Distances and spherical harmonics of edges."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.tables import EdgeBasisTable
from multiace.o3.harmonics import spherical_harmonics

_TINY = 1e-30  # Å^2: keeps the derivative at r = 0 finite, and is below rounding elsewhere


class EdgeBasis(OperationModule):
    """d_ji = |r_ji| and Y_lm(r_ji / d_ji), component-normalised."""

    name, of_table = "edge_basis", EdgeBasisTable

    def forward(
        self, edge_vectors: Float[Tensor, "edges 3"]
    ) -> tuple[Float[Tensor, " edges"], Float[Tensor, "edges lm"]]:
        """Return distances (Å) and harmonics."""
        function, l_max = self.function, self.table.l_max
        if function is not None:
            return function(edge_vectors, self.encoding, l_max)
        distances = torch.sqrt(edge_vectors.square().sum(dim=1) + _TINY)
        harmonics = spherical_harmonics(l_max, edge_vectors / distances.unsqueeze(1))
        return distances, harmonics


def _fake(vectors: Tensor, table: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    n_edges = vectors.shape[0]
    return vectors.new_empty(n_edges), vectors.new_empty((n_edges, (l_max + 1) ** 2))


EDGE_BASIS = Operation(
    name="edge_basis",
    inputs=("vectors",),
    constants="Tensor table, int l_max",
    n_outputs=2,
    fake=_fake,
    definition=lambda vectors, table, l_max: EdgeBasis.defined_by(table, vectors)(vectors),
)
