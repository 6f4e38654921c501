"""Domains that exchange ghosts between layers give the numbers of the whole."""

import numpy as np
import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.laws.potentials import relative
from tests.laws.systems import LITHIUM, TRICLINIC
from tests.program.cases import evaluate, potential
from tests.program.domains import Domains

from multiace.geometry import Structure, build_graph

pytestmark = needs_compiled


def box(rng) -> Structure:
    """Return 3 x 2 x 1 cells of a mixture, shaken."""
    cell = TRICLINIC.cell * np.array([[3], [2], [1]])
    shifts = [(a, b, 0) for a in range(3) for b in range(2)]
    positions = np.concatenate([TRICLINIC.positions + s @ TRICLINIC.cell for s in np.array(shifts)])
    return Structure(
        numbers=np.tile(TRICLINIC.numbers, 6),
        positions=positions + 0.05 * rng.normal(size=positions.shape),
        cell=cell,
        pbc=(True, True, True),
    )


@pytest.mark.parametrize(("n_domains", "exact"), [(2, False), (3, True)])
@pytest.mark.parametrize(
    "name", ["mace", "nequip", "botnet", "zbl inside", "density", "norm", "pooled by element, pair"]
)
def test_domains_give_energies_and_forces_of_the_whole(name, n_domains, exact, rng):
    model, structure = potential(name), box(rng)
    energies, forces = Domains(model, structure, n_domains, exact=exact).evaluate()
    whole, whole_forces = Domains(model, structure, 1, exact=exact).evaluate()
    assert relative(energies.numpy(), whole.numpy()) < 1e-12
    assert relative(forces.numpy(), whole_forces.numpy()) < 1e-12
    if exact:
        graph = build_graph(structure, model.cutoff, model.elements)
        expected = evaluate(model, graph)
        assert float((whole - expected.energies).abs().max()) < 1e-12
        assert relative(forces.numpy(), expected.forces.numpy()) < 1e-12


def test_without_the_exchange_forces_are_wrong(rng, monkeypatch):
    """The test above can fail: layers beyond the first need their neighbours' features."""
    model, structure = potential("mace"), box(rng)
    _, whole = Domains(model, structure, 1, exact=True).evaluate()
    monkeypatch.setattr(Domains, "_add_to_owners", lambda self, t: None)
    _, forces = Domains(model, structure, 2, exact=True).evaluate()
    assert relative(forces.numpy(), whole.numpy()) > 1e-3


def test_a_domain_may_be_empty():
    model = potential("mace")
    positions = np.array([[0.1, 0.1, 0.2], [0.4, 1.4, 1.7]])
    structure = Structure(LITHIUM.numbers, positions, cell=LITHIUM.cell, pbc=LITHIUM.pbc)
    energies, forces = Domains(model, structure, 2, exact=True).evaluate()
    expected = evaluate(model, build_graph(structure, model.cutoff, model.elements))
    torch.testing.assert_close(energies, expected.energies, rtol=0, atol=1e-12)
    torch.testing.assert_close(forces, expected.forces, rtol=0, atol=1e-12)
