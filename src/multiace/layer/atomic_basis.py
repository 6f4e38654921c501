"""A_i: the one-particle basis summed over neighbours."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.initialisation import Initialisation
from multiace.kernels.operations.convolution import Convolution
from multiace.kernels.operations.neighbour_density import NeighbourDensity
from multiace.kernels.segment_sum import segment_sum
from multiace.layer.species_pooling import SpeciesPooling
from multiace.one_particle.basis import Edges
from multiace.one_particle.radial import RadialNetwork
from multiace.one_particle.radial_grid import GridEdges


class Density(nn.Module):
    """lambda_i = 1 + rho_i, rho_i = sum_{j in N(i)} tanh((sum_n w_n e_n(r_ji))^2).

    A smooth count of neighbours that is learned: crowded and lonely atoms get sums of like size.

    Args:
        number: radial basis functions.
        initial: initial weights w.
    """

    def __init__(self, number: int, initial: Initialisation) -> None:
        super().__init__()
        self.weights, self.factor = initial.linear("weights", (number,), number)

    def forward(self, edges: Edges, n_nodes: int) -> Float[Tensor, "nodes 1"]:
        """Return lambda of every node, 1 where there are no neighbours."""
        q = edges.radial_basis @ (self.weights * self.factor)
        of_edge = torch.tanh(q.square())
        if edges.envelope is not None:
            of_edge = of_edge * edges.envelope
        of_edge = of_edge if edges.pair is None else of_edge[edges.pair]
        return (1.0 + segment_sum(of_edge, edges.receivers, n_nodes)).unsqueeze(1)


class AtomicBasis(nn.Module):
    """A_{i c m} = sum_{p c'} W_{p c' c} (1/lambda) sum_{j in N(i)} phi_{p c' m}(j -> i).

    phi_{p c m}(j -> i) = R_{p c}(r_ji; z_j, z_i) sum_{m1 m2} C^p_{m1 m2 m} Y_{m1}(r_ji) h_{j c m2}.

    | symbol | here |
    |---|---|
    | h_j, mixed | `before_edges` |
    | R | `radial_network` (hidden features u and last map V) |
    | sum_j phi | `convolution`, or `species_pooling` where h_j is known from z_j; or the \
      densities of each element, A_{i z k lm} = sum_{j: z_j = z} u_k Y_lm, of `neighbour_density` |
    | 1/lambda | `pooling_factor`, or 1 / `density` of each atom |
    | W, W_z, or W_z W | `after_pooling`, applied one after the other |

    Args:
        before_edges: channel mixing of h, or None.
        radial_network: R.
        convolution: kernel of the sum, or None for densities.
        pooling_factor: 1 / lambda.
        after_pooling: linear maps.
        density: lambda_i of each atom, beside the factor, or None.
        species_pooling: the first layer's sum over neighbours, where it is cheaper, or None.
        neighbour_density: kernel where R has no last map: every u_k is a channel, or None.

    Source: Batatia et al. 2025, one-particle and atomic basis.
    """

    def __init__(
        self,
        before_edges: nn.Module | None,
        radial_network: RadialNetwork,
        convolution: Convolution | None,
        pooling_factor: float,
        after_pooling: list[nn.Module],
        density: Density | None = None,
        species_pooling: SpeciesPooling | None = None,
        neighbour_density: NeighbourDensity | None = None,
    ) -> None:
        super().__init__()
        self.before_edges = before_edges
        self.radial_network = radial_network
        self.convolution = convolution
        self.pooling_factor, self.density = pooling_factor, density
        self.after_pooling = nn.ModuleList(after_pooling)
        self.species_pooling = species_pooling
        self.neighbour_density = neighbour_density

    def forward(
        self,
        h: Float[Tensor, "nodes dim_in"],
        edges: Edges,
        species: Int[Tensor, " nodes"],
        of_element: Float[Tensor, "elements dim_in"] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return A of every node.

        Args:
            h: features.
            edges: edges.
            species: element of each node.
            of_element: features of each element, in the first layer, where h has no others.
        """
        if self.neighbour_density is not None:
            a = self.densities(self.neighbour_density, edges, species)
        elif edges.on_grid is not None:
            a = self.convolve_on_grid(self.mix(h, species), edges, edges.on_grid, species)
        else:
            u = self.radial_network(edges.radial_basis, edges.envelope)  # (pairs, hidden)
            if self.species_pooling is not None and of_element is not None:
                h_z = self.mix(of_element, torch.arange(len(of_element), device=species.device))
                a = self.species_pooling(h_z, edges, u, self.radial_weights, species)
            else:
                a = self.convolve(self.mix(h, species), edges, u, species)
        if self.density is not None:
            a = a / self.density(edges, a.shape[0])
        for linear in self.after_pooling:
            a = linear(a, species)
        return a

    @property
    def sums_densities(self) -> bool:
        """Whether the sum over neighbours is of u Y, by element, and not of R Y h."""
        return self.species_pooling is not None or self.neighbour_density is not None

    @property
    def radial_weights(self) -> Float[Tensor, "types hidden n_weights"]:
        """V / lambda: one product with the weights saves one with every atom."""
        network = self.radial_network
        return network.last * (network.last_factor * self.pooling_factor)

    def mix(
        self, h: Float[Tensor, "rows dim_in"], species: Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows dim_mixed"]:
        """Mix the channels of h before the edges."""
        return h if self.before_edges is None else self.before_edges(h, species)

    def densities(
        self, kernel: NeighbourDensity, edges: Edges, species: Int[Tensor, " nodes"]
    ) -> Float[Tensor, "nodes dim_pooled"]:
        """Return (1/lambda) sum_{j: z_j = z} u_k Y_lm, channels (z, k)."""
        network, grid = self.radial_network, edges.on_grid
        if grid is None:
            u = network(edges.radial_basis, edges.envelope)
        else:  # u = sum_q B_q c_{k+q}
            coefficients = grid.solve @ network(grid.radial_basis, grid.envelope)
            rows = grid.first.unsqueeze(1) + torch.arange(grid.weights.shape[1]).to(grid.first)
            u = (grid.weights.unsqueeze(2) * coefficients[rows]).sum(dim=1)
        ends = (species[edges.senders], edges.receivers)
        rho = kernel(edges.harmonics, u, *ends, species.shape[0], edges.pair)
        return rho if self.pooling_factor == 1.0 else rho * self.pooling_factor

    def convolve(
        self,
        h: Float[Tensor, "nodes dim_mixed"],
        edges: Edges,
        u: Float[Tensor, "pairs hidden"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim_pooled"]:
        """Return (1/lambda) sum_j phi(j -> i)."""
        types = self.radial_network.edge_types(species, edges.senders, edges.receivers)
        ends = (edges.senders, edges.receivers)
        weights = self.radial_weights
        assert self.convolution is not None
        return self.convolution(h, edges.harmonics, u, weights, types, *ends, edges.pair)

    def convolve_on_grid(
        self,
        h: Float[Tensor, "nodes dim_mixed"],
        edges: Edges,
        grid: GridEdges,
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim_pooled"]:
        """Return `convolve` with R = sum_q B_q c_{k+q}: B are the features u, k the edge's type."""
        u = grid.solve @ self.radial_network(grid.radial_basis, grid.envelope)
        coefficients = u @ self.radial_weights  # (types, rows, n_weights)
        types = self.radial_network.edge_types(species, edges.senders, edges.receivers)
        first = grid.first if edges.pair is None else grid.first[edges.pair]
        first = first if types is None else types * u.shape[0] + first
        ends = (edges.senders, edges.receivers)
        rows = coefficients.flatten(0, 1)
        assert self.convolution is not None
        return self.convolution(h, edges.harmonics, grid.weights, rows, first, *ends, edges.pair)
