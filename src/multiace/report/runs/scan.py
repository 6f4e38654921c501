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
from multiace.geometry.coordinate import (
    along,
    check_atoms,
    coordinate,
    default_atoms,
    label_of,
    scans_among,
)

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
        if self.coordinate is None:
            return along(self.structures)
        return np.array([self.coordinate(structure) for structure in self.structures])

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
    structures = read_structures(path)
    groups = scans_among(structures)
    slug = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    scans = []
    for number, (kind, members) in enumerate(groups):
        chosen = tuple(structures[index] for index in members)
        scan_atoms = atoms or default_atoms(chosen[0])
        try:
            if scan_atoms:
                check_atoms(scan_atoms, chosen[0].n_atoms)
        except ValueError as error:
            message = f"--scan {text}: {error}"
            raise DataError(message, file=chosen[0].source or None) from None
        scans.append(
            Scan(
                name=f"{slug}_{number}" if len(groups) > 1 else slug,
                title=(kind or path.stem).replace("_", " "),
                label=label_of(scan_atoms),
                structures=chosen,
                coordinate=_coordinate(scan_atoms),
                limit=limit,
                limit_label="" if limit is None else f"limit {limit:g} eV",
            )
        )
    return scans


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
    return found[1], tuple(int(part) for part in found[2].split(",")), limit


def _coordinate(atoms: tuple[int, ...]) -> Coordinate | None:
    return (lambda structure: coordinate(structure, atoms)) if atoms else None
