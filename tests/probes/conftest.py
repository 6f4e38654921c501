"""Surfaces with known answers, as ASE calculators."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from multiace.design import Design, Statistics
from multiace.potential import Potential

STIFFNESS, LENGTH = 20.0, 1.1  # eV/Å², Å


class PairCalculator(Calculator):
    """E = sum_{i<j} u(r_ij) for a function u and its derivative, without periodicity."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self, u: Callable[[np.ndarray], np.ndarray], slope: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        super().__init__()
        self.u, self.slope = u, slope

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        vectors = self.atoms.positions[None] - self.atoms.positions[:, None]  # r_j - r_i
        i, j = np.triu_indices(len(self.atoms), 1)
        v = vectors[i, j]
        r = np.linalg.norm(v, axis=1)
        pull = (self.slope(r) / r)[:, None] * v if len(r) else v
        forces = np.zeros_like(self.atoms.positions)
        np.add.at(forces, i, pull)
        np.subtract.at(forces, j, pull)
        self.results = {"energy": float(self.u(r).sum()), "forces": forces}


def harmonic(stiffness: float = STIFFNESS, length: float = LENGTH) -> PairCalculator:
    """u = k (r - r0)² / 2."""
    return PairCalculator(
        lambda r: 0.5 * stiffness * (r - length) ** 2, lambda r: stiffness * (r - length)
    )


def rippled(height: float, wavelength: float) -> PairCalculator:
    """The harmonic pair with a sine on top."""
    k = 2.0 * np.pi / wavelength
    return PairCalculator(
        lambda r: 0.5 * STIFFNESS * (r - LENGTH) ** 2 + height * np.sin(k * (r - LENGTH)),
        lambda r: STIFFNESS * (r - LENGTH) + height * k * np.cos(k * (r - LENGTH)),
    )


@pytest.fixture
def potentials() -> list[Potential]:
    """Three seeds of one small design."""
    design = Design(layers=2, channels=4, l_max=2, features_l_max=1, cutoff=3.0)
    energies = {"H": -13.0, "C": -1029.0, "O": -2041.0}
    statistics = Statistics(mean_neighbours=4.0, atomic_energies=energies)
    import torch

    return [
        Potential(design, (1, 6, 8), statistics, dtype=torch.float64, seed=seed)
        for seed in range(3)
    ]
