"""`multiace probe`: files, tables and what is refused."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner

from multiace.checkpoint import save_model
from multiace.cli.main import app


@pytest.fixture
def model(random_potential, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "a.safetensors", random_potential)
    save_model(tmp_path / "b.safetensors", random_potential)
    write(tmp_path / "ethanol.xyz", molecule("CH3CH2OH"), format="extxyz")
    return "a.safetensors"


def run(*words: str):
    return CliRunner().invoke(app, ["probe", *words])


def test_a_scan_prints_its_numbers_and_writes_json_and_a_figure(model, tmp_path):
    result = run(
        "scan",
        model,
        "b.safetensors",
        "--dimer",
        "O,H",
        "--range",
        "0.8,2.5,9",
        "--training",
        "ethanol.xyz",
        "--json",
        "scan.json",
        "--figure",
        "scan.svg",
    )
    assert result.exit_code == 0, result.output
    assert "minimum" in result.output
    a, b = json.loads((tmp_path / "scan.json").read_text())["results"]
    assert (a["subject"], b["subject"]) == ("a", "b")
    assert a["panels"]["energy"]["marks"][-1]["x"] == np.linspace(0.8, 2.5, 9).tolist()
    assert "training data" in (tmp_path / "scan.svg").read_text()


def test_a_calculator_and_an_ensemble_are_scanned_too(model):
    path = ("--structure", "ethanol.xyz", "--bond", "0,1", "--range", "1.3,1.9,4")
    result = run("scan", model, "b.safetensors", "--ensemble", *path, "--reference", "ase:emt")
    assert result.exit_code == 0, result.output
    assert "energy_spread" in result.output
    assert "reference_depth" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "A scan is given in one way"),
        (("--dimer", "O,H", "--structures", "ethanol.xyz"), "A scan is given in one way"),
        (("--structure", "ethanol.xyz"), "A scan is given in one way"),
        (("--dimer", "O"), "needs two elements"),
        (("--dimer", "O,H", "--range", "2,1,5"), "FROM below TO"),
        (("--dimer", "O,H", "--range", "1,2"), "FROM,TO,POINTS"),
        (("--structure", "ethanol.xyz", "--bond", "0,x", "--range", "1,2,3"), "whole numbers"),
        (("--structure", "ethanol.xyz", "--bond", "0,1"), "needs --range"),
        (("--structure", "ethanol.xyz", "--frame", "7", "--bond", "0,1"), "there is no 7"),
        (("--dimer", "O,H", "--reference", "ase:nothing"), "not a calculator of ASE"),
    ],
)
def test_bad_scans_are_refused(model, words, message):
    result = run("scan", model, *words)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)


def test_isolated_atoms_have_no_bond(model, tmp_path):
    write(tmp_path / "far.xyz", Atoms("H2", [[0, 0, 0], [9, 0, 0]]), format="extxyz")
    result = run("scan", model, "--structure", "far.xyz", "--bond", "0,1", "--range", "1,2,3")
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_smoothness_prints_a_table_a_part(model):
    result = run("smoothness", model, "--pairs", "O-H", "--structure", "ethanol.xyz")
    assert result.exit_code == 0, result.output
    for words in ("dimers of all pairs", "continuous derivatives", "dimers_tortuosity"):
        assert words in result.output
    bad = run("smoothness", model, "--pairs", "O,H")
    assert "two elements with a dash" in str(bad.exception)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("symmetry", "--structures", "ethanol.xyz", "--repetitions", "1"), "rotation"),
        (("body-order", "--structure", "ethanol.xyz", "--atoms", "4"), "E1_claimed"),
        (("locality", "--structure", "ethanol.xyz"), "receptive_field"),
        (("completeness", "--element", "C"), "separated_2"),
        (("cost", "--structures", "ethanol.xyz", "--seconds", "0"), "flops_forces"),
        (
            ("stability", "--structure", "ethanol.xyz", "--steps", "10", "--temperatures", "300"),
            "halving_ratio",
        ),
    ],
)
def test_every_other_probe_prints_its_numbers_and_writes_json(model, words, printed, tmp_path):
    result = run(words[0], model, *words[1:], "--json", "out.json")
    assert result.exit_code == 0, result.output
    assert printed in result.output
    (found,) = json.loads((tmp_path / "out.json").read_text())["results"]
    assert (found["probe"], found["subject"]) == (words[0], "a")
    assert printed in found["numbers"] or printed == "rotation"


def test_body_order_along_a_path_shows_the_terms(model, tmp_path):
    write(tmp_path / "path.xyz", [molecule("CH3CH2OH")] * 2, format="extxyz")
    words = ("body-order", model, "--structure", "ethanol.xyz", "--atoms", "3")
    result = run(*words, "--along", "path.xyz", "--figure", "terms.svg")
    assert result.exit_code == 0, result.output
    assert "path_E1_change" in result.output
    assert (tmp_path / "terms.svg").stat().st_size > 5000
