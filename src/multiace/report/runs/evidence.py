"""All that a report shows of its runs, evaluated: test sets, scans, what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from multiace.analysis import ErrorTable, compare
from multiace.data import DataError, read_structures
from multiace.data.bundled import data_path
from multiace.elements import symbol_of
from multiace.geometry import Labels, Structure
from multiace.report.runs.cost import Speed, measured_speed
from multiace.report.runs.predictions import (
    Progress,
    geometry_hash,
    predicted_labels,
    predicted_terms,
)
from multiace.report.runs.run import Run, RunError, with_data_folder
from multiace.report.runs.scan import Scan
from multiace.training import TrainingConfig
from multiace.training.prepare import StructureSets, read_sets

VALIDATION = "validation"


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Structures with what one model predicts for them.

    Args:
        structures: with reference labels.
        predictions: one for each.
    """

    structures: tuple[Structure, ...]
    predictions: tuple[Labels, ...]

    @property
    def errors(self) -> ErrorTable:
        """Errors in total and by group."""
        return compare(self.structures, self.predictions)


@dataclass(frozen=True, eq=False)
class ScanResult:
    """A scan with the energies of the models that know its elements.

    Args:
        scan: with the reference.
        energies: name of the run -> energies, eV.
        terms: name of the run -> terms of the energy along the scan, eV.
    """

    scan: Scan
    energies: Mapping[str, Float64[np.ndarray, " points"]]
    terms: Mapping[str, Float64[np.ndarray, "points terms"]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a report is made of.

    Args:
        runs: in the order of their colours.
        validation: name of the run -> its own validation set.
        tests: name of the test set -> name of the run -> what it says; a run whose model does not
            know the elements of a set is left out there.
        scans: in their order.
        training: name of the run -> what it was trained on.
        atomic_energies: symbol -> reference energy of the isolated atom, eV.
        speeds: name of the run -> time of an evaluation.
        changed: names of runs whose data are no longer those they were trained on.
    """

    runs: tuple[Run, ...]
    validation: Mapping[str, Evaluated]
    tests: Mapping[str, Mapping[str, Evaluated]]
    scans: tuple[ScanResult, ...]
    training: Mapping[str, tuple[Structure, ...]]
    atomic_energies: Mapping[str, float]
    speeds: Mapping[str, Speed]
    changed: tuple[str, ...]

    def tested(self, run: str) -> Evaluated:
        """Return all test sets of a run as one, or its validation set if it has none."""
        parts = [results[run] for results in self.tests.values() if run in results]
        parts = parts or [self.validation[run]]
        return Evaluated(
            tuple(s for part in parts for s in part.structures),
            tuple(p for part in parts for p in part.predictions),
        )


def collect(
    runs: Sequence[Run],
    *,
    data_folder: Path | None = None,
    tests: Mapping[str, Sequence[Structure]] | None = None,
    scans: Sequence[Scan] = (),
    progress: Progress,
) -> Evidence:
    """Evaluate each run on its validation set, on all test sets and along all scans.

    Args:
        runs: with names of their own.
        data_folder: where relative paths of the configs begin; default: the current directory.
        tests: name -> structures, besides the test sets that the configs name.
        scans: what is scanned.
        progress: is told of each part.

    Raises:
        RunError: data of a config that are not there, or test sets of one name that differ.
        DataError: data that cannot be read.
    """
    sets = _read_all(runs, data_folder)
    named: dict[str, tuple[Structure, ...]] = {}
    for run in runs:
        for name, structures in sets[run.name].tests.items():
            _add_test(named, name, tuple(structures), run.name)
    for name, structures in (tests or {}).items():
        _add_test(named, name, tuple(structures), "--test")
    validation = {r.name: _evaluate(r, VALIDATION, sets[r.name].validation, progress) for r in runs}
    results = {
        name: {r.name: _evaluate(r, name, s, progress) for r in runs if _knows(r, s)}
        for name, s in named.items()
    }
    atoms = [atom for run in runs for atom in sets[run.name].isolated_atoms]
    return Evidence(
        runs=tuple(runs),
        validation=validation,
        tests=results,
        scans=tuple(_scan(scan, runs, progress) for scan in scans),
        training={run.name: tuple(sets[run.name].training) for run in runs},
        atomic_energies=_energies_of_atoms(atoms),
        speeds={r.name: measured_speed(r, validation[r.name].structures) for r in runs},
        changed=tuple(r.name for r in runs if r.data_hash not in (None, sets[r.name].content_hash)),
    )


def read_test(text: str) -> tuple[str, list[Structure]]:
    """Read a test set from `[NAME=]FILE`; its name is otherwise that of the file.

    Example:
        >>> name, structures = read_test("300 K=bundled:malonaldehyde/test_300K")
        >>> name, len(structures)
        ('300 K', 200)
    """
    name, separator, file = text.partition("=")
    path = data_path(file if separator else text)
    structures = read_structures(path)
    labels = [s.labels for s in structures]
    if all(l.energy is None and l.forces is None for l in labels):
        raise DataError(
            "no structure has an energy or forces to compare with",
            file=str(path),
            hint="Give labelled structures; names other than energy and forces go into the config.",
        )
    return (name if separator else path.stem), structures


def _read_all(runs: Sequence[Run], folder: Path | None) -> dict[str, StructureSets]:
    """Read the data of each run; runs with the same data share them."""
    read: dict[str, StructureSets] = {}
    sets = {}
    for run in runs:
        config = run.config if folder is None else with_data_folder(run.config, folder)
        reference = config.design.energy.reference
        key = f"{config.data.model_dump_json()} {config.seed_of('split')} {reference}"
        if key not in read:
            _require_files(run, config)
            read[key] = read_sets(config)
        sets[run.name] = read[key]
    return sets


def _require_files(run: Run, config: TrainingConfig) -> None:
    data = config.data
    valid = data.valid if isinstance(data.valid, tuple) else ()
    tests = [name for names in data.tests.values() for name in names]
    for name in (*data.train, *valid, *data.isolated_atoms, *tests):
        if not data_path(name).exists():
            raise RunError(
                f"{run.path / 'config.yaml'} names {name}, which is not here. Say where its "
                "relative paths begin with --data-folder DIR."
            )


def _add_test(
    named: dict[str, tuple[Structure, ...]], name: str, structures: tuple[Structure, ...], by: str
) -> None:
    if name == VALIDATION:
        raise RunError(f"{by} names a test set {name!r}, which is what reports call the other set.")
    if name in named and geometry_hash(named[name]) != geometry_hash(structures):
        raise RunError(
            f"{by} and another run have different test sets of the name {name!r}. Give each a name "
            "of its own in the configs, or make two reports."
        )
    named.setdefault(name, structures)


def _knows(run: Run, structures: Sequence[Structure]) -> bool:
    known = set(run.potential.elements)
    return all(known.issuperset(structure.numbers.tolist()) for structure in structures)


def _evaluate(
    run: Run, name: str, structures: Sequence[Structure], progress: Progress
) -> Evaluated:
    whole = tuple(structures)
    return Evaluated(whole, tuple(predicted_labels(run, name, whole, progress)))


def _scan(scan: Scan, runs: Sequence[Run], progress: Progress) -> ScanResult:
    able = [run for run in runs if _knows(run, scan.structures)]
    terms = {}
    for number, run in enumerate(able):
        progress(f"{run.name}: {scan.title}", number / len(able))
        terms[run.name] = predicted_terms(run, scan.structures)
    energies = {name: values.sum(axis=1) for name, values in terms.items()}
    return ScanResult(scan, energies, terms)


def _energies_of_atoms(atoms: Sequence[Structure]) -> dict[str, float]:
    """Return the energies of isolated atoms; runs may share them."""
    first: dict[int, Structure] = {}
    for atom in atoms:
        if atom.labels.energy is not None:
            first.setdefault(int(atom.numbers[0]), atom)
    return {symbol_of(number): _energy(atom) for number, atom in first.items()}


def _energy(atom: Structure) -> float:
    assert atom.labels.energy is not None
    return atom.labels.energy
