"""What compiled kernels sum over atoms and edges is what `prediction_of` defines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.plan.cases import STRUCTURES, graph_of, potential

from multiace.kernels.cpu.prediction import predict
from multiace.potential import Prediction, prediction_of

pytestmark = needs_compiled
ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-5}


@pytest.fixture(scope="module")
def graph():
    """Structures with and without a volume."""
    graph = graph_of(potential("mace"), STRUCTURES)
    assert graph.volume.isnan().any()
    assert graph.volume.isfinite().any()
    return graph


def arguments(graph, dtype):
    random = torch.Generator().manual_seed(0)
    terms = torch.randn((graph.n_nodes, 3), dtype=torch.float64, generator=random)
    by_edge = torch.randn((graph.n_edges, 3), dtype=dtype, generator=random)
    return terms, graph.edge_vectors.to(dtype), by_edge


def predicted(graph, terms, vectors, by_edge, **wanted):
    ends = (graph.senders, graph.receivers)
    return Prediction(
        *predict(terms, graph.structure_of_node, graph.volume, *ends, vectors, by_edge, **wanted)
    )


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize(
    ("forces", "stress"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_sums_are_those_of_the_definition(graph, dtype, forces, stress):
    terms, vectors, by_edge = arguments(graph, dtype)
    wanted = {"forces": forces, "stress": stress}
    found = predicted(graph, terms, vectors, by_edge, **wanted)
    expected = prediction_of(graph, vectors, terms, by_edge, **wanted)
    for name, value in vars(expected).items():
        if value is None:
            assert getattr(found, name) is None
        else:
            torch.testing.assert_close(
                getattr(found, name), value, rtol=0, atol=10 * ROUNDING[dtype], equal_nan=True
            )
    assert predicted(graph, terms, vectors, None, **wanted).forces is None


def test_structures_without_atoms_or_edges_have_sums_of_nothing(graph):
    alone = replace(
        graph,
        species=graph.species[:1],
        structure_of_node=torch.tensor([1]),
        senders=graph.senders[:0],
        receivers=graph.receivers[:0],
        edge_vectors=graph.edge_vectors[:0],
        n_structures=2,
        volume=torch.tensor([np.nan, 8.0], dtype=torch.float64),
    )
    terms, vectors, by_edge = arguments(alone, torch.float64)
    found = predicted(alone, terms, vectors, by_edge, forces=True, stress=True)
    assert found.energy.tolist() == [0.0, found.energies.item()]
    assert not found.forces.any()
    assert found.stress[0].isnan().all()
    assert not found.stress[1].any()


@pytest.mark.parametrize("field", ["senders", "receivers", "structure_of_node"])
@pytest.mark.parametrize("index", [-1, 10**6])
def test_an_index_that_there_is_not_is_refused(graph, field, index):
    indices = getattr(graph, field).clone()
    indices[-1] = index
    wrong = replace(graph, **{field: indices})
    with pytest.raises(IndexError, match="prediction"):
        predicted(wrong, *arguments(graph, torch.float64), forces=True, stress=True)
