"""Symmetries of physics: copies of a structure, and how far a potential tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Int, Int64

from multiace.analysis.predict import predict
from multiace.geometry import Labels, Structure
from multiace.o3.rotation import random_rotation
from multiace.potential import Potential

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Image:
    """A structure that physics holds equal to another one, and what became of its atoms.

    E' / n' = E / n,   F'_k = Q F_{atoms[k]},   sigma' = Q sigma Q^T.

    Args:
        name: the symmetry, for tables.
        structure: the image.
        atoms: atom of the original that each atom of the image is a copy of.
        matrix: Q, orthogonal.
    """

    name: str
    structure: Structure
    atoms: Int64[np.ndarray, " image_atoms"]
    matrix: Float64[np.ndarray, "3 3"]


@dataclass(frozen=True)
class Departure:
    """Largest differences between the prediction for an image and what symmetry says.

    Args:
        name: the symmetry.
        energy: eV/atom.
        forces: eV/Å.
        stress: eV/Å^3, None without volume.
    """

    name: str
    energy: float
    forces: float
    stress: float | None


def symmetry(
    potential: Potential, structure: Structure, *, repetitions: int = 3, seed: int = 0
) -> list[Departure]:
    """Compare predictions for random images of a structure with what each symmetry says.

    Args:
        potential: evaluated in its own dtype: float64 shows 1e-10, float32 its rounding.
        structure: the original.
        repetitions: number of images of each kind.
        seed: seed of the images.

    Returns:
        The largest departure for each symmetry.

    Raises:
        ElementError: an element that the potential does not know.

    Example:
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> potential = Potential(botnet("small"), (1,), statistics, seed=0)
        >>> pair = Structure(numbers=np.array([1, 1]), positions=np.array([[0, 0, 0], [0, 0, 0.7]]))
        >>> [row.name for row in symmetry(potential, pair)]
        ['rotation', 'mirror', 'translation', 'permutation']
    """
    rng = np.random.default_rng(seed)
    images = [image for _ in range(repetitions) for image in random_images(structure, rng)]
    return largest_departures(departures(potential, structure, images))


def largest_departures(rows: Sequence[Departure]) -> list[Departure]:
    """Return the largest departure for each symmetry.

    Example:
        >>> rows = [Departure("rotation", 1.0, 0.0, None), Departure("rotation", 0.0, 2.0, None)]
        >>> largest_departures(rows)
        [Departure(name='rotation', energy=1.0, forces=2.0, stress=None)]
    """
    largest = {row.name: row for row in rows}
    for row in rows:
        other = largest[row.name]
        largest[row.name] = Departure(
            row.name,
            max(row.energy, other.energy),
            max(row.forces, other.forces),
            None if row.stress is None else max(row.stress, other.stress or 0.0),
        )
    return list(largest.values())


def departures(
    potential: Potential, structure: Structure, images: Sequence[Image]
) -> list[Departure]:
    """Compare predictions for images of a structure with what symmetry says.

    Args:
        potential: evaluated in its own dtype.
        structure: the original.
        images: of this structure.

    Returns:
        One `Departure` an image, in their order.
    """
    structures = [structure, *(image.structure for image in images)]
    predictions = predict(potential, structures, stress=structure.volume is not None)
    return compare_images(structure, images, predictions)


def compare_images(
    structure: Structure, images: Sequence[Image], predictions: Sequence[Labels]
) -> list[Departure]:
    """Compare predictions of any origin for images of a structure with what symmetry says.

    Args:
        structure: the original.
        images: of this structure.
        predictions: for the structure, and then for each image.

    Returns:
        One `Departure` an image, in their order.
    """
    original, *of_images = predictions
    return [
        _departure(original, found, structure, image)
        for found, image in zip(of_images, images, strict=True)
    ]


def _departure(original: Labels, found: Labels, structure: Structure, image: Image) -> Departure:
    n_image, n_original, q = image.structure.n_atoms, structure.n_atoms, image.matrix
    energy = _known(found.energy) / n_image - _known(original.energy) / n_original
    forces = _known(found.forces) - _known(original.forces)[image.atoms] @ q.T
    stress = None
    if found.stress is not None and original.stress is not None:
        stress = float(np.abs(found.stress - q @ _known(original.stress) @ q.T).max())
    return Departure(image.name, abs(energy), float(np.abs(forces).max()), stress)


def _known(value: T | None) -> T:
    assert value is not None
    return value


def random_images(structure: Structure, rng: np.random.Generator) -> list[Image]:
    """Draw one image of each kind that the structure has.

    Returns:
        rotation, mirror, translation and permutation; and, with periodic directions, wrapping,
        other cell vectors, and a supercell.
    """
    rotation = random_rotation(rng)
    mirror = random_rotation(rng) @ np.diag([1.0, 1.0, -1.0])
    images = [
        rotated(structure, rotation),
        rotated(structure, mirror),
        translated(structure, rng.normal(scale=10.0, size=3)),
        permuted(structure, rng.permutation(structure.n_atoms)),
    ]
    if any(structure.pbc):
        images += [
            moved_by_cells(structure, rng.integers(-3, 4, size=(structure.n_atoms, 3))),
            with_cell_vectors(structure, random_unimodular(structure.pbc, rng)),
            repeated(structure, (2, 1, 3)),
        ]
    return images


def rotated(structure: Structure, matrix: Float64[np.ndarray, "3 3"]) -> Image:
    """Rotate or reflect the atoms and the cell about the origin.

    Args:
        structure: the original.
        matrix: orthogonal, acting on column vectors; determinant -1 makes a mirror image.

    Example:
        >>> atom = Structure(numbers=np.array([1]), positions=np.array([[1.0, 2.0, 3.0]]))
        >>> rotated(atom, -np.eye(3)).structure.positions.tolist()
        [[-1.0, -2.0, -3.0]]
    """
    cell = None if structure.cell is None else structure.cell @ matrix.T
    name = "rotation" if np.linalg.det(matrix) > 0 else "mirror"
    image = _changed(structure, positions=structure.positions @ matrix.T, cell=cell)
    return Image(name, image, np.arange(structure.n_atoms), matrix)


def translated(structure: Structure, vector: Float64[np.ndarray, "3"]) -> Image:
    """Move all atoms by a vector (Å); the cell stays."""
    return _same_atoms("translation", structure, positions=structure.positions + vector)


def permuted(structure: Structure, order: Int[np.ndarray, " atoms"]) -> Image:
    """Number the atoms anew: atom k of the image is atom order[k] of the original."""
    image = _changed(
        structure, numbers=structure.numbers[order], positions=structure.positions[order]
    )
    return Image("permutation", image, order.astype(np.int64), np.eye(3))


def moved_by_cells(structure: Structure, cells: Int[np.ndarray, "atoms 3"]) -> Image:
    """Move each atom by whole cell vectors, its own number of them; periodic directions only."""
    moves = (cells * np.array(structure.pbc)) @ _cell(structure)
    return _same_atoms("wrapping", structure, positions=structure.positions + moves)


def wrapped(structure: Structure) -> Image:
    """Move every atom into the cell, along the periodic directions."""
    periodic = np.array(structure.pbc)
    fractional = structure.positions @ np.linalg.pinv(_cell(structure)[periodic])
    cells = np.zeros((structure.n_atoms, 3), dtype=np.int64)
    cells[:, periodic] = -np.floor(fractional)
    return moved_by_cells(structure, cells)


def with_cell_vectors(structure: Structure, combination: Int[np.ndarray, "3 3"]) -> Image:
    """Describe the same lattice by other cell vectors.

    Args:
        structure: the original.
        combination: integers of determinant +1 or -1; row n makes the new vector n of the old
            ones. Directions that are not periodic keep theirs.

    Raises:
        ValueError: another determinant, or periodic directions mixed with others.
    """
    periodic = np.array(structure.pbc)
    mixed = combination[periodic][:, ~periodic].any() or combination[~periodic][:, periodic].any()
    if abs(round(np.linalg.det(combination))) != 1 or mixed:
        raise ValueError(
            f"combination must be integer of determinant 1 or -1 and not mix periodic directions "
            f"with others, got {combination.tolist()} for pbc = {structure.pbc}."
        )
    return _same_atoms("cell vectors", structure, cell=combination @ _cell(structure))


def random_unimodular(
    pbc: tuple[bool, bool, bool], rng: np.random.Generator
) -> Int64[np.ndarray, "3 3"]:
    """Draw an integer matrix of determinant +1 or -1 that leaves directions without period alone.

    Example:
        >>> matrix = random_unimodular((True, True, False), np.random.default_rng(0))
        >>> round(abs(np.linalg.det(matrix))), matrix[2].tolist()
        (1, [0, 0, 1])
    """
    matrix = np.eye(3, dtype=np.int64)
    periodic = np.flatnonzero(pbc)
    for target in periodic:
        for source in periodic[periodic != target]:
            matrix[target] += rng.integers(-1, 2) * matrix[source]
    matrix[periodic[:1]] *= rng.choice([-1, 1])
    return matrix


def repeated(structure: Structure, repeats: tuple[int, int, int]) -> Image:
    """Repeat the cell; directions that are not periodic count once.

    Example:
        >>> crystal = Structure(np.array([1]), np.zeros((1, 3)), np.eye(3), (True, True, True))
        >>> repeated(crystal, (1, 2, 1)).structure.positions.tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    repeats_or_one = np.where(structure.pbc, repeats, 1)
    cells = np.array(list(np.ndindex(*repeats_or_one)))  # (copies, 3)
    cell = _cell(structure)
    positions = (cells @ cell)[:, None, :] + structure.positions  # (copies, atoms, 3)
    image = _changed(
        structure,
        numbers=np.tile(structure.numbers, len(cells)),
        positions=positions.reshape(-1, 3),
        cell=repeats_or_one[:, None] * cell,
    )
    atoms = np.tile(np.arange(structure.n_atoms), len(cells))
    return Image("supercell", image, atoms, np.eye(3))


def _cell(structure: Structure) -> Float64[np.ndarray, "3 3"]:
    if structure.cell is None or not any(structure.pbc):
        raise ValueError(f"This image needs a periodic direction, got pbc = {structure.pbc}.")
    return structure.cell


def _same_atoms(name: str, structure: Structure, **fields: np.ndarray) -> Image:
    atoms = np.arange(structure.n_atoms)
    return Image(name, _changed(structure, **fields), atoms, np.eye(3))


def _changed(structure: Structure, **fields: np.ndarray | None) -> Structure:
    """Return a structure with other fields, without the labels, which would be those of another."""
    return replace(structure, labels=Labels(), **fields)
