"""Radial bases against closed forms and SciPy, radial networks against loops."""

import itertools
import math

import numpy as np
import pytest
import torch
from ase.data import covalent_radii
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.special import eval_chebyt, eval_legendre, roots_legendre

from multiace.activation import Activation
from multiace.build import build_model
from multiace.design import Design, Statistics
from multiace.envelope import Envelope
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import REFERENCE, select_kernels
from multiace.one_particle.radial import (
    AgnesiTransform,
    NormalisedAgnesiTransform,
    RadialBasis,
    RadialNetwork,
)

CUTOFF = 4.5
NUMBER = 5
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}
FAMILIES = ["bessel", "chebyshev", "gaussian", "jacobi"]
TRAINABLE = ["bessel", "gaussian"]
DISTANCES = np.array([0.3, 1.0, 2.345, 4.4999])


class WithoutEnvelope(RadialBasis):
    def forward(self, distances):
        return super().forward(distances)[0]


def build(family, number=NUMBER, *, trainable=False, dtype=torch.float64):
    options = {"trainable": trainable, "dtype": dtype}
    basis = WithoutEnvelope(
        REFERENCE, family, number, CUTOFF, Envelope(), envelope_on="weights", **options
    )
    return basis.to(dtype)


def closed_form(family, n, r, number=NUMBER):
    if family == "bessel":
        return math.sqrt(2 / CUTOFF) * np.sin(n * np.pi * r / CUTOFF) / r
    if family == "chebyshev":
        return math.sqrt(2) * eval_chebyt(n, 1 - 2 * r / CUTOFF)
    if family == "jacobi":
        return math.sqrt(n - 0.5) * eval_legendre(n - 1, 2 * r / CUTOFF - 1)
    centre = (n - 1) * CUTOFF / (number - 1)
    return np.exp(-((r - centre) ** 2) / (2 * (CUTOFF / number) ** 2))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("family", "trainable"), [*((f, False) for f in FAMILIES), *((f, True) for f in TRAINABLE)]
)
def test_basis_is_its_closed_form(family, trainable, dtype):
    found = build(family, trainable=trainable, dtype=dtype)(torch.tensor(DISTANCES, dtype=dtype))
    expected = np.stack([closed_form(family, n, DISTANCES) for n in range(1, NUMBER + 1)], axis=1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=TOLERANCE[dtype])


def test_bessel_functions_are_orthonormal_in_the_sphere():
    basis = build("bessel")

    def product(r, n, m):
        e = basis(torch.tensor([r], dtype=torch.float64))[0]
        return float(e[n] * e[m]) * r**2

    overlap = [
        [quad(product, 0, CUTOFF, args=(n, m), epsabs=1e-12)[0] for m in range(3)] for n in range(3)
    ]
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-10)


def test_chebyshev_polynomials_are_orthonormal_under_their_weight():
    nodes = np.cos(np.pi * (np.arange(64) + 0.5) / 64)  # Gauss-Chebyshev: equal weights
    values = build("chebyshev")(torch.from_numpy(CUTOFF * (1 - nodes) / 2)).numpy()
    np.testing.assert_allclose(values.T @ values / 64, np.eye(NUMBER), atol=1e-12)


@pytest.mark.parametrize(("inner", "outer"), [(2, 2), (0, 2), (1, 4), (7, 3)])
def test_jacobi_polynomials_are_orthonormal_with_their_two_sided_envelope(inner, outer):
    y, weights = roots_legendre(64)
    envelope = Envelope("two_sided", outer, inner)
    options = {"trainable": False, "dtype": torch.float64}
    basis = RadialBasis(REFERENCE, "jacobi", 12, CUTOFF, envelope, "basis", **options)
    values = basis(torch.from_numpy(CUTOFF * (1 + y) / 2))[0].numpy()
    np.testing.assert_allclose(values.T * weights @ values, np.eye(12), atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_of_the_basis_are_finite_differences(family):
    r = torch.tensor(DISTANCES, requires_grad=True)
    basis = build(family)
    assert torch.autograd.gradcheck(basis, r)
    assert torch.autograd.gradgradcheck(basis, r)


TRANSFORM = {"a": 1.1, "q": 0.9, "p": 4.5}
PAIR = torch.tensor([0, 1, 0, 1]), torch.tensor([1, 1, 0, 0]), torch.tensor([0, 1])


def test_agnesi_transform_is_its_closed_form_with_radii_of_ase():
    r = torch.tensor(DISTANCES)
    found = AgnesiTransform((1, 8), **TRANSFORM)(r, *PAIR)
    a, q, p = TRANSFORM.values()
    radii = covalent_radii[[1, 8]]
    for k, distance in enumerate(DISTANCES):
        x = 2 * distance / (radii[PAIR[0][k]] + radii[PAIR[1][k]])
        assert found[k].item() == pytest.approx(1 / (1 + a * x**q / (1 + x ** (q - p))), rel=1e-14)


def test_derivatives_of_the_agnesi_transform_are_finite_differences():
    transform = AgnesiTransform((1, 8), **TRANSFORM)
    r = torch.tensor(DISTANCES, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: transform(r, *PAIR), r)
    assert torch.autograd.gradgradcheck(lambda r: transform(r, *PAIR), r)


def normalised(p=2.0, q=4.0, r_in=0.0):
    return NormalisedAgnesiTransform((1, 8), CUTOFF, p=p, q=q, r_in=r_in)


@pytest.mark.parametrize("r_in", [0.0, 0.8])
@pytest.mark.parametrize(("p", "q"), [(2.0, 4.0), (1.0, 1.5), (3.0, 3.0)])
def test_normalised_transform_is_its_closed_form_with_radii_of_ase(p, q, r_in):
    found = normalised(p, q, r_in)(torch.tensor(DISTANCES), *PAIR)
    radii = covalent_radii[[1, 8]]
    a = (-2 * q + p * (-2 + 4 * q)) / (p + p**2 + q + q**2)
    for k, distance in enumerate(DISTANCES):
        bond = radii[PAIR[0][k]] + radii[PAIR[1][k]]

        def y(r, bond=bond):
            return 1 / (1 + a * (r / bond) ** q / (1 + (r / bond) ** (q - p)))

        x = -1 + 2 * (y(distance) - y(r_in)) / (y(CUTOFF) - y(r_in))
        assert 2 * found[k].item() / CUTOFF - 1 == pytest.approx(max(-1, x), rel=1e-12)


def test_normalised_transform_ends_at_the_cutoff_and_is_flat_below_its_beginning():
    r = torch.tensor([0.1, 0.7999, CUTOFF, CUTOFF + 1.0], dtype=torch.float64, requires_grad=True)
    found = normalised(r_in=0.8)(r, *PAIR)
    torch.testing.assert_close(found.detach(), torch.tensor([0.0, 0.0, CUTOFF, CUTOFF]).double())
    assert not found[:2].any()
    assert found.max() <= CUTOFF
    (slopes,) = torch.autograd.grad(found.sum(), r)
    assert not slopes[[0, 1, 3]].any()


def test_normalised_transform_keeps_its_precision_at_short_distances():
    r = torch.tensor([1e-3, 1e-2], dtype=torch.float64)
    ends = (PAIR[0][:2], PAIR[1][:2], PAIR[2])
    double = normalised()(r, *ends)
    single = normalised().float()(r.float(), *ends)
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("p", "q"), [(1.0, 1.2), (1.0, 8.0), (1.5, 1.5), (2.0, 2.0), (2.0, 4.0), (3.0, 9.0), (8.0, 8.0)]
)
def test_normalised_transform_is_steepest_at_the_length_of_a_bond(p, q):
    transform = normalised(p, q)
    bonds = covalent_radii[[1, 8]].sum()
    t = torch.linspace(0.01, CUTOFF / bonds, 20001, dtype=torch.float64, requires_grad=True)
    n = len(t)
    ends = torch.zeros(n, dtype=torch.int64), torch.ones(n, dtype=torch.int64), PAIR[2]
    (slopes,) = torch.autograd.grad(transform(bonds * t, *ends).sum(), t)
    assert (slopes > 0).all()
    assert t[slopes.argmax()].item() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("r_in", [0.0, 0.8])
def test_derivatives_of_the_normalised_transform_are_finite_differences(r_in):
    transform = normalised(r_in=r_in)
    r = torch.tensor(DISTANCES, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: transform(r, *PAIR), r)
    assert torch.autograd.gradgradcheck(lambda r: transform(r, *PAIR), r)


def test_either_direction_of_a_pair_has_the_same_normalised_transform():
    senders, receivers, species = PAIR
    r = torch.tensor(DISTANCES)
    there, back = (
        normalised()(r, *e, species) for e in ((senders, receivers), (receivers, senders))
    )
    assert torch.equal(there, back)


@pytest.mark.parametrize(
    "build_transform",
    [
        lambda elements: AgnesiTransform(elements, **TRANSFORM),
        lambda elements: NormalisedAgnesiTransform(elements, CUTOFF, p=2.0, q=4.0, r_in=0.0),
    ],
    ids=["agnesi", "normalised"],
)
def test_an_element_without_covalent_radius_has_no_transform(build_transform):
    with pytest.raises(ValueError, match="none is known for Bk. Set radial.transform: none"):
        build_transform((1, 97))


@pytest.mark.parametrize("family", TRAINABLE)
def test_derivatives_by_the_trained_constants_are_finite_differences(family):
    basis = build(family, trainable=True)
    assert [tuple(p.shape) for p in basis.parameters()] == [(NUMBER,)]
    r = torch.tensor(DISTANCES)

    def of(constants):
        return torch.func.functional_call(basis, {"constants": constants}, (r,))

    assert torch.autograd.gradcheck(of, basis.constants.detach().requires_grad_())


@pytest.mark.parametrize("family", TRAINABLE)
@pytest.mark.parametrize("trainable", [False, True])
def test_constants_are_saved_only_if_they_are_trained(family, trainable):
    basis = build(family, trainable=trainable)
    assert list(basis.state_dict()) == (["constants"] if trainable else [])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_basis_of_one_function_is_the_first_of_its_family(family):
    found = build(family, number=1)(torch.tensor(DISTANCES))
    if family == "gaussian":  # centred on the atom, as wide as the cutoff
        expected = np.exp(-(DISTANCES**2) / (2 * CUTOFF**2))
    else:
        expected = closed_form(family, 1, DISTANCES)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-14)


def network(hidden, species="none", bias=False, n_elements=3, activation="silu"):
    return RadialNetwork(
        select_kernels("reference"),
        NUMBER,
        hidden,
        4,
        Activation.of(activation),
        bias=bias,
        species=species,
        n_elements=n_elements,
        initial=Initialisation(seed=3),
    )


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("enveloped", [False, True])
def test_hidden_features_are_those_of_the_network_written_out(hidden, bias, enveloped):
    net = network(hidden, bias=bias and bool(hidden))
    with torch.no_grad():
        for b in net.biases:
            b.copy_(torch.randn(len(b)))
    basis = torch.randn(6, NUMBER, dtype=torch.float64)
    envelope = torch.rand(6, dtype=torch.float64) if enveloped else None
    found = net(basis, envelope).detach().numpy()
    u = basis.numpy()
    for n, weight in enumerate(net.hidden):
        w = weight.detach().numpy()
        u = u @ w / math.sqrt(w.shape[0])
        u = u + net.biases[n].detach().numpy() if net.biases else u
        u = Activation.of("silu").constant * u / (1 + np.exp(-u))
    if envelope is not None:
        u = u * envelope.numpy()[:, None]
    np.testing.assert_allclose(found, u, atol=1e-13)


@pytest.mark.parametrize(
    ("species", "table"),
    [
        ("none", lambda j, i: 0),
        ("sender", lambda j, i: j),
        ("receiver", lambda j, i: i),
        ("pair", lambda j, i: 3 * j + i),
    ],
)
def test_each_edge_takes_the_table_of_its_elements(species, table):
    net = network((), species)
    pairs = list(itertools.product(range(3), repeat=2))
    elements = torch.tensor([2, 0, 1])  # of nodes 0, 1, 2
    nodes = elements.argsort()
    senders, receivers = (nodes[list(some)] for some in zip(*pairs, strict=True))
    types = net.edge_types(elements, senders, receivers)
    found = [0] * 9 if types is None else types.tolist()
    assert found == [table(j, i) for j, i in pairs]
    assert len(net.weights) == len(set(found))


def test_weights_are_those_drawn_over_the_root_of_the_fan_in():
    net = network((7,))
    torch.testing.assert_close(net.weights, net.last / math.sqrt(7))
    assert net.weights.shape == (1, 7, 4)


def radial_options():
    """Every combination of what shapes R(r), of those a Design accepts."""
    for family, envelope, on, hidden, bias, activation in itertools.product(
        FAMILIES,
        ["polynomial", "cosine", "two_sided"],
        ["basis", "weights"],
        [[], [6], [6, 5]],
        [False, True],
        ["silu", "tanh"],
    ):
        fields = {
            "family": family,
            "envelope": envelope,
            "envelope_on": on,
            "hidden": hidden,
            "bias": bias,
            "activation": activation,
        }
        try:
            yield Design(layers=1, channels=2, cutoff=CUTOFF, l_max=0, radial=fields)
        except ValidationError:
            without_envelope = (family, envelope, on) == ("jacobi", "two_sided", "weights")
            assert (bias and (on == "basis" or not hidden)) or (without_envelope and hidden)


DESIGNS = list(radial_options())


@pytest.mark.parametrize("envelope", ["polynomial", "cosine", "two_sided"])
@pytest.mark.parametrize("on", ["basis", "weights"])
def test_radial_functions_and_their_slope_vanish_at_the_cutoff_in_every_design(envelope, on):
    """A polynomial envelope takes the curvature along."""
    designs = [d for d in DESIGNS if (d.radial.envelope, d.radial.envelope_on) == (envelope, on)]
    of_linear_maps = 8 if (envelope, on) == ("two_sided", "weights") else 0
    assert len(designs) == {"basis": 24, "weights": 40}[on] - of_linear_maps
    for design in designs:
        model = two_elements(design)
        r = torch.tensor([CUTOFF - 1e-7, CUTOFF, CUTOFF + 0.1], dtype=torch.float64)
        r.requires_grad_()
        value = radial_functions(model, r, biases=1.0)
        assert value.abs().max() < 1e-10
        (slope,) = torch.autograd.grad(value.sum(), r, create_graph=True)
        assert slope.abs().max() < 3e-5
        (curvature,) = torch.autograd.grad(slope.sum(), r)
        assert (curvature[1:] == 0).all()
        if envelope == "polynomial":
            assert curvature.abs().max() < 1e-4


def test_radial_functions_do_not_vanish_inside_the_cutoff():
    for design in DESIGNS:
        r = torch.tensor([0.5 * CUTOFF], dtype=torch.float64)
        assert (radial_functions(two_elements(design), r, biases=1.0).abs() > 1e-8).all()


def two_elements(design):
    """Return the model of a design for H and He."""
    statistics = Statistics(mean_neighbours=2.0, atomic_energies={"H": 0.0, "He": 0.0})
    parts = (select_kernels("reference"), Initialisation(seed=0))
    return build_model(design, (1, 2), statistics, *parts)


def radial_functions(model, distances, biases):
    """Return R of edges along z, through the parts of a model that make it."""
    net = model.layers[0].atomic_basis.radial_network
    with torch.no_grad():
        for b in net.biases:
            b.fill_(biases)
    vectors = torch.stack([torch.zeros_like(distances)] * 2 + [distances], dim=1)
    index = torch.zeros(len(distances), dtype=torch.int64)
    edges = model.edge_functions(vectors, index, index, index)
    return net(edges.radial_basis, edges.envelope) @ net.weights[0]
