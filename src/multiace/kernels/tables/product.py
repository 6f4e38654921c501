"""The table of symmetrised products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multiace.kernels.tables.encoding import Table, Words, words_of_irreps
from multiace.o3.couplings import CouplingBasis, ProductCouplings, product_couplings
from multiace.o3.irreps import Irrep, Irreps

BASES: tuple[CouplingBasis, ...] = ("reduced", "mace")
"""Coupling bases; words hold their position."""


@dataclass(frozen=True)
class ProductTable(Table):
    """Symmetrised products of up to `correlation` factors, channel by channel.

    B_{M eta} = sum_q coefficients[M, q, eta] prod_k A[monomials[q, k]].

    Weights are ordered irrep_out after irrep_out, in each by order (1, 2, ...), then path eta.

    Words are (components, rows, paths, correlation, terms, coefficients), then for each term its
    sorted components, padded with -1 to `correlation`, and 4 for each coefficient: row of the
    message, term, path, value.

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

    def _targets(self, order: int) -> np.ndarray:
        """Return row of the message and path of each row of the coefficients of an order."""
        targets, row, path = [], 0, 0
        for irrep, counts in zip(self.irreps_out.irreps, self.n_paths, strict=True):
            first = path + sum(counts[: order - 1])
            for eta in range(counts[order - 1]):
                targets += [(row + m, first + eta) for m in range(irrep.dim)]
            row += irrep.dim
            path += sum(counts)
        return np.array(targets, dtype=np.int64).reshape(-1, 2)

    def _words(self) -> np.ndarray:
        terms: list[list[int]] = []
        mixes: list[np.ndarray] = []
        for order in self._orders:
            coefficients = self.coefficients(order)
            rows, columns = np.nonzero(coefficients)
            used, first = np.unique(columns, return_index=True)
            used = used[np.argsort(first)]  # in order of first appearance
            position = np.full(coefficients.shape[1], -1)
            position[used] = len(terms) + np.arange(len(used))
            padding = [-1] * (self.correlation - order)
            terms += [[*self.monomials[order - 1][q], *padding] for q in used]
            row, path = self._targets(order)[rows].T
            values = coefficients[rows, columns].view(np.int64)
            mixes.append(np.column_stack([row, position[columns], path, values]))
        mixed = np.concatenate(mixes)
        n_components, n_rows = (
            sum(irrep.dim for irrep in irreps.irreps)
            for irreps in (self.irreps_in, self.irreps_out)
        )
        head = [n_components, n_rows, self.n_weights, self.correlation, len(terms), len(mixed)]
        tail = [*words_of_irreps(self.irreps_in), *words_of_irreps(self.irreps_out)]
        tail += [self.correlation, BASES.index(self.basis)]
        parts = (head, np.array(terms).ravel(), mixed.ravel(), tail)
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])

    @classmethod
    def _read(cls, words: Words) -> ProductTable:
        *_, correlation, n_terms, n_coefficients = words.integers(6)
        words.skip(correlation * n_terms + 4 * n_coefficients)
        irreps = (words.irreps(), words.irreps())
        return cls(*irreps, words.integer(), BASES[words.integer()])
