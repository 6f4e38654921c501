"""Other units than eV and Å are recognised, and data in eV and Å are not."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from tests.data.samples import relabelled

from multiace.data import bundled, read_structures
from multiace.data.unit_check import ENERGY_UNITS, FORCE_UNITS, unit_problems
from multiace.geometry import Labels, Structure
from multiace.units import BOHR, GPA, HARTREE, KBAR

HF = {1: -0.4998, 6: -37.69, 8: -74.81}  # Hartree, of another source than the library's table


def molecules(scale: float = 1.0) -> list[Structure]:
    found = []
    for name in ("CH4", "CH3CH2OH", "C6H6", "H2O"):
        atoms = molecule(name)
        atoms.positions *= scale
        total = sum(HF[z] for z in atoms.numbers) * HARTREE - 4.8 * len(atoms)
        labels = Labels(energy=total)
        found.append(Structure(atoms.numbers, atoms.positions, labels=labels))
    return found


def crystals(scale: float = 1.0) -> list[Structure]:
    found = []
    for name in ("Si", "Cu", "NaCl", "Cs", "Fe"):
        atoms = bulk("NaCl", "rocksalt", a=5.64) if name == "NaCl" else bulk(name)
        atoms.set_cell(scale * atoms.cell[:], scale_atoms=True)
        found.append(Structure.from_ase(atoms))
    return found


def found(structures, energies=None) -> list[tuple[str | None, str]]:
    problems = unit_problems("a.xyz", structures, energies or {})
    return [(problem.field, problem.hint) for problem in problems]


def test_data_in_ev_and_angstrom_pass():
    assert found(molecules()) == []
    assert found(crystals()) == []


@pytest.mark.parametrize("name", ["dihedral", "proton_transfer", "stretch", "isolated_atoms"])
def test_bundled_data_pass(name):
    assert found(read_structures(bundled(f"malonaldehyde/{name}"))) == []


@pytest.mark.parametrize("make", [molecules, crystals])
@pytest.mark.parametrize(("scale", "unit"), [(1 / BOHR, "Bohr"), (0.1, "nm"), (100.0, "pm")])
def test_positions_in_other_units_are_recognised(make, scale, unit):
    ((field, hint),) = found([relabelled(s, energy=None) for s in make(scale)])
    assert field == "pos"
    assert unit in hint
    assert "switch this check off with unit_check" in hint


def test_fractional_coordinates_are_recognised():
    fractional = [
        Structure(s.numbers, s.positions @ np.linalg.inv(s.cell), cell=s.cell, pbc=s.pbc)
        for s in crystals()
        if s.n_atoms > 1
    ]
    ((field, hint),) = found(fractional)
    assert field == "pos"
    assert "fractions of the cell" in hint


def test_a_dimer_scan_and_separated_atoms_pass():
    scan = [
        Structure(np.array([6, 6]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))
        for distance in np.linspace(0.35, 6.0, 60)
    ]
    assert found(scan) == []


@pytest.mark.parametrize("unit", [name for name in ENERGY_UNITS if name != "eV"])
def test_total_energies_in_other_units_are_recognised_without_e0(unit):
    other = [relabelled(s, energy=s.labels.energy / ENERGY_UNITS[unit]) for s in molecules()]
    ((field, hint),) = found(other)
    assert field == "energy"
    assert hint.startswith(f"The energies look like {unit}.")


@pytest.mark.parametrize("unit", ["kcal/mol", "kJ/mol", "meV"])
def test_energies_far_from_the_atoms_are_recognised(unit):
    size = ENERGY_UNITS[unit]
    other = [relabelled(s, energy=-4.8 * s.n_atoms / size) for s in molecules()]
    ((field, hint),) = found(other, dict.fromkeys(HF, 0.0))
    assert field == "energy"
    assert unit in hint


def test_valence_energies_near_those_of_whole_atoms_in_rydberg_pass(rng):
    """GFN2-xTB gives ethanol -309.98 eV; its atoms have -307.4 Rydberg with all electrons."""
    atoms = molecule("CH3CH2OH")
    ethanol = Structure(atoms.numbers, atoms.positions, labels=Labels(energy=-309.98))
    ((_, hint),) = found([ethanol])
    assert hint.startswith("The energies look like Rydberg.")
    assert found([ethanol], {1: -10.707, 6: -48.798, 8: -102.522}) == []
    assert found([relabelled(ethanol, forces=rng.normal(size=(9, 3)))]) == []


def test_atomic_energies_of_another_code_are_recognised():
    energies = {z: 0.02 * energy * HARTREE for z, energy in HF.items()}
    ((field, hint),) = found(molecules(), energies)
    assert field == "energy"
    assert "of one method" in hint
    assert found(molecules(), {z: energy * HARTREE for z, energy in HF.items()}) == []


@pytest.mark.parametrize("unit", ["kcal/mol/Å", "kJ/mol/Å", "meV/Å"])
def test_forces_in_other_units_are_recognised(rng, unit):
    forces = [rng.normal(size=(s.n_atoms, 3)) for s in molecules()]
    labelled = [
        relabelled(s, forces=f / FORCE_UNITS[unit])
        for s, f in zip(molecules(), forces, strict=True)
    ]
    ((field, hint),) = found(labelled)
    assert field == "forces"
    assert unit in hint
    right = [relabelled(s, forces=f) for s, f in zip(molecules(), forces, strict=True)]
    assert found(right) == []


@pytest.mark.parametrize(("unit", "size"), [("GPa", GPA), ("kbar", KBAR)])
def test_stress_in_other_units_is_recognised(unit, size):
    stress = np.diag([0.05, 0.02, 0.1])
    ((field, hint),) = found([relabelled(s, stress=stress / size) for s in crystals()])
    assert field == "stress"
    assert unit in hint
    assert found([relabelled(s, stress=stress) for s in crystals()]) == []
