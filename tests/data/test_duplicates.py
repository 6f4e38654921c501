"""Structures that occur twice, and energies that contradict one another."""

import numpy as np
import pytest
from ase.build import molecule
from tests.data.samples import copper, morse

from multiace.data import DataError, DataWarning
from multiace.data.duplicates import find_duplicates
from multiace.geometry import Labels, Structure


def rattled(rng, name: str = "CH3CH2OH", energy: float = -10.0, source: str = "") -> Structure:
    atoms = molecule(name)
    atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
    return Structure(atoms.numbers, atoms.positions, labels=Labels(energy=energy), source=source)


def turned(structure: Structure, rng, energy: float | None = None, source="b.xyz:0") -> Structure:
    """Return a mirrored, rotated, translated copy with its atoms in another order."""
    rotation = -np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(structure.n_atoms)
    cell = None if structure.cell is None else structure.cell @ rotation
    known = structure.labels.energy
    return Structure(
        numbers=structure.numbers[order],
        positions=structure.positions[order] @ rotation + [3.0, -2.0, 5.0],
        cell=cell,
        pbc=structure.pbc,
        labels=Labels(energy=known if energy is None else energy),
        source=source,
    )


def test_different_structures_are_no_duplicates(rng):
    structures = [rattled(rng) for _ in range(200)] + [morse(copper(rng)) for _ in range(10)]
    assert find_duplicates(structures, ["a.xyz"] * 210).pairs == []


def test_a_step_of_molecular_dynamics_is_no_duplicate(rng):
    start = rattled(rng)
    moved = Structure(start.numbers, start.positions + rng.normal(scale=0.002, size=(9, 3)))
    assert find_duplicates([start, moved], ["a.xyz"] * 2).pairs == []


@pytest.mark.parametrize("make", [rattled, lambda rng: morse(copper(rng))])
def test_copies_are_found_identical_or_turned(rng, make):
    structures = [make(rng) for _ in range(6)]
    structures += [structures[4], turned(structures[1], rng), turned(structures[1], rng)]
    found = find_duplicates(structures, ["a.xyz"] * 6 + ["b.xyz"] * 3)
    assert found.pairs == [(4, 6), (1, 7), (1, 8)]
    assert [found.identical[index] for index in (6, 7, 8)] == [True, False, False]
    assert found.count() == {("a.xyz", "b.xyz"): {"identical": 1, "equivalent": 2}}


def test_rounding_in_a_file_hides_no_copy(rng):
    start = rattled(rng)
    copy = turned(start, rng)
    rounded = Structure(copy.numbers, np.round(copy.positions, 6), labels=copy.labels)
    assert find_duplicates([start, rounded], ["a.xyz"] * 2).pairs == [(0, 1)]


def test_repeated_frames_within_and_across_files_are_warnings_with_counts(rng):
    one, two = rattled(rng, source="a.xyz:0"), rattled(rng, source="a.xyz:1")
    again = Structure(one.numbers, one.positions, labels=one.labels, source="a.xyz:2")
    leaked = turned(two, rng, source="b.xyz:7")
    owners = ["the training set"] * 3 + ["the test set"]
    within, across = find_duplicates([one, two, again, leaked], owners).findings()
    assert isinstance(within, DataWarning)
    assert (within.file, within.frame) == ("a.xyz", 2)
    assert "first of 1 in the training set that repeat others there (1 identical)" in str(within)
    assert (across.file, across.frame) == ("b.xyz", 7)
    assert "repeat frames of the training set (1 equivalent); it repeats a.xyz:1" in str(across)


@pytest.mark.parametrize("turn", [False, True])
def test_two_energies_for_one_geometry_are_a_problem(rng, turn):
    one = rattled(rng, energy=-10.0, source="a.xyz:3")
    labels = Labels(energy=-10.0 + 9 * 0.011)
    two = Structure(one.numbers, one.positions, labels=labels, source="b.xyz:5")
    two = turned(one, rng, energy=labels.energy, source="b.xyz:5") if turn else two
    problem = next(find_duplicates([one, two], ["a.xyz", "b.xyz"]).findings())
    assert isinstance(problem, DataError)
    assert (problem.file, problem.frame, problem.field) == ("b.xyz", 5, "energy")
    assert "to a.xyz:3, but their energies differ by 11 meV per atom" in str(problem)


def test_energies_that_agree_nearly_are_no_problem(rng):
    one = rattled(rng, energy=-10.0, source="a.xyz:0")
    two = turned(one, rng, energy=-10.0 + 9 * 0.009)
    (finding,) = find_duplicates([one, two], ["a.xyz", "b.xyz"]).findings()
    assert isinstance(finding, DataWarning)


def test_isolated_atoms_may_be_in_every_file():
    atom = Structure(np.array([1]), np.zeros((1, 3)), labels=Labels(energy=-13.6))
    assert find_duplicates([atom, atom], ["a.xyz", "b.xyz"]).pairs == []


def test_crystals_under_different_small_strains_are_no_duplicates():
    cells = [3.3 * np.eye(3), 3.3 * np.eye(3)]
    cells[0][1, 2] = -0.066
    cells[1][0, 1], cells[1][0, 0], cells[1][1, 1] = 0.0, 3.3 * 1.0002, 3.3 * 0.9998
    structures = [
        Structure(
            np.array([42, 42]),
            np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]) @ cell,
            cell=cell,
            pbc=(True, True, True),
            labels=Labels(energy=-21.0),
        )
        for cell in cells
    ]
    assert find_duplicates(structures, ["a.xyz"] * 2).pairs == []
