"""Laws 9, 10, 13: forces, stress and Hessian are derivatives of the energy, and what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.laws.potentials import evaluate, for_every_potential, named_potential, relative
from tests.laws.systems import (
    CHIRAL,
    CRYSTALS,
    DIMER,
    EVERYTHING,
    LEFT_HANDED,
    LITHIUM,
    METHANOL,
    MOLECULES,
    SILICON,
    SLAB,
)

from multiace.analysis.gradients import (
    hessian,
    interaction_energies,
    numerical_forces,
    numerical_stress,
)
from multiace.analysis.predict import predict
from multiace.geometry import Structure, build_graph
from multiace.potential import Potential

DIFFERENCES = 1e-7  # of derivatives and finite differences, relative
SUMS = 1e-10  # of forces and torques that must vanish, relative
SYMMETRIC = 1e-8  # of second derivatives, relative
TRANSLATION = 1e-8
ZERO_MODE = 1e-6  # eV/Å^2
STEP = 1e-4  # Å


@for_every_potential
def test_forces_are_minus_the_gradient_of_the_energy(potential: Potential) -> None:
    for structure in (CHIRAL, DIMER, LITHIUM, SLAB):
        found = evaluate(potential, structure).forces
        assert relative(found, numerical_forces(potential, structure)) < DIFFERENCES


@for_every_potential
def test_stress_is_the_derivative_of_the_energy_by_strain(potential: Potential) -> None:
    for structure in CRYSTALS:
        found = evaluate(potential, structure).stress
        volume = structure.volume
        expected = numerical_stress(potential, structure)
        assert relative(found * volume, expected * volume) < DIFFERENCES, structure.config_type
        assert np.array_equal(found, found.T)


@for_every_potential
def test_a_structure_without_volume_has_no_stress(potential: Potential) -> None:
    for structure in (METHANOL, SLAB):
        graph = build_graph(structure, potential.cutoff, potential.elements)
        assert potential(graph, stress=True).stress.isnan().all()


@for_every_potential
def test_pressure_is_minus_the_derivative_of_the_energy_by_volume(potential: Potential) -> None:
    for structure in (SILICON, LEFT_HANDED):
        stress = evaluate(potential, structure).stress
        more, less = interaction_energies(
            potential, [scaled(structure, 1.0 + STEP), scaled(structure, 1.0 - STEP)]
        )
        work = (more - less) / (2.0 * STEP)
        assert abs(np.trace(stress) * structure.volume - work) < 1e-4 * max(1.0, abs(work))


def test_the_stress_of_a_compressed_crystal_is_negative() -> None:
    compressed = scaled(SILICON, 0.4)  # deep in the core repulsion
    stress = evaluate(named_potential("trained"), compressed).stress
    assert (np.diag(stress) < 0.0).all()


@for_every_potential
def test_forces_add_up_to_zero(potential: Potential) -> None:
    for structure in EVERYTHING:
        forces = evaluate(potential, structure).forces
        assert np.abs(forces.sum(axis=0)).max() < SUMS * max(1.0, np.abs(forces).max())


@for_every_potential
def test_molecules_feel_no_torque(potential: Potential) -> None:
    for molecule in (*MOLECULES, DIMER):
        forces = evaluate(potential, molecule).forces
        torque = np.cross(molecule.positions, forces).sum(axis=0)
        assert np.abs(torque).max() < SUMS * max(1.0, np.abs(forces).max())


@for_every_potential
def test_hessian_is_symmetric_the_slope_of_the_forces_and_blind_to_translation(
    potential: Potential,
) -> None:
    for structure in (CHIRAL, SILICON):
        found = hessian(potential, structure)
        assert relative(found.T, found) < SYMMETRIC
        assert relative(found, slope_of_forces(potential, structure)) < 10 * DIFFERENCES
        of_translation = found.reshape(len(found), -1, 3).sum(axis=1)
        assert np.abs(of_translation).max() < TRANSLATION * max(1.0, np.abs(found).max())


def test_a_molecule_at_rest_has_six_modes_without_frequency() -> None:
    potential = named_potential("trained")
    structure = relaxed(potential, METHANOL)
    assert np.abs(evaluate(potential, structure).forces).max() < 1e-9
    stiffness = np.sort(np.abs(np.linalg.eigvalsh(hessian(potential, structure))))
    assert stiffness[5] < ZERO_MODE
    assert stiffness[6] > 0.1


def relaxed(potential: Potential, structure: Structure, steps: int = 14) -> Structure:
    """Walk downhill by Newton steps of at most 0.1 Å, short ones along soft modes."""
    for _ in range(steps):
        stiffness, modes = np.linalg.eigh(hessian(potential, structure))
        along = modes.T @ evaluate(potential, structure).forces.ravel()
        step = modes @ (along / np.maximum(np.abs(stiffness), 0.5))
        step *= min(1.0, 0.1 / np.abs(step).max())
        structure = replace(structure, positions=structure.positions + step.reshape(-1, 3))
    return structure


def scaled(structure: Structure, factor: float) -> Structure:
    """Return the structure with all lengths multiplied."""
    return replace(structure, positions=factor * structure.positions, cell=factor * structure.cell)


def displaced(structure: Structure, coordinate: int, step: float) -> Structure:
    """Return the structure with one coordinate (x, y, z of atom after atom) moved."""
    positions = structure.positions.copy()
    positions[coordinate // 3, coordinate % 3] += step
    return replace(structure, positions=positions)


def slope_of_forces(potential: Potential, structure: Structure) -> np.ndarray:
    """Return d^2E/dr dr from central differences of forces, with Richardson extrapolation."""
    steps = (STEP, -STEP, STEP / 2, -STEP / 2)
    moved = [displaced(structure, k, step) for k in range(3 * structure.n_atoms) for step in steps]
    forces = np.stack([labels.forces for labels in predict(potential, moved)])
    forces = forces.reshape(-1, len(steps), 3 * structure.n_atoms)
    coarse = (forces[:, 0] - forces[:, 1]) / (2 * STEP)
    fine = (forces[:, 2] - forces[:, 3]) / STEP
    return -(4.0 * fine - coarse) / 3.0
