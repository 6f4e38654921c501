"""All pairs of atoms within a cutoff, images included."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from vesin import NeighborList

from multiace.geometry.structure import Structure

_SEARCH_MARGIN = 1e-6
"""The search runs this much (relative) beyond the cutoff; our own distances then decide."""


@dataclass(frozen=True, eq=False)
class NeighbourList:
    """Directed edges sorted by receiver, then sender, then shift.

    Args:
        senders: neighbours j.
        receivers: centres i, ascending.
        shifts: the image of j in whole cell vectors; 0 in directions that are not periodic.
        vectors: r_ji = r_j - r_i + shift @ cell, Å.
        reverse: the edge i -> j of the same pair, whose vector is exactly the opposite.
    """

    senders: Int64[np.ndarray, " edges"]
    receivers: Int64[np.ndarray, " edges"]
    shifts: Int64[np.ndarray, "edges 3"]
    vectors: Float64[np.ndarray, "edges 3"]
    reverse: Int64[np.ndarray, " edges"]

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return len(self.senders)


def neighbour_list(structure: Structure, cutoff: float) -> NeighbourList:
    """List every directed pair with |r_ji| < cutoff.

    Each pair occurs as j -> i and as i -> j, with vectors that are exactly opposite. Images of an
    atom are neighbours of the atom itself when the cell is smaller than the cutoff. Cells may be
    skewed or left-handed, atoms may lie outside the box, and directions that are not periodic may
    have any row or none. The vectors are r_j - r_i first and the shift after, so that a common
    translation costs no more than the rounding of the positions themselves.

    Args:
        structure: atoms, cell and periodic directions.
        cutoff: Å, positive.

    Raises:
        ValueError: the cutoff is not a positive finite number.

    Example:
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        >>> pair = Structure(numbers=np.array([1, 1]), positions=positions)
        >>> neighbour_list(pair, cutoff=2.0).vectors.tolist()
        [[0.0, 0.0, 0.74], [0.0, 0.0, -0.74]]
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}.")
    box = _spanning_cell(structure)
    periodic = np.array(structure.pbc)

    centred = structure.positions - structure.positions.mean(axis=0)
    fractional = centred @ np.linalg.inv(box)  # Å along the normals, of unit length
    wraps = np.where(periodic, np.floor(fractional), 0.0)  # (atoms, 3) whole cells
    fractional -= wraps
    # Vacuum instead of open directions, which make the search slow, and have it fail, where atoms
    # are far apart.
    reach = cutoff * (1 + _SEARCH_MARGIN)
    searched = box.copy()
    for k in np.flatnonzero(~periodic):
        heights = _closed_up(fractional[:, k], 2 * reach)
        width = heights.max() + 2 * reach
        fractional[:, k] = heights / width
        searched[k] *= width
    search = NeighborList(cutoff=reach, full_list=True, n_threads=1)
    receivers, senders, shifts = search.compute(
        points=fractional @ searched, box=searched, periodic=True, quantities="ijS"
    )
    receivers = receivers.astype(np.int64)
    senders = senders.astype(np.int64)
    cells = wraps.astype(np.int64)
    shifts = shifts.astype(np.int64) + cells[receivers] - cells[senders]

    positions = structure.positions
    # Written out, not a matrix product: BLAS may round the two directions of a pair differently.
    images = shifts[:, 0:1] * box[0] + shifts[:, 1:2] * box[1] + shifts[:, 2:3] * box[2]
    vectors = (positions[senders] - positions[receivers]) + images
    within = np.square(vectors).sum(axis=1) < cutoff**2
    columns = np.column_stack([receivers, senders, shifts])[within]
    order = _lexicographic_order(columns)
    columns = columns[order]
    reverse = np.empty(len(columns), dtype=np.int64)
    reverse[_lexicographic_order(columns[:, [1, 0, 2, 3, 4]] * _OPPOSITE)] = np.arange(len(columns))
    return NeighbourList(
        senders=columns[:, 1].copy(),
        receivers=columns[:, 0].copy(),
        shifts=columns[:, 2:].copy(),
        vectors=vectors[within][order],
        reverse=reverse,
    )


_OPPOSITE = np.array([1, 1, -1, -1, -1])
"""Signs that turn (receiver, sender, shift), its ends swapped, into those of the opposite edge."""


def _spanning_cell(structure: Structure) -> Float64[np.ndarray, "3 3"]:
    """Return the cell with unit normals in place of rows that are not periodic."""
    periodic = np.array(structure.pbc)
    box = np.eye(3)
    if structure.cell is None or not periodic.any():
        return box
    rows = structure.cell[periodic]
    normals = np.linalg.svd(rows, full_matrices=True)[2][len(rows) :]
    box[periodic] = rows
    box[~periodic] = normals
    return box


def _closed_up(heights: Float64[np.ndarray, " atoms"], gap: float) -> Float64[np.ndarray, " atoms"]:
    """Return heights from 0 upwards in the same order, without room wider than `gap` in between."""
    order = np.argsort(heights)
    steps = np.minimum(np.diff(heights[order], prepend=heights[order[:1]]), gap)
    closed = np.empty_like(heights)
    closed[order] = np.cumsum(steps)
    return closed


def _lexicographic_order(columns: Int64[np.ndarray, "rows columns"]) -> Int64[np.ndarray, " rows"]:
    """Return the order that sorts distinct rows by their first column, then the second, ...

    Rows are numbered in mixed radix and sorted as single integers, four times as fast as by
    column, unless the numbers do not fit.
    """
    if len(columns) == 0:
        return np.zeros(0, dtype=np.int64)
    lowest = columns.min(axis=0)
    spans = columns.max(axis=0) - lowest + 1
    if math.prod(spans.tolist()) > np.iinfo(np.int64).max:
        return np.lexsort(columns.T[::-1])
    number = np.zeros(len(columns), dtype=np.int64)
    for column, first, span in zip(columns.T, lowest, spans, strict=True):
        number = number * span + (column - first)
    return np.argsort(number)
