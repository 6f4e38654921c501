"""Plans: the numbers of the potential, whatever the design, sizes and order of structures."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.laws.potentials import for_random_designs, random_potential
from tests.laws.systems import ATOM, CHIRAL, DIMER, METHANOL, TRICLINIC
from tests.program.cases import (
    BASE,
    EXACT,
    NAMES,
    SPLINED,
    STRUCTURES,
    assert_close,
    evaluate,
    graph_of,
    potential,
)

from multiace.design import Design
from multiace.elements import ElementError
from multiace.geometry import Graph
from multiace.kernels.cpu.executor import Executor
from multiace.potential import Potential
from multiace.program import Plan, fastest

pytestmark = needs_compiled

BEGINS_AT_A_BOND = {
    "family": "gaussian",
    "transform": "normalised_agnesi",
    "normalised_agnesi": {"r_in": 1.0},
    "envelope": "two_sided",
}


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_an_exact_plan_gives_what_the_potential_gives(name, dtype):
    model = potential(name, dtype)
    graph = graph_of(model, STRUCTURES)
    plan = Plan(model, exact=True)
    assert plan.exact
    for _ in range(2):  # the second time nothing is bound
        found = plan.evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), EXACT[dtype])


def test_an_exact_plan_knows_where_a_transform_begins():
    model = random_potential(Design.model_validate(BASE | {"radial": BEGINS_AT_A_BOND}))
    graph = graph_of(model, STRUCTURES)
    distances = graph.edge_vectors.norm(dim=1)
    assert (distances < 1.0).any()
    found = Plan(model, exact=True).evaluate(graph, forces=True, stress=True)
    assert_close(found, evaluate(model, graph), 1e-12)


def test_exact_plans_of_random_designs_give_what_the_potentials_give():
    def law(model: Potential) -> None:
        graph = graph_of(model, STRUCTURES)
        found = Plan(model, exact=True).evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), 1e-12)

    law.__name__ = "exact_plans"
    for_random_designs(law, 12)


@pytest.mark.slow
def test_plans_of_many_random_designs_give_what_the_potentials_give():
    def law(model: Potential) -> None:
        graph = graph_of(model, STRUCTURES)
        for exact, tolerance in ((True, 1e-12), (False, SPLINED)):
            found = Plan(model, exact=exact).evaluate(graph, forces=True, stress=True)
            assert_close(found, evaluate(model, graph), tolerance)

    law.__name__ = "many_plans"
    for_random_designs(law, 100)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float64) for name in NAMES),
        *((name, torch.float32) for name in ("mace", "by pair", "pooled by element")),
    ],
)
def test_a_splined_plan_stays_within_its_bound(name, dtype):
    model = potential(name, dtype)
    graph = graph_of(model, (TRICLINIC, DIMER, ATOM))
    plan = Plan(model, elements=(1, 8, 14))
    assert not plan.exact
    assert 0 < plan.spline_error < plan.spline_slope_error <= 1e-6
    found = plan.evaluate(graph, forces=True, stress=True)
    assert_close(found, evaluate(model, graph), SPLINED)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "name", ["mace", "density", "by pair", "agnesi", "normalised agnesi", "zbl inside"]
)
def test_plans_give_the_same_without_pairs(name, exact):
    model = potential(name)
    graph, plan = graph_of(model, STRUCTURES), Plan(model, exact=exact)
    single = replace(graph, pairs=None)
    found, expected = (plan.evaluate(g, forces=True, stress=True) for g in (graph, single))
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("name", ["mace", "nequip", "density", "by pair", "agnesi", "zbl inside"])
def test_forces_of_a_splined_plan_are_the_derivative_of_its_own_energy(name):
    model = potential(name)
    plan = Plan(model, elements=(1, 3, 6, 8, 14), tolerance=1e-2)  # visibly off the network
    graph = graph_of(model, (CHIRAL,))
    assert plan.spline_slope_error > 1e-5
    energy(plan, graph, graph.edge_vectors)
    for t in range(plan.n_layers, 0, -1):
        plan.reverse_layer(t)
    gradient = plan.gradient()
    rng, step = np.random.default_rng(1), 1e-4
    for _ in range(3):
        direction = torch.from_numpy(rng.normal(size=graph.edge_vectors.shape))
        energies = [
            energy(plan, graph, graph.edge_vectors + sign * step * direction)
            for sign in (2, 1, -1, -2)
        ]
        slope = (8 * (energies[1] - energies[2]) - (energies[0] - energies[3])) / (12 * step)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-6)


def energy(plan: Plan, graph: Graph, vectors: torch.Tensor) -> float:
    """Return the energy at other edge vectors, by layers."""
    plan.begin(vectors, graph.senders, graph.receivers, graph.species, graph.n_nodes)
    for t in range(1, plan.n_layers + 1):
        plan.forward_layer(t)
    return float(plan.energies().sum())


@pytest.mark.parametrize("exact", [True, False])
def test_one_plan_takes_structures_of_any_size_in_any_order(exact):
    model = potential("mace")
    plan = Plan(model, exact=exact)
    few = [(ATOM,), STRUCTURES, (DIMER,), (TRICLINIC, METHANOL), (METHANOL,), (CHIRAL,), (ATOM,)]
    for structures in (*few, *reversed(few)):
        graph = graph_of(model, structures)
        found = plan.evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), 1e-12 if exact else SPLINED)


@pytest.mark.parametrize("exact", [True, False])
def test_edges_may_vanish_and_come_back(exact):
    model = potential("mace")
    plan = Plan(model, exact=exact)
    apart = replace(DIMER, positions=20.0 * DIMER.positions)
    for structures in ((METHANOL,), (apart,), (DIMER,), (apart,), (METHANOL,)):
        graph = graph_of(model, structures)
        found = plan.evaluate(graph, stress=True)
        assert_close(found, evaluate(model, graph), 1e-12 if exact else SPLINED)


def test_an_evaluation_that_fails_leaves_nothing_behind():
    model = potential("mace")
    plan = Plan(model, exact=True)
    first, second = (graph_of(model, (each,)) for each in (METHANOL, CHIRAL))
    plan.evaluate(first)
    wrong = (
        replace(second, senders=second.senders + second.n_nodes),
        replace(second, receivers=second.receivers - second.n_nodes),
        replace(second, structure_of_node=second.structure_of_node + 1),
        replace(second, pairs=second.pairs._replace(of_edge=0 * second.pairs.of_edge)),
    )
    for graph in wrong:
        with pytest.raises(IndexError, match="does not exist"):
            plan.evaluate(graph)
        assert_close(plan.evaluate(second, stress=True), evaluate(model, second), 1e-12)
        assert_close(plan.evaluate(first, stress=True), evaluate(model, first), 1e-12)


@pytest.mark.parametrize("name", ["species", "senders", "receivers"])
def test_indices_that_are_written_over_are_noticed(name):
    model = potential("mace")
    plan, graph = Plan(model, exact=True), graph_of(model, (METHANOL,))
    graph = replace(graph, pairs=None)
    for _ in range(2):
        assert_close(plan.evaluate(graph, stress=True), evaluate(model, graph), 1e-12)
        order = torch.arange(graph.n_nodes).flip(0)
        indices = getattr(graph, name)
        indices.copy_(indices.flip(0) if name == "species" else order[indices])


def test_pairs_that_are_written_over_are_noticed():
    model = potential("by pair")
    plan, graph = Plan(model, exact=True), graph_of(model, (METHANOL,))
    plan.evaluate(graph)
    for indices in (graph.senders, graph.receivers):
        indices.copy_(graph.n_nodes - 1 - indices.flip(0))  # the atoms in reverse
    graph.edge_vectors.copy_(graph.edge_vectors.flip(0))
    graph.pairs.of_edge.copy_(len(graph.pairs.edge) - 1 - graph.pairs.of_edge.flip(0))
    first = [int((graph.pairs.of_edge == n).nonzero()[0]) for n in range(len(graph.pairs.edge))]
    graph.pairs.edge.copy_(torch.tensor(first))
    assert_close(plan.evaluate(graph, stress=True), evaluate(model, graph), 1e-12)


def test_nothing_is_bound_again_where_only_atoms_have_moved(monkeypatch):
    model = potential("mace")
    plan, graph = Plan(model, exact=True), graph_of(model, (METHANOL,))
    plan.evaluate(graph)
    with monkeypatch.context() as patched:
        patched.setattr(Executor, "bind", None)  # an error if it were called
        moved = replace(graph, edge_vectors=1.01 * graph.edge_vectors)
        assert_close(plan.evaluate(moved, stress=True), evaluate(model, moved), 1e-12)


def test_threads_of_python_may_share_a_plan():
    model = potential("mace")
    plan = Plan(model, exact=True)
    graphs = [graph_of(model, (each,)) for each in (METHANOL, CHIRAL, TRICLINIC, ATOM)]
    expected = [evaluate(model, graph) for graph in graphs]

    def work(n: int) -> None:
        for _ in range(20):
            assert_close(plan.evaluate(graphs[n], stress=True), expected[n], 1e-12)

    with ThreadPoolExecutor(len(graphs)) as pool:
        list(pool.map(work, range(len(graphs))))


def test_energies_alone_are_those_with_forces():
    model = potential("botnet")
    plan, graph = Plan(model), graph_of(model, STRUCTURES)
    with_forces = plan.evaluate(graph, forces=True)
    alone = plan.evaluate(graph, forces=False)
    assert alone.forces is alone.stress is alone.virial is None
    np.testing.assert_allclose(alone.energies, with_forces.energies, rtol=1e-14)


def test_results_are_not_overwritten_by_the_next_evaluation():
    model = potential("nequip")
    plan = Plan(model)
    first = plan.evaluate(graph_of(model, (METHANOL,)), stress=True)
    kept = {name: value.clone() for name, value in vars(first).items()}
    plan.evaluate(graph_of(model, (CHIRAL,)), stress=True)
    for name, before in kept.items():
        np.testing.assert_array_equal(getattr(first, name), before)


def test_memory_of_features_outlives_the_plan():
    model = potential("mace")
    plan, graph = Plan(model), graph_of(model, (METHANOL,))
    energy(plan, graph, graph.edge_vectors)
    features = plan.features(1)
    expected = features.clone()
    del plan
    gc.collect()
    assert torch.equal(features, expected)


def test_the_virial_is_minus_stress_times_volume():
    model = potential("mace")
    graph = graph_of(model, (TRICLINIC, DIMER))
    for found in (Plan(model).evaluate(graph, stress=True), evaluate(model, graph)):
        volume = graph.volume[0]
        torch.testing.assert_close(found.stress[0], -found.virial[0] / volume, rtol=1e-14, atol=0)
        assert found.stress[1].isnan().all()
        assert found.virial[1].isfinite().all()


@pytest.mark.parametrize("name", ["mace", "nequip", "zbl inside", "density"])
def test_autocast_and_inference_mode_do_not_reach_into_a_plan(name):
    model = potential(name, torch.float32)
    graph = graph_of(model, STRUCTURES)
    expected = evaluate(model, graph)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = Plan(model)
        assert_close(within.evaluate(graph, stress=True), expected, SPLINED)
    with torch.inference_mode():
        inside = Plan(model, exact=True)
        found = inside.evaluate(graph_of(model, STRUCTURES), stress=True)
        assert_close(found, expected, EXACT[torch.float32])
    assert not found.forces.is_inference()
    for plan in (within, inside):
        assert_close(plan.evaluate(graph, stress=True), expected, SPLINED)


def test_edge_vectors_may_require_gradients():
    model = potential("mace")
    graph = graph_of(model, (METHANOL,))
    leaf = replace(graph, edge_vectors=graph.edge_vectors.clone().requires_grad_())
    found = Plan(model, exact=True).evaluate(leaf, stress=True)
    assert not found.energy.requires_grad
    assert_close(found, evaluate(model, graph), 1e-12)


def test_elements_that_a_plan_was_not_made_for_are_refused():
    model = potential("by pair")
    plan = Plan(model, elements=(1, 6))
    with pytest.raises(ElementError, match=r"made for H, C, and is asked for O\b"):
        plan.evaluate(graph_of(model, (METHANOL,)))
    with pytest.raises(ElementError, match="He"):
        Plan(model, elements=(1, 2))


def test_calls_out_of_order_are_errors():
    model = potential("mace")
    plan, graph = Plan(model), graph_of(model, (METHANOL,))
    with pytest.raises(RuntimeError):
        plan.forward_layer(1)
    indices = (graph.senders, graph.receivers, graph.species, graph.n_nodes)
    plan.begin(graph.edge_vectors, *indices, gradients=False)
    for wrong in (lambda: plan.forward_layer(2), plan.energies, lambda: plan.reverse_layer(2)):
        with pytest.raises(RuntimeError):
            wrong()
    with pytest.raises(ValueError, match="edge_vectors"):
        plan.begin(graph.edge_vectors[1:], *indices)
    assert_close(plan.evaluate(graph, stress=True), evaluate(model, graph), SPLINED)


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("exact", [True, False])
def test_results_do_not_depend_on_the_number_of_threads(exact, n_threads):
    model = potential("mace", torch.float32)
    plan, graph = Plan(model, exact=exact), graph_of(model, 30 * STRUCTURES)
    expected = plan.evaluate(graph, stress=True)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = plan.evaluate(graph, stress=True)
    finally:
        torch.set_num_threads(before)
    for name in ("energies", "forces", "virial"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


def test_without_an_executor_the_potential_is_called():
    model = potential("mace", kernels="reference")
    assert fastest(model) is model
    with pytest.raises(ValueError, match="kernels 'reference' have none for cpu"):
        Plan(model)
    assert isinstance(fastest(potential("mace")), Plan)
