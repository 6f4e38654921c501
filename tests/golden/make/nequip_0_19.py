"""Make the golden numbers of nequip 0.19.1: random weights, neutral files, energies and forces.

    PYTHON_OF_NEQUIP tests/golden/make/nequip_0_19.py

Run it in the environment of benchmarks/peers/nequip.txt. Each model of `CASES` is written twice:
`nequip_0_19/NAME.safetensors` by the exporter that multiace ships, and its energies (eV), energies
of atoms, forces (eV/Å) and stress (eV/Å^3) of a few structures as `NAME.results.safetensors`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import FullNequIPGNNModel, NequIPGNNModel
from nequip.utils.global_state import set_global_state

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden" / "nequip_0_19"
EXPORTERS = ROOT / "src" / "multiace" / "deploy" / "importers" / "exporters"

SMALL: dict[str, Any] = {
    "r_max": 4.0,
    "type_names": ["O", "H", "C"],
    "num_layers": 3,
    "l_max": 2,
    "parity": True,
    "num_features": 4,
    "radial_mlp_width": 8,
    "num_bessels": 6,
    "avg_num_neighbors": 7.5,
    "per_type_energy_scales": {"O": 1.3, "H": 0.8, "C": 1.1},
    "per_type_energy_shifts": {"O": -432.1, "H": -13.6, "C": -1029.5},
}
SILICON = {
    "type_names": ["Si"],
    "r_max": 4.5,
    "per_type_energy_scales": 2.0,
    "per_type_energy_shifts": -158.2,
}
ZBL = {
    "_target_": "nequip.nn.pair_potential.ZBL",
    "units": "metal",
    "chemical_species": ["O", "H", "C"],
}
CASES: dict[str, dict[str, Any]] = {
    "both_parities": {},
    "natural_parity": {"parity": False, "radial_mlp_depth": 2, "polynomial_cutoff_p": 5},
    "unequal_widths": {
        **SILICON,
        "num_features": [6, 4, 2],
        "type_embed_num_features": 5,
        "num_layers": 4,
    },
    "unequal_widths_of_types": {
        "num_features": [3, 5, 2],
        "type_embed_num_features": 7,
        "avg_num_neighbors": {"O": 5.0, "H": 4.0, "C": 9.0},
    },
    "l1": {**SILICON, "l_max": 1, "num_layers": 2, "radial_mlp_depth": 0},
    "l3": {"l_max": 3, "num_features": 2, "bessel_trainable": True},
    "mlp_readout": {
        "l_max": 1,
        "readout_mlp_hidden_layers_depth": 1,
        "readout_mlp_hidden_layers_width": 5,
        "per_type_energy_scales": None,
        "per_type_energy_shifts_trainable": True,
    },
    "deep_linear_readout": {
        "l_max": 1,
        "readout_mlp_hidden_layers_depth": 2,
        "readout_mlp_nonlinearity": None,
        "per_type_energy_scales_trainable": True,
    },
    "zbl": {"l_max": 1, "parity": False, "pair_potential": ZBL},
}


def exporter() -> ModuleType:
    """Load the exporter as the script that it is."""
    return _load("nequip_exporter", EXPORTERS / "nequip.py")


def neutral() -> ModuleType:
    """Load the writer of neutral files."""
    return _load("neutral", EXPORTERS / "neutral.py")


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def structures(type_names: list[str]) -> list[Atoms]:
    """Return rattled structures: a molecule and a crystal, far from symmetry."""
    generator = np.random.default_rng(7)
    if type_names == ["Si"]:
        crystal = bulk("Si", "diamond", 5.43, cubic=True)
        crystal.set_cell(crystal.cell.array @ (np.eye(3) + 0.03 * generator.random((3, 3))), True)
        result = [crystal, Atoms("Si4", generator.random((4, 3)) * 4.0)]
    else:
        ethanol = molecule("CH3CH2OH")
        packed = molecule("CH3CH2OH")
        packed.set_cell([[5.0, 0.3, 0.0], [0.0, 5.5, 0.2], [0.4, 0.0, 5.2]])
        packed.pbc = (True, True, True)
        result = [ethanol, packed, Atoms("O")]
    for atoms in result:
        atoms.positions += 0.1 * generator.standard_normal(atoms.positions.shape)
    return result


def evaluate(model: Any, atoms: Atoms) -> dict[str, Any]:
    """Return energy, energies of atoms, forces and, in a cell, stress."""
    data = from_ase(atoms)
    names = list(model.type_names)
    data = ChemicalSpeciesToAtomTypeMapper(model_type_names=names)(data)
    data = NeighborListTransform(r_max=float(model.metadata["r_max"]))(data)
    out = model(AtomicDataDict.to_(data, torch.device("cpu")))
    result = {
        "energy": out[AtomicDataDict.TOTAL_ENERGY_KEY].reshape(()),
        "energies": out[AtomicDataDict.PER_ATOM_ENERGY_KEY].reshape(-1),
        "forces": out[AtomicDataDict.FORCE_KEY],
        "numbers": torch.from_numpy(atoms.numbers),
        "positions": torch.from_numpy(atoms.positions),
    }
    if atoms.pbc.all():
        result["cell"] = torch.from_numpy(np.ascontiguousarray(atoms.cell.array))
        result["stress"] = out[AtomicDataDict.STRESS_KEY].reshape(3, 3)
    return result


def build(name: str) -> Any:
    """Build the model of a case, all its weights random."""
    arguments = {**SMALL, **CASES[name]}
    builder = FullNequIPGNNModel if "feature_irreps_hidden" in arguments else NequIPGNNModel
    seed = 100 + list(CASES).index(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = builder(seed=seed, model_dtype="float64", **arguments).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # what starts at a constant must not stay there
        for key, weights in model.named_parameters():
            if key.endswith(("bessel_weights", "scales", "shifts")):
                noise = torch.randn(weights.shape, generator=generator, dtype=weights.dtype)
                weights.mul_(1.0 + 0.02 * noise)
    return model


def main() -> None:
    """Write every case."""
    set_global_state()
    export, write = exporter(), neutral().write_neutral
    versions = {"nequip": _version("nequip"), "e3nn": _version("e3nn"), "torch": _version("torch")}
    for name in CASES:
        model = build(name)
        path = str(GOLDEN / name)
        settings, tensors = export.describe_model(model), export.tensors_of(model)
        write(f"{path}.safetensors", "nequip", versions, settings, tensors)
        results: dict[str, Any] = {}
        for n, atoms in enumerate(structures(list(model.type_names))):
            for key, value in evaluate(model, atoms).items():
                results[f"structure{n}.{key}"] = value
        parameters = sum(weights.numel() for weights in model.parameters())
        write(
            f"{path}.results.safetensors", "nequip", versions, {"parameters": parameters}, results
        )
        print(name, float(results["structure0.energy"].detach()), parameters)


def _version(package: str) -> str:
    return importlib.metadata.version(package)


if __name__ == "__main__":
    main()
