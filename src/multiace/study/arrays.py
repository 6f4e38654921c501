"""Which combinations of levels are trained: grids, orthogonal arrays, one at a time, paths."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from multiace.study.errors import StudyError
from multiace.study.model_matrix import orthonormal_contrasts

Levels = tuple[int, ...]
"""Index of the level of each factor."""

_MOST_ASSIGNMENTS = 200
"""Assignments of factors to columns that are compared."""


def grid(sizes: Sequence[int]) -> list[Levels]:
    """Return every combination of levels.

    Example:
        >>> grid([2, 2])
        [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    return list(itertools.product(*(range(size) for size in sizes)))


def one_at_a_time(sizes: Sequence[int]) -> list[Levels]:
    """Return the first levels, then each other level beside first ones.

    Example:
        >>> one_at_a_time([2, 3])
        [(0, 0), (1, 0), (0, 1), (0, 2)]
    """
    first = (0,) * len(sizes)
    return [first] + [
        (*first[:factor], level, *first[factor + 1 :])
        for factor, size in enumerate(sizes)
        for level in range(1, size)
    ]


def path(n_steps: int, *, both: bool) -> list[Levels]:
    """Return the cells of a path that takes one step after another.

    Args:
        n_steps: steps, each a factor with the levels before (0) and after (1).
        both: take the steps in reverse order too; the ends are the same cells.

    Example:
        >>> path(2, both=True)
        [(0, 0), (1, 0), (1, 1), (0, 1)]
    """
    forward = [(1,) * k + (0,) * (n_steps - k) for k in range(n_steps + 1)]
    backward = [(0,) * (n_steps - k) + (1,) * k for k in range(n_steps + 1)]
    return list(dict.fromkeys(forward + (backward if both else [])))


def orthogonal_array(sizes: Sequence[int], n_cells: int) -> list[Levels]:
    """Return the rows of an orthogonal array of strength 2 for factors of given numbers of levels.

    Any two factors have each pair of levels equally often (or in proportion, where a factor takes
    a column of more levels than it has: its first levels then come again). Of the assignments of
    factors to columns, one with the least aliasing of main effects with interactions is taken.

    Args:
        sizes: levels of each factor.
        n_cells: rows.

    Raises:
        StudyError: there is no such array, with the sizes that would do.

    Source: the arrays are Taguchi's, as pyDOE has them; their orthogonality is checked here.

    Example:
        >>> len(orthogonal_array([2, 3, 3, 3], 18))
        18
    """
    found = [rows for array in _arrays(n_cells) if (rows := _assigned(array, sizes)) is not None]
    if not found:
        others = [n for n in _run_numbers() if n != n_cells and _fits(sizes, n)]
        way_out = f"{' or '.join(map(str, others))} cells would do" if others else "use plan: grid"
        raise StudyError(
            f"There is no orthogonal array of {n_cells} cells for factors of "
            f"{' x '.join(map(str, sizes))} levels: {way_out}."
        )
    return min(found, key=lambda rows: _quality(np.array(rows), sizes))


def _fits(sizes: Sequence[int], n_cells: int) -> bool:
    return any(_assigned(array, sizes) is not None for array in _arrays(n_cells))


def _pydoe() -> Any:
    try:
        import pydoe
    except ImportError:
        raise StudyError(
            "plan: fractional needs pyDOE. Install it with: pip install 'multiace[study]'"
        ) from None
    return pydoe


def _run_numbers() -> list[int]:
    names = _pydoe().list_orthogonal_arrays()
    return sorted({int(name[1:].partition("(")[0]) for name in names})


def _arrays(n_cells: int) -> Iterator[Int64[np.ndarray, "cells columns"]]:
    """Yield arrays with so many rows that are orthogonal, in all ways to split their columns."""
    pydoe = _pydoe()
    for name in pydoe.list_orthogonal_arrays():
        if int(name[1:].partition("(")[0]) != n_cells:
            continue
        array = pydoe.get_orthogonal_array(name).astype(np.int64)
        if not is_orthogonal(array):
            continue
        yield array
        composite = [c for c in range(array.shape[1]) if int(array[:, c].max()) + 1 in (4, 6)]
        if composite:
            yield np.column_stack(
                [part for c in range(array.shape[1]) for part in _split(array[:, c])]
            )


def _split(column: Int64[np.ndarray, " cells"]) -> list[Int64[np.ndarray, " cells"]]:
    """Return a column of 4 or 6 levels as columns of 2 and of 2 or 3 levels."""
    size = int(column.max()) + 1
    return [column // (size // 2), column % (size // 2)] if size in (4, 6) else [column]


def is_orthogonal(array: Int64[np.ndarray, "cells columns"]) -> bool:
    """Whether every pair of columns has each pair of levels equally often.

    Example:
        >>> is_orthogonal(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
        True
    """
    sizes = array.max(axis=0) + 1
    for first, second in itertools.combinations(range(array.shape[1]), 2):
        pairs = array[:, first] * sizes[second] + array[:, second]
        counts = np.bincount(pairs, minlength=int(sizes[first] * sizes[second]))
        if len(set(counts.tolist())) != 1:
            return False
    return True


def _assigned(
    array: Int64[np.ndarray, "cells columns"], sizes: Sequence[int]
) -> list[Levels] | None:
    """Give each factor a column, the least aliased ones; None if there are not enough columns."""
    columns = array.max(axis=0) + 1
    options = []
    for size in sizes:
        exact = [c for c, n in enumerate(columns) if n == size]
        larger = [c for c, n in enumerate(columns) if n > size]
        options.append(exact if len(exact) >= list(sizes).count(size) else exact + larger)
    best: tuple[tuple[int, float, float], Int64[np.ndarray, "cells factors"]] | None = None
    for choice in itertools.islice(_choices(options), _MOST_ASSIGNMENTS):
        rows = np.column_stack([array[:, c] % size for c, size in zip(choice, sizes, strict=True)])
        score = _quality(rows, sizes)
        if best is None or score < best[0]:
            best = (score, rows)
    return None if best is None else [tuple(map(int, row)) for row in best[1]]


def _choices(options: Sequence[Sequence[int]], taken: tuple[int, ...] = ()) -> Iterator[Levels]:
    """Yield assignments of different columns; of equal factors, each set of columns once."""
    if len(taken) == len(options):
        yield taken
        return
    position = len(taken)
    same = position > 0 and list(options[position]) == list(options[position - 1])
    for column in options[position]:
        if column not in taken and not (same and column < taken[-1]):
            yield from _choices(options, (*taken, column))


def _quality(
    rows: Int64[np.ndarray, "cells factors"], sizes: Sequence[int]
) -> tuple[int, float, float]:
    """Rank rows: factors whose levels come unequally often, then the word counts A3 and A4.

    A3 is how much of main effects lies in interactions of two factors, A4 how much of interactions
    in each other.

    Source: Xu and Wu, Annals of Statistics 29, 1066 (2001), generalised word-length pattern.
    """
    counts = [np.bincount(rows[:, f], minlength=size) for f, size in enumerate(sizes)]
    unequal = sum(len(set(count.tolist())) > 1 for count in counts)
    contrasts = [orthonormal_contrasts(size)[rows[:, f]] for f, size in enumerate(sizes)]
    return unequal, _words(contrasts, 3), _words(contrasts, 4)


def _words(contrasts: Sequence[Float64[np.ndarray, "cells _"]], length: int) -> float:
    total = 0.0
    for chosen in itertools.combinations(contrasts, length):
        product = chosen[0]
        for other in chosen[1:]:
            product = np.einsum("ni,nj->nij", product, other).reshape(len(other), -1)
        total += float(np.square(product.mean(axis=0)).sum())
    return round(total, 9)
