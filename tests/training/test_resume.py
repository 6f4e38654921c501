"""Runs that were stopped and continued: bitwise what they would have been."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from tests.training import runs, tiny

from multiace.checkpoint import load_model, write_tensors
from multiace.training import ResumeError, train

CASES = {
    "amsgrad, plateau, average": {},
    "adamw, cosine, no average": {
        "optimiser": {"name": "adamw", "weight_decay": 1e-3},
        "schedule": {"name": "cosine", "warm_up": 1.0, "patience": 50, "factor": None},
        "ema": None,
    },
    "adam, exponential, float32, batches by atoms": {
        "optimiser": {"name": "adam", "clip": 1.0},
        "schedule": {"name": "exponential", "factor": 0.9, "patience": 50},
        "dtype": "float32",
        "batch": {"structures": None, "atoms": 7},
    },
    "two stages, validation every second epoch": {
        "loss": {"second": {"epoch": 2, "energy": 100.0, "forces": 1.0, "rate": 0.001}},
        "validate_every": 2,
    },
}


@pytest.fixture(scope="module", params=CASES, ids=str)
def whole(request, tmp_path_factory):
    """Return the directory of a run that was left alone, and the changes to its config."""
    directory = tmp_path_factory.mktemp("whole")
    changes = CASES[request.param] | {"epochs": 4}
    train(tiny.config(directory, **changes, out=str(directory / "whole")), progress="none")
    return directory, changes


@pytest.mark.parametrize("step", [1, 7, 10], ids=lambda step: f"step {step}")
def test_resumed_run_equals_the_uninterrupted_one_bitwise(whole, monkeypatch, step):
    directory, changes = whole
    out = directory / f"stopped after {step}"
    parts = tiny.config(directory, **changes, out=str(out))
    runs.stop_after(monkeypatch, parts, step, runs.SIGTERM)
    train(parts, resume=True, progress="none")
    runs.assert_same_run(directory / "whole", out)


def test_two_threads_resume_bitwise_too(tmp_path, monkeypatch):
    torch.set_num_threads(2)
    try:
        train(tiny.config(tmp_path, out=str(tmp_path / "whole")), progress="none")
        parts = tiny.config(tmp_path, out=str(tmp_path / "parts"))
        runs.stop_after(monkeypatch, parts, 7, runs.SIGTERM)
        train(parts, resume=True, progress="none")
    finally:
        torch.set_num_threads(1)
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_more_epochs_continue_a_finished_run_as_if_it_had_been_longer(tmp_path):
    train(tiny.config(tmp_path, epochs=4, out=str(tmp_path / "whole")), progress="none")
    train(tiny.config(tmp_path, epochs=2, out=str(tmp_path / "parts")), progress="none")
    longer = tiny.config(tmp_path, epochs=4, out=str(tmp_path / "parts"))
    result = train(longer, resume=True, progress="none")
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert [record.epoch for record in result.history] == [0, 1, 2, 3]


def test_global_random_numbers_neither_matter_nor_move(tmp_path):
    train(tiny.config(tmp_path, out=str(tmp_path / "one")), progress="none")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    train(tiny.config(tmp_path, out=str(tmp_path / "two")), progress="none")
    assert torch.equal(before, torch.get_rng_state())
    runs.assert_same_run(tmp_path / "one", tmp_path / "two")


def test_each_random_stream_follows_its_own_seed(tmp_path):
    def state(name: str, **seeds: int):
        config = tiny.config(tmp_path, epochs=1, seeds=seeds, out=str(tmp_path / name))
        result = train(config, progress="none")
        start = result.out / "checkpoints" / "step-0000000000.safetensors"
        content, tensors = runs.read_tensors(start, "checkpoint")
        return content["data"], tensors["weights/model.embedding.weights"], result.history

    data, weights, history = state("base")
    other_data, other_weights, other_history = state("order", order=7)
    assert data == other_data
    assert torch.equal(weights, other_weights)
    assert history[0].train_loss != other_history[0].train_loss
    other_data, other_weights, _ = state("split", split=7)
    assert data["sha256"] != other_data["sha256"]
    assert torch.equal(weights, other_weights)
    other_data, other_weights, _ = state("initialisation", initialisation=7)
    assert data == other_data
    assert not torch.equal(weights, other_weights)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"design": {"cutoff": 2.5}}, r"design\.cutoff: 3\.0 -> 2\.5"),
        ({"dtype": "float32"}, r'dtype: "float64" -> "float32"'),
        ({"data": {"energies": {"H": -13.0}}}, r"data\.energies\.H: -13\.5 -> -13\.0"),
        ({"seed": 2}, r"seed: 1 -> 2"),
        ({"optimiser": {"rate": 0.1}}, r"optimiser\.rate: 0\.01 -> 0\.1"),
    ],
)
def test_other_settings_are_refused_with_what_differs(tmp_path, changes, shown):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    with pytest.raises(ResumeError, match=shown):
        train(tiny.config(tmp_path, **changes, epochs=1), resume=True, progress="none")


def test_other_data_of_the_same_name_are_refused(tmp_path):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    tiny.write(tmp_path / "train.xyz", tiny.molecules(12, seed=3))
    with pytest.raises(ResumeError, match="sha256"):
        train(tiny.config(tmp_path, epochs=2), resume=True, progress="none")


def test_another_element_in_the_data_is_named(tmp_path):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    carbon = replace(tiny.molecules(1)[0], numbers=np.array([6, 1, 1]))
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(12), carbon])
    config = tiny.config(tmp_path, epochs=2, data={"unit_check": False})
    with pytest.raises(ResumeError, match=r'elements: \["H", "O"\] -> \["H", "C", "O"\]'):
        train(config, resume=True, progress="none")


@pytest.mark.parametrize("other", ["older", "foreign"])
def test_a_checkpoint_with_other_options_than_this_version_has(tmp_path, other):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    path = runs.last_checkpoint(tmp_path / "run")
    content, tensors = runs.read_tensors(path, "checkpoint")
    if other == "older":
        del content["config"]["radial_grid"], content["config"]["design"]["energy"]["zbl"]
    else:
        content["config"]["annealing"] = 3
    write_tensors(path, "checkpoint", tensors, content)
    longer = tiny.config(tmp_path, epochs=2)
    if other == "older":
        assert len(train(longer, resume=True, progress="none").history) == 2
        return
    with pytest.raises(ResumeError, match=r"another version.*\n'annealing' is not an option"):
        train(longer, resume=True, progress="none")


def test_the_same_data_of_another_name_are_taken(tmp_path):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    shutil.copy(tmp_path / "train.xyz", tmp_path / "moved.xyz")
    moved = tiny.config(tmp_path, epochs=2, data={"train": str(tmp_path / "moved.xyz")})
    assert len(train(moved, resume=True, progress="none").history) == 2


def test_cosine_keeps_its_period_when_epochs_change(tmp_path):
    cosine = {"schedule": {"name": "cosine", "factor": None, "patience": 50}}
    train(tiny.config(tmp_path, **cosine, epochs=1), progress="none")
    with pytest.raises(ResumeError, match=r"schedule\.epochs: 1 -> 2"):
        train(tiny.config(tmp_path, **cosine, epochs=2), resume=True, progress="none")


def test_a_run_is_not_begun_over_another(tmp_path):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(ResumeError, match="already holds a run"):
        train(tiny.config(tmp_path, epochs=1), progress="none")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_resuming_where_nothing_was_trained_begins_and_says_so(tmp_path):
    result = train(tiny.config(tmp_path, epochs=1), resume=True, progress="none")
    assert "holds no checkpoint yet: starting at epoch 0" in (result.out / "log.txt").read_text()


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path):
    every_step = {"checkpoint": {"steps": 1}}
    train(
        tiny.config(tmp_path, **every_step, epochs=2, out=str(tmp_path / "whole")), progress="none"
    )
    config = tiny.config(tmp_path, **every_step, epochs=2)
    train(config, progress="none")
    newest = runs.last_checkpoint(tmp_path / "run")
    newest.write_bytes(newest.read_bytes()[:-100])
    train(config, resume=True, progress="none")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"Warning: checkpoint left out: {newest}" in log
    assert "cut short" in log
    names = sorted(path.name for path in newest.parent.iterdir())
    assert names == [
        "step-0000000009.safetensors",
        newest.name,
        f"{newest.name}.damaged",
    ]
    runs.assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_all_checkpoints_damaged_is_an_error_and_not_a_new_start(tmp_path):
    config = tiny.config(tmp_path, epochs=2)
    train(config, progress="none")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ResumeError, match="no checkpoint that can be used"):
        train(config, resume=True, progress="none")


def test_checkpoints_that_were_deleted_are_missed(tmp_path):
    config = tiny.config(tmp_path, epochs=1)
    train(config, progress="none")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(ResumeError, match="no checkpoint that can be used"):
        train(config, resume=True, progress="none")


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    config = tiny.config(tmp_path, epochs=1)
    train(config, progress="none")
    longer = tiny.config(tmp_path, epochs=2, out=str(tmp_path / "other"))
    train(longer, progress="none")
    foreign = runs.last_checkpoint(tmp_path / "other")
    shutil.copy(foreign, tmp_path / "run" / "checkpoints" / foreign.name)
    with pytest.raises(ResumeError, match="belongs to run"):
        train(config, resume=True, progress="none")


def test_a_lost_model_file_is_written_again_from_the_checkpoint(tmp_path):
    config = tiny.config(tmp_path, epochs=2)
    train(config, progress="none")
    before = load_model(tmp_path / "run" / "model.safetensors")
    (tmp_path / "run" / "model.safetensors").unlink()
    train(config, resume=True, progress="none")
    after = load_model(tmp_path / "run" / "model.safetensors")
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    train(tiny.config(tmp_path, epochs=2, checkpoint={"steps": 1}), progress="none")
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-0000000009.safetensors", "step-0000000010.safetensors"]


def test_metrics_after_the_checkpoint_are_not_written_twice(tmp_path):
    config = tiny.config(tmp_path, epochs=3, checkpoint={"seconds": None, "steps": 5})
    train(config, progress="none")
    out = tmp_path / "run"
    for path in sorted(out.glob("checkpoints/*"))[1:]:
        path.unlink()  # as if it had been killed before the last one
    with (out / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 3, "st')
    train(config, resume=True, progress="none")
    assert [record["epoch"] for record in runs.metrics(out)] == [0, 1, 2]


def test_the_resolved_config_makes_the_same_run(tmp_path):
    result = train(tiny.config(tmp_path, out=str(tmp_path / "one")), progress="none")
    fields = yaml.safe_load((result.out / "config.yaml").read_text())
    fields["out"] = str(tmp_path / "two")
    train(tiny.make_config(fields), progress="none")
    runs.assert_same_run(tmp_path / "one", tmp_path / "two")
    identity = json.loads((result.out / "run.json").read_text())
    assert identity["torch"] == torch.__version__
