"""Coordinates of scans: distances, angles and dihedrals of atoms, or the length of the path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from multiace.geometry.structure import Structure

NAMES: Mapping[int, tuple[str, str]] = {
    2: ("distance", "Å"),
    3: ("angle", "degrees"),
    4: ("dihedral", "degrees"),
}
"""Number of atoms -> the coordinate that they define, and its unit."""

_FULL_TURN = 360.0
_ROUNDING = 1e-3  # degrees: positions in files have eight digits or so


def coordinate(structure: Structure, atoms: Sequence[int]) -> float:
    """Return a distance (Å), an angle (degrees) or a dihedral (degrees, -180 to 180).

    Distances are those of the nearest images. A planar trans arrangement is at 180, from whichever
    side rounding moves it.

    Args:
        structure: has the atoms.
        atoms: two, three or four of its atoms, from 0.

    Raises:
        ValueError: another number of atoms, one twice, or one that is not there.

    Example:
        >>> bent = Structure(np.array([1, 8, 1]), np.array([[1.0, 0, 0], [0, 0, 0], [0, 1.0, 0]]))
        >>> coordinate(bent, (0, 1)), coordinate(bent, (0, 1, 2))
        (1.0, 90.0)
    """
    check_atoms(atoms, structure.n_atoms)
    frame, images = structure.to_ase(), any(structure.pbc)
    if len(atoms) == 2:
        return float(frame.get_distance(*atoms, mic=images))
    if len(atoms) == 3:
        return float(frame.get_angle(*atoms, mic=images))
    turned = float(frame.get_dihedral(*atoms, mic=images))
    return turned - _FULL_TURN if turned > _FULL_TURN / 2 + _ROUNDING else turned


def check_atoms(atoms: Sequence[int], n_atoms: int) -> None:
    """Refuse atoms that define no coordinate of a structure.

    Raises:
        ValueError: saying why.
    """
    if len(atoms) not in NAMES or len(set(atoms)) < len(atoms):
        raise ValueError(f"A coordinate is made of 2, 3 or 4 different atoms, got {_list(atoms)}.")
    if not all(0 <= atom < n_atoms for atom in atoms):
        raise ValueError(
            f"There are no atoms {_list(atoms)} in a structure of {n_atoms}: they count from 0 to "
            f"{n_atoms - 1}."
        )


def _list(atoms: Sequence[int]) -> str:
    return ", ".join(map(str, atoms)) or "none"


def along(
    structures: Sequence[Structure], atoms: Sequence[int] = ()
) -> Float64[np.ndarray, " structures"]:
    """Return the coordinate of each structure of a scan.

    Args:
        structures: of the same atoms in the same order.
        atoms: those that define it; none: the distance where there are two atoms, and otherwise
            the length of the path from the first structure, sqrt(Σ |Δr_i|²) for each step, in Å.

    Raises:
        ValueError: the structures differ in their atoms, or these atoms define nothing.

    Example:
        >>> pair = np.array([1, 1])
        >>> [float(r) for r in along([Structure(pair, np.diag([0, r, 0.0])[:2]) for r in (1, 2)])]
        [1.0, 2.0]
    """
    first = structures[0]
    if not all(np.array_equal(other.numbers, first.numbers) for other in structures):
        raise ValueError("All structures of a scan must have the same atoms in the same order.")
    atoms = atoms or default_atoms(first)
    if atoms:
        return np.array([coordinate(structure, atoms) for structure in structures])
    positions = np.array([structure.positions for structure in structures])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))
    return np.concatenate([[0.0], np.cumsum(steps)])


def default_atoms(structure: Structure) -> tuple[int, ...]:
    """Return the atoms of the coordinate where none are named: those of a pair, else none."""
    return (0, 1) if structure.n_atoms == 2 else ()


def label_of(atoms: Sequence[int]) -> str:
    """Return what atoms define, with its unit.

    Example:
        >>> label_of((0, 1)), label_of(())
        ('distance 0–1 (Å)', 'length of the path (Å)')
    """
    if not atoms:
        return "length of the path (Å)"
    name, unit = NAMES[len(atoms)]
    return f"{name} {'–'.join(map(str, atoms))} ({unit})"


def scans_among(structures: Sequence[Structure]) -> list[tuple[str, list[int]]]:
    """Tell the scans of a file apart: by config_type, and by the atoms and their order.

    Returns:
        Name and structures of each, in the order of their first structure. The name is the
        config_type, with the formula and a number where that is not enough, or empty where there
        is one scan only.

    Example:
        >>> atoms = np.array([1, 1])
        >>> pair = [Structure(atoms, np.eye(3)[:2], config_type=kind) for kind in "aba"]
        >>> scans_among(pair)
        [('a', [0, 2]), ('b', [1])]
    """
    found: dict[tuple[str, bytes], list[int]] = {}
    for index, structure in enumerate(structures):
        kind = (structure.config_type, structure.numbers.tobytes())
        found.setdefault(kind, []).append(index)
    members = list(found.values())
    if len(members) == 1:
        return [("", members[0])]
    names = [kind for kind, _ in found]
    if len(set(names)) < len(names) or "" in names:
        formulas = [structures[m[0]].to_ase().get_chemical_formula() for m in members]
        names = [f"{n} {f}".strip() for n, f in zip(names, formulas, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} {number}" for number, name in enumerate(names, 1)]
    return list(zip(names, members, strict=True))
