"""Train small models on published DFT data for 20 minutes each: errors, curves, machine.

    python benchmarks/real_data.py DATA [NAME ...] [--minutes 20] [--threads 2] [--out runs]

DATA is a directory with `3bpa/train_300K.xyz` (and `3bpa/derived/`, `3bpa/iso_atoms.xyz`) and
`mlearn/Si_{train,test}.xyz`. Results go to benchmarks/results/real_data_NAME.json, the curves to
benchmarks/results/real_data.png.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

import multiace
from multiace.training import make_config, train
from multiace.training.memory import keep_freed_memory

RESULTS = Path(__file__).parent / "results"

_3BPA = {
    "train": "3bpa/train_300K.xyz",
    "isolated_atoms": "3bpa/iso_atoms.xyz",
    "valid": 50,
    "tests": {
        "300 K": "3bpa/derived/mixedT_300K_notin_train300K.xyz",
        "600 K": "3bpa/derived/mixedT_600K.xyz",
        "1200 K": "3bpa/derived/mixedT_1200K.xyz",
    },
}
_SI = {"train": "mlearn/Si_train.xyz", "valid": 21, "tests": {"test": "mlearn/Si_test.xyz"}}
_COMMON = {
    "optimiser": {"name": "amsgrad", "rate": 0.01, "clip": 10.0},
    "schedule": {"name": "cosine"},
    "ema": 0.99,
    "batch": {"structures": 5},
    "seed": 0,
    "device": "cpu",
}

RUNS: dict[str, dict[str, Any]] = {
    "mace_3bpa": {
        "design": {"preset": "mace", "size": "small", "channels": 32, "cutoff": 4.5},
        "data": _3BPA,
        "loss": {"kind": "weighted", "energy": 1.0, "forces": 10.0},
        "epochs": 60,
    },
    "botnet_3bpa": {
        "design": {"preset": "botnet", "size": "small", "channels": 32, "cutoff": 4.0},
        "data": _3BPA,
        "loss": {"kind": "weighted", "energy": 1.0, "forces": 10.0},
        "epochs": 60,
    },
    "mace_si": {
        "design": {
            "preset": "mace",
            "size": "small",
            "cutoff": 5.0,
            "energy": {"reference": "mean", "shift": "none"},
        },
        "data": _SI,
        "loss": {"kind": "per_atom", "energy": 10.0, "forces": 1.0, "stress": 100.0},
        "epochs": 60,
    },
}
"""Name -> training config without paths, seeds and time limit."""


def located(data: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return the data section of a config with its files below `root`."""
    result = {**data, "train": str(root / data["train"])}
    result["tests"] = {name: str(root / file) for name, file in data["tests"].items()}
    if "isolated_atoms" in data:
        result["isolated_atoms"] = str(root / data["isolated_atoms"])
    return result


def run(name: str, root: Path, out: Path, minutes: float) -> None:
    """Train one model and write its result."""
    fields = {**_COMMON, **RUNS[name]}
    fields["data"] = located(fields["data"], root)
    config = make_config({**fields, "minutes": minutes, "out": str(out / name)})
    result = train(config)
    content = {
        "command": f"python benchmarks/real_data.py DATA {name} --minutes {minutes:g}",
        "multiace": multiace.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{torch.get_num_threads()} threads",
        "parameters": result.potential.n_parameters,
        "seconds": result.seconds,
        "reason": result.reason,
        "design": config.design.canonical(),
        "errors": {key: table.to_json() for key, table in result.errors.items()},
        "curve": [record.to_json() for record in result.history],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"real_data_{name}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def draw() -> None:
    """Draw the validation force error over time of every result there is."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for path in sorted(RESULTS.glob("real_data_*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        curve = [row for row in content["curve"] if "forces_rmse (meV/Å)" in row]
        minutes = [row["seconds"] / 60.0 for row in curve]
        forces = [row["forces_rmse (meV/Å)"] for row in curve]
        (line,) = axes.plot(minutes, forces, linewidth=1.8)
        label = f"{path.stem.removeprefix('real_data_')}  {min(forces):.0f}"
        axes.annotate(
            label,
            (minutes[-1], forces[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
        )
    axes.set_yscale("log")
    axes.set_xlabel("training time / min")
    axes.set_ylabel("validation force RMSE / meV/Å")
    axes.margins(x=0.22)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "real_data.png", dpi=160)


def main() -> None:
    """Run the models asked for, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="directory of the data sets")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RUNS)}; all if left out")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(RUNS))
    if unknown:
        sys.exit(f"no run {', '.join(unknown)}; there are {', '.join(RUNS)}")
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    for name in arguments.names or RUNS:
        run(name, arguments.data, arguments.out, arguments.minutes)
    draw()


if __name__ == "__main__":
    main()
