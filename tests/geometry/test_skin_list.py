"""Lists with a skin: the same edges as a fresh search, and few searches."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.compiled import needs_compiled
from tests.laws.systems import CRYSTALS, EVERYTHING, METHANOL, SILICON, SLAB, TRICLINIC

from multiace.geometry import Structure, skin_list
from multiace.geometry.listed_pairs import ListedPairs
from multiace.geometry.neighbours import neighbour_list
from multiace.kernels.cpu.listed_pairs import ListedPairs as CompiledPairs

CUTOFF = 3.1
FIELDS = ("senders", "receivers", "shifts", "vectors", "reverse")


@pytest.fixture(
    params=[ListedPairs, pytest.param(CompiledPairs, marks=needs_compiled)],
    ids=["numpy", "compiled"],
)
def SkinList(request):
    """Make lists whose pairs are selected by NumPy or by compiled code."""
    return lambda *lengths: skin_list.SkinList(*lengths, request.param)


def assert_same(neighbours: skin_list.SkinList, structure: Structure) -> None:
    found, expected = neighbours.update(structure), neighbour_list(structure, neighbours.cutoff)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("skin", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("start", EVERYTHING, ids=lambda structure: structure.config_type)
def test_edges_along_a_random_walk_are_those_of_a_fresh_search(SkinList, start, skin, rng):
    neighbours, structure = SkinList(CUTOFF, skin), start
    for _ in range(12):
        assert_same(neighbours, structure)
        moves = 0.08 * rng.normal(size=structure.positions.shape)
        structure = replace(structure, positions=structure.positions + moves)


def test_edges_are_the_same_arrays_while_no_pair_comes_or_goes(SkinList, rng):
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
def test_a_cell_that_is_not_periodic_does_not_matter(SkinList, value, rng):
    neighbours = SkinList(CUTOFF, 0.3)
    for _ in range(4):
        positions = METHANOL.positions + 0.08 * rng.normal(size=METHANOL.positions.shape)
        moved = replace(METHANOL, positions=positions)
        assert neighbours.update(moved).n_edges > 0
        assert_same(neighbours, replace(moved, cell=np.full((3, 3), value)))


@pytest.mark.parametrize("start", CRYSTALS, ids=lambda structure: structure.config_type)
def test_edges_are_right_while_the_cell_changes(SkinList, start, rng):
    neighbours, structure = SkinList(CUTOFF, 0.6), start
    for _ in range(12):
        assert_same(neighbours, structure)
        strain = np.eye(3) + 0.03 * rng.normal(size=(3, 3))
        positions = structure.positions @ strain + 0.01 * rng.normal(size=(structure.n_atoms, 3))
        structure = replace(structure, cell=structure.cell @ strain, positions=positions)
    assert 1 < neighbours.n_searches < 12


def test_shear_alone_brings_in_pairs_that_were_not_listed(SkinList):
    sheared = np.array([[1.0, 0.0, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]])
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(SILICON)
    now = replace(SILICON, cell=SILICON.cell @ sheared, positions=SILICON.positions @ sheared)
    assert_same(neighbours, now)


def test_a_slab_is_searched_again_when_its_cell_changes(SkinList):
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(SLAB)
    assert_same(neighbours, replace(SLAB, cell=1.3 * SLAB.cell))


def test_small_motion_and_translation_need_no_search(SkinList, rng):
    neighbours = SkinList(CUTOFF, 0.5)
    for n in range(20):
        moves = rng.uniform(-0.05, 0.05, size=METHANOL.positions.shape) + n * np.ones(3)
        neighbours.update(replace(METHANOL, positions=METHANOL.positions + moves))
    assert neighbours.n_searches == 1


def test_an_atom_that_moves_half_the_skin_causes_a_search(SkinList):
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(METHANOL)
    for step, searches in ((0.2, 1), (0.31, 2)):
        positions = METHANOL.positions.copy()
        positions[0, 0] += step
        neighbours.update(replace(METHANOL, positions=positions))
        assert neighbours.n_searches == searches


def test_other_atoms_or_periodic_directions_cause_a_search(SkinList):
    neighbours = SkinList(CUTOFF, 0.5)
    for structure in (METHANOL, SILICON, replace(SILICON, pbc=(True, True, False)), SLAB):
        assert_same(neighbours, structure)
    assert neighbours.n_searches == 4


@pytest.mark.parametrize(("cutoff", "skin"), [(0.0, 0.5), (np.nan, 0.5), (3.0, -0.1)])
def test_lengths_that_are_none_are_refused(SkinList, cutoff, skin):
    with pytest.raises(ValueError, match="must be a"):
        SkinList(cutoff, skin)


@needs_compiled
@pytest.mark.parametrize("skin", [0.0, 0.4, 1.5])
@pytest.mark.parametrize("seed", range(8))
def test_compiled_code_selects_the_pairs_of_numpy_to_the_last_bit(seed, skin):
    rng = np.random.default_rng(seed)
    n_atoms = int(rng.integers(1, 40))
    cell = rng.normal(size=(3, 3)) + np.diag(rng.uniform(2.0, 6.0, size=3))
    pbc = tuple(bool(periodic) for periodic in rng.integers(0, 4, size=3) > 0)
    structure = Structure(np.full(n_atoms, 6), 6.0 * rng.normal(size=(n_atoms, 3)), cell, pbc)
    lists = [skin_list.SkinList(CUTOFF, skin, pairs) for pairs in (ListedPairs, CompiledPairs)]
    for step in range(15):
        expected, found = (each.update(structure) for each in lists)
        for name in FIELDS:
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
            assert getattr(found, name).shape == getattr(expected, name).shape
        assert lists[0].n_searches == lists[1].n_searches
        strain = np.eye(3) + (step % 3 == 2) * 0.01 * rng.normal(size=(3, 3))
        positions = structure.positions @ strain + 0.05 * rng.normal(size=(n_atoms, 3))
        structure = replace(structure, cell=cell @ strain, positions=positions)


def test_positions_in_another_order_of_memory_give_the_same_edges(SkinList):
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(SILICON)
    assert_same(neighbours, replace(SILICON, positions=np.asfortranarray(SILICON.positions)))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_and_pickles_go_on_by_themselves(SkinList, copied, rng):
    neighbours = SkinList(CUTOFF, 0.5)
    neighbours.update(TRICLINIC)
    other = copied(neighbours)
    for n in range(3):
        moves = 0.05 * rng.normal(size=TRICLINIC.positions.shape)
        moved = replace(TRICLINIC, positions=TRICLINIC.positions + moves)
        assert_same(other, moved)
        if n:
            assert_same(neighbours, moved)
    assert other.n_searches == neighbours.n_searches == 1
