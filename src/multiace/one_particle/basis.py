"""Everything about an edge that no layer changes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.one_particle.cutoff import Envelope
from multiace.one_particle.radial import AgnesiTransform, RadialBasis
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
    | place on the radial grid | `on_grid` (None: radial functions are evaluated edge by edge) | - |
    """

    senders: Int[Tensor, " edges"]
    receivers: Int[Tensor, " edges"]
    distances: Float[Tensor, " edges"]
    radial_basis: Float[Tensor, "edges number"]
    envelope: Float[Tensor, " edges"] | None
    harmonics: Float[Tensor, "edges lm"]
    on_grid: GridEdges | None = None


class EdgeFunctions(nn.Module):
    """Evaluate `Edges` from edge vectors.

    Args:
        edge_basis: kernel for distances and harmonics.
        radial_basis: e_n(r).
        envelope: cutoff function of r / r_c.
        envelope_on: whether it multiplies the radial `basis` or the radial `weights`.
        cutoff: r_c in Å.
        transform: T, which the radial basis is evaluated at, or None for the distance itself.
    """

    def __init__(
        self,
        edge_basis: nn.Module,
        radial_basis: RadialBasis,
        envelope: Envelope,
        envelope_on: Literal["basis", "weights"],
        cutoff: float,
        transform: AgnesiTransform | None = None,
    ) -> None:
        super().__init__()
        self.edge_basis, self.radial_basis, self.transform = edge_basis, radial_basis, transform
        self.envelope, self.envelope_on, self.cutoff = envelope, envelope_on, cutoff
        self.grid: RadialGrid | None = None  # while training on one, see Potential.on_radial_grid

    def forward(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Edges:
        """Evaluate every edge."""
        distances, harmonics = self.edge_basis(edge_vectors)
        basis, envelope = self.radial(distances, senders, receivers, species)
        on_grid = None if self.grid is None else self._on_grid(self.grid, distances)
        return Edges(senders, receivers, distances, basis, envelope, harmonics, on_grid)

    def _on_grid(self, grid: RadialGrid, distances: Float[Tensor, " edges"]) -> GridEdges:
        points, solve = grid.points.to(distances), grid.solve.to(distances)
        basis, envelope = self.radial_at(points, points)
        return GridEdges(basis, envelope, solve, *grid.place(distances))

    def radial(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> tuple[Float[Tensor, "edges number"], Float[Tensor, " edges"] | None]:
        """Evaluate the radial basis; return the envelope apart where the weights have it."""
        argument = distances
        if self.transform is not None:
            argument = self.transform(distances, senders, receivers, species)
        return self.radial_at(distances, argument)

    def radial_at(
        self, distances: Float[Tensor, " points"], argument: Float[Tensor, " points"]
    ) -> tuple[Float[Tensor, "points number"], Float[Tensor, " points"] | None]:
        """Evaluate what `radial` does where the argument of the basis is known.

        Args:
            distances: r, Å.
            argument: what the radial basis is evaluated at: r, or T(r) with a transform.
        """
        envelope = self.envelope(distances / self.cutoff)
        basis = self.radial_basis(argument)
        if self.envelope_on == "basis":
            return basis * envelope.unsqueeze(1), None
        return basis, envelope
