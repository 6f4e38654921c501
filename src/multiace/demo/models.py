"""The four models of the demo and how they are trained and judged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from multiace.analysis import errors, predict
from multiace.checkpoint import load_model
from multiace.demo.benchmark import FOLDER, SCANS, TESTS, TRAINING, load
from multiace.design import Statistics
from multiace.elements import atomic_number
from multiace.geometry import Labels, batch_graphs, build_graph
from multiace.potential import Potential
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


def judge(run: Path) -> Result:
    """Evaluate the model of a run directory on the test sets and scans."""
    potential = load_model(run / "model.safetensors")
    tests = {name: errors(potential, load(name)).total for name in TESTS.values()}
    scans, scan_energy = {}, {}
    for scan in SCANS:
        structures = load(scan.name)
        predicted = energies_of(predict(potential, structures, forces=False))
        difference = predicted - energies_of([structure.labels for structure in structures])
        scans[scan.name] = tuple(predicted.tolist())
        scan_energy[scan.name] = float(np.sqrt(np.mean(difference**2))) / MEV
    records = read_metrics(run)
    return Result(
        parameters=potential.n_parameters,
        seconds=records[-1]["seconds"],
        energy={name: row.energy.rmse / MEV for name, row in tests.items() if row.energy},
        forces={name: row.forces.rmse / MEV for name, row in tests.items() if row.forces},
        scan_energy=scan_energy,
        scans=scans,
        curve=tuple((r["epoch"] + 1, r["seconds"], r["forces_rmse (meV/Å)"]) for r in records),
    )


def energies_of(labels: Iterable[Labels]) -> Float64[np.ndarray, " structures"]:
    """Return the energies of labels that all have one, eV."""
    return np.array([label.energy for label in labels], dtype=np.float64)


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


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the records of the epochs that a run has finished so far."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
