"""Structures made ready for training: graphs built once, labels with masks, batches of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from multiace.geometry import Graph, Structure, batch_graphs, build_graph
from multiace.training.config import Batch


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels of a batch, zero where there is none, and masks that say where there is one.

    Args:
        energy: total energies, eV.
        forces: eV/Å.
        stress: eV/Å^3.
        has_energy: structures with an energy.
        has_forces: atoms of structures with forces.
        has_stress: structures with a stress that the model can predict (periodic in 3 directions).
        weight: factor of each structure in the loss.
        n_atoms: atoms of each structure.
    """

    energy: Float64[Tensor, " structures"]
    forces: Float64[Tensor, "nodes 3"]
    stress: Float64[Tensor, "structures 3 3"]
    has_energy: Bool[Tensor, " structures"]
    has_forces: Bool[Tensor, " nodes"]
    has_stress: Bool[Tensor, " structures"]
    weight: Float64[Tensor, " structures"]
    n_atoms: Float64[Tensor, " structures"]

    def to(self, device: torch.device | str) -> Targets:
        """Return the labels on another device."""
        return Targets(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Example:
    """One structure as a graph with its labels, or several as a batch."""

    graph: Graph
    targets: Targets

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Example:
        """Return it on another device, edge vectors in another precision."""
        return Example(self.graph.to(device, dtype), self.targets.to(device))


def make_example(
    structure: Structure,
    cutoff: float,
    elements: tuple[int, ...],
    config_weights: Mapping[str, float] | None = None,
) -> Example:
    """Build the graph and the targets of one structure.

    Args:
        structure: with or without labels.
        cutoff: Å.
        elements: atomic numbers of the model, ascending.
        config_weights: config_type -> further factor of the structure in the loss.

    Raises:
        ElementError: the structure has an element the model does not know.
    """
    labels = structure.labels
    n_atoms = structure.n_atoms
    forces = np.zeros((n_atoms, 3)) if labels.forces is None else labels.forces
    stress = np.zeros((3, 3)) if labels.stress is None else labels.stress
    has_stress = labels.stress is not None and structure.volume is not None
    weight = structure.weight * (config_weights or {}).get(structure.config_type, 1.0)
    targets = Targets(
        energy=_float64([0.0 if labels.energy is None else labels.energy]),
        forces=_float64(forces),
        stress=_float64(stress[None]),
        has_energy=torch.tensor([labels.energy is not None]),
        has_forces=torch.full((n_atoms,), labels.forces is not None),
        has_stress=torch.tensor([has_stress]),
        weight=_float64([weight]),
        n_atoms=_float64([n_atoms]),
    )
    return Example(build_graph(structure, cutoff, elements), targets)


def collate(examples: Sequence[Example]) -> Example:
    """Return several examples as one batch."""
    if len(examples) == 1:
        return examples[0]
    fields = [vars(example.targets) for example in examples]
    targets = Targets(**{name: torch.cat([f[name] for f in fields]) for name in fields[0]})
    return Example(batch_graphs([example.graph for example in examples]), targets)


def _float64(values: object) -> Float64[Tensor, "..."]:
    return torch.tensor(np.array(values, dtype=np.float64))


@dataclass(frozen=True)
class TrainingData:
    """Examples of a run, built once.

    Args:
        training: one example a structure, on the CPU, in the model's dtype.
        sources: `file:frame` of each.
        validation: batches, on the device of the model.
        validation_sources: `file:frame` of the structures of each batch.
        has_forces: whether anything to validate on has forces.
        has_stress: whether anything to validate on has a stress.
    """

    training: tuple[Example, ...]
    sources: tuple[str, ...]
    validation: tuple[Example, ...]
    validation_sources: tuple[tuple[str, ...], ...]
    has_forces: bool
    has_stress: bool


def batch_sizes(graphs: Sequence[Graph], batch: Batch) -> tuple[list[int], int]:
    """Return the size of each graph in the unit of a batch limit, and the limit."""
    if batch.atoms is not None:
        return [graph.n_nodes for graph in graphs], batch.atoms
    if batch.edges is not None:
        return [graph.n_edges for graph in graphs], batch.edges
    assert batch.structures is not None
    return [1] * len(graphs), batch.structures
