"""Atoms at the same place, at tiny distances, or alone give finite numbers, never NaN."""

from __future__ import annotations

import numpy as np
import torch
from tests.laws.potentials import for_every_potential
from tests.laws.systems import ATOM, ELEMENTS

from multiace.geometry import Structure, build_graph
from multiace.potential import Potential


def triple(distance: float) -> Structure:
    """Return two atoms a distance (Å) apart and a third one beside them."""
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance], [1.1, 0.3, -0.2]])
    return Structure(numbers=np.array([14, 14, 1]), positions=positions)


@for_every_potential
def test_atoms_at_the_same_place_give_finite_numbers(potential: Potential) -> None:
    for distance in (0.0, 1e-300, 1e-30, 1e-12, 1e-3):
        prediction = potential(build_graph(triple(distance), potential.cutoff, ELEMENTS))
        assert torch.isfinite(prediction.energy).all()
        assert torch.isfinite(prediction.forces).all()


@for_every_potential
def test_training_on_an_isolated_atom_gives_finite_gradients(potential: Potential) -> None:
    prediction = potential(build_graph(ATOM, potential.cutoff, ELEMENTS))
    potential.zero_grad()
    (prediction.energy.sum() + prediction.forces.square().sum()).backward()
    gradients = [weights.grad for weights in potential.parameters()]
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients)
    potential.zero_grad()
