"""How far an atom's energy feels the other atoms."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from multiace.analysis.gradients import displaced_energies, gradient_or_zero
from multiace.analysis.site_terms import structure_graph
from multiace.geometry import Structure
from multiace.potential import Potential


def influence(potential: Potential, structure: Structure) -> Float64[np.ndarray, "atoms others"]:
    """Return |dE_i / dr_k|, eV/Å: how much the energy of atom i feels a move of atom k.

    It is exactly zero beyond the receptive field, layers x cutoff, where nothing connects the
    two atoms. Images of an atom move with it.

    Example:
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> design = botnet("small", layers=1, cutoff=2.0)
        >>> potential = Potential(design, (1,), statistics, seed=0)
        >>> positions = np.array([[0.0, 0, 0], [1.5, 0, 0], [3.0, 0, 0]])
        >>> chain = Structure(numbers=np.array([1, 1, 1]), positions=positions)
        >>> (influence(potential, chain)[0] > 0).tolist()
        [True, True, False]
    """
    graph = structure_graph(potential, [structure])
    displacements = graph.edge_vectors.new_zeros((graph.n_nodes, 3)).requires_grad_()
    with torch.enable_grad():
        energies = displaced_energies(potential, graph, displacements)
        gradients = [gradient_or_zero(energy, displacements) for energy in energies]
    return torch.stack(gradients).norm(dim=2).cpu().numpy()
