"""Designs, structures and training runs that `benchmarks.frozen` evaluates."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from tests.program.cases import BASE, FEATURES

from multiace.design import Design
from multiace.geometry import Labels, Structure
from multiace.presets import PRESETS

ELEMENTS = (1, 3, 6, 8, 14)
ATOMIC_ENERGIES = {"H": -1.36, "Li": -2.03, "C": -1.03, "O": -2.04, "Si": -7.88}

RUNS: dict[str, dict[str, Any]] = {
    "autograd": {"design": {"preset": "mace"}, "tracing": "never"},
    "traced": {"design": {"preset": "nequip"}, "tracing": "always"},
    "radial grid": {"design": {"preset": "botnet-ssh"}, "tracing": "never", "radial_grid": 32},
}


def structures() -> list[Structure]:
    """Return a molecule, a triclinic cell smaller than the cutoff, a lone atom and a slab."""
    molecule = [[0.0, 0.7, 0.0], [0.0, -0.8, -0.1], [-1.1, 1.0, 0.1]]
    molecule += [[0.4, 1.1, 0.9], [0.5, 1.0, -0.9], [-0.9, -1.1, 0.2]]
    cell = [[3.6, 0.2, -0.1], [1.7, 3.4, 0.2], [-1.2, 0.9, 3.8]]
    surface = [[3.3, 0.2, 0.0], [-1.1, 3.5, 0.1], [0.0, 0.0, 0.0]]
    rows = (
        ([6, 8, 1, 1, 1, 1], molecule, None, False),
        ([14, 8, 1], [[0.2, 0.1, 0.0], [1.3, 1.2, 0.4], [2.5, 0.6, 2.2]], cell, True),
        ([8], [[0.3, -0.2, 0.7]], None, False),
        ([14, 8, 3], [[0.1, 0.2, 0.0], [1.5, 1.1, 1.2], [2.9, 0.4, 2.1]], surface, (1, 1, 0)),
    )
    rng = np.random.default_rng(0)
    result = []
    for numbers, positions, cell, pbc in rows:
        atoms = Atoms(numbers, positions, cell=cell, pbc=pbc)
        plain = Structure.from_ase(atoms)
        labels = Labels(
            energy=float(rng.normal()),
            forces=rng.normal(size=(len(atoms), 3)),
            stress=None if plain.volume is None else 0.1 * _symmetric(rng.normal(size=(3, 3))),
        )
        fields = {name: getattr(plain, name) for name in ("numbers", "positions", "cell", "pbc")}
        result.append(Structure(**fields, labels=labels))
    return result


def _symmetric(x: np.ndarray) -> np.ndarray:
    return 0.5 * (x + x.T)


def designs() -> dict[str, Design]:
    """Return every preset, small, and designs with each part that is computed apart."""
    presets = {name: make("small", channels=4, cutoff=4.0) for name, make in PRESETS.items()}
    return presets | {name: Design.model_validate(BASE | f) for name, f in FEATURES.items()}


def alloys(number: int) -> list[Atoms]:
    """Return small distorted cells of aluminium and copper, labelled by effective medium theory."""
    rng, frames = np.random.default_rng(5), []
    for seed in range(number):
        atoms = bulk("Cu", "fcc", 3.7 + 0.3 * rng.random(), cubic=True)
        atoms.symbols[: seed % 4] = "Al"
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        stress = atoms.get_stress(voigt=False)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
        frames.append(atoms)
    return frames
