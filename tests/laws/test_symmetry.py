"""Laws 1-5: rotation, mirror, translation, permutation, extensivity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.laws.potentials import CUTOFF, for_every_potential, random_potential
from tests.laws.systems import (
    CHIRAL,
    CRYSTALS,
    EVERYTHING,
    LITHIUM,
    METHANOL,
    SILICON,
    SLAB,
    TRICLINIC,
)

from multiace.analysis.site_terms import structure_graph
from multiace.analysis.symmetry import (
    Image,
    departures,
    moved_by_cells,
    permuted,
    random_unimodular,
    repeated,
    rotated,
    symmetry,
    translated,
    with_cell_vectors,
    wrapped,
)
from multiace.geometry import Structure
from multiace.o3.rotation import random_rotation
from multiace.potential import Potential
from multiace.presets import PRESETS

ENERGY = 2e-10  # eV/atom, of up to 1e4 eV where random designs meet dense crystals
FORCES = 1e-9  # eV/Å
STRESS = 1e-9  # eV/Å^3
FAR_AWAY = 1e4  # Å: positions keep 12 digits after the point
FAR_TOLERANCE = 1e-7
VISIBLE = 1e-6  # what a broken symmetry must exceed
N_ROTATIONS = 20
MIRRORS = (-np.eye(3), np.diag([1.0, 1.0, -1.0]), np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))


def assert_equal(
    potential: Potential,
    structures: Iterable[Structure],
    images: Callable[[Structure], list[Image]],
    tolerance: float = 1.0,
) -> None:
    """Compare predictions for a structure and its images, within `tolerance` x ENERGY etc."""
    for structure in structures:
        for row in departures(potential, structure, images(structure)):
            assert row.energy < tolerance * ENERGY, (structure.config_type, row)
            assert row.forces < tolerance * FORCES, (structure.config_type, row)
            assert (row.stress or 0.0) < tolerance * STRESS, (structure.config_type, row)


@for_every_potential
def test_rotations_turn_forces_and_stress_and_keep_the_energy(potential: Potential) -> None:
    rng = np.random.default_rng(1)
    rotations = [random_rotation(rng) for _ in range(N_ROTATIONS)]
    systems = (CHIRAL, SILICON, SLAB)
    assert_equal(potential, systems, lambda s: [rotated(s, matrix) for matrix in rotations])


@for_every_potential
def test_inversion_and_mirrors_keep_the_energy_of_either_hand(potential: Potential) -> None:
    assert_equal(potential, EVERYTHING, lambda s: [rotated(s, matrix) for matrix in MIRRORS])


@for_every_potential
def test_translations_and_wrapping_change_nothing(potential: Potential) -> None:
    rng = np.random.default_rng(2)

    def images(structure: Structure) -> list[Image]:
        found = [translated(structure, rng.normal(scale=5.0, size=3)) for _ in range(3)]
        if any(structure.pbc):
            cells = rng.integers(-3, 4, size=(structure.n_atoms, 3))
            moved = moved_by_cells(structure, cells)
            found += [moved, replace(moved, structure=wrapped(moved.structure).structure)]
        return found

    assert_equal(potential, EVERYTHING, images)


@for_every_potential
def test_nothing_changes_far_from_the_origin(potential: Potential) -> None:
    far = FAR_AWAY * np.array([1.0, -0.7, 0.3])
    tolerance = FAR_TOLERANCE / ENERGY
    systems = (CHIRAL, LITHIUM, SLAB)
    assert_equal(potential, systems, lambda s: [translated(s, far)], tolerance)


@for_every_potential
def test_other_vectors_of_the_same_lattice_change_nothing(potential: Potential) -> None:
    rng = np.random.default_rng(3)

    def images(structure: Structure) -> list[Image]:
        matrices = [random_unimodular(structure.pbc, rng) for _ in range(4)]
        return [with_cell_vectors(structure, matrix) for matrix in matrices]

    assert_equal(potential, (*CRYSTALS, SLAB), images)


@for_every_potential
def test_a_box_around_a_molecule_changes_nothing(potential: Potential) -> None:
    boxed = replace(METHANOL, cell=np.eye(3), positions=METHANOL.positions + 0.4)
    same = Image("box", boxed, np.arange(METHANOL.n_atoms), np.eye(3))
    assert_equal(potential, [METHANOL], lambda _: [same])


@for_every_potential
def test_the_order_of_atoms_does_not_matter(potential: Potential) -> None:
    rng = np.random.default_rng(4)

    def images(structure: Structure) -> list[Image]:
        return [permuted(structure, rng.permutation(structure.n_atoms)) for _ in range(3)]

    assert_equal(potential, EVERYTHING, images)


@for_every_potential
def test_the_order_of_the_edges_of_an_atom_does_not_matter(potential: Potential) -> None:
    rng = np.random.default_rng(5)
    for structure in (CHIRAL, TRICLINIC):
        graph = structure_graph(potential, [structure])
        keys = np.lexsort((rng.random(graph.n_edges), graph.receivers.numpy()))
        order = torch.from_numpy(keys)
        shuffled = replace(
            graph,
            senders=graph.senders[order],
            edge_vectors=graph.edge_vectors[order],
            pairs=None,
        )
        with torch.no_grad():
            first, second = potential(graph), potential(shuffled)
        assert abs(first.energy - second.energy).item() < ENERGY * structure.n_atoms
        assert (first.forces - second.forces).abs().max() < FORCES


@for_every_potential
def test_supercells_have_the_same_energy_per_atom_forces_and_stress(potential: Potential) -> None:
    repeats = ((2, 2, 2), (3, 1, 1), (1, 2, 3))
    assert_equal(potential, (*CRYSTALS, SLAB), lambda s: [repeated(s, some) for some in repeats])


class _WithPseudoscalars(torch.nn.Module):
    """A readout that takes the odd scalars for even ones."""

    def __init__(self, readout: torch.nn.Module, channels: int) -> None:
        super().__init__()
        self.readout, self.channels = readout, channels

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.readout(h[:, self.channels :])


def test_a_broken_parity_is_found_by_mirrors_alone() -> None:
    design = PRESETS["nequip-linear"]("small", channels=4, cutoff=CUTOFF, parity="both")
    intact = random_potential(design)
    broken = Potential(design, intact.elements, intact.statistics, dtype=torch.float64, prune=False)
    name, readout = next(iter(broken.model.readouts.items()))
    broken.model.readouts[name] = _WithPseudoscalars(readout, channels=4)
    for potential, found in ((intact, False), (broken, True)):
        rows = {row.name: row for row in symmetry(potential, CHIRAL)}
        assert rows["rotation"].energy < ENERGY
        assert (rows["mirror"].energy > VISIBLE) is found
        assert (rows["mirror"].forces > VISIBLE) is found


def test_broken_harmonics_are_found_by_rotations() -> None:
    potential = random_potential(PRESETS["mace"]("small", channels=4, cutoff=CUTOFF))
    basis = potential.model.edge_functions.edge_basis
    flipped = torch.ones((basis.table.l_max + 1) ** 2, dtype=torch.float64)
    flipped[1] = -1.0  # y -> -y for l = 1 only

    def flip(_module: object, _inputs: object, output: tuple[torch.Tensor, torch.Tensor]):
        return output[0], output[1] * flipped

    basis.register_forward_hook(flip)
    rows = {row.name: row for row in symmetry(potential, TRICLINIC)}
    assert rows["rotation"].energy > VISIBLE
    assert rows["rotation"].stress > VISIBLE
    assert rows["permutation"].energy < ENERGY
    assert rows["supercell"].energy < ENERGY


def test_cell_vectors_of_another_lattice_are_refused() -> None:
    with pytest.raises(ValueError, match="determinant 1 or -1"):
        with_cell_vectors(SILICON, 2 * np.eye(3, dtype=int))
    with pytest.raises(ValueError, match="not mix periodic directions"):
        with_cell_vectors(SLAB, np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match="needs a periodic direction"):
        repeated(METHANOL, (2, 1, 1))
