"""Neighbour lists against an explicit sum over images and against ASE."""

import itertools

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

from multiace.geometry import Structure, neighbour_list

CUTOFF = 3.0


def edges_of(structure: Structure, cutoff: float) -> list[tuple[int, ...]]:
    """Return (receiver, sender, shift) of each edge in the order of the list."""
    found = neighbour_list(structure, cutoff)
    return list(
        map(tuple, np.column_stack([found.receivers, found.senders, found.shifts]).tolist())
    )


def image_sum(structure: Structure, cutoff: float) -> list[tuple[int, ...]]:
    """Return the edges by looking at every image that could be within the cutoff."""
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    periodic = np.array(structure.pbc)
    cell = np.where(periodic[:, None], cell, 0.0)
    reach = cutoff + np.linalg.norm(np.ptp(structure.positions, axis=0))
    # rows of the pseudo-inverse: inverse heights of the cell in its periodic directions
    counts = np.ceil(reach * np.linalg.norm(np.linalg.pinv(cell), axis=0)).astype(int) + 1
    ranges = [range(-n, n + 1) if p else range(1) for n, p in zip(counts, periodic, strict=True)]
    shifts = np.array(list(itertools.product(*ranges)))
    edges = []
    for i, j in itertools.product(range(structure.n_atoms), repeat=2):
        vectors = structure.positions[j] - structure.positions[i] + shifts @ cell
        close = np.linalg.norm(vectors, axis=1) < cutoff
        for shift in shifts[close]:
            if i != j or shift.any():
                edges.append((i, j, *map(int, shift)))
    return sorted(edges)


def test_edges_equal_those_of_the_image_sum(structure):
    assert edges_of(structure, CUTOFF) == image_sum(structure, CUTOFF)


def test_edges_equal_those_of_ase(structure):
    i, j, shifts, vectors = primitive_neighbor_list(
        "ijSD", structure.pbc, structure.cell, structure.positions, CUTOFF
    )
    order = np.lexsort((*shifts.T[::-1], j, i))
    found = neighbour_list(structure, CUTOFF)
    assert edges_of(structure, CUTOFF) == list(
        map(tuple, np.column_stack([i, j, shifts])[order].tolist())
    )
    np.testing.assert_allclose(found.vectors, vectors[order], atol=1e-12)


def test_the_reverse_of_an_edge_is_the_other_direction_of_its_pair(structure):
    found = neighbour_list(structure, CUTOFF)
    back = found.reverse
    np.testing.assert_array_equal(back[back], np.arange(found.n_edges))
    np.testing.assert_array_equal(found.senders[back], found.receivers)
    np.testing.assert_array_equal(found.shifts[back], -found.shifts)
    np.testing.assert_array_equal(found.vectors[back], -found.vectors)


def test_edges_are_sorted_by_receiver_then_sender_then_shift(structure):
    edges = edges_of(structure, CUTOFF)
    assert edges == sorted(set(edges))


def test_both_directions_of_a_pair_are_exactly_opposite(structure):
    found = neighbour_list(structure, CUTOFF)
    vector_of = dict(zip(edges_of(structure, CUTOFF), found.vectors, strict=True))
    for (i, j, *shift), vector in vector_of.items():
        opposite = vector_of[(j, i, *(-s for s in shift))]
        assert (vector == -opposite).all()


def test_an_atom_alone_in_a_small_cell_sees_its_own_images():
    lithium = Structure(np.array([3]), np.zeros((1, 3)), 2.0 * np.eye(3), (True, True, True))
    found = neighbour_list(lithium, 2.1)
    assert found.n_edges == 6
    assert (found.senders == 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 2.0)


@pytest.mark.parametrize("absent", [(0,), (1, 2), (0, 1, 2)])
def test_zero_rows_in_open_directions_change_nothing(absent, rng):
    pbc = tuple(direction not in absent for direction in range(3))
    full = np.array([[2.2, 0.3, 0.0], [0.1, 2.6, 0.4], [0.0, -0.5, 2.4]])
    zeroed = np.where(np.array(pbc)[:, None], full, 0.0)
    positions = rng.normal(size=(3, 3))
    numbers = np.array([1, 1, 1])
    assert edges_of(Structure(numbers, positions, zeroed, pbc), CUTOFF) == edges_of(
        Structure(numbers, positions, full, pbc), CUTOFF
    )


def test_a_box_around_a_molecule_changes_nothing(rng):
    positions = rng.normal(size=(6, 3))
    numbers = np.full(6, 6)
    free = neighbour_list(Structure(numbers, positions), CUTOFF)
    boxed = neighbour_list(Structure(numbers, positions, np.eye(3)), CUTOFF)
    np.testing.assert_array_equal(free.vectors, boxed.vectors)


def test_wrapping_atoms_changes_only_the_shifts(rng):
    cell = np.array([[3.0, 0.2, 0.0], [-0.5, 3.5, 0.1], [0.4, 0.0, 2.9]])
    positions = rng.uniform(size=(4, 3)) @ cell
    moved = positions + rng.integers(-5, 6, size=(4, 3)) @ cell
    inside, outside = (
        neighbour_list(Structure(np.full(4, 14), r, cell, (True, True, True)), CUTOFF)
        for r in (positions, moved)
    )
    for one, other in zip(by_receiver(inside), by_receiver(outside), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def by_receiver(found) -> list[np.ndarray]:
    """Return the sorted vectors around each atom."""
    vectors = [found.vectors[found.receivers == i] for i in range(found.receivers.max() + 1)]
    return [np.array(sorted(v.round(9).tolist())) for v in vectors]


@pytest.mark.parametrize("periodic", [False, True])
def test_vectors_keep_their_precision_far_from_the_origin(periodic, rng):
    cell = 4.0 * np.eye(3) + 0.3
    positions = rng.uniform(size=(5, 3)) * 4.0
    pbc = (periodic,) * 3
    far = positions + np.array([1e4, -1e4, 1e4])
    near = neighbour_list(Structure(np.full(5, 6), positions, cell, pbc), CUTOFF)
    away = neighbour_list(Structure(np.full(5, 6), far, cell, pbc), CUTOFF)
    rounding = np.spacing(1e4)  # of the positions themselves
    for one, other in zip(by_receiver(near), by_receiver(away), strict=True):
        np.testing.assert_allclose(one, other, atol=4 * rounding, rtol=0)


def test_the_order_of_atoms_only_relabels_the_edges(rng):
    cell = np.array([[3.0, 0.2, 0.0], [-0.5, 3.5, 0.1], [0.4, 0.0, 2.9]])
    positions = rng.uniform(size=(5, 3)) @ cell
    permutation = rng.permutation(5)
    numbers = np.array([1, 6, 7, 8, 9])
    pbc = (True, True, False)
    original = Structure(numbers, positions, cell, pbc)
    shuffled = Structure(numbers[permutation], positions[permutation], cell, pbc)
    relabelled = [
        (int(permutation[i]), int(permutation[j]), *shift)
        for i, j, *shift in edges_of(shuffled, CUTOFF)
    ]
    assert sorted(relabelled) == edges_of(original, CUTOFF)


def test_a_pair_at_the_cutoff_is_no_edge():
    pair = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert neighbour_list(Structure(np.array([1, 1]), pair), 2.0).n_edges == 0
    assert neighbour_list(Structure(np.array([1, 1]), pair), np.nextafter(2.0, 3.0)).n_edges == 2


def test_atoms_at_one_place_are_neighbours():
    coincident = Structure(np.array([1, 1]), np.zeros((2, 3)))
    np.testing.assert_array_equal(neighbour_list(coincident, 1.0).vectors, np.zeros((2, 3)))


@pytest.mark.parametrize("pbc", [(False,) * 3, (True,) * 3])
def test_an_isolated_atom_has_no_edges(pbc):
    found = neighbour_list(Structure(np.array([1]), np.zeros((1, 3)), 9.0 * np.eye(3), pbc), 3.0)
    assert found.n_edges == 0
    assert found.shifts.shape == found.vectors.shape == (0, 3)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_a_cutoff_that_is_not_positive_is_refused(cutoff):
    with pytest.raises(ValueError, match="cutoff must be a positive number of Å"):
        neighbour_list(Structure(np.array([1]), np.zeros((1, 3))), cutoff)


def test_many_atoms_take_the_cell_list_to_the_same_edges(rng):
    positions = rng.uniform(size=(600, 3)) * np.array([30.0, 18.0, 12.0])
    cell = np.array([[30.0, 0.0, 0.0], [4.0, 18.0, 0.0], [0.0, 3.0, 12.0]])
    structure = Structure(np.full(600, 6), positions, cell, (True, False, True))
    i, j, shifts = primitive_neighbor_list("ijS", structure.pbc, cell, positions, CUTOFF)
    assert edges_of(structure, CUTOFF) == sorted(
        map(tuple, np.column_stack([i, j, shifts]).tolist())
    )


def test_atoms_far_outside_the_box_keep_the_order(rng):
    cell = np.array([[3.0, 0.2, 0.0], [-0.5, 3.5, 0.1], [0.4, 0.0, 2.9]])
    positions = rng.uniform(size=(3, 3)) @ cell
    away = np.array([[0, 0, 0], [10**8, 0, 3], [7, -(10**8), 10**8]]) @ cell
    structure = Structure(np.full(3, 14), positions + away, cell, (True, True, True))
    edges = edges_of(structure, CUTOFF)
    assert edges == sorted(edges)
    inside = Structure(structure.numbers, positions, cell, structure.pbc)
    counts = [np.bincount(neighbour_list(s, CUTOFF).receivers) for s in (structure, inside)]
    np.testing.assert_array_equal(*counts)


@pytest.mark.parametrize("far", [3e2, 1e4, 1e6, 1e12])
@pytest.mark.parametrize("pbc", [(True, True, False), (True, False, False), (False, False, False)])
def test_fragments_far_apart_in_open_directions_are_searched_like_near_ones(pbc, far, rng):
    cell = np.diag([3.0, 3.2, 3.4])
    fragment = rng.uniform(size=(3, 3)) * 2.0
    away = np.where(pbc, 0.0, far)
    pair = Structure(np.full(6, 6), np.concatenate([fragment, fragment + away]), cell, pbc)
    one = Structure(np.full(3, 6), fragment, cell, pbc)
    edges = edges_of(one, CUTOFF)
    found = edges_of(pair, CUTOFF)
    assert found[: len(edges)] == edges
    if far < 1e12:  # where rounding moves atoms by 1e-4 Å
        assert found[len(edges) :] == [(i + 3, j + 3, *shift) for i, j, *shift in edges]
    assert all((i < 3) == (j < 3) for i, j, *_ in found)


def test_edges_are_numbered_in_64_bits(structure):
    found = neighbour_list(structure, CUTOFF)
    for numbers in (found.senders, found.receivers, found.shifts):
        assert numbers.dtype == np.int64
