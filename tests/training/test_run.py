"""The files of a run and what `train` returns."""

from __future__ import annotations

import json
import pickle
import re

import pytest
import torch
from tests.training import tiny

from multiace.analysis import errors
from multiace.checkpoint import ModelFileError, load_model, read_tensors
from multiace.data import read_structures
from multiace.training import ResumeError, TrainingInterrupted, loop, read_config, train
from multiace.training.run_directory import open_run


def test_a_run_leaves_what_its_table_says(tmp_path):
    test = tiny.write(tmp_path / "test.xyz", tiny.molecules(4, seed=7))
    result = train(tiny.config(tmp_path, data={"tests": {"hot": str(test)}}), progress="none")
    names = {path.name for path in result.out.iterdir()}
    assert names == {
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "log.txt",
        "lock",
        "checkpoints",
        "model.safetensors",
        "errors.json",
        "cost.json",
    }
    assert (
        read_config(result.out / "config.yaml")
        == tiny.config(tmp_path, data={"tests": {"hot": str(test)}}).resolved()
    )
    model = load_model(result.out / "model.safetensors")
    pairs = zip(model.parameters(), result.potential.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    expected = errors(model, read_structures(test)).to_json()
    assert json.loads((result.out / "errors.json").read_text())["hot"] == expected
    assert result.errors["hot"].to_json() == expected
    assert len(result.history) == 3


def test_the_model_file_says_where_it_comes_from(tmp_path):
    result = train(tiny.config(tmp_path), progress="none")
    content, _ = read_tensors(result.out / "model.safetensors", "model")
    provenance = content["provenance"]
    identity = json.loads((result.out / "run.json").read_text())
    assert provenance["run_id"] == identity["run_id"]
    assert provenance["config"]["epochs"] == 3
    assert len(provenance["data"]["sha256"]) == 64
    best = [record for record in result.history if record.best][-1]
    assert (provenance["epoch"], provenance["valid_loss"]) == (best.epoch, best.valid_loss)


def test_a_run_computes_with_the_kernels_of_its_config_and_says_so(tmp_path):
    result = train(tiny.config(tmp_path, kernels="reference", epochs=1), progress="none")
    assert result.potential.kernels.name == "reference"
    assert "Kernels: reference (PyTorch)." in (result.out / "log.txt").read_text()
    assert json.loads((result.out / "run.json").read_text())["kernels"] == "reference (PyTorch)"


def test_training_lowers_the_error(tmp_path):
    design = {"channels": 4, "radial": {"hidden": [8]}, "energy": {"scale": "rms_forces"}}
    config = tiny.config(tmp_path, epochs=12, design=design, optimiser={"rate": 0.03})
    result = train(config, progress="none")
    assert result.history[-1].rmse["forces"] < 0.5 * result.history[0].rmse["forces"]


@pytest.mark.parametrize("kind", ["ef", "weighted", "per_atom", "ace", "huber"])
def test_every_loss_trains(tmp_path, kind):
    result = train(tiny.config(tmp_path, epochs=4, loss={"kind": kind}), progress="none")
    assert result.history[-1].train_loss < result.history[0].train_loss


def test_a_directory_is_one_run_at_a_time(tmp_path):
    with open_run(tmp_path / "run", resume=False, note=print) as directory:
        directory.begin(tiny.config(tmp_path), {})
        with pytest.raises(ResumeError, match="is in use by process"):
            train(tiny.config(tmp_path), progress="none")


def test_only_leftovers_of_the_run_itself_are_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "notes").mkdir()
    own = [
        tmp_path / ".config.yaml.12.tmp",
        tmp_path / ".not-finite-0000000001-step.json.12.tmp",
        tmp_path / "checkpoints" / ".step-0000000001.safetensors.12.tmp",
    ]
    foreign = [tmp_path / ".draft.tmp", tmp_path / "notes" / ".config.yaml.12.tmp"]
    for path in own + foreign:
        path.touch()
    with open_run(tmp_path, resume=False, note=print):
        pass
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in foreign)


def test_a_start_that_fails_leaves_no_directory(tmp_path):
    config = tiny.config(tmp_path)
    (tmp_path / "train.xyz").unlink()
    with pytest.raises(ValueError, match="no such file"):
        train(config, progress="none")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_stops_the_run_and_leaves_a_checkpoint_to_go_on_from(tmp_path, monkeypatch):
    from tests.training import runs

    from multiace.checkpoint import tensor_file

    original = tensor_file.os.fsync
    calls = 0

    def fill(descriptor):
        nonlocal calls
        calls += 1
        if calls == 13:
            raise OSError(28, "No space left on device")
        original(descriptor)

    config = tiny.config(tmp_path, out=str(tmp_path / "full"), checkpoint={"steps": 1})
    with monkeypatch.context() as patch:
        patch.setattr(tensor_file.os, "fsync", fill)
        with pytest.raises(ModelFileError, match=r"No space left on device\. It needs .* bytes"):
            train(config, progress="none")
    assert "No space left" in (tmp_path / "full" / "log.txt").read_text()
    train(config, resume=True, progress="none")
    train(tiny.config(tmp_path, checkpoint={"steps": 1}), progress="none")
    runs.assert_same_run(tmp_path / "run", tmp_path / "full")


def test_a_test_set_that_cannot_be_evaluated_does_not_cost_the_others(tmp_path, monkeypatch):
    from multiace.training import run

    def evaluate(potential, structures):
        if len(structures) == 2:
            raise ValueError("The predicted energy is not finite.")
        return errors(potential, structures)

    monkeypatch.setattr(run, "errors", evaluate)
    good = tiny.write(tmp_path / "good.xyz", tiny.molecules(4))
    bad = tiny.write(tmp_path / "bad.xyz", tiny.molecules(2))
    tests = {"bad": str(bad), "good": str(good)}
    result = train(tiny.config(tmp_path, epochs=1, data={"tests": tests}), progress="none")
    assert list(result.errors) == ["validation", "good"]
    assert "Warning: bad was not evaluated" in (result.out / "log.txt").read_text()


def test_weights_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    original = torch.optim.Adam.step
    calls = 0

    def step(self, *arguments):
        nonlocal calls
        calls += 1
        result = original(self, *arguments)
        if calls == 3:
            self.param_groups[0]["params"][0].data.fill_(float("nan"))
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    monkeypatch.setattr(loop, "loss_terms", _finite(loop.loss_terms))
    with pytest.raises(ModelFileError, match="not finite"):
        train(tiny.config(tmp_path, checkpoint={"steps": 1}), progress="none")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        _, tensors = read_tensors(path, "checkpoint")
        assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def _finite(original):
    def terms(*arguments):
        found = original(*arguments)
        return type(found)(torch.nan_to_num(found.sums), found.counts)

    return terms


def test_a_run_on_a_radial_grid_says_its_error_and_learns_what_an_exact_one_learns(tmp_path):
    exact = train(tiny.config(tmp_path, epochs=2, out=str(tmp_path / "exact")))
    gridded = train(tiny.config(tmp_path, epochs=2, radial_grid=128, out=str(tmp_path / "grid")))
    log = (tmp_path / "grid" / "log.txt").read_text()
    told = re.findall(r"grid of 128 intervals: largest error (\S+) of the largest value", log)
    assert len(told) == 2
    assert all(0 < float(error) < 1e-3 for error in told)
    assert gridded.history[-1].valid_loss == pytest.approx(exact.history[-1].valid_loss, rel=1e-3)
    assert gridded.history[-1].valid_loss != exact.history[-1].valid_loss


@pytest.mark.parametrize(
    "error", [ModelFileError("a/model.safetensors", "is empty"), TrainingInterrupted(15, "stopped")]
)
def test_errors_travel_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
