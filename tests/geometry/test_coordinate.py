"""Coordinates of scans: against ASE, at planar arrangements, and how scans are told apart."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from multiace.geometry import Structure
from multiace.geometry.coordinate import along, coordinate, label_of, scans_among


@pytest.fixture
def chain(rng) -> Structure:
    return Structure(numbers=np.array([6, 6, 8, 1]), positions=rng.normal(size=(4, 3)))


def test_coordinates_are_those_of_ase(chain):
    atoms = chain.to_ase()
    assert coordinate(chain, (0, 3)) == pytest.approx(atoms.get_distance(0, 3))
    assert coordinate(chain, (2, 0, 1)) == pytest.approx(atoms.get_angle(2, 0, 1))
    around = atoms.get_dihedral(3, 1, 0, 2)
    assert coordinate(chain, (3, 1, 0, 2)) % 360.0 == pytest.approx(around)
    mirrored = replace(chain, positions=-chain.positions)
    assert coordinate(mirrored, (3, 1, 0, 2)) == pytest.approx(-coordinate(chain, (3, 1, 0, 2)))


def test_distances_are_those_of_the_nearest_images():
    positions = np.array([[0.1, 0.0, 0.0], [3.8, 0.0, 0.0]])
    pair = Structure(np.array([3, 3]), positions, cell=4.0 * np.eye(3), pbc=(True, True, True))
    assert coordinate(pair, (0, 1)) == pytest.approx(0.3)


@pytest.mark.parametrize("tilt", [-1e-6, 0.0, 1e-6])
def test_trans_is_180_degrees_from_whichever_side(tilt):
    positions = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, -1.0, tilt]])
    trans = Structure(np.array([1, 8, 8, 1]), positions)
    assert coordinate(trans, (0, 1, 2, 3)) == pytest.approx(180.0, abs=1e-3)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ((0,), "made of 2, 3 or 4 different atoms, got 0"),
        ((), "got none"),
        ((1, 1), "got 1, 1"),
        ((0, 4), "no atoms 0, 4 in a structure of 4: they count from 0 to 3"),
        ((-1, 0), "no atoms -1, 0"),
    ],
)
def test_atoms_that_define_nothing_are_refused(chain, atoms, message):
    with pytest.raises(ValueError, match=message):
        coordinate(chain, atoms)


def test_without_atoms_a_scan_runs_along_the_length_of_its_path(chain, rng):
    moved = [replace(chain, positions=rng.normal(size=(4, 3))) for _ in range(3)]
    first, second = (np.linalg.norm(b.positions - a.positions) for a, b in pairwise(moved))
    np.testing.assert_allclose(along(moved), [0.0, first, first + second])
    assert label_of(()) == "length of the path (Å)"
    with pytest.raises(ValueError, match="the same atoms in the same order"):
        along([chain, replace(chain, numbers=chain.numbers[::-1])])


def test_scans_of_a_file_are_told_apart_by_kind_and_atoms(chain):
    a, b = (replace(chain, config_type=kind) for kind in "ab")
    assert scans_among([a, a]) == [("", [0, 1])]
    assert scans_among([a, b, a]) == [("a", [0, 2]), ("b", [1])]
    isomer = replace(a, numbers=a.numbers[::-1])
    other = replace(a, numbers=np.array([6, 6, 8, 9]))
    assert scans_among([a, other]) == [("a C2HO", [0]), ("a C2FO", [1])]
    assert scans_among([a, isomer]) == [("a C2HO 1", [0]), ("a C2HO 2", [1])]
