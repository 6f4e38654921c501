"""The table of symmetrised products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from multiace.kernels.tables.encoding import Table, Words, bits, words_of_irreps
from multiace.o3.couplings import CouplingBasis, ProductCouplings, product_couplings
from multiace.o3.full import Factor, TotalDegree
from multiace.o3.irreps import Irrep, Irreps

BASES: tuple[CouplingBasis, ...] = ("reduced", "mace")
"""Coupling bases; words hold their position, and the one after it for full coupling."""


class Coefficients(NamedTuple):
    """The sparse coefficients of the products of one order.

    Args:
        row: row of the message.
        monomial: position of the product among those of the order.
        path: position of its weight.
        value: the coefficient.
    """

    row: np.ndarray
    monomial: np.ndarray
    path: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class ProductTable(Table):
    """Symmetrised products of up to `correlation` factors.

    B_{M eta} = sum_q coefficients[M, q, eta] prod_k A[monomials[q, k]].

    Products are taken channel by channel, or of any channels up to a total degree. Weights are
    ordered irrep_out after irrep_out, in each by order (1, 2, ...), then path eta, with a total
    degree then channel of the message.

    Words are (components, rows, paths, correlation, terms, coefficients), then for each term its
    sorted components, padded with -1 to `correlation`, and 4 for each coefficient: row of the
    message, term, path, value. With a total degree the row of A is one channel of many components.

    Args:
        irreps_in: irreps of A; channel by channel, all of the same channels.
        irreps_out: irreps of the message; channel by channel, of the channels of A.
        correlation: largest number of factors.
        basis: `reduced` or `mace`, see `multiace.o3.couplings`; `reduced` with a total degree.
        total_degree: which products of any channels there are; None: channel by channel.
        n_types: with a total degree, the channels of A are (type, n).
    """

    irreps_in: Irreps
    irreps_out: Irreps
    correlation: int
    basis: CouplingBasis = "reduced"
    total_degree: TotalDegree | None = None
    n_types: int = 1

    @property
    def lanes(self) -> int:
        """Channels that do not mix: those of A, or one."""
        return self.irreps_in.channels[0] if self.total_degree is None else 1

    @cached_property
    def n_paths(self) -> tuple[tuple[int, ...], ...]:
        """Paths of each irrep_out (rows) and order (columns)."""
        return tuple(
            tuple(self._n_paths(irrep, order) for order in self._orders)
            for irrep in self.irreps_out.irreps
        )

    @property
    def n_weights(self) -> int:
        """Weights of one channel, or with a total degree of all."""
        widths = (
            self.irreps_out.channels if self.total_degree is not None else (1,) * len(self.n_paths)
        )
        return sum(n * sum(counts) for n, counts in zip(widths, self.n_paths, strict=True))

    @property
    def _orders(self) -> range:
        return range(1, self.correlation + 1)

    def _n_paths(self, irrep: Irrep, order: int) -> int:
        if self.total_degree is None:
            return self._couplings(irrep, order).n_paths
        return len(self.functions(irrep, order))

    def _couplings(self, irrep: Irrep, order: int) -> ProductCouplings:
        return product_couplings(self.irreps_in.irreps, irrep, order, self.basis)

    def functions(self, irrep: Irrep, order: int) -> list[tuple[tuple[Factor, ...], int]]:
        """Return the factors and the number of its coupling for each path of a full coupling."""
        assert self.total_degree is not None
        products = self.total_degree.products(
            self.irreps_in.numbered(self.n_types), self.n_types, irrep, order
        )
        return [(f, eta) for f, c in products for eta in range(c.coefficients.shape[2])]

    def paths_within(self, types: Sequence[int]) -> tuple[ProductTable, list[int]]:
        """Return the table of some types only, and which weights of this one it has."""
        channels = [(n * len(types), irrep) for n, irrep in self.irreps_in.numbered(self.n_types)]
        kept, path = [], 0
        for (width, irrep), counts in zip(self.irreps_out.entries, self.n_paths, strict=True):
            for order, n_paths in enumerate(counts, 1):
                for n, (factors, _) in enumerate(self.functions(irrep, order)):
                    if all(factor.type in types for factor in factors):
                        kept += range(path + n * width, path + (n + 1) * width)
                path += n_paths * width
        return replace(self, irreps_in=Irreps(tuple(channels)), n_types=len(types)), kept

    @cached_property
    def monomials(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """For each order, the sorted component indices of every product that is needed.

        Those are the products that occur, and the beginnings of longer ones, from which these are
        formed by one more factor.
        """
        needed: list[set[tuple[int, ...]]] = []
        for order in reversed(self._orders):
            rows = self._occurring(order)
            needed.append(rows | {row[:-1] for row in needed[-1]} if needed else rows)
        return tuple(tuple(sorted(rows)) for rows in reversed(needed))

    def _occurring(self, order: int) -> set[tuple[int, ...]]:
        if self.total_degree is not None:
            return {row for *_, row, _ in self._entries[order - 1]}
        return {
            tuple(int(component) for component in row)
            for irrep in self.irreps_out.irreps
            for row in self._couplings(irrep, order).monomials
        }

    @cached_property
    def _entries(self) -> list[list[tuple[int, int, tuple[int, ...], float]]]:
        """Row of the message, path, components and coefficient of each order, fully coupled."""
        assert self.total_degree is not None
        starts = [s.start for s in self.irreps_in.slices]
        found: list[list[tuple[int, int, tuple[int, ...], float]]] = [[] for _ in self._orders]
        path = 0
        for (width, irrep), to in zip(self.irreps_out.entries, self.irreps_out.slices, strict=True):
            for order in self._orders:
                for factors, c in self.total_degree.products(
                    self.irreps_in.numbered(self.n_types), self.n_types, irrep, order
                ):
                    components = self._components(sorted(set(factors)), starts)
                    for m, q, eta in zip(*np.nonzero(c.coefficients), strict=True):
                        monomial = tuple(sorted(components[k] for k in c.monomials[q].tolist()))
                        for channel in range(width):
                            row = to.start + int(m) * width + channel
                            weight = path + int(eta) * width + channel
                            entry = (row, weight, monomial, float(c.coefficients[m, q, eta]))
                            found[order - 1].append(entry)
                    path += c.coefficients.shape[2] * width
        return found

    def _components(self, factors: Sequence[Factor], starts: Sequence[int]) -> list[int]:
        """Return where the components of different channels are in a row of A."""
        found = []
        for irrep, of_type, n in factors:
            width, kind = self.irreps_in.entries[irrep]
            channel = of_type * (width // self.n_types) + n - 1
            found += [starts[irrep] + m * width + channel for m in range(kind.dim)]
        return found

    def coefficients(self, order: int) -> np.ndarray:
        """Coefficients of the products of one order, channel by channel.

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

    def sparse_coefficients(self, order: int) -> Coefficients:
        """Return the coefficients of the products of one order that are not zero."""
        if self.total_degree is None:
            coefficients = self.coefficients(order)
            rows, columns = np.nonzero(coefficients)
            row, path = self._targets(order)[rows].T
            return Coefficients(row, columns, path, coefficients[rows, columns])
        position = {factors: q for q, factors in enumerate(self.monomials[order - 1])}
        entries = [(row, position[q], path, x) for row, path, q, x in self._entries[order - 1]]
        row, monomial, path, value = zip(*entries, strict=True) if entries else ((),) * 4
        row, monomial, path = (np.array(x, dtype=np.int64) for x in (row, monomial, path))
        return Coefficients(row, monomial, path, np.array(value, dtype=np.float64))

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
            row, columns, path, values = self.sparse_coefficients(order)
            used, first = np.unique(columns, return_index=True)
            used = used[np.argsort(first)]  # in order of first appearance
            position = np.full(len(self.monomials[order - 1]), -1)
            position[used] = len(terms) + np.arange(len(used))
            padding = [-1] * (self.correlation - order)
            terms += [[*self.monomials[order - 1][q], *padding] for q in used]
            mixes.append(np.column_stack([row, position[columns], path, values.view(np.int64)]))
        mixed = np.concatenate(mixes)
        n_components, n_rows = self.irreps_in.dim, self.irreps_out.dim
        if self.total_degree is None:
            n_components, n_rows = n_components // self.lanes, n_rows // self.lanes
        head = [n_components, n_rows, self.n_weights, self.correlation, len(terms), len(mixed)]
        tail = [*words_of_irreps(self.irreps_in), *words_of_irreps(self.irreps_out)]
        tail.append(self.correlation)
        if self.total_degree is None:
            tail.append(BASES.index(self.basis))
        else:
            numbers = bits(self.total_degree.l_weight, *self.total_degree.of_order)
            tail += [len(BASES), self.n_types, len(self.total_degree.of_order), *numbers]
        parts = (head, np.array(terms).ravel(), mixed.ravel(), tail)
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])

    @classmethod
    def _read(cls, words: Words) -> ProductTable:
        *_, correlation, n_terms, n_coefficients = words.integers(6)
        words.skip(correlation * n_terms + 4 * n_coefficients)
        shape = (words.irreps(), words.irreps(), words.integer())
        basis = words.integer()
        if basis < len(BASES):
            return cls(*shape, BASES[basis])
        n_types, n_orders = words.integers(2)
        l_weight, *of_order = words.numbers(1 + n_orders)
        return cls(*shape, total_degree=TotalDegree(tuple(of_order), l_weight), n_types=n_types)
