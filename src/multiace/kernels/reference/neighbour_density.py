"""The density of neighbours of each element."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.segment_sum import segment_sum


class NeighbourDensity(nn.Module):
    """rho_{i z k lm} = sum_{j in N(i), z_j = z} u_k(j -> i) Y_lm(j -> i).

    The atomic base of linear ACE. Rows are flat, lm after lm, each (elements, hidden): channels of
    every l are the pairs (z, k).

    Args:
        n_elements: chemical elements of the model.
    """

    def __init__(self, n_elements: int) -> None:
        super().__init__()
        self.n_elements = n_elements

    def forward(
        self,
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "pairs hidden"],
        elements: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        n_nodes: int,
        pairs: Int[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, "nodes dim"]:
        """Sum over neighbours.

        Args:
            harmonics: Y.
            hidden: u.
            elements: z_j of each edge.
            receivers: i of each edge.
            n_nodes: number of nodes.
            pairs: row of u that each edge takes, or None: its own.
        """
        hidden = hidden if pairs is None else hidden[pairs]
        products = harmonics.unsqueeze(2) * hidden.unsqueeze(1)  # (edges, lm, hidden)
        of_elements = segment_sum(
            products, receivers * self.n_elements + elements, n_nodes * self.n_elements
        )
        shape = (n_nodes, self.n_elements, harmonics.shape[1], hidden.shape[1])
        return of_elements.view(shape).transpose(1, 2).flatten(1)
