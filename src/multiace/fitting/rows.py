"""The linear equations of a structure: what each weight adds to energy, forces and virial."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from multiace.design.describe import nonlinear_field
from multiace.geometry.graph import Graph
from multiace.layer.layer import Layer
from multiace.potential import Potential

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of the virial that have equations of their own."""


class Rows(NamedTuple):
    """Derivatives of a structure's energy, forces and virial by the weights.

    Args:
        energy: of the total energy, eV.
        forces: of the three components of each force, atom after atom, eV/Å.
        virial: of xx, yy, zz, yz, xz, xy of -dE/d(strain), eV.
    """

    energy: Float64[np.ndarray, " weights"]
    forces: Float64[np.ndarray, "components weights"]
    virial: Float64[np.ndarray, "6 weights"]


class LinearModel:
    """A potential whose energy is linear in its weights, as linear equations.

    E = E_0 + scale sum_i sum_k w^{z_i}_k B_ik. Rows hold sums of B, and of its derivatives along
    displacements v: dB/dv = (dB/dA) (dA/dv), from one double backward pass of the products for all
    displacements together, in which each has weights of its own.

    Args:
        potential: a float64 potential of a linear design, see `multiace.design.describe`.

    Raises:
        ValueError: the design is not linear in its weights, or the dtype is not float64.
    """

    def __init__(self, potential: Potential) -> None:
        field = nonlinear_field(potential.design)
        if field is not None:
            raise ValueError(
                f"The energy of this design is not linear in its weights, because of {field}. "
                "Train it, or take a linear design; `multiace describe` says which are."
            )
        if potential.dtype != torch.float64:
            raise ValueError(
                f"Equations are made in float64, but the potential is {potential.dtype}. Build it "
                "with dtype=torch.float64."
            )
        if potential.design.per_layer("update.self_connection") != ("none",):
            raise ValueError(
                "update.self_connection adds a constant of the element, which E0 is already. Set "
                "update.self_connection: none."
            )
        self.potential = potential
        (layer,) = (cast(Layer, each) for each in potential.model.layers)
        assert layer.message is not None
        assert layer.atomic_basis.neighbour_density is not None
        self.message, self.atomic_basis = layer.message, layer.atomic_basis
        self.density = layer.atomic_basis.neighbour_density

    @property
    def weights(self) -> Float64[Tensor, " weights"]:
        """Return all weights, element after element, each in the order of the table's paths."""
        return self.message.path_weights.detach().flatten()

    @weights.setter
    def weights(self, values: Float64[np.ndarray, " weights"]) -> None:
        of_elements = torch.from_numpy(values).view_as(self.message.path_weights)
        sizes = [w[0].numel() for w in self.message.weights.values()]
        parts = of_elements.split(sizes, dim=1)
        with torch.no_grad():
            for weights, part in zip(self.message.weights.values(), parts, strict=True):
                weights.copy_(part.reshape(weights.shape))

    def rows(self, graph: Graph) -> Rows:
        """Return the equations of one structure, E0, shift and repulsion left out."""
        phi, slopes = self._edges(graph)
        n, n_lm = graph.n_nodes, phi.shape[1]
        a = phi.new_zeros(n, n_lm).index_add(0, graph.receivers, phi)
        moved = torch.cat([graph.senders, graph.receivers])  # an edge grows with its sender
        ends = graph.receivers.repeat(2)
        moves = phi.new_zeros(n * n, 3, n_lm)
        moves.index_add_(0, moved * n + ends, torch.cat([slopes, -slopes]))
        along = moves.unflatten(0, (n, n)).transpose(1, 2).flatten(0, 1)  # (3 n, n, lm)
        vectors = graph.edge_vectors
        strains = [
            (slopes[:, c] * vectors[:, d, None] + slopes[:, d] * vectors[:, c, None]) / 2
            for c, d in VOIGT
        ]
        strained = phi.new_zeros(6, n, n_lm).index_add(1, graph.receivers, torch.stack(strains))
        tangents = self._tangents(a, torch.cat([along, strained]), graph.species)
        return Rows(self._sum(a, graph.species), -tangents[: 3 * n], -tangents[3 * n :])

    def _edges(self, graph: Graph) -> tuple[Float[Tensor, "edges lm"], Float[Tensor, "edges 3 lm"]]:
        """Return what each edge adds to A, and its derivatives by the edge vector."""
        vectors = graph.edge_vectors.detach().requires_grad_()
        n = graph.n_edges
        with torch.enable_grad():
            functions = self.potential.model.edge_functions
            edges = functions(vectors, graph.senders, graph.receivers, graph.species)
            # each edge with a receiver of its own; the senders come behind
            own = edges._replace(senders=n + edges.senders, receivers=torch.arange(n))
            species = torch.cat([graph.species[graph.receivers], graph.species])
            phi = self.atomic_basis.densities(self.density, own, species)[:n]
            probe = torch.zeros_like(phi, requires_grad=True)
            (pulled,) = torch.autograd.grad(phi, vectors, probe, create_graph=True)
            slopes = [
                torch.autograd.grad(pulled[:, c].sum(), probe, retain_graph=True)[0]
                for c in range(3)
            ]
        return phi.detach(), torch.stack(slopes, dim=1)

    def _own_weights(
        self, n: int, species: Int[Tensor, " nodes"]
    ) -> tuple[Tensor, Int[Tensor, " n_nodes"]]:
        """Return weights for each of n copies of the nodes, and the copies' place in them."""
        weights = self.message.path_weights.detach().repeat(n, 1, 1).requires_grad_()
        n_elements = weights.shape[0] // n
        kind = species if self.message.per_element else torch.zeros_like(species)
        return weights, (torch.arange(n)[:, None] * n_elements + kind).flatten()

    def _sum(
        self, a: Float[Tensor, "nodes lm"], species: Int[Tensor, " nodes"]
    ) -> Float64[np.ndarray, " weights"]:
        with torch.enable_grad():
            weights, kind = self._own_weights(1, species)
            total = self._energy(self.message.product(a, weights, kind), species)
            (row,) = torch.autograd.grad(total, weights)
        return row.flatten().numpy()

    def _tangents(
        self,
        a: Float[Tensor, "nodes lm"],
        along: Float[Tensor, "displacements nodes lm"],
        species: Int[Tensor, " nodes"],
    ) -> Float64[np.ndarray, "displacements weights"]:
        n = along.shape[0]
        with torch.enable_grad():
            weights, kind = self._own_weights(n, species)
            copies = a.repeat(n, 1).requires_grad_()
            total = self._energy(self.message.product(copies, weights, kind), species.repeat(n))
            (slope,) = torch.autograd.grad(total, copies, create_graph=True)
            (rows,) = torch.autograd.grad((slope * along.flatten(0, 1)).sum(), weights)
        return rows.unflatten(0, (n, -1)).flatten(1).numpy()

    def _energy(
        self, message: Float[Tensor, "nodes channels"], species: Int[Tensor, " nodes"]
    ) -> Float64[Tensor, ""]:
        """Return the sum of the messages in eV."""
        return (message.sum(dim=1) * self.potential.model.baseline.scale_of(species)).sum()
