"""Read files for training, evaluation and checks: every problem of every file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from multiace.data.atomic_energies import is_isolated_atom, isolated_atom_energies
from multiace.data.bundled import data_path
from multiace.data.consistency import consistency_problems
from multiace.data.duplicates import find_duplicates
from multiace.data.errors import DataError, DataWarning, Findings
from multiace.data.extxyz import structures_of
from multiace.data.frame_reader import KeysSeen, LabelNames
from multiace.data.labels import closest_key
from multiace.data.selection import Selection
from multiace.data.store import Keys, Store, fresh_store, is_store
from multiace.data.stress_order import stress_problems
from multiace.data.unit_check import unit_problems
from multiace.elements import atomic_number
from multiace.geometry import Structure

MOST_COMPARED = 50_000
"""Structures that are compared with one another."""

_LOOKED_AT = 1000  # structures of a store
_NO_LABELS = {"free_energy"}
_OUTLIER = 10.0  # eV per atom from the median of one composition
_OUTLIER_DEVIATIONS = 20.0
_NET_FORCE = 0.1  # of the sum of the norms
_LEAST_FORCE = 0.05  # eV/Å, mean norm: below, rounding decides


@dataclass(frozen=True)
class Reading:
    """What was read from files without a problem.

    Args:
        files: paths in the order given.
        sets: the structures of each: a list, or a store that stays on the disk.
        warnings: what can be right but should be known, at most `errors.MOST_SHOWN`.
        n_warnings: how many there are in all.
    """

    files: tuple[str, ...]
    sets: tuple[Sequence[Structure], ...]
    warnings: tuple[DataWarning, ...]
    n_warnings: int

    @cached_property
    def structures(self) -> Selection:
        """The structures of all files."""
        return Selection.of(*self.sets)


def read_files(files: Sequence[str], names: LabelNames | None = None, **options: Any) -> Reading:
    """Read files strictly and check them as a whole.

    Extended XYZ is read as by `read_structures`, stores are opened. With `unit_check`, positions
    and labels that look like other units, forces and stresses that contradict the energies, and
    shear components in other places are problems; see `unit_check`, `consistency` and
    `stress_order`; of stores, 1000 structures are looked at. Energies that contradict one another
    are problems, other duplicates warnings.

    Args:
        files: paths, or `bundled:NAME`.
        names: names of the labels; default: the usual ones.
        **options: those of `scan_files`.

    Raises:
        DataError: the only problem.
        DataErrors: the problems.
    """
    findings = Findings()
    reading = scan_files(files, names or LabelNames(), findings, **options)
    findings.raise_problems()
    return reading


def scan_files(
    files: Sequence[str],
    names: LabelNames,
    findings: Findings,
    *,
    unit_check: bool = True,
    atomic_energies: Mapping[str, float] | None = None,
    duplicates: bool = True,
    cutoffs: Sequence[float] = (),
    note: Callable[[str], None] = lambda _: None,
    unread_labels: type[DataError] | type[DataWarning] = DataWarning,
) -> Reading:
    """Read what can be read and add what is wrong.

    Args:
        files: paths, or `bundled:NAME`.
        names: names of the labels.
        findings: where problems and warnings are added.
        unit_check: check units, signs and orders of components.
        atomic_energies: E0 in eV by symbol, besides those of isolated atoms in the files.
        duplicates: look for structures that occur twice, in one file or in several.
        cutoffs: Å; edge counts that stores must have.
        note: takes lines on stores that are prepared anew.
        unread_labels: what labels under names that are not read are.
    """
    paths: list[str] = []
    sets: list[Sequence[Structure]] = []
    for name in files:
        path = data_path(name)
        paths.append(str(path))
        if is_store(name):
            sets.append(_opened(path, names, findings, cutoffs, note))
            continue
        seen = KeysSeen()
        members = _rightly_marked(structures_of(path, names, findings, seen), findings)
        sets.append(members)
        for found in _unread(members, names, seen):
            findings.add(unread_labels(file=path, **found))
    looked_at = [_sample(members) for members in sets]
    for path, members in zip(paths, looked_at, strict=True):
        findings.extend(_oddities(path, members))
    if unit_check:
        known = {**_isolated(sets, findings), **(atomic_energies or {})}
        numbers = {atomic_number(symbol): energy for symbol, energy in known.items()}
        for path, members in zip(paths, looked_at, strict=True):
            findings.extend(unit_problems(path, members, numbers))
            findings.extend(consistency_problems(path, members))
            findings.extend(stress_problems(path, members))
    if duplicates:
        findings.extend(repetitions(dict(enumerate(sets)), paths))
    warnings = tuple(findings.warnings)
    return Reading(tuple(paths), tuple(sets), warnings, findings.n_warnings)


def repetitions(
    sets: Mapping[Any, Sequence[Structure]], owners: Sequence[str]
) -> Iterator[DataError | DataWarning]:
    """Yield what says which structures occur twice, unless they are too many to be compared.

    Args:
        sets: structures.
        owners: what each set is called in messages.
    """
    n_structures = sum(len(members) for members in sets.values())
    if n_structures > MOST_COMPARED:
        yield DataWarning(
            f"{n_structures:,} structures were not compared with one another, as they are more "
            f"than {MOST_COMPARED:,}",
            field="pos",
            hint="`multiace data check` compares some of the files.",
        )
        return
    structures = [structure for members in sets.values() for structure in members]
    names = [o for o, members in zip(owners, sets.values(), strict=True) for _ in members]
    yield from find_duplicates(structures, names).findings()


def _opened(
    path: Path,
    names: LabelNames,
    findings: Findings,
    cutoffs: Sequence[float],
    note: Callable[[str], None],
) -> Sequence[Structure]:
    """Return a store, nothing after adding the problem that it has."""
    try:
        return fresh_store(path, keys=Keys(**asdict(names)), cutoffs=cutoffs, note=note)
    except DataError as problem:
        findings.add(problem)
        return []


def _rightly_marked(structures: Iterator[Structure], findings: Findings) -> list[Structure]:
    """Return the structures without those that are called isolated atoms and have several."""
    right = []
    for structure in structures:
        try:
            is_isolated_atom(structure)
        except DataError as problem:
            findings.add(problem)
            continue
        right.append(structure)
    return right


def _sample(structures: Sequence[Structure]) -> Sequence[Structure]:
    """Return what is looked at of a set: all of it, or some of a store."""
    if not isinstance(structures, Store) or len(structures) <= _LOOKED_AT:
        return list(structures)
    chosen = np.linspace(0, len(structures) - 1, _LOOKED_AT).astype(np.int64)
    return list(structures.read(np.unique(chosen)))


def _isolated(sets: Sequence[Sequence[Structure]], findings: Findings) -> dict[str, float]:
    """Return the energies of isolated atoms; nothing if they contradict one another."""
    atoms: list[Structure] = []
    for members in sets:
        if isinstance(members, Store):
            atoms += members.read(np.flatnonzero(members.columns.isolated))
        else:
            atoms += [structure for structure in members if is_isolated_atom(structure)]
    try:
        return isolated_atom_energies(atoms)
    except DataError as problem:
        findings.add(problem)
        return {}


def _unread(
    structures: Sequence[Structure], names: LabelNames, seen: KeysSeen
) -> Iterator[dict[str, Any]]:
    """Yield labels that a file seems to hold under a name that is not read."""
    read = {key for s in structures for key in s.labels.keys.values()}
    for label in ("energy", "forces", "stress"):
        if any(getattr(structure.labels, label) is not None for structure in structures):
            continue
        keys = sorted((seen.atoms if label == "forces" else seen.frame) - read - _NO_LABELS)
        option, close = label, closest_key(label, keys)
        if label == "stress" and close is None:
            option, close = "virial", closest_key("virial", keys)
        if close is not None and structures:
            yield {
                "problem": f"no frame has {' or '.join(names.keys(label))}, but there is {close}, "
                "which is not read",
                "field": label,
                "value": close,
                "hint": f"To read it, set data.keys.{option} in a config or --{option}-key on the "
                f"command line to {close}; else take it out.",
            }


def _oddities(file: str, structures: Sequence[Structure]) -> Iterator[DataWarning]:
    """Yield energies far from those of the same composition, and forces that leave a net one."""
    groups: dict[bytes, list[int]] = {}
    for index, structure in enumerate(structures):
        if structure.labels.energy is not None and not is_isolated_atom(structure):
            groups.setdefault(np.sort(structure.numbers).tobytes(), []).append(index)
    for members in groups.values():
        energies = np.array([structures[i].labels.energy or 0.0 for i in members])
        energies /= structures[members[0]].n_atoms
        away = np.abs(energies - np.median(energies))
        limit = max(_OUTLIER, _OUTLIER_DEVIATIONS * float(np.median(away)))
        for place in np.nonzero(away > limit)[0].tolist():
            yield DataWarning(
                f"the energy lies {away[place]:.4g} eV per atom from the median of its composition",
                file=file,
                frame=int(structures[members[place]].source.rpartition(":")[2]),
                field="energy",
                value=structures[members[place]].labels.energy,
                hint="See that the calculation has converged.",
            )
    net = [s for s in structures if _has_net_force(s)]
    if net:
        yield DataWarning(
            f"the forces do not add up to zero in {len(net)} of {len(structures)} frames, as they "
            "must without an external field",
            file=file,
            frame=int(net[0].source.rpartition(":")[2]),
            field="forces",
            hint="ASE writes zero for atoms that constraints hold: write with "
            "apply_constraint=False.",
        )


def _has_net_force(structure: Structure) -> bool:
    """Tell whether the sum of the forces is more than rounding and noise."""
    forces = structure.labels.forces
    if forces is None or structure.n_atoms == 1:
        return False
    size = float(np.linalg.norm(forces, axis=1).sum())
    net = float(np.linalg.norm(forces.sum(axis=0)))
    return size > _LEAST_FORCE * structure.n_atoms and net > _NET_FORCE * size
