"""multiace with the weights of a peer, in the peer's process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from ase import Atoms

from multiace.deploy.importers.foreign_model import import_model
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.geometry.neighbours import neighbour_list
from multiace.plan import Plan


class Peer(Protocol):
    """What the driver asks of a peer; see benchmarks/peers."""

    energy_labels: torch.Tensor
    force_labels: torch.Tensor

    def edges(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]: ...  # noqa: D102
    def energy_forces(self, positions: np.ndarray, mode: Any) -> Any: ...  # noqa: D102
    def training_step(self, mode: Any) -> torch.Tensor: ...  # noqa: D102
    def parameters(self, mode: Any) -> dict[str, torch.nn.Parameter]: ...  # noqa: D102
    def calculator(self, mode: Any) -> Any: ...  # noqa: D102
    def export(self, path: str) -> None: ...  # noqa: D102


class Ours:
    """A peer's model, imported, and the graphs of the same structures.

    Args:
        name: of the peer: mace or nequip.
        peer: exports its model.
        structures: a training batch; energies and forces are evaluated for the first.
        dtype: float32 or float64.
    """

    def __init__(self, name: str, peer: Peer, structures: Sequence[Atoms], dtype: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
            peer.export(file.name)
            self.potential = import_model(name, file.name, dtype=dtype).potential
        cutoff, elements = self.potential.cutoff, self.potential.elements
        graphs = [build_graph(Structure.from_ase(a), cutoff, elements) for a in structures]
        self.graph = graphs[0]
        self.batch = batch_graphs(graphs).to(dtype=self.potential.dtype)
        first = Structure.from_ase(structures[0])
        edges = neighbour_list(first, cutoff)
        cell = np.zeros((3, 3)) if first.cell is None else first.cell
        self._shifts = torch.from_numpy(edges.shifts @ cell)
        self._n_atoms = self.batch.n_atoms
        self._labels = peer.energy_labels.reshape(-1), peer.force_labels
        self._parameters = list(self.potential.parameters())
        self.exact, self.spline = Plan(self.potential, exact=True), Plan(self.potential)

    def _moved(self, positions: np.ndarray):
        """Return the graph at other positions of the same neighbours."""
        moved, graph = torch.from_numpy(positions), self.graph
        vectors = moved[graph.senders] - moved[graph.receivers] + self._shifts
        return replace(graph, edge_vectors=vectors)

    def plan(self, positions: np.ndarray, *, exact: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy in eV and forces in eV/Å by the plan."""
        prediction = (self.exact if exact else self.spline).evaluate(self._moved(positions))
        assert prediction.forces is not None
        return prediction.energy.reshape(()), prediction.forces

    def autograd(self, positions: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy in eV and forces in eV/Å by the potential itself."""
        with torch.no_grad():
            prediction = self.potential(self._moved(positions))
        assert prediction.forces is not None
        return prediction.energy.reshape(()), prediction.forces

    def training_step(self) -> torch.Tensor:
        """Evaluate the batch, a loss of energies and forces, and the gradients of all weights."""
        prediction = self.potential(self.batch)
        assert prediction.forces is not None
        energies = (prediction.energy - self._labels[0]) / self._n_atoms
        forces = prediction.forces - self._labels[1]
        loss = energies.square().mean() + forces.square().mean()
        gradients = torch.autograd.grad(loss, self._parameters)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss.detach()

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights, whose gradients a training step leaves."""
        return dict(self.potential.named_parameters())
