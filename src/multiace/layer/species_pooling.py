"""The sum over neighbours whose features are known from their elements."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.dispatch import Kernels
from multiace.kernels.tables import ConvolutionTable, DensityTable, LinearTable
from multiace.o3.irreps import Irrep, Irreps
from multiace.one_particle.basis import Edges


class SpeciesPooling(nn.Module):
    """sum_j R_{lc} Y_{lm} h_{z_j c} = sum_{z k} rho_{i z k lm} V^{z z_i}_{k l c} h_{z c}.

    In the first layer the features of a neighbour are scalars of its element z_j, so the sum over
    neighbours can be taken before the radial map R = u V: of the density rho alone, which is the
    atomic base of linear ACE. The map then is applied once an atom, not once an edge.

    | symbol | here |
    |---|---|
    | rho_{i z k lm} = sum_{j: z_j = z} u_k Y_lm | `density` |
    | V^{z z_i}_{k l c} h_{z c} | `matrices` |

    Args:
        kernels: implementation.
        table: couplings of the convolution that this replaces; its input is scalars.
        n_elements: chemical elements of the model.
        n_hidden: hidden features u.
        species: what V depends on: none, sender, receiver or pair.

    Source: Drautz, Phys. Rev. B 99, 014104 (2019), eq. 14 (the density); Batatia et al. 2025.
    """

    def __init__(
        self,
        kernels: Kernels,
        table: ConvolutionTable,
        n_elements: int,
        n_hidden: int,
        species: str,
    ) -> None:
        super().__init__()
        self.table, self.n_elements, self.species = table, n_elements, species
        of_density = DensityTable.full(table.l_max, n_elements, n_hidden)
        self.density = kernels.neighbour_density(of_density)
        every_l = [Irrep.natural(l) for l in range(table.l_max + 1)]
        self.irreps_in = Irreps.of(n_elements * n_hidden, every_l)
        self.map = kernels.linear(LinearTable(self.irreps_in, table.irreps_out))
        self.per_element = species in ("receiver", "pair")

    def forward(
        self,
        of_element: Float[Tensor, "elements channels"],
        edges: Edges,
        hidden: Float[Tensor, "pairs hidden"],
        weights: Float[Tensor, "types hidden n_weights"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return the sums over neighbours, laid out as those of the convolution.

        Args:
            of_element: h_z.
            edges: edges.
            hidden: u.
            weights: V.
            species: element of each node.
        """
        elements = species[edges.senders]
        ends = (elements, edges.receivers)
        rho = self.density(edges.harmonics, hidden, *ends, species.shape[0], edges.pair)
        matrices = self.matrices(of_element, weights)
        return self.map(rho, matrices, species if self.per_element else None)

    def matrices(
        self,
        of_element: Float[Tensor, "elements channels"],
        weights: Float[Tensor, "types hidden n_weights"],
    ) -> dict[str, Tensor]:
        """Return irrep -> V h of all (z, k), for each z_i if V depends on it."""
        n = len(of_element)
        if self.species == "pair":
            weights = weights.unflatten(0, (n, n)).transpose(0, 1)  # (z_i, z_j, k, w)
        elif self.species == "receiver":
            weights = weights.unsqueeze(1)
        # every path has the channels of h: one product for all
        by_path = weights.unflatten(-1, (len(self.table.paths), -1))  # (.., z or 1, k, paths, c)
        matrices = (by_path * of_element[:, None, None]).flatten(-4, -3)  # (.., z k, paths, c)
        outs = (str(out) for _, _, out in self.table.paths)
        return dict(zip(outs, matrices.unbind(-2), strict=True))


def pools_by_species(table: ConvolutionTable, n_elements: int, mean_neighbours: float) -> bool:
    """Return whether the density has fewer entries than the radial functions it replaces.

    Per atom these are elements x (l_max + 1)^2 rows to map, instead of (l_max + 1) for each edge.
    """
    scalars_in = table.irreps_in.irreps == (Irrep(0, 1),)
    return scalars_in and n_elements * (table.l_max + 1) <= mean_neighbours
