"""Energy, forces and stress of batches; dtypes, seeds and gradients."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.laws.potentials import statistics
from tests.laws.systems import ATOM, CHIRAL, ELEMENTS, METHANOL, SLAB, TRICLINIC

from multiace.design import Design, Statistics
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.potential import Potential
from multiace.presets import botnet

DESIGN = botnet("small", layers=2, channels=2, cutoff=3.5, energy={"shift": "mean"})
STEP = 1e-4  # of central differences: Å, strain or weights
DIFFERENCE = 1e-6  # what they leave, relative to values of order one
FLOAT32 = 1e-4  # relative error of energies and forces in float32


def build(design=DESIGN, **fields):
    return Potential(design, ELEMENTS, statistics(design), **({"dtype": torch.float64} | fields))


def graph_of(structure, design=DESIGN):
    return build_graph(structure, design.cutoff, ELEMENTS)


def energy_of(potential, structure):
    with torch.no_grad():
        return potential(graph_of(structure), forces=False).energy.item()


def displaced(structure, atom, axis, step):
    positions = structure.positions.copy()
    positions[atom, axis] += step
    return Structure(structure.numbers, positions, structure.cell, structure.pbc)


def strained(structure, strain):
    deformation = np.eye(3) + strain
    return Structure(
        structure.numbers,
        structure.positions @ deformation,
        structure.cell @ deformation,
        structure.pbc,
    )


@pytest.mark.parametrize("structure", [CHIRAL, TRICLINIC, SLAB], ids=lambda s: s.config_type)
def test_forces_are_minus_the_slope_of_the_energy(structure):
    potential = build()
    forces = potential(graph_of(structure)).forces
    for atom in range(structure.n_atoms):
        for axis in range(3):
            ahead, behind = (
                energy_of(potential, displaced(structure, atom, axis, step))
                for step in (STEP, -STEP)
            )
            expected = -(ahead - behind) / (2 * STEP)
            assert forces[atom, axis].item() == pytest.approx(expected, abs=DIFFERENCE)


def test_stress_is_the_slope_of_the_energy_along_strains_over_the_volume():
    potential = build()
    stress = potential(graph_of(TRICLINIC), stress=True).stress[0]
    assert torch.equal(stress, stress.mT)
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] += STEP / 2
            strain[b, a] += STEP / 2
            ahead, behind = (
                energy_of(potential, strained(TRICLINIC, sign * strain)) for sign in (1, -1)
            )
            expected = (ahead - behind) / (2 * STEP) / TRICLINIC.volume
            assert stress[a, b].item() == pytest.approx(expected, abs=DIFFERENCE)


def test_structures_without_volume_have_no_stress_and_the_others_keep_theirs():
    potential = build()
    together = [METHANOL, TRICLINIC, SLAB, ATOM]
    stress = potential(batch_graphs([graph_of(s) for s in together]), stress=True).stress
    alone = potential(graph_of(TRICLINIC), stress=True).stress
    torch.testing.assert_close(stress[1:2], alone)
    assert stress[[0, 2, 3]].isnan().all()
    assert stress[1].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_gives_what_its_structures_give_alone(dtype):
    potential = build(dtype=dtype)
    structures = [METHANOL, ATOM, TRICLINIC, CHIRAL]
    batch = potential(batch_graphs([graph_of(s) for s in structures]))
    alone = [potential(graph_of(s)) for s in structures]
    for name in ("energy", "energies", "contributions", "forces"):
        expected = torch.cat([getattr(prediction, name) for prediction in alone])
        torch.testing.assert_close(getattr(batch, name), expected, rtol=1e-5, atol=1e-5)
        assert expected.dtype == (dtype if name == "forces" else torch.float64)


def test_energies_and_contributions_add_up_to_the_energy():
    prediction = build()(batch_graphs([graph_of(METHANOL), graph_of(CHIRAL)]))
    n = METHANOL.n_atoms
    sums = torch.stack([prediction.energies[:n].sum(), prediction.energies[n:].sum()])
    torch.testing.assert_close(prediction.energy, sums)
    torch.testing.assert_close(prediction.energy, prediction.contributions.sum(dim=1))


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.parametrize("stress", [False, True])
def test_only_what_is_asked_for_is_there(forces, stress):
    prediction = build()(graph_of(TRICLINIC), forces=forces, stress=stress)
    assert (prediction.forces is not None) == forces
    assert (prediction.stress is not None) == stress


def test_without_gradients_the_numbers_are_the_same_and_hold_no_graph():
    potential, graph = build(), graph_of(TRICLINIC)
    with torch.no_grad():
        free = potential(graph, stress=True)
        assert not torch.is_grad_enabled()
    bound = potential(graph, stress=True)
    for name in ("energy", "energies", "contributions", "forces", "stress"):
        assert not getattr(free, name).requires_grad
        assert getattr(bound, name).requires_grad
        torch.testing.assert_close(getattr(free, name), getattr(bound, name).detach())


def test_evaluation_leaves_the_graph_and_the_gradients_of_weights_alone():
    potential, graph = build(), graph_of(TRICLINIC)
    before = graph.edge_vectors.clone()
    potential(graph, stress=True)
    assert torch.equal(graph.edge_vectors, before)
    assert not graph.edge_vectors.requires_grad
    assert all(weights.grad is None for weights in potential.parameters())


@pytest.mark.parametrize("quantity", ["energy", "contributions", "forces", "stress"])
def test_losses_differentiate_by_the_weights(quantity):
    """Along a random direction, against central differences of the loss."""
    potential, graph = build(), graph_of(TRICLINIC)
    weights = dict(potential.named_parameters())
    value = getattr(potential(graph, stress=True), quantity).detach()
    target = value - torch.randn_like(value)

    def loss():
        return (getattr(potential(graph, stress=True), quantity) - target).square().mean()

    gradients = torch.autograd.grad(loss(), list(weights.values()), materialize_grads=True)
    directions = [torch.randn_like(w) for w in weights.values()]
    expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)).item()
    assert abs(expected) > 1e-5
    values = []
    for step in (STEP, -2 * STEP):
        with torch.no_grad():
            for w, direction in zip(weights.values(), directions, strict=True):
                w += step * direction
        values.append(loss().item())
    assert (values[0] - values[1]) / (2 * STEP) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("structure", [ATOM, CHIRAL], ids=["no edges", "edges"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_atom_without_neighbours_has_e0_to_the_last_digit_and_no_force(structure, dtype):
    e0 = {"H": -13.605693122994, "Li": -1.0, "C": -1029.4, "O": -2041.8396812345678, "Si": -7875.1}
    numbers = Statistics(mean_neighbours=3.0, atomic_energies=e0)
    design = botnet("small", layers=2, channels=2, cutoff=0.5)
    potential = Potential(design, ELEMENTS, numbers, dtype=dtype)
    prediction = potential(graph_of(structure, design))
    symbols = {1: "H", 3: "Li", 6: "C", 8: "O", 14: "Si"}
    assert prediction.energies.tolist() == [e0[symbols[z]] for z in structure.numbers]
    assert (prediction.forces == 0).all()


@pytest.mark.parametrize("design", [DESIGN, Design(layers=2, channels=2, cutoff=3.5, l_max=2)])
def test_float32_starts_from_the_weights_of_float64_and_agrees_with_it(design):
    single, double = (
        build(design, dtype=dtype, seed=4) for dtype in (torch.float32, torch.float64)
    )
    for (name, some), (_, other) in zip(
        single.named_parameters(), double.named_parameters(), strict=True
    ):
        assert torch.equal(some, other.float()), name
    found, expected = (p(graph_of(CHIRAL, design)) for p in (single, double))
    assert found.forces.dtype == torch.float32
    scale = expected.forces.abs().max()
    assert (found.forces - expected.forces).abs().max() < FLOAT32 * scale
    readouts = expected.contributions[:, 2:].abs().max()
    assert (found.energy - expected.energy).abs().max() < FLOAT32 * max(1.0, readouts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_follows_the_weights(dtype):
    potential = build(dtype=torch.float32).to(dtype)
    assert potential.dtype == dtype
    prediction = potential(graph_of(CHIRAL))
    assert prediction.forces.dtype == dtype
    assert prediction.energy.dtype == torch.float64
    expected = build(dtype=torch.float32)(graph_of(CHIRAL)).energy
    torch.testing.assert_close(prediction.energy, expected, rtol=1e-7, atol=1e-3)


def test_seed_decides_the_weights():
    first, same, other = (
        torch.cat([w.flatten() for w in build(seed=seed).parameters()]) for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert abs(torch.corrcoef(torch.stack([first, other]))[0, 1]) < 0.1


def test_only_weights_are_saved_and_they_are_all_that_is_needed():
    potential, other = build(seed=0), build(seed=1)
    assert set(potential.state_dict()) == {name for name, _ in potential.named_parameters()}
    other.load_state_dict(potential.state_dict())
    graph = graph_of(CHIRAL)
    assert torch.equal(other(graph).forces, potential(graph).forces)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"dtype": torch.float16},
            "dtype must be torch.float32 or torch.float64, got torch.float16",
        ),
        ({"elements": (6, 1)}, r"elements must be sorted and distinct, got \(6, 1\)"),
        ({"elements": (1, 1, 6)}, r"elements must be sorted and distinct, got \(1, 1, 6\)"),
        ({"elements": ()}, r"elements must be sorted and distinct, got \(\)"),
        ({"elements": (1, 7)}, "atomic_energies has no number for N"),
        ({"kernels": "fast"}, "kernels must be 'auto' or one of"),
    ],
)
def test_potential_that_cannot_be_built_is_refused(fields, message):
    fields = {"elements": ELEMENTS, "dtype": torch.float32} | fields
    with pytest.raises(ValueError, match=message):
        Potential(DESIGN, fields.pop("elements"), statistics(DESIGN), **fields)


def third_derivatives(potential, graph):
    """Return gradients of the squared gradients of a loss of forces."""
    parameters = list(potential.parameters())
    loss = potential(graph).forces.square().sum()
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    squares = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
    return torch.autograd.grad(squares, parameters, materialize_grads=True)


GATED = Design(layers=2, channels=2, l_max=1, cutoff=3.5, update={"nonlinearity": "gate"})


def test_a_copy_is_the_same_function_with_weights_of_its_own():
    potential, graph = build(GATED), graph_of(METHANOL)
    copied = copy.deepcopy(potential)
    assert copied.kernels is potential.kernels
    before = potential(graph).forces.detach()
    with torch.no_grad():
        for weights in potential.parameters():
            weights += 0.1
    torch.testing.assert_close(copied(graph).forces.detach(), before, rtol=0, atol=0)
    assert not torch.equal(potential(graph).forces.detach(), before)


_ELSEWHERE = """
import pickle, sys, torch
from tests.test_potential import third_derivatives
with open(sys.argv[1], "rb") as file:
    potential, graph, expected = pickle.load(file)
torch.testing.assert_close(third_derivatives(potential, graph), expected, rtol=1e-9, atol=1e-9)
print("equal")
"""


@pytest.mark.parametrize("design", [GATED, DESIGN], ids=["gated", "botnet"])
def test_a_pickle_computes_the_same_in_another_process(design, tmp_path):
    potential, graph = build(design), graph_of(METHANOL, design)
    with (tmp_path / "pickle").open("wb") as file:
        pickle.dump((potential, graph, third_derivatives(potential, graph)), file)
    command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path / "pickle")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr


def test_forces_differentiate_by_edge_vectors_that_ask_for_it():
    potential, graph = build(), graph_of(METHANOL)
    vectors = graph.edge_vectors.clone().requires_grad_()
    forces = potential(replace(graph, edge_vectors=vectors)).forces
    (slopes,) = torch.autograd.grad(forces[0, 0], vectors)
    step, direction = 1e-5, torch.randn(vectors.shape, dtype=torch.float64)
    ahead, behind = (
        potential(replace(graph, edge_vectors=graph.edge_vectors + sign * step * direction))
        for sign in (1, -1)
    )
    expected = (ahead.forces[0, 0] - behind.forces[0, 0]).item() / (2 * step)
    assert (slopes * direction).sum().item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_inference_mode_gives_the_same_numbers():
    with torch.inference_mode():
        potential, graph = build(), graph_of(TRICLINIC)
        inside = potential(graph, stress=True)
    outside = potential(graph_of(TRICLINIC), stress=True)
    for name in ("energy", "forces", "stress"):
        torch.testing.assert_close(getattr(inside, name), getattr(outside, name).detach())


@pytest.mark.parametrize("name", ["species", "senders", "receivers", "structure_of_node"])
def test_indices_of_another_type_are_refused(name):
    graph = graph_of(METHANOL)
    with pytest.raises(TypeError, match=name):
        replace(graph, **{name: getattr(graph, name).int()})


def test_number_of_parameters_is_what_is_trained():
    trained = Design(layers=1, channels=2, energy={"trainable": True, "shift": "mean"})
    fixed = Design(layers=1, channels=2, energy={"shift": "mean"})
    assert build(trained).n_parameters == build(fixed).n_parameters + 2
    assert not math.isnan(build(fixed).cutoff)
