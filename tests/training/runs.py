"""Start, stop and compare whole runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from multiace.checkpoint import read_tensors
from multiace.training import TrainingConfig, TrainingInterrupted, train
from multiace.training.log import Log


def last_checkpoint(out: Path) -> Path:
    """Return the newest checkpoint of a run directory."""
    return max(out.glob("checkpoints/step-*.safetensors"))


def stop_after(monkeypatch, config: TrainingConfig, step: int, number: int, **options: Any) -> None:
    """Train until a signal arrives after a step, through the handler that users get."""
    steps = 0
    original = Log.step

    def count(self: Log, epochs: float, seconds: float) -> None:
        nonlocal steps
        original(self, epochs, seconds)
        steps += 1
        if steps == step:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "step", count)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(config, progress="none", **options)
    assert stopped.value.code == 128 + number


def assert_same_run(first: Path, second: Path) -> None:
    """Compare the end of two runs bitwise: state, model and metrics, all but the clock."""
    (one, tensors), (two, others) = (
        read_tensors(last_checkpoint(out), "checkpoint") for out in (first, second)
    )
    assert tensors.keys() == others.keys()
    differing = [name for name in tensors if not torch.equal(tensors[name], others[name])]
    assert not differing
    for content in (one, two):
        content["progress"].pop("seconds")
    assert one["progress"] == two["progress"]
    (_, weights), (_, other_weights) = (
        read_tensors(out / "model.safetensors", "model") for out in (first, second)
    )
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert metrics(first) == metrics(second)


def metrics(out: Path) -> list[dict[str, Any]]:
    """Return the metrics of a run without the clock."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("seconds")
    return records


SIGTERM, SIGINT = signal.SIGTERM, signal.SIGINT
