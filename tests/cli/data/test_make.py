"""`multiace data make`: options, recipes, what it says and what it refuses."""

import re

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from multiace.cli.main import app
from multiace.data import read_structures
from multiace.data.make import make_recipe, read_recipe


def make(*options):
    return CliRunner().invoke(app, ["data", "make", *map(str, options)])


def shown(*options):
    result = make(*options, "--show-recipe")
    assert result.exit_code == 0, result.output
    return make_recipe(yaml.safe_load(result.output))


def test_options_are_a_recipe():
    options = "--temperature 300 --temperature 600 --frames 50 --test-frames 3 --friction 5"
    options += " --bond 0-1 --relax --normal-modes --dimers --charge 1 --seed 4 --no-optimise"
    recipe = shown("molecule:H2O", *options.split())
    assert list(recipe.sets) == [
        *("train_300K", "train_600K", "test_300K", "test_600K"),
        *("bond_0-1", "normal_modes", "dimers", "isolated_atoms"),
    ]
    hot = recipe.sets["train_600K"]
    assert (hot.temperatures, hot.frames, hot.trajectories, hot.friction) == ((600.0,), 50, 4, 5.0)
    assert recipe.sets["test_300K"].trajectories == 3
    assert recipe.sets["bond_0-1"].relax
    assert (recipe.method.charge, recipe.seed, recipe.optimise) == (1, 4, False)


def test_a_path_and_a_supercell_can_be_asked_for():
    assert shown("bulk:Si", "--path", "end.xyz").sets["path"].end == "end.xyz"
    assert "train_300K" not in shown("bulk:Si", "--frames", 0).sets
    assert shown("bulk:Si", "--repeat", 2, 2, 2).repeat == (2, 2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("molecule:H2O", "--bond", "0-1-2"), "--bond takes 2 atoms counted from 0, such as 0-1"),
        (("a.yaml", "--seed", "1"), "A recipe takes no options but --out .* got --seed"),
        (("molecule:H2O", "--frames", "-1"), "Invalid value for '--frames'"),
        (("molecule:H2O", "--interval", "0.1"), "interval must be at least one timestep"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options, message):
    result = make(*options, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert re.search(message, f"{result.output}{result.exception}")


def test_water_is_made_trained_on_and_reported(tmp_path):
    pytest.importorskip("tblite", reason="labels need tblite")
    out = tmp_path / "water"
    options = "--frames 4 --test-frames 2 --interval 2 --equilibration 2 --bond 0-1".split()
    result = make("molecule:H2O", *options, "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("train_300K.xyz", "4 frames", "25 frames", "provenance.json says how"):
        assert text in result.output
    for name, number in (("train_300K", 4), ("test_300K", 2), ("bond_0-1", 25)):
        assert len(read_structures(out / f"{name}.xyz")) == number
    config = yaml.safe_load(result.output.partition("config.yaml`:")[2])
    assert config["data"]["train"] == f"{out}/train_300K.xyz"
    assert list(config["data"]["tests"]) == ["test_300K", "bond_0-1"]
    comment = (out / "train_300K.xyz").read_text().splitlines()[1]
    for text in ("method=GFN2-xTB", "tblite=", "multiace=", "seed=", "temperature_K=300.0"):
        assert text in comment
    again = make(out / "recipe.yaml", "--out", out)
    assert again.output.count("(was there)") == len(read_recipe(out / "recipe.yaml").sets)


def test_the_config_it_prints_is_a_config(tmp_path):
    from multiace.cli.data.make import _next
    from multiace.data.make import Made
    from multiace.training.read_config import make_config

    recipe = shown("molecule:H2O", "--temperature", 300, "--temperature", 600)
    made = [Made(tmp_path / f"{name}.xyz", 1, 1, {}, False) for name in recipe.sets]
    console = Console(soft_wrap=True)
    with console.capture() as capture:
        _next(console, recipe, made)
    config = make_config(yaml.safe_load(capture.get().partition("config.yaml`:")[2]))
    assert all(str(tmp_path) in file for file in config.data.train)
    assert len(config.data.train) == 2
