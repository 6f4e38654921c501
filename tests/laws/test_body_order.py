"""Law 12: terms that claim a body order have it, and what claims none has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.potentials import (
    ATOMIC_ENERGIES,
    CUTOFF,
    enlarged,
    for_random_designs,
    random_potential,
)
from tests.laws.systems import CHIRAL, ELEMENTS, SILICON

from multiace.analysis.body_order import body_orders, site_body_orders
from multiace.design import Statistics
from multiace.design.describe import body_orders as described_body_orders
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.presets import PRESETS

ABSENT = 1e-10  # of max |V_2|
PRESENT = 1e-4  # of max |V_2|
LAYERS = 3
N_ATOMS = 6
NUMBERS = np.array([6, 8, 1, 14, 1, 6])


def compact() -> Structure:
    """Return a cluster in which all atoms are within the cutoff of each other."""
    rng = np.random.default_rng(5)
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    return Structure(NUMBERS, 1.3 * octahedron + rng.normal(scale=0.15, size=(N_ATOMS, 3)))


def chain() -> Structure:
    """Return a zigzag in which only next neighbours are within the cutoff."""
    rng = np.random.default_rng(6)
    k = np.arange(N_ATOMS)
    positions = np.stack([2.2 * k, 0.9 * (k % 2), 0.4 * (k % 3)], axis=1)
    return Structure(NUMBERS, positions + rng.normal(scale=0.05, size=(N_ATOMS, 3)))


CLUSTERS = {"compact": compact(), "chain": chain()}


def nonlinear(name: str) -> Potential:
    """Return a preset whose weights are large enough for its nonlinearities to bend.

    As drawn, activations act on arguments of about 0.01 here, where they are straight lines: all
    weights are doubled, and the mean number of neighbours is that of a chain.
    """
    design = PRESETS[name]("small", channels=4, cutoff=CUTOFF, layers=LAYERS)
    statistics = Statistics(mean_neighbours=2.0, atomic_energies=ATOMIC_ENERGIES)
    return enlarged(Potential(design, ELEMENTS, statistics, dtype=torch.float64), 2.0)


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("name", ["botnet", "botnet-ssh"])
def test_terms_of_botnet_have_their_body_order_and_the_last_has_none(
    name: str, cluster: str
) -> None:
    found = body_orders(nonlinear(name), CLUSTERS[cluster])
    for t in range(1, LAYERS):
        v = found[f"E{t}"]  # v[n - 1] = max |V_n|
        assert v[t + 1 :].max() < ABSENT * v[1]
        assert v[t] > PRESENT * v[1]
    last = found[f"E{LAYERS}"]
    assert last[LAYERS + 1] > PRESENT * last[1]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_linear_nequip_has_one_body_more_than_layers_and_gated_nequip_more(cluster: str) -> None:
    linear = body_orders(nonlinear("nequip-linear"), CLUSTERS[cluster])["total"]
    assert linear[LAYERS + 1 :].max() < ABSENT * linear[1]
    assert linear[LAYERS] > PRESENT * linear[1]
    gated = body_orders(nonlinear("nequip"), CLUSTERS[cluster])["total"]
    assert gated[LAYERS + 1] > PRESENT * gated[1]


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_every_design_has_the_body_orders_it_describes(examples: int) -> None:
    n_bounded = 0

    def law(potential: Potential) -> None:
        nonlocal n_bounded
        readouts = [term for term in potential.terms if term[0] == "E" and term != "E0"]
        orders = described_body_orders(potential.design)
        found = body_orders(potential, CHIRAL)
        for term, order in zip(readouts, orders, strict=True):
            v = found[term]
            if order is not None and order < len(v):
                n_bounded += 1
                assert v[order:].max() < ABSENT * v[1:].max()
        for term, order in {"E0": 1, "shift": 1, "ZBL": 2}.items():
            if term in potential.terms:
                assert found[term][order:].max() < ABSENT

    for_random_designs(law, examples)
    assert n_bounded > examples / 8


@pytest.mark.parametrize("basis", ["reduced", "mace"])
@pytest.mark.parametrize("correlation", [1, 2, 3, 4])
def test_a_site_energy_holds_as_many_neighbours_as_its_correlation(
    correlation: int, basis: str
) -> None:
    design = PRESETS["mace"](
        "small",
        layers=1,
        channels=4,
        cutoff=CUTOFF,
        l_max=2,
        features_l_max=0,
        atomic_basis={"pooling": "1"},
        product_basis={"correlation": correlation, "basis": basis},
        readout={"kind": "linear"},
    )
    assert described_body_orders(design) == (correlation + 1,)
    potential = enlarged(random_potential(design), 2.0)
    found = site_body_orders(potential, compact())["E1"]  # found[n]: n neighbours
    assert found[correlation + 1 :].max() < ABSENT * found[1]
    assert found[correlation] > PRESENT * found[1]


def test_a_nonlinear_readout_lifts_the_body_order_of_a_site() -> None:
    changes = {"layers": 1, "channels": 4, "product_basis": {"correlation": 1}}
    design = PRESETS["mace"]("small", cutoff=CUTOFF, features_l_max=0, **changes)
    assert described_body_orders(design) == (None,)
    assert site_body_orders(random_potential(design), compact())["E1"][2] > PRESENT


def test_body_orders_need_a_small_free_cluster() -> None:
    potential = nonlinear("botnet")
    with pytest.raises(ValueError, match="free cluster, got pbc"):
        body_orders(potential, SILICON)
    with pytest.raises(ValueError, match="at most 12 atoms"):
        body_orders(potential, Structure(np.full(13, 6), np.zeros((13, 3))))
