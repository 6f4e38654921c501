"""The bundled malonaldehyde data: whole, readable, physically sane, reproducible."""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from multiace.data import (
    BUNDLED,
    DataError,
    bundled,
    compute_statistics,
    count_edges,
    isolated_atom_energies,
    label_table,
    read_structures,
)
from multiace.data.bundled import data_path

DYNAMICS = ["train_300K", "test_300K", "test_600K", "test_1200K"]
MOLECULE = [6, 6, 6, 8, 8, 1, 1, 1, 1]


@pytest.fixture(scope="module")
def data():
    """Return all structures by the last part of their name."""
    return {name.split("/")[1]: read_structures(bundled(name)) for name in BUNDLED}


def energies(structures) -> np.ndarray:
    """Return energies in eV."""
    return np.array([structure.labels.energy for structure in structures])


def info(name: str, key: str) -> np.ndarray:
    """Return a number of the comment lines of a file."""
    words = bundled(f"malonaldehyde/{name}").read_text().split()
    return np.array([float(w.split("=")[1]) for w in words if w.startswith(f"{key}=")])


@pytest.mark.parametrize("name", BUNDLED)
def test_a_file_is_the_one_described(name):
    content = bundled(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == BUNDLED[name].sha256
    provenance = json.loads(bundled(name).with_name("provenance.json").read_text())
    assert provenance["sha256"][name.split("/")[1]] == BUNDLED[name].sha256
    assert len(read_structures(bundled(name))) == BUNDLED[name].n_structures


def test_all_files_together_stay_small():
    assert sum(bundled(name).stat().st_size for name in BUNDLED) < 2_000_000


def test_every_structure_has_energy_and_forces(data):
    for structures in data.values():
        table = label_table(structures)
        assert table.count("energy") == table.count("forces") == len(structures)
        assert table.count("stress") == 0


def test_molecules_are_the_same_atoms_in_the_same_order(data):
    for name, structures in data.items():
        if name != "isolated_atoms":
            assert all(structure.numbers.tolist() == MOLECULE for structure in structures)


def test_no_force_or_torque_is_left_over(data):
    for structures in data.values():
        for structure in structures:
            forces, positions = structure.labels.forces, structure.positions
            assert np.abs(forces.sum(axis=0)).max() < 1e-5
            assert np.abs(np.cross(positions, forces).sum(axis=0)).max() < 1e-4


def test_no_frame_occurs_twice_in_the_molecular_dynamics(data):
    frames = [s.positions.tobytes() for name in DYNAMICS for s in data[name]]
    assert len(set(frames)) == len(frames)


def test_potential_energies_follow_equipartition(data):
    """A harmonic molecule has (3N - 6)/2 kT above its minimum; anharmonic ones a little more."""
    minimum = energies(data["dihedral"])[0]
    for name, kelvin in zip(DYNAMICS, (300, 300, 600, 1200), strict=True):
        excess = energies(data[name]) - minimum
        harmonic = 0.5 * 21 * 8.617333e-5 * kelvin
        assert excess.min() > 0
        assert 0.9 * harmonic < excess.mean() < 1.6 * harmonic


def test_isolated_atoms_give_a_sane_binding_energy(data):
    atoms = isolated_atom_energies(data["isolated_atoms"])
    assert set(atoms) == {"H", "C", "O"}
    sum_of_atoms = 3 * atoms["C"] + 2 * atoms["O"] + 4 * atoms["H"]
    per_atom = (energies(data["train_300K"]) - sum_of_atoms) / 9
    assert -7.0 < per_atom.min() < per_atom.max() < -5.0


def test_statistics_of_the_training_set_are_sane(data):
    structures = data["isolated_atoms"] + data["train_300K"]
    edges = count_edges(structures, 4.0)
    found = compute_statistics(structures, edges, (1, 6, 8), shift="mean", per_element=False)
    assert 7.0 < found.mean_neighbours < 8.0
    assert 0.5 < found.scale < 1.5
    assert -7.0 < found.shift < -5.0


def test_the_dihedral_scan_turns_the_aldehyde_group_by_half_a_turn(data):
    scan, angles = data["dihedral"], info("dihedral", "dihedral_deg")
    np.testing.assert_array_equal(angles, np.linspace(0, 180, 37))
    for structure, angle in zip(scan, angles, strict=True):
        assert structure.to_ase().get_dihedral(3, 0, 1, 2) == pytest.approx(angle, abs=1e-3)
    profile = energies(scan) - energies(scan)[0]
    assert np.abs(np.diff(profile, 2)).max() < 0.03  # smooth: eV per (5 degrees)^2
    assert 0.7 < profile.max() < 0.9


def test_the_proton_transfer_is_symmetric(data):
    scan, coordinate = data["proton_transfer"], info("proton_transfer", "transfer_A")
    for structure, value in zip(scan, coordinate, strict=True):
        atoms = structure.to_ase()
        assert atoms.get_distance(3, 5) - atoms.get_distance(4, 5) == pytest.approx(value, abs=1e-3)
    np.testing.assert_allclose(coordinate, -coordinate[::-1], atol=1e-6)
    profile = energies(scan) - energies(scan)[0]
    np.testing.assert_allclose(profile, profile[::-1], atol=1e-4)
    assert profile.argmax() == 10
    assert 0.1 < profile.max() < 0.25


def test_the_stretched_bond_breaks_smoothly(data):
    scan, distance = data["stretch"], info("stretch", "distance_A")
    np.testing.assert_allclose(distance, np.linspace(0.8, 4.0, 33))
    for structure, value in zip(scan, distance, strict=True):
        assert structure.to_ase().get_distance(4, 5) == pytest.approx(value, abs=1e-6)
    profile = energies(scan) - energies(scan).min()
    bottom = profile.argmin()
    assert distance[bottom] == pytest.approx(1.0)
    assert (np.diff(profile[: bottom + 1]) < 0).all()
    assert (np.diff(profile[bottom:]) > 0).all()
    assert 4.5 < profile[-1] < 5.5


@pytest.mark.parametrize("name", ["dihedral", "stretch"])
def test_forces_are_the_slope_of_the_scans(data, name):
    """Trapezoid rule along the rigid displacement of neighbouring frames."""
    scan = data[name]
    for one, other in itertools.pairwise(scan):
        work = -0.5 * (one.labels.forces + other.labels.forces) * (other.positions - one.positions)
        change = other.labels.energy - one.labels.energy
        assert change == pytest.approx(work.sum(), abs=3e-3 if name == "dihedral" else 0.25)


def test_a_data_set_is_a_file_or_a_bundled_one():
    assert data_path("bundled:malonaldehyde/stretch") == bundled("malonaldehyde/stretch")
    assert data_path("malonaldehyde/stretch.xyz") == Path("malonaldehyde/stretch.xyz")
    with pytest.raises(DataError, match="'stretch.xyz' is not a bundled data set"):
        data_path("bundled:stretch.xyz")


def test_an_unknown_name_is_refused_with_the_closest():
    with pytest.raises(DataError, match="Did you mean 'malonaldehyde/stretch'"):
        bundled("malonaldehyde/strech")


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED)
def test_the_recipe_labels_the_frames_again(name):
    pytest.importorskip("tblite", reason="labels need tblite")
    from multiace.data.make.labelling import Point, label, tblite_calculator
    from multiace.data.recipes.malonaldehyde import ISOLATED_ATOMS, METHOD

    structures = read_structures(bundled(name))
    for structure in structures[:: max(len(structures) // 3, 1)]:
        atoms = structure.to_ase()
        multiplicity = ISOLATED_ATOMS[atoms.symbols[0]] if len(atoms) == 1 else 1
        again = label(Point(atoms, 0, multiplicity), tblite_calculator(METHOD))
        np.testing.assert_allclose(again.positions, structure.positions, atol=2e-8)
        assert again.get_potential_energy() == pytest.approx(structure.labels.energy, abs=1e-6)
        np.testing.assert_allclose(again.get_forces(), structure.labels.forces, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["isolated_atoms", "dihedral", "proton_transfer", "stretch"])
def test_the_recipe_makes_the_scans_again(name):
    pytest.importorskip("tblite", reason="labels need tblite")
    from multiace.data.recipes import malonaldehyde

    made = getattr(malonaldehyde, {"dihedral": "dihedral_scan"}.get(name, name))
    minimum = malonaldehyde.minimum_of(malonaldehyde.starting_geometry())
    frames = list(made(minimum))
    theirs = read_structures(bundled(f"malonaldehyde/{name}"))
    assert len(frames) == len(theirs)
    for frame, structure in zip(frames, theirs, strict=True):
        assert frame.info["config_type"] == structure.config_type
        assert frame.get_potential_energy() == pytest.approx(structure.labels.energy, abs=1e-5)
