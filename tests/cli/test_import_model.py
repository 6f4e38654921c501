"""`multiace import`: the model file, what is printed, and where it comes from."""

from __future__ import annotations

import shutil

import torch
from tests.golden.peers import Case
from typer.testing import CliRunner

from multiace.checkpoint import load_model
from multiace.cli.main import app
from multiace.deploy.importers.neutral import ImportModelError

HEADS = Case("mace", "two_heads", "scan")


def test_a_head_becomes_a_model_file(tmp_path) -> None:
    out = tmp_path / "scan.safetensors"
    result = CliRunner().invoke(
        app, ["import", "mace", str(HEADS.path), "--head", "scan", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    for text in ("mace-torch 0.3.16", "float64", "H, C, O", "content hash", "h_i^(0)"):
        assert text in result.output
    weights = HEADS.potential().state_dict()
    for name, found in load_model(out).state_dict().items():
        assert torch.equal(found, weights[name])


def test_the_model_file_is_named_after_the_file(tmp_path, monkeypatch) -> None:
    case = Case("mace", "one_layer")
    shutil.copy(case.path, tmp_path / "silicon.neutral")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["import", "mace", "silicon.neutral", "--dtype", "float32"])
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "silicon.safetensors").dtype == torch.float32


def test_the_file_itself_is_not_overwritten(tmp_path, monkeypatch) -> None:
    shutil.copy(Case("mace", "one_layer").path, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["import", "mace", "model.safetensors"])
    assert isinstance(result.exception, ValueError)
    assert "is the file to import. Give another name with --out" in str(result.exception)


def test_a_head_must_be_named(tmp_path) -> None:
    result = CliRunner().invoke(app, ["import", "mace", str(HEADS.path)])
    assert isinstance(result.exception, ImportModelError)
    assert "Name it: --head pbe" in str(result.exception)
