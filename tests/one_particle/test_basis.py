"""What all layers share of an edge."""

from functools import partial

import pytest
import torch

from multiace.geometry import Pairs
from multiace.kernels.reference.edge_basis import EdgeBasis
from multiace.one_particle.basis import EdgeFunctions
from multiace.one_particle.cutoff import (
    Envelope,
    cosine_envelope,
    cosine_envelope_slope,
    polynomial_envelope,
    polynomial_envelope_slope,
)
from multiace.one_particle.radial import AgnesiTransform, RadialBasis

CUTOFF = 3.0
RADIAL = RadialBasis("bessel", 4, CUTOFF, trainable=False, dtype=torch.float64)
POLYNOMIAL = Envelope(
    partial(polynomial_envelope, power=6), partial(polynomial_envelope_slope, power=6)
)
COSINE = Envelope(cosine_envelope, cosine_envelope_slope)
ENVELOPES = {"polynomial": POLYNOMIAL, "cosine": COSINE}


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
    edges = EdgeFunctions(EdgeBasis(1), RADIAL, COSINE, "basis", CUTOFF)(
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
    edges = EdgeFunctions(EdgeBasis(1), RADIAL, COSINE, "basis", CUTOFF, transform)(
        vectors, senders, receivers, species
    )
    t = transform(edges.distances, senders, receivers, species)
    expected = RADIAL(t) * cosine_envelope(edges.distances / CUTOFF).unsqueeze(1)
    torch.testing.assert_close(edges.radial_basis, expected)


@pytest.mark.parametrize("family", ["bessel", "chebyshev", "gaussian"])
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("on", ["basis", "weights"])
@pytest.mark.parametrize("transformed", [False, True])
def test_slopes_of_the_radial_basis_are_those_of_autograd(family, envelope, on, transformed):
    radial = RadialBasis(family, 5, CUTOFF, trainable=False, dtype=torch.float64)
    transform = AgnesiTransform((1, 8), a=1.1, q=0.9, p=4.5) if transformed else None
    functions = EdgeFunctions(EdgeBasis(0), radial, ENVELOPES[envelope], on, CUTOFF, transform)
    species = torch.tensor([0, 1])
    senders, receivers = torch.arange(40) % 2, torch.arange(40) // 20
    r = torch.linspace(0.1, 1.1 * CUTOFF, 40, dtype=torch.float64).requires_grad_()
    expected = functions.radial(r, senders, receivers, species)
    values, slopes = functions.radial_slopes(r.detach(), senders, receivers, species)
    for value, slope, function in zip(values, slopes, expected, strict=True):
        if function is None:
            assert value is slope is None
            continue
        torch.testing.assert_close(value, function.detach())
        columns = function.unsqueeze(1) if function.ndim == 1 else function
        by_column = [torch.autograd.grad(c.sum(), r, retain_graph=True)[0] for c in columns.T]
        torch.testing.assert_close(slope, torch.stack(by_column, dim=1).view_as(slope))


def test_radial_functions_are_evaluated_for_one_edge_of_each_pair():
    functions = EdgeFunctions(EdgeBasis(1), RADIAL, COSINE, "weights", CUTOFF)
    vectors = torch.randn(3, 3, dtype=torch.float64)
    vectors = torch.cat([vectors, -vectors.flip(0)])
    index, pairs = torch.arange(6), Pairs(torch.tensor([0, 1, 2, 2, 1, 0]), torch.arange(3))
    edges, alone = (functions(vectors, index, index, index, p) for p in (pairs, None))
    assert edges.radial_basis.shape == (3, 4)
    torch.testing.assert_close(edges.radial_basis[edges.pair], alone.radial_basis)
    torch.testing.assert_close(edges.envelope[edges.pair], alone.envelope)
    torch.testing.assert_close(edges.distances, alone.distances)
    assert alone.pair is None
