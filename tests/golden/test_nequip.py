"""Models of nequip 0.19.1, reproduced to the last digits."""

from __future__ import annotations

import pytest
import torch
from tests.golden.nequip_models import CASES, model, structures

from multiace.deploy.importers.nequip import import_nequip
from multiace.geometry.graph import build_graph

RELATIVE = 1e-9
FLOAT32_RELATIVE = 2e-5


def relative_error(found: torch.Tensor, expected: torch.Tensor, scale: torch.Tensor) -> float:
    return float((found - expected).abs().max() / scale.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_energies_forces_and_stress_are_those_of_nequip(name: str) -> None:
    potential = import_nequip(model(name), dtype=torch.float64)
    compared = 0
    for structure, expected in structures(name):
        graph = build_graph(structure, potential.cutoff, potential.elements)
        with torch.no_grad():
            found = potential(graph, stress="stress" in expected)
        baseline = potential.model.baseline
        bound = expected["energies"] - baseline.atomic_energies[graph.species]
        if graph.senders.numel() == 0:
            assert (found.energies - expected["energies"]).abs().max() < RELATIVE
            continue
        assert relative_error(found.energies, expected["energies"], bound) < RELATIVE
        assert relative_error(found.energy, expected["energy"], bound) < RELATIVE
        assert relative_error(found.forces, expected["forces"], expected["forces"]) < RELATIVE
        assert expected["forces"].abs().max() > 1e-3
        if "stress" in expected:
            stress = expected["stress"].unsqueeze(0)
            assert relative_error(found.stress, stress, stress) < RELATIVE
        compared += 1
    assert compared >= 2
