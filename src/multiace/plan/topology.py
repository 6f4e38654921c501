"""Who neighbours whom."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor

from multiace.geometry.pairs import Pairs
from multiace.plan.arrays import Sizes


class EdgeIndices(NamedTuple):
    """Indices of edges as they were given, and how often they had been written into.

    | field | |
    |---|---|
    | `tensors` | senders, receivers and, where edges come in pairs, `Pairs` |
    | `versions` | of the tensors; None where they are not counted |
    """

    tensors: tuple[Tensor, ...]
    versions: tuple[int | None, ...]

    @classmethod
    def of(cls, senders: Tensor, receivers: Tensor, pairs: Pairs | None) -> EdgeIndices:
        """Take note of the edges."""
        tensors = (senders, receivers, *(() if pairs is None else pairs))
        return cls(tensors, tuple(None if t.is_inference() else t._version for t in tensors))

    def unchanged_since(self, before: EdgeIndices) -> bool:
        """Whether these are the tensors of before, and nobody has written into them."""
        return (
            len(self.tensors) == len(before.tensors)
            and all(a is b for a, b in zip(self.tensors, before.tensors, strict=True))
            and self.versions == before.versions
            and None not in self.versions
        )


class Topology:
    """Indices that the steps of a plan look up.

    Args:
        edges: neighbour j and centre i, an owned node, of each edge; edges with opposite vectors.
        species: element of each node.
        n_owned: the first nodes, which are not ghosts.
    """

    def __init__(
        self,
        edges: EdgeIndices,
        species: Int[Tensor, " nodes"],
        n_owned: int,
    ) -> None:
        self.edges = edges
        self.senders, self.receivers, *pairs = (t.contiguous() for t in edges.tensors)
        self.species, self.n_owned = species.contiguous(), n_owned
        self.pair, self.edge_of_pair = pairs or (None, None)
        n_edges = len(self.senders)
        self.n_pairs = n_edges if self.edge_of_pair is None else len(self.edge_of_pair)
        self.sizes = Sizes(len(self.species), n_owned, n_edges, self.n_pairs)

    @property
    def ends_of_pairs(self) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """Sender and receiver of one edge of each pair."""
        if self.edge_of_pair is None:
            return self.senders, self.receivers
        return self.senders[self.edge_of_pair], self.receivers[self.edge_of_pair]
