"""Hidden layers of radial functions against loops over edges and layers."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_same_to_order,
    assert_same_to_second_order,
    non_contiguous,
    random,
)

from multiace.activation import Activation
from multiace.kernels.dispatch import select_kernels
from multiace.kernels.tables import RadialNetworkTable

# name -> number of basis functions and widths of the layers, biases, envelope
NETWORKS = {
    "plain": ((3, 5, 4), False, False),
    "enveloped": ((3, 5, 4), False, True),
    "biased": ((3, 5, 4), True, False),
    "biased_and_enveloped": ((2, 33, 20, 7), True, True),
    "one_layer": ((8, 1), True, True),
    "no_layers": ((4,), False, True),
}


def scaled_loop(activation, basis, weights, biases, envelope, factors):
    scaled = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
    return loops.radial_network(activation, basis, scaled, biases, envelope)


def build(kernels, name, n_edges, dtype=torch.float64, activation="silu"):
    widths, biased, enveloped = NETWORKS[name]
    function = Activation.of(activation)
    weights = [random(a, b, dtype=dtype) / a**0.5 for a, b in pairwise(widths)]
    biases = [random(b, dtype=dtype) for b in widths[1:]] if biased else []
    envelope = [random(n_edges, dtype=dtype)] if enveloped else []

    factors = [0.5 + n for n in range(len(weights))]

    def of(network):
        def function_of_tensors(basis, *rest):
            w, b = rest[: len(weights)], rest[len(weights) :][: len(biases)]
            return network(basis, w, b, rest[-1] if enveloped else None, factors)

        return function_of_tensors

    inputs = [random(n_edges, widths[0], dtype=dtype), *weights, *biases, *envelope]
    loop = partial(scaled_loop, function)
    return of(kernels.radial_network(RadialNetworkTable(widths, function))), of(loop), inputs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_edges", [1, 5])
@pytest.mark.parametrize("name", NETWORKS)
def test_hidden_features_are_those_of_each_edge_alone(kernels, dtype, n_edges, name):
    assert_same_to_second_order(*build(kernels, name, n_edges, dtype))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_every_activation(kernels, activation):
    case = build(kernels, "biased_and_enveloped", 3, activation=activation)
    assert_same_to_second_order(*case)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_that_are_not_contiguous(kernels, dtype):
    kernel, loop, inputs = build(kernels, "biased_and_enveloped", 5, dtype)
    assert_same_to_second_order(kernel, loop, [non_contiguous(tensor) for tensor in inputs])


def test_features_of_more_edges_than_a_block(kernels):
    kernel, _, inputs = build(kernels, "biased_and_enveloped", 101)
    reference, _, _ = build(select_kernels("reference"), "biased_and_enveloped", 101)
    assert_same_to_second_order(kernel, reference, inputs)


def test_features_of_no_edges(kernels):
    kernel, _, inputs = build(kernels, "biased_and_enveloped", 0)
    variables = [tensor.requires_grad_() for tensor in inputs]
    u = kernel(*variables)
    assert u.shape == (0, 7)
    gradients = torch.autograd.grad(u.sum(), variables)
    assert [gradient.shape for gradient in gradients] == [tensor.shape for tensor in inputs]
    assert all((gradient == 0).all() for gradient in gradients)


def test_without_layers_and_envelope_the_features_are_the_basis(kernels):
    basis = random(3, 4)
    assert (
        kernels.radial_network(RadialNetworkTable((4,), Activation.of("silu")))(basis, [], [], None)
        is basis
    )


def test_derivatives_of_the_hidden_features_are_finite_differences(kernels):
    kernel, _, inputs = build(kernels, "biased_and_enveloped", 2)
    variables = tuple(tensor.requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


def test_third_derivatives_of_the_hidden_features(kernels):
    kernel, loop, inputs = build(kernels, "biased", 2)
    assert_same_to_order(3, kernel, loop, inputs)
