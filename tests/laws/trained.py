"""A small MACE after a few steps of training: weights that are no longer random."""

from __future__ import annotations

import numpy as np
import torch
from tests.laws.systems import CHIRAL, ELEMENTS, METHANOL

from multiace.design import Statistics
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.potential import Potential
from multiace.presets import mace

STEPS = 20
DEPTH, WIDTH, BOND = 1.0, 1.5, 1.2  # of the Morse pairs to learn: eV, 1/Å, Å


def morse(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Return energy and forces of D sum_{i<j} (1 - exp(-a (r - r0)))^2 - D."""
    vectors = positions[None, :, :] - positions[:, None, :]
    distances = np.linalg.norm(vectors, axis=2) + np.eye(len(positions))
    decay = np.exp(-WIDTH * (distances - BOND)) * (1.0 - np.eye(len(positions)))
    energy = 0.5 * DEPTH * (decay**2 - 2.0 * decay).sum()
    slope = 2.0 * WIDTH * DEPTH * (decay - decay**2)  # dE/dr of each pair
    return energy, ((slope / distances)[:, :, None] * vectors).sum(axis=1)


def trained_potential() -> Potential:
    """Fit energies and forces of Morse molecules for a few dozen steps of Adam."""
    rng = np.random.default_rng(0)
    positions = [
        molecule.positions + rng.normal(scale=0.1, size=molecule.positions.shape)
        for molecule in (METHANOL, CHIRAL)
        for _ in range(2)
    ]
    numbers = [molecule.numbers for molecule in (METHANOL, CHIRAL) for _ in range(2)]
    labels = [morse(of_atoms) for of_atoms in positions]
    energies = torch.tensor([energy for energy, _ in labels])
    forces = torch.from_numpy(np.concatenate([of_atoms for _, of_atoms in labels]))

    design = mace("small", channels=4, cutoff=4.0, energy={"zbl": "outside"})
    atomic_energies = {"H": -13.6, "Li": -203.0, "C": -1029.0, "O": -2042.0, "Si": -7875.0}
    statistics = Statistics(mean_neighbours=4.6, atomic_energies=atomic_energies, scale=1.0)
    potential = Potential(design, ELEMENTS, statistics, dtype=torch.float64, seed=0)
    graphs = [
        build_graph(Structure(of_numbers, of_atoms), potential.cutoff, ELEMENTS)
        for of_numbers, of_atoms in zip(numbers, positions, strict=True)
    ]
    graph = batch_graphs(graphs)
    optimiser = torch.optim.Adam(potential.parameters(), lr=0.02)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        prediction = potential(graph)
        of_interaction = prediction.contributions[:, 1:].sum(dim=1)
        loss = (prediction.forces - forces).square().mean()
        loss = loss + ((of_interaction - energies) / graph.n_atoms).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0], losses
    return potential
