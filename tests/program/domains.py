"""A periodic box cut into slabs, each with a plan and ghosts, as engines with several ranks do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from multiace.geometry import Graph, Structure, build_graph
from multiace.potential import Potential
from multiace.program import Plan


@dataclass
class Domain:
    """One slab: its atoms first, then those of other slabs that its edges come from.

    Args:
        plan: evaluates the slab.
        atoms: of the whole, owned ones first.
        n_owned: how many of these are owned.
        edges: of the whole, that arrive at owned atoms.
    """

    plan: Plan
    atoms: Tensor
    n_owned: int
    edges: Tensor


class Domains:
    """A structure in several domains.

    Args:
        potential: the potential.
        structure: a periodic structure.
        n_domains: slabs along the first cell vector.
        exact: of the plans.
    """

    def __init__(
        self, potential: Potential, structure: Structure, n_domains: int, *, exact: bool
    ) -> None:
        self.graph = build_graph(structure, potential.cutoff, potential.elements)
        fractional = structure.positions @ np.linalg.inv(structure.cell)
        slab = torch.from_numpy((fractional[:, 0] % 1.0 * n_domains).astype(int))
        self.domains = [
            self._cut(Plan(potential, exact=exact), self.graph, slab == n) for n in range(n_domains)
        ]

    @staticmethod
    def _cut(plan: Plan, graph: Graph, mine: Tensor) -> Domain:
        edges = torch.nonzero(mine[graph.receivers]).flatten()
        owned = torch.nonzero(mine).flatten()
        reached = torch.zeros_like(mine)
        reached[graph.senders[edges]] = True
        ghosts = torch.nonzero(reached & ~mine).flatten()
        return Domain(plan, torch.cat([owned, ghosts]), len(owned), edges)

    def evaluate(self) -> tuple[Tensor, Tensor]:
        """Return energies of atoms and forces, exchanging ghosts between layers."""
        graph, n_atoms = self.graph, self.graph.n_nodes
        for d in self.domains:
            place = torch.full((n_atoms,), -1)
            place[d.atoms] = torch.arange(len(d.atoms))
            senders, receivers = place[graph.senders[d.edges]], place[graph.receivers[d.edges]]
            vectors = graph.edge_vectors[d.edges]
            d.plan.begin(vectors, senders, receivers, graph.species[d.atoms], d.n_owned)
        n_layers = self.domains[0].plan.n_layers
        for t in range(1, n_layers + 1):
            for d in self.domains:
                d.plan.forward_layer(t)
            self._copy_to_ghosts(t)
        energies = torch.zeros(n_atoms, dtype=torch.float64)
        for d in self.domains:
            energies[d.atoms[: d.n_owned]] = d.plan.energies().sum(dim=1)
        for t in range(n_layers, 0, -1):
            for d in self.domains:
                d.plan.reverse_layer(t)
            if t > 1:
                self._add_to_owners(t - 1)
        by_edge = torch.zeros((graph.n_edges, 3), dtype=torch.float64)
        for d in self.domains:
            by_edge[d.edges] = d.plan.gradient()
        forces = torch.zeros((n_atoms, 3), dtype=torch.float64)
        forces.index_add_(0, graph.receivers, by_edge).index_add_(0, graph.senders, -by_edge)
        return energies, forces

    def _copy_to_ghosts(self, t: int) -> None:
        """Copy h^(t) from owners to ghosts."""
        owned = [d.plan.features(t)[: d.n_owned] for d in self.domains]
        whole = torch.full((self.graph.n_nodes, owned[0].shape[1]), torch.nan, dtype=owned[0].dtype)
        for d, features in zip(self.domains, owned, strict=True):
            whole[d.atoms[: d.n_owned]] = features
        for d in self.domains:
            d.plan.features(t)[d.n_owned :] = whole[d.atoms[d.n_owned :]]

    def _add_to_owners(self, t: int) -> None:
        """Add dE/dh^(t) of ghosts to that of their owners."""
        gradients = [d.plan.feature_gradients(t) for d in self.domains]
        whole = torch.zeros((self.graph.n_nodes, gradients[0].shape[1]), dtype=gradients[0].dtype)
        for d, gradient in zip(self.domains, gradients, strict=True):
            whole.index_add_(0, d.atoms, gradient)
        for d, gradient in zip(self.domains, gradients, strict=True):
            gradient[: d.n_owned] = whole[d.atoms[: d.n_owned]]
