"""The models of the paper and of mace-torch, reproduced to the last digits."""

from __future__ import annotations

import pytest
import torch
from tests.golden.golden import MACE, PAPER, Golden

from multiace.design import Design
from multiace.design.parameters import count_parameters
from multiace.geometry.graph import build_graph

ENERGY_PER_ATOM = 1e-9  # eV
FORCE = 1e-9  # eV/Å
RELATIVE = 1e-8


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("name", PAPER + MACE)
def test_energies_forces_and_stress_are_those_of_the_original(name: str, prune: bool) -> None:
    golden = Golden.read(name)
    potential = golden.potential(prune=prune)
    for structure, expected in golden.structures:
        graph = build_graph(structure, potential.cutoff, potential.elements)
        with torch.no_grad():
            found = potential(graph, stress="stress" in expected)
        assert abs(found.energy - expected["energy"]).item() < ENERGY_PER_ATOM * len(graph.species)
        assert (found.forces - expected["forces"]).abs().max() < FORCE
        if "node_energies" in expected:
            assert (found.energies - expected["node_energies"]).abs().max() < ENERGY_PER_ATOM
        if "contributions" in expected:
            assert potential.terms == ("E0", "E1", "E2", "E3")
            error = (found.contributions - expected["contributions"]).abs()
            assert (error <= RELATIVE * expected["contributions"].abs()).all()
        if "stress" in expected:
            error = (found.stress - expected["stress"]).abs().max()
            assert error < RELATIVE * expected["stress"].abs().max()


@pytest.mark.parametrize("name", PAPER + MACE)
def test_unpruned_model_has_the_parameters_of_the_original(name: str) -> None:
    golden = Golden.read(name)
    assert golden.potential(prune=False).n_parameters == golden.settings["parameters"]


@pytest.mark.parametrize("name", PAPER + MACE)
def test_golden_forces_are_not_small(name: str) -> None:
    expected = Golden.read(name).structures[0][1]
    assert expected["forces"].abs().max() > 1e-3


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("name", MACE)
def test_gradients_of_the_force_loss_are_those_of_the_original(name: str, prune: bool) -> None:
    golden = Golden.read(name)
    potential = golden.potential(prune=prune)
    structure, _ = golden.structures[0]
    graph = build_graph(structure, potential.cutoff, potential.elements)
    potential(graph).forces.square().sum().backward()

    # our weights are linear in theirs: carry our gradient back through that map
    expected = golden.starting_with("force_loss_gradient.")
    theirs = {
        key: tensor.clone().requires_grad_(key in expected)
        for key, tensor in golden.starting_with("weights.").items()
    }
    ours = golden.convert(potential, theirs)
    gradients = {key: weights.grad for key, weights in potential.named_parameters()}
    assert set(gradients) == set(ours)
    sum((ours[key] * g).sum() for key, g in gradients.items() if g is not None).backward()

    largest = max(gradient.abs().max() for gradient in expected.values())
    for key, gradient in expected.items():
        found = theirs[key].grad
        found = torch.zeros_like(gradient) if found is None else found
        scale = max(gradient.abs().max(), 1e-6 * largest)
        assert (found - gradient).abs().max() <= RELATIVE * scale, key


def test_imported_design_is_a_plain_design() -> None:
    design = Golden.read("nequip").potential().design
    assert Design.model_validate(design.to_dict()) == design
    assert sum(count_parameters(design, 4, prune=False).values()) == 59312


@pytest.mark.parametrize("name", ["nequip", "mace_si_L2"])
def test_weights_of_parts_we_do_not_have_are_refused(name: str) -> None:
    golden = Golden.read(name)
    golden.tensors["weights.pair_repulsion_fn.a_exp"] = torch.tensor([0.3])
    with pytest.raises(ValueError, match="not supported: pair_repulsion_fn.a_exp"):
        golden.potential()


def test_trained_bessel_frequencies_are_refused() -> None:
    golden = Golden.read("nequip")
    golden.tensors["weights.radial_embedding.bessel_fn.bessel_weights"][2] *= 1.01
    with pytest.raises(ValueError, match="trained Bessel frequencies"):
        golden.potential()
