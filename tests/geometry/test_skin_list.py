"""Lists with a skin: the same edges as a fresh search, and few searches."""

from dataclasses import replace

import numpy as np
import pytest
from tests.laws.systems import CRYSTALS, EVERYTHING, METHANOL, SILICON, SLAB

from multiace.geometry import Structure
from multiace.geometry.neighbours import neighbour_list
from multiace.geometry.skin_list import SkinList

CUTOFF = 3.1


def assert_same(neighbours: SkinList, structure: Structure) -> None:
    found, expected = neighbours.update(structure), neighbour_list(structure, neighbours.cutoff)
    for name in ("senders", "receivers", "shifts", "vectors", "reverse"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("skin", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("start", EVERYTHING, ids=lambda structure: structure.config_type)
def test_edges_along_a_random_walk_are_those_of_a_fresh_search(start, skin, rng):
    neighbours, structure = SkinList(CUTOFF, skin), start
    for _ in range(12):
        assert_same(neighbours, structure)
        moves = 0.08 * rng.normal(size=structure.positions.shape)
        structure = replace(structure, positions=structure.positions + moves)


def test_edges_are_the_same_arrays_while_no_pair_comes_or_goes(rng):
    neighbours = SkinList(CUTOFF, 0.5)
    before = neighbours.update(METHANOL)
    moves = 1e-6 * rng.normal(size=METHANOL.positions.shape)
    after = neighbours.update(replace(METHANOL, positions=METHANOL.positions + moves))
    assert after.senders is before.senders
    assert after.reverse is before.reverse
    assert (after.vectors != before.vectors).any(axis=1).all()
    apart = neighbours.update(replace(METHANOL, positions=1.2 * METHANOL.positions))
    assert apart.n_edges < before.n_edges
    assert_same(neighbours, METHANOL)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_that_is_not_periodic_does_not_matter(value, rng):
    neighbours = SkinList(CUTOFF, 0.3)
    for _ in range(4):
        positions = METHANOL.positions + 0.08 * rng.normal(size=METHANOL.positions.shape)
        moved = replace(METHANOL, positions=positions)
        assert neighbours.update(moved).n_edges > 0
        assert_same(neighbours, replace(moved, cell=np.full((3, 3), value)))


@pytest.mark.parametrize("start", CRYSTALS, ids=lambda structure: structure.config_type)
def test_edges_are_right_while_the_cell_changes(start, rng):
    neighbours, structure = SkinList(CUTOFF, 0.6), start
    for _ in range(12):
        assert_same(neighbours, structure)
        strain = np.eye(3) + 0.03 * rng.normal(size=(3, 3))
        positions = structure.positions @ strain + 0.01 * rng.normal(size=(structure.n_atoms, 3))
        structure = replace(structure, cell=structure.cell @ strain, positions=positions)
    assert 1 < neighbours.n_searches < 12


def test_shear_alone_brings_in_pairs_that_were_not_listed():
    sheared = np.array([[1.0, 0.0, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]])
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(SILICON)
    now = replace(SILICON, cell=SILICON.cell @ sheared, positions=SILICON.positions @ sheared)
    assert_same(neighbours, now)


def test_a_slab_is_searched_again_when_its_cell_changes():
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(SLAB)
    assert_same(neighbours, replace(SLAB, cell=1.3 * SLAB.cell))


def test_small_motion_and_translation_need_no_search(rng):
    neighbours = SkinList(CUTOFF, 0.5)
    for n in range(20):
        moves = rng.uniform(-0.05, 0.05, size=METHANOL.positions.shape) + n * np.ones(3)
        neighbours.update(replace(METHANOL, positions=METHANOL.positions + moves))
    assert neighbours.n_searches == 1


def test_an_atom_that_moves_half_the_skin_causes_a_search():
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(METHANOL)
    for step, searches in ((0.2, 1), (0.31, 2)):
        positions = METHANOL.positions.copy()
        positions[0, 0] += step
        neighbours.update(replace(METHANOL, positions=positions))
        assert neighbours.n_searches == searches


def test_other_atoms_or_periodic_directions_cause_a_search():
    neighbours = SkinList(CUTOFF, 0.5)
    for structure in (METHANOL, SILICON, replace(SILICON, pbc=(True, True, False)), SLAB):
        assert_same(neighbours, structure)
    assert neighbours.n_searches == 4


@pytest.mark.parametrize(("cutoff", "skin"), [(0.0, 0.5), (np.nan, 0.5), (3.0, -0.1)])
def test_lengths_that_are_none_are_refused(cutoff, skin):
    with pytest.raises(ValueError, match="must be a"):
        SkinList(cutoff, skin)
