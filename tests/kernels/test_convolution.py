"""The convolution against loops over edges and paths, and against vector algebra."""

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

from multiace.kernels.operations.convolution import Convolution, radial_functions
from multiace.kernels.tables import ConvolutionTable
from multiace.o3.harmonics import spherical_harmonics
from multiace.o3.irreps import Irrep, Irreps

HIDDEN = (3, 8, 11)
"""Widths of u: compiled kernels treat more than 8 in another way."""

# name -> irreps of the features, l_max of the edges, irreps after pooling
TABLES = {
    "equal_channels": ("2x0e+2x1o+2x2e", 2, "0e+1o"),
    "unequal_channels": ("3x0e+2x1o+1x2e", 2, "0e+1o+2e"),
    "both_parities": ("2x0e+1x0o+3x1e+2x1o", 1, "0e+0o+1e+1o"),
    "scalars_only": ("4x0e", 0, "0e"),
    "irrep_that_couples_to_nothing": ("2x0e+1x2e", 1, "0e"),
    "wider_than_vectors": ("37x0e+5x1o", 1, "0e+1o"),
    "large_l": ("2x0e+1x4e", 4, "0e+4e"),
}
# name -> nodes, senders, receivers
GRAPHS = {
    "typical": (4, [1, 2, 3, 0, 2, 0, 1, 0], [0, 0, 0, 1, 1, 2, 2, 3]),
    "one_edge": (2, [1], [0]),
    "no_edges": (2, [], []),
    "two_structures": (5, [1, 0, 3, 4, 2, 2], [0, 1, 2, 2, 3, 4]),
    "periodic_images": (1, [0, 0, 0], [0, 0, 0]),
    "many_neighbours": (20, [*range(1, 20), 0], [0] * 19 + [7]),
}


def build_table(name):
    irreps_in, l_max, targets = TABLES[name]
    irreps_in = Irreps.parse(irreps_in)
    paths = tuple(
        (irrep_in, l_edge, irrep_out)
        for irrep_in in irreps_in.irreps
        for irrep_out in Irreps.parse(targets).irreps
        for l_edge in range(l_max + 1)
        if irrep_out in irrep_in * Irrep.natural(l_edge)
    )
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    irreps_out = Irreps(
        tuple(
            (sum(width[path[0]] for path in paths if path[2] == irrep), irrep)
            for irrep in sorted({path[2] for path in paths})
        )
    )
    return ConvolutionTable(irreps_in, l_max, paths, irreps_out)


def build_case(table, graph, dtype, n_types, n_hidden=3, shared_rows=False):
    """Return the tensors to differentiate by, and the indices."""
    n_nodes, senders, receivers = GRAPHS[graph]
    n_edges = len(senders)
    types = None if n_types is None else torch.arange(n_edges) * 7 % n_types
    shape = (n_hidden + (n_types or 1) - 1,) if shared_rows else (n_types or 1, n_hidden)
    tensors = (
        random(n_nodes, table.irreps_in.dim, dtype=dtype),
        random(n_edges, (table.l_max + 1) ** 2, dtype=dtype),
        random(n_edges, n_hidden, dtype=dtype),
        random(*shape, table.n_weights, dtype=dtype),
    )
    indices = {
        "edge_types": types,
        "senders": torch.tensor(senders, dtype=torch.int64),
        "receivers": torch.tensor(receivers, dtype=torch.int64),
    }
    return tensors, indices


def assert_is_the_loop(kernels, table, case, layout=lambda tensor: tensor):
    tensors, indices = case
    kernel = partial(kernels.convolution(table).to(tensors[0].dtype), **indices)
    loop = partial(loops.convolution, table, **indices)
    assert_same_to_second_order(kernel, loop, [layout(tensor) for tensor in tensors])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("graph", [graph for graph in GRAPHS if graph != "many_neighbours"])
@pytest.mark.parametrize("n_types", [None, 3])
def test_convolution_is_the_sum_over_edges_and_paths_on_every_graph(kernels, dtype, graph, n_types):
    table = build_table("unequal_channels")
    assert_is_the_loop(kernels, table, build_case(table, graph, dtype, n_types))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", TABLES)
def test_convolution_is_the_sum_over_edges_and_paths_for_every_table(kernels, dtype, table):
    table = build_table(table)
    assert_is_the_loop(kernels, table, build_case(table, "one_edge", dtype, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_hidden", HIDDEN)
@pytest.mark.parametrize("shared_rows", [False, True])
def test_convolution_takes_radial_maps_of_every_shape(kernels, dtype, n_hidden, shared_rows):
    table = build_table("scalars_only")
    case = build_case(table, "typical", dtype, 4, n_hidden, shared_rows)
    assert_is_the_loop(kernels, table, case)


@pytest.mark.parametrize("dtype", DTYPES)
def test_convolution_takes_inputs_that_are_not_contiguous(kernels, dtype):
    table = build_table("both_parities")
    case = build_case(table, "one_edge", dtype, 2)
    assert_is_the_loop(kernels, table, case, non_contiguous)


PAIRS = {
    "two directions": [0, 1, 2, 0, 3, 1, 3, 2],
    "some on their own": [0, 1, 2, 0, 4, 1, 3, 5],
    "three edges, and a row that no edge takes": [1, 1, 1, 3, 3, 4, 0, 0],
}


@pytest.fixture
def three_threads():
    """Let the edges of a pair lie in different parts."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize(("n_types", "n_hidden"), [(None, 3), (3, 3), (3, 11)])
def test_edges_of_a_pair_share_hidden_features(kernels, dtype, pairs, n_types, n_hidden):
    table = build_table("unequal_channels")
    (*others, hidden, weights), indices = build_case(table, "typical", dtype, n_types, n_hidden)
    indices["pairs"] = torch.tensor(PAIRS[pairs])
    tensors = (*others, hidden[: max(PAIRS[pairs]) + 1], weights)
    assert_is_the_loop(kernels, table, (tensors, indices))


@pytest.mark.parametrize("n_types", [None, 2])
def test_pairs_share_hidden_features_where_edges_are_too_many_for_one_block(compiled, n_types):
    table, n_edges, n_pairs = build_table("scalars_only"), 5000, 2700
    receivers = torch.arange(n_edges) * 7 // n_edges
    indices = {
        "edge_types": None if n_types is None else torch.arange(n_edges) % n_types,
        "senders": torch.arange(n_edges) % 5,
        "receivers": receivers,
        "pairs": torch.cat([torch.arange(2600), torch.arange(2400).flip(0)]),
    }
    sizes = ((7, 4), (n_edges, 1), (n_pairs, 9), (n_types or 1, 9, table.n_weights))
    tensors = [random(*size) for size in sizes]
    functions = [partial(of(table), **indices) for of in (compiled.convolution, Convolution)]
    assert_same_to_second_order(*functions, tensors)


@pytest.mark.parametrize("kernel", ["compiled", "reference"])
def test_pairs_without_any_edge_have_no_gradient(kernel, request):
    table = build_table("scalars_only")
    of = Convolution if kernel == "reference" else request.getfixturevalue("compiled").convolution
    (features, harmonics, _, weights), indices = build_case(table, "no_edges", torch.float64, None)
    hidden = random(3, 3, dtype=torch.float64).requires_grad_()
    none = torch.zeros(0, dtype=torch.int64)
    pooled = of(table)(features, harmonics, hidden, weights.requires_grad_(), **indices, pairs=none)
    (gradient,) = torch.autograd.grad(pooled.sum(), hidden)
    assert not gradient.any()


def test_numbers_of_two_dtypes_and_short_indices_are_refused(compiled):
    table = build_table("scalars_only")
    (*others, hidden, weights), indices = build_case(table, "typical", torch.float32, None)
    kernel = compiled.convolution(table)
    with pytest.raises(TypeError, match=r"float32|float64|int64|Int|Float"):
        kernel(*others, hidden.double(), weights, **indices)
    with pytest.raises(TypeError, match=r"int32|int64|Int"):
        kernel(*others, hidden, weights, **{**indices, "senders": indices["senders"].int()})


def test_outputs_beyond_the_loops_of_the_kernel_are_refused(compiled):
    irreps = Irreps.parse("2x0e")
    l_max = 7
    path = (Irrep.natural(0), l_max, Irrep.natural(l_max))
    table = ConvolutionTable(irreps, l_max, (path,), Irreps(((2, Irrep.natural(l_max)),)))
    inputs = (random(1, 2), random(1, (l_max + 1) ** 2), random(1, 1), random(1, 1, 2), None)
    with pytest.raises(ValueError, match=r"reaches l = 6, and is asked for 7"):
        compiled.convolution(table)(*inputs, *torch.zeros(2, 1, dtype=torch.int64))


@pytest.mark.parametrize("pair", [-1, 1])
def test_a_pair_that_there_is_not_is_refused(compiled, pair):
    table = build_table("scalars_only")
    tensors, indices = build_case(table, "one_edge", torch.float32, None)
    with pytest.raises(IndexError, match="outside its range"):
        compiled.convolution(table)(*tensors, **indices, pairs=torch.tensor([pair]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", ["both_parities", "wider_than_vectors", "large_l"])
@pytest.mark.parametrize(("n_types", "n_hidden"), [(None, 40), (5, 11), (5, 4)])
def test_compiled_convolution_is_its_definition(compiled, dtype, table, n_types, n_hidden):
    table = build_table(table)
    tensors, indices = build_case(table, "many_neighbours", dtype, n_types, n_hidden)
    functions = [
        partial(of(table).to(dtype), **indices) for of in (compiled.convolution, Convolution)
    ]
    assert_same_to_second_order(*functions, tensors)


def test_third_derivatives_of_the_compiled_convolution_are_those_of_its_definition(compiled):
    table = build_table("scalars_only")
    tensors, indices = build_case(table, "typical", torch.float64, 3)
    functions = [partial(of(table), **indices) for of in (compiled.convolution, Convolution)]
    assert_same_to_order(3, *functions, tensors)


@pytest.mark.parametrize("n_types", [None, 2])
def test_derivatives_of_the_convolution_are_finite_differences(kernels, n_types):
    table = build_table("unequal_channels")
    tensors, indices = build_case(table, "one_edge", torch.float64, n_types)
    kernel = partial(kernels.convolution(table), **indices)
    variables = tuple(tensor.requires_grad_() for tensor in tensors)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


@pytest.mark.parametrize(
    ("irrep_out", "expected"),
    [
        ("0e", lambda h, r: (h @ r).unsqueeze(0)),
        ("1e", lambda h, r: torch.linalg.cross(h, r) * (3 / 2) ** 0.5),
    ],
)
def test_a_vector_and_a_direction_couple_to_dot_and_cross_product(kernels, irrep_out, expected):
    vector, irrep_out = Irrep.parse("1o"), Irrep.parse(irrep_out)
    table = ConvolutionTable(
        Irreps.of(1, [vector]), 1, ((vector, 1, irrep_out),), Irreps.of(1, [irrep_out])
    )
    h, direction = random(3), torch.nn.functional.normalize(random(3), dim=0)
    to_components = [1, 2, 0]  # components of l = 1 are y, z, x
    found = kernels.convolution(table)(
        features=torch.stack([torch.zeros(3, dtype=torch.float64), h[to_components]]),
        harmonics=spherical_harmonics(1, direction.unsqueeze(0)),
        hidden=torch.ones(1, 1, dtype=torch.float64),
        weights=torch.ones(1, 1, 1, dtype=torch.float64),
        edge_types=None,
        senders=torch.tensor([1]),
        receivers=torch.tensor([0]),
    )
    result = expected(h, direction)
    assert_close(found[0], result[to_components] if irrep_out.l else result)
    assert (found[1] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_edges", [0, 1, 5])
def test_every_edge_takes_the_radial_map_of_its_type(dtype, n_edges):
    hidden, weights = random(n_edges, 3, dtype=dtype), random(4, 3, 5, dtype=dtype)
    types = torch.arange(n_edges) * 3 % 4
    expected = [hidden[e] @ weights[types[e]] for e in range(n_edges)]
    found = radial_functions(hidden, weights, types)
    assert_close(found, torch.stack(expected) if n_edges else hidden.new_zeros(0, 5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_types_share_rows_of_weights_that_have_no_types_of_their_own(dtype):
    hidden, rows = random(3, 2, dtype=dtype), random(5, 4, dtype=dtype)
    first = torch.tensor([3, 0, 1])
    expected = [hidden[e] @ rows[first[e] : first[e] + 2] for e in range(3)]
    assert_close(radial_functions(hidden, rows, first), torch.stack(expected))


def test_messages_do_not_cross_between_structures(kernels):
    table = build_table("unequal_channels")
    tensors, indices = build_case(table, "two_structures", torch.float64, None)
    features = tensors[0].requires_grad_()
    pooled = kernels.convolution(table)(features, *tensors[1:], **indices)
    (gradient,) = torch.autograd.grad(pooled[:2].sum(), features)
    assert (gradient[:2] != 0).any()
    assert (gradient[2:] == 0).all()
