"""Graphs and batches of graphs."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiace.elements import ElementError
from multiace.geometry import Structure, batch_graphs, batches_by, build_graph, neighbour_list

ELEMENTS = (1, 6, 8)
CUTOFF = 3.0


def test_a_graph_holds_the_neighbour_list(structure):
    graph = build_graph(structure, CUTOFF, ELEMENTS)
    edges = neighbour_list(structure, CUTOFF)
    np.testing.assert_array_equal(graph.senders, edges.senders)
    np.testing.assert_array_equal(graph.receivers, edges.receivers)
    np.testing.assert_array_equal(graph.edge_vectors, edges.vectors)
    assert graph.species.tolist() == [0, 1, 2, 1]
    assert graph.n_atoms.tolist() == [4]


def test_the_volume_is_nan_unless_three_directions_are_periodic(structure):
    volume = build_graph(structure, CUTOFF, ELEMENTS).volume
    assert volume.dtype == torch.float64
    assert volume.isnan().item() == (not all(structure.pbc))


def test_a_graph_cannot_be_changed(structure):
    graph = build_graph(structure, CUTOFF, ELEMENTS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.n_structures = 2


def test_to_casts_the_edge_vectors_only(structure):
    graph = build_graph(structure, CUTOFF, ELEMENTS).to("cpu", torch.float32)
    assert graph.edge_vectors.dtype == torch.float32
    assert graph.volume.dtype == torch.float64
    assert graph.species.dtype == torch.int64


def test_elements_the_model_does_not_know_are_named():
    salt = Structure(np.array([11, 17, 1]), np.eye(3), source="salt.xyz:4")
    with pytest.raises(ElementError, match=r"salt\.xyz:4 contains Na, Cl.*its elements are H, C"):
        build_graph(salt, CUTOFF, ELEMENTS)


def test_elements_out_of_order_are_refused():
    with pytest.raises(ValueError, match="sorted and distinct"):
        build_graph(Structure(np.array([1]), np.zeros((1, 3))), CUTOFF, (6, 1))


@pytest.fixture
def graphs(rng):
    """Return graphs of a crystal, a molecule and an isolated atom."""
    crystal = Structure(np.array([6, 6]), rng.normal(size=(2, 3)), 2.5 * np.eye(3), (True,) * 3)
    molecule = Structure(np.array([8, 1, 1]), rng.normal(size=(3, 3)))
    atom = Structure(np.array([1]), np.zeros((1, 3)))
    return [build_graph(structure, CUTOFF, ELEMENTS) for structure in (crystal, atom, molecule)]


def test_a_batch_holds_each_graph_unchanged(graphs):
    batch = batch_graphs(graphs)
    assert batch.n_structures == 3
    assert batch.n_atoms.tolist() == [2, 1, 3]
    first = 0
    for index, graph in enumerate(graphs):
        edges = batch.structure_of_node[batch.receivers] == index
        torch.testing.assert_close(batch.receivers[edges] - first, graph.receivers)
        torch.testing.assert_close(batch.senders[edges] - first, graph.senders)
        torch.testing.assert_close(batch.edge_vectors[edges], graph.edge_vectors)
        torch.testing.assert_close(batch.volume[index], graph.volume[0], equal_nan=True)
        first += graph.n_nodes


def test_a_pair_is_two_edges_of_opposite_vectors(graphs):
    for graph in (*graphs, batch_graphs(graphs)):
        of_edge, first = graph.pairs
        assert torch.equal(of_edge[first], torch.arange(graph.n_edges // 2))
        assert (torch.bincount(of_edge) == 2).all()
        edges = torch.argsort(of_edge, stable=True).view(-1, 2)
        assert torch.equal(edges[:, 0], first)
        one, other = edges.T
        assert torch.equal(graph.senders[one], graph.receivers[other])
        assert torch.equal(graph.edge_vectors[one], -graph.edge_vectors[other])


def test_a_batch_has_no_pairs_where_one_of_its_graphs_has_none(graphs):
    without = dataclasses.replace(graphs[2], pairs=None)
    assert batch_graphs([graphs[0], without]).pairs is None


def test_no_edge_of_a_batch_joins_two_structures(graphs):
    batch = batch_graphs(graphs)
    owner = batch.structure_of_node
    assert (owner[batch.senders] == owner[batch.receivers]).all()
    assert (batch.receivers.diff() >= 0).all()


def test_batches_of_batches_are_batches(graphs):
    nested = batch_graphs([batch_graphs(graphs[:2]), graphs[2]])
    flat = batch_graphs(graphs)
    for field in dataclasses.fields(flat):
        one, other = getattr(nested, field.name), getattr(flat, field.name)
        torch.testing.assert_close(one, other, equal_nan=True)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one graph"):
        batch_graphs([])


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(30, 60), st.randoms())
def test_batches_keep_the_order_and_the_limit(sizes, limit, random):
    order = list(range(len(sizes)))
    random.shuffle(order)
    batches = batches_by(sizes, order, limit)
    assert [index for batch in batches for index in batch] == order
    assert all(batches)
    totals = [sum(sizes[index] for index in batch) for batch in batches]
    assert all(total <= limit for total in totals)
    for total, following in zip(totals, batches[1:], strict=False):
        assert total + sizes[following[0]] > limit  # no batch could have taken one more


def test_sizes_of_one_give_batches_by_structures():
    assert batches_by([1] * 5, range(5), 2) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    ("limit", "message"), [(0, "at least 1"), (8, "Structure 1 has size 9, more than")]
)
def test_a_limit_that_cannot_hold_a_structure_is_refused(limit, message):
    with pytest.raises(ValueError, match=message):
        batches_by([3, 9], [0, 1], limit)
