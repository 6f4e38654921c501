"""Splines of radial functions: closed forms, stated errors, the compiled weights."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.interpolate import BPoly
from tests.plan.cases import potential

from multiace.envelope import Envelope
from multiace.plan import Plan
from multiace.plan.arrays import Array, Sizes
from multiace.plan.spline import ROWS, Spline, fit_spline, with_derivatives
from multiace.plan.topology import EdgeIndices, Topology

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


def test_a_curvature_that_jumps_at_the_cutoff_is_that_inside():
    envelope = with_derivatives(lambda r: Envelope("cosine")(r[:, None] / CUTOFF))
    spline = fit_spline(envelope, CUTOFF, start=0.5, tolerance=1e-8)
    assert spline.n_intervals <= 64
    assert spline.table[-2] == pytest.approx((spline.width * np.pi / CUTOFF) ** 2 / 2)


def test_beyond_the_cutoff_there_is_nothing():
    spline = fit_spline(with_derivatives(waves), CUTOFF, start=0.5, tolerance=1e-4)
    r = np.array([CUTOFF, CUTOFF + 1e-9, 7.0, 1e9])
    assert not spline(r).any()
    assert not spline.slope(r).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_compiled_weights_pick_the_same_rows_as_the_definition(dtype, rng):
    steps = pytest.importorskip("multiace.kernels.cpu.steps")
    spline = fit_spline(with_derivatives(waves), CUTOFF, start=0.5, tolerance=1e-6)
    r = np.concatenate([rng.uniform(0, CUTOFF, 500), [0.0, CUTOFF, 5.0, CUTOFF - 1e-7]])
    values, slopes = _compiled(steps, spline, torch.from_numpy(r).to(dtype), dtype)
    exact = r.astype({torch.float64: np.float64, torch.float32: np.float32}[dtype]).astype(float)
    tolerance = {torch.float64: 1e-13, torch.float32: 2e-6}[dtype]
    np.testing.assert_allclose(values, spline(exact), atol=tolerance)
    np.testing.assert_allclose(slopes, spline.slope(exact), atol=20 * tolerance)


def _compiled(steps, spline: Spline, r: torch.Tensor, dtype: torch.dtype):
    distances = Array("pairs", (), dtype)
    distances.resize(Sizes(nodes=2, owned=2, edges=len(r), pairs=len(r)))
    distances.value.copy_(r)
    ends = torch.zeros(len(r), dtype=torch.int64)
    basis = steps.SplineBasis(distances, spline.n_intervals, spline.width, dtype)
    basis.bind(Topology(EdgeIndices.of(ends, ends, None), ends[:2], 2), True)
    basis.forward()
    table = torch.from_numpy(spline.table).to(dtype)
    rows = table[basis.knots[: len(r), None] + torch.arange(6)]
    weights = (basis.basis, basis.slope)
    return [torch.einsum("eq,eqf->ef", w[: len(r)], rows).double().numpy() for w in weights]


@pytest.mark.parametrize("name", ["mace", "nequip", "agnesi"])
def test_errors_that_a_plan_states_hold_for_its_radial_functions(name, rng):
    model = potential(name)
    plan = Plan(model, elements=(1, 8), tolerance=1e-5)
    r = torch.from_numpy(rng.uniform(0.5, model.cutoff, 2000))
    for values, slopes, found, found_slopes in _of_layers(plan, (0, 3), r):
        assert _apart(found, values) < 1.1 * plan.spline_error
        assert _apart(found_slopes, slopes) < 1.1 * plan.spline_slope_error


def _of_layers(plan: Plan, pair: tuple[int, int], r: torch.Tensor):
    """Radial functions of each layer from the model, and from the tables of its plan."""
    functions = plan.potential.model.edge_functions
    ends = torch.zeros(len(r), dtype=torch.int64)
    species = torch.tensor(pair)

    for layer, source in zip(plan.potential.model.layers, plan._radial.sources, strict=True):
        network = layer.atomic_basis.radial_network

        def radial(r, network=network):
            basis, envelope = functions.radial(r, ends, ends + 1, species)
            types = network.edge_types(species, ends[:1], ends[:1] + 1)
            return network(basis, envelope) @ network.weights[0 if types is None else types[0]]

        type_of = source.type_of_elements
        table = (
            source.table[0 if type_of is None else type_of[pair]].numpy()
            / layer.atomic_basis.pooling_factor
        )
        spline = Spline(table, plan.potential.cutoff / (len(table) // ROWS))
        values, slopes, _ = with_derivatives(radial)(r)
        yield values, slopes, spline(r.numpy()), spline.slope(r.numpy())


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())
