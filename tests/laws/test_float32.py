"""float32 is float64 to a few digits less; docs/float32.md says how many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.potentials import (
    evaluate,
    for_every_potential,
    named_potential,
    random_potential,
)
from tests.laws.systems import CHIRAL, EVERYTHING, METHANOL, SILICON

from multiace.analysis.precision import float32_errors
from multiace.analysis.site_terms import structure_graph, terms_of_atoms
from multiace.analysis.symmetry import symmetry
from multiace.potential import Potential
from multiace.presets import PRESETS
from multiace.program import Plan

ENERGY = 1e-5  # eV/atom where no term of an atom's energy is larger than 1 eV, relative beyond
FORCES = 1e-4  # relative to the largest force
STRESS = 1e-4  # relative to the largest stress


@for_every_potential
def test_float32_agrees_with_float64(potential: Potential) -> None:
    found = float32_errors(potential, EVERYTHING)
    exact = [evaluate(potential, structure) for structure in EVERYTHING]
    force = max(1.0, *(np.abs(labels.forces).max() for labels in exact))
    stress = max(1e-2, *(np.abs(s.stress).max() for s in exact if s.stress is not None))
    term = max(1.0, *(np.abs(t[:, 1:]).max() for t in terms_of_atoms(potential, EVERYTHING)))
    assert found.energy_per_atom.largest < ENERGY * term
    assert found.forces.largest < FORCES * force
    assert found.stress.largest < STRESS * stress


@pytest.mark.parametrize("name", PRESETS)
def test_symmetries_hold_to_the_digits_of_float32(name: str) -> None:
    exact = named_potential(name)
    single = Potential(exact.design, exact.elements, exact.statistics, dtype=torch.float32)
    for structure in (CHIRAL, SILICON):
        for row in symmetry(single, structure):
            assert row.energy < ENERGY, row
            assert row.forces < FORCES, row
            assert (row.stress or 0.0) < STRESS, row


def test_total_energies_keep_their_digits_in_float32() -> None:
    """E0 are thousands of eV, of which float32 keeps 1e-4 eV."""
    potential = random_potential(PRESETS["botnet"]("small", channels=4))
    for structure in (METHANOL, SILICON):
        exact = abs(evaluate(potential, structure).energy)
        assert float32_errors(potential, [structure]).energy.largest < 1e-8 * exact


@pytest.mark.parametrize(
    ("kernels", "planned"), [("auto", False), ("reference", False), ("auto", True)]
)
def test_autocast_changes_not_a_bit(kernels: str, planned: bool) -> None:
    exact = named_potential("botnet")
    single = Potential(
        exact.design, exact.elements, exact.statistics, dtype=torch.float32, kernels=kernels
    )
    evaluate_graph = Plan(single).evaluate if planned else single
    graph = structure_graph(single, [CHIRAL])
    predictions = []
    for lowered in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=lowered):
            predictions.append(evaluate_graph(graph, forces=True, stress=False))
    assert torch.equal(predictions[0].energies, predictions[1].energies)
    assert torch.equal(predictions[0].forces, predictions[1].forces)


def test_matrix_products_are_not_rounded_to_tf32() -> None:
    evaluate(named_potential("botnet"), CHIRAL)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
