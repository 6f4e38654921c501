"""Energies against forces and stress: signs, units and places of components."""

import itertools

import numpy as np
import pytest
from tests.data.samples import copper, morse, relabelled

from multiace.data.consistency import consistency_problems
from multiace.data.stress_order import stress_problems
from multiace.geometry import Structure
from multiace.units import BOHR, GPA, HARTREE, KBAR


@pytest.fixture
def trajectory(rng):
    """Return frames of an atom cluster in pairs that differ by small displacements."""
    frames = []
    for _ in range(12):
        start = copper(rng)
        for positions in (start.positions, start.positions + rng.normal(scale=0.02, size=(8, 3))):
            frames.append(morse(Structure(start.numbers, positions)))
    return frames


@pytest.fixture
def strained():
    """Return one crystal under small strains, with shear components that differ."""
    rng = np.random.default_rng(1)
    start = copper(rng)
    fractions = start.positions @ np.linalg.inv(start.cell)
    cells = [start.cell @ (np.eye(3) + rng.uniform(-0.02, 0.02, (3, 3))) for _ in range(8)]
    return [
        morse(Structure(start.numbers, fractions @ cell, cell=cell, pbc=start.pbc))
        for cell in cells
    ]


@pytest.fixture
def displaced(rng):
    """Return crystals that have only little to do with one another."""
    return [morse(copper(rng)) for _ in range(24)]


def test_forces_and_stress_that_belong_to_the_energies_pass(trajectory, strained, displaced):
    for structures in (trajectory, strained, displaced):
        assert list(consistency_problems("a.xyz", structures)) == []
        assert list(stress_problems("a.xyz", structures)) == []


def test_gradients_in_place_of_forces_are_recognised(trajectory):
    wrong = [relabelled(s, forces=-s.labels.forces) for s in trajectory]
    (problem,) = consistency_problems("a.xyz", wrong)
    assert problem.field == "forces"
    assert problem.value == pytest.approx(-1.0, abs=0.05)
    assert "minus the gradient" in problem.hint


@pytest.mark.parametrize(
    ("energy", "force", "hint"),
    [
        (HARTREE, HARTREE / BOHR, "energies in Hartree and forces in Hartree/Bohr"),
        (1.0, HARTREE / BOHR, "energies in eV and forces in Hartree/Bohr"),
        (HARTREE, 1.0, "energies in Hartree and forces in eV/Å"),
    ],
)
def test_units_that_differ_between_energy_and_forces_are_recognised(
    trajectory, energy, force, hint
):
    wrong = [
        relabelled(s, energy=s.labels.energy / energy, forces=s.labels.forces / force)
        for s in trajectory
    ]
    (problem,) = consistency_problems("a.xyz", wrong)
    assert hint in problem.hint


@pytest.mark.parametrize(("size", "unit"), [(GPA, "GPa"), (KBAR, "kbar")])
@pytest.mark.parametrize("sign", [1, -1])
def test_stress_in_another_unit_along_strains_is_recognised(strained, size, unit, sign):
    wrong = [relabelled(s, stress=sign * s.labels.stress / size) for s in strained]
    (problem,) = consistency_problems("a.xyz", wrong)
    assert problem.field == "stress"
    assert f"energies in eV and stress in {unit}" in problem.hint
    assert ("sign turned" in problem.hint) == (sign < 0)


def test_the_sign_of_vasp_is_recognised_along_strains_and_from_forces(strained, displaced):
    for structures, check in ((strained, consistency_problems), (displaced, stress_problems)):
        wrong = [relabelled(s, stress=-s.labels.stress) for s in structures]
        (problem,) = check("a.xyz", wrong)
        assert problem.field == "stress"
        assert "negative under compression" in problem.hint


def permuted(structure: Structure, axes: tuple[int, int, int]) -> Structure:
    """Return the structure with each shear component in the place of another."""
    stress = structure.labels.stress.copy()
    places = [(1, 2), (0, 2), (0, 1)]
    for place, axis in enumerate(axes):
        row, column = places[place]
        value = structure.labels.stress[places[axis]]
        stress[row, column] = stress[column, row] = value
    return relabelled(structure, stress=stress)


@pytest.mark.parametrize("axes", [a for a in itertools.permutations(range(3)) if a != (0, 1, 2)])
def test_shear_components_in_other_places_are_recognised(strained, displaced, axes):
    names = ("yz", "xz", "xy")
    for structures, check in ((strained, consistency_problems), (displaced, stress_problems)):
        wrong = [permuted(structure, axes) for structure in structures]
        (problem,) = check("a.xyz", wrong)
        assert problem.field == "stress"
        for place, axis in enumerate(axes):
            assert f"{names[place]} holds {names[axis]}" in problem.problem


def test_the_order_of_the_source_is_named(displaced):
    # A reader that takes VASP's xx yy zz xy yz xz for yz xz xy fills yz with xy and so on.
    wrong = [permuted(structure, (2, 0, 1)) for structure in displaced]
    (problem,) = stress_problems("a.xyz", wrong)
    assert problem.value == "xx yy zz xy yz xz"
    assert "(vasp)" in problem.hint


@pytest.mark.parametrize(("size", "unit"), [(GPA, "GPa"), (KBAR, "kbar")])
def test_stress_in_another_unit_is_recognised_from_forces(displaced, size, unit):
    wrong = [relabelled(s, stress=s.labels.stress / size) for s in displaced]
    (problem,) = stress_problems("a.xyz", wrong)
    assert unit in problem.hint


def test_a_single_wrong_energy_is_no_unit(trajectory):
    wrong = relabelled(trajectory[3], energy=trajectory[3].labels.energy + 50.0)
    structures = [*trajectory[:3], wrong, *trajectory[4:]]
    assert list(consistency_problems("a.xyz", structures)) == []


def test_few_frames_and_noise_give_no_answer(displaced, rng):
    wrong = [relabelled(s, stress=-s.labels.stress) for s in displaced]
    assert list(stress_problems("a.xyz", wrong[:19])) == []
    noise = [relabelled(s, stress=np.diag(rng.normal(size=3))) for s in displaced]
    assert list(stress_problems("a.xyz", noise)) == []
