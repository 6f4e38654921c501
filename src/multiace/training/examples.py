"""Structures made ready for training: graphs built once, labels with masks, batches of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from multiace.data import DataError
from multiace.data.selection import Selection
from multiace.geometry import Graph, Structure, batch_graphs, build_graph
from multiace.training.config import Batch, BatchUnit

_TENSOR_BYTES = 800
"""Memory of a tensor besides its numbers, as measured: most of what small structures need."""


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
class Size:
    """What a structure adds to a batch.

    Args:
        source: where it comes from, `file:frame`.
        atoms: its atoms.
        edges: its directed edges.
    """

    source: str
    atoms: int
    edges: int


class Cache:
    """Memory for examples that are kept from one epoch to the next.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: float) -> None:
        self.left = limit

    def admits(self, example: Example) -> bool:
        """Tell whether an example may be kept, and count it if so."""
        size = n_bytes(example)
        if size > self.left:
            return False
        self.left -= size
        return True


class Examples:
    """Structures as examples, each built when it is first asked for.

    They are kept while the cache has room. Those beyond it are built anew each time, from
    structures that may lie on the disk, so that memory is bounded whatever their number.

    Args:
        structures: of one set.
        cutoff: Å.
        make: builds an example.
        cache: shared by the sets of a run.
    """

    def __init__(
        self,
        structures: Selection,
        cutoff: float,
        make: Callable[[Structure], Example],
        cache: Cache,
    ) -> None:
        self.structures, self.cutoff = structures, cutoff
        self._make, self._cache = make, cache
        self._kept: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self.structures)

    def __getitem__(self, index: int) -> Example:
        example = self._kept.get(index)
        if example is None:
            example = self._make(self.structures[index])
            if self._cache.admits(example):
                self._kept[index] = example
        return example

    def source(self, index: int) -> str:
        """Return where a structure comes from, `file:frame`."""
        return self.structures.source(index)

    def size(self, index: int) -> Size:
        """Return what a structure adds to a batch."""
        structures = self.structures
        edges = structures.edge_counts(self.cutoff).edges
        return Size(self.source(index), int(structures.columns.n_atoms[index]), int(edges[index]))


@dataclass(frozen=True)
class TrainingData:
    """Examples of a run, in the model's dtype on the CPU.

    Args:
        training: followed by the optimiser.
        validation: choose the best weights.
        validation_batches: indices of the structures of each batch of the validation set.
        has_forces: whether anything to validate on has forces.
        has_stress: whether anything to validate on has a stress.
    """

    training: Examples
    validation: Examples
    validation_batches: list[list[int]]
    has_forces: bool
    has_stress: bool


def n_bytes(example: Example) -> int:
    """Return the memory that an example takes: its numbers, and what each tensor needs besides."""
    graph, targets = vars(example.graph), vars(example.targets)
    values = [*graph.values(), *(graph["pairs"] or ()), *targets.values()]
    return sum(_TENSOR_BYTES + value.nbytes for value in values if isinstance(value, Tensor))


def sizes_of(
    structures: Selection, cutoff: float, unit: BatchUnit
) -> Int64[np.ndarray, " structures"]:
    """Return the size of each structure in the unit of a batch limit."""
    if unit == "structures":
        return np.ones(len(structures), dtype=np.int64)
    if unit == "atoms":
        return structures.columns.n_atoms
    return structures.edge_counts(cutoff).edges


def batch_sizes(examples: Examples, batch: Batch) -> tuple[list[int], int]:
    """Return the size of each structure in the unit of a batch limit, and the limit.

    Raises:
        DataError: a structure is larger than a batch may be.
    """
    unit, limit = batch.limit
    sizes = sizes_of(examples.structures, examples.cutoff, unit)
    largest = int(sizes.argmax())
    if sizes[largest] > limit:
        file, _, frame = examples.source(largest).rpartition(":")
        raise DataError(
            f"the structure has {sizes[largest]:,} {unit}, more than batch.{unit}, {limit:,}",
            file=file or None,
            frame=int(frame) if frame.isdigit() else None,
            field=f"batch.{unit}",
            value=limit,
            hint=f"Set batch.{unit} to at least {sizes[largest]}, or take the structure out.",
        )
    return sizes.tolist(), limit
