"""mace-torch 0.3 as a peer of the benchmarks: runs in the environment of `mace.txt`.

    PYTHON_OF_MACE -m benchmarks.peers.mace_peer

prints the times of its modes on 64 silicon atoms. A driver imports `MACEPeer` into the same
process as multiace, so that both are timed in turns, with equal weights and inputs.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # tables of e3nn 0.4 are pickles

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from e3nn import o3
    from e3nn.util import jit
    from mace import data, modules
    from mace.calculators import MACECalculator
    from mace.tools import AtomicNumberTable, torch_geometric
    from mace.tools.compile import prepare
    from mace.tools.scripts_utils import extract_model
    from mace.tools.torch_tools import default_dtype

EXPORTERS = Path(__file__).resolve().parents[2] / "src/multiace/deploy/importers/exporters"
MODES = ("eager", "scripted", "compiled")
Mode = Literal["eager", "scripted", "compiled"]
PACKAGES = ("mace-torch", "e3nn", "torch")


class MACEPeer:
    """A ScaleShiftMACE with random weights, and the graphs of a few structures.

    | mode | what it is |
    |---|---|
    | `eager` | as built: e3nn compiles its products with TorchScript |
    | `scripted` | all of it in TorchScript, as for LAMMPS |
    | `compiled` | `prepare` and `torch.compile`, as `MACECalculator(compile_mode="default")` |

    The first call of a mode compiles.

    Args:
        structures: a training batch; energies and forces are evaluated for the first.
        channels: channels of every irrep.
        l_max: largest l of the features.
        layers: number of layers.
        radial: width of the three hidden layers of the radial network.
        cutoff: Å.
        dtype: float32 or float64: the same weights, rounded or not.
        seed: seed of the weights.
    """

    def __init__(
        self,
        structures: Sequence[Atoms],
        *,
        channels: int = 128,
        l_max: int = 1,
        layers: int = 2,
        radial: int = 64,
        cutoff: float = 5.0,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[dtype]
        self.elements = sorted({int(z) for atoms in structures for z in atoms.numbers})
        self.cutoff, self._name = cutoff, dtype
        graphs = self.graphs(structures)
        self.batch, self.graph = self.collate(graphs), self.collate(graphs[:1])
        hidden = "+".join(f"{channels}x{l}{'eo'[l % 2]}" for l in range(l_max + 1))
        torch.manual_seed(seed)
        with default_dtype("float64"):
            self._built = modules.ScaleShiftMACE(
                r_max=cutoff,
                num_bessel=8,
                num_polynomial_cutoff=5,
                max_ell=3,
                interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
                interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
                num_interactions=layers,
                num_elements=len(self.elements),
                hidden_irreps=o3.Irreps(hidden),
                MLP_irreps=o3.Irreps("16x0e"),
                atomic_energies=np.zeros(len(self.elements)),
                avg_num_neighbors=self.graph["edge_index"].shape[1] / len(structures[0]),
                atomic_numbers=self.elements,
                correlation=3,
                gate=torch.nn.functional.silu,
                radial_MLP=[radial] * 3,
                radial_type="bessel",
                atomic_inter_scale=1.0,
                atomic_inter_shift=0.0,
            ).to(self.dtype)
        self._models: dict[str, Any] = {}
        n_atoms, generator = len(self.batch["positions"]), torch.Generator().manual_seed(seed)
        self.force_labels = torch.randn((n_atoms, 3), generator=generator, dtype=torch.float64)
        shape = (len(structures),)
        self.energy_labels = torch.randn(shape, generator=generator, dtype=torch.float64)

    def graphs(self, structures: Sequence[Atoms]) -> list[data.AtomicData]:
        """Return structures as graphs of mace-torch."""
        table = AtomicNumberTable(self.elements)
        with default_dtype(self._name):
            return [
                data.AtomicData.from_config(
                    data.config_from_atoms(atoms), z_table=table, cutoff=self.cutoff
                )
                for atoms in structures
            ]

    @staticmethod
    def collate(graphs: Sequence[data.AtomicData]) -> dict[str, torch.Tensor]:
        """Return graphs as a batch."""
        fields = torch_geometric.Batch.from_data_list(list(graphs)).to_dict()
        return {name: field for name, field in fields.items() if torch.is_tensor(field)}

    def edges(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return senders, receivers and r_sender - r_receiver of the first structure."""
        (senders, receivers), positions = self.graph["edge_index"], self.graph["positions"]
        vectors = positions[senders] - positions[receivers] - self.graph["shifts"]
        return senders, receivers, vectors

    def energy_forces(
        self, positions: np.ndarray, mode: Mode = "eager"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy in eV and forces in eV/Å at other positions of the same neighbours."""
        moved = torch.from_numpy(positions).to(self.dtype).requires_grad_()
        graph = {**self.graph, "positions": moved}
        # compiled, it needs the graph that training keeps, as in the calculator
        out = self._model(f"{mode} inference")(
            graph, training=mode == "compiled", compute_force=True
        )
        return out["energy"].detach().reshape(()), out["forces"].detach()

    def predict(
        self, batch: dict[str, torch.Tensor], mode: Mode = "eager"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energies and forces of a batch, to be differentiated by the weights."""
        model = self._model(f"{mode} training")
        positions = batch["positions"].clone().requires_grad_()
        out = model({**batch, "positions": positions}, training=True, compute_force=True)
        return out["energy"], out["forces"]

    def training_step(self, mode: Mode = "eager") -> torch.Tensor:
        """Evaluate the batch, a loss of energies and forces, and the gradients of all weights."""
        self._model(f"{mode} training").zero_grad(set_to_none=True)
        energies, forces = self.predict(self.batch, mode)
        energies = (energies - self.energy_labels) / torch.diff(self.batch["ptr"])
        forces = forces - self.force_labels
        loss = energies.square().mean() + forces.square().mean()
        loss.backward()
        return loss.detach()

    def parameters(self, mode: Mode = "eager") -> dict[str, torch.nn.Parameter]:
        """Return the weights of the model in training, whose gradients a step leaves."""
        return dict(self._model(f"{mode} training").named_parameters())

    def calculator(self, mode: Mode = "eager") -> Calculator:
        """Return the ASE calculator of mace-torch."""
        compile_mode = "default" if mode == "compiled" else None
        model = copy.deepcopy(self._built)
        return MACECalculator(
            models=model, device="cpu", default_dtype=self._name, compile_mode=compile_mode
        )

    def export(self, path: str) -> None:
        """Write the neutral file of the model."""
        exporter, neutral = _load("mace"), _load("neutral")
        versions = {package: importlib.metadata.version(package) for package in PACKAGES}
        settings, tensors = exporter.describe_model(self._built), exporter.tensors_of(self._built)
        neutral.write_neutral(path, "mace", versions, settings, tensors)

    def _model(self, name: str) -> Any:
        if name not in self._models:
            mode, purpose = name.split()
            makers: dict[str, Callable[[], Any]] = {
                "eager": partial(copy.deepcopy, self._built),
                "scripted": lambda: jit.compile(copy.deepcopy(self._built)),
                "compiled": self._compile,
            }
            model = makers[mode]().train(purpose == "training")
            for parameter in model.parameters():
                parameter.requires_grad_(purpose == "training")
            self._models[name] = model
        return self._models[name]

    def _compile(self) -> Any:
        """Compile as `MACECalculator` does."""
        with default_dtype(self._name):
            prepared = prepare(extract_model)(model=self._built, map_location="cpu")
        return torch.compile(prepared, mode="default", fullgraph=True)


def _load(name: str) -> ModuleType:
    """Load a script of the exporters, past the package of the same name."""
    spec = importlib.util.spec_from_file_location(f"{name}_exporter", EXPORTERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Print the times of every mode, one thread."""
    from benchmarks.peers.nequip_peer import milliseconds, silicon

    torch.set_num_threads(1)
    atoms = silicon()
    peer = MACEPeer([atoms])
    for mode in MODES:
        runs: dict[str, Callable[[], object]] = {
            "energy and forces": partial(peer.energy_forces, atoms.positions, mode),
            "training step": partial(peer.training_step, mode),
        }
        for name, run in runs.items():
            first, median = milliseconds(run, 5)
            line = f"{mode:9s} {name:28s} {median:9.1f} ms, first call {first / 1e3:6.1f} s"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
