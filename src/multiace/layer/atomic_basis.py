"""A_i: the one-particle basis summed over neighbours."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.one_particle.basis import Edges
from multiace.one_particle.radial import RadialNetwork


class AtomicBasis(nn.Module):
    """A_{i c m} = sum_{p c'} W_{p c' c} (1/lambda) sum_{j in N(i)} phi_{p c' m}(j -> i).

    phi_{p c m}(j -> i) = R_{p c}(r_ji; z_j, z_i) sum_{m1 m2} C^p_{m1 m2 m} Y_{m1}(r_ji) h_{j c m2}.

    | symbol | here |
    |---|---|
    | h_j, mixed | `before_edges` |
    | R | `radial_network` (hidden features u and last map V) |
    | sum_j phi | `convolution` |
    | 1/lambda | `pooling_factor` |
    | W, W_z, or W_z W | `after_pooling`, applied one after the other |

    Args:
        before_edges: channel mixing of h, or None.
        radial_network: R.
        convolution: kernel.
        pooling_factor: 1 / lambda.
        after_pooling: linear maps.

    Source: Batatia et al. 2025, one-particle and atomic basis.
    """

    def __init__(
        self,
        before_edges: nn.Module | None,
        radial_network: RadialNetwork,
        convolution: nn.Module,
        pooling_factor: float,
        after_pooling: list[nn.Module],
    ) -> None:
        super().__init__()
        self.before_edges = before_edges
        self.radial_network = radial_network
        self.convolution = convolution
        self.pooling_factor = pooling_factor
        self.after_pooling = nn.ModuleList(after_pooling)

    def forward(
        self,
        h: Float[Tensor, "nodes dim_in"],
        edges: Edges,
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return A of every node."""
        if self.before_edges is not None:
            h = self.before_edges(h, species)
        u = self.radial_network(edges.radial_basis, edges.envelope)  # (edges, hidden)
        types = self.radial_network.edge_types(species, edges.senders, edges.receivers)
        a = self.convolution(
            h,
            edges.harmonics,
            u,
            self.radial_network.weights,
            types,
            edges.senders,
            edges.receivers,
        )
        a = a * self.pooling_factor  # (nodes, pooled)
        for linear in self.after_pooling:
            a = linear(a, species)
        return a
