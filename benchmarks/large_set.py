"""Prepare and train on many generated structures: does memory stay where it is?

    python -m benchmarks.large_set --structures 10000 100000 [--out DIR]

For each number of structures, extended XYZ is written, `multiace data prepare` makes a store of it
and `multiace train` trains a tiny model for one epoch, each in a process of its own. Printed are
the seconds and the peak of resident memory of each, and of an import of the library alone.
Structures are three atoms on springs: what is measured is the way of the data, not the model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CUTOFF = 3.0
DESIGN: dict[str, Any] = {
    "preset": "botnet",
    "size": "small",
    "layers": 1,
    "channels": 2,
    "l_max": 1,
    "features_l_max": 1,
    "cutoff": CUTOFF,
    "radial": {"number": 3, "hidden": [4]},
    "readout": {"hidden": 2},
}
REST = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
STIFFNESS = 20.0  # eV/Å^2


@dataclass(frozen=True)
class Measured:
    """One process.

    Args:
        what: what it did.
        structures: on how many.
        seconds: wall clock.
        processor_seconds: of all its threads.
        megabytes: peak of resident memory.
    """

    what: str
    structures: int
    seconds: float
    processor_seconds: float
    megabytes: float


def write_molecules(path: Path, n_structures: int, seed: int = 0) -> None:
    """Write bent molecules with energies and forces of springs, a thousand at a time."""
    rng = np.random.default_rng(seed)
    pairs = [(0, 1), (0, 2), (1, 2)]
    with path.open("w", encoding="utf-8") as stream:
        for start in range(0, n_structures, 1000):
            n = min(1000, n_structures - start)
            positions = REST + 0.1 * rng.normal(size=(n, 3, 3))
            energies, forces = np.full(n, -2077.0), np.zeros((n, 3, 3))
            for i, j in pairs:
                between = positions[:, i] - positions[:, j]
                distance = np.linalg.norm(between, axis=1)
                stretch = distance - np.linalg.norm(REST[i] - REST[j])
                energies += 0.5 * STIFFNESS * stretch**2
                pull = (STIFFNESS * stretch / distance)[:, None] * between
                forces[:, i] -= pull
                forces[:, j] += pull
            stream.writelines(map(_frame, energies, positions, forces))


def _frame(energy: float, positions: np.ndarray, forces: np.ndarray) -> str:
    rows = [
        " ".join([symbol, *(f"{value:.8f}" for value in (*position, *force))])
        for symbol, position, force in zip("OHH", positions, forces, strict=True)
    ]
    comment = f'Properties=species:S:1:pos:R:3:forces:R:3 energy={energy:.8f} pbc="F F F"'
    return "\n".join(["3", comment, *rows, ""])


def measure(what: str, structures: int, command: list[str]) -> Measured:
    """Run a command to its end; return what it took.

    Raises:
        RuntimeError: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    unit = 1e-6 if sys.platform == "darwin" else 1.024e-3  # bytes, or kB
    seconds, processor = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    row = Measured(what, structures, seconds, processor, usage.ru_maxrss * unit)
    print(  # noqa: T201
        f"{what:16} {structures:9,} structures {seconds:8.1f} s ({processor:.1f} s of processor), "
        f"peak {row.megabytes:,.0f} MB",
        flush=True,
    )
    return row


def run(directory: Path, n_structures: int, cache: float) -> list[Measured]:
    """Write, prepare and train on so many structures."""
    source, store = directory / f"{n_structures}.xyz", directory / f"{n_structures}.h5"
    write_molecules(source, n_structures)
    config = {
        "design": DESIGN,
        "data": {
            "train": str(store),
            "valid": 200,
            "energies": {"H": -13.5, "O": -2040.0},
            "cache": cache,
        },
        "batch": {"edges": 600},
        "epochs": 1,
        "device": "cpu",
        "out": str(directory / f"run-{n_structures}"),
    }
    path = directory / f"{n_structures}.yaml"
    path.write_text(yaml.safe_dump(config))
    prepare = ["data", "prepare", str(source), "--out", str(store), "--cutoff", str(CUTOFF)]
    return [
        measure("prepare", n_structures, ["-m", "multiace", *prepare]),
        measure("train one epoch", n_structures, ["-m", "multiace", "train", str(path), "--quiet"]),
    ]


def main() -> None:
    """Print what each process took, and write it as JSON."""
    parser = argparse.ArgumentParser(description="Prepare and train on many structures.")
    parser.add_argument("--structures", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--cache", type=float, default=0.05, help="data.cache, GB")
    parser.add_argument("--out", type=Path, help="keep files and large_set.json here")
    options = parser.parse_args()
    rows = [measure("import", 0, ["-c", "import multiace.training"])]
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.out or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        for number in options.structures:
            rows += run(directory, number, options.cache)
        if options.out:
            text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
            (options.out / "large_set.json").write_text(text)


if __name__ == "__main__":
    main()
