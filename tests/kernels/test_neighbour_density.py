"""The density of neighbours against a loop over edges, and the sum over neighbours made of it."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_close,
    assert_same_to_order,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.kernels.tables import ConvolutionTable, DensityTable
from multiace.layer.species_pooling import SpeciesPooling, pools_by_species
from multiace.o3.irreps import Irrep, Irreps
from multiace.one_particle.basis import Edges

# name -> nodes, elements of the senders, receivers
GRAPHS = {
    "typical": (4, [0, 2, 2, 0, 1, 0, 2, 1], [0, 0, 0, 1, 1, 2, 2, 3]),
    "one_edge": (2, [1], [0]),
    "no_edges": (2, [], []),
    "receivers_in_any_order": (3, [0, 1, 0, 2], [2, 0, 2, 0]),
}
N_ELEMENTS = 3


def build_case(graph, dtype, n_hidden=5):
    n_nodes, elements, receivers = GRAPHS[graph]
    tensors = random(len(elements), 4, dtype=dtype), random(len(elements), n_hidden, dtype=dtype)
    indices = {
        "edge_types": torch.tensor(elements, dtype=torch.int64),
        "receivers": torch.tensor(receivers, dtype=torch.int64),
        "n_nodes": n_nodes,
    }
    return tensors, indices


def table_of(tensors, l_max=1):
    return DensityTable.full(l_max, N_ELEMENTS, tensors[1].shape[1])


def loop_of(tensors, indices):
    return partial(loops.neighbour_density, table_of(tensors), **indices)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("n_hidden", [1, 5, 16, 19])
def test_density_is_the_sum_over_edges_by_element(kernels, dtype, graph, n_hidden):
    tensors, indices = build_case(graph, dtype, n_hidden)
    kernel = partial(kernels.neighbour_density(table_of(tensors)), **indices)
    assert_same_to_second_order(kernel, loop_of(tensors, indices), tensors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_density_takes_inputs_that_are_not_contiguous(kernels, dtype):
    tensors, indices = build_case("typical", dtype)
    kernel = partial(kernels.neighbour_density(table_of(tensors)), **indices)
    inputs = [non_contiguous(tensor) for tensor in tensors]
    assert_same_to_second_order(kernel, loop_of(tensors, indices), inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pairs", [[0, 1, 2, 0, 3, 1, 3, 2], [1, 1, 1, 3, 3, 4, 0, 0]])
def test_edges_of_a_pair_share_hidden_features(kernels, dtype, pairs):
    (harmonics, hidden), indices = build_case("typical", dtype, 19)
    indices["pairs"] = torch.tensor(pairs)
    tensors = (harmonics, hidden[: max(pairs) + 1])
    kernel = partial(kernels.neighbour_density(table_of(tensors)), **indices)
    assert_same_to_second_order(kernel, loop_of(tensors, indices), tensors)


RANGES = {
    "one range, not all": ((2, 17), (2, 17), (2, 17)),
    "some for several l": ((0, 19), (0, 19), (3, 9)),
    "nested": ((0, 19), (1, 16), (4, 5)),
    "none for one l": ((0, 4), (0, 0), (15, 4)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("pairs", [None, [0, 1, 2, 0, 3, 1, 3, 2]])
def test_each_l_has_a_range_of_hidden_features(kernels, dtype, ranges, pairs):
    _, indices = build_case("typical", dtype)
    table = DensityTable(2, N_ELEMENTS, RANGES[ranges], 19)
    tensors = random(8, 9, dtype=dtype), random(8, 19, dtype=dtype)
    indices["pairs"] = None if pairs is None else torch.tensor(pairs)
    kernel = partial(kernels.neighbour_density(table), **indices)
    assert_same_to_second_order(kernel, partial(loops.neighbour_density, table, **indices), tensors)


def test_a_pair_that_there_is_not_is_refused(compiled):
    tensors, indices = build_case("one_edge", torch.float32)
    with pytest.raises(IndexError, match="outside its range"):
        compiled.neighbour_density(table_of(tensors))(*tensors, **indices, pairs=torch.tensor([1]))


def test_third_derivatives_of_the_density_are_those_of_the_loop(kernels):
    tensors, indices = build_case("typical", torch.float64, 2)
    kernel = partial(kernels.neighbour_density(table_of(tensors)), **indices)
    assert_same_to_order(3, kernel, loop_of(tensors, indices), tensors)


@pytest.mark.parametrize("element", [-1, N_ELEMENTS])
def test_an_element_that_there_is_not_is_refused(kernels, element):
    if kernels.name != "cpu":
        pytest.skip("PyTorch checks indices itself")
    tensors, indices = build_case("one_edge", torch.float32)
    indices["edge_types"] = torch.tensor([element])
    with pytest.raises(IndexError, match="outside its range"):
        kernels.neighbour_density(table_of(tensors))(*tensors, **indices)


@pytest.mark.parametrize("species", ["none", "sender", "receiver", "pair"])
def test_pooling_by_species_is_the_convolution_of_features_of_elements(kernels, species):
    scalars, channels, n_hidden = Irreps.parse("4x0e"), 4, 3
    paths = tuple((Irrep(0, 1), l, Irrep.natural(l)) for l in range(2))
    out = Irreps.of(channels, [irrep for *_, irrep in paths])
    table = ConvolutionTable(scalars, 1, paths, out)
    (harmonics, hidden), indices = build_case("typical", torch.float64, n_hidden)
    n_types = {"none": 1, "pair": N_ELEMENTS**2}.get(species, N_ELEMENTS)
    of_element = random(N_ELEMENTS, channels)
    weights = random(n_types, n_hidden, table.n_weights)
    of_node = torch.tensor([2, 0, 1, 1])
    senders = torch.tensor([1, 0, 0, 1, 2, 1, 0, 3])
    edges = Edges(senders, indices["receivers"], hidden[:, 0], hidden, None, harmonics)
    pooling = SpeciesPooling(kernels, table, N_ELEMENTS, n_hidden, species)
    found = pooling(of_element, edges, hidden, weights, of_node)

    types = {
        "none": None,
        "sender": of_node[senders],
        "receiver": of_node[edges.receivers],
        "pair": of_node[senders] * N_ELEMENTS + of_node[edges.receivers],
    }[species]
    arguments = (of_element[of_node], harmonics, hidden, weights, types, senders, edges.receivers)
    assert_close(found, loops.convolution(table, *arguments))


@pytest.mark.parametrize(
    ("irreps_in", "n_elements", "expected"),
    [("4x0e", 2, True), ("4x0e", 4, False), ("4x0e+4x1o", 1, False)],
)
def test_few_elements_with_many_neighbours_pool_by_species(irreps_in, n_elements, expected):
    scalar = Irrep(0, 1)
    paths = tuple((scalar, l, Irrep.natural(l)) for l in range(3))
    out = Irreps.of(4, [irrep for *_, irrep in paths])
    table = ConvolutionTable(Irreps.parse(irreps_in), 2, paths, out)
    assert pools_by_species(table, n_elements, mean_neighbours=9.0) is expected
