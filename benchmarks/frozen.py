"""Freeze what a version of multiace computes, and compare another version with it.

    PYTHON -m benchmarks.frozen write FILE
    PYTHON -m benchmarks.frozen compare FILE [OTHER]

`write` evaluates every preset and every part of the design space with the multiace that PYTHON
imports, in float32 and float64, and writes one .npz. `compare` prints the largest deviation of
each quantity between two files, or between a file and the multiace that is imported, and fails if
one exceeds its bound. Results of `Potential` and of training must agree in every bit, so both
sides need the same machine and torch. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from ase.io import write as write_frames
from benchmarks.frozen_cases import ATOMIC_ENERGIES, ELEMENTS, RUNS, alloys, designs, structures
from benchmarks.importable import Plan, about

from multiace.design import Design, Statistics
from multiace.geometry import Graph, Structure, batch_graphs, build_graph
from multiace.potential import Potential, Prediction
from multiace.training import TrainingConfig, train
from multiace.training.config import Loss
from multiace.training.examples import Example, collate, make_example
from multiace.training.gradients import gradients_by_autograd
from multiace.training.traced_gradients import Kind, TracedGradients

Arrays = dict[str, np.ndarray]
"""design/dtype/way/quantity -> numbers."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}
PLANS = {"exact": True, "spline": False}
PLAN_BOUNDS = {"float32": 1e-5, "float64": 1e-12}
"""Of the largest force, and of the largest energy or stress; everything else must be equal."""


def evaluate_all() -> Arrays:
    """Evaluate everything with the multiace that is imported."""
    torch.set_num_threads(1)
    found: Arrays = {"about": np.array(json.dumps(about()))}
    for name, design in designs().items():
        print(name, end=" ", flush=True, file=sys.stderr)  # noqa: T201
        for label, dtype in DTYPES.items():
            for way, arrays in _of_design(design, dtype):
                found |= {f"{name}/{label}/{way}/{key}": value for key, value in arrays.items()}
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.xyz"
        write_frames(frames, alloys(24))
        for name, fields in RUNS.items():
            print(name, end=" ", flush=True, file=sys.stderr)  # noqa: T201
            arrays = _run(fields, frames, Path(folder) / name)
            found |= {f"run, {name}/float32/training/{key}": x for key, x in arrays.items()}
    print(file=sys.stderr)  # noqa: T201
    return found


def _of_design(design: Design, dtype: torch.dtype) -> Iterator[tuple[str, Arrays]]:
    """Evaluate one design: yield the way it was computed, and quantity -> numbers."""
    statistics = Statistics(
        mean_neighbours=7.3, atomic_energies=ATOMIC_ENERGIES, shift=-0.4, scale=1.7
    )
    given = structures()
    for kernels in ("cpu", "reference"):
        potential = Potential(design, ELEMENTS, statistics, dtype=dtype, seed=3, kernels=kernels)
        graphs = [build_graph(each, potential.cutoff, ELEMENTS) for each in given]
        graphs = [g.to(dtype=dtype) for g in (*graphs, batch_graphs(graphs))]
        with torch.no_grad():
            predictions = [potential(graph, forces=True, stress=True) for graph in graphs]
        yield f"potential {kernels}", _arrays(predictions)
        if kernels == "cpu":
            yield "initial", {"weights": _flat(potential, [*potential.parameters()])}
            for name, exact in PLANS.items():
                yield f"plan {name}", _of_plan(Plan(potential, exact=exact), graphs)
        yield from _training_steps(potential, given)


def _of_plan(plan: Any, graphs: list[Graph]) -> Arrays:
    return _arrays([plan.evaluate(graph, forces=True, stress=True) for graph in graphs])


def _arrays(predictions: list[Prediction]) -> Arrays:
    fields = ("energy", "energies", "contributions", "forces", "stress")
    rows = {name: [getattr(p, name).detach().numpy() for p in predictions] for name in fields}
    return {name: np.concatenate(values) for name, values in rows.items()}


def _training_steps(potential: Potential, given: list[Structure]) -> Iterator[tuple[str, Arrays]]:
    """Yield loss and gradients of all weights, eager and traced.

    They are those of a batch and, in float32, of one cell alone: tracing takes most of the time.
    """
    config = TrainingConfig.model_construct(loss=Loss(), radial_grid=None)
    weights = torch.tensor([1.0, 10.0, 5.0], dtype=torch.float64)
    examples = [make_example(each, potential.cutoff, ELEMENTS) for each in given]
    batches = {"batch": collate(examples)}
    if potential.dtype == torch.float32:
        batches["one"] = examples[1]
    for size, batch in batches.items():
        batch = batch.to("cpu", potential.dtype)
        result = gradients_by_autograd(potential, config, batch, weights)
        yield f"{size}, eager {potential.kernels.name}", _step(potential, result)
        if potential.kernels.name == "cpu":
            yield f"{size}, traced", _step(potential, _traced(potential, config, batch, weights))


def _traced(potential: Potential, config: Any, batch: Example, weights: torch.Tensor) -> Any:
    return TracedGradients(potential, config, Kind.of(batch, weights))(batch, weights)


def _step(potential: Potential, result: Any) -> Arrays:
    loss, terms = result
    gradients = [parameter.grad for parameter in potential.parameters()]
    return {
        "loss": np.array([loss.item(), *terms.sums.tolist(), *terms.counts.tolist()]),
        "gradients": _flat(potential, gradients),
    }


def _flat(potential: Potential, values: list[Any]) -> np.ndarray:
    """Return one value a parameter, by name, as one vector; nan where there is none."""
    named = zip(potential.named_parameters(), values, strict=True)
    rows = {
        name: torch.full_like(parameter, math.nan) if value is None else value
        for (name, parameter), value in named
    }
    return np.concatenate([rows[name].detach().numpy().ravel() for name in sorted(rows)])


def _run(fields: dict[str, Any], frames: Path, out: Path) -> Arrays:
    """Train for three epochs; return the records of the epochs, and the weights of the best."""
    design = {"size": "small", "channels": 4, "layers": 2, "cutoff": 4.0} | fields["design"]
    config = TrainingConfig(
        **fields
        | {
            "design": design,
            "data": {"train": str(frames), "valid": 6, "energies": {"Al": 3.2, "Cu": 3.5}},
            "loss": {"energy": 1.0, "forces": 10.0, "stress": 10.0},
            "epochs": 3,
            "device": "cpu",
            "out": str(out),
        }
    )
    result = train(config, progress="none")
    records = [record.to_json() | {"seconds": 0.0} for record in result.history]
    return {
        "metrics": np.array([list(record.values()) for record in records], dtype=np.float64),
        "weights": _flat(result.potential, [*result.potential.parameters()]),
    }


def compare(one: Arrays, two: Arrays) -> list[str]:
    """Print the largest deviation of each quantity; return what exceeds its bound."""
    failures = [f"{key} is missing on one side" for key in sorted(one.keys() ^ two.keys())]
    worst: dict[tuple[str, str, str], tuple[float, str, int, int]] = {}
    for key in one.keys() & two.keys() - {"about"}:
        design, dtype, way, quantity = key.split("/")
        bound = PLAN_BOUNDS[dtype] if way.startswith("plan") else 0.0
        deviation = _deviation(key, one, two)
        fails = not deviation <= bound if bound else not _same_bits(one[key], two[key])
        if fails:
            failures.append(f"{key} deviates by {deviation:.2e}")
        row = (way, dtype, quantity)
        last, name, n, n_failed = worst.get(row, (-1.0, "", 0, 0))
        last, name = (deviation, design) if not deviation <= last else (last, name)
        worst[row] = (last, name, n + 1, n_failed + fails)
    write = sys.stdout.write
    header = ("way", "dtype", "quantity", "deviation", "bound", "of", "fail", "worst")
    line = "{:22s} {:8s} {:14s} {:>10s} {:>8s} {:>4s} {:>5s}  {}\n"
    write(line.format(*header))
    for (way, dtype, quantity), (last, name, n, n_failed) in sorted(worst.items()):
        bound = f"{PLAN_BOUNDS[dtype]:.0e}" if way.startswith("plan") else "bitwise"
        shown = name if last > 0 or n_failed else ""
        row = (way, dtype, quantity, f"{last:.2e}", bound, str(n), str(n_failed), shown)
        write(line.format(*row))
    return sorted(failures)


def _deviation(key: str, one: Arrays, two: Arrays) -> float:
    """Return the largest difference over the largest value, of energies over the largest force."""
    a, b = one[key], two[key]
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return math.inf
    group, _, quantity = key.rpartition("/")
    energy = quantity in ("energy", "energies", "contributions")
    scale = _largest(one[f"{group}/forces"]) if energy else 0.0
    return _largest(a - b) / (max(scale, _largest(a)) or 1.0)


def _largest(x: np.ndarray) -> float:
    return float(np.nanmax(np.abs(x), initial=0.0))


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether shapes, types and bits are equal; one nan is as good as another."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    bits = np.int32 if a.dtype == np.float32 else np.int64
    equal = (a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))
    return bool(equal.all())


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def main() -> None:
    """Write a file or compare with one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("other", type=Path, nargs="?", help="default: the multiace imported")
    arguments = parser.parse_args()
    if arguments.action == "write":
        np.savez_compressed(arguments.file, allow_pickle=False, **evaluate_all())
        return
    one = _read(arguments.file)
    two = _read(arguments.other) if arguments.other else evaluate_all()
    for side in (one, two):
        sys.stdout.write(f"{side['about']}\n")
    failures = compare(one, two)
    if failures:
        sys.exit("\n".join(["Beyond the bounds:", *failures[:40], f"{len(failures)} in all"]))


if __name__ == "__main__":
    main()
