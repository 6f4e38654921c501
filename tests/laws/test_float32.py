"""float32 is float64 to a few digits less; docs/float32.md says how many."""

from __future__ import annotations

import numpy as np
from tests.laws.potentials import evaluate, for_every_potential, random_potential
from tests.laws.systems import EVERYTHING, METHANOL, SILICON

from multiace.analysis.precision import float32_errors
from multiace.potential import Potential
from multiace.presets import PRESETS

ENERGY = 1e-5  # eV/atom
FORCES = 1e-4  # relative to the largest force
STRESS = 1e-4  # relative to the largest virial, an energy


@for_every_potential
def test_float32_agrees_with_float64(potential: Potential) -> None:
    for structure in EVERYTHING:
        found, exact = float32_errors(potential, [structure]), evaluate(potential, structure)
        force = max(1.0, np.abs(exact.forces).max())
        assert found.energy_per_atom.largest < ENERGY * max(1.0, force)
        assert found.forces.largest < FORCES * force
        if structure.volume is not None:
            virial = max(1.0, np.abs(exact.stress).max() * structure.volume)
            assert found.stress.largest * structure.volume < STRESS * virial


def test_total_energies_keep_their_digits_in_float32() -> None:
    """E0 are thousands of eV, of which float32 keeps 1e-4 eV."""
    potential = random_potential(PRESETS["botnet"]("small", channels=4))
    for structure in (METHANOL, SILICON):
        exact = abs(evaluate(potential, structure).energy)
        assert float32_errors(potential, [structure]).energy.largest < 1e-8 * exact
