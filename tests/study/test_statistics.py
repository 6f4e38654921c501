"""The statistics of studies against truths that were planted."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from multiace.study.arrays import grid, one_at_a_time, orthogonal_array, path
from multiace.study.model_matrix import identify
from multiace.study.statistics import correct, fit_effects, pareto_front

SIZES = (3, 3, 2, 3)
ARRAY = orthogonal_array(SIZES, 18)
TRUTH = {(0, 1): 0.30, (0, 2): -0.20, (2, 1): 0.15}
"""(factor, level) -> effect in log error; all others have none."""


def planted(cells, n_seeds, noise, rng, interaction=0.0):
    """Return cells, seeds and log errors of runs of the planted truth."""
    runs = list(product(cells, range(n_seeds)))
    blocks = rng.normal(scale=0.3, size=n_seeds)
    y = [
        1.0
        + sum(TRUTH.get((f, level), 0.0) for f, level in enumerate(cell))
        + interaction * (cell[1] == 1) * (cell[2] == 1)
        + blocks[seed]
        + noise * rng.normal()
        for cell, seed in runs
    ]
    return [cell for cell, _ in runs], [seed for _, seed in runs], np.array(y)


@pytest.mark.parametrize("cells", [ARRAY, grid(SIZES), one_at_a_time(SIZES)])
def test_without_noise_effects_are_those_planted(cells, rng):
    fit = fit_effects(*planted(cells, 3, 0.0, rng), SIZES)
    assert len(fit.effects) == sum(SIZES) - len(SIZES)
    for effect in fit.effects:
        truth = TRUTH.get((effect.factor, effect.level), 0.0)
        assert effect.estimate == pytest.approx(truth, abs=1e-9)
        assert [value for _, value in effect.by_seed] == pytest.approx([truth] * 3, abs=1e-9)


def test_planted_effects_are_found_and_absent_ones_are_not(rng):
    (fit,) = correct([fit_effects(*planted(ARRAY, 3, 0.03, rng), SIZES)])
    found = {(e.factor, e.level) for e in fit.effects if e.p_holm < 0.05}
    assert found == set(TRUTH)


@pytest.mark.parametrize(("cells", "n_seeds"), [(ARRAY, 3), (one_at_a_time(SIZES), 3), (ARRAY, 1)])
def test_intervals_cover_the_truth_as_often_as_they_say(rng, cells, n_seeds):
    covered = []
    for _ in range(40):
        fit = fit_effects(*planted(cells, n_seeds, 0.1, rng), SIZES)
        covered += [e.low <= TRUTH.get((e.factor, e.level), 0.0) <= e.high for e in fit.effects]
    # 280 intervals, correlated within a study: a standard error of about 0.02
    assert 0.89 <= np.mean(covered) <= 0.99


def test_false_findings_are_as_rare_as_holm_promises(rng):
    wrong = 0
    for _ in range(40):
        cells, seeds, y = planted(ARRAY, 3, 0.1, rng)
        y = y - np.array([sum(TRUTH.get(p, 0.0) for p in enumerate(cell)) for cell in cells])
        fit = fit_effects(cells, seeds, y, SIZES)
        wrong += min(e.p for e in fit.effects) * len(fit.effects) < 0.05  # Holm's first step
    assert wrong <= 6  # 40 x 0.05 = 2 are expected, 7 or more have a probability of 0.3 %


def test_the_interval_is_that_of_the_paired_t_test_for_two_cells(rng):
    from scipy import stats

    before, after = rng.normal(size=(2, 5))
    cells = [(0,)] * 5 + [(1,)] * 5
    fit = fit_effects(cells, [*range(5), *range(5)], np.concatenate([before, after]), (2,))
    known = stats.ttest_rel(after, before)
    (effect,) = fit.effects
    assert effect.estimate == pytest.approx((after - before).mean())
    assert effect.p == pytest.approx(known.pvalue)
    interval = known.confidence_interval(0.95)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.standard_deviation == pytest.approx((after - before).std(ddof=1))


def test_an_interaction_that_the_plan_identifies_is_found_and_others_are_not(rng):
    sizes = (2, 2, 2)
    cells = grid(sizes)
    identified = identify(cells, sizes).identified
    fits = correct([fit_effects(*planted(cells, 3, 0.05, rng, 0.5), sizes, identified)])
    found = {i.term: i.p_holm < 0.01 for i in fits[0].interactions}
    assert found == {(0, 1): False, (0, 2): False, (1, 2): True}


def test_a_missing_cell_makes_no_interaction_of_main_effects(rng):
    cells = [cell for cell in grid((2, 3)) if cell != (1, 2)]
    runs = [(cell, seed) for seed in (1, 2, 3) for cell in cells]
    levels, seeds = [cell for cell, _ in runs], [seed for _, seed in runs]
    found = []
    for _ in range(100):
        y = [0.3 * (a + 0.5 * b) + 0.05 * rng.normal() for a, b in levels]
        (interaction,) = fit_effects(levels, seeds, y, (2, 3), [(0, 1)]).interactions
        found.append(interaction.p < 0.05)
    assert np.mean(found) < 0.15
    one_row = [(0, 0), (0, 1), (0, 2)]  # which tells nothing of an interaction
    fit = fit_effects(one_row * 2, [1] * 3 + [2] * 3, rng.normal(size=6), (2, 3), [(0, 1)])
    assert fit.interactions == ()


def test_cells_that_scatter_more_than_seeds_widen_the_intervals(rng):
    additive = fit_effects(*planted(ARRAY, 3, 0.02, rng), SIZES)
    bent = fit_effects(*planted(ARRAY, 3, 0.02, rng, interaction=0.6), SIZES)
    assert (additive.error_term, bent.error_term) == ("residuals", "cells")
    assert bent.lack_of_fit < 1e-6
    assert bent.degrees == 18 - 1 - 7
    assert bent.residual > 5 * additive.residual


def test_one_seed_of_a_saturated_plan_has_no_intervals(rng):
    fit = fit_effects(*planted(one_at_a_time(SIZES), 1, 0.1, rng), SIZES)
    assert fit.residual is None
    assert all(e.low is e.high is e.p is e.p_holm is None for e in fit.effects)


def test_a_missing_cell_leaves_effects_out_that_nothing_tells(rng):
    cells, seeds, y = planted(one_at_a_time(SIZES), 2, 0.1, rng)
    kept = [row for row, cell in enumerate(cells) if cell != (0, 2, 0, 0)]
    fit = fit_effects([cells[r] for r in kept], [seeds[r] for r in kept], y[kept], SIZES)
    assert fit.not_estimable == ((1, 2),)
    assert len(fit.effects) == 6


def test_steps_of_a_path_are_differences_of_neighbours(rng):
    cells = path(3, both=False)
    y = rng.normal(size=(2, 4))
    fit = fit_effects(cells * 2, [0] * 4 + [1] * 4, y.ravel(), (2, 2, 2))
    steps = np.diff(y.mean(axis=0))
    assert [effect.estimate for effect in fit.effects] == pytest.approx(steps)


def test_the_front_has_what_nothing_beats(rng):
    points = rng.random((40, 3))
    front = pareto_front(points)
    for index, point in enumerate(points):
        beaten = any((other <= point).all() and (other < point).any() for other in points)
        assert front[index] == (not beaten)
    assert pareto_front(np.ones((2, 2))).all()
