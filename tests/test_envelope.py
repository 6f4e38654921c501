"""Envelopes: value, smoothness at the cutoff, nothing beyond."""

import math

import numpy as np
import pytest
import torch

from multiace.envelope import Envelope

POWERS = [2, 3, 5, 6, 8]
COSINE = Envelope("cosine")
EXACT = 1e-13  # float64, terms of order p^2


def value_and_derivatives(envelope, x, n=2):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    rows = [envelope(x)]
    for _ in range(n):
        (gradient,) = torch.autograd.grad(rows[-1].sum(), x, create_graph=True)
        rows.append(gradient)
    return [row.detach().numpy() for row in rows]


@pytest.mark.parametrize("power", POWERS)
def test_polynomial_envelope_and_its_derivatives_are_the_polynomial_of_dimenet(power):
    p = power
    coefficients = np.zeros(p + 3)
    coefficients[[0, p, p + 1, p + 2]] = (
        1,
        -(p + 1) * (p + 2) / 2,
        p * (p + 2),
        -p * (p + 1) / 2,
    )
    polynomial = np.polynomial.Polynomial(coefficients)
    x = np.linspace(0.0, 0.999, 50)
    rows = value_and_derivatives(Envelope("polynomial", power), x)
    for n, row in enumerate(rows):
        expected = polynomial.deriv(n)(x) if n else polynomial(x)
        np.testing.assert_allclose(row, expected, atol=EXACT * p**4)


@pytest.mark.parametrize("power", POWERS)
def test_polynomial_envelope_ends_with_the_third_power_of_the_distance_to_the_cutoff(power):
    """So the value and two derivatives are continuous, the third is not."""
    h = 1e-3
    for step in (h, h / 2):
        found = float(Envelope("polynomial", power)(torch.tensor(1 - step, dtype=torch.float64)))
        expected = math.comb(power + 2, 3) * step**3
        assert found == pytest.approx(expected, rel=2 * power * step, abs=1e-13)


def test_cosine_envelope_ends_with_the_second_power_of_the_distance_to_the_cutoff():
    for step in (1e-2, 5e-3):
        found = float(COSINE(torch.tensor(1 - step, dtype=torch.float64)))
        assert found == pytest.approx(math.pi**2 / 4 * step**2, rel=step)


@pytest.mark.parametrize("power", POWERS)
def test_two_derivatives_of_the_polynomial_envelope_vanish_at_the_cutoff(power):
    near = np.array([1 - 1e-9, 1.0, 1 + 1e-9])
    for row in value_and_derivatives(Envelope("polynomial", power), near):
        np.testing.assert_allclose(row, 0.0, atol=1e-6)


def test_one_derivative_of_the_cosine_envelope_vanishes_at_the_cutoff():
    near = np.array([1 - 1e-9, 1.0, 1 + 1e-9])
    value, slope, curvature = value_and_derivatives(COSINE, near)
    np.testing.assert_allclose(value, 0.0, atol=1e-9)
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)
    np.testing.assert_allclose(curvature, [math.pi**2 / 2, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "envelope",
    [COSINE, *(Envelope("polynomial", p) for p in POWERS)],
    ids=["cosine", *(f"polynomial_{p}" for p in POWERS)],
)
def test_envelope_falls_from_one_to_zero_and_stays_there(envelope, dtype):
    x = torch.linspace(0.0, 1.0, 200, dtype=dtype)
    values = envelope(x)
    assert values.dtype == dtype
    assert values[0] == 1
    assert values[-1] == 0
    assert (values.diff() <= 1e-5).all()
    beyond = torch.tensor([1.0, 1.5, 1e3], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(envelope(beyond).sum(), beyond)
    assert (envelope(beyond) == 0).all()
    assert (gradient == 0).all()
