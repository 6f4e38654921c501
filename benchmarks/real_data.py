"""Train small models on published DFT data for 20 minutes each: errors, curves, machine.

    python benchmarks/real_data.py DATA [NAME ...] [--minutes 20] [--threads 1] [--out runs]

DATA is a directory with `3bpa/train_300K.xyz` and `3bpa/iso_atoms.xyz` as published; in
`3bpa/derived/` the published train_mixedT.xyz by temperature: frames 0-166 that are not in
train_300K as mixedT_300K_notin_train300K.xyz, 167-333 as mixedT_600K.xyz, 334-499 as
mixedT_1200K.xyz; and the silicon set of Zuo et al. (2020) as `mlearn/Si_{train,test}.xyz` in eV and
Å, stress with ASE's sign. The configs are those in configs/. Results go to
benchmarks/results/real_data_NAME.json, the curves to benchmarks/results/real_data.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import multiace
from multiace.training import read_config, train
from multiace.training.memory import keep_freed_memory

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CONFIGS = HERE.parent / "configs"

_3BPA = (
    "data.tests={"
    "300 K: 3bpa/derived/mixedT_300K_notin_train300K.xyz, "
    "600 K: 3bpa/derived/mixedT_600K.xyz, "
    "1200 K: 3bpa/derived/mixedT_1200K.xyz}"
)
RUNS: dict[str, tuple[str, ...]] = {
    "3bpa_mace_20min": (_3BPA,),
    "3bpa_botnet_20min": (_3BPA,),
    "silicon_mace_20min": (
        "data.train=mlearn/Si_train.xyz",
        "data.tests={test: mlearn/Si_test.xyz}",
    ),
}
"""Config in configs/ -> options that say where the data are."""


def run(name: str, out: Path, minutes: float) -> None:
    """Train one model on the data in the working directory and write its result."""
    options = (*RUNS[name], f"minutes={minutes}", f"out={out / name}")
    config = read_config(CONFIGS / f"{name}.yaml", options)
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
        name = path.stem.removeprefix("real_data_").removesuffix("_20min").replace("_", " ")
        axes.annotate(
            f"{name}: {min(forces):.0f}",
            (minutes[-1], forces[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )
    axes.set_yscale("log")
    axes.set_yticks([30, 50, 100, 200, 300, 500], labels=["30", "50", "100", "200", "300", "500"])
    axes.minorticks_off()
    axes.set_xlim(left=0.0)
    axes.set_xlabel("training time / min")
    axes.set_ylabel("validation force RMSE / meV/Å")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "real_data.png", dpi=160)


def main() -> None:
    """Run the models asked for, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="directory of the data sets")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RUNS)}; all if left out")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(RUNS))
    if unknown:
        sys.exit(f"no run {', '.join(unknown)}; there are {', '.join(RUNS)}")
    out = arguments.out.resolve()
    os.chdir(arguments.data)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    for name in arguments.names or RUNS:
        run(name, out, arguments.minutes)
    draw()


if __name__ == "__main__":
    main()
