"""The inner interface: edge vectors in, energies of owned atoms out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.kernels import loops
from tests.laws.potentials import statistics
from tests.laws.systems import CHIRAL, ELEMENTS, TRICLINIC

from multiace.design import Design, Statistics
from multiace.geometry import Structure, build_graph
from multiace.kernels import dispatch
from multiace.kernels.tables import (
    ConvolutionTable,
    DensityTable,
    GateTable,
    LinearTable,
    ProductTable,
    RadialBasisTable,
    RadialNetworkTable,
)
from multiace.potential import Potential
from multiace.presets import PRESETS, nequip

SAME = 1e-10  # relative to values of order one


def build(design, **fields):
    return Potential(design, ELEMENTS, statistics(design), dtype=torch.float64, **fields)


def linear_loop(x, weights, species, words, dim, n_elements):
    table = LinearTable.decode(words)
    parts = weights.split([n_elements * c * d for c, d in table.shapes.values()])
    matrices = {
        str(irrep): part.view(*(() if species is None else (n_elements,)), *shape)
        for (irrep, shape), part in zip(table.shapes.items(), parts, strict=True)
    }
    return loops.linear(table.irreps_in, table.irreps_out, x, matrices, species)


def network_loop(basis, weights, biases, envelope, words, n_hidden):
    table = RadialNetworkTable.decode(words)
    shapes = list(pairwise(table.widths))
    parts = weights.split([a * b for a, b in shapes])
    matrices = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
    rows = biases.split(table.widths[1:]) if len(biases) else ()
    factor = envelope if len(envelope) else None
    return loops.radial_network(table.activation, basis, matrices, rows, factor)


def basis_loop(distances, argument, constants, words, on_basis):
    table = RadialBasisTable.decode(words)
    envelope = (table.envelope.kind, table.envelope.power)
    x = argument if len(argument) else None
    fixed = (table.family, table.cutoff, envelope, on_basis)
    return loops.radial_basis(*fixed, distances, x, constants)


def density_loop(harmonics, hidden, types, receivers, pairs, words, n_nodes, dim):
    table = DensityTable.decode(words)
    return loops.neighbour_density(table, harmonics, hidden, types, receivers, n_nodes, pairs)


def gate_loop(x, words, dim):
    table = GateTable.decode(words)
    irreps, activations = (table.irreps_in, table.irreps_out), (table.even, table.odd, table.gate)
    return loops.gate(*irreps, *activations, x)


LOOPS = {
    "radial_basis": basis_loop,
    "convolution": lambda *x: loops.convolution(ConvolutionTable.decode(x[-2]), *x[:-2]),
    "linear": linear_loop,
    "polynomial_product": lambda a, w, species, words, dim: loops.polynomial_product(
        ProductTable.decode(words), a, w, species
    ),
    "gate": gate_loop,
    "radial_network": network_loop,
    "neighbour_density": density_loop,
}


@pytest.mark.parametrize("preset", PRESETS)
def test_any_implementation_of_the_kernels_gives_the_same_energies(preset, monkeypatch):
    kernels = dispatch.Kernels("loops", "loops", None, LOOPS)
    monkeypatch.setitem(dispatch.BACKENDS, "loops", lambda: kernels)
    design = PRESETS[preset]("small", layers=2, channels=2, l_max=1, features_l_max=1)
    graph = build_graph(CHIRAL, design.cutoff, ELEMENTS)
    with torch.no_grad():
        found, expected = (
            build(design, kernels=name)(graph, forces=False).contributions
            for name in ("loops", "reference")
        )
    torch.testing.assert_close(found, expected, rtol=SAME, atol=SAME)


def test_one_layer_of_scalars_is_a_pair_potential_written_out():
    """E_i = E0 + scale w/sqrt(C) . sum_c' W_c'c/sqrt(C) (1/N) sum_j R_c'(r) u(r) h_jc'."""
    channels, number, cutoff, neighbours, scale = 3, 4, 3.0, 2.5, 1.7
    design = Design(
        layers=1,
        channels=channels,
        cutoff=cutoff,
        l_max=0,
        features_l_max=0,
        radial={"number": number, "hidden": [], "envelope_power": 6},
        atomic_basis={"before_edges": "none"},
        update={"self_connection": "none"},
    )
    numbers = Statistics(
        mean_neighbours=neighbours, atomic_energies={"H": -1.0, "C": -2.0}, scale=scale
    )
    potential = Potential(design, (1, 6), numbers, dtype=torch.float64)
    z, positions = [1, 0, 0], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1], [0.9, 0.2, -0.7]])
    structure = Structure(np.array([6, 1, 1]), positions)
    found = potential(build_graph(structure, cutoff, (1, 6)), forces=False).energies

    weights = {name: w.detach().numpy() for name, w in potential.named_parameters()}
    layer = "model.layers.0.atomic_basis."
    h = weights["model.embedding.weights"]
    last = weights[f"{layer}radial_network.last"][0] / np.sqrt(number)
    mixing = weights[f"{layer}after_pooling.0.weights.0e"] / np.sqrt(channels)
    readout = weights["model.readouts.0.weights"][:, 0] / np.sqrt(channels)
    for i in range(3):
        a = np.zeros(channels)
        for j in range(3):
            r = np.linalg.norm(positions[j] - positions[i])
            if i == j or r >= cutoff:
                continue
            x = r / cutoff
            u = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
            n = np.arange(1, number + 1)
            basis = np.sqrt(2 / cutoff) * np.sin(n * np.pi * x) / r * u
            a += (basis @ last) * h[z[j]] / neighbours
        expected = [-1.0, -2.0][z[i]] + scale * readout @ (a @ mixing)
        assert found[i].item() == pytest.approx(expected, abs=SAME)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("n_owned", [0, 1, 3])
def test_energies_of_owned_atoms_are_the_first_of_all(preset, n_owned):
    repulsive = {"zbl": "outside"}
    design = PRESETS[preset]("small", layers=2, channels=2, cutoff=4.0, energy=repulsive)
    model = build(design).model
    graph = build_graph(TRICLINIC, 4.0, ELEMENTS)
    inputs = (graph.edge_vectors, graph.senders, graph.receivers, graph.species)
    everything, owned = model(*inputs, graph.n_nodes), model(*inputs, n_owned)
    assert owned.shape == (n_owned, len(model.terms))
    torch.testing.assert_close(owned, everything[:n_owned], rtol=SAME, atol=SAME)


def test_forces_on_ghosts_come_from_the_energies_of_owned_atoms():
    design = nequip("small", layers=2, channels=2, cutoff=4.0)
    model, graph = build(design).model, build_graph(CHIRAL, 4.0, ELEMENTS)
    vectors = graph.edge_vectors.clone().requires_grad_()
    energy = model(vectors, graph.senders, graph.receivers, graph.species, 1).sum()
    (gradient,) = torch.autograd.grad(energy, vectors)
    beyond = (graph.receivers != 0) & (graph.senders != 0)
    assert gradient[beyond].abs().max() > 1e-6  # two layers see edges between ghosts


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({}, ("E0", "E1", "E2", "E3")),
        ({"readout": {"kind": {"rest": "none", "last": "mlp"}}}, ("E0", "E3")),
        ({"readout": {"kind": ["linear", "none", "none"]}}, ("E0", "E1")),
        ({"energy": {"shift": "mean", "zbl": "inside"}}, ("E0", "shift", "ZBL", "E1", "E2", "E3")),
    ],
    ids=str,
)
def test_terms_name_the_columns(fields, terms):
    design = Design.model_validate({"layers": 3, "channels": 2, "l_max": 1, **fields})
    potential = build(design)
    assert potential.terms == terms
    graph = build_graph(CHIRAL, design.cutoff, ELEMENTS)
    assert potential(graph, forces=False).contributions.shape == (1, len(terms))


def test_repulsion_that_the_cutoff_would_cut_is_refused():
    design = Design(layers=1, channels=2, cutoff=4.5, energy={"zbl": "outside"})
    numbers = Statistics(mean_neighbours=1.0, atomic_energies={"H": 0.0, "Cs": 0.0})
    with pytest.raises(ValueError, match="up to 4.88 Å .* cutoff of 4.5 Å.*Give a larger cutoff"):
        Potential(design, (1, 55), numbers)
    wider = Design(layers=1, channels=2, cutoff=4.9, energy={"zbl": "outside"})
    assert Potential(wider, (1, 55), numbers).terms == ("E0", "ZBL", "E1")


def test_paths_of_unequal_width_weigh_alike_if_the_design_says_so():
    """To 1o of the second layer: 0e x 1, 1o x 0 and 1o x 2, of 5, 2 and 2 channels."""

    def mixed(path):
        design = Design(layers=2, channels={0: 5, 1: 2}, l_max=2, normalisation={"path": path})
        whole = build(design, prune=False)
        first = whole.model.layers[1].atomic_basis.after_pooling[0]
        vectors = torch.zeros(9, first.irreps_in.dim, dtype=torch.float64)
        start = first.irreps_in.channels[0]
        vectors[:, start : start + 9] = torch.eye(9, dtype=torch.float64)  # m = -1
        return first(vectors, torch.zeros(9, dtype=torch.int64))[:, 5]

    ratios = (mixed("path") / mixed("element")).tolist()
    mean = (5 + 2 + 2) / 3
    expected = [(mean / width) ** 0.5 for width in (5, 2, 2) for _ in range(width)]
    assert ratios == pytest.approx(expected)


def test_pooling_divides_by_the_mean_neighbours():
    def pooled(pooling):
        design = Design(layers=1, channels=2, atomic_basis={"pooling": pooling})
        return build(design).model.layers[0].atomic_basis.pooling_factor

    neighbours = statistics(Design()).mean_neighbours
    assert pooled("1") == 1.0
    assert pooled("N") == pytest.approx(1 / neighbours)
    assert pooled("sqrt_N") == pytest.approx(neighbours**-0.5)
