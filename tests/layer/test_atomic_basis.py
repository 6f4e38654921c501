"""The atomic basis: its parts in the order of the equation."""

import pytest
import torch
from tests.kernels import loops
from tests.kernels.test_convolution import GRAPHS, build_table

from multiace.activation import Activation
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import select_kernels
from multiace.layer.atomic_basis import AtomicBasis, Density
from multiace.layer.linear import EquivariantLinear
from multiace.o3.irreps import Irreps
from multiace.one_particle.basis import Edges
from multiace.one_particle.radial import RadialNetwork

KERNELS, INITIAL, ELEMENTS = select_kernels("reference"), Initialisation(seed=0), 2


def random_edges(graph, l_max):
    n_nodes, senders, receivers = GRAPHS[graph]
    n_edges = len(senders)
    edges = Edges(
        torch.tensor(senders, dtype=torch.int64),
        torch.tensor(receivers, dtype=torch.int64),
        torch.rand(n_edges, dtype=torch.float64),
        torch.randn(n_edges, 4, dtype=torch.float64),
        torch.rand(n_edges, dtype=torch.float64),
        torch.randn(n_edges, (l_max + 1) ** 2, dtype=torch.float64),
    )
    return edges, torch.arange(n_nodes) % ELEMENTS


@pytest.mark.parametrize("graph", ["typical", "one_edge", "no_edges", "two_structures"])
@pytest.mark.parametrize("n_maps", [1, 2])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("species", ["none", "sender", "receiver", "pair"])
def test_atomic_basis_is_its_equation(graph, n_maps, mixed, species):
    table, pooling_factor = build_table("unequal_channels"), 0.37
    edges, elements = random_edges(graph, table.l_max)
    network = RadialNetwork(
        KERNELS,
        4,
        (3,),
        table.n_weights,
        Activation.of("silu"),
        bias=False,
        species=species,
        n_elements=ELEMENTS,
        initial=INITIAL,
    )
    target = Irreps.parse("2x0e+2x1o")
    before = EquivariantLinear(KERNELS, table.irreps_in, table.irreps_in, INITIAL)
    after = [
        EquivariantLinear(KERNELS, table.irreps_out, target, INITIAL.scope("0")),
        EquivariantLinear(KERNELS, target, target, INITIAL.scope("1"), n_elements=ELEMENTS),
    ][:n_maps]
    basis = AtomicBasis(
        before if mixed else None, network, KERNELS.convolution(table), pooling_factor, after
    )
    h = torch.randn(len(elements), table.irreps_in.dim, dtype=torch.float64)
    found = basis(h, edges, elements)

    j, i = elements[edges.senders], elements[edges.receivers]
    types = {"none": None, "sender": j, "receiver": i, "pair": j * ELEMENTS + i}[species]
    expected = loops.convolution(
        table,
        before(h, elements) if mixed else h,
        edges.harmonics,
        network(edges.radial_basis, edges.envelope),
        network.weights,
        types,
        edges.senders,
        edges.receivers,
    )
    expected = expected * pooling_factor
    for linear in after:
        expected = linear(expected, elements)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("graph", ["typical", "one_edge", "no_edges", "two_structures"])
@pytest.mark.parametrize("enveloped", [False, True])
def test_density_counts_each_neighbour_by_its_distance(graph, enveloped):
    edges, elements = random_edges(graph, 1)
    if not enveloped:
        edges = edges._replace(envelope=None)
    density = Density(4, INITIAL)
    expected = torch.ones(len(elements), dtype=torch.float64)
    for e, i in enumerate(edges.receivers):
        q = sum(w * x for w, x in zip(density.weights / 2.0, edges.radial_basis[e], strict=True))
        envelope = edges.envelope[e] if enveloped else 1.0
        expected[i] = expected[i] + torch.tanh(q * q) * envelope
    torch.testing.assert_close(density(edges, len(elements)).squeeze(1), expected)


def test_sums_are_divided_by_the_density_of_each_atom():
    table = build_table("unequal_channels")
    edges, elements = random_edges("typical", table.l_max)
    network = RadialNetwork(
        KERNELS,
        4,
        (3,),
        table.n_weights,
        Activation.of("silu"),
        bias=False,
        species="none",
        n_elements=ELEMENTS,
        initial=INITIAL,
    )
    density, kernel = Density(4, INITIAL), KERNELS.convolution(table)
    h = torch.randn(len(elements), table.irreps_in.dim, dtype=torch.float64)
    found = AtomicBasis(None, network, kernel, 1.0, [], density)(h, edges, elements)
    summed = AtomicBasis(None, network, kernel, 1.0, [])(h, edges, elements)
    torch.testing.assert_close(found * density(edges, len(elements)), summed)
