"""Plans: the numbers of the potential, whatever the design, sizes and order of structures."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.laws.potentials import for_random_designs, random_potential
from tests.laws.systems import ATOM, CHIRAL, DIMER, METHANOL, TRICLINIC
from tests.plan.cases import NAMES, STRUCTURES, difference, evaluate, graph_of, potential

from multiace.design import Design
from multiace.elements import ElementError
from multiace.kernels.cpu import steps
from multiace.plan import Plan, radial
from multiace.potential import Potential

ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-4}
SPLINED = 1e-5
"""Of forces and stress: the errors of slopes, 1e-6 of the largest, add up and partly cancel."""


def assert_close(found, expected, tolerance: float) -> None:
    assert max(difference(found, expected).values()) < tolerance, difference(found, expected)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_an_exact_plan_gives_what_the_potential_gives(name, dtype, kernels):
    model = potential(name, dtype, kernels)
    graph = graph_of(model, STRUCTURES)
    plan = Plan(model, exact=True)
    assert plan.exact
    for _ in range(2):  # the second finds the arrays of the first
        found = plan.evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), ROUNDING[dtype])


def test_exact_plans_of_random_designs_give_what_the_potentials_give():
    def law(model: Potential) -> None:
        graph = graph_of(model, STRUCTURES)
        found = Plan(model, exact=True).evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), 1e-11)

    law.__name__ = "exact_plans"
    for_random_designs(law, 8)


@pytest.mark.parametrize("name", ["mace", "by pair", "agnesi"])
def test_radial_functions_are_evaluated_once_for_both_directions_of_a_pair(name):
    model = potential(name)
    graph, plan = graph_of(model, STRUCTURES), Plan(model, exact=True)
    plan.evaluate(graph, forces=True, stress=True)
    (values,) = (step for step in plan._radial.steps if isinstance(step, steps.RadialValues))
    assert len(values.distances.value) == graph.n_edges // 2


@pytest.mark.parametrize(("exact", "kernels"), [(0, "auto"), (1, "auto"), (1, "reference")])
@pytest.mark.parametrize("name", ["mace", "density", "by pair", "agnesi", "zbl inside"])
def test_plans_give_the_same_without_pairs(name, exact, kernels):
    model = potential(name, kernels=kernels)
    graph, plan = (
        graph_of(model, STRUCTURES),
        Plan(model, elements=(1, 3, 6, 8, 14), exact=bool(exact)),
    )
    single = replace(graph, pairs=None)
    found, expected = (plan.evaluate(g, forces=True, stress=True) for g in (graph, single))
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_splined_plan_stays_within_its_bound(name, dtype):
    model = potential(name, dtype)
    graph = graph_of(model, (TRICLINIC, DIMER, ATOM))
    plan = Plan(model, elements=(1, 8, 14))
    assert not plan.exact
    assert 0 < plan.spline_error < plan.spline_slope_error <= 1e-6
    found = plan.evaluate(graph, forces=True, stress=True)
    assert_close(found, evaluate(model, graph), max(SPLINED, ROUNDING[dtype]))


@pytest.mark.parametrize("name", ["mace", "nequip", "density", "by pair", "agnesi", "zbl inside"])
def test_forces_of_a_splined_plan_are_the_derivative_of_its_own_energy(name):
    model = potential(name)
    plan = Plan(model, elements=(1, 3, 6, 8, 14), tolerance=1e-2)  # visibly off the network
    graph = graph_of(model, (CHIRAL,))
    assert plan.spline_slope_error > 1e-5
    gradient = _edge_gradient(plan, graph)
    rng, step = np.random.default_rng(1), 1e-4
    for _ in range(3):
        direction = torch.from_numpy(rng.normal(size=graph.edge_vectors.shape))
        energies = [
            float(_energy(plan, graph, graph.edge_vectors + sign * step * direction))
            for sign in (2, 1, -1, -2)
        ]
        slope = (8 * (energies[1] - energies[2]) - (energies[0] - energies[3])) / (12 * step)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-6)


def _energy(plan: Plan, graph, vectors: torch.Tensor) -> torch.Tensor:
    plan.begin(vectors, graph.senders, graph.receivers, graph.species, graph.n_nodes)
    for t in range(1, plan.n_layers + 1):
        plan.forward_layer(t)
    return plan.energies().sum()


def _edge_gradient(plan: Plan, graph) -> torch.Tensor:
    _energy(plan, graph, graph.edge_vectors)
    plan.begin_reverse()
    for t in range(plan.n_layers, 0, -1):
        plan.reverse_layer(t)
    return plan.gradient().clone()


@pytest.mark.parametrize("exact", [True, False])
def test_one_plan_takes_structures_of_any_size_in_any_order(exact):
    model = potential("mace")
    plan = Plan(model, exact=exact)
    batches = [
        (ATOM,),
        STRUCTURES,
        (DIMER,),
        (TRICLINIC, METHANOL),
        (METHANOL,),
        (CHIRAL,),
        (ATOM,),
    ]
    for structures in (*batches, *reversed(batches)):
        graph = graph_of(model, structures)
        found = plan.evaluate(graph, forces=True, stress=True)
        assert_close(found, evaluate(model, graph), ROUNDING[torch.float64] if exact else SPLINED)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("exact", [True, False])
def test_edges_may_vanish_and_come_back(exact, kernels):
    model = potential("mace", kernels=kernels)
    plan = Plan(model, exact=exact)
    apart = replace(DIMER, positions=20.0 * DIMER.positions)
    for structures in ((METHANOL,), (apart,), (DIMER,), (apart,), (METHANOL,)):
        graph = graph_of(model, structures)
        found = plan.evaluate(graph, stress=True)
        assert_close(found, evaluate(model, graph), ROUNDING[torch.float64] if exact else SPLINED)


def test_an_evaluation_that_fails_leaves_nothing_behind(monkeypatch):
    model = potential("mace")
    plan = Plan(model, exact=True)
    first, second = (graph_of(model, (each,)) for each in (METHANOL, CHIRAL))
    plan.evaluate(first)
    with monkeypatch.context() as patched:
        patched.setattr(plan._terms, "take_species", lambda _: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            plan.evaluate(second)
    assert_close(plan.evaluate(second, stress=True), evaluate(model, second), 1e-12)


def test_elements_that_are_written_over_are_noticed():
    model = potential("mace")
    plan, graph = Plan(model, exact=True), graph_of(model, (METHANOL,))
    for _ in range(2):
        assert_close(plan.evaluate(graph, stress=True), evaluate(model, graph), 1e-12)
        graph.species.copy_(graph.species.flip(0))


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
    assert alone.forces is None
    np.testing.assert_array_equal(alone.energies, with_forces.energies)


def test_results_are_not_overwritten_by_the_next_evaluation():
    model = potential("nequip")
    plan = Plan(model)
    first = plan.evaluate(graph_of(model, (METHANOL,)), stress=True)
    kept = [each.clone() for each in (first.energies, first.contributions, first.forces)]
    plan.evaluate(graph_of(model, (CHIRAL,)), stress=True)
    for each, before in zip((first.energies, first.contributions, first.forces), kept, strict=True):
        np.testing.assert_array_equal(each, before)


@pytest.mark.parametrize("name", NAMES)
def test_autocast_and_inference_mode_do_not_reach_into_a_plan(name):
    model = potential(name, torch.float32)
    graph = graph_of(model, STRUCTURES)
    expected = evaluate(model, graph)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = Plan(model, exact=True)
        assert_close(within.evaluate(graph, stress=True), expected, 1e-4)
    with torch.inference_mode():
        inside = Plan(model, exact=True)
        assert_close(inside.evaluate(graph_of(model, STRUCTURES), stress=True), expected, 1e-4)
    for plan in (within, inside):
        assert_close(plan.evaluate(graph, stress=True), expected, 1e-4)


def test_elements_that_a_plan_was_not_made_for_are_refused():
    model = potential("by pair")
    plan = Plan(model, elements=(1, 6))
    with pytest.raises(ElementError, match=r"made for H, C, and is asked for O\b"):
        plan.evaluate(graph_of(model, (METHANOL,)))
    with pytest.raises(ElementError, match="He"):
        Plan(model, elements=(1, 2))


def test_tables_beyond_the_budget_give_way_to_the_network(monkeypatch, caplog):
    monkeypatch.setattr(radial, "BUDGET", 1 << 20)
    model = potential("by pair")
    with caplog.at_level(logging.INFO, logger="multiace"):
        plan = Plan(model)
    assert plan.exact
    assert plan.spline_error == 0.0
    assert "more than 1 MB; the radial network is evaluated instead" in caplog.text
    graph = graph_of(model, STRUCTURES)
    assert_close(plan.evaluate(graph, stress=True), evaluate(model, graph), 1e-12)


def test_without_compiled_kernels_a_plan_is_exact():
    assert Plan(potential("mace", kernels="reference")).exact


def test_a_tighter_tolerance_brings_forces_closer():
    model = potential("mace")
    graph = graph_of(model, (TRICLINIC,))
    expected = evaluate(model, graph)
    found = {}
    for tolerance in (1e-3, 1e-5, 1e-7):
        plan = Plan(model, elements=(1, 8, 14), tolerance=tolerance)
        assert plan.spline_slope_error <= tolerance
        found[tolerance] = difference(plan.evaluate(graph, stress=True), expected)
    forces = [errors["forces"] for errors in found.values()]
    assert forces[0] > 10 * forces[1] > 100 * forces[2]


def test_a_design_without_any_hidden_layer_in_its_radial_network_has_splines():
    design = Design.model_validate(
        {"layers": 1, "channels": 3, "l_max": 1, "radial": {"hidden": []}, "cutoff": 4.0}
    )
    model = random_potential(design)
    graph = graph_of(model, (METHANOL,))
    assert_close(Plan(model).evaluate(graph, stress=True), evaluate(model, graph), SPLINED)


def test_edges_that_are_written_over_are_noticed():
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
        patched.setattr(plan, "_take", None)  # an error if it were called
        moved = replace(graph, edge_vectors=1.01 * graph.edge_vectors)
        assert_close(plan.evaluate(moved, stress=True), evaluate(model, moved), 1e-12)


@needs_compiled
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", ["mace", "by pair"])
def test_radial_functions_that_are_kept_change_no_bit(name, n_threads, monkeypatch):
    from multiace.kernels.cpu import steps

    model = potential(name, torch.float32, kernels="cpu")
    graph = graph_of(model, (*STRUCTURES, *160 * (TRICLINIC,)))
    assert graph.n_edges > 3 * 2048  # several blocks of the convolution, of which some are kept
    found = []
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        for kept in (0, 200_000, steps.KEPT):
            monkeypatch.setattr(steps, "KEPT", kept)
            plan = Plan(model, exact=True)
            for _ in range(2):
                found.append(plan.evaluate(graph, stress=True))
    finally:
        torch.set_num_threads(before)
    for each in found[1:]:
        assert torch.equal(each.forces, found[0].forces)
        assert torch.equal(each.energies, found[0].energies)
