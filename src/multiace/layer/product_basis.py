"""B_i: symmetrised products of the atomic basis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from multiace.kernels.tables import ProductTable
from multiace.o3.couplings import CouplingBasis
from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irrep, Irreps


@dataclass(frozen=True)
class ProductBasis:
    """B_{i nu eta c M} = sum_{m1..m_nu} U^{M eta}_{m1..m_nu} prod_xi A_{i c m_xi}.

    The orders nu go from 1 to `correlation`. U are generalised Clebsch-Gordan coefficients,
    symmetric in the factors. Products are taken channel by channel (tensor-decomposed), so the
    size does not depend on the elements; or, as in linear ACE, of any channels c_1 .. c_nu up to a
    total degree.

    Args:
        irreps_in: irreps of A; channel by channel, all of the same channels.
        irreps_out: irreps of the message.
        correlation: nu.
        basis: `reduced` (linearly independent) or `mace` (the chains of mace-torch).
        total_degree: which products of any channels there are; None: channel by channel.
        n_types: of the channels of A, where they are (type, n).

    Source: Batatia et al. 2025, product and symmetrised basis; Dusson et al., J. Comput. Phys.
    454, 110946 (2022).
    """

    irreps_in: Irreps
    irreps_out: Irreps
    correlation: int
    basis: CouplingBasis
    total_degree: TotalDegree | None = None
    n_types: int = 1

    @cached_property
    def table(self) -> ProductTable:
        """Couplings and layout for the kernels."""
        irreps = (self.irreps_in, self.irreps_out)
        return ProductTable(*irreps, self.correlation, self.basis, self.total_degree, self.n_types)

    @property
    def n_paths(self) -> dict[tuple[Irrep, int], int]:
        """(irrep of m, order) -> couplings eta; those without any are left out."""
        return {
            (irrep, order): n_paths
            for irrep, counts in zip(self.irreps_out.irreps, self.table.n_paths, strict=True)
            for order, n_paths in enumerate(counts, 1)
            if n_paths
        }
