"""Radial functions on a grid: what splines promise, and potentials evaluated with them."""

import numpy as np
import pytest
import torch

from multiace import presets
from multiace.design import Statistics
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.one_particle.radial_grid import RadialGrid
from multiace.potential import Potential

CUTOFF = 4.0
ELEMENTS = (1, 8)


def function(r):
    """A smooth function without slope at the cutoff."""
    return torch.sin(3.0 * r) * (1.0 - (r / CUTOFF) ** 2) ** 3


def splined(grid, r):
    weights, first = grid.place(r)
    rows = (grid.solve @ function(grid.points))[first.unsqueeze(1) + torch.arange(4)]
    return (weights * rows).sum(dim=1)


def error(intervals):
    r = torch.linspace(0.5, CUTOFF, 2001, dtype=torch.float64)
    return float((splined(RadialGrid(CUTOFF, intervals), r) - function(r)).abs().max())


def test_points_of_the_grid_are_met():
    grid = RadialGrid(CUTOFF, 16)
    torch.testing.assert_close(splined(grid, grid.points[1:-1]), function(grid.points[1:-1]))


def test_the_error_falls_with_the_fourth_power_of_the_spacing():
    assert error(32) < 1e-3
    assert 12 < error(32) / error(64) < 20


def test_values_slopes_and_curvatures_do_not_jump():
    grid = RadialGrid(CUTOFF, 16)
    for knot in (5.0, 15.0, 16.0):
        sides = []
        for side in (-1e-9, 1e-9):
            r = torch.tensor([knot * grid.width + side], dtype=torch.float64, requires_grad=True)
            value = splined(grid, r)
            (slope,) = torch.autograd.grad(value, r, create_graph=True)
            (curvature,) = torch.autograd.grad(slope, r)
            sides.append([value.item(), slope.item(), curvature.item()])
        orders = 3 if knot < 16 else 2
        np.testing.assert_allclose(sides[0][:orders], sides[1][:orders], atol=1e-6)


def test_nothing_is_left_at_the_cutoff_and_beyond():
    weights, first = RadialGrid(CUTOFF, 16).place(torch.tensor([CUTOFF, 5.0, 100.0]))
    assert (weights == 0).all()
    assert int(first.max()) + 3 < 16 + 3


def test_a_grid_of_few_intervals_is_refused():
    with pytest.raises(ValueError, match=r"grid of 7 intervals .* must have 8 or more"):
        RadialGrid(CUTOFF, 7)


def build(kernels="auto", **changes):
    design = presets.botnet("small", layers=2, channels=4, cutoff=CUTOFF, **changes)
    statistics = Statistics(mean_neighbours=3.0, atomic_energies={"H": -13.6, "O": -430.0})
    return Potential(design, ELEMENTS, statistics, dtype=torch.float64, seed=1, kernels=kernels)


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    molecules = [
        Structure(numbers=np.array([8, 1, 1, 8]), positions=rng.normal(scale=1.2, size=(4, 3)))
        for _ in range(2)
    ]
    return batch_graphs([build_graph(molecule, CUTOFF, ELEMENTS) for molecule in molecules])


def gradients(potential, prediction):
    loss = prediction.energy.sum() + prediction.forces.square().sum()
    return torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True)


@pytest.mark.parametrize("species", ["none", "sender", "receiver", "pair"])
@pytest.mark.parametrize("hidden", [[], [8]])
def test_a_potential_on_a_grid_is_the_potential_but_for_the_error_it_tells(graph, species, hidden):
    potential = build(radial={"species": species, "hidden": hidden})
    exact = potential(graph)
    of_exact = gradients(potential, exact)
    with potential.on_radial_grid(256):
        with potential.on_radial_grid(64):
            coarser = potential(graph)
        gridded = potential(graph)
    assert not torch.equal(coarser.forces, gridded.forces)
    tolerance = 50 * potential.radial_grid_error(256)
    assert 0 < tolerance < 1e-3
    torch.testing.assert_close(gridded.energy, exact.energy, rtol=0, atol=tolerance)
    torch.testing.assert_close(gridded.forces, exact.forces, rtol=0, atol=20 * tolerance)
    assert not torch.equal(gridded.forces, exact.forces)
    for found, expected in zip(gradients(potential, gridded), of_exact, strict=True):
        assert (found - expected).norm() <= 0.01 * expected.norm() + 1e-12
    torch.testing.assert_close(potential(graph).forces, exact.forces, rtol=0, atol=0)


def test_kernels_agree_on_a_grid(graph):
    results = []
    for kernels in ("auto", "reference"):
        potential = build(kernels, radial={"species": "pair"})
        with potential.on_radial_grid(32):
            prediction = potential(graph)
        results.append([prediction.forces, *gradients(potential, prediction)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_the_error_that_is_told_is_that_of_the_radial_functions():
    potential = build()
    errors = [potential.radial_grid_error(n) for n in (32, 64, 128)]
    assert errors[0] > 8 * errors[1] > 64 * errors[2] > 0


def test_a_radial_basis_of_the_elements_has_no_grid():
    potential = build(radial={"transform": "agnesi"})
    with (
        pytest.raises(ValueError, match=r"radial.transform .* set the transform to none"),
        potential.on_radial_grid(64),
    ):
        pass
