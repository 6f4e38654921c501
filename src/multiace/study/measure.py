"""Time the beginning of a training and evaluations, in a process of its own.

`python -m multiace.study.measure FILE THREADS` prints JSON for the training config and the
evaluations in a JSON file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiace.study.errors import StudyError
from multiace.training import TrainingConfig

SECONDS = 4.0
"""Training that is timed; at least one step."""


@dataclass(frozen=True)
class Measurement:
    """What the beginning of a training took.

    Args:
        seconds_per_epoch: training and validation of one epoch.
        evaluation: seconds of all evaluations of the model.
        gigabytes: largest memory of the process.
    """

    seconds_per_epoch: float
    evaluation: float
    gigabytes: float


def measure(
    config: TrainingConfig, threads: int, evaluations: Sequence[Mapping[str, Any]] = ()
) -> Measurement:
    """Time a training, and evaluations of the model it begins with, in a new process.

    Args:
        config: of the training; its directory is not written to.
        threads: CPU threads.
        evaluations: as `evaluations_of` has them. A probe that ends early where a model is bad
            takes less time here than after training.

    Raises:
        StudyError: the process failed, with what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "training.json"
        training = {**config.to_dict(), "out": directory}
        content = {"training": training, "evaluations": list(evaluations)}
        path.write_text(json.dumps(content), encoding="utf-8")
        command = [sys.executable, "-m", "multiace.study.measure", str(path), str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise StudyError(f"A training could not be timed: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Measurement(**found)


def _measure_here(
    config: TrainingConfig, threads: int, evaluations: Sequence[Mapping[str, Any]]
) -> Measurement:
    """Train for a few seconds, and evaluate.

    Validation takes about a third of the time of training, structure by structure, as it has no
    second derivatives.
    """
    import torch

    from multiace.study.evaluate import evaluate
    from multiace.training import train
    from multiace.training.memory import keep_freed_memory, peak_resident
    from multiace.training.prepare import read_sets

    torch.set_num_threads(threads)
    keep_freed_memory()
    sets = read_sets(config)
    result = train(
        config.model_copy(update={"minutes": SECONDS / 60.0, "epochs": 10**6}), progress="none"
    )
    validations = len(result.history)
    whole = [record for record in result.history if record.epoch < result.history[-1].epoch]
    last = result.history[-1]
    n_training, n_validation = len(sets.training), len(sets.validation)
    validation = n_validation / (3.0 * n_training)  # in epochs of training
    if whole:
        steps_per_epoch = whole[-1].step / (whole[-1].epoch + 1)
    else:
        limit = config.batch.structures
        steps_per_epoch = last.step if limit is None else n_training / limit
    epochs = last.step / steps_per_epoch
    of_training = last.seconds / (epochs + validation * validations)
    of_epoch = of_training * (1.0 + validation / config.validate_every)
    start = time.perf_counter()
    model = result.out / "model.safetensors"
    for evaluation in evaluations:
        evaluate(model, evaluation, device=config.device, kernels=config.kernels)
    return Measurement(of_epoch, time.perf_counter() - start, (peak_resident() or 0) / 1e9)


if __name__ == "__main__":
    from dataclasses import asdict

    from multiace.training import make_config

    path, threads = sys.argv[1:]
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    found = _measure_here(make_config(content["training"]), int(threads), content["evaluations"])
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
