"""Make the golden numbers of mace-torch 0.3.16: random weights, neutral files, energies and forces.

    PYTHON_OF_MACE tests/golden/make/mace_0_3.py [NAME ...]

Run it in the environment of benchmarks/peers/mace.txt; `reduced_couplings` needs cuequivariance and
cuequivariance-torch 0.13.0 beside it, without which mace-torch builds unreduced ones. Each model of
`CASES` is written by the exporter that multiace ships as `mace_0_3/NAME.safetensors`, and its
energies (eV), energies of atoms, forces (eV/Å) and stress (eV/Å^3) of a few structures as
`NAME.results.safetensors`, for each head.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule

torch.serialization.add_safe_globals([slice])
torch.set_default_dtype(torch.float64)

from e3nn import o3  # noqa: E402
from mace import data, modules  # noqa: E402
from mace.tools import AtomicNumberTable, torch_geometric  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden" / "mace_0_3"
EXPORTERS = ROOT / "src" / "multiace" / "deploy" / "importers" / "exporters"

FIRST, REST = "interaction_cls_first", "interaction_cls"
NON_RESIDUAL = "RealAgnosticInteractionBlock"
RESIDUAL = "RealAgnosticResidualInteractionBlock"
DENSITY = "RealAgnosticDensityInteractionBlock"
DENSITY_RESIDUAL = "RealAgnosticDensityResidualInteractionBlock"

SMALL: dict[str, Any] = {
    "r_max": 5.0,
    "num_bessel": 8,
    "num_polynomial_cutoff": 5,
    "max_ell": 3,
    FIRST: RESIDUAL,
    REST: RESIDUAL,
    "num_interactions": 2,
    "hidden_irreps": "8x0e+8x1o",
    "MLP_irreps": "16x0e",
    "avg_num_neighbors": 11.7,
    "correlation": 3,
    "radial_MLP": [16, 16, 16],
    "use_reduced_cg": False,
    "gate": torch.nn.functional.silu,
    "atomic_inter_scale": 0.81,
    "atomic_inter_shift": 0.17,
}
PLAIN = {"atomic_inter_scale": None, "atomic_inter_shift": None}
CASES: dict[str, dict[str, Any]] = {
    # the blocks, transforms and repulsions of the published families, with fewer channels
    "mp_0": {"r_max": 6.0, "num_bessel": 10, "avg_num_neighbors": 35.98},
    "mp_0b3": {
        FIRST: DENSITY,
        REST: DENSITY_RESIDUAL,
        "r_max": 6.0,
        "num_bessel": 10,
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
    },
    "mpa_0": {
        FIRST: DENSITY,
        REST: DENSITY_RESIDUAL,
        "r_max": 6.0,
        "num_bessel": 10,
        "hidden_irreps": "4x0e+4x1o+4x2e",
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
        "atomic_inter_scale": [0.8],
        "atomic_inter_shift": [0.2],
    },
    "off_23": {FIRST: NON_RESIDUAL, "hidden_irreps": "12x0e"},
    "two_heads": {"heads": ["pbe", "scan"], "num_bessel": 6, "MLP_irreps": "5x0e"},
    "three_heads_with_density": {
        FIRST: DENSITY,
        REST: DENSITY_RESIDUAL,
        "heads": ["a", "b", "c"],
        "hidden_irreps": "6x0e",
        "pair_repulsion": True,
    },
    # fields one by one
    "correlation_by_layer": {"correlation": [3, 2], "hidden_irreps": "4x0e+4x1o+4x2e"},
    "correlation_1": {"correlation": [1, 2], "max_ell": 2, "radial_MLP": [12, 9]},
    "correlation_4": {"correlation": [4, 2], "max_ell": 1, "hidden_irreps": "4x0e"},
    "plain": {**PLAIN, FIRST: NON_RESIDUAL, "pair_repulsion": True, "max_ell": 2},
    "three_layers": {
        FIRST: NON_RESIDUAL,
        REST: NON_RESIDUAL,
        "num_interactions": 3,
        "avg_num_neighbors": 1.5,
        "atomic_inter_scale": 9.7,
        "max_ell": 2,
        "correlation": 2,
        "gate": torch.tanh,
        "use_last_readout_only": True,
    },
    "one_layer": {"num_interactions": 1, "correlation": 2, "elements": [14]},
    "density_on_weights": {
        FIRST: DENSITY,
        REST: DENSITY_RESIDUAL,
        "apply_cutoff": False,
        "correlation": 2,
        "hidden_irreps": "4x0e+4x1o",
    },
    "agnostic_products": {"use_agnostic_product": True, "correlation": 2, "elements": [14]},
    "last_layer_with_vectors": {
        "keep_last_layer_irreps": True,
        "correlation": 2,
        "gate": None,
        "hidden_irreps": "4x0e+4x1o",
    },
    "reduced_couplings": {"use_reduced_cg": True, "hidden_irreps": "4x0e+4x1o+4x2e"},
    "trained_frequencies": {"max_ell": 1, "correlation": 2, "hidden_irreps": "4x0e"},
}
E0 = {1: -13.5872, 6: -1029.489, 8: -2041.9816, 14: -7875.21}


def _needs_what_is_not_here(name: str) -> bool:
    missing = importlib.util.find_spec("cuequivariance_torch") is None
    return missing and CASES[name].get("use_reduced_cg", False)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_exporter", EXPORTERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(name: str) -> Any:
    """Build the model of a case, all its weights random."""
    fields = SMALL | CASES[name]
    elements = fields.pop("elements", [1, 6, 8])
    heads = fields.get("heads", ["Default"])
    energies = np.array([E0[number] for number in elements])
    rows = np.array([energies + 0.5 * n for n in range(len(heads))])
    for key in (FIRST, REST):
        fields[key] = modules.interaction_classes[fields[key]]
    for key in ("hidden_irreps", "MLP_irreps"):
        fields[key] = o3.Irreps(fields[key])
    scaled = {key: fields.pop(key) for key in PLAIN}
    if len(heads) > 1:
        scaled = {
            k: [value * (1 + 0.3 * n) for n in range(len(heads))] for k, value in scaled.items()
        }
    seed = 20 + list(CASES).index(name)
    torch.manual_seed(seed)
    model_class = modules.MACE if scaled["atomic_inter_scale"] is None else modules.ScaleShiftMACE
    model = model_class(
        num_elements=len(elements),
        atomic_numbers=elements,
        atomic_energies=rows if len(heads) > 1 else energies,
        **fields,
        **({} if model_class is modules.MACE else scaled),
    )
    if name == "trained_frequencies":
        frequencies = model.radial_embedding.bessel_fn.bessel_weights
        frequencies.mul_(1.0 + 0.02 * torch.randn(frequencies.shape))
    return model.eval()


def structures(elements: list[int]) -> list[Atoms]:
    """Return rattled structures: molecules, a crystal with a small cell, a slab, an atom."""
    generator = np.random.default_rng(7)
    if elements == [14]:
        crystal = bulk("Si", "diamond", 5.43)
        crystal.set_cell(crystal.cell.array @ (np.eye(3) + 0.03 * generator.random((3, 3))), True)
        slab = bulk("Si", "diamond", 5.43, cubic=True)
        slab.pbc = (True, True, False)
        result = [crystal, slab, Atoms("Si4", generator.random((4, 3)) * 4.0)]
    else:
        packed = molecule("CH3CH2OH")
        packed.set_cell([[5.0, 0.3, 0.0], [0.0, 5.5, 0.2], [0.4, 0.0, 5.2]])
        packed.pbc = (True, True, True)
        close = molecule("CO2")
        close.positions *= 0.75
        result = [molecule("CH3CH2OH"), packed, close, Atoms("O")]
    for atoms in result:
        atoms.positions += 0.1 * generator.standard_normal(atoms.positions.shape)
    return result


def evaluate(model: Any, atoms: Atoms, head: str) -> dict[str, Any]:
    """Return energy, energies of atoms, forces and, in a cell, stress of one head."""
    config = data.config_from_atoms(atoms)
    config.head = head
    if not atoms.pbc.any():
        config.cell, config.pbc = None, None
    table = AtomicNumberTable([int(number) for number in model.atomic_numbers])
    graph = data.AtomicData.from_config(
        config, z_table=table, cutoff=float(model.r_max), heads=model.heads
    )
    loader = torch_geometric.dataloader.DataLoader([graph], batch_size=1)
    periodic = bool(atoms.pbc.all())
    out = model(next(iter(loader)).to_dict(), compute_stress=periodic)
    result = {
        "energy": out["energy"].reshape(()),
        "energies": out["node_energy"].reshape(-1),
        "forces": out["forces"],
    }
    if periodic:
        result["stress"] = out["stress"].reshape(3, 3)
    return result


def describe(atoms: Atoms) -> dict[str, Any]:
    """Return the tensors of a structure."""
    return {
        "numbers": torch.from_numpy(atoms.numbers.astype(np.int64)),
        "positions": torch.from_numpy(atoms.positions),
        "cell": torch.from_numpy(np.ascontiguousarray(atoms.cell.array)),
        "pbc": torch.from_numpy(atoms.pbc.astype(np.int64)),
    }


def main() -> None:
    """Write every case."""
    export, write = _load("mace"), _load("neutral").write_neutral
    versions = {
        package: importlib.metadata.version(package) for package in ("mace-torch", "e3nn", "torch")
    }
    warnings.simplefilter("ignore")  # TorchScript, of e3nn
    for name in sys.argv[1:] or CASES:
        if _needs_what_is_not_here(name):
            print(f"{name} needs cuequivariance and cuequivariance-torch, and is left out")
            continue
        model = build(name)
        path = str(GOLDEN / name)
        settings, tensors = export.describe_model(model), export.tensors_of(model)
        write(f"{path}.safetensors", "mace", versions, settings, tensors)
        results: dict[str, Any] = {}
        for n, atoms in enumerate(structures(settings["elements"])):
            results |= {f"structure{n}.{key}": value for key, value in describe(atoms).items()}
            for head in settings["heads"]:
                for key, value in evaluate(model, atoms, head).items():
                    results[f"structure{n}.{head}.{key}"] = value
        parameters = sum(weights.numel() for weights in model.parameters())
        about = {"heads": settings["heads"], "parameters": parameters}
        write(f"{path}.results.safetensors", "mace", versions, about, results)
        print(
            name, float(results[f"structure0.{settings['heads'][0]}.energy"].detach()), parameters
        )


if __name__ == "__main__":
    main()
