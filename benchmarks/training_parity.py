"""Train the same model with mace-torch and with multiace: the first losses, and whole curves.

    PYTHON_OF_MACE -m benchmarks.training_parity losses DATA
    PYTHON_OF_MACE -m benchmarks.training_parity curves DATA [--codes multiace mace] [--seeds 0 1 2]
    PYTHON_OF_MACE -m benchmarks.training_parity collect

DATA is the training set of 3BPA at 300 K in extended XYZ, keys `energy` and `forces`. The
environment is that of benchmarks/peers/mace.txt with multiace installed into it. mace-torch draws
the weights of a ScaleShiftMACE (16x0e+16x1o, two layers, correlation 3, 5 Å); multiace imports
them. Both see the same batches of five in the same order and take the same steps of Adam with
amsgrad. The loss is 100 mean((dE/N)^2) + mean(dF^2), in eV and Å, with energies relative to the
mean of the training set.

`losses` asserts that the first 50 losses agree in float64. `curves` trains 30 epochs in float32 on
450 structures, the rate falling as half a cosine, and validates on the other 50 after each; runs
that are there already are left out, so that it goes on where it was interrupted. `collect` draws
the curves and writes them to benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from benchmarks.cpu.measure import commit, machine
from benchmarks.cpu.ours import Ours
from benchmarks.peers.mace_peer import MACEPeer
from torch import Tensor

from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.training.memory import keep_freed_memory

RESULTS = Path(__file__).resolve().parent / "results"
RUNS = Path("runs") / "training_parity"
CODES = ("multiace", "mace")
SEEDS = (0, 1, 2)
CHANNELS, BATCH, EPOCHS, N_TRAINING = 16, 5, 30, 450
RATE, ENERGY_WEIGHT = 0.01, 100.0
STEPS, TOLERANCE = 50, 1e-8


class Code(Protocol):
    """One of the two codes, with its model."""

    def batch(self, structures: Sequence[int]) -> Any:
        """Return structures of the data set as a batch."""
        ...

    def predict(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return energies in eV and forces in eV/Å, to be differentiated by the weights."""
        ...

    def weights(self) -> list[torch.nn.Parameter]:
        """Return what the optimiser changes."""
        ...


class MACE:
    """mace-torch as it trains by default."""

    def __init__(self, peer: MACEPeer, frames: Sequence[Atoms]) -> None:
        self._peer, self._graphs = peer, peer.graphs(frames)

    def batch(self, structures: Sequence[int]) -> Any:  # noqa: D102
        return self._peer.collate([self._graphs[n] for n in structures])

    def predict(self, batch: Any) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._peer.predict(batch)

    def weights(self) -> list[torch.nn.Parameter]:  # noqa: D102
        return list(self._peer.parameters().values())


class Multiace:
    """multiace with the weights of the same peer."""

    def __init__(self, peer: MACEPeer, frames: Sequence[Atoms], dtype: str) -> None:
        self._potential = Ours("mace", peer, frames[:1], dtype).potential
        cutoff, elements = self._potential.cutoff, self._potential.elements
        graphs = (build_graph(Structure.from_ase(a), cutoff, elements) for a in frames)
        self._graphs = [graph.to(dtype=self._potential.dtype) for graph in graphs]

    def batch(self, structures: Sequence[int]) -> Any:  # noqa: D102
        return batch_graphs([self._graphs[n] for n in structures])

    def predict(self, batch: Any) -> tuple[Tensor, Tensor]:  # noqa: D102
        prediction = self._potential(batch)
        assert prediction.forces is not None
        return prediction.energy, prediction.forces

    def weights(self) -> list[torch.nn.Parameter]:  # noqa: D102
        return list(self._potential.parameters())


@dataclass(frozen=True)
class Data:
    """Structures with labels, and how they are divided.

    Args:
        frames: the structures, without labels.
        energies: relative to the mean of the training set, eV.
        forces: eV/Å.
        training: indices of the training set.
        validation: indices of the others.
    """

    frames: list[Atoms]
    energies: Tensor
    forces: list[Tensor]
    training: np.ndarray
    validation: np.ndarray

    @classmethod
    def read(cls, path: Path, n_training: int = N_TRAINING) -> Data:
        """Read a file and divide it at random, always alike."""
        frames = read(path, index=":")
        assert isinstance(frames, list)
        order = np.random.default_rng(0).permutation(len(frames))
        training, validation = order[:n_training], order[n_training:]
        energies = np.array([atoms.get_potential_energy() for atoms in frames])
        return cls(
            [Atoms(atoms.numbers, atoms.positions) for atoms in frames],
            torch.from_numpy(energies - energies[training].mean()),
            [torch.from_numpy(atoms.get_forces()) for atoms in frames],
            training,
            validation,
        )

    def errors(self, code: Code, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return errors of energies per atom and of forces of one batch."""
        energies, forces = code.predict(code.batch(chosen))
        n_atoms = torch.tensor([len(self.frames[n]) for n in chosen])
        labels = torch.cat([self.forces[n] for n in chosen])
        return (energies.double() - self.energies[chosen]) / n_atoms, forces.double() - labels


def batches(data: Data, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch, the same for both codes."""
    order = np.random.default_rng([seed, epoch]).permutation(data.training)
    return [order[n : n + BATCH].tolist() for n in range(0, len(order), BATCH)]


def make(name: str, data: Data, seed: int, dtype: str) -> Code:
    """Return a code with the weights that mace-torch draws from a seed."""
    frames = [data.frames[n] for n in data.training[:1]]
    peer = MACEPeer(frames, channels=CHANNELS, dtype=dtype, seed=seed)
    return MACE(peer, data.frames) if name == "mace" else Multiace(peer, data.frames, dtype)


def make_optimiser(code: Code) -> torch.optim.Optimizer:
    """Return Adam as both codes have it."""
    return torch.optim.Adam(code.weights(), lr=RATE, amsgrad=True)


def step(code: Code, data: Data, chosen: list[int], optimiser: torch.optim.Optimizer) -> float:
    """Follow the gradient of a batch and return the loss before."""
    optimiser.zero_grad(set_to_none=True)
    energies, forces = data.errors(code, chosen)
    loss = ENERGY_WEIGHT * energies.square().mean() + forces.square().mean()
    loss.backward()
    optimiser.step()
    return loss.item()


def compare_losses(data: Data, n_steps: int) -> dict[str, Any]:
    """Train both codes side by side in float64.

    Raises:
        AssertionError: losses that differ by more than `TOLERANCE` of their value.
    """
    codes = {name: make(name, data, seed=0, dtype="float64") for name in CODES}
    optimisers = {name: make_optimiser(code) for name, code in codes.items()}
    losses: dict[str, list[float]] = {name: [] for name in CODES}
    for chosen in batches(data, seed=0, epoch=0)[:n_steps]:
        for name, code in codes.items():
            losses[name].append(step(code, data, chosen, optimisers[name]))
    ours, theirs = np.array(losses["multiace"]), np.array(losses["mace"])
    differences = np.abs(ours - theirs) / theirs
    assert differences.max() <= TOLERANCE, differences.tolist()
    return {
        "largest_relative_difference": differences.max(),
        "tolerance": TOLERANCE,
        "losses": losses,
        "relative_differences": differences.tolist(),
    }


def train(name: str, data: Data, seed: int, epochs: int) -> dict[str, Any]:
    """Train one code from one seed; return validation errors and times after each epoch."""
    code = make(name, data, seed, "float32")
    optimiser = make_optimiser(code)
    rows: list[dict[str, float]] = []
    times = np.zeros(2)
    for epoch in range(epochs):
        planned, losses = batches(data, seed, epoch), []
        start = np.array([time.thread_time(), time.perf_counter()])
        for n, chosen in enumerate(planned):
            progress = (epoch + n / len(planned)) / epochs
            for group in optimiser.param_groups:
                group["lr"] = 0.5 * RATE * (1.0 + math.cos(math.pi * progress))
            losses.append(step(code, data, chosen, optimiser))
        times += np.array([time.thread_time(), time.perf_counter()]) - start
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses)), **validate(code, data)}
        row |= {"processor_s": times[0], "wall_s": times[1]}
        rows.append(row)
        print(f"{name} seed {seed}", json.dumps(row), flush=True)  # noqa: T201
    return {"code": name, "seed": seed, "epochs": rows}


def validate(code: Code, data: Data) -> dict[str, float]:
    """Return the root mean square errors of the validation set."""
    squares = []
    for n in range(0, len(data.validation), BATCH):
        energies, forces = data.errors(code, data.validation[n : n + BATCH].tolist())
        squares.append((energies.detach().square(), forces.detach().square()))
    energy, force = (
        torch.cat(column).mean().sqrt().item() for column in zip(*squares, strict=True)
    )
    return {"energy_rmse_mev_per_atom": 1e3 * energy, "force_rmse_mev_per_A": 1e3 * force}


def collect(folder: Path) -> dict[str, Any]:
    """Gather the runs that are there and draw them."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    final = {}
    for code in CODES:
        last = [run["epochs"][-1] for run in runs if run["code"] == code]
        if last:
            final[code] = {
                key: {"of_seeds": values, "mean": float(np.mean(values))}
                for key in last[0]
                if key != "epoch" and (values := [row[key] for row in last])
            }
    draw(runs, RESULTS / "training_parity.png")
    return {"final": final, "runs": runs}


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Draw validation errors of each seed against epochs and against time."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogFormatter

    panels = [
        ("epoch", 1.0, "force_rmse_mev_per_A", "epoch", "validation force RMSE / meV/Å"),
        ("epoch", 1.0, "energy_rmse_mev_per_atom", "epoch", "validation energy RMSE / meV/atom"),
        ("processor_s", 60.0, "force_rmse_mev_per_A", "processor time / min", ""),
    ]
    figure, all_axes = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")
    styles = {  # the thin dashes lie on the broad lines where both codes agree
        "multiace": {"label": "multiace", "color": "#8ecae6", "linewidth": 3.0},
        "mace": {"label": "mace-torch", "color": "#9b2226", "linewidth": 0.9, "linestyle": "--"},
    }
    for axes, (x, unit, y, x_label, y_label) in zip(all_axes, panels, strict=True):
        for code, style in styles.items():
            for run in runs:
                if run["code"] != code:
                    continue
                rows = run["epochs"]
                axes.plot([row[x] / unit for row in rows], [row[y] for row in rows], **style)
        axes.set_yscale("log")
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which(LogFormatter(minor_thresholds=(2, 0.5), labelOnlyBase=False))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = all_axes[0].get_legend_handles_labels()
    one_each = dict(zip(labels, handles, strict=True))
    all_axes[0].legend(list(one_each.values()), list(one_each), frameon=False)
    figure.savefig(path, dpi=160)


def write(name: str, content: dict[str, Any]) -> None:
    """Write a result with what it was made with."""
    versions = {"torch": torch.__version__, "machine": machine(), **commit()}
    text = json.dumps(content | versions, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task", choices=["losses", "curves", "collect"])
    parser.add_argument("data", type=Path, nargs="?", help="3BPA at 300 K, extended XYZ")
    parser.add_argument("--codes", nargs="+", choices=CODES, default=list(CODES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=RUNS, help="folder of the runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    keep_freed_memory()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.task == "collect":
        write("training_parity_curves", collect(arguments.out))
        return
    if arguments.data is None:
        parser.error("DATA is missing: the training set of 3BPA.")
    data = Data.read(arguments.data)
    if arguments.task == "losses":
        write("training_parity_losses", compare_losses(data, arguments.steps))
        return
    for name in arguments.codes:
        for seed in arguments.seeds:
            path = arguments.out / f"{name}_{seed}.json"
            if not path.exists():
                text = json.dumps(train(name, data, seed, arguments.epochs))
                path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
