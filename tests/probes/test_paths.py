"""Paths: internal coordinates, modes and what is refused."""

import numpy as np
import pytest
from ase.build import molecule
from tests.probes.conftest import LENGTH, STIFFNESS, harmonic

from multiace.geometry import Structure
from multiace.probes import paths
from multiace.probes.paths import PathError
from multiace.probes.surface import surface

ETHANOL = Structure.from_ase(molecule("CH3CH2OH"))  # C0 C1 O2 H3 ...


def test_a_bond_is_stretched_and_what_hangs_on_it_moves_rigidly():
    path = paths.bond(ETHANOL, 0, 1, [1.2, 1.5, 3.0])
    for structure, length in zip(path.structures, path.coordinate, strict=True):
        assert structure.to_ase().get_distance(0, 1) == pytest.approx(length)
    sides = [sorted(fragment.numbers.tolist()) for fragment in path.fragments]
    assert sides == [[1, 1, 1, 6], [1, 1, 1, 6, 8]] or sides == [[1, 1, 1, 6, 8], [1, 1, 1, 6]]
    first, last = (path.structures[k].to_ase().get_all_distances() for k in (0, -1))
    (kept,) = np.nonzero(np.isclose(first, last)[0])  # what stays with atom 0
    assert sorted(ETHANOL.numbers[kept].tolist()) == sides[0]


def test_angle_and_dihedral_take_the_values_asked_for():
    for structure, value in zip(
        paths.angle(ETHANOL, 0, 1, 2, [90, 110, 130]).structures, [90, 110, 130], strict=True
    ):
        assert structure.to_ase().get_angle(0, 1, 2) == pytest.approx(value)
    hydroxyl = int(np.argmin(np.linalg.norm(ETHANOL.positions[3:] - ETHANOL.positions[0], axis=1)))
    path = paths.dihedral(ETHANOL, 2, 1, 0, 3 + hydroxyl, [-170, 0, 170])
    assert path.measure is not None
    for structure, value in zip(path.structures, path.coordinate, strict=True):
        assert path.measure(structure) == pytest.approx([value])
        np.testing.assert_allclose(
            np.sort(structure.to_ase().get_all_distances()[2, [0, 1]]),
            np.sort(ETHANOL.to_ase().get_all_distances()[2, [0, 1]]),
        )


def test_a_bond_in_a_ring_and_atoms_that_are_not_there_are_refused():
    benzene = Structure.from_ase(molecule("C6H6"))
    with pytest.raises(PathError, match="in one ring"):
        paths.bond(benzene, 0, 1, [1.3, 1.5])
    with pytest.raises(PathError, match="There is no atom 99"):
        paths.bond(benzene, 0, 99, [1.3, 1.5])
    with pytest.raises(PathError, match="must ascend"):
        paths.dimer(1, 1, [1.0, 0.5])
    with pytest.raises(PathError, match="2, 3 or 4 different atoms, got 0"):
        paths.along_file([benzene, benzene], [0])


def test_the_normal_mode_of_a_harmonic_pair_is_its_stretch():
    pair = Structure(np.array([1, 1]), np.array([[0.0] * 3, [LENGTH, 0.0, 0.0]]))
    path = paths.normal_mode(surface(harmonic()), pair, -1, [0.0, 0.1])
    move = path.structures[1].positions - pair.positions
    np.testing.assert_allclose(np.abs(move[:, 0]), 0.1 / np.sqrt(2.0))
    np.testing.assert_allclose(move[:, 1:], 0.0, atol=1e-9)
    wavenumber = 521.47 * np.sqrt(STIFFNESS / (1.008 / 2.0))
    assert path.title == f"normal mode of {wavenumber:.0f} cm⁻¹"


def test_a_straight_path_begins_and_ends_where_it_should():
    other = Structure(ETHANOL.numbers, ETHANOL.positions[::-1])
    path = paths.interpolation(ETHANOL, other, 5)
    np.testing.assert_allclose(path.structures[0].positions, ETHANOL.positions)
    np.testing.assert_allclose(path.structures[-1].positions, other.positions, atol=1e-12)
    np.testing.assert_allclose(np.ptp(np.diff(path.coordinate)), 0.0, atol=1e-12)
