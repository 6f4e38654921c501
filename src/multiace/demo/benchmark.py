"""The benchmark of the demo: malonaldehyde, its test sets and its scans.

Training data are molecular dynamics at 300 K. Tests are the same at 300 K (in domain), 600 K and
1200 K, and three scans that leave the data along one coordinate each.
"""

from __future__ import annotations

from functools import lru_cache

from multiace.data import read_structures
from multiace.data.bundled import bundled
from multiace.geometry import Structure
from multiace.geometry.coordinate import coordinate
from multiace.report.runs import Scan
from multiace.report.runs.scan import Coordinate

FOLDER = "malonaldehyde"
TRAINING = "train_300K"
TESTS = {300: "test_300K", 600: "test_600K", 1200: "test_1200K"}
"""Temperature in K -> name of the test set."""

KETO_O, ALDEHYDE_C, MIDDLE_C, ENOL_C, ENOL_O, ENOL_H = 3, 0, 1, 2, 4, 5
"""Atoms of O3=C0-C1=C2-O4-H5, with a hydrogen bond from H5 to O3."""

RADICAL_ENERGY = -434.0382406
"""Energy of C3H3O2 (GFN2-xTB, doublet) in the geometry that the hydrogen leaves behind, eV."""


def load(name: str) -> list[Structure]:
    """Return the structures of a data set of the benchmark, with their labels.

    Example:
        >>> len(load("test_300K"))
        200
    """
    return read_structures(bundled(f"{FOLDER}/{name}"))


def rotation(structure: Structure) -> float:
    """Return the angle between the planes O=C-C and C-C=C in degrees, 0 to 180."""
    return abs(coordinate(structure, (KETO_O, ALDEHYDE_C, MIDDLE_C, ENOL_C)))


def transfer(structure: Structure) -> float:
    """Return r(O3-H) - r(O4-H) in Å: 0 half way, positive where the data begin."""
    return coordinate(structure, (KETO_O, ENOL_H)) - coordinate(structure, (ENOL_O, ENOL_H))


def bond(structure: Structure) -> float:
    """Return the distance of the acidic hydrogen from the nearer oxygen in Å."""
    return min(coordinate(structure, (oxygen, ENOL_H)) for oxygen in (KETO_O, ENOL_O))


@lru_cache(maxsize=1)
def scans() -> tuple[Scan, ...]:
    """Return the scans of the benchmark.

    Example:
        >>> [scan.name for scan in scans()]
        ['dihedral', 'proton_transfer', 'stretch']
    """
    coordinates: tuple[tuple[str, str, str, Coordinate], ...] = (
        ("dihedral", "Rotation of the CHO group", "O=C–C=C dihedral (degrees)", rotation),
        ("proton_transfer", "Proton transfer", "r(O3–H) − r(O4–H) (Å)", transfer),
        ("stretch", "O–H bond breaking", "r(O–H) (Å)", bond),
    )
    return tuple(
        Scan(
            name,
            title,
            label,
            tuple(load(name)),
            coordinate,
            limit=dissociation_limit() if name == "stretch" else None,
            limit_label="radical + H atom (E0)" if name == "stretch" else "",
        )
        for name, title, label, coordinate in coordinates
    )


def dissociation_limit() -> float:
    """Return the energy that the breaking of the O-H bond leads to: radical and H atom, eV."""
    (hydrogen,) = (s for s in load("isolated_atoms") if s.numbers.tolist() == [1])
    assert hydrogen.labels.energy is not None
    return RADICAL_ENERGY + hydrogen.labels.energy
