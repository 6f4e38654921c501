"""Structures that the codes are timed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read

RATTLE = 0.05
"""Å: standard deviation of the displacements of every structure."""


def silicon(repeats: int = 2) -> Atoms:
    """Return diamond silicon of 8 `repeats`^3 atoms, displaced at random."""
    atoms = bulk("Si", "diamond", 5.43, cubic=True).repeat(repeats)
    atoms.rattle(RATTLE, seed=0)
    return atoms


def molecules(copies: int = 5, data: Path | None = None) -> list[Atoms]:
    """Return molecules of H, C, N and O with 27 atoms each.

    Args:
        copies: how many.
        data: a file of which to take the first ones. By default they are benzene, pyridine and
            formaldehyde, stacked obliquely: atoms, elements and, with a cutoff of 5 Å, neighbours
            as many as in 3-(benzyloxy)pyridin-2-amine (3BPA). Each copy is displaced at random.
    """
    if data is not None:
        frames = read(data, index=f":{copies}")
        assert isinstance(frames, list)
        return [Atoms(atoms.numbers, atoms.positions) for atoms in frames]
    stack = Atoms()
    for level, name in enumerate(("C6H6", "C5H5N", "H2CO")):
        part = molecule(name)
        part.positions -= part.positions.mean(axis=0)
        *_, axes = np.linalg.svd(part.positions)  # the last is normal to the plane
        part.positions = part.positions @ axes.T
        part.positions += np.array([2.5, 0.0, 3.6]) * level
        stack += part
    result = []
    for seed in range(copies):
        copy = stack.copy()
        copy.rattle(RATTLE, seed=seed)
        result.append(copy)
    return result


def jitters(n_atoms: int, number: int = 64, size: float = 1e-3) -> np.ndarray:
    """Return displacements (number, atoms, 3) in Å that every contender runs through in turn."""
    return np.random.default_rng(1).normal(scale=size, size=(number, n_atoms, 3))
