"""Radial functions that the directions of a pair share: the same function and its derivatives."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.laws.potentials import for_every_potential
from tests.laws.systems import CHIRAL, SILICON, TRICLINIC
from torch import Tensor

from multiace.analysis.site_terms import structure_graph
from multiace.geometry import Graph
from multiace.potential import Potential

ROUNDING = 1e-11


def results(potential: Potential, graph: Graph) -> list[Tensor]:
    """Energies, forces, stress, and the gradients of the weights of a loss of forces."""
    found = potential(graph, forces=True, stress=True)
    assert found.forces is not None
    assert found.stress is not None
    loss = found.forces.square().sum() + found.energies.square().sum()
    gradients = torch.autograd.grad(loss, list(potential.parameters()), materialize_grads=True)
    stress = found.stress[~graph.volume.isnan()]
    return [found.energies, found.forces, stress, torch.cat([g.flatten() for g in gradients])]


@for_every_potential
def test_pairs_change_neither_predictions_nor_gradients_of_weights(potential: Potential) -> None:
    graph = structure_graph(potential, [CHIRAL, SILICON, TRICLINIC])
    assert graph.pairs is not None
    alone = results(potential, replace(graph, pairs=None))
    for one, other in zip(results(potential, graph), alone, strict=True):
        assert (one - other).abs().max() <= ROUNDING * other.abs().max()
