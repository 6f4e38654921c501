"""What all layers share of an edge."""

from functools import partial

import pytest
import torch

from multiace.kernels.reference.edge_basis import EdgeBasis
from multiace.one_particle.basis import EdgeFunctions
from multiace.one_particle.cutoff import cosine_envelope, polynomial_envelope
from multiace.one_particle.radial import AgnesiTransform, RadialBasis

CUTOFF = 3.0
RADIAL = RadialBasis("bessel", 4, CUTOFF, trainable=False, dtype=torch.float64)
ENVELOPES = {"polynomial": partial(polynomial_envelope, power=6), "cosine": cosine_envelope}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("n_edges", [0, 1, 5])
def test_envelope_multiplies_the_basis_or_is_left_to_the_weights(envelope, n_edges):
    vectors = torch.randn(n_edges, 3, dtype=torch.float64)
    index = torch.arange(n_edges)
    on = {
        place: EdgeFunctions(EdgeBasis(2), RADIAL, ENVELOPES[envelope], place, CUTOFF)(
            vectors, index, index, index
        )
        for place in ("basis", "weights")
    }
    distances = torch.linalg.norm(vectors, dim=1)
    u = ENVELOPES[envelope](distances / CUTOFF)
    for edges in on.values():
        torch.testing.assert_close(edges.distances, distances)
        assert edges.harmonics.shape == (n_edges, 9)
        assert edges.senders is edges.receivers is index
    torch.testing.assert_close(on["weights"].radial_basis, RADIAL(distances))
    torch.testing.assert_close(on["weights"].envelope, u)
    torch.testing.assert_close(on["basis"].radial_basis, RADIAL(distances) * u.unsqueeze(1))
    assert on["basis"].envelope is None


def test_direction_is_from_the_receiver_to_the_sender():
    """Y_1 = sqrt(3) (y, z, x) of r_ji = r_j - r_i, the vector given."""
    edges = EdgeFunctions(EdgeBasis(1), RADIAL, cosine_envelope, "basis", CUTOFF)(
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
    edges = EdgeFunctions(EdgeBasis(1), RADIAL, cosine_envelope, "basis", CUTOFF, transform)(
        vectors, senders, receivers, species
    )
    t = transform(edges.distances, senders, receivers, species)
    expected = RADIAL(t) * cosine_envelope(edges.distances / CUTOFF).unsqueeze(1)
    torch.testing.assert_close(edges.radial_basis, expected)
