"""Small data and models that train in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from multiace.design import Design, Statistics
from multiace.geometry import Labels, Structure
from multiace.potential import Potential
from multiace.presets import PRESETS
from multiace.presets.build import merge
from multiace.training import TrainingConfig, make_config

ENERGIES = {"H": -13.5, "O": -2040.0}
DESIGN: dict[str, Any] = {
    "layers": 2,
    "channels": 2,
    "l_max": 1,
    "features_l_max": 1,
    "cutoff": 3.0,
    "radial": {"number": 3, "hidden": [4]},
    "readout": {"hidden": 2},
}
"""Changes to the small BOTNet that leave a few hundred weights."""


def molecules(
    n_structures: int, seed: int = 0, *, energy: bool = True, forces: bool = True
) -> list[Structure]:
    """Return bent H-O-H molecules labelled by springs between all pairs of atoms."""
    rng = np.random.default_rng(seed)
    return [_molecule(rng, index, energy, forces) for index in range(n_structures)]


def _molecule(rng: np.random.Generator, index: int, energy: bool, forces: bool) -> Structure:
    rest = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = rest + 0.1 * rng.normal(size=(3, 3))
    value, gradient = 0.0, np.zeros((3, 3))
    for i in range(3):
        for j in range(i):
            between = positions[i] - positions[j]
            distance = np.linalg.norm(between)
            stretch = distance - np.linalg.norm(rest[i] - rest[j])
            value += 0.5 * 20.0 * stretch**2
            gradient[i] += 20.0 * stretch * between / distance
            gradient[j] -= 20.0 * stretch * between / distance
    reference = ENERGIES["O"] + 2 * ENERGIES["H"] - 10.0
    return Structure(
        numbers=np.array([8, 1, 1]),
        positions=positions,
        labels=Labels(
            energy=reference + value if energy else None, forces=-gradient if forces else None
        ),
        source=f"molecules.xyz:{index}",
    )


def crystals(n_structures: int, seed: int = 0) -> list[Structure]:
    """Return strained two-atom cells with random labels, stress among them."""
    rng = np.random.default_rng(seed)
    structures = []
    for index in range(n_structures):
        cell = 3.0 * np.eye(3) + 0.1 * rng.normal(size=(3, 3))
        stress = rng.normal(size=(3, 3))
        structures.append(
            Structure(
                numbers=np.array([1, 8]),
                positions=np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]) @ cell,
                cell=cell,
                pbc=(True, True, True),
                labels=Labels(
                    energy=rng.normal() - 2050.0,
                    forces=rng.normal(size=(2, 3)),
                    stress=0.5 * (stress + stress.T),
                ),
                source=f"crystals.xyz:{index}",
            )
        )
    return structures


def design(**changes: Any) -> Design:
    """Return a BOTNet of a few hundred weights."""
    return PRESETS["botnet"]("small", **{**DESIGN, **changes})


def potential(seed: int = 0, **options: Any) -> Potential:
    """Return a tiny potential for H and O."""
    changes = options.pop("changes", {})
    statistics = Statistics(mean_neighbours=2.0, atomic_energies=ENERGIES, scale=1.0)
    return Potential(design(**changes), (1, 8), statistics, seed=seed, **options)


def write(path: Path, structures: list[Structure]) -> Path:
    """Write structures as extended XYZ."""
    ase.io.write(path, [structure.to_ase() for structure in structures], format="extxyz")
    return path


def config_fields(directory: Path, **changes: Any) -> dict[str, Any]:
    """Return the fields of a run on water molecules in a directory."""
    train = directory / "train.xyz"
    if not train.exists():
        write(train, molecules(12))
    fields = {
        "design": {"preset": "botnet", "size": "small", **DESIGN},
        "data": {"train": str(train), "valid": 3, "energies": ENERGIES},
        "loss": {"energy": 1.0, "forces": 10.0},
        "batch": {"structures": 2},
        "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
        "epochs": 3,
        "seed": 1,
        "dtype": "float64",
        "device": "cpu",
        "out": str(directory / "run"),
    }
    return merge(fields, changes)


def config(directory: Path, **changes: Any) -> TrainingConfig:
    """Return the config of a run on water molecules in a directory."""
    return make_config(config_fields(directory, **changes))
