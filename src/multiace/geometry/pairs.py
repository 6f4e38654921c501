"""The two directions of a pair of atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor


class Pairs(NamedTuple):
    """Undirected pairs of a graph, for what depends on the distance alone.

    The edges j -> i and i -> j of a pair have opposite vectors, hence one distance, and with it one
    row of everything radial, which is evaluated once.

    | field | |
    |---|---|
    | `of_edge` | pair of each edge |
    | `edge` | the first edge of each pair, ascending |
    """

    of_edge: Int64[Tensor, " edges"]
    edge: Int64[Tensor, " pairs"]

    @classmethod
    def of(cls, reverse: Int64[np.ndarray, " edges"]) -> Pairs:
        """Return the pairs of edges whose opposites are known.

        Args:
            reverse: the opposite of each edge.

        Example:
            >>> pairs = Pairs.of(np.array([2, 3, 0, 1]))
            >>> pairs.of_edge.tolist(), pairs.edge.tolist()
            ([0, 1, 0, 1], [0, 1])
        """
        edge = np.flatnonzero(reverse > np.arange(len(reverse)))
        of_edge = np.empty(len(reverse), dtype=np.int64)
        of_edge[edge] = of_edge[reverse[edge]] = np.arange(len(edge))
        return cls(torch.from_numpy(of_edge), torch.from_numpy(edge))

    @property
    def reverse(self) -> Int64[Tensor, " edges"]:
        """The opposite of each edge.

        Example:
            >>> Pairs.of(np.array([2, 3, 0, 1])).reverse.tolist()
            [2, 3, 0, 1]
        """
        every = torch.arange(len(self.of_edge), device=self.of_edge.device)
        both = torch.zeros_like(self.edge).index_add_(0, self.of_edge, every)
        return both[self.of_edge] - every

    def to(self, device: torch.device | str | None) -> Pairs:
        """Return the pairs on another device."""
        return Pairs(self.of_edge.to(device), self.edge.to(device))
