"""Structures: validation, immutability, ASE."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from jaxtyping import TypeCheckError

from multiace.elements import ElementError
from multiace.geometry import Labels, Structure
from multiace.geometry.structure import following

PAIR = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
HYDROGEN = np.array([1, 1])


def test_arrays_cannot_be_changed():
    structure = Structure(HYDROGEN, PAIR)
    with pytest.raises(ValueError, match="read-only"):
        structure.positions[0, 0] = 1.0


def test_arrays_are_copies():
    positions = PAIR.copy()
    structure = Structure(HYDROGEN, positions)
    positions += 1.0
    np.testing.assert_array_equal(structure.positions, PAIR)


@pytest.mark.parametrize("handedness", [1, -1])
def test_volume_is_positive(handedness):
    cell = np.diag([2.0, 3.0, 4.0 * handedness])
    assert Structure(HYDROGEN, PAIR, cell, (True,) * 3).volume == pytest.approx(24.0)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
def test_there_is_no_volume_without_three_periodic_directions(pbc):
    assert Structure(HYDROGEN, PAIR, 5.0 * np.eye(3), pbc).volume is None


@pytest.mark.parametrize("atoms", [molecule("H2O"), bulk("Si"), bulk("Li", cubic=True)])
def test_ase_and_back_is_the_same(atoms):
    again = Structure.from_ase(atoms).to_ase()
    assert again == Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def test_labels_reach_the_calculator_of_ase():
    stress = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]])
    labels = Labels(energy=-31.0, forces=np.ones((2, 3)), stress=stress)
    structure = Structure(
        HYDROGEN, PAIR, 5.0 * np.eye(3), (True,) * 3, labels, config_type="dimer", weight=2.0
    )
    atoms = structure.to_ase()
    assert atoms.get_potential_energy() == -31.0
    np.testing.assert_array_equal(atoms.get_forces(), 1.0)
    np.testing.assert_array_equal(atoms.get_stress(), [1.0, 2.0, 3.0, 0.4, 0.5, 0.6])
    assert atoms.info == {"config_type": "dimer", "config_weight": 2.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.full((2, 3), np.nan)}, "positions must be finite"),
        ({"positions": np.full((2, 3), 1e300)}, r"within 1e\+15 Å, got \[1e\+300"),
        ({"pbc": (True,) * 3, "cell": np.diag([1e200] * 3)}, r"must be within 1e\+15 Å"),
        ({"numbers": np.zeros(0, dtype=int), "positions": np.zeros((0, 3))}, "at least one atom"),
        ({"pbc": (True,) * 3}, "needs a cell, got none"),
        ({"pbc": (True,) * 3, "cell": np.diag([1.0, 1.0, 0.0])}, "in each periodic direction"),
        ({"pbc": (True,) * 3, "cell": np.ones((3, 3))}, "linearly independent"),
        ({"pbc": (True,) * 3, "cell": np.full((3, 3), np.inf)}, "cell must be finite"),
        ({"labels": Labels(forces=np.zeros((3, 3)))}, r"forces must have shape \(2, 3\)"),
    ],
)
def test_what_cannot_be_a_structure_is_refused(change, message):
    arguments = {"numbers": HYDROGEN, "positions": PAIR} | change
    with pytest.raises(ValueError, match=message):
        Structure(**arguments)


@pytest.mark.unchecked
def test_positions_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="positions"):
        Structure(HYDROGEN, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="positions"):
        Structure(HYDROGEN, PAIR).moved(np.zeros((3, 3)))


def test_the_shape_checker_refuses_them_first():
    with pytest.raises(TypeCheckError, match="positions"):
        Structure(HYDROGEN, np.zeros((3, 3)))


@pytest.mark.parametrize("number", [0, 119, -1])
def test_an_atomic_number_out_of_range_is_refused(number):
    with pytest.raises(ElementError, match="must be 1 to 118"):
        Structure(np.array([1, number]), PAIR)


def test_moved_atoms_keep_everything_else():
    first = Structure(HYDROGEN, PAIR, 5.0 * np.eye(3), (True,) * 3, source="file:1", weight=2.0)
    assert first.volume == pytest.approx(125.0)
    positions = PAIR + 1.0
    moved = first.moved(positions)
    positions += 1.0
    np.testing.assert_array_equal(moved.positions, PAIR + 1.0)
    np.testing.assert_array_equal(first.positions, PAIR)
    assert not moved.positions.flags.writeable
    for name in ("numbers", "cell", "pbc", "source", "weight", "volume"):
        assert getattr(moved, name) is getattr(first, name)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e15])
def test_atoms_are_not_moved_out_of_the_world(value):
    first = Structure(HYDROGEN, PAIR)
    far = PAIR + 9e14
    np.testing.assert_array_equal(first.moved(far).positions, far)
    far[1, 2] = value
    with pytest.raises(ValueError, match=r"positions must be finite.*for atom 1\."):
        first.moved(far)


@pytest.mark.parametrize(
    ("numbers", "cell", "pbc"),
    [
        ([1, 1], 5.0, (True, True, True)),
        ([1, 8], 5.0, (True, True, True)),
        ([1, 1], 5.1, (True, True, True)),
        ([1, 1], 5.0, (True, True, False)),
        ([1, 1], None, (False, False, False)),
        ([1, 1, 1], 5.0, (True, True, True)),
    ],
)
def test_the_structure_of_a_step_is_checked_where_it_differs_from_the_last(numbers, cell, pbc):
    last = Structure(HYDROGEN, PAIR, 5.0 * np.eye(3), (True,) * 3)
    cell = None if cell is None else cell * np.eye(3)
    positions = 0.5 * np.arange(3.0 * len(numbers)).reshape(-1, 3)
    for former in (None, last):
        found = following(former, np.array(numbers), positions, cell, pbc)
        again = Structure(np.array(numbers), positions, cell, pbc)
        assert (found.pbc, found.volume) == (again.pbc, again.volume)
        for name in ("numbers", "positions", "cell"):
            np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    assert (found.cell is last.cell) == (numbers == [1, 1] and pbc == last.pbc and cell[0, 0] == 5)


def test_a_step_is_refused_for_what_a_structure_is_refused_for():
    last = Structure(HYDROGEN, PAIR, 5.0 * np.eye(3), (True,) * 3)
    with pytest.raises(ValueError, match="linearly independent"):
        following(last, HYDROGEN, PAIR, np.ones((3, 3)), (True,) * 3)
    with pytest.raises(ElementError):
        following(last, np.array([1, 300]), PAIR, last.cell, last.pbc)
