"""Paths through configuration space: bonds, angles, dihedrals, modes, dimers, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from jaxtyping import Float, Float64

from multiace.elements import symbol_of
from multiace.geometry import Labels, Structure
from multiace.geometry.coordinate import NAMES, along, coordinate, default_atoms, label_of
from multiace.probes.surface import Surface, forces_of
from multiace.units import FEMTOSECOND

Grid = Sequence[float | int] | np.ndarray
"""Values of a coordinate."""

Measure = Callable[[Structure], Sequence[float]]

BONDED = 1.25
"""Atoms closer than this times the sum of their covalent radii are bonded."""


SPEED_OF_LIGHT = 2.99792458e10
"""cm/s."""


class PathError(ValueError):
    """A path that cannot be made from these atoms."""


@dataclass(frozen=True, eq=False)
class Path:
    """Structures along one coordinate.

    Args:
        title: what is scanned.
        label: the coordinate with its unit.
        coordinate: its value in each structure, ascending.
        structures: with labels, where there are any.
        fragments: what the structures consist of at large coordinates, or empty: structures whose
            energies sum to the limit.
        measure: values of the coordinate in any structure, for the histogram of training data.
    """

    title: str
    label: str
    coordinate: Float64[np.ndarray, " points"]
    structures: tuple[Structure, ...]
    fragments: tuple[Structure, ...] = ()
    measure: Measure | None = None

    def __post_init__(self) -> None:
        if len(self.coordinate) != len(self.structures) or len(self.structures) < 2:
            raise PathError(
                f"A path needs at least two structures and a coordinate for each, got "
                f"{len(self.structures)} and {len(self.coordinate)}."
            )
        if (np.diff(self.coordinate) < 0).any():
            raise PathError("The coordinate of a path must ascend. Sort the structures by it.")


def dimer(first: int, second: int, distances: Grid) -> Path:
    """Return two atoms at the given distances.

    Args:
        first: atomic number.
        second: atomic number.
        distances: Å, ascending.

    Example:
        >>> path = dimer(1, 8, [0.9, 1.0])
        >>> path.title, path.structures[1].positions[1].tolist()
        ('H–O dimer', [1.0, 0.0, 0.0])
    """
    r = np.asarray(distances, dtype=np.float64)
    numbers = np.array([first, second])
    structures = tuple(Structure(numbers, np.array([[0.0] * 3, [x, 0.0, 0.0]])) for x in r)
    atoms = tuple(Structure(np.array([n]), np.zeros((1, 3))) for n in (first, second))
    name = f"{symbol_of(first)}–{symbol_of(second)}"
    measure = _pair_measure(structures[0], float(r[-1]))
    return Path(f"{name} dimer", f"r({name}) (Å)", r, structures, atoms, measure)


def bond(
    structure: Structure,
    i: int,
    j: int,
    distances: Grid,
) -> Path:
    """Stretch or compress a bond; the atoms on the side of j move with it, rigidly.

    Args:
        structure: a molecule.
        i: atom that stays.
        j: atom that moves.
        distances: Å, ascending.

    Raises:
        PathError: the bond is part of a ring, or an atom is not there.
    """
    moving = _side(structure, i, j)
    r = np.asarray(distances, dtype=np.float64)
    structures = _moved(
        structure, r, lambda atoms, x: atoms.set_distance(i, j, x, fix=0, indices=moving)
    )
    staying = [k for k in range(structure.n_atoms) if k not in moving]
    fragments = tuple(_part(structure, atoms) for atoms in (staying, moving))
    name = _names(structure, (i, j))
    return Path(
        f"{name} bond", f"r({name}) (Å)", r, structures, fragments, _measure(structure, (i, j))
    )


def angle(
    structure: Structure,
    i: int,
    j: int,
    k: int,
    angles: Grid,
) -> Path:
    """Bend the angle i-j-k; the atoms on the side of k move with it, rigidly.

    Args:
        structure: a molecule.
        i: atom at one end.
        j: atom at the apex.
        k: atom at the other end.
        angles: degrees, ascending.

    Raises:
        PathError: the bond j-k is part of a ring, or an atom is not there.
    """
    moving = _side(structure, j, k)
    values = np.asarray(angles, dtype=np.float64)
    structures = _moved(
        structure, values, lambda atoms, x: atoms.set_angle(i, j, k, x, indices=moving)
    )
    name = _names(structure, (i, j, k))
    measure = _measure(structure, (i, j, k))
    return Path(f"{name} angle", f"{name} (degrees)", values, structures, measure=measure)


def dihedral(
    structure: Structure,
    i: int,
    j: int,
    k: int,
    l: int,
    angles: Grid,
) -> Path:
    """Turn the dihedral i-j-k-l; the atoms on the side of k move with it, rigidly.

    Args:
        structure: a molecule.
        i: first atom.
        j: second atom, on the axis.
        k: third atom, on the axis.
        l: fourth atom.
        angles: degrees, ascending.

    Raises:
        PathError: the bond j-k is part of a ring, or an atom is not there.
    """
    moving = _side(structure, j, k)
    values = np.asarray(angles, dtype=np.float64)
    structures = _moved(
        structure, values, lambda atoms, x: atoms.set_dihedral(i, j, k, l, x, indices=moving)
    )
    name = _names(structure, (i, j, k, l))
    measure = _measure(structure, (i, j, k, l))
    return Path(f"{name} dihedral", f"{name} (degrees)", values, structures, measure=measure)


def displacement(
    structure: Structure,
    vectors: Float[np.ndarray, "atoms 3"],
    amplitudes: Grid,
    title: str = "displacement",
) -> Path:
    """Move all atoms along one direction of the 3n-dimensional space.

    Args:
        structure: at amplitude 0.
        vectors: the direction; it is normalised, so amplitudes are lengths in that space.
        amplitudes: Å, ascending.
        title: what the direction is.
    """
    s = np.asarray(amplitudes, dtype=np.float64)
    unit = vectors / np.linalg.norm(vectors)
    structures = tuple(
        replace(structure, positions=structure.positions + x * unit, labels=Labels()) for x in s
    )
    return Path(title, "displacement (Å)", s, structures)


def interpolation(first: Structure, last: Structure, points: int) -> Path:
    """Go from one structure to another in a straight line, in equal steps.

    Args:
        first: at coordinate 0.
        last: the same atoms elsewhere; the cell stays that of the first.
        points: number of structures, ends included.

    Raises:
        PathError: the atoms differ.
    """
    if not np.array_equal(first.numbers, last.numbers):
        raise PathError("The ends of a path must have the same atoms in the same order.")
    vector = last.positions - first.positions
    lengths = np.linspace(0.0, float(np.linalg.norm(vector)), points)
    path = displacement(first, vector, lengths, "straight path")
    return replace(path, label="length of the path (Å)")


def normal_mode(
    surface: Surface,
    structure: Structure,
    mode: int,
    amplitudes: Grid,
) -> Path:
    """Displace along a normal mode of the surface at a structure.

    The Hessian is made of central differences of forces. Modes are those of the mass-weighted
    Hessian, ascending in frequency, translations and rotations first.

    Args:
        surface: whose mode.
        structure: usually a minimum.
        mode: number of the mode, from 0; negative from the stiffest.
        amplitudes: Å, ascending.

    Raises:
        PathError: there is no such mode.
    """
    masses = structure.to_ase().get_masses()
    hessian = numerical_hessian(surface, structure)
    root = np.sqrt(np.repeat(masses, 3))
    eigenvalues, modes = np.linalg.eigh(hessian / np.outer(root, root))
    if not -len(eigenvalues) <= mode < len(eigenvalues):
        raise PathError(f"mode must be below {len(eigenvalues)}, got {mode}.")
    vector = (modes[:, mode] / root).reshape(-1, 3)
    wavenumber = wavenumbers(eigenvalues)[mode]
    return displacement(structure, vector, amplitudes, f"normal mode of {wavenumber:.0f} cm⁻¹")


def numerical_hessian(
    surface: Surface, structure: Structure, step: float = 1e-3
) -> Float64[np.ndarray, "size size"]:
    """Return d²E/dr² by central differences of forces, symmetrised, eV/Å².

    Args:
        surface: evaluated at 6 n displaced structures.
        structure: where.
        step: displacement, Å.
    """
    n = 3 * structure.n_atoms
    moves = step * np.concatenate([np.eye(n), -np.eye(n)]).reshape(2 * n, -1, 3)
    moved = [
        replace(structure, positions=structure.positions + move, labels=Labels()) for move in moves
    ]
    forces = np.stack([f.ravel() for f in forces_of(surface.evaluate(moved))])
    hessian = (forces[n:] - forces[:n]) / (2.0 * step)
    return 0.5 * (hessian + hessian.T)


def wavenumbers(eigenvalues: Float64[np.ndarray, " modes"]) -> Float64[np.ndarray, " modes"]:
    """Return wavenumbers in cm⁻¹ from eigenvalues in eV/(Å² u); negative ones are imaginary.

    Example:
        >>> round(float(wavenumbers(np.array([1.0]))[0]), 1)
        521.5
    """
    angular = np.sqrt(np.abs(eigenvalues)) * FEMTOSECOND * 1e15  # rad/s
    return np.sign(eigenvalues) * angular / (2.0 * np.pi * SPEED_OF_LIGHT)


def along_file(structures: Sequence[Structure], atoms: Sequence[int] = ()) -> Path:
    """Take structures as they are, sorted by an internal coordinate.

    Args:
        structures: frames of one scan, with their labels.
        atoms: two atoms for a distance, three for an angle, four for a dihedral; none for the
            distance of a pair, and otherwise for the length of the path through the frames.

    Raises:
        PathError: frames of different atoms, or atoms that define no coordinate.
    """
    first = structures[0]
    atoms = tuple(atoms) or default_atoms(first)
    try:
        values = along(structures, atoms)
    except ValueError as error:
        raise PathError(str(error)) from None
    if not atoms:
        return Path("path through the frames", label_of(()), values, tuple(structures))
    order = np.argsort(values, kind="stable")
    kind, unit = NAMES[len(atoms)]
    name = _names(first, atoms)
    ordered = tuple(structures[index] for index in order)
    is_pair = first.n_atoms == 2
    measure = _pair_measure(first, float(values.max())) if is_pair else _measure(first, atoms)
    return Path(f"{name} {kind}", f"{name} ({unit})", values[order], ordered, measure=measure)


def bonds(structure: Structure) -> list[tuple[int, int]]:
    """List the bonds of a molecule: pairs nearer than 1.25 times their covalent radii.

    Example:
        >>> positions = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        >>> water = Structure(np.array([8, 1, 1]), positions)
        >>> bonds(water)
        [(0, 1), (0, 2)]
    """
    radii = covalent_radii[structure.numbers]
    reach = BONDED * np.add.outer(radii, radii)
    i, j = np.triu_indices(structure.n_atoms, 1)
    distances = structure.to_ase().get_all_distances(mic=any(structure.pbc))
    near = distances[i, j] < reach[i, j]
    return list(zip(i[near].tolist(), j[near].tolist(), strict=True))


def _side(structure: Structure, i: int, j: int) -> list[int]:
    """Atoms that hang on j once the bond i-j is cut."""
    for atom in (i, j):
        if not 0 <= atom < structure.n_atoms:
            raise PathError(
                f"There is no atom {atom}: atoms count from 0 to {structure.n_atoms - 1}."
            )
    neighbours: dict[int, set[int]] = {k: set() for k in range(structure.n_atoms)}
    for a, b in bonds(structure):
        if {a, b} != {i, j}:
            neighbours[a].add(b)
            neighbours[b].add(a)
    side, edge = {j}, [j]
    while edge:
        new = neighbours[edge.pop()] - side
        side |= new
        edge.extend(new)
    if i in side:
        raise PathError(
            f"Atoms {i} and {j} are in one ring, so no part of the molecule moves by itself. "
            "Choose a bond outside rings."
        )
    return sorted(side)


def _moved(
    structure: Structure, values: np.ndarray, move: Callable[[Atoms, float], None]
) -> tuple[Structure, ...]:
    found = []
    for value in values:
        atoms = structure.to_ase()
        move(atoms, float(value))
        found.append(replace(structure, positions=atoms.positions, labels=Labels()))
    return tuple(found)


def _part(structure: Structure, atoms: Sequence[int]) -> Structure:
    chosen = list(atoms)
    return replace(
        structure,
        numbers=structure.numbers[chosen],
        positions=structure.positions[chosen],
        labels=Labels(),
    )


def _measure(structure: Structure, atoms: Sequence[int]) -> Measure:
    """Return what measures an internal coordinate in structures of the same atoms."""

    def value(other: Structure) -> list[float]:
        same = np.array_equal(other.numbers, structure.numbers)
        return [coordinate(other, atoms)] if same else []

    return value


def _pair_measure(pair: Structure, largest: float) -> Measure:
    """Return what lists the distances, up to the largest, of all pairs of these elements."""
    elements = set(pair.numbers.tolist())

    def values(structure: Structure) -> list[float]:
        distances = structure.to_ase().get_all_distances(mic=any(structure.pbc))
        i, j = np.triu_indices(structure.n_atoms, 1)
        numbers = structure.numbers
        chosen = [{int(numbers[a]), int(numbers[b])} == elements for a, b in zip(i, j, strict=True)]
        found = distances[i, j][np.array(chosen, dtype=bool)]
        return found[found <= largest].tolist()

    return values


def _names(structure: Structure, atoms: Sequence[int]) -> str:
    return "–".join(f"{symbol_of(int(structure.numbers[k]))}{k}" for k in atoms)
