"""Closed-form fits: what a linear potential says is found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.fitting.test_rows import linear
from tests.laws.systems import METHANOL, TRICLINIC

from multiace.analysis.predict import predict
from multiace.fitting import LabelWeights, Smoothness, fit
from multiace.geometry import Labels
from multiace.potential import Potential


def labelled(potential: Potential, structures, *, stress=False):
    """Return structures with the labels of a potential."""
    found = predict(potential, structures, stress=stress)
    return [
        replace(each, labels=Labels(p.energy, p.forces, p.stress if stress else None))
        for each, p in zip(structures, found, strict=True)
    ]


def rattled(structure, n, rng):
    return [
        structure.moved(structure.positions + rng.normal(scale=0.1, size=structure.positions.shape))
        for _ in range(n)
    ]


def untrained(potential: Potential) -> Potential:
    return Potential(
        potential.design, potential.elements, potential.statistics, dtype=torch.float64, seed=3
    )


def test_a_potential_is_found_again_from_what_it_says(rng):
    true = linear()
    train = labelled(true, rattled(METHANOL, 40, rng))
    found = untrained(true)
    solution = fit(found, train, regularisation=1e-12, prior=Smoothness(power=0.0))
    assert solution.residual < 1e-6
    assert 0 < solution.occurs.sum() < len(solution.weights)  # other elements never occur
    test = labelled(true, rattled(METHANOL, 5, rng))
    for expected, given in zip(test, predict(found, test), strict=True):
        np.testing.assert_allclose(given.forces, expected.labels.forces, atol=1e-4)


def test_virials_are_fitted_where_they_are_asked_for(rng):
    true = linear()
    train = labelled(true, rattled(TRICLINIC, 6, rng), stress=True)
    stresses = [replace(each, labels=Labels(stress=each.labels.stress)) for each in train]
    found = untrained(true)
    with pytest.raises(ValueError, match="None of 6 structures has a label"):
        fit(found, stresses)
    fit(found, stresses, weights=LabelWeights(virial=1.0), regularisation=1e-10)
    for expected, given in zip(train, predict(found, train, stress=True), strict=True):
        np.testing.assert_allclose(given.stress, expected.labels.stress, atol=1e-4)


def test_smooth_functions_cost_less():
    table = linear().model.layers[0].message.product_basis.table
    costs = Smoothness(power=2.0, n_scale=1.0, l_scale=0.5).of(table)
    factors = [
        f for order in (1, 2, 3) for f, _ in table.functions(table.irreps_out.irreps[0], order)
    ]
    expected = [sum((2 * f.irrep) ** 2 + f.n**2 for f in each) for each in factors]
    np.testing.assert_allclose(costs, expected)
