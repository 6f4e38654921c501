"""How many edges structures have, which decides what a batch of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from multiace.data.errors import DataError
from multiace.geometry import Structure
from multiace.geometry.neighbours import neighbour_list


@dataclass(frozen=True, eq=False)
class EdgeCounts:
    """Edges of each structure within a cutoff.

    Args:
        edges: directed edges.
        centres: atoms that have a neighbour.
    """

    edges: Int64[np.ndarray, " structures"]
    centres: Int64[np.ndarray, " structures"]

    def __len__(self) -> int:
        return len(self.edges)

    def take(self, indices: Int64[np.ndarray, " chosen"]) -> EdgeCounts:
        """Return the counts of some of the structures."""
        return EdgeCounts(self.edges[indices], self.centres[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[EdgeCounts]) -> EdgeCounts:
        """Return the counts of several sets of structures, one after the other."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(
            np.concatenate([empty, *(part.edges for part in parts)]),
            np.concatenate([empty, *(part.centres for part in parts)]),
        )


def count_edges(structures: Iterable[Structure], cutoff: float) -> EdgeCounts:
    """Count the edges of structures, one neighbour list in memory at a time.

    Args:
        structures: any number of them.
        cutoff: Å.

    Example:
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74], [0.0, 0.0, 9.0]])
        >>> counts = count_edges([Structure(np.array([1, 1, 1]), positions)], cutoff=2.0)
        >>> counts.edges.tolist(), counts.centres.tolist()
        ([2], [2])
    """
    edges, centres = [], []
    for structure in structures:
        receivers = neighbour_list(structure, cutoff).receivers  # ascending
        edges.append(len(receivers))
        centres.append(np.count_nonzero(np.diff(receivers, prepend=-1)))
    return EdgeCounts(np.array(edges, dtype=np.int64), np.array(centres, dtype=np.int64))


def mean_neighbours(counts: EdgeCounts) -> float:
    """Return the mean number of neighbours of the atoms that have any.

    Raises:
        DataError: no atom has a neighbour.
    """
    n_edges, n_centres = int(counts.edges.sum()), int(counts.centres.sum())
    if n_edges == 0:
        raise DataError(
            "no atom has a neighbour within the cutoff",
            hint="Raise the cutoff, and see that the positions are in Å.",
        )
    return n_edges / n_centres
