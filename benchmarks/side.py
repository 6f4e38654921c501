"""One side of `benchmarks.before_after`: a process that times the multiace its Python imports.

    PYTHON -m benchmarks.side                  answers requests, a line of JSON each
    PYTHON -m benchmarks.side growth MODEL N   resident memory of a plan, silicon of 8 N^3 atoms

Requests: `about`; `prepare` a case with a number of threads; a `burst` of calls of one that is
prepared; `forget` all; `bits` of results for 1, 2 and 3 threads.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from benchmarks.cpu.systems import jitters, molecules, silicon
from benchmarks.importable import Plan, about

from multiace.deploy.ase import ASECalculator
from multiace.design import Design, Statistics
from multiace.elements import symbol_of
from multiace.geometry import Graph, Labels, Structure, build_graph
from multiace.potential import Potential, Prediction
from multiace.presets import PRESETS
from multiace.training import TrainingConfig
from multiace.training.config import Loss
from multiace.training.examples import collate, make_example
from multiace.training.gradients import gradients_by_autograd
from multiace.training.traced_gradients import Kind, TracedGradients

Call = Callable[[], object]

_MACE_FIRST: dict[str, Any] = {
    "atomic_basis": {"after_pooling": {"first": "shared_then_per_element", "rest": "shared"}},
    "update": {"self_connection": {"first": "none", "rest": "per_element"}},
}
_NEQUIP: dict[str, Any] = {
    "layers": 4,
    "channels": 32,
    "l_max": 2,
    "features_l_max": {"rest": 2, "last": 0},
    "parity": "both",
    "cutoff": 5.0,
    "radial": {"number": 8, "envelope_power": 6, "hidden": [128]},
    "atomic_basis": {"pooling": "sqrt_N"},
    "update": {"self_connection": "per_element", "nonlinearity": "gate"},
    "readout": {"kind": {"rest": "none", "last": "linear"}},
    "energy": {"shift": "none", "scale": "none"},
}
MODELS: dict[str, Callable[[], Design]] = {
    "mace128": partial(
        PRESETS["mace"], channels=128, features_l_max={"rest": 1, "last": 0}, **_MACE_FIRST
    ),
    "mace64": partial(
        PRESETS["mace"], channels=64, features_l_max={"rest": 1, "last": 0}, **_MACE_FIRST
    ),
    "nequip32": partial(Design.model_validate, _NEQUIP),
    **{f"{name}_small": partial(PRESETS[name], "small") for name in ("botnet", "nequip", "mace")},
    "mace32x0e": partial(PRESETS["mace"], "small", channels=32, features_l_max=0),
    "mace128x0e1o": partial(PRESETS["mace"], "small", channels=128),
}
"""The first three as in benchmarks.cpu.cases, with random weights of our own."""


def _ethanol() -> list[Atoms]:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    return [atoms]


SYSTEMS: dict[str, Callable[[], list[Atoms]]] = {
    "mol9": _ethanol,
    "3bpa5": molecules,
    "si64twice": lambda: [silicon(2)] * 2,
    **{f"si{8 * n**3}": lambda n=n: [silicon(n)] for n in (2, 4, 8)},
}


def potential_for(model: str, systems: list[Atoms]) -> Potential:
    """Return a model with random weights in float32, for the elements of the structures."""
    elements = tuple(sorted({int(z) for atoms in systems for z in atoms.numbers}))
    statistics = Statistics(
        mean_neighbours=28.0, atomic_energies={symbol_of(z): -float(z) for z in elements}
    )
    return Potential(MODELS[model](), elements, statistics, dtype=torch.float32, seed=1)


def moved_graphs(potential: Potential, atoms: Atoms, number: int = 8) -> list[Graph]:
    """Return graphs of the same edges at slightly different positions."""
    graph = build_graph(Structure.from_ase(atoms), potential.cutoff, potential.elements)
    moves = torch.from_numpy(jitters(len(atoms), number))
    return [
        replace(graph, edge_vectors=graph.edge_vectors + d[graph.senders] - d[graph.receivers])
        for d in moves
    ]


def plan_call(model: str, system: str, *, exact: bool) -> Call:
    """Energies and forces by a plan, neighbours being known."""
    (atoms,) = SYSTEMS[system]()
    potential = potential_for(model, [atoms])
    plan, graphs = Plan(potential, exact=exact), itertools.cycle(moved_graphs(potential, atoms))
    return lambda: plan.evaluate(next(graphs))


def calculator_call(model: str, system: str) -> Call:
    """A step of dynamics through ASE: other positions in, forces out, with radial splines."""
    (atoms,) = SYSTEMS[system]()
    atoms.calc = ASECalculator(potential_for(model, [atoms]))
    places = itertools.cycle(list(atoms.positions + jitters(len(atoms), 8)))

    def step() -> np.ndarray:
        atoms.positions = next(places)
        return atoms.get_forces()

    return step


def training_call(model: str, system: str, *, traced: bool) -> Call:
    """A loss of energies and forces of a batch, and the gradients of all weights."""
    systems = SYSTEMS[system]()
    potential, rng = potential_for(model, systems), np.random.default_rng(2)
    examples = []
    for atoms in systems:
        plain = Structure.from_ase(atoms)
        fields = {name: getattr(plain, name) for name in ("numbers", "positions", "cell", "pbc")}
        labels = Labels(energy=float(rng.normal()), forces=rng.normal(size=(len(atoms), 3)))
        structure = Structure(**fields, labels=labels)
        examples.append(make_example(structure, potential.cutoff, potential.elements))
    batch = collate(examples).to("cpu", potential.dtype)
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    config = TrainingConfig.model_construct(loss=Loss(kind="per_atom"), radial_grid=None)
    if traced:
        return partial(TracedGradients(potential, config, Kind.of(batch, weights)), batch, weights)
    return partial(gradients_by_autograd, potential, config, batch, weights)


def call_of(case: str) -> Call:
    """Return what a case times; its name is MODEL, system and what is called, between dashes."""
    model, system, what = case.split("-")
    if what in ("exact", "spline"):
        return plan_call(model, system, exact=what == "exact")
    if what == "calculator":
        return calculator_call(model, system)
    return training_call(model, system, traced=what == "traced")


def timed(call: Call, calls: int) -> dict[str, float]:
    """Return the median processor and wall time of some calls in ms, after one for the caches."""
    call()
    processor, wall = [], []
    gc.disable()
    for _ in range(calls):
        start, start_wall = time.process_time(), time.perf_counter()
        call()
        wall.append(time.perf_counter() - start_wall)
        processor.append(time.process_time() - start)
    gc.enable()
    return {"processor": 1e3 * float(np.median(processor)), "wall": 1e3 * float(np.median(wall))}


def bits(models: list[str], system: str) -> dict[str, bool]:
    """Return whether plans give the same bits with 1, 2 and 3 threads."""
    (atoms,) = SYSTEMS[system]()
    same = {}
    for model in models:
        potential = potential_for(model, [atoms])
        graph = moved_graphs(potential, atoms, 1)[0]
        for kind in ("exact", "spline"):
            plan, digests = Plan(potential, exact=kind == "exact"), set()
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                digests.add(_digest(plan.evaluate(graph, forces=True, stress=True)))
            same[f"{model}-{system}-{kind}"] = len(digests) == 1
    torch.set_num_threads(1)
    return same


def _digest(prediction: Prediction) -> str:
    fields = (prediction.energy, prediction.energies, prediction.forces, prediction.stress)
    numbers = (x.detach().numpy().tobytes() for x in fields if x is not None)
    return hashlib.sha256(b"".join(numbers)).hexdigest()


def growth(model: str, repeats: int) -> dict[str, float]:
    """Return resident memory in kB before the graph and the plan, after evaluations, its peak."""
    torch.set_num_threads(1)
    atoms = silicon(repeats)
    potential, structure = potential_for(model, [atoms]), Structure.from_ase(atoms)
    before = _resident()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is from here on
    graph = build_graph(structure, potential.cutoff, potential.elements)
    plan = Plan(potential)
    for _ in range(3):
        plan.evaluate(graph)
    return {"atoms": len(atoms), "before": before, "after": _resident(), "peak": _status("VmHWM")}


def _resident() -> float:
    """Return the resident memory in kB, once freed memory is back with the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def serve() -> None:
    """Answer requests until the input ends; stray output goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    calls: dict[str, tuple[Call, int]] = {}

    def prepare(key: str, case: str, threads: int) -> float:
        call = call_of(case)
        torch.set_num_threads(threads)
        calls[key] = call, threads
        for _ in range(3):
            pace = timed(call, 2)
        return pace["wall"]

    def burst(key: str, number: int) -> dict[str, float]:
        call, threads = calls[key]
        torch.set_num_threads(threads)
        return timed(call, number)

    actions: dict[str, Callable[..., Any]] = {
        "about": about,
        "prepare": prepare,
        "burst": burst,
        "forget": calls.clear,
        "bits": bits,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answers.write(json.dumps(actions[name](*arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["growth"]:
        sys.stdout.write(json.dumps(growth(sys.argv[2], int(sys.argv[3]))) + "\n")
    else:
        serve()
