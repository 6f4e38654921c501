"""`multiace export`: the program file, and what is printed."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from tests.program.cases import potential
from typer.testing import CliRunner

from multiace.checkpoint import save_model
from multiace.cli.main import app
from multiace.elements import ElementError
from multiace.program import build_program


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model.safetensors", potential("mace", torch.float32))
    return tmp_path / "model.safetensors"


def read(path):
    """Return metadata, header, errors of splines with the cutoff, and elements of a file."""
    with safe_open(path, framework="np") as file:
        tensors = [file.get_tensor(name) for name in ("header", "settings", "elements")]
        return file.metadata(), *(tensor.tolist() for tensor in tensors)


def export(*arguments: str):
    return CliRunner().invoke(app, ["export", "model.safetensors", "--to", "program", *arguments])


def test_a_program_file_is_written(model):
    result = export()
    assert result.exit_code == 0, result.output
    assert "model.program.safetensors: 2 layers for H, Li, C, O, Si in float32" in result.output
    assert "splines (error" in result.output
    metadata, *_ = read("model.program.safetensors")
    assert metadata["digest"] == build_program(potential("mace", torch.float32)).digest
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    expected = {"model": "model.safetensors", "sha256": digest}
    assert json.loads(metadata["provenance"]) == expected


def test_options_reach_the_program(model, tmp_path):
    options = ("--exact", "--dtype", "float64", "--elements", "O, H", "--out", "water")
    result = export(*options)
    assert result.exit_code == 0, result.output
    assert "water: 2 layers for H, O in float64, with the radial network" in result.output
    _, header, _, elements = read(tmp_path / "water")
    assert header[8:] == [8, 1]  # bytes of a number, exact
    assert elements == [1, 8]


def test_the_tolerance_decides_on_the_splines(model, tmp_path):
    errors = []
    for tolerance in ("1e-3", "1e-6"):
        export("--tolerance", tolerance)
        errors.append(read("model.program.safetensors")[2][2])
    assert 1e-3 > errors[0] > 1e-6 > errors[1]


def test_the_model_itself_is_not_overwritten(model):
    result = export("--out", "model.safetensors")
    assert isinstance(result.exception, ValueError)
    assert "is the model to export. Give another name with --out" in str(result.exception)


@pytest.mark.parametrize(
    ("elements", "message"), [("he", "Did you mean 'He'"), ("He", "program for He")]
)
def test_elements_that_do_not_fit_are_refused(model, elements, message):
    result = export("--elements", elements)
    assert isinstance(result.exception, ElementError)
    assert message in str(result.exception)
