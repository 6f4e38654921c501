"""Everything about an edge that no layer changes."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.geometry.pairs import Pairs
from multiace.kernels.operations.edge_basis import EdgeBasis
from multiace.one_particle.radial import (
    AgnesiTransform,
    NormalisedAgnesiTransform,
    RadialBasis,
    RadialValues,
)
from multiace.one_particle.radial_grid import GridEdges, RadialGrid


class Edges(NamedTuple):
    """Directed edges j -> i with their radial basis and harmonics.

    | symbol | field | unit |
    |---|---|---|
    | j, i | `senders`, `receivers` | - |
    | d_ji | `distances` | Å |
    | e_n(d_ji) or e_n(T(d_ji)), enveloped unless the weights are | `radial_basis` | - |
    | envelope of the radial weights | `envelope` (None if it is in the basis) | - |
    | Y_lm(r_ji) | `harmonics` | - |
    | place on the radial grid | `on_grid` (None: the network is evaluated at every distance) | - |
    | pair of each edge | `pair` (None: every edge is on its own) | - |

    What is radial has a row for each pair, the rest one for each edge.
    """

    senders: Int[Tensor, " edges"]
    receivers: Int[Tensor, " edges"]
    distances: Float[Tensor, " edges"]
    radial_basis: Float[Tensor, "pairs number"]
    envelope: Float[Tensor, " pairs"] | None
    harmonics: Float[Tensor, "edges lm"]
    on_grid: GridEdges | None = None
    pair: Int[Tensor, " edges"] | None = None


class EdgeFunctions(nn.Module):
    """Evaluate `Edges` from edge vectors.

    Args:
        edge_basis: kernel for distances and harmonics.
        radial_basis: e_n, and the envelope of r / r_c.
        cutoff: r_c in Å.
        transform: T, which the radial basis is evaluated at, or None for the distance itself.
    """

    def __init__(
        self,
        edge_basis: EdgeBasis,
        radial_basis: RadialBasis,
        cutoff: float,
        transform: AgnesiTransform | NormalisedAgnesiTransform | None = None,
    ) -> None:
        super().__init__()
        self.edge_basis, self.radial_basis, self.transform = edge_basis, radial_basis, transform
        self.cutoff = cutoff
        self.grid: RadialGrid | None = None  # while training on one, see Potential.on_radial_grid

    def forward(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        pairs: Pairs | None = None,
    ) -> Edges:
        """Evaluate every edge, and what is radial for every pair."""
        distances, harmonics = self.edge_basis(edge_vectors)
        of_pairs, ends = distances, (senders, receivers)
        if pairs is not None:
            of_pairs, ends = distances[pairs.edge], (senders[pairs.edge], receivers[pairs.edge])
        basis, envelope = self.radial(of_pairs, *ends, species)
        on_grid = None if self.grid is None else self._on_grid(self.grid, of_pairs)
        pair = None if pairs is None else pairs.of_edge
        return Edges(senders, receivers, distances, basis, envelope, harmonics, on_grid, pair)

    def _on_grid(self, grid: RadialGrid, distances: Float[Tensor, " pairs"]) -> GridEdges:
        points, solve = grid.points.to(distances), grid.solve.to(distances)
        basis, envelope = self.radial_basis(points)
        return GridEdges(basis, envelope, solve, *grid.place(distances))

    def radial(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> RadialValues:
        """Evaluate the radial basis; return the envelope apart where the weights have it.

        Either direction of a pair gives the same.
        """
        if self.transform is None:
            return self.radial_basis(distances)
        return self.radial_basis(distances, self.transform(distances, senders, receivers, species))
