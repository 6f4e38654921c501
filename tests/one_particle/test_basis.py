"""What all layers share of an edge."""

import pytest
import torch

from multiace.envelope import Envelope
from multiace.geometry import Pairs
from multiace.kernels.dispatch import REFERENCE
from multiace.kernels.operations.edge_basis import EdgeBasis
from multiace.kernels.tables import EdgeBasisTable
from multiace.one_particle.basis import EdgeFunctions
from multiace.one_particle.radial import AgnesiTransform, RadialBasis

CUTOFF = 3.0
ENVELOPES = {"polynomial": Envelope("polynomial", 6), "cosine": Envelope("cosine")}


def functions(envelope="cosine", on="basis", l_max=1, transform=None):
    basis = RadialBasis(
        REFERENCE,
        "bessel",
        4,
        CUTOFF,
        ENVELOPES[envelope],
        on,
        trainable=False,
        dtype=torch.float64,
    )
    return EdgeFunctions(EdgeBasis(EdgeBasisTable(l_max)), basis, CUTOFF, transform)


def bessel(x):
    """Return e_n(x), which the envelope is not on where it is on the weights."""
    return functions(on="weights").radial_basis(x)[0]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("n_edges", [0, 1, 5])
def test_envelope_multiplies_the_basis_or_is_left_to_the_weights(envelope, n_edges):
    vectors = torch.randn(n_edges, 3, dtype=torch.float64)
    index = torch.arange(n_edges)
    on = {
        place: functions(envelope, place, l_max=2)(vectors, index, index, index)
        for place in ("basis", "weights")
    }
    distances = torch.linalg.norm(vectors, dim=1)
    u = ENVELOPES[envelope](distances / CUTOFF)
    for edges in on.values():
        torch.testing.assert_close(edges.distances, distances)
        assert edges.harmonics.shape == (n_edges, 9)
        assert edges.senders is edges.receivers is index
    torch.testing.assert_close(on["weights"].radial_basis, bessel(distances))
    torch.testing.assert_close(on["weights"].envelope, u)
    torch.testing.assert_close(on["basis"].radial_basis, bessel(distances) * u.unsqueeze(1))
    assert on["basis"].envelope is None


def test_direction_is_from_the_receiver_to_the_sender():
    """Y_1 = sqrt(3) (y, z, x) of r_ji = r_j - r_i, the vector given."""
    edges = functions()(
        torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64),
        torch.tensor([1]),
        torch.tensor([0]),
        torch.tensor([0, 0]),
    )
    expected = torch.tensor([[1.0, 0.0, 3**0.5, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(edges.harmonics, expected)


def test_radial_basis_is_evaluated_at_the_transform_and_the_envelope_at_the_distance():
    transform = AgnesiTransform((1, 8), a=1.1, q=0.9, p=4.5)
    vectors = torch.randn(4, 3, dtype=torch.float64)
    senders, receivers = torch.tensor([1, 2, 0, 2]), torch.tensor([0, 0, 1, 1])
    species = torch.tensor([0, 1, 1])
    edges = functions(transform=transform)(vectors, senders, receivers, species)
    t = transform(edges.distances, senders, receivers, species)
    expected = bessel(t) * Envelope("cosine")(edges.distances / CUTOFF).unsqueeze(1)
    torch.testing.assert_close(edges.radial_basis, expected)


def test_radial_functions_are_evaluated_for_one_edge_of_each_pair():
    evaluate = functions(on="weights")
    vectors = torch.randn(3, 3, dtype=torch.float64)
    vectors = torch.cat([vectors, -vectors.flip(0)])
    index, pairs = torch.arange(6), Pairs(torch.tensor([0, 1, 2, 2, 1, 0]), torch.arange(3))
    edges, alone = (evaluate(vectors, index, index, index, p) for p in (pairs, None))
    assert edges.radial_basis.shape == (3, 4)
    torch.testing.assert_close(edges.radial_basis[edges.pair], alone.radial_basis)
    torch.testing.assert_close(edges.envelope[edges.pair], alone.envelope)
    torch.testing.assert_close(edges.distances, alone.distances)
    assert alone.pair is None
