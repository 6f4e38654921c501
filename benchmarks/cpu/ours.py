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
from multiace.geometry import Graph, Structure, batch_graphs, build_graph
from multiace.geometry.neighbours import neighbour_list
from multiace.program import Plan
from multiace.training.config import Loss, TrainingConfig
from multiace.training.examples import Example, Targets
from multiace.training.gradients import gradients_by_autograd
from multiace.training.traced_gradients import Kind, TracedGradients

_CONFIG = TrainingConfig.model_construct(loss=Loss(kind="per_atom"), radial_grid=None)
_WEIGHTS = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
"""Of the energy, forces and stress terms: mean (dE/N)^2 + mean dF^2."""


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
        self._example = Example(self.batch, _targets(self.batch, peer))
        self._traced: TracedGradients | None = None
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

    def training_step(self, *, traced: bool) -> torch.Tensor:
        """Evaluate the batch, a loss of energies and forces, and the gradients of all weights.

        Args:
            traced: take them from a graph that was traced once, as longer trainings do.
        """
        batch = (self._example, _WEIGHTS)
        with self.potential.kernels.own_threads():
            if not traced:
                return gradients_by_autograd(self.potential, _CONFIG, *batch)[0]
            if self._traced is None:
                self._traced = TracedGradients(self.potential, _CONFIG, Kind.of(*batch))
            return self._traced(*batch)[0]

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights, whose gradients a training step leaves."""
        return dict(self.potential.named_parameters())


def _targets(batch: Graph, peer: Peer) -> Targets:
    """Return the labels of the peer's loss."""
    n = batch.n_structures
    return Targets(
        energy=peer.energy_labels.reshape(-1).double(),
        forces=peer.force_labels.double(),
        stress=torch.zeros(n, 3, 3).double(),
        has_energy=torch.ones(n).bool(),
        has_forces=torch.ones(batch.n_nodes).bool(),
        has_stress=torch.zeros(n).bool(),
        weight=torch.ones(n).double(),
        n_atoms=batch.n_atoms.double(),
    )
