"""Runs that start from a model: what must be equal, what is kept, what is taken anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.training import runs, tiny

from multiace.checkpoint import load_model, read_tensors, save_model
from multiace.design import Statistics
from multiace.elements import ElementError
from multiace.geometry import Labels, Structure, build_graph
from multiace.potential import Potential
from multiace.training import ConfigError, FineTuningError, train
from multiace.training.fine_tuning import start_from
from multiace.training.prepare import read_sets
from multiace.training.run_directory import RunDirectory

WIDE = {"H": -13.5, "C": -1029.0, "O": -2040.0}


@pytest.fixture
def model(tmp_path):
    """Return the file of a model of H, C and O, whose elements are more than those of the data."""
    statistics = Statistics(mean_neighbours=3.0, atomic_energies=WIDE, shift=0.0, scale=0.7)
    design = tiny.design(energy={"scale": "rms_forces"})
    save_model(
        tmp_path / "model", Potential(design, (1, 6, 8), statistics, dtype=torch.float64, seed=5)
    )
    return tmp_path / "model"


def _config(directory, **changes):
    changes = {"energies": {}} | changes
    energies = changes.pop("energies")
    fields = tiny.config_fields(directory, design={"energy": {"scale": "rms_forces"}}, **changes)
    fields["data"]["energies"] = energies
    return tiny.make_config(fields)


def _graph(potential):
    return build_graph(tiny.molecules(1)[0], potential.cutoff, potential.elements)


def test_the_run_starts_where_the_model_ended(tmp_path, model):
    config = _config(tmp_path, epochs=1, optimiser={"rate": 1e-12}, ema=None)
    result = train(config, from_model=model, progress="none")
    before = load_model(model)
    assert result.potential.elements == (1, 6, 8)
    assert result.potential.statistics == before.statistics
    torch.testing.assert_close(
        result.potential(_graph(before)).energy, before(_graph(before)).energy, rtol=0, atol=1e-6
    )


def test_weights_of_elements_that_the_new_data_lack_stay(tmp_path, model):
    result = train(_config(tmp_path, epochs=2), from_model=model, progress="none")
    before, after = load_model(model), load_model(result.out / "model.safetensors")
    old, new = before.model.embedding.weights, after.model.embedding.weights
    assert torch.equal(old[1], new[1])  # carbon
    assert not torch.equal(old[0], new[0])


def test_another_design_is_refused_with_what_differs(tmp_path, model):
    with pytest.raises(FineTuningError, match=r"channels: \[2, 2\] -> \[3, 3\]") as caught:
        train(_config(tmp_path).model_copy(update=_wider()), from_model=model, progress="none")
    assert "Leave `design` out" in str(caught.value)


def _wider():
    return {"design": tiny.design(channels=3, energy={"scale": "rms_forces"})}


@pytest.mark.parametrize("change", [{"zbl": "outside"}, {"scale": "none"}, {"shift": "mean"}])
def test_changes_that_move_energies_are_refused(tmp_path, model, change):
    design = tiny.design(energy={"scale": "rms_forces"} | change)
    config = _config(tmp_path).model_copy(update={"design": design})
    with pytest.raises(FineTuningError, match=rf"energy\.{next(iter(change))}"):
        train(config, from_model=model, progress="none")


def test_scale_can_be_made_trainable_and_per_element(tmp_path, model):
    energy = {"scale": "rms_forces", "trainable": True, "per_element": True}
    config = _config(tmp_path, epochs=1).model_copy(update={"design": tiny.design(energy=energy)})
    result = train(config, from_model=model, progress="none")
    scale = result.potential.model.baseline.scale
    assert scale.shape == (3,)
    torch.testing.assert_close(scale[1].item(), 0.7, rtol=0, atol=1e-7)
    assert scale[0].item() != scale[1].item()


def test_a_trained_scale_stays_when_it_is_frozen(tmp_path, model):
    energy = {"scale": "rms_forces", "trainable": True}
    statistics = load_model(model).statistics
    trained = Potential(tiny.design(energy=energy), (1, 6, 8), statistics, dtype=torch.float64)
    with torch.no_grad():
        trained.model.baseline.scale.fill_(0.9)
    save_model(model, trained)
    result = train(_config(tmp_path, epochs=1), from_model=model, progress="none")
    assert result.potential.statistics.scale == 0.9


def test_elements_the_model_lacks_are_named(tmp_path, model):
    silane = Structure(
        numbers=np.array([14, 1]),
        positions=np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0]]),
        labels=Labels(energy=-1.0, forces=np.zeros((2, 3))),
    )
    file = tiny.write(tmp_path / "silane.xyz", [silane] * 6)
    config = _config(tmp_path, data={"train": str(file)})
    with pytest.raises(ElementError, match="contain Si, which .* was not trained on"):
        train(config, from_model=model, progress="none")


def test_e0_are_kept_unless_a_refit_is_asked_for(tmp_path, model):
    new = {"H": -14.0, "O": -2041.0}
    kept = _config(tmp_path, epochs=1, out=str(tmp_path / "kept"), energies=new)
    result = train(kept, from_model=model, progress="none")
    assert result.potential.statistics.atomic_energies == WIDE
    refit = _config(
        tmp_path,
        epochs=1,
        out=str(tmp_path / "refit"),
        energies=new,
        fine_tuning={"energies": "refit"},
    )
    result = train(refit, from_model=model, progress="none")
    statistics = result.potential.statistics
    assert statistics.atomic_energies == {"H": -14.0, "C": -1029.0, "O": -2041.0}
    assert (statistics.mean_neighbours, statistics.scale) == (3.0, 0.7)


@pytest.mark.parametrize("zbl", ["none", "outside"])
@pytest.mark.parametrize("reference", ["mean", "least_squares"])
def test_a_refit_to_energies_leaves_the_binding_energy_to_the_weights(tmp_path, reference, zbl):
    energy = {"scale": "none", "shift": "mean", "reference": reference, "zbl": zbl}
    statistics = Statistics(mean_neighbours=3.0, atomic_energies=WIDE, shift=-5.0, scale=2.0)
    path = tmp_path / "model"
    old = Potential(tiny.design(energy=energy), (1, 6, 8), statistics, dtype=torch.float64, seed=5)
    save_model(path, old)
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(12), *_hydroxides(4)])
    fields = tiny.config_fields(
        tmp_path, design={"energy": energy}, fine_tuning={"energies": "refit"}
    )
    fields["data"]["energies"] = {}
    config = tiny.make_config(fields)
    sets = read_sets(config)
    new = start_from(path, config, sets, torch.float64)
    residuals, sizes = [], []
    for structure in sets.training:
        graph = build_graph(structure, new.cutoff, new.elements)
        with torch.no_grad():
            residuals.append(new(graph).energy.item() - structure.labels.energy)
        sizes.append(structure.n_atoms)
    assert new.statistics.atomic_energies["C"] == WIDE["C"]
    if reference == "mean":
        assert np.mean(residuals) == pytest.approx(0.0, abs=1e-7)
    else:  # the normal equations of least squares per atom
        atoms = [[np.count_nonzero(s.numbers == z) for z in (1, 8)] for s in sets.training]
        weighted = np.array(residuals) / np.square(sizes)
        assert weighted @ np.array(atoms) == pytest.approx([0.0, 0.0], abs=1e-7)
        assert np.abs(residuals).max() < 5.0


def _hydroxides(n_structures):
    """Return molecules of another composition, the first two atoms of water."""
    return [
        Structure(
            numbers=water.numbers[:2],
            positions=water.positions[:2],
            labels=Labels(
                energy=tiny.ENERGIES["O"] + tiny.ENERGIES["H"] - 5.0, forces=np.zeros((2, 3))
            ),
        )
        for water in tiny.molecules(n_structures, seed=4)
    ]


def test_resume_and_from_exclude_each_other(tmp_path, model):
    with pytest.raises(ConfigError, match="Give one of them"):
        train(_config(tmp_path), resume=True, from_model=model, progress="none")


def test_a_fine_tuning_run_resumes_without_the_model(tmp_path, model, monkeypatch):
    whole = _config(tmp_path, out=str(tmp_path / "whole"))
    train(whole, from_model=model, progress="none")
    parts = _config(tmp_path, out=str(tmp_path / "parts"))
    runs.stop_after(monkeypatch, parts, 7, runs.SIGTERM, from_model=model)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    model.unlink()
    result = train(parts, resume=True, progress="none")
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")
    content, _ = read_tensors(result.out / "model.safetensors", "model")
    assert content["provenance"]["from"] == {"path": str(model), "sha256": digest}


def _begun(config, model, monkeypatch):
    """Begin a run that is killed before its first checkpoint."""
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save", _killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, from_model=model, progress="none")
    assert not RunDirectory(Path(config.out), print).checkpoints


def _killed(*_):
    raise KeyboardInterrupt


def test_a_run_without_checkpoint_starts_from_its_model_again(tmp_path, model, monkeypatch):
    whole = _config(tmp_path, out=str(tmp_path / "whole"), epochs=1)
    train(whole, from_model=model, progress="none")
    parts = _config(tmp_path, out=str(tmp_path / "parts"), epochs=1)
    _begun(parts, model, monkeypatch)
    train(parts, resume=True, progress="none")
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert f"starting at epoch 0 from {model}" in (tmp_path / "parts" / "log.txt").read_text()


def test_a_run_without_checkpoint_needs_the_same_model_again(tmp_path, model, monkeypatch):
    config = _config(tmp_path, epochs=1)
    _begun(config, model, monkeypatch)
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(FineTuningError, match="SHA-256 .* which is now"):
        train(config, resume=True, progress="none")
    model.unlink()
    with pytest.raises(FineTuningError, match="is gone"):
        train(config, resume=True, progress="none")


@pytest.mark.parametrize("resume", [False, True])
def test_a_refit_without_a_model_is_refused(tmp_path, resume):
    config = _config(tmp_path, fine_tuning={"energies": "refit"}, energies=tiny.ENERGIES)
    with pytest.raises(ConfigError, match="does not start from a model"):
        train(config, resume=resume, progress="none")
    assert not (tmp_path / "run").exists()


def test_a_config_file_without_design_takes_that_of_the_model(tmp_path, model):
    fields = tiny.config_fields(tmp_path, epochs=1)
    del fields["design"]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields))
    result = train(tmp_path / "run.yaml", from_model=model, progress="none")
    assert result.potential.design == load_model(model).design
