"""Pairs found by one search, of which those within the cutoff are selected at each step."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64, Int64


class ListedPairs:
    """The pairs of one search, by NumPy; `multiace.kernels.cpu.listed_pairs` has the same bits.

    r_ji = (r_j - r_i) + ((n_1 a_1 + n_2 a_2) + n_3 a_3) for the shift n and the cell vectors a, and
    a pair is within the cutoff if (x^2 + y^2) + z^2 < cutoff^2, each operation rounded once.

    Args:
        senders: neighbours j.
        receivers: centres i.
        shifts: the image of j in whole cell vectors.
        reverse: the opposite of each pair.
        cutoff: Å.
    """

    def __init__(
        self,
        senders: Int64[np.ndarray, " listed"],
        receivers: Int64[np.ndarray, " listed"],
        shifts: Int64[np.ndarray, "listed 3"],
        reverse: Int64[np.ndarray, " listed"],
        cutoff: float,
    ) -> None:
        self._senders, self._receivers, self._cutoff = senders, receivers, cutoff
        self._shifts, self._reverse = shifts, reverse
        self._within: Bool[np.ndarray, " listed"] = np.zeros(len(senders), dtype=bool)
        self._cell = self._images = np.zeros((0, 3))

    def vectors_within(
        self,
        positions: Float64[np.ndarray, "atoms 3"],
        before: Float64[np.ndarray, "atoms 3"],
        cell: Float64[np.ndarray, "3 3"],
    ) -> tuple[Float64[np.ndarray, "edges 3"], bool, float]:
        """Return vectors within the cutoff, whether their pairs changed, and the displacement.

        The displacement is max_i |u_i - mean u| with u_i what atom i has moved since `before`, Å.
        """
        if not np.array_equal(cell, self._cell):
            n_1, n_2, n_3 = self._shifts.T[:, :, None]
            self._cell, self._images = cell, n_1 * cell[0] + n_2 * cell[1] + n_3 * cell[2]
        vectors = positions[self._senders]
        vectors -= positions[self._receivers]
        vectors += self._images
        within = np.square(vectors).sum(axis=1) < self._cutoff**2
        changed = not np.array_equal(within, self._within)
        self._within = within
        moved = positions - before
        moved -= moved.mean(axis=0)
        return vectors[within], changed, math.sqrt(np.square(moved).sum(axis=1).max())

    def select(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return senders, receivers, shifts and reverse of the pairs within the cutoff."""
        kept = np.flatnonzero(self._within)
        place = np.cumsum(self._within) - 1
        ends = self._senders[kept], self._receivers[kept]
        return *ends, self._shifts[kept], place[self._reverse[kept]]
