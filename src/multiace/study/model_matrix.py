"""Columns of the linear model of a plan, and what the plan can tell apart.

y = mean + sum_f effect_f(level of f) [+ interactions of pairs] + block(seed) + residual. Levels are
coded by contrasts that sum to zero, so that an effect is an average over the levels of the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Term = tuple[int, ...]
"""Index of a factor, or of two factors for their interaction."""

_SMALL = 1e-9


def orthonormal_contrasts(n_levels: int) -> Float64[np.ndarray, "levels contrasts"]:
    """Return n - 1 columns that sum to zero, of mean square 1 and orthogonal to each other.

    Example:
        >>> orthonormal_contrasts(2).round(6).ravel().tolist()
        [1.0, -1.0]
    """
    helmert = np.zeros((n_levels, n_levels - 1))
    for k in range(1, n_levels):
        helmert[:k, k - 1] = 1.0
        helmert[k, k - 1] = -k
    return helmert * np.sqrt(n_levels / np.square(helmert).sum(axis=0))


@dataclass(frozen=True, eq=False)
class ModelMatrix:
    """Columns of the terms of a model over cells.

    Args:
        terms: the terms after the mean, in the order of the columns.
        columns: mean first, then the columns of each term.
        slices: where the columns of each term are.
    """

    terms: tuple[Term, ...]
    columns: Float64[np.ndarray, "cells columns"]
    slices: tuple[slice, ...]


def model_matrix(
    cells: Sequence[Sequence[int]], sizes: Sequence[int], terms: Sequence[Term]
) -> ModelMatrix:
    """Return the columns of a model.

    Args:
        cells: level of each factor, by cell.
        sizes: number of levels of each factor.
        terms: main effects `(f,)` and interactions `(f, g)`.
    """
    levels = np.asarray(cells, dtype=np.int64).reshape(len(cells), len(sizes))
    mains = [orthonormal_contrasts(size)[levels[:, f]] for f, size in enumerate(sizes)]
    blocks = [np.ones((len(cells), 1))]
    for term in terms:
        block = mains[term[0]]
        for factor in term[1:]:
            block = np.einsum("ni,nj->nij", block, mains[factor]).reshape(len(cells), -1)
        blocks.append(block)
    ends = np.cumsum([block.shape[1] for block in blocks])
    slices = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
    return ModelMatrix(tuple(terms), np.hstack(blocks), slices)


def main_effects(n_factors: int) -> list[Term]:
    """Return the terms of single factors."""
    return [(factor,) for factor in range(n_factors)]


def interactions(n_factors: int) -> list[Term]:
    """Return the terms of pairs of factors."""
    return list(itertools.combinations(range(n_factors), 2))


def rank(columns: Float64[np.ndarray, "cells columns"]) -> int:
    """Return the number of independent columns."""
    return int(np.linalg.matrix_rank(columns, tol=1e-8)) if columns.size else 0


@dataclass(frozen=True)
class Identification:
    """What a plan can tell apart.

    Args:
        confounded: factors, each with others, whose main effects cannot be separated at all.
        identified: interactions that can be estimated beside all main effects and all others.
        aliases: for each factor, the interactions whose effects would be read as its own.
    """

    confounded: tuple[tuple[int, ...], ...]
    identified: tuple[Term, ...]
    aliases: tuple[tuple[Term, ...], ...]


def identify(cells: Sequence[Sequence[int]], sizes: Sequence[int]) -> Identification:
    """Find what the cells of a plan can tell apart.

    A main effect is aliased with an interaction if adding that interaction to the truth would
    move its estimate: the alias matrix (X1' X1)^-1 X1' X2 has entries other than zero in its rows.

    Example:
        >>> identify([(0, 0), (1, 1)], [2, 2]).confounded
        ((0, 1),)
        >>> identify([(0, 0), (0, 1), (1, 0), (1, 1)], [2, 2]).identified
        ((0, 1),)
    """
    n = len(sizes)
    main = model_matrix(cells, sizes, main_effects(n))
    full = model_matrix(cells, sizes, [*main_effects(n), *interactions(n)])
    confounded = _confounded(main)
    identified = []
    for term, columns in zip(full.terms[n:], full.slices[n:], strict=True):
        others = np.delete(full.columns, np.r_[columns], axis=1)
        if rank(full.columns) - rank(others) == columns.stop - columns.start:
            identified.append(term)
    aliases: list[list[Term]] = [[] for _ in range(n)]
    inverse = np.linalg.pinv(main.columns)
    for term, columns in zip(full.terms[n:], full.slices[n:], strict=True):
        if term in identified:
            continue
        alias = inverse @ full.columns[:, columns]
        for factor, rows in enumerate(main.slices):
            if np.abs(alias[rows]).max(initial=0.0) > _SMALL:
                aliases[factor].append(term)
    return Identification(confounded, tuple(identified), tuple(map(tuple, aliases)))


def _confounded(main: ModelMatrix) -> tuple[tuple[int, ...], ...]:
    """Return groups of factors whose columns depend on each other."""
    _, singular, rows = np.linalg.svd(main.columns)
    null = rows[int((singular > 1e-8).sum()) :]
    groups: list[set[int]] = []
    for vector in null:
        found = {f for f, columns in enumerate(main.slices) if np.abs(vector[columns]).max() > 1e-8}
        joined = [group for group in groups if group & found]
        groups = [group for group in groups if not group & found] + [found.union(*joined)]
    return tuple(sorted(tuple(sorted(group)) for group in groups))
