"""Models of mace-torch 0.3.16 and nequip 0.19.1, reproduced to the last digits."""

from __future__ import annotations

import pytest
import torch
from tests.golden.peers import CASES, Case

from multiace.design import Design
from multiace.geometry.graph import build_graph

RELATIVE = 1e-9
FLOAT32_RELATIVE = 1e-4


def relative_error(found: torch.Tensor, expected: torch.Tensor, scale: torch.Tensor) -> float:
    return float((found - expected).abs().max() / scale.abs().max())


def check(case: Case, relative: float, **options: object) -> None:
    """Compare energies, without E0, forces and stress of every structure."""
    potential = case.potential(**options)
    compared = 0
    for structure, expected in case.structures:
        graph = build_graph(structure, potential.cutoff, potential.elements)
        with torch.no_grad():
            found = potential(graph, stress="stress" in expected)
        bound = expected["energies"] - potential.model.baseline.atomic_energies[graph.species]
        scale = bound if graph.n_edges else bound.abs() + 1.0
        assert relative_error(found.energies, expected["energies"], scale) < relative
        assert relative_error(found.energy, expected["energy"], scale) < relative
        if not graph.n_edges:
            continue
        assert expected["forces"].abs().max() > 1e-3
        assert relative_error(found.forces, expected["forces"], expected["forces"]) < relative
        if "stress" in expected:
            stress = expected["stress"].unsqueeze(0)
            assert relative_error(found.stress, stress, stress) < relative
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("case", CASES, ids=str)
def test_energies_forces_and_stress_are_those_of_the_peer(case: Case) -> None:
    check(case, RELATIVE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision_agrees_to_its_digits(case: Case) -> None:
    check(case, FLOAT32_RELATIVE, dtype=torch.float32)


UNPRUNED = [case for case in CASES if case.peer == "mace"]


@pytest.mark.parametrize("case", UNPRUNED, ids=str)
def test_what_is_pruned_does_not_change_the_energy(case: Case) -> None:
    check(case, RELATIVE, prune=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_imported_design_is_a_plain_design(case: Case) -> None:
    design = case.potential().design
    assert Design.model_validate(design.to_dict()) == design


def test_heads_differ() -> None:
    two = [case.potential() for case in CASES if case.name == "two_heads"]
    assert len(two) == 2
    assert two[0].statistics != two[1].statistics
    readouts = [potential.model.readouts["1"].first for potential in two]
    assert not torch.equal(*readouts)
