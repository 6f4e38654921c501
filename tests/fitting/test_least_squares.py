"""Regularised least squares against NumPy and against the sums that they minimise."""

import numpy as np
import pytest

from multiace.fitting import LeastSquares, least_squares

N, M = 60, 12


def problem(rng, noise=0.1):
    x = rng.normal(size=(N, M)) * 10.0 ** -np.arange(0, M / 4, 0.25)
    return x, x @ rng.normal(size=M) + noise * rng.normal(size=N)


def solver(x, y, blocks=4):
    equations = LeastSquares(x.shape[1])
    for rows, targets in zip(np.array_split(x, blocks), np.array_split(y, blocks), strict=True):
        equations.add(rows, targets)
    return equations


def test_blocks_give_the_least_squares_of_all_equations(rng, monkeypatch):
    monkeypatch.setattr(least_squares, "_BLOCK", 7)
    x, y = problem(rng)
    found = solver(x, y).solve(np.ones(M), 0.0)
    expected, (rest,), rank, _ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9)
    assert found.rank == rank == M
    assert found.residual == pytest.approx(np.sqrt(rest / N))


def test_the_prior_is_an_equation_for_each_weight(rng):
    x, y = problem(rng)
    prior = rng.uniform(1.0, 5.0, M)
    found = solver(x, y).solve(prior, 0.3)
    more = np.concatenate([x, np.sqrt(0.3) * np.diag(prior)])
    expected = np.linalg.lstsq(more, np.concatenate([y, np.zeros(M)]), rcond=None)[0]
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9)
    hat = x @ np.linalg.solve(x.T @ x + 0.3 * np.diag(prior**2), x.T)
    assert found.freedom == pytest.approx(np.trace(hat))


def test_rules_choose_the_least_of_what_they_minimise(rng):
    x, y = problem(rng, noise=0.5)
    grid = 10.0 ** np.linspace(-9, 3, 400)

    def gcv(value):
        hat = x @ np.linalg.solve(x.T @ x + value * np.eye(M), x.T)
        return ((y - hat @ y) ** 2).sum() / (N - np.trace(hat)) ** 2

    def evidence(value):  # minus twice the logarithm, the noise at its best
        covariance = np.eye(N) + x @ x.T / value
        return N * np.log(y @ np.linalg.solve(covariance, y)) + np.linalg.slogdet(covariance)[1]

    for rule, of in (("gcv", gcv), ("evidence", evidence)):
        found = solver(x, y).solve(np.ones(M), rule).regularisation
        assert of(found) <= min(map(of, grid)) + 1e-9 * abs(of(found))


def test_unknowns_without_equations_have_no_weight_and_are_named(rng):
    x, y = problem(rng)
    x[:, 3] = 0.0
    found = solver(x, y).solve(np.ones(M), "gcv")
    assert found.weights[3] == 0.0
    assert np.flatnonzero(~found.occurs).tolist() == [3]


def test_too_few_equations_need_a_regularisation(rng):
    x, y = problem(rng)
    with pytest.raises(ValueError, match="6 equations determine 6 of 12 weights"):
        solver(x[:6], y[:6]).solve(np.ones(M), 0.0)
    assert np.isfinite(solver(x[:6], y[:6]).solve(np.ones(M), "evidence").weights).all()


def test_entries_that_are_not_finite_are_refused(rng):
    x, y = problem(rng)
    y[5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        solver(x, y)
