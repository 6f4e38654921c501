"""Scans: structures along a coordinate, with reference energies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from multiace.data import DataError, read_structures
from multiace.data.bundled import data_path
from multiace.geometry import Structure

Coordinate = Callable[[Structure], float]


@dataclass(frozen=True, eq=False)
class Scan:
    """Structures along a coordinate.

    Args:
        name: of the scan in file names: small letters, digits and underscores.
        title: what is scanned.
        label: the coordinate with its unit.
        structures: with reference energies.
        coordinate: value of the coordinate in a structure; None: the length of the path so far.
        limit: energy that the scan leads to, eV, marked in the figure.
        limit_label: what the limit is.
    """

    name: str
    title: str
    label: str
    structures: tuple[Structure, ...]
    coordinate: Coordinate | None = None
    limit: float | None = None
    limit_label: str = ""

    def __post_init__(self) -> None:
        for structure in self.structures:
            if structure.labels.energy is None:
                raise DataError(
                    "a structure of a scan has no energy to compare with",
                    file=structure.source or None,
                    field="energy",
                )

    @property
    def energies(self) -> Float64[np.ndarray, " points"]:
        """Reference energies, eV."""
        return np.array([s.labels.energy for s in self.structures], dtype=np.float64)

    @property
    def values(self) -> Float64[np.ndarray, " points"]:
        """Value of the coordinate in each structure."""
        if self.coordinate is not None:
            return np.array([self.coordinate(structure) for structure in self.structures])
        steps = [
            float(np.linalg.norm(after.positions - before.positions))
            for before, after in zip(self.structures, self.structures[1:], strict=False)
        ]
        return np.concatenate([[0.0], np.cumsum(steps)])

    def covered(self, structures: Sequence[Structure]) -> Float64[np.ndarray, " structures"]:
        """Return the coordinate in those structures that have the same atoms in the same order."""
        numbers = self.structures[0].numbers
        if self.coordinate is None:
            return np.zeros(0)
        alike = [s for s in structures if np.array_equal(s.numbers, numbers)]
        return np.array([self.coordinate(structure) for structure in alike], dtype=np.float64)


def parse_scan(text: str) -> list[Scan]:
    """Read scans from `FILE[:ATOMS][:limit=EV]`.

    ATOMS are two for a distance (Å), three for an angle or four for a dihedral (degrees), counted
    from 0, as in `multiace probe scan`. Without them the coordinate is the distance where there are
    two atoms, and otherwise the length of the path from the first frame. A file with several kinds
    of configuration (`config_type`) or several molecules is as many scans.

    Raises:
        DataError: a file that cannot be read, without energies, or with fewer atoms than are named.
        ValueError: a description that is not understood.

    Example:
        >>> (stretch,) = parse_scan("bundled:malonaldehyde/stretch:4,5")
        >>> stretch.title, stretch.label, len(stretch.structures)
        ('stretch', 'distance 4–5 (Å)', 33)
    """
    name, atoms, limit = _parts(text)
    path = data_path(name)
    groups: dict[tuple[str, bytes], list[Structure]] = {}
    for structure in read_structures(path):
        group = (structure.config_type, structure.numbers.tobytes())
        groups.setdefault(group, []).append(structure)
    slug = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    scans = []
    for number, ((kind, _), structures) in enumerate(groups.items()):
        n_atoms = structures[0].n_atoms
        if atoms and max(atoms) >= n_atoms:
            raise DataError(
                f"--scan {text} names atom {max(atoms)} of structures with {n_atoms} atoms",
                file=structures[0].source or None,
                hint="Atoms count from 0.",
            )
        coordinate, label = _coordinate(atoms or ((0, 1) if n_atoms == 2 else ()))
        title = kind if kind and len(groups) > 1 else path.stem
        scans.append(
            Scan(
                name=f"{slug}_{number}" if len(groups) > 1 else slug,
                title=title.replace("_", " "),
                label=label,
                structures=tuple(structures),
                coordinate=coordinate,
                limit=limit,
                limit_label="" if limit is None else f"limit {limit:g} eV",
            )
        )
    return scans


def distance(structure: Structure, i: int, j: int) -> float:
    """Return the distance of two atoms in Å, without images."""
    return float(np.linalg.norm(structure.positions[i] - structure.positions[j]))


def angle(structure: Structure, i: int, j: int, k: int) -> float:
    """Return the angle at atom j in degrees."""
    first, second = structure.positions[[i, k]] - structure.positions[j]
    cross = float(np.linalg.norm(np.cross(first, second)))
    return float(np.degrees(np.arctan2(cross, first @ second)))


def dihedral(structure: Structure, i: int, j: int, k: int, l: int) -> float:
    """Return the angle between the planes i-j-k and j-k-l in degrees, 0 to 180."""
    first, second, third, fourth = structure.positions[[i, j, k, l]]
    axis = third - second
    one, two = np.cross(second - first, axis), np.cross(axis, fourth - third)
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, two)), one @ two)))


def _parts(text: str) -> tuple[str, tuple[int, ...], float | None]:
    """Return the file, the atoms and the limit that a description names.

    Example:
        >>> _parts("a.xyz"), _parts("C:/b.xyz:0,1:limit=-3.5")
        (('a.xyz', (), None), ('C:/b.xyz', (0, 1), -3.5))
    """
    name, *rest = re.split(r":(?=limit=)", text)
    limit = None
    if rest:
        value = rest[0].removeprefix("limit=")
        try:
            limit = float(value)
        except ValueError:
            raise ValueError(
                f"--scan {text}: limit must be an energy in eV, got {value!r}."
            ) from None
    found = re.fullmatch(r"(.*):(\d+(?:,\d+)*)", name)
    if found is None:
        return name, (), limit
    atoms = tuple(int(part) for part in found[2].split(","))
    if len(atoms) not in _KINDS or len(set(atoms)) < len(atoms):
        raise ValueError(
            f"--scan {text}: a coordinate is made of 2, 3 or 4 different atoms, got {found[2]}."
        )
    return found[1], atoms, limit


def _coordinate(atoms: tuple[int, ...]) -> tuple[Coordinate | None, str]:
    """Return the coordinate that atoms define, and its label."""
    if not atoms:
        return None, "length of the path (Å)"
    name, unit, function = _KINDS[len(atoms)]
    return lambda s: function(s, *atoms), f"{name} {'–'.join(map(str, atoms))} ({unit})"


_KINDS: dict[int, tuple[str, str, Callable[..., float]]] = {
    2: ("distance", "Å", distance),
    3: ("angle", "degrees", angle),
    4: ("dihedral", "degrees", dihedral),
}
"""Number of atoms -> what they define, its unit, its value."""
