"""What a model costs: time and memory, and the machine they were measured on."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from multiace import __version__
from multiace.checkpoint import replace_file
from multiace.elements import sorted_elements
from multiace.geometry import Structure, build_graph
from multiace.program import Plan, fastest
from multiace.report.runs.predictions import FOLDER
from multiace.report.runs.run import Run

REPEATS = 9
SECONDS = 0.5
"""At most about so long is one model timed."""


@dataclass(frozen=True)
class Speed:
    """Time of one energy with forces, as in a step of molecular dynamics.

    Args:
        microseconds: time of an atom, µs; the median of several evaluations.
        n_atoms: atoms of the structure that was timed.
        threads: of torch.
        processor: what it was measured on.
    """

    microseconds: float
    n_atoms: int
    threads: int
    processor: str


def measured_speed(run: Run, structures: Sequence[Structure]) -> Speed:
    """Time the model on the structure of median size; a time of this machine is kept.

    The model computes as in `ASECalculator`: as a plan with splined radial functions if its kernels
    have an executor, on the CPU with the threads of this process. Neighbours are not part of the
    time.
    """
    structure = sorted(structures, key=lambda s: s.n_atoms)[len(structures) // 2]
    threads, cpu = torch.get_num_threads(), processor()
    weights = sha256(run.model_path.read_bytes()).hexdigest()
    text = f"{weights} {structure.n_atoms} {threads} {cpu} {__version__}"
    path = run.path / FOLDER / f"speed-{sha256(text.encode()).hexdigest()[:24]}.json"
    if path.exists():
        return Speed(**json.loads(path.read_text(encoding="utf-8")))
    microseconds = _time(run, structure) / structure.n_atoms * 1e6
    speed = Speed(microseconds, structure.n_atoms, threads, cpu)
    path.parent.mkdir(exist_ok=True)
    replace_file(path, json.dumps(asdict(speed), ensure_ascii=False).encode())
    return speed


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _time(run: Run, structure: Structure) -> float:
    """Return the median time of an evaluation, s."""
    potential = run.potential
    model = fastest(potential, elements=sorted_elements(set(structure.numbers.tolist())))
    evaluate = model.evaluate if isinstance(model, Plan) else model
    graph = build_graph(structure, potential.cutoff, potential.elements).to(dtype=potential.dtype)
    times: list[float] = []
    with torch.no_grad():
        evaluate(graph)
        while len(times) < REPEATS and sum(times) < SECONDS:
            start = time.perf_counter()
            evaluate(graph)
            times.append(time.perf_counter() - start)
    return float(np.median(times))
