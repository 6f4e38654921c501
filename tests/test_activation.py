"""Activations of unit second moment, against SciPy."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit

from multiace.activation import Activation, second_moment_constant

FUNCTIONS = {
    "silu": lambda x: x * expit(x),
    "tanh": math.tanh,
    "sigmoid": expit,
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


@every_function
def test_constant_gives_unit_second_moment_under_the_normal_distribution(name):
    def integrand(x):
        return FUNCTIONS[name](x) ** 2 * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

    second_moment, _ = quad(integrand, -20, 20, epsabs=1e-13)
    assert second_moment_constant(name) ** 2 * second_moment == pytest.approx(1.0, abs=1e-11)


@every_function
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activation_is_the_function_times_its_constant(name, dtype):
    x = torch.tensor([-2.0, -0.1, 0.0, 0.7, 3.0], dtype=dtype)
    for normalisation, constant in (
        ("second_moment", second_moment_constant(name)),
        ("none", 1.0),
        ({name: 1.7}, 1.7),
    ):
        y = Activation.of(name, normalisation)(x)
        expected = [constant * FUNCTIONS[name](value) for value in x.tolist()]
        assert y.dtype == dtype
        torch.testing.assert_close(y, torch.tensor(expected, dtype=dtype))


@every_function
def test_derivatives_of_the_activation_are_finite_differences(name):
    x = torch.linspace(-2, 2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Activation.of(name), x)
    assert torch.autograd.gradgradcheck(Activation.of(name), x)


def test_constants_without_that_of_the_function_are_refused():
    message = r"constants for \['silu'\] but the design uses 'tanh'. Add its constant"
    with pytest.raises(ValueError, match=message):
        Activation.of("tanh", {"silu": 1.7})
