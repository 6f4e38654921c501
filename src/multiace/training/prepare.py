"""From files to what a run trains on: structures, checks, statistics, examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from multiace.data import (
    DataError,
    compute_statistics,
    is_isolated_atom,
    isolated_atom_energies,
    label_table,
    read_files,
    split,
)
from multiace.data.atomic_energies import Reference
from multiace.data.duplicates import find_duplicates
from multiace.data.errors import Findings
from multiace.data.extxyz import LabelNames
from multiace.data.labels import LABELS
from multiace.design import Statistics
from multiace.design.spec import ZBL
from multiace.elements import format_elements, sorted_elements, symbol_of
from multiace.geometry import Graph, Labels, Structure, batches_by, build_graph
from multiace.geometry.graph import species_of
from multiace.potential import Potential
from multiace.repulsion import Repulsion
from multiace.training.config import Batch, Data, Loss, TrainingConfig
from multiace.training.examples import (
    Example,
    TrainingData,
    batch_sizes,
    collate,
    make_example,
)


@dataclass(frozen=True)
class StructureSets:
    """Structures of a run by their purpose.

    Args:
        training: followed by the optimiser.
        validation: choose the best weights.
        isolated_atoms: give E0 and nothing else.
        tests: name of a test set -> its structures.
        warnings: what can be right about the data but should be known.
    """

    training: list[Structure]
    validation: list[Structure]
    isolated_atoms: list[Structure]
    tests: dict[str, list[Structure]]
    warnings: tuple[str, ...] = ()

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers in the training set, ascending."""
        return sorted_elements(n for s in self.training for n in s.numbers.tolist())

    @property
    def content_hash(self) -> str:
        """SHA-256 of what is trained and validated on: atoms, labels, weights, their order."""
        digest = hashlib.sha256()
        for part in (self.training, self.validation, self.isolated_atoms):
            digest.update(f"{len(part)};".encode())
            for structure in part:
                _add_to(digest, structure)
        return digest.hexdigest()


def read_sets(config: TrainingConfig) -> StructureSets:
    """Read every file of a config and draw the validation set.

    With the reference `isolated_atoms`, isolated atoms in the training files serve E0 alone;
    otherwise they are structures like others.

    Raises:
        DataError: files that are wrong (every problem of each), an empty set, anything but
            isolated atoms in their files, or a weighted term of the loss without label.
    """
    data = config.data
    from_atoms = config.design.energy.reference == "isolated_atoms"
    parts = {
        "train": data.train,
        "valid": data.valid if isinstance(data.valid, tuple) else (),
        "isolated_atoms": data.isolated_atoms if from_atoms else (),
        **{f"test {name}": files for name, files in data.tests.items()},
    }
    read, warnings = _read(parts, data)
    structures, isolated = read["train"], []
    if from_atoms:
        isolated = [structure for structure in structures if is_isolated_atom(structure)]
        isolated += _only_isolated_atoms(read["isolated_atoms"])
        structures = [structure for structure in structures if not is_isolated_atom(structure)]
    if not structures:
        raise DataError(f"{', '.join(data.train)}: nothing but isolated atoms to train on")
    if isinstance(data.valid, tuple):
        training, validation = structures, read["valid"]
    else:
        training, validation = split(structures, data.valid, config.seed_of("split"))
    tests = {name: read[f"test {name}"] for name in data.tests}
    for name, members in tests.items():
        _require_any_label(name, members)
    _require_labels(training, validation, config.loss)
    warnings += _repetitions(training, validation, tests)
    return StructureSets(training, validation, isolated, tests, tuple(warnings))


def _repetitions(
    training: Sequence[Structure],
    validation: Sequence[Structure],
    tests: Mapping[str, Sequence[Structure]],
) -> list[str]:
    """Return what says how many structures occur twice.

    Raises:
        DataError: energies that contradict one another.
    """
    parts = [("the training set", training), ("the validation set", validation)]
    parts += [(f"test {name}", structures) for name, structures in tests.items()]
    structures = [structure for _, members in parts for structure in members]
    owners = [owner for owner, members in parts for _ in members]
    findings = Findings()
    findings.extend(find_duplicates(structures, owners).findings())
    findings.raise_problems()
    return [str(warning) for warning in findings.warnings]


def summary(sets: StructureSets) -> str:
    """Return the table of what was found, for people."""
    parts = [("training", sets.training), ("validation", sets.validation)]
    parts += [(f"test {name}", structures) for name, structures in sets.tests.items()]
    lines = [f"{name}:\n{label_table(structures)}" for name, structures in parts]
    if sets.isolated_atoms:
        numbers = sorted_elements(int(s.numbers[0]) for s in sets.isolated_atoms)
        lines.append(f"isolated atoms for E0: {format_elements(numbers)}")
    lines += [f"Warning: {warning}" for warning in sets.warnings]
    return "\n".join(lines)


def statistics_of(sets: StructureSets, config: TrainingConfig) -> Statistics:
    """Return the statistics of a training set as the design asks for them.

    Raises:
        DataError: labels or isolated atoms are missing.
    """
    energy, elements, cutoff = config.design.energy, sets.elements, config.design.cutoff
    known = set(elements)
    atoms = [s for s in sets.isolated_atoms if int(s.numbers[0]) in known]
    structures = [*sets.training, *atoms]
    graphs = [build_graph(structure, cutoff, elements) for structure in structures]
    reference, given = reference_of(sets, config)
    return compute_statistics(
        structures,
        graphs,
        elements,
        reference=reference,
        shift=energy.shift,
        scale=energy.scale,
        per_element=energy.per_element,
        given=given,
        repulsion=_repulsion(graphs, elements, energy.zbl_constants)
        if energy.zbl == "outside"
        else None,
    )


def reference_of(
    sets: StructureSets, config: TrainingConfig
) -> tuple[Reference, dict[str, float] | None]:
    """Return where E0 come from, and those that are given.

    With the reference `isolated_atoms`, energies in the config go before isolated atoms of the same
    element, and the others come from the isolated atoms.
    """
    reference, energies = config.design.energy.reference, dict(config.data.energies)
    if reference == "isolated_atoms" and energies:
        others = [s for s in sets.isolated_atoms if symbol_of(int(s.numbers[0])) not in energies]
        return "given", {**energies, **isolated_atom_energies(others)}
    if reference == "given":
        return "given", energies
    return reference, energies or None


def make_data(
    sets: StructureSets, potential: Potential, config: TrainingConfig, device: torch.device
) -> TrainingData:
    """Build every graph of a run once.

    Raises:
        ElementError: the validation or a test set has an element that training does not have.
        ValueError: a structure is larger than the limit of a batch.
    """
    weights = config.loss.config_weights
    _check_config_weights(sets.training, weights)

    def examples(structures: Sequence[Structure]) -> list[Example]:
        return [
            make_example(s, potential.cutoff, potential.elements, weights).to(
                "cpu", potential.dtype
            )
            for s in structures
        ]

    for structures in sets.tests.values():
        _check_elements(structures, potential.elements)
    validation = examples(sets.validation)
    groups = _validation_groups(validation, config.batch)
    return TrainingData(
        training=tuple(examples(sets.training)),
        sources=tuple(structure.source for structure in sets.training),
        validation=tuple(
            collate([validation[index] for index in group]).to(device, potential.dtype)
            for group in groups
        ),
        validation_sources=tuple(
            tuple(sets.validation[index].source for index in group) for group in groups
        ),
        has_forces=any(bool(example.targets.has_forces.any()) for example in validation),
        has_stress=any(bool(example.targets.has_stress.any()) for example in validation),
    )


def _check_config_weights(structures: Sequence[Structure], weights: Mapping[str, float]) -> None:
    kinds = {structure.config_type for structure in structures}
    unknown = sorted(set(weights) - kinds)
    if unknown:
        raise DataError(
            f"loss.config_weights names {', '.join(map(repr, unknown))}, but the training set has "
            f"only config_type {', '.join(map(repr, sorted(kinds)))}",
            field="config_type",
        )


def _check_elements(structures: Sequence[Structure], elements: tuple[int, ...]) -> None:
    for structure in structures:
        species_of(structure, elements)


def _validation_groups(examples: Sequence[Example], batch: Batch) -> list[list[int]]:
    """Return batches in the order of the files, twice as large as those of training."""
    sizes, limit = batch_sizes([example.graph for example in examples], batch)
    sizes = [min(size, 2 * limit) for size in sizes]
    return batches_by(sizes, range(len(sizes)), 2 * limit)


def _read(
    parts: Mapping[str, Sequence[str]], data: Data
) -> tuple[dict[str, list[Structure]], list[str]]:
    """Read the files of each part of the data at once; return the structures and warnings.

    Raises:
        DataError: every problem of every file.
    """
    reading = read_files(
        [file for files in parts.values() for file in files],
        LabelNames(**data.keys.model_dump()),
        unit_check=data.unit_check,
        atomic_energies=data.energies,
        duplicates=False,
    )
    sets = iter(reading.sets)
    read = {name: [s for _ in files for s in next(sets)] for name, files in parts.items()}
    return read, [str(warning) for warning in reading.warnings]


def _only_isolated_atoms(structures: list[Structure]) -> list[Structure]:
    """Return the structures of the files of isolated atoms.

    Raises:
        DataError: a frame that is no isolated atom.
    """
    for structure in structures:
        if not is_isolated_atom(structure):
            raise DataError(
                f"data.isolated_atoms has a frame that is no isolated atom: {structure.n_atoms} "
                f"atoms, pbc {structure.pbc}",
                file=structure.source or None,
                hint="An isolated atom is one atom without pbc, or one atom of config_type "
                "isolated_atom. Put other frames into data.train.",
            )
    return structures


def _require_labels(
    training: Sequence[Structure], validation: Sequence[Structure], loss: Loss
) -> None:
    stages = [loss] if loss.second is None else [loss, loss.second]
    wanted = [name for name in LABELS if any(getattr(stage, name) > 0 for stage in stages)]
    label_table(training).require(wanted)
    label_table(validation).require(wanted)


def _require_any_label(name: str, structures: Sequence[Structure]) -> None:
    table = label_table(structures)
    if not any(table.count(label) for label in LABELS):
        raise DataError(
            f"no structure of the test set {name!r} has an energy, forces or a stress",
            hint="Set data.keys to the names of the labels, or leave the test set out.",
        )


def _repulsion(graphs: Sequence[Graph], elements: tuple[int, ...], constants: ZBL) -> list[Labels]:
    """Return energies and forces of the core repulsion, which statistics leave out."""
    repulsion = Repulsion(elements, **constants.model_dump())
    labels = []
    for graph in graphs:
        vectors = graph.edge_vectors.clone().requires_grad_()
        distances = vectors.norm(dim=1)
        of_atoms = repulsion(distances, graph.senders, graph.receivers, graph.species)
        energy = of_atoms.sum()
        forces = torch.zeros(graph.n_nodes, 3, dtype=torch.float64)
        if graph.n_edges:
            (by_edge,) = torch.autograd.grad(energy, vectors)
            forces.index_add_(0, graph.receivers, by_edge)
            forces.index_add_(0, graph.senders, by_edge, alpha=-1)
        labels.append(Labels(energy=energy.item(), forces=forces.numpy()))
    return labels


def _add_to(digest: hashlib._Hash, structure: Structure) -> None:
    """Add all that training sees of a structure to a digest."""
    labels = structure.labels
    arrays = {
        "numbers": structure.numbers,
        "positions": structure.positions,
        "cell": structure.cell,
        "forces": labels.forces,
        "stress": labels.stress,
    }
    scalars = [structure.pbc, structure.config_type, structure.weight, labels.energy]
    digest.update(json.dumps(scalars).encode())
    for name, array in arrays.items():
        digest.update(name.encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
