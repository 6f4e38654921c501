"""Law 14: an atom's energy feels what lies within its receptive field, and nothing beyond."""

from __future__ import annotations

import numpy as np
from tests.laws.potentials import for_every_potential

from multiace.analysis.locality import influence
from multiace.design.describe import describe
from multiace.geometry import Structure
from multiace.potential import Potential

N_ATOMS = 6


def chain(cutoff: float) -> Structure:
    """Return a zigzag in which only next neighbours are within the cutoff."""
    k = np.arange(N_ATOMS)
    spacing = 0.6 * cutoff
    positions = spacing * np.stack([k, 0.3 * (k % 2), 0.2 * (k % 3)], axis=1)
    return Structure(numbers=np.array([6, 8, 14, 1, 3, 6]), positions=positions)


@for_every_potential
def test_influence_is_zero_beyond_the_receptive_field_and_positive_inside(
    potential: Potential,
) -> None:
    found = influence(potential, chain(potential.cutoff))
    hops = np.abs(np.subtract.outer(np.arange(N_ATOMS), np.arange(N_ATOMS)))
    layers = potential.design.last_readout
    assert (found[hops > layers] == 0.0).all()
    assert (found[hops <= layers] > 0.0).all()
    assert describe(potential.design).receptive_field == layers * potential.cutoff
