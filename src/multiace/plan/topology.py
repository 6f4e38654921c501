"""Who neighbours whom."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from multiace.geometry.pairs import Pairs
from multiace.plan.arrays import Sizes


class Topology:
    """Indices that the steps of a plan look up.

    Args:
        senders: neighbour j of each edge.
        receivers: centre i of each edge, an owned node.
        species: element of each node.
        n_owned: the first nodes, which are not ghosts.
        pairs: edges with opposite vectors, or None: every edge is a pair of its own.
    """

    def __init__(
        self,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        n_owned: int,
        pairs: Pairs | None = None,
    ) -> None:
        self.senders, self.receivers = senders.contiguous(), receivers.contiguous()
        self.species, self.n_owned = species.contiguous(), n_owned
        self.pair = None if pairs is None else pairs.of_edge.contiguous()
        self.edge_of_pair = None if pairs is None else pairs.edge.contiguous()
        n_edges = len(self.senders)
        self.n_pairs = n_edges if self.edge_of_pair is None else len(self.edge_of_pair)
        self.sizes = Sizes(len(self.species), n_owned, n_edges, self.n_pairs)

    @property
    def ends_of_pairs(self) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """Sender and receiver of one edge of each pair."""
        if self.edge_of_pair is None:
            return self.senders, self.receivers
        return self.senders[self.edge_of_pair], self.receivers[self.edge_of_pair]
