"""The four models of the demo and how they are trained and judged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiace.analysis import compare
from multiace.demo.benchmark import FOLDER, TESTS, TRAINING, load, scans
from multiace.design import Statistics
from multiace.elements import atomic_number
from multiace.geometry import batch_graphs, build_graph
from multiace.potential import Potential
from multiace.report.runs import read_run
from multiace.report.runs.predictions import predicted_labels, predicted_terms
from multiace.training import TrainingConfig, make_config, train
from multiace.training.memory import keep_freed_memory
from multiace.units import MEV

MODELS = {"NequIP": "nequip", "NequIP-linear": "nequip-linear", "BOTNet": "botnet", "MACE": "mace"}
"""Name of each model -> preset."""

N_VALIDATION = 50

WORK_BESIDE_GRADIENTS = 1.3
"""Time of an epoch over that of its gradients: optimiser, moving average, validation."""


@dataclass(frozen=True)
class Result:
    """What one model came to.

    Args:
        parameters: trained weights.
        seconds: training time, s.
        energy: energy RMSE on each test set, meV.
        forces: force RMSE on each test set, meV/Å.
        scan_energy: energy RMSE along each scan, meV.
        scans: predicted energies along each scan, eV.
        curve: epoch, seconds and validation force RMSE (meV/Å) of each epoch.
    """

    parameters: int
    seconds: float
    energy: Mapping[str, float]
    forces: Mapping[str, float]
    scan_energy: Mapping[str, float]
    scans: Mapping[str, tuple[float, ...]]
    curve: tuple[tuple[int, float, float], ...]


def config_of(name: str, out: Path, epochs: int, seed: int) -> TrainingConfig:
    """Return how a model is trained: the same for all but the design.

    Args:
        name: one of `MODELS`.
        out: directory of the demo.
        epochs: passes over the training set.
        seed: of split, order and initial weights.
    """
    preset = MODELS[name]
    return make_config(
        {
            "design": {"preset": preset, "size": "small"},
            "data": {
                "train": f"bundled:{FOLDER}/{TRAINING}",
                "isolated_atoms": f"bundled:{FOLDER}/isolated_atoms",
                "valid": N_VALIDATION,
            },
            "loss": {"kind": "weighted", "energy": 1.0, "forces": 10.0},
            "optimiser": {"name": "amsgrad", "rate": 0.02},
            "schedule": {"name": "cosine"},
            "ema": 0.99,
            "batch": {"structures": 5},
            "epochs": epochs,
            "seed": seed,
            "device": "cpu",
            "out": str(out / preset),
        }
    )


def train_and_judge(name: str, out: Path, epochs: int, seed: int) -> Result:
    """Train one model and evaluate it on the test sets and scans, with one thread.

    With one thread the numbers do not depend on how many cores there are. Arguments are those of
    `config_of`.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    config = config_of(name, out, epochs, seed)
    train(config, resume=True, progress="none")
    return judge(Path(config.out))


def judge(path: Path) -> Result:
    """Evaluate the model of a run directory on the test sets and scans.

    What it predicts is kept there, where the report finds it.
    """
    run = read_run(path, path.name)
    tests = {}
    for name in TESTS.values():
        structures = load(name)
        tests[name] = compare(structures, predicted_labels(run, name, structures, _silent)).total
    curves = {s.name: predicted_terms(run, s.structures).sum(axis=1) for s in scans()}
    return Result(
        parameters=run.potential.n_parameters,
        seconds=run.history[-1].seconds,
        energy={name: row.energy.rmse / MEV for name, row in tests.items() if row.energy},
        forces={name: row.forces.rmse / MEV for name, row in tests.items() if row.forces},
        scan_energy={
            scan.name: float(np.sqrt(np.mean((curves[scan.name] - scan.energies) ** 2))) / MEV
            for scan in scans()
        },
        scans={name: tuple(values.tolist()) for name, values in curves.items()},
        curve=tuple((r.epoch + 1, r.seconds, r.rmse["forces"]) for r in run.history),
    )


def _silent(what: str, part: float) -> None:
    """Take the progress of an evaluation, which the workers do not show."""


def seconds_per_epoch(name: str) -> float:
    """Estimate the time of an epoch on one thread from a few steps with random weights."""
    config = config_of(name, Path(), epochs=1, seed=0)
    structures = load(TRAINING)
    assert config.batch.structures is not None
    symbols = ("H", "C", "O")
    statistics = Statistics(mean_neighbours=8.0, atomic_energies=dict.fromkeys(symbols, 0.0))
    potential = Potential(config.design, tuple(map(atomic_number, symbols)), statistics, seed=0)
    graphs = [
        build_graph(structure, potential.cutoff, potential.elements)
        for structure in structures[: config.batch.structures]
    ]
    graph = batch_graphs(graphs).to(dtype=potential.dtype)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        prediction = potential(graph)
        assert prediction.forces is not None
        (prediction.forces.square().sum() + prediction.energy.sum()).backward()
        times.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    steps = (len(structures) - N_VALIDATION) / config.batch.structures
    return WORK_BESIDE_GRADIENTS * steps * sorted(times)[len(times) // 2]
