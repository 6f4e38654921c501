"""NequIP 0.19 as a peer of the benchmarks: runs in the environment of `nequip.txt`.

    PYTHON_OF_NEQUIP benchmarks/peers/nequip_peer.py

prints the times of its modes on 64 silicon atoms. A driver imports `NequIPPeer` into the same
process as multiace, so that both are timed in turns, with equal weights and inputs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.integrations.ase import NequIPCalculator
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state

EXPORTERS = Path(__file__).resolve().parents[2] / "src/multiace/deploy/importers/exporters"
MODES = ("eager", "compiled")
Mode = Literal["eager", "compiled"]


class NequIPPeer:
    """A NequIP model with random weights and the graph of one structure.

    `compiled` is the fastest mode that nequip has on a CPU: AOTInductor for energies and forces,
    `compile_mode: compile` for training. The first call of a method compiles.

    Args:
        atoms: the structure; its neighbour list is made once.
        channels: channels of every irrep.
        l_max: largest l.
        parity: features of both parities.
        layers: number of layers.
        cutoff: Å.
        dtype: float32 or float64.
        seed: seed of the weights.
        structures: structures in a training batch, copies of `atoms`; nequip compiles training for
            two or more only.
        cache: folder that keeps what AOTInductor makes, which takes it many minutes.
    """

    def __init__(
        self,
        atoms: Atoms,
        *,
        channels: int = 32,
        l_max: int = 2,
        parity: bool = True,
        layers: int = 4,
        cutoff: float = 5.0,
        dtype: str = "float32",
        seed: int = 0,
        structures: int = 2,
        cache: Path | None = None,
    ) -> None:
        set_global_state()
        names = sorted(set(atoms.get_chemical_symbols()))
        graph = NeighborListTransform(r_max=cutoff)(
            ChemicalSpeciesToAtomTypeMapper(model_type_names=names)(from_ase(atoms))
        )
        self._graph = {key: tensor.detach() for key, tensor in graph.items()}
        self._batch = AtomicDataDict.batched_from_list([dict(self._graph)] * structures)
        self._arguments = {
            "seed": seed,
            "model_dtype": dtype,
            "type_names": names,
            "r_max": cutoff,
            "num_layers": layers,
            "l_max": l_max,
            "parity": parity,
            "num_features": channels,
            "avg_num_neighbors": len(graph[AtomicDataDict.EDGE_INDEX_KEY][0]) / len(atoms),
            "per_type_energy_scales": 1.0,
            "per_type_energy_shifts": 0.0,
        }
        self._models: dict[str, Any] = {}
        self._cache = Path(tempfile.mkdtemp(prefix="nequip-")) if cache is None else cache
        generator = torch.Generator().manual_seed(seed)
        shape = self._batch[AtomicDataDict.POSITIONS_KEY].shape
        self.force_labels = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.energy_labels = torch.randn((structures, 1), generator=generator, dtype=torch.float64)

    def energy_forces(
        self, positions: np.ndarray, mode: Mode = "eager"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy in eV and forces in eV/Å at other positions of the same neighbours."""
        data = {**self._graph, AtomicDataDict.POSITIONS_KEY: torch.from_numpy(positions)}
        out = self._model(f"{mode} inference")(data)
        energy, forces = out[AtomicDataDict.TOTAL_ENERGY_KEY], out[AtomicDataDict.FORCE_KEY]
        return energy.detach().reshape(()), forces.detach()

    def training_step(self, mode: Mode = "eager") -> torch.Tensor:
        """Evaluate the batch, a loss of energies and forces, and the gradients of all weights."""
        model = self._model(f"{mode} training")
        model.zero_grad(set_to_none=True)
        out = model(dict(self._batch))
        n_atoms = len(self.force_labels) / len(self.energy_labels)
        energies = (out[AtomicDataDict.TOTAL_ENERGY_KEY] - self.energy_labels) / n_atoms
        forces = out[AtomicDataDict.FORCE_KEY] - self.force_labels
        loss = energies.square().mean() + forces.square().mean()
        loss.backward()
        return loss.detach()

    def edges(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return senders, receivers and r_sender - r_receiver of the structure."""
        receivers, senders = self._graph[AtomicDataDict.EDGE_INDEX_KEY]
        positions, cell = (
            self._graph[key] for key in (AtomicDataDict.POSITIONS_KEY, AtomicDataDict.CELL_KEY)
        )
        shifts = self._graph[AtomicDataDict.EDGE_CELL_SHIFT_KEY] @ cell.reshape(3, 3)
        return senders, receivers, positions[senders] - positions[receivers] + shifts

    def parameters(self, mode: Mode = "eager") -> dict[str, torch.nn.Parameter]:
        """Return the weights of the model in training, whose gradients a step leaves."""
        return dict(self._model(f"{mode} training").named_parameters())

    def calculator(self, mode: Mode = "eager") -> Calculator:
        """Return the ASE calculator of nequip."""
        transforms = [
            ChemicalSpeciesToAtomTypeMapper(model_type_names=self._arguments["type_names"]),
            NeighborListTransform(r_max=self._arguments["r_max"]),
        ]
        return NequIPCalculator(
            self._model(f"{mode} inference"), device="cpu", transforms=transforms
        )

    def export(self, path: str) -> None:
        """Write the neutral file of the model."""
        exporter, neutral = _load("nequip"), _load("neutral")
        model = self._model("eager inference")
        versions = {package: _version(package) for package in ("nequip", "e3nn", "torch")}
        settings, tensors = exporter.describe_model(model), exporter.tensors_of(model)
        neutral.write_neutral(path, "nequip", versions, settings, tensors)

    def _model(self, name: str) -> Any:
        if name not in self._models:
            makers = {
                "eager inference": partial(self._build, "eager", training=False),
                "eager training": partial(self._build, "eager", training=True),
                "compiled inference": self._inductor,
                "compiled training": partial(self._build, "compile", training=True),
            }
            self._models[name] = makers[name]()
        return self._models[name]

    def _build(self, compile_mode: str, *, training: bool) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = NequIPGNNModel(compile_mode=compile_mode, **self._arguments)
        return model.train(training)

    def _inductor(self) -> Any:
        """Compile as `nequip-compile --mode aotinductor --target ase` does."""
        from nequip.model.inference_models.aotinductor import load_aotinductor_model
        from nequip.scripts._compile_utils import ASE_TARGET
        from nequip.utils.aot import aot_export_model

        inputs, outputs = ASE_TARGET["input"], ASE_TARGET["output"]
        versions = [_version(package) for package in ("nequip", "e3nn", "torch")]
        key = json.dumps([self._arguments, versions, platform.processor(), platform.node()])
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = self._cache / f"{name}.nequip.pt2"
        if not path.exists():
            model = self._build("eager", training=False)
            sizes = {of: torch.export.Dim(f"num_{of}s", min=2) for of in ("node", "edge")}
            unchecked = self._cache / f"{name}.unchecked.nequip.pt2"
            aot_export_model(
                model=model,
                device=torch.device("cpu"),
                input_fields=inputs,
                output_fields=outputs,
                data=ASE_TARGET["data_settings"](dict(self._graph)),
                batch_map={"graph": torch.export.Dim.STATIC, **sizes},
                output_path=str(unchecked),
                inductor_configs={"aot_inductor.metadata": model.metadata},
            )  # compares it with the model
            unchecked.rename(path)
        return load_aotinductor_model(str(path), "cpu", inputs, outputs)[0].eval()


def _load(name: str) -> ModuleType:
    """Load a script of the exporters, past the package of the same name."""
    spec = importlib.util.spec_from_file_location(f"{name}_exporter", EXPORTERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def silicon(rattle: float = 0.05) -> Atoms:
    """Return 64 silicon atoms, displaced at random."""
    atoms = bulk("Si", "diamond", 5.43, cubic=True).repeat(2)
    atoms.rattle(rattle, seed=0)
    return atoms


def milliseconds(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the first call's wall time and the median processor time of the others in ms."""
    start = time.perf_counter()
    function()
    first = time.perf_counter() - start
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return 1e3 * first, 1e3 * statistics.median(times)


def main() -> None:
    """Print the times of every mode, one thread."""
    torch.set_num_threads(1)
    atoms = silicon()
    peer = NequIPPeer(atoms)
    for mode in MODES:
        runs: dict[str, Callable[[], object]] = {
            "energy and forces": partial(peer.energy_forces, atoms.positions, mode),
            "training step, 2 structures": partial(peer.training_step, mode),
        }
        for name, run in runs.items():
            first, median = milliseconds(run, 7)
            line = f"{mode:9s} {name:28s} {median:9.1f} ms, first call {first / 1e3:6.1f} s"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
