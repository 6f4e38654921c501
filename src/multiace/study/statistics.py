"""What choices do to an error: a linear model of its logarithm, blocked by seed.

log error = mean + sum_f effect_f(level) [+ interactions] + block(seed) + residual

The effect of a level is its difference from the first level of its factor, averaged over the levels
of the others. Its t interval takes the residuals of all cells together. Where several seeds show
that cells scatter around the model by more than seeds do (F test of the lack of fit, p < 0.05), the
choices interact, and the scatter of cells takes the place of that of seeds: effects are then
averages over what was combined.

statsmodels fits and corrects, SciPy has the distributions. Standard deviations divide by n - 1.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from multiace.study.errors import StudyError
from multiace.study.model_matrix import (
    ModelMatrix,
    Term,
    main_effects,
    model_matrix,
    orthonormal_contrasts,
)

CONFIDENCE = 0.95
LACK_OF_FIT = 0.05
"""p of the F test below which the scatter of cells is taken instead of that of seeds."""

_SMALL = 1e-8


@dataclass(frozen=True)
class Effect:
    """Difference of a level from the first level of its factor.

    Args:
        factor: index of the factor.
        level: index of the level.
        estimate: in log error: exp of it is the ratio of errors.
        low: lower end of the 95 % interval; None where there are no residuals to tell.
        high: upper end of it.
        p: of no difference, one comparison alone.
        p_holm: the same corrected for all comparisons of the study.
        by_seed: the difference within each seed that has all cells it needs, by seed.
    """

    factor: int
    level: int
    estimate: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    by_seed: tuple[tuple[int, float], ...]

    @property
    def standard_deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1); None for fewer than two."""
        values = [value for _, value in self.by_seed]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Interaction:
    """Whether the effect of one factor depends on the level of another.

    Args:
        term: the two factors.
        f: ratio of its mean square to that of the residuals.
        p: of no interaction.
        p_holm: corrected for all interactions of the study.
    """

    term: Term
    f: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Fit:
    """What the model says of one response.

    Args:
        effects: one for each level but the first that can be estimated.
        interactions: those that the plan identifies, where there are residuals.
        not_estimable: (factor, level) whose effect the runs that are there cannot tell.
        residual: standard deviation of the error term of one run, in log error; None without.
        degrees: of freedom of it.
        error_term: `residuals`, or `cells` where the cells scatter more than the seeds.
        lack_of_fit: p of the F test; None where cells or seeds are too few for it.
    """

    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    not_estimable: tuple[tuple[int, int], ...]
    residual: float | None
    degrees: int
    error_term: str
    lack_of_fit: float | None


def fit_effects(
    cells: Sequence[Sequence[int]],
    seeds: Sequence[int],
    log_errors: Sequence[float] | Float64[np.ndarray, " runs"],
    sizes: Sequence[int],
    identified: Sequence[Term] = (),
) -> Fit:
    """Fit the model to the runs of a study.

    Args:
        cells: level of each factor, by run.
        seeds: by run.
        log_errors: by run, finite.
        sizes: levels of each factor.
        identified: interactions that the plan identifies; taken into the model with two seeds or
            more.

    Raises:
        StudyError: statsmodels is not installed.

    Example:
        >>> cells, seeds = [(0,), (1,), (0,), (1,)], [1, 1, 2, 2]
        >>> fit = fit_effects(cells, seeds, [0.0, 1.0, 0.5, 1.5 + 1e-9], (2,))
        >>> round(fit.effects[0].estimate, 6), fit.degrees
        (1.0, 1)
    """
    y = np.asarray(log_errors, dtype=np.float64)
    terms = main_effects(len(sizes)) + (list(identified) if len(set(seeds)) > 1 else [])
    matrix = model_matrix(cells, sizes, terms)
    model = _fitted(y, np.hstack([matrix.columns, _block_columns(seeds)]))
    variance, degrees, error_term, lack_of_fit = _error_term(model, cells, seeds, y)
    effects, missing = [], []
    for factor, size in enumerate(sizes):
        for level in range(1, size):
            contrast = _contrast(matrix, factor, level, size, model.model.exog.shape[1])
            if not _is_estimable(contrast, model.model.exog):
                missing.append((factor, level))
                continue
            effect = _effect(model, contrast, variance, degrees, factor, level)
            by_seed = _by_seed(cells, seeds, y, sizes, terms, factor, level)
            effects.append(replace(effect, by_seed=by_seed))
    return Fit(
        effects=tuple(effects),
        interactions=_interactions(model, matrix, y, variance, degrees, len(sizes)),
        not_estimable=tuple(missing),
        residual=None if variance is None else float(np.sqrt(variance)),
        degrees=degrees,
        error_term=error_term,
        lack_of_fit=lack_of_fit,
    )


def correct(fits: Sequence[Fit]) -> list[Fit]:
    """Return the fits with p values corrected by Holm's method for all comparisons together.

    Effects are one family and interactions another.
    """
    effects = _holm([e.p for fit in fits for e in fit.effects if e.p is not None])
    interactions = _holm([i.p for fit in fits for i in fit.interactions])
    return [
        replace(
            fit,
            effects=tuple(
                e if e.p is None else replace(e, p_holm=next(effects)) for e in fit.effects
            ),
            interactions=tuple(replace(i, p_holm=next(interactions)) for i in fit.interactions),
        )
        for fit in fits
    ]


def pareto_front(
    points: Float64[np.ndarray, "points objectives"],
) -> Bool[np.ndarray, " points"]:
    """Return which points no other point beats or equals in every objective and beats in one.

    Example:
        >>> pareto_front(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 3.0]])).tolist()
        [True, True, False]
    """
    no_worse = (points[:, None] <= points[None]).all(axis=2)  # (by, of)
    better = (points[:, None] < points[None]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise StudyError(
            "The statistics of a study need statsmodels. Install it with: "
            "pip install 'multiace[study]'"
        ) from None


def _fitted(y: Float64[np.ndarray, " runs"], columns: Float64[np.ndarray, "runs columns"]) -> Any:
    """Fit by least squares; where runs are missing, `_is_estimable` says what has an answer."""
    with warnings.catch_warnings():
        singular = _module("statsmodels.tools.sm_exceptions").SingularMatrixWarning
        warnings.simplefilter("ignore", singular)
        return _module("statsmodels.regression.linear_model").OLS(y, columns).fit()


def _block_columns(seeds: Sequence[int]) -> Float64[np.ndarray, "runs blocks"]:
    names = sorted(set(seeds))
    return orthonormal_contrasts(len(names))[[names.index(seed) for seed in seeds]]


def _error_term(
    model: Any,
    cells: Sequence[Sequence[int]],
    seeds: Sequence[int],
    y: Float64[np.ndarray, " runs"],
) -> tuple[float | None, int, str, float | None]:
    """Return variance, degrees of freedom and name of the error term, and p of the lack of fit."""
    stats = _module("scipy.stats")
    degrees = round(model.df_resid)
    names = sorted({tuple(cell) for cell in cells})
    of_cell = np.eye(len(names))[[names.index(tuple(cell)) for cell in cells]]
    pure = _fitted(y, np.hstack([of_cell, _block_columns(seeds)]))
    pure_degrees = round(pure.df_resid)
    lack_degrees = degrees - pure_degrees
    p = None
    if pure_degrees > 0 and lack_degrees > 0 and pure.ssr > 0:
        between = max(model.ssr - pure.ssr, 0.0) / lack_degrees
        p = float(stats.f.sf(between / (pure.ssr / pure_degrees), lack_degrees, pure_degrees))
        if p < LACK_OF_FIT:
            return between, lack_degrees, "cells", p
    if degrees == 0:
        return None, 0, "residuals", p
    return float(model.ssr / degrees), degrees, "residuals", p


def _contrast(
    matrix: ModelMatrix, factor: int, level: int, size: int, n_columns: int
) -> Float64[np.ndarray, " columns"]:
    contrast = np.zeros(n_columns)
    codes = orthonormal_contrasts(size)
    contrast[matrix.slices[matrix.terms.index((factor,))]] = codes[level] - codes[0]
    return contrast


def _is_estimable(
    contrast: Float64[np.ndarray, " columns"], columns: Float64[np.ndarray, "runs columns"]
) -> bool:
    """Whether the contrast is a combination of rows, so that every solution gives it one value."""
    inside = contrast @ np.linalg.pinv(columns) @ columns
    return bool(np.abs(inside - contrast).max() < _SMALL)


def _effect(
    model: Any,
    contrast: Float64[np.ndarray, " columns"],
    variance: float | None,
    degrees: int,
    factor: int,
    level: int,
) -> Effect:
    stats = _module("scipy.stats")
    estimate = float(contrast @ model.params)
    if variance is None:
        return Effect(factor, level, estimate, None, None, None, None, ())
    error = float(np.sqrt(variance * (contrast @ model.normalized_cov_params @ contrast)))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, degrees)) * error
    p = float(2.0 * stats.t.sf(abs(estimate) / error, degrees)) if error > 0 else None
    return Effect(factor, level, estimate, estimate - half, estimate + half, p, None, ())


def _by_seed(
    cells: Sequence[Sequence[int]],
    seeds: Sequence[int],
    y: Float64[np.ndarray, " runs"],
    sizes: Sequence[int],
    terms: Sequence[Term],
    factor: int,
    level: int,
) -> tuple[tuple[int, float], ...]:
    """Return the effect within each seed alone, where its runs can tell it."""
    found = []
    for seed in sorted(set(seeds)):
        rows = [row for row, other in enumerate(seeds) if other == seed]
        matrix = model_matrix([cells[row] for row in rows], sizes, terms)
        contrast = _contrast(matrix, factor, level, sizes[factor], matrix.columns.shape[1])
        if _is_estimable(contrast, matrix.columns):
            solution = np.linalg.pinv(matrix.columns) @ y[rows]
            found.append((seed, float(contrast @ solution)))
    return tuple(found)


def _interactions(
    model: Any,
    matrix: ModelMatrix,
    y: Float64[np.ndarray, " runs"],
    variance: float | None,
    degrees: int,
    n_factors: int,
) -> tuple[Interaction, ...]:
    """Return the F test of each interaction: what the model loses without its columns.

    Where cells are missing, only what the others leave of an interaction is tested, if anything.
    """
    if variance is None:
        return ()
    stats = _module("scipy.stats")
    found = []
    for term, columns in zip(matrix.terms[n_factors:], matrix.slices[n_factors:], strict=True):
        without = _fitted(y, np.delete(model.model.exog, columns, axis=1))
        n = round(without.df_resid - model.df_resid)
        if n == 0:
            continue
        f = float(max(without.ssr - model.ssr, 0.0) / n / variance)
        p = float(stats.f.sf(f, n, degrees))
        found.append(Interaction(term, f, p, p))
    return tuple(found)


def _holm(p_values: list[float]) -> Any:
    if not p_values:
        return iter(())
    tests = _module("statsmodels.stats.multitest")
    return iter(map(float, tests.multipletests(p_values, method="holm")[1]))
