"""Laws 6, 7: far atoms do not matter, batches do not mix, isolated atoms have their energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tests.laws.potentials import (
    ATOMIC_ENERGIES,
    evaluate,
    for_every_potential,
    named_potential,
)
from tests.laws.systems import (
    CHIRAL,
    DIMER,
    ELEMENTS,
    EVERYTHING,
    METHANOL,
    SILICON,
    SLAB,
    SYMBOLS,
    together,
)

from multiace.analysis.gradients import displaced_energies
from multiace.analysis.predict import predict
from multiace.analysis.site_terms import structure_graph
from multiace.design.describe import atomic_limit
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.potential import Potential, Prediction

SUMS = 1e-10  # eV/atom, eV/Å, eV/Å^3
LAST_DIGITS = 1e-13  # relative: one atom and two are rounded differently by matrix products


@for_every_potential
def test_energies_of_separated_molecules_add_and_forces_stay(potential: Potential) -> None:
    alone = evaluate(potential, METHANOL), evaluate(potential, CHIRAL)
    both = evaluate(potential, together(METHANOL, CHIRAL, 1.01 * potential.cutoff))
    n_atoms = METHANOL.n_atoms + CHIRAL.n_atoms
    assert abs(both.energy - alone[0].energy - alone[1].energy) < SUMS * n_atoms
    forces = np.concatenate([alone[0].forces, alone[1].forces])
    assert np.abs(both.forces - forces).max() < SUMS


@for_every_potential
def test_a_far_atom_moves_and_not_a_bit_of_the_others_changes(potential: Potential) -> None:
    predictions = []
    for move in (0.0, 0.3):
        far = replace(DIMER, positions=DIMER.positions * (1.0 + move))
        predictions.append(predicted(potential, together(METHANOL, far, 1.5 * potential.cutoff)))
    first, second = predictions
    inside = slice(0, METHANOL.n_atoms)
    assert torch.equal(first.energies[inside], second.energies[inside])
    assert torch.equal(first.forces[inside], second.forces[inside])
    assert not torch.equal(first.forces, second.forces)


@for_every_potential
def test_structures_of_a_batch_do_not_feel_each_other(potential: Potential) -> None:
    graph = structure_graph(potential, [CHIRAL, SILICON, METHANOL])
    displacements = graph.edge_vectors.new_zeros((graph.n_nodes, 3)).requires_grad_()
    energies = displaced_energies(potential, graph, displacements)
    for structure in range(graph.n_structures):
        mine = graph.structure_of_node == structure
        (gradient,) = torch.autograd.grad(energies[mine].sum(), displacements, retain_graph=True)
        assert (gradient[~mine] == 0.0).all()
        assert (gradient[mine] != 0.0).any()


@for_every_potential
def test_a_batch_predicts_what_each_structure_alone_does(potential: Potential) -> None:
    for structure, found in zip(
        EVERYTHING, predict(potential, EVERYTHING, stress=True), strict=True
    ):
        alone = evaluate(potential, structure)
        assert abs(found.energy - alone.energy) < SUMS * structure.n_atoms
        assert np.abs(found.forces - alone.forces).max() < SUMS
        if alone.stress is not None:
            assert np.abs(found.stress - alone.stress).max() < SUMS


@for_every_potential
def test_an_isolated_atom_has_the_energy_that_the_design_describes(potential: Potential) -> None:
    limit = atomic_limit(potential.design)
    for number, symbol in zip(ELEMENTS, SYMBOLS, strict=True):
        prediction = predicted(potential, atoms_apart(potential, [number]))
        reference = potential.statistics.atomic_energies[symbol]
        shifted = potential.design.energy.shift != "none"
        shift = potential.statistics.shift_of(symbol) if shifted else 0.0
        assert (prediction.forces == 0.0).all()
        assert ("shift" in limit) is shifted
        if "constant" not in limit:
            assert float(prediction.energy) == reference + shift
        else:
            assert abs(float(prediction.energy) - reference - shift) > 1e-12


def test_botnet_gives_an_isolated_atom_exactly_its_reference_energy() -> None:
    potential = named_potential("botnet")
    assert atomic_limit(potential.design) == "E0"
    for number, symbol in zip(ELEMENTS, SYMBOLS, strict=True):
        atom = atoms_apart(potential, [number])
        assert evaluate(potential, atom).energy == ATOMIC_ENERGIES[symbol]


@for_every_potential
def test_a_dimer_beyond_the_cutoff_is_two_isolated_atoms(potential: Potential) -> None:
    pair = [8, 14]
    atoms = [atoms_apart(potential, [number]) for number in pair]
    graphs = [build_graph(atom, potential.cutoff, ELEMENTS) for atom in atoms]
    with torch.no_grad():
        isolated = potential(batch_graphs(graphs))
    for distance in (1.0 + 1e-12, 1.1, 3.0):
        dimer = predicted(potential, atoms_apart(potential, pair, distance))
        assert torch.equal(dimer.energies, isolated.energies)
        assert float(dimer.energy) == float(isolated.energy.sum())
        assert (dimer.forces == 0.0).all()
    alone = [evaluate(potential, atom).energy for atom in atoms]
    assert abs(sum(alone) - float(dimer.energy)) <= LAST_DIGITS * abs(sum(alone))


@for_every_potential
def test_an_empty_slab_of_vacuum_beside_a_slab_changes_nothing(potential: Potential) -> None:
    cell = SLAB.cell + np.array([[0.0] * 3, [0.0] * 3, [0.3, -0.2, 40.0]])
    in_vacuum = replace(SLAB, cell=cell, pbc=(True, True, True))
    slab, crystal = evaluate(potential, SLAB), evaluate(potential, in_vacuum)
    assert abs(slab.energy - crystal.energy) < SUMS * SLAB.n_atoms
    assert np.abs(slab.forces - crystal.forces).max() < SUMS


@for_every_potential
def test_ghost_atoms_stand_in_for_the_images_of_a_wire(potential: Potential) -> None:
    """What domain decomposition rests on: owned atoms first, then ghosts as far as is felt."""
    period = np.array([0.2, -0.1, 3.1])
    cell = np.stack([np.zeros(3), np.zeros(3), period])
    positions = np.array([[0.0, 0.0, 0.0], [0.9, 0.4, 1.3]])
    wire = Structure(np.array([14, 8]), positions, cell, (False, False, True))
    reach = int(np.ceil(potential.design.layers * potential.cutoff / 3.1)) + 1
    images = [k for k in range(-reach, reach + 1) if k != 0]
    cluster = Structure(
        numbers=np.tile(wire.numbers, 1 + len(images)),
        positions=np.concatenate([positions, *(positions + k * period for k in images)]),
    )
    graph = structure_graph(potential, [cluster])
    vectors, senders, receivers = graph.edge_vectors, graph.senders, graph.receivers
    with torch.no_grad():
        owned = potential.model(vectors, senders, receivers, graph.species, wire.n_atoms)
    assert len(owned) == wire.n_atoms
    assert abs(float(owned.sum()) - evaluate(potential, wire).energy) < SUMS * wire.n_atoms


def atoms_apart(potential: Potential, numbers: list[int], distance: float = 2.0) -> Structure:
    """Return atoms on a line, a number of cutoffs apart."""
    positions = np.zeros((len(numbers), 3))
    positions[:, 2] = distance * potential.cutoff * np.arange(len(numbers))
    return Structure(numbers=np.array(numbers), positions=positions)


def predicted(potential: Potential, structure: Structure) -> Prediction:
    with torch.no_grad():
        return potential(build_graph(structure, potential.cutoff, ELEMENTS))
