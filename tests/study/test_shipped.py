"""The studies that ship read without errors, in every variant."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from multiace.presets import PRESETS
from multiace.study import read_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
CELLS = {
    "nequip-ablation": 18,
    "nequip-to-botnet": 8,
    "botnet-to-mace": 8,
    "body-order": 9,
    "equivariance": 8,
    "3bpa-choices": 8,
    "ethanol": 10,
}
NOT_BUNDLED = ("3bpa-choices", "ethanol")


def without_files(monkeypatch) -> None:
    module = importlib.import_module("multiace.study.read_study")  # hidden by the function
    monkeypatch.setattr(module, "check_files", lambda study: None)


def variants(path: Path) -> list[str]:
    return list(yaml.safe_load(path.read_text()).get("variants", {}))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_has_its_cells_and_confounds_nothing(path, monkeypatch):
    if path.stem in NOT_BUNDLED:
        without_files(monkeypatch)
    study = read_study(path)
    assert len(study.cells) == CELLS[path.stem]
    assert study.identification.confounded == ()
    assert len(study.config.seeds) == (2 if path.stem in NOT_BUNDLED else 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "variant"), [(path, v) for path in STUDIES for v in variants(path)], ids=str
)
def test_every_variant_is_a_plan_once_its_data_are_there(path, variant, monkeypatch):
    without_files(monkeypatch)
    study = read_study(path, variant)
    assert study.training_config(study.cells[0], epochs=10).dtype == "float64"
    if path.stem == "nequip-ablation":
        assert len(study.cells) == 486


def test_the_paths_end_at_the_presets_they_name():
    for name, start, end in (
        ("nequip-to-botnet", "nequip", "botnet"),
        ("botnet-to-mace", "botnet", "mace"),
    ):
        study = read_study(next(path for path in STUDIES if path.stem == name))
        n = len(study.factors)
        ends = [study.design(study.cell((level,) * n)).content_hash for level in (0, 1)]
        assert ends == [PRESETS[preset]("small").content_hash for preset in (start, end)]
