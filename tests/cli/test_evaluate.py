"""`multiace evaluate`: the table and the JSON file."""

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from multiace.analysis import errors
from multiace.checkpoint import save_model
from multiace.cli.main import app
from multiace.data import read_structures
from multiace.device import DeviceError
from multiace.elements import ElementError


@pytest.fixture
def model(random_potential, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, random_potential)
    return path


@pytest.fixture
def data(tmp_path, rng):
    frames = []
    for config_type in ("one", "one", "two"):
        atoms = Atoms("CHO", positions=rng.normal(size=(3, 3)) * 1.5)
        atoms.calc = SinglePointCalculator(
            atoms, energy=-3000.0 + rng.normal(), forces=rng.normal(size=(3, 3))
        )
        atoms.info["config_type"] = config_type
        frames.append(atoms)
    path = tmp_path / "data.xyz"
    write(path, frames, format="extxyz")
    return path


def test_json_holds_the_errors_of_the_model(model, data, tmp_path, random_potential):
    out = tmp_path / "errors.json"
    result = CliRunner().invoke(app, ["evaluate", str(model), str(data), "--json", str(out)])
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    expected = errors(random_potential, read_structures(data)).to_json()
    assert content.pop("model") == str(model)
    assert content.keys() == expected.keys()
    assert content["total"]["forces"]["rmse"] == pytest.approx(expected["total"]["forces"]["rmse"])
    assert content["config_type"].keys() == {"one", "two"}


def test_splines_and_the_network_give_nearly_the_same_errors(model, data, tmp_path):
    found = []
    for options in ([], ["--exact"]):
        out = tmp_path / "errors.json"
        result = CliRunner().invoke(
            app, ["evaluate", str(model), str(data), "--json", str(out), *options]
        )
        assert result.exit_code == 0, result.output
        found.append(json.loads(out.read_text())["total"]["forces"]["rmse"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] != found[1]


def test_the_table_has_units_and_a_row_for_each_kind_and_element(model, data):
    result = CliRunner().invoke(app, ["evaluate", str(model), str(data), "--dtype", "float32"])
    assert result.exit_code == 0, result.output
    for text in ("meV/Å", "meV/atom", "total", "two", "H", "C", "O"):
        assert text in result.output
    assert "stress" not in result.output


def test_the_stress_is_shown_in_both_units(model, tmp_path, rng):
    atoms = Atoms("CHO", positions=rng.normal(size=(3, 3)) * 1.5, cell=np.eye(3) * 6, pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-3000.0, stress=np.zeros(6))
    path = tmp_path / "crystal.xyz"
    write(path, atoms, format="extxyz")
    result = CliRunner().invoke(app, ["evaluate", str(model), str(path)])
    assert result.exit_code == 0, result.output
    assert "meV/Å^3" in result.output
    assert "GPa" in result.output


def test_a_gpu_that_is_not_there_is_refused(model, data, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(app, ["evaluate", str(model), str(data), "--device", "cuda"])
    assert isinstance(result.exception, DeviceError)
    found = CliRunner().invoke(app, ["evaluate", str(model), str(data), "--device", "auto"])
    assert found.exit_code == 0, found.output


def test_labels_under_other_names_are_read(model, tmp_path, rng):
    atoms = Atoms("CHO", positions=rng.normal(size=(3, 3)) * 1.5)
    atoms.info["dft"] = -3000.0
    path = tmp_path / "other.xyz"
    write(path, atoms, format="extxyz")
    runner = CliRunner()
    found = runner.invoke(app, ["evaluate", str(model), str(path), "--energy-key", "dft"])
    assert found.exit_code == 0, found.output
    assert np.isfinite(float(found.output.split("total")[1].split()[3]))
    missed = runner.invoke(app, ["evaluate", str(model), str(path)])
    assert isinstance(missed.exception, ValueError)


def test_a_store_has_the_errors_of_its_source(model, data, tmp_path):
    store = tmp_path / "data.h5"
    prepared = CliRunner().invoke(app, ["data", "prepare", str(data), "--out", str(store)])
    assert prepared.exit_code == 0, prepared.output
    assert "data.h5: 3 structures, 9 atoms" in prepared.output
    found = []
    for name in (data, store):
        out = tmp_path / "errors.json"
        result = CliRunner().invoke(app, ["evaluate", str(model), str(name), "--json", str(out)])
        assert result.exit_code == 0, result.output
        found.append(json.loads(out.read_text()))
    assert found[0] == found[1]


def test_an_element_that_the_model_does_not_know_is_named_with_its_frame(model, data):
    data.write_text(data.read_text() + data.read_text().replace("C  ", "S  ").replace("O  ", "Se "))
    result = CliRunner().invoke(app, ["evaluate", str(model), str(data)])
    assert isinstance(result.exception, ElementError)
    assert f"{data}:3 contains S, Se, which the model does not know" in str(result.exception)
