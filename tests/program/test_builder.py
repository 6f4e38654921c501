"""Programs: run by the definitions of their operations, they give what the potential gives."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from tests.laws.potentials import for_random_designs, random_potential
from tests.laws.systems import ATOM, DIMER, METHANOL, TRICLINIC
from tests.program.cases import (
    EXACT,
    NAMES,
    SPLINED,
    STRUCTURES,
    assert_close,
    difference,
    evaluate,
    graph_of,
    potential,
)
from tests.program.interpreter import Interpreter

from multiace import presets
from multiace.design import Design, Statistics
from multiace.elements import ElementError
from multiace.geometry import Graph
from multiace.potential import Potential, Prediction, prediction_of
from multiace.program import Program, build_program, radial


def run(program: Program, model: Potential, graph: Graph) -> Prediction:
    """Run a program by its definitions."""
    place = torch.full((len(model.elements),), -1)
    for position, number in enumerate(program.elements):
        place[model.elements.index(number)] = position
    ends = (graph.senders, graph.receivers)
    interpreter = Interpreter(program, *ends, place[graph.species], graph.pairs)
    terms, gradient = interpreter.run(graph.edge_vectors, graph.n_nodes)
    return prediction_of(graph, graph.edge_vectors, terms, gradient, forces=True, stress=True)


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_an_exact_program_gives_what_the_potential_gives(name, dtype):
    model = potential(name, dtype)
    graph = graph_of(model, STRUCTURES)
    program = build_program(model, exact=True)
    assert program.exact
    assert program.names == model.terms
    assert_close(run(program, model, graph), evaluate(model, graph), EXACT[dtype])


def test_exact_programs_of_random_designs_give_what_the_potentials_give():
    def law(model: Potential) -> None:
        graph = graph_of(model, STRUCTURES)
        program = build_program(model, exact=True)
        assert_close(run(program, model, graph), evaluate(model, graph), 1e-12)

    law.__name__ = "exact_programs"
    for_random_designs(law, 12)


@pytest.mark.parametrize("name", NAMES)
def test_a_splined_program_stays_within_its_bound(name):
    model = potential(name)
    graph = graph_of(model, (TRICLINIC, DIMER, ATOM))
    program = build_program(model, elements=(1, 8, 14))
    assert not program.exact
    assert 0 < program.spline_error < program.spline_slope_error <= 1e-6
    assert_close(run(program, model, graph), evaluate(model, graph), SPLINED)


@pytest.mark.parametrize(
    "name", ["mace", "density", "by pair", "agnesi", "normalised agnesi", "pooled by element, pair"]
)
def test_programs_give_the_same_without_pairs(name):
    model = potential(name)
    graph = graph_of(model, STRUCTURES)
    program = build_program(model, exact=True)
    found, expected = (run(program, model, g) for g in (replace(graph, pairs=None), graph))
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize(
    ("name", "exact"),
    [*((name, True) for name in NAMES), *((name, False) for name in ("mace", "agnesi", "by pair"))],
)
def test_a_program_for_some_elements_is_smaller_and_gives_the_same(name, exact):
    model = potential(name)
    graph = graph_of(model, (METHANOL, ATOM))
    found = build_program(model, exact=exact, elements=[8, 6, 1, 6])
    whole = build_program(model, exact=exact)
    assert found.elements == (1, 6, 8)
    assert n_numbers(found) < n_numbers(whole)
    assert found.terms.shape[0] == found.factors.shape[1] == 3
    assert_close(run(found, model, graph), run(whole, model, graph), 1e-12 if exact else SPLINED)


def n_numbers(program: Program) -> int:
    """Number of weights and constants of a program."""
    return sum(tensor.numel() for name, tensor in program.tensors.items() if name != "settings")


def test_unknown_elements_are_refused():
    with pytest.raises(ElementError, match="He"):
        build_program(potential("mace"), elements=(1, 2))


def test_weights_that_are_not_finite_are_refused():
    model = random_potential(Design.model_validate({"layers": 1, "channels": 3, "l_max": 1}))
    with torch.no_grad():
        list(model.parameters())[-1].fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite.*earlier checkpoint"):
        build_program(model)


def test_weights_are_copied():
    model = random_potential(Design.model_validate({"layers": 1, "channels": 3, "l_max": 1}))
    graph = graph_of(model, (METHANOL,))
    program, expected = build_program(model, exact=True), evaluate(model, graph)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    assert_close(run(program, model, graph), expected, 1e-12)


def test_splines_beyond_the_budget_give_way_to_the_network(monkeypatch, caplog):
    monkeypatch.setattr(radial, "BUDGET", 1 << 20)
    with caplog.at_level(logging.INFO, logger="multiace"):
        program = build_program(potential("by pair"))
    assert program.exact
    assert program.spline_error == program.spline_slope_error == 0.0
    assert "more than 1 MB; the radial network is evaluated instead" in caplog.text


def test_a_tighter_tolerance_brings_forces_closer():
    model = potential("mace")
    graph = graph_of(model, (TRICLINIC,))
    expected = evaluate(model, graph)
    forces = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        program = build_program(model, elements=(1, 8, 14), tolerance=tolerance)
        assert program.spline_slope_error <= tolerance
        forces.append(difference(run(program, model, graph), expected)["forces"])
    assert forces[0] > 10 * forces[1] > 100 * forces[2]


def test_a_radial_network_without_hidden_layers_has_splines():
    fields = {"layers": 1, "channels": 3, "l_max": 1, "radial": {"hidden": []}, "cutoff": 4.0}
    model = random_potential(Design.model_validate(fields))
    graph = graph_of(model, (METHANOL,))
    assert_close(run(build_program(model), model, graph), evaluate(model, graph), SPLINED)


@pytest.mark.parametrize(("name", "n_types"), [("by sender", 3), ("agnesi", 6), ("by pair", 9)])
def test_pairs_of_elements_with_equal_radial_functions_share_one_spline(name, n_types):
    program = build_program(potential(name), elements=(1, 6, 8))
    splines = [o for o in program.operations if o.name == "spline"]
    assert [len(operation.constants[0]) for operation in splines] == [n_types, n_types]


def test_linear_maps_that_follow_one_another_are_folded():
    statistics = Statistics(mean_neighbours=28.0, atomic_energies={"Si": 0.0})
    design = presets.mace(channels=4, features_l_max=0)
    program = build_program(Potential(design, (14,), statistics))
    first = [operation.name for operation in program.operations if operation.layer == 1]
    assert first[:3] == ["neighbour_density", "linear", "polynomial_product"]


@pytest.mark.parametrize("exact", [True, False])
def test_lifetimes_say_what_the_reverse_pass_reads(exact):
    program = build_program(potential("mace"), exact=exact)
    lifetimes = [array.lifetime for array in program.arrays]
    for operation in program.operations:
        if operation.name == "polynomial_product":
            assert lifetimes[operation.inputs[0]] == "kept"
        if operation.name == "spline":
            assert lifetimes[operation.outputs[0]] == "temporary"
        if operation.name == "radial_network":
            assert lifetimes[operation.outputs[0]] == "whole"
    assert {lifetimes[n] for n in (*program.features, *program.reads)} == {"whole"}


def test_what_depends_on_elements_alone_is_not_differentiated():
    program = build_program(potential("nequip"))
    constant = [o.outputs[0] for o in program.operations if o.name == "embedding" and not o.layer]
    assert constant
    assert not any(program.arrays[n].differentiable for n in constant)
    assert all(program.arrays[n].differentiable for n in (program.vectors, *program.features))
