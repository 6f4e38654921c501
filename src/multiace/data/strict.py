"""Read files for training, evaluation and checks: every problem of every file at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiace.data.atomic_energies import is_isolated_atom, isolated_atom_energies
from multiace.data.bundled import data_path
from multiace.data.consistency import consistency_problems
from multiace.data.duplicates import find_duplicates
from multiace.data.errors import DataError, DataWarning, Findings
from multiace.data.extxyz import KeysSeen, LabelNames, structures_of
from multiace.data.labels import closest_key
from multiace.data.stress_order import stress_problems
from multiace.data.unit_check import unit_problems
from multiace.elements import atomic_number
from multiace.geometry import Structure

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
        sets: the structures of each.
        warnings: what can be right but should be known, at most `errors.MOST_SHOWN`.
        n_warnings: how many there are in all.
    """

    files: tuple[str, ...]
    sets: tuple[list[Structure], ...]
    warnings: tuple[DataWarning, ...]
    n_warnings: int

    @property
    def structures(self) -> list[Structure]:
        """The structures of all files."""
        return [structure for members in self.sets for structure in members]


def read_files(
    files: Sequence[str],
    names: LabelNames = LabelNames(),  # noqa: B008, frozen
    *,
    unit_check: bool = True,
    atomic_energies: Mapping[str, float] | None = None,
    duplicates: bool = True,
) -> Reading:
    """Read files strictly and check them as a whole.

    Each file is read as by `read_structures`. With `unit_check`, positions and labels that look
    like other units, forces and stresses that contradict the energies, and shear components in
    other places are problems; see `unit_check`, `consistency` and `stress_order`. Energies that
    contradict one another are problems, other duplicates warnings.

    Args:
        files: paths, or `bundled:NAME`.
        names: names of the labels.
        unit_check: check units, signs and orders of components.
        atomic_energies: E0 in eV by symbol, besides those of isolated atoms in the files.
        duplicates: look for structures that occur twice, in one file or in several.

    Raises:
        DataError: the only problem.
        DataErrors: the problems.
    """
    findings = Findings()
    reading = scan_files(
        files,
        names,
        findings,
        unit_check=unit_check,
        atomic_energies=atomic_energies,
        duplicates=duplicates,
    )
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
    unread_labels: type[DataError] | type[DataWarning] = DataWarning,
) -> Reading:
    """Read what can be read and add what is wrong.

    The other arguments are those of `read_files`.

    Args:
        files: paths, or `bundled:NAME`.
        names: names of the labels.
        findings: where problems and warnings are added.
        unit_check: check units, signs and orders of components.
        atomic_energies: E0 in eV by symbol.
        duplicates: look for structures that occur twice.
        unread_labels: what labels under names that are not read are.
    """
    paths, sets = [], []
    for name in files:
        path = data_path(name)
        seen = KeysSeen()
        paths.append(str(path))
        sets.append(list(structures_of(path, names, findings, seen)))
        for found in _unread(sets[-1], names, seen):
            findings.add(unread_labels(file=path, **found))
        findings.extend(_oddities(str(path), sets[-1]))
    everything = [structure for members in sets for structure in members]
    try:
        known = {**isolated_atom_energies(everything), **(atomic_energies or {})}
    except DataError as problem:
        findings.add(problem)
        known = {}
    if unit_check:
        numbers = {atomic_number(symbol): energy for symbol, energy in known.items()}
        for path, members in zip(paths, sets, strict=True):
            findings.extend(unit_problems(path, members, numbers))
            findings.extend(consistency_problems(path, members))
            findings.extend(stress_problems(path, members))
    if duplicates:
        owners = [path for path, members in zip(paths, sets, strict=True) for _ in members]
        findings.extend(find_duplicates(everything, owners).findings())
    warnings = tuple(findings.warnings)
    return Reading(tuple(paths), tuple(sets), warnings, findings.n_warnings)


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
