"""Irreps and paths of every layer, and which of them a readout can see."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from tests.design.pruning import live_weights
from tests.design.random_designs import on_random_designs
from tests.laws.potentials import statistics
from tests.laws.systems import CHIRAL, ELEMENTS

from multiace.design import Design, DesignError
from multiace.design.layout import layouts
from multiace.geometry import build_graph
from multiace.o3.irreps import Irrep, Irreps
from multiace.potential import Potential
from multiace.presets import PRESETS, botnet, mace, nequip

SAME = 1e-9  # relative, float64: two models that add in different orders


@pytest.mark.parametrize("preset", ["botnet", "nequip", "nequip-linear"])
def test_published_models_have_the_paths_of_the_paper(preset):
    design = PRESETS[preset]()
    whole, live = (layouts(design, 3, prune=prune) for prune in (False, True))
    assert [len(row.paths) for row in whole] == [4, 34, 64, 68, 68]
    assert [len(row.paths) for row in live] == [4, 34, 61, 34, 4]


@pytest.mark.parametrize("parity", ["both", "natural"])
@pytest.mark.parametrize("l_max", [0, 1, 3])
@pytest.mark.parametrize("features_l_max", [0, 2])
def test_paths_are_all_triples_that_the_triangle_and_parity_allow(parity, l_max, features_l_max):
    design = Design(layers=3, l_max=l_max, features_l_max=features_l_max, parity=parity)
    reached = {(0, 1)}
    for row in layouts(design, 2, prune=False):
        expected = set()
        for l_in, p_in in reached:
            for l_edge in range(l_max + 1):
                for l_out in range(features_l_max + 1):
                    p_out = p_in * (-1) ** l_edge
                    triangle = abs(l_in - l_edge) <= l_out <= l_in + l_edge
                    if triangle and (parity == "both" or p_out == (-1) ** l_out):
                        expected.add(((l_in, p_in), l_edge, (l_out, p_out)))
        assert {(tuple(i), l, tuple(o)) for i, l, o in row.paths} == expected
        assert len(row.paths) == len(expected)
        reached = {path[2] for path in expected}
        assert {tuple(irrep) for irrep in row.features_out.irreps} == reached


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("prune", [True, False])
def test_layers_fit_one_another(preset, prune):
    rows = layouts(PRESETS[preset](), 3, prune=prune)
    for row, following in pairwise(rows):
        assert row.features_out == following.features_in
    for row in rows:
        assert {path.irrep_in for path in row.paths} <= set(row.convolved.irreps)
        for irrep in row.pooled.irreps:
            assert irrep in row.atomic_basis.irreps


def test_a_gate_takes_a_scalar_for_each_gated_channel():
    design = nequip("small", channels={0: 4, 1: 3, 2: 2}, parity="natural")
    row = layouts(design, 3, prune=False)[1]
    assert row.features_out == Irreps.parse("4x0e+3x1o+2x2e")
    assert row.update == row.atomic_basis == Irreps.parse("9x0e+3x1o+2x2e")


def test_pooled_channels_are_those_of_all_paths_side_by_side():
    design = botnet("small", channels={0: 4, 1: 3, 2: 2}, parity="natural")
    row = layouts(design, 3, prune=False)[1]
    # to 1o: 0e x 1, 1o x 0, 1o x 2, 2e x 1
    assert row.pooled.channels[row.pooled.index(Irrep.parse("1o"))] == 4 + 3 + 3 + 2


def test_width_of_the_embedding_is_chosen_or_that_of_the_first_layer_or_the_elements():
    widths = {
        (): 32,
        (("embedding_channels", 5),): 5,
        (("channels", ((0, 7), (1, 3))),): 7,
        (("embedding", "one_hot"),): 4,
    }
    for fields, width in widths.items():
        design = Design.model_validate(
            {name: dict(v) if isinstance(v, tuple) else v for name, v in fields}
        )
        assert layouts(design, 4)[0].features_in == Irreps.parse(f"{width}x0e")


def test_identity_on_the_one_hot_of_more_elements_than_channels_is_refused():
    design = Design(embedding="one_hot", channels=3, update={"self_connection": "identity"})
    assert len(layouts(design, 3)) == 2
    with pytest.raises(DesignError, match="'identity' adds 4 channels of 0e to 3"):
        layouts(design, 4)


def test_the_product_basis_takes_factors_up_to_its_own_degree():
    design = mace("small", product_basis={"l_max": 1})
    assert layouts(design, 2)[0].atomic_basis == Irreps.parse("16x0e+16x1o")
    assert layouts(mace("small"), 2)[0].atomic_basis == Irreps.parse("16x0e+16x1o+16x2e+16x3o")


@pytest.mark.parametrize("parity", ["both", "natural"])
@pytest.mark.parametrize("l_max", [0, 2])
def test_all_factors_of_products_are_alive_as_the_square_of_each_is_a_scalar(parity, l_max):
    design = Design(
        layers=2,
        parity=parity,
        l_max=l_max,
        features_l_max={"rest": 2, "last": 0},
        product_basis={"correlation": 2},
    )
    for live, row in zip(layouts(design, 2), layouts(design, 2, prune=False), strict=True):
        assert live.atomic_basis == row.atomic_basis
        assert live.message.irreps == live.features_out.irreps


@pytest.fixture(scope="module")
def chiral():
    """Return a function that builds the graph of a chiral molecule with five elements."""
    return lambda cutoff: build_graph(CHIRAL, cutoff, ELEMENTS)


def build(design: Design, *, prune: bool, seed: int = 0) -> Potential:
    return Potential(
        design, ELEMENTS, statistics(design), dtype=torch.float64, seed=seed, prune=prune
    )


@on_random_designs(12)
def test_pruning_changes_neither_energies_nor_forces(design):
    whole, pruned = build(design, prune=False), build(design, prune=True, seed=1)
    pruned.load_state_dict(live_weights(whole, pruned))
    graph = build_graph(CHIRAL, design.cutoff, ELEMENTS)
    with torch.no_grad():
        expected, found = whole(graph), pruned(graph)
    baseline = expected.contributions[:, 0]
    scale = (expected.energy - baseline).abs().max().item() + expected.forces.abs().max().item()
    assert (found.energy - expected.energy).abs().max() <= SAME * max(1.0, scale)
    assert (found.forces - expected.forces).abs().max() <= SAME * max(1.0, scale)


@pytest.mark.parametrize("preset", PRESETS)
def test_weights_left_out_are_those_that_no_energy_depends_on(preset, chiral):
    """A second source for what is alive: the gradient of the energies of the whole model."""
    design = PRESETS[preset]("small", channels=2, parity="both", radial={"hidden": [4]})
    whole, pruned = build(design, prune=False), build(design, prune=True)
    energies = whole(chiral(design.cutoff), forces=False).energies
    (energies * torch.linspace(0.5, 1.5, len(energies))).sum().backward()
    alive = {
        name: 0 if weights.grad is None else int(weights.grad.ne(0).sum())
        for name, weights in whole.named_parameters()
    }
    kept = {name: weights.numel() for name, weights in pruned.named_parameters()}
    assert {name: n for name, n in alive.items() if n} == kept
