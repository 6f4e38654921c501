"""Splines of radial functions: closed forms and stated errors."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.interpolate import BPoly
from tests.program.cases import potential

from multiace.envelope import Envelope
from multiace.potential import Potential
from multiace.program import Program, build_program
from multiace.program.spline import Spline, fit_spline, with_derivatives

CUTOFF = 4.0


def waves(r: torch.Tensor) -> torch.Tensor:
    k = torch.arange(1, 6, dtype=torch.float64) * torch.pi / CUTOFF
    return torch.sin(r[:, None] * k) * (1 - (r[:, None] / CUTOFF) ** 2) ** 3


def test_derivatives_are_those_of_autograd_on_each_function():
    r = torch.linspace(0.5, 3.5, 7, dtype=torch.float64)
    values, slopes, curvatures = with_derivatives(waves)(r)
    np.testing.assert_array_equal(values, waves(r))

    def of_one(function, each):
        return torch.autograd.functional.jacobian(function, each[None], create_graph=True)[0, :, 0]

    first = torch.stack([of_one(waves, each) for each in r])
    second = torch.stack([of_one(lambda x: of_one(waves, x[0])[None], each) for each in r])
    np.testing.assert_allclose(slopes, first.detach(), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(curvatures, second.detach(), rtol=1e-13, atol=1e-12)


def test_splines_are_those_of_scipy(rng):
    spline = fit_spline(with_derivatives(waves), CUTOFF, start=0.5, tolerance=1e-3)
    knots = np.linspace(0, CUTOFF, spline.n_intervals + 1)
    derivatives = np.stack(with_derivatives(waves)(torch.from_numpy(knots)), axis=1)
    expected = BPoly.from_derivatives(knots, derivatives)
    r = rng.uniform(spline.width, CUTOFF, 200)  # the first knot is beside 0
    np.testing.assert_allclose(spline(r), expected(r), atol=1e-11)
    np.testing.assert_allclose(spline.slope(r), expected(r, 1), atol=1e-10)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_stated_errors_hold_at_other_distances(tolerance, rng):
    functions = with_derivatives(waves)
    spline = fit_spline(functions, CUTOFF, start=0.5, tolerance=tolerance)
    assert max(spline.error, spline.slope_error) <= tolerance
    r = rng.uniform(0.5, CUTOFF, 5000)
    values, slopes, _ = functions(torch.from_numpy(r))
    # measured between knots where t^6 errs most; other functions may by a little more
    assert np.abs(spline(r) - values).max() < 1.1 * spline.error * np.abs(values).max()
    assert np.abs(spline.slope(r) - slopes).max() < 1.1 * spline.slope_error * np.abs(slopes).max()


def test_errors_shrink_as_powers_of_the_width():
    found = [
        fit_spline(with_derivatives(waves), CUTOFF, start=0.5, tolerance=np.inf, at_least=n)
        for n in (16, 32, 64)
    ]
    for coarse, fine in pairwise(found):
        assert coarse.error / fine.error == pytest.approx(64, rel=0.2)
        assert coarse.slope_error / fine.slope_error == pytest.approx(32, rel=0.2)


@pytest.mark.parametrize(
    ("envelope", "curvature"),
    [(Envelope("cosine"), np.pi**2 / 2), (Envelope("two_sided", 2, 3), 2.0)],
    ids=["cosine", "two-sided"],
)
def test_a_curvature_that_jumps_at_the_cutoff_is_that_inside(envelope, curvature):
    functions = with_derivatives(lambda r: envelope(r[:, None] / CUTOFF))
    spline = fit_spline(functions, CUTOFF, start=0.5, tolerance=1e-8)
    assert spline.n_intervals <= 64
    assert spline.table[-2] == pytest.approx(curvature * (spline.width / CUTOFF) ** 2)


def test_beyond_the_cutoff_there_is_nothing():
    spline = fit_spline(with_derivatives(waves), CUTOFF, start=0.5, tolerance=1e-4)
    r = np.array([CUTOFF, CUTOFF + 1e-9, 7.0, 1e9])
    assert not spline(r).any()
    assert not spline.slope(r).any()


@pytest.mark.parametrize(
    "name", ["mace", "agnesi", "jacobi", "normalised agnesi", "by pair", "pooled by element"]
)
def test_errors_that_a_program_states_hold_for_its_radial_functions(name, rng):
    model = potential(name)
    program = build_program(model, elements=(1, 8), tolerance=1e-5)
    r = torch.from_numpy(rng.uniform(0.5, model.cutoff, 2000))
    for values, slopes, spline in of_layers(program, model, r):
        assert apart(spline(r.numpy()), values) < 1.1 * program.spline_error
        assert apart(spline.slope(r.numpy()), slopes) < 1.1 * program.spline_slope_error


def of_layers(program: Program, model: Potential, r: torch.Tensor):
    """Radial functions of hydrogen around oxygen in each layer, and their splines."""
    functions = model.model.edge_functions
    ends = torch.zeros(len(r), dtype=torch.int64)
    species = torch.tensor([model.elements.index(1), model.elements.index(8)])
    splines = [operation for operation in program.operations if operation.name == "spline"]
    for layer, operation in zip(model.model.layers, splines, strict=True):
        basis = layer.atomic_basis

        def radial(r, basis=basis):
            network = basis.radial_network
            hidden = network(*functions.radial(r, ends, ends + 1, species))
            if basis.species_pooling is not None:
                return hidden
            types = network.edge_types(species, ends[:1], ends[:1] + 1)
            weights = network.weights * basis.pooling_factor
            return hidden @ weights[0 if types is None else types[0]]

        coefficients, types = operation.constants
        table = coefficients[0 if types is None else types[0, 1]]
        values, slopes, _ = with_derivatives(radial)(r)
        yield values, slopes, Spline(table.numpy(), operation.table.width)


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())
