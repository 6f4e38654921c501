"""Who neighbours whom."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from multiace.plan.arrays import Sizes


class Topology:
    """Indices that the steps of a plan look up.

    Args:
        senders: neighbour j of each edge.
        receivers: centre i of each edge, an owned node.
        species: element of each node.
        n_owned: the first nodes, which are not ghosts.
    """

    def __init__(
        self,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        n_owned: int,
    ) -> None:
        self.senders, self.receivers = senders.contiguous(), receivers.contiguous()
        self.species, self.n_owned = species.contiguous(), n_owned

    @property
    def sizes(self) -> Sizes:
        """Rows of the arrays."""
        return Sizes(len(self.species), self.n_owned, len(self.senders))
