"""`multiace md`: files, what they hold, and what is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.io import read, write
from typer.testing import CliRunner

from multiace.checkpoint import load_model, save_model
from multiace.cli.main import app
from multiace.deploy.dynamics import DynamicsError
from multiace.elements import ElementError


@pytest.fixture
def model(random_potential, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model.safetensors", random_potential)
    write(tmp_path / "start.xyz", molecule("CH3CH2OH"), format="extxyz")
    return tmp_path / "model.safetensors"


def run(*options: str):
    command = ["md", "model.safetensors", "start.xyz", *options]
    return CliRunner().invoke(app, command)


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_trajectory_and_log_hold_the_run(model, ensemble, tmp_path):
    result = run("--ensemble", ensemble, "--steps", "10", "--every", "4", "--temperature", "400")
    assert result.exit_code == 0, result.output
    assert "steps/s" in result.output
    assert "ns/day" in result.output
    frames = read(tmp_path / "md.xyz", index=":")
    assert [frame.info["step"] for frame in frames] == [0, 4, 8, 10]
    rows = np.loadtxt(tmp_path / "md.log")
    np.testing.assert_array_equal(rows[:, 0], [0, 4, 8, 10])
    np.testing.assert_allclose(rows[:, 1], [0, 0.002, 0.004, 0.005])
    energies = [frame.get_potential_energy() for frame in frames]
    np.testing.assert_allclose(rows[:, 2], energies, atol=1e-6)
    np.testing.assert_allclose(rows[:, 3], [frame.get_kinetic_energy() for frame in frames], 1e-5)
    assert np.ptp(rows[:, 4]) < 1e-2
    assert frames[0].get_forces().shape == (9, 3)


def test_a_run_goes_on_from_the_last_frame_with_its_velocities(model, tmp_path):
    assert run("--steps", "20", "--every", "10", "--out", "whole").exit_code == 0
    assert run("--steps", "10", "--every", "10", "--out", "first").exit_code == 0
    command = ["md", "model.safetensors", "first.xyz", "--steps", "10", "--out", "second"]
    assert CliRunner().invoke(app, command).exit_code == 0
    whole, second = read(tmp_path / "whole.xyz"), read(tmp_path / "second.xyz")
    np.testing.assert_allclose(second.positions, whole.positions, atol=1e-6)


def test_files_that_are_there_are_not_replaced_without_saying_so(model, tmp_path):
    (tmp_path / "md.log").write_text("mine")
    result = run("--steps", "1")
    assert isinstance(result.exception, FileExistsError)
    assert (tmp_path / "md.log").read_text() == "mine"
    assert not (tmp_path / "md.xyz").exists()
    assert run("--steps", "1", "--overwrite").exit_code == 0
    assert "conserved" in (tmp_path / "md.log").read_text()


def test_splines_and_the_network_give_nearly_the_same_run(model, tmp_path):
    for out, options in (("a", []), ("b", ["--exact"]), ("c", ["--dtype", "float32"])):
        assert run("--steps", "5", "--out", out, *options).exit_code == 0
    splined, exact, single = (read(tmp_path / f"{out}.xyz") for out in "abc")
    np.testing.assert_allclose(splined.get_forces(), exact.get_forces(), atol=1e-6)
    np.testing.assert_allclose(single.get_forces(), exact.get_forces(), atol=1e-3)


def test_energies_that_are_not_finite_stop_the_run(model):
    potential = load_model(model)
    next(potential.parameters()).data.fill_(1e300)
    save_model(model, potential)
    result = run("--steps", "5")
    assert isinstance(result.exception, DynamicsError)


def test_structures_that_cannot_run_are_refused(model, tmp_path):
    result = run("--frame", "7")
    assert "has no frame 7" in str(result.exception)
    (tmp_path / "notes.foo").write_text("nothing")
    result = CliRunner().invoke(app, ["md", "model.safetensors", "notes.foo"])
    assert "not a file of atoms" in str(result.exception)
    fixed = molecule("CH3CH2OH")
    fixed.set_constraint(FixAtoms([0, 1]))
    columns = ["symbols", "positions", "move_mask"]
    write(tmp_path / "start.xyz", fixed, format="extxyz", columns=columns)
    assert "constrains atoms (FixAtoms)" in str(run().exception)
    write(tmp_path / "start.xyz", Atoms("S"), format="extxyz")
    assert isinstance(run().exception, ElementError)
    assert not (tmp_path / "md.xyz").exists()
