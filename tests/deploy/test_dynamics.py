"""Molecular dynamics: the trajectory of ASE, conserved quantities, temperatures, errors."""

import numpy as np
import pytest
import torch
from ase import units
from ase.build import molecule
from ase.md.verlet import VelocityVerlet

import multiace
from multiace.deploy.dynamics import (
    DynamicsError,
    MolecularDynamics,
    Thermostat,
    thermal_velocities,
)
from multiace.deploy.evaluator import Evaluator
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.units import BOLTZMANN, FEMTOSECOND


@pytest.fixture
def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.set_velocities(thermal_velocities(atoms.get_masses(), 300.0, seed=1) / units.fs)
    return atoms


def dynamics_of(atoms, potential, timestep=0.5, thermostat=None, exact=False):
    return MolecularDynamics(
        Evaluator(potential, exact=exact),
        Structure.from_ase(atoms),
        atoms.get_masses(),
        atoms.get_velocities() * units.fs,
        timestep=timestep,
        thermostat=thermostat,
    )


def single(potential: Potential) -> Potential:
    """Return the potential in float32."""
    found = Potential(
        potential.design, potential.elements, potential.statistics, dtype=torch.float32
    )
    found.load_state_dict(potential.state_dict())
    return found


def test_the_unit_of_time_is_that_of_ase():
    assert pytest.approx(units.fs, rel=1e-8) == FEMTOSECOND


def test_constant_energy_follows_the_trajectory_of_ase(ethanol, random_potential):
    frames = list(dynamics_of(ethanol, random_potential, exact=True).run(20))
    ethanol.calc = multiace.ASECalculator(random_potential, exact=True)
    VelocityVerlet(ethanol, timestep=0.5 * units.fs).run(20)
    np.testing.assert_allclose(frames[-1].structure.positions, ethanol.positions, atol=1e-7)
    np.testing.assert_allclose(
        frames[-1].velocities, ethanol.get_velocities() * units.fs, atol=1e-8
    )
    assert frames[-1].kinetic == pytest.approx(ethanol.get_kinetic_energy(), rel=1e-6)
    assert (frames[-1].step, frames[-1].time) == (20, 10.0)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 0.0), (torch.float32, 2e-5)])
def test_energy_is_conserved_better_with_shorter_steps(
    ethanol, random_potential, dtype, tolerance, exact
):
    """Velocity Verlet errs by the square of the step, in float32 down to its rounding."""
    potential = random_potential if dtype == torch.float64 else single(random_potential)
    spread = {}
    for timestep in (1.0, 0.25):
        dynamics = dynamics_of(ethanol, potential, timestep, exact=exact)
        conserved = [frame.conserved for frame in dynamics.run(int(40 / timestep))]
        spread[timestep] = np.ptp(conserved) / len(ethanol)
    assert spread[1.0] < 5e-3
    assert spread[0.25] < spread[1.0] / 10 + tolerance


def test_a_thermostat_has_its_own_conserved_quantity(ethanol, random_potential):
    thermostat = Thermostat(temperature=600.0, friction=0.05, seed=3)
    frames = list(dynamics_of(ethanol, random_potential, 0.5, thermostat).run(150))
    conserved = [frame.conserved for frame in frames]
    energies = [frame.evaluation.energy + frame.kinetic for frame in frames]
    assert np.ptp(conserved) < 0.02 * np.ptp(energies)


def test_free_atoms_reach_the_temperature_of_the_thermostat(random_potential):
    """Of atoms out of each other's reach the velocities are Maxwell's, whatever the time step."""
    n_atoms = 200
    structure = Structure(
        numbers=np.full(n_atoms, 6), positions=np.arange(3.0 * n_atoms).reshape(-1, 3) * 10
    )
    masses = np.full(n_atoms, 12.0)
    dynamics = MolecularDynamics(
        Evaluator(random_potential),
        structure,
        masses,
        np.zeros((n_atoms, 3)),
        timestep=2.0,
        thermostat=Thermostat(temperature=400.0, friction=0.5),
    )
    frames = list(dynamics.run(60))
    assert frames[0].temperature == 0.0
    assert np.mean([f.temperature for f in frames[20:]]) == pytest.approx(400, rel=0.03)
    assert frames[-1].conserved == pytest.approx(frames[0].conserved, abs=1e-8)


def test_thermal_velocities_have_their_temperature_and_no_drift():
    masses = np.tile([1.0, 16.0], 2000)
    velocities = thermal_velocities(masses, 500.0, seed=0) / FEMTOSECOND
    kinetic = 0.5 * (masses[:, None] * velocities**2).sum()
    assert 2 * kinetic / (3 * len(masses) * BOLTZMANN) == pytest.approx(500, rel=0.03)
    np.testing.assert_allclose((masses[:, None] * velocities).sum(axis=0), 0, atol=1e-9)


def test_the_same_seed_gives_the_same_run(ethanol, random_potential):
    runs = [
        list(dynamics_of(ethanol, random_potential, 0.5, Thermostat(300.0, 0.01, seed)).run(5))[-1]
        for seed in (1, 1, 2)
    ]
    positions = [frame.structure.positions for frame in runs]
    np.testing.assert_array_equal(positions[0], positions[1])
    assert (positions[0] != positions[2]).any()


def test_a_run_stops_where_forces_are_not_finite(ethanol, random_potential, monkeypatch):
    run = dynamics_of(ethanol, random_potential).run(10)
    next(run), next(run)
    evaluate = Evaluator.evaluate
    monkeypatch.setattr(
        Evaluator,
        "evaluate",
        lambda self, structure: evaluate(self, structure)._replace(forces=np.full((9, 3), np.nan)),
    )
    with pytest.raises(DynamicsError, match="not finite at step 2"):
        next(run)


def test_settings_without_meaning_are_refused(ethanol, random_potential):
    with pytest.raises(DynamicsError, match="timestep must be positive"):
        dynamics_of(ethanol, random_potential, timestep=0.0)
    with pytest.raises(DynamicsError, match="temperature must be 0 K or more"):
        Thermostat(-1.0, 0.1)
    with pytest.raises(DynamicsError, match="friction must be positive"):
        Thermostat(300.0, 0.0)
    ethanol.set_masses([0.0] * len(ethanol))
    with pytest.raises(DynamicsError, match="masses must be positive"):
        MolecularDynamics(
            Evaluator(random_potential),
            Structure.from_ase(ethanol),
            ethanol.get_masses(),
            np.zeros((9, 3)),
            timestep=1.0,
        )
