"""What the loop does: NaN, early stopping, time, signals, stages, best model."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.training import runs, tiny

from multiace.checkpoint import load_model, read_tensors
from multiace.kernels.cpu.threads import threads
from multiace.training import TrainingDiverged, TrainingInterrupted, gradients, loop, train
from multiace.training.interrupt import StopRequest


def _poison(monkeypatch, when):
    """Make the loss NaN whenever `when(n_structures, call)` says so."""
    original = loop.loss_terms
    calls = 0

    def poisoned(prediction, targets, config):
        nonlocal calls
        calls += 1
        terms = original(prediction, targets, config)
        if when(len(targets.energy), calls):
            return replace(terms, sums=terms.sums * math.nan)
        return terms

    monkeypatch.setattr(loop, "loss_terms", poisoned)
    monkeypatch.setattr(gradients, "loss_terms", poisoned)


def _without_step(monkeypatch, skipped):
    """Leave out one optimiser step, to have something to compare a struck run with."""
    original = torch.optim.Adam.step
    calls = 0

    def step(self, *arguments):
        nonlocal calls
        calls += 1
        return None if calls == skipped else original(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", step)


def test_a_step_that_is_not_finite_is_not_applied_and_its_batch_written_down(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _poison(patch, lambda _, call: call == 3)
        struck = train(tiny.config(tmp_path, epochs=1, ema=None, out=str(tmp_path / "struck")))
    with monkeypatch.context() as patch:
        _without_step(patch, 3)
        skipped = train(tiny.config(tmp_path, epochs=1, ema=None, out=str(tmp_path / "skipped")))
    pairs = zip(struck.potential.parameters(), skipped.potential.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    (dump,) = struck.out.glob("not-finite-*.json")
    content = json.loads(dump.read_text())
    assert content["where"] == "step"
    assert len(content["structures"]) == 2
    assert all("train.xyz:" in source for source in content["structures"])
    assert math.isfinite(struck.history[0].train_loss)


@needs_compiled
def test_training_leaves_the_threads_to_the_kernels(tmp_path, monkeypatch):
    original, found = loop.clip_gradients, set()

    def recorded(*arguments):
        found.add((torch.get_num_threads(), threads()))
        return original(*arguments)

    monkeypatch.setattr(loop, "clip_gradients", recorded)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(tiny.config(tmp_path, epochs=1, kernels="cpu"), progress="none")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert found == {(1, 2)}


def test_a_step_and_a_validation_of_the_same_number_are_both_written_down(tmp_path, monkeypatch):
    _poison(monkeypatch, lambda _, call: call in (6, 7))  # the validation, the step after it
    result = train(tiny.config(tmp_path, epochs=2), progress="none")
    names = sorted(path.name for path in result.out.glob("not-finite-*.json"))
    assert names == ["not-finite-0000000005-step.json", "not-finite-0000000005-validation.json"]


def test_too_many_strikes_end_the_run_and_leave_the_good_files(tmp_path, monkeypatch):
    config = tiny.config(tmp_path, epochs=4, strikes=3, checkpoint={"steps": 1})
    _poison(monkeypatch, lambda n, call: n == 2 and call > 8)
    with pytest.raises(
        TrainingDiverged, match=r"3 steps or validations were not finite.*train\.xyz"
    ):
        train(config, progress="none")
    out = tmp_path / "run"
    assert len(list(out.glob("not-finite-*.json"))) == 3
    content, tensors = read_tensors(runs.last_checkpoint(out), "checkpoint")
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert content["progress"]["strikes"] == 2
    assert torch.isfinite(load_model(out / "model.safetensors").model.embedding.weights).all()


def test_a_validation_that_is_not_finite_never_becomes_the_best(tmp_path, monkeypatch):
    _poison(monkeypatch, lambda n, call: n == 3 and call == 12)  # the second validation
    result = train(tiny.config(tmp_path, epochs=2), progress="none")
    assert [record.best for record in result.history] == [True, False]
    assert math.isnan(result.history[1].valid_loss)
    content, weights = read_tensors(result.out / "model.safetensors", "model")
    assert content["provenance"]["epoch"] == 0
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_a_run_whose_validations_are_none_of_them_finite_says_so(tmp_path, monkeypatch):
    _poison(monkeypatch, lambda n, call: n == 3 and call in (6, 12))
    with pytest.raises(TrainingDiverged, match="No validation was finite"):
        train(tiny.config(tmp_path, epochs=2), progress="none")
    assert "No validation was finite" in (tmp_path / "run" / "log.txt").read_text()


def test_a_first_validation_that_is_not_finite_is_replaced_by_a_finite_one(tmp_path, monkeypatch):
    _poison(monkeypatch, lambda n, call: n == 3 and call == 6)
    result = train(tiny.config(tmp_path, epochs=2), progress="none")
    assert [record.best for record in result.history] == [False, True]


def test_early_stopping_waits_as_long_as_it_says(tmp_path, monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.0, 2.1, 1.0])
    monkeypatch.setattr(loop.TrainingState, "consider", _considering(losses))
    result = train(tiny.config(tmp_path, epochs=6, early_stopping=3), progress="none")
    assert [record.best for record in result.history] == [True, True, False, False, False]
    assert result.reason == "no better validation in 3 in a row"


def test_early_stopping_in_the_first_stage_skips_to_the_second(tmp_path, monkeypatch):
    losses = iter([1.0, 2.0, 2.0, 9.0, 8.0, 8.5, 8.5])
    monkeypatch.setattr(loop.TrainingState, "consider", _considering(losses))
    second = {"epoch": 6, "energy": 1e4, "forces": 0.0}
    config = tiny.config(tmp_path, epochs=20, early_stopping=2, loss={"second": second})
    result = train(config, progress="none")
    assert [record.epoch for record in result.history] == [0, 1, 2, 6, 7, 8, 9]
    assert result.history[3].best
    assert "going on to the second stage, epoch 7" in (result.out / "log.txt").read_text()


def test_early_stopping_just_before_the_second_stage_does_not_end_the_run(tmp_path, monkeypatch):
    losses = iter([1.0, 2.0, 9.0])
    monkeypatch.setattr(loop.TrainingState, "consider", _considering(losses))
    second = {"epoch": 2, "energy": 1e4, "forces": 0.0}
    config = tiny.config(tmp_path, epochs=3, early_stopping=1, loss={"second": second})
    assert len(train(config, progress="none").history) == 3


def test_an_epoch_at_whose_end_time_is_up_has_one_record(tmp_path, monkeypatch):
    config = tiny.config(tmp_path, epochs=9, minutes=1.0, validate_every=4)
    monkeypatch.setattr(loop.Loop, "_time_is_up", lambda self: self.state.step >= 10)
    result = train(config, progress="none")
    assert [(r.epoch, r.valid_loss is None) for r in result.history] == [(0, True), (1, False)]


def _considering(losses):
    original = loop.TrainingState.consider

    def consider(self, _, epoch):
        return original(self, next(losses), epoch)

    return consider


def test_the_model_is_the_best_validation_and_not_the_last(tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(loop.TrainingState, "consider", _considering(losses))
    result = train(tiny.config(tmp_path, epochs=3), progress="none")
    monkeypatch.undo()
    two = train(tiny.config(tmp_path, epochs=2, out=str(tmp_path / "two")), progress="none")
    last = load_model(two.out / "model.safetensors")
    pairs = zip(result.potential.parameters(), last.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_second_stage_looks_for_its_own_best_with_its_own_weights_and_rate(tmp_path):
    second = {"epoch": 2, "energy": 1e4, "forces": 0.0, "rate": 0.001}
    result = train(tiny.config(tmp_path, epochs=4, loss={"second": second}), progress="none")
    rates = [record.rate for record in result.history]
    assert rates == [0.01, 0.01, 0.001, 0.001]
    assert result.history[2].best
    assert result.history[2].valid_loss > 10 * result.history[1].valid_loss
    expected = 1e4 * (result.history[2].rmse["energy"] * 1e-3) ** 2 / 3
    assert result.history[2].valid_loss == pytest.approx(expected)


def test_validation_uses_the_averaged_weights(tmp_path):
    result = train(tiny.config(tmp_path, epochs=2), progress="none")
    _, tensors = read_tensors(runs.last_checkpoint(result.out), "checkpoint")
    _, weights = read_tensors(result.out / "model.safetensors", "model")
    name = "model.embedding.weights"
    assert torch.equal(weights[name], tensors[f"average/{name}"])
    assert not torch.equal(weights[name], tensors[f"weights/{name}"])


def test_recorded_errors_are_those_of_the_model_that_was_saved(tmp_path):
    result = train(tiny.config(tmp_path, epochs=2), progress="none")
    best = next(record for record in reversed(result.history) if record.best)
    total = result.errors["validation"].total
    for name in ("energy", "energy_per_atom", "forces"):
        assert best.rmse[name] == pytest.approx(1e3 * getattr(total, name).rmse, rel=1e-9)
        assert best.mae[name] == pytest.approx(1e3 * getattr(total, name).mae, rel=1e-9)


def test_a_time_limit_ends_with_a_validated_model_and_resumes_in_the_middle(tmp_path, monkeypatch):
    ticks = iter(range(100_000))
    config = tiny.config(tmp_path, epochs=50, minutes=0.5, checkpoint={"seconds": None})
    clock = SimpleNamespace(monotonic=lambda: 0.5 * next(ticks))
    monkeypatch.setattr(loop, "time", clock)
    result = train(config, progress="none")
    assert result.reason == "0.5 minutes are over"
    assert 30.0 <= result.seconds < 40.0
    content, _ = read_tensors(runs.last_checkpoint(result.out), "checkpoint")
    assert content["progress"]["validated_step"] == content["progress"]["step"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, monkeypatch, number, code):
    runs.stop_after(monkeypatch, tiny.config(tmp_path), 7, number)
    content, _ = read_tensors(runs.last_checkpoint(tmp_path / "run"), "checkpoint")
    assert content["progress"]["step"] == 7
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"Stopped by signal {number.value} after step 7" in log
    assert "Continue with --resume" in log
    assert code == 128 + number


@pytest.mark.parametrize("batch", [0, 1], ids=["broken off", "finished"])
def test_a_signal_during_validation_changes_nothing(tmp_path, monkeypatch, batch):
    one = {"batch": {"structures": 1}}  # validated in two batches
    train(tiny.config(tmp_path, **one, out=str(tmp_path / "whole")), progress="none")
    parts = tiny.config(tmp_path, **one, out=str(tmp_path / "parts"))
    original = loop.errors_of
    calls = 0

    def interrupted(*arguments):
        nonlocal calls
        calls += 1
        if calls == 3 + batch:  # in the second epoch
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "errors_of", interrupted)
        with pytest.raises(TrainingInterrupted):
            train(parts, progress="none")
    content, _ = read_tensors(runs.last_checkpoint(tmp_path / "parts"), "checkpoint")
    assert content["progress"]["step"] == 18 + batch  # a step follows a finished validation
    train(parts, resume=True, progress="none")
    runs.assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_handlers_of_the_caller_are_put_back():
    before = [signal.getsignal(number) for number in StopRequest.SIGNALS]
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert [signal.getsignal(number) for number in StopRequest.SIGNALS] == before


def test_a_second_signal_ends_the_process_at_once(monkeypatch):
    class Ended(BaseException):
        pass

    def end(code):
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Ended, match="130"):
            os.kill(os.getpid(), signal.SIGINT)


def test_batches_hold_every_structure_once(tmp_path):
    seen = []
    original = loop.collate

    def collect(examples):
        seen.extend(id(example) for example in examples)
        return original(examples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "collate", collect)
        train(tiny.config(tmp_path, epochs=1), progress="none")
    assert len(seen) == len(set(seen)) == 12  # nine to train on, three to validate on


@pytest.mark.parametrize("unit", ["atoms", "edges"])
def test_batches_are_limited_by_atoms_or_edges(tmp_path, unit):
    limit = {"atoms": 7, "edges": 13}[unit]
    config = tiny.config(tmp_path, epochs=1, batch={"structures": None, unit: limit})
    result = train(config, progress="none")
    assert result.history[0].step == 5  # nine molecules of 3 atoms and 6 edges, two a batch


def test_stress_is_trained_where_there_is_one(tmp_path):
    file = tiny.write(tmp_path / "mixed.xyz", [*tiny.molecules(4), *tiny.crystals(8)])
    config = tiny.config(
        tmp_path, epochs=2, data={"train": str(file)}, loss={"stress": 1.0}, batch={"structures": 3}
    )
    result = train(config, progress="none")
    assert result.history[-1].rmse["stress"] > 0
    assert not list(result.out.glob("not-finite-*.json"))
