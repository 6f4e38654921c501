"""From files to what a run trains on: structures, checks, statistics, examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from multiace.data import (
    DataError,
    Selection,
    compute_statistics,
    isolated_atom_energies,
    label_table,
    read_files,
)
from multiace.data.atomic_energies import Reference
from multiace.data.errors import Findings
from multiace.data.frame_reader import LabelNames
from multiace.data.labels import LABELS
from multiace.data.split import split_indices
from multiace.data.strict import repetitions
from multiace.design import Statistics
from multiace.design.spec import ZBL
from multiace.elements import format_elements, sorted_elements, symbol_of
from multiace.geometry import Labels, Structure, batches_by, build_graph
from multiace.geometry.graph import species_of
from multiace.kernels.operations.repulsion import Repulsion
from multiace.potential import Potential
from multiace.repulsion import zbl_table
from multiace.training.config import Batch, Loss, TrainingConfig
from multiace.training.examples import (
    Cache,
    Example,
    Examples,
    TrainingData,
    make_example,
    sizes_of,
)

Note = Callable[[str], None]


@dataclass(frozen=True)
class StructureSets:
    """Structures of a run by their purpose, by reference: those of a store stay on the disk.

    Args:
        training: followed by the optimiser.
        validation: choose the best weights.
        isolated_atoms: give E0 and nothing else.
        tests: name of a test set -> its structures.
        warnings: what can be right about the data but should be known.
    """

    training: Selection
    validation: Selection
    isolated_atoms: Selection
    tests: dict[str, Selection]
    warnings: tuple[str, ...] = ()

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers in the training set, ascending."""
        return sorted_elements(n for s in self.training for n in set(s.numbers.tolist()))

    @property
    def content_hash(self) -> str:
        """SHA-256 of what is trained and validated on: atoms, labels, weights, their order."""
        digest = hashlib.sha256()
        for part in (self.training, self.validation, self.isolated_atoms):
            digest.update(f"{len(part)};".encode())
            digest.update(part.columns.digest.tobytes())
        return digest.hexdigest()


def read_sets(config: TrainingConfig, note: Note = lambda _: None) -> StructureSets:
    """Read every file of a config and draw the validation set.

    With the reference `isolated_atoms`, isolated atoms in the training files serve E0 alone;
    otherwise they are structures like others.

    Args:
        config: resolved.
        note: takes lines for the user, on stores that are prepared anew.

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
    read, warnings = _read(parts, config, note)
    structures = read["train"]
    isolated = structures.take([])
    if from_atoms:
        atoms = structures.columns.isolated
        isolated = Selection.of(
            structures.take(np.flatnonzero(atoms)), _isolated_atoms(read["isolated_atoms"])
        )
        structures = structures.take(np.flatnonzero(~atoms))
    if not len(structures):
        raise DataError(f"{', '.join(data.train)}: nothing but isolated atoms to train on")
    if isinstance(data.valid, tuple):
        training, validation = structures, read["valid"]
    else:
        chosen = split_indices(len(structures), data.valid, config.seed_of("split"))
        training, validation = (structures.take(indices) for indices in chosen)
    tests = {name: read[f"test {name}"] for name in data.tests}
    for name, members in tests.items():
        _require_any_label(name, members)
    _require_labels(training, validation, config.loss)
    warnings += _repetitions(training, validation, tests)
    return StructureSets(training, validation, isolated, tests, tuple(warnings))


def _repetitions(
    training: Selection, validation: Selection, tests: Mapping[str, Selection]
) -> list[str]:
    """Return what says how many structures occur twice.

    Raises:
        DataError: energies that contradict one another.
    """
    parts = {"the training set": training, "the validation set": validation}
    parts |= {f"test {name}": structures for name, structures in tests.items()}
    findings = Findings()
    findings.extend(repetitions(parts, list(parts)))
    findings.raise_problems()
    return [str(warning) for warning in findings.warnings]


def summary(sets: StructureSets) -> str:
    """Return the table of what was found, for people."""
    parts = [("training", sets.training), ("validation", sets.validation)]
    parts += [(f"test {name}", structures) for name, structures in sets.tests.items()]
    lines = [f"{name}:\n{label_table(structures)}" for name, structures in parts]
    if len(sets.isolated_atoms):
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
    atoms = [i for i, s in enumerate(sets.isolated_atoms) if int(s.numbers[0]) in known]
    structures = Selection.of(sets.training, sets.isolated_atoms.take(atoms))
    reference, given = reference_of(sets, config)
    return compute_statistics(
        structures,
        structures.edge_counts(cutoff),
        elements,
        reference=reference,
        shift=energy.shift,
        scale=energy.scale,
        per_element=energy.per_element,
        given=given,
        repulsion=_repulsion(elements, cutoff, energy.zbl_constants)
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


def make_data(sets: StructureSets, potential: Potential, config: TrainingConfig) -> TrainingData:
    """Return the examples of a run, whose graphs are built when they are needed.

    Raises:
        ElementError: the validation or a test set has an element that training does not have.
        DataError: a structure is larger than the limit of a batch, or a kind of configuration
            that has a weight does not occur.
    """
    weights = config.loss.config_weights
    _check_config_weights(sets.training, weights)
    for structures in (sets.validation, *sets.tests.values()):
        _check_elements(structures, potential.elements)

    def make(structure: Structure) -> Example:
        example = make_example(structure, potential.cutoff, potential.elements, weights)
        return example.to("cpu", potential.dtype)

    cache = Cache(config.data.cache * 1e9)
    validation = Examples(sets.validation, potential.cutoff, make, cache)
    columns = sets.validation.columns
    return TrainingData(
        training=Examples(sets.training, potential.cutoff, make, cache),
        validation=validation,
        validation_batches=_validation_batches(validation, config.batch),
        has_forces=bool(columns.has_forces.any()),
        has_stress=bool(columns.has_stress.any()),
    )


def _check_config_weights(structures: Selection, weights: Mapping[str, float]) -> None:
    kinds = structures.columns.present_config_types
    unknown = sorted(set(weights) - set(kinds))
    if unknown:
        raise DataError(
            f"loss.config_weights names {', '.join(map(repr, unknown))}, but the training set has "
            f"only config_type {', '.join(map(repr, kinds))}",
            field="config_type",
        )


def _check_elements(structures: Sequence[Structure], elements: tuple[int, ...]) -> None:
    for structure in structures:
        species_of(structure, elements)


def _validation_batches(examples: Examples, batch: Batch) -> list[list[int]]:
    """Return batches in the order of the files, twice as large as those of training."""
    unit, limit = batch.limit
    sizes = np.minimum(sizes_of(examples.structures, examples.cutoff, unit), 2 * limit)
    return batches_by(sizes.tolist(), range(len(examples)), 2 * limit)


def _read(
    parts: Mapping[str, Sequence[str]], config: TrainingConfig, note: Note
) -> tuple[dict[str, Selection], list[str]]:
    """Read the files of each part of the data at once; return the structures and warnings.

    Structures of extended XYZ are in memory, those of stores are not.

    Raises:
        DataError: every problem of every file.
    """
    reading = read_files(
        [file for files in parts.values() for file in files],
        LabelNames(**config.data.keys.model_dump()),
        unit_check=config.data.unit_check,
        atomic_energies=config.data.energies,
        duplicates=False,
        cutoffs=[config.design.cutoff],
        note=note,
    )
    sets = iter(reading.sets)
    read = {name: Selection.of(*(next(sets) for _ in files)) for name, files in parts.items()}
    return read, [str(warning) for warning in reading.warnings]


def _isolated_atoms(structures: Selection) -> Selection:
    """Return the structures of files of isolated atoms.

    Raises:
        DataError: a frame that is no isolated atom.
    """
    for index in np.flatnonzero(~structures.columns.isolated).tolist():
        structure = structures[index]
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


def _repulsion(
    elements: tuple[int, ...], cutoff: float, constants: ZBL
) -> Callable[[Structure], Labels]:
    """Return a function for energy and forces of the core repulsion, which statistics leave out."""
    repulsion = Repulsion(zbl_table(elements, **constants.model_dump()))

    def of(structure: Structure) -> Labels:
        graph = build_graph(structure, cutoff, elements)
        vectors = graph.edge_vectors.clone().requires_grad_()
        distances = vectors.norm(dim=1)
        energy = repulsion(distances, graph.senders, graph.receivers, graph.species).sum()
        forces = torch.zeros(graph.n_nodes, 3, dtype=torch.float64)
        if graph.n_edges:
            (by_edge,) = torch.autograd.grad(energy, vectors)
            forces.index_add_(0, graph.receivers, by_edge)
            forces.index_add_(0, graph.senders, by_edge, alpha=-1)
        return Labels(energy=energy.item(), forces=forces.numpy())

    return of
