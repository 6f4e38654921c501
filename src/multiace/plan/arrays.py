"""Arrays of a plan: allocated once, with room to grow, one row a node, owned node, edge or pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Rows = Literal["nodes", "owned", "edges", "pairs"]

_ROOM = 1.1
"""How much more is allocated than is needed, so that neighbours may come and go."""


class Sizes(NamedTuple):
    """How many rows arrays have: nodes with ghosts, nodes owned, edges, pairs of edges."""

    nodes: int
    owned: int
    edges: int
    pairs: int


@dataclass(eq=False)
class Array:
    """One quantity and, where it depends on the positions, the energy's gradient by it.

    Args:
        rows: what there is a row for.
        shape: shape of a row.
        dtype: dtype.
        differentiable: whether it has a gradient.
        shared: whether several steps read it, so that each adds its gradient to the others'.
    """

    rows: Rows
    shape: tuple[int, ...]
    dtype: torch.dtype
    differentiable: bool = True
    shared: bool = False
    value: Tensor = field(init=False)
    gradient: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._n = self._capacity = -1
        self.value = self.gradient = torch.empty((0, *self.shape), dtype=self.dtype)

    def resize(self, sizes: Sizes) -> bool:
        """Give the array as many rows as there are now; return whether its address is another.

        Without rows it has none.
        """
        n = getattr(sizes, self.rows)
        if n == self._n:
            return False
        moved = n > self._capacity or self._n == 0
        self._n = n
        if n > self._capacity:
            self._capacity = int(n * _ROOM) + 1
            self._value = torch.zeros((self._capacity, *self.shape), dtype=self.dtype)
            self._gradient = torch.zeros_like(self._value) if self.differentiable else None
        self.value = self._value[:n]
        if self._gradient is not None:
            self.gradient = self._gradient[:n]
        return moved
