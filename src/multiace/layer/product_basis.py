"""B_i: symmetrised products of the atomic basis."""

from __future__ import annotations

from dataclasses import dataclass

from multiace.kernels.tables import ProductTable
from multiace.o3.couplings import CouplingBasis
from multiace.o3.irreps import Irrep, Irreps


@dataclass(frozen=True)
class ProductBasis:
    """B_{i nu eta c M} = sum_{m1..m_nu} U^{M eta}_{m1..m_nu} prod_xi A_{i c m_xi}.

    The orders nu go from 1 to `correlation`. U are generalised Clebsch-Gordan coefficients,
    symmetric in the factors; products are taken channel by channel (tensor-decomposed), so the
    size does not depend on the elements.

    Args:
        irreps_in: irreps of A, all of the same channels.
        irreps_out: irreps of the message.
        correlation: nu.
        basis: `reduced` (linearly independent) or `mace` (the chains of mace-torch).

    Source: Batatia et al. 2025, product and symmetrised basis; Dusson et al., J. Comput. Phys.
    454, 110946 (2022).
    """

    irreps_in: Irreps
    irreps_out: Irreps
    correlation: int
    basis: CouplingBasis

    @property
    def table(self) -> ProductTable:
        """Couplings and layout for the kernels."""
        return ProductTable(self.irreps_in, self.irreps_out, self.correlation, self.basis)

    @property
    def channels(self) -> int:
        """Channels of A, B and m."""
        return self.irreps_in.channels[0]

    @property
    def n_paths(self) -> dict[tuple[Irrep, int], int]:
        """(irrep of m, order) -> couplings eta; those without any are left out."""
        return {
            (irrep, order): n_paths
            for irrep, counts in zip(self.irreps_out.irreps, self.table.n_paths, strict=True)
            for order, n_paths in enumerate(counts, 1)
            if n_paths
        }
