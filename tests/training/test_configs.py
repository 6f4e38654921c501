"""The configs that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.training import tiny

from multiace.potential import Potential
from multiace.training import read_config, train
from multiace.training.optimiser import make_optimiser
from multiace.training.prepare import read_sets

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_there_are_configs():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_valid_and_its_patterns_match(path):
    config = read_config(path, ["design.channels=2"])
    assert config.out == f"runs/{path.stem}"
    statistics = tiny.potential().statistics
    potential = Potential(config.design, (1, 8), statistics, seed=0)
    make_optimiser(config.optimiser, dict(potential.named_parameters()))


def test_the_bundled_config_finds_its_data_and_trains(tmp_path):
    path = next(path for path in CONFIGS if path.stem == "malonaldehyde_botnet")
    config = read_config(path)
    sets = read_sets(config)
    assert (len(sets.training), len(sets.validation), len(sets.isolated_atoms)) == (450, 50, 3)
    assert list(sets.tests) == ["300 K", "600 K", "1200 K"]
    changes = ["design.channels=2", "design.layers=2", "epochs=1", "data.tests={}", "data.valid=8"]
    changes += ["data.train=bundled:malonaldehyde/proton_transfer", f"out={tmp_path / 'run'}"]
    result = train(read_config(path, changes), progress="none")
    assert result.history[-1].rmse["energy"] > 0
