"""What a kernel must know besides its tensors: irreps, paths and couplings, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.couplings import CouplingBasis, ProductCouplings, product_couplings
from multiace.o3.irreps import Irrep, Irreps


@dataclass(frozen=True)
class ConvolutionTable:
    """The couplings h (irrep_in) x Y (l_edge) -> A (irrep_out) of a convolution.

    Radial weights are ordered path after path, each with the channels of its irrep_in. In the
    output, each irrep holds the channels of its paths side by side, in the order of `paths`.

    Args:
        irreps_in: irreps of the neighbours' features.
        l_max: largest l of the edge harmonics.
        paths: (irrep_in, l_edge, irrep_out), sorted in the order irrep_in, irrep_out, l_edge.
        irreps_out: irreps of the sum over neighbours.
    """

    irreps_in: Irreps
    l_max: int
    paths: tuple[tuple[Irrep, int, Irrep], ...]
    irreps_out: Irreps

    @cached_property
    def channels_of_path(self) -> tuple[int, ...]:
        """Channels of each path: those of its irrep_in."""
        width = {irrep: channels for channels, irrep in self.irreps_in.entries}
        return tuple(width[irrep_in] for irrep_in, _, _ in self.paths)

    @property
    def n_weights(self) -> int:
        """Radial functions an edge needs."""
        return sum(self.channels_of_path)

    def paths_from(self, irrep: Irrep) -> tuple[int, ...]:
        """Positions of the paths that read an irrep; they follow one another."""
        return tuple(p for p, path in enumerate(self.paths) if path[0] == irrep)

    def paths_to(self, irrep: Irrep) -> tuple[int, ...]:
        """Positions of the paths that end in an irrep, in the order of its channels."""
        return tuple(p for p, path in enumerate(self.paths) if path[2] == irrep)

    def coupling_from(self, irrep: Irrep) -> np.ndarray:
        """Clebsch-Gordan coefficients of all paths from an irrep.

        Returns:
            (lm, rows, 2 l_in + 1): harmonics component, components of the paths' outputs one
            path after the other, component of the feature.
        """
        n_harmonics = (self.l_max + 1) ** 2
        blocks = [np.empty((n_harmonics, 0, irrep.dim))]
        for p in self.paths_from(irrep):
            _, l_edge, out = self.paths[p]
            block = np.zeros((n_harmonics, out.dim, irrep.dim))
            cg = clebsch_gordan(irrep.l, l_edge, out.l)  # (m_in, m_edge, m_out)
            block[l_edge**2 : (l_edge + 1) ** 2] = cg.transpose(1, 2, 0)
            blocks.append(block)
        return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class ProductTable:
    """Symmetrised products of up to `correlation` factors, channel by channel.

    B_{M eta} = sum_q coefficients[M, q, eta] prod_k A[monomials[q, k]].

    Weights are ordered irrep_out after irrep_out, in each by order (1, 2, ...), then path eta.

    Args:
        irreps_in: irreps of A, all of the same channels.
        irreps_out: irreps of the message, of the same channels.
        correlation: largest number of factors.
        basis: `reduced` or `mace`, see `multiace.o3.couplings`.
    """

    irreps_in: Irreps
    irreps_out: Irreps
    correlation: int
    basis: CouplingBasis

    @cached_property
    def n_paths(self) -> tuple[tuple[int, ...], ...]:
        """Paths of each irrep_out (rows) and order (columns)."""
        return tuple(
            tuple(self._couplings(irrep, order).coefficients.shape[2] for order in self._orders)
            for irrep in self.irreps_out.irreps
        )

    @property
    def n_weights(self) -> int:
        """Weights of one channel."""
        return sum(map(sum, self.n_paths))

    @property
    def _orders(self) -> range:
        return range(1, self.correlation + 1)

    def _couplings(self, irrep: Irrep, order: int) -> ProductCouplings:
        return product_couplings(self.irreps_in.irreps, irrep, order, self.basis)

    @cached_property
    def monomials(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """For each order, the sorted component indices of every product that is needed.

        Those are the products that occur, and the beginnings of longer ones, from which these are
        formed by one more factor.
        """
        needed: list[set[tuple[int, ...]]] = []
        for order in reversed(self._orders):
            rows = {
                tuple(int(component) for component in row)
                for irrep in self.irreps_out.irreps
                for row in self._couplings(irrep, order).monomials
            }
            needed.append(rows | {row[:-1] for row in needed[-1]} if needed else rows)
        return tuple(tuple(sorted(rows)) for rows in reversed(needed))

    def coefficients(self, order: int) -> np.ndarray:
        """Coefficients of the products of one order.

        Returns:
            (rows, monomials): a row for each (irrep_out, eta, M), in this order.
        """
        position = {factors: q for q, factors in enumerate(self.monomials[order - 1])}
        blocks = []
        for irrep in self.irreps_out.irreps:
            couplings = self._couplings(irrep, order)
            n_paths = couplings.coefficients.shape[2]
            block = np.zeros((n_paths, irrep.dim, len(position)))
            columns = [position[tuple(map(int, row))] for row in couplings.monomials]
            block[:, :, columns] = couplings.coefficients.transpose(2, 0, 1)
            blocks.append(block.reshape(n_paths * irrep.dim, len(position)))
        return np.concatenate(blocks)


def split_sizes(irreps: Irreps) -> list[int]:
    """Lengths of the entries of irreps in the flat layout."""
    return [channels * irrep.dim for channels, irrep in irreps.entries]
