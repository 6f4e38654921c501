"""Products of different channels: which there are up to a total degree, and their couplings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import floor
from typing import NamedTuple

from multiace.o3.couplings import SymmetricCouplings, count_symmetric, symmetric_couplings
from multiace.o3.irreps import Irrep


class Factor(NamedTuple):
    """One channel of A: position of its irrep, its type and n, from 1."""

    irrep: int
    type: int
    n: int


@dataclass(frozen=True)
class TotalDegree:
    """Which products of channels are taken: those with sum_i (n_i + w l_i) <= D_k.

    The channels of an irrep are numbered n = 1, 2, .. within each type (the element of the
    neighbour in linear ACE).

    Args:
        of_order: D_k of the products of k = 1, 2, .. factors.
        l_weight: w.

    Example:
        >>> channels = [(20, Irrep.natural(l)) for l in range(7)]
        >>> TotalDegree((20.0, 16.0, 12.0), 1.5).count(channels, 1, Irrep.natural(0))
        (20, 147, 132)
    """

    of_order: tuple[float, ...]
    l_weight: float

    def widths(self, irreps: Sequence[Irrep], targets: Sequence[Irrep]) -> tuple[int, ...]:
        """Return the largest n of each irrep in any product that couples to a target."""
        found = [0] * len(irreps)
        for order in range(1, len(self.of_order) + 1):
            for factors in combinations_with_replacement(range(len(irreps)), order):
                room = self._room(irreps, factors) - (order - 1)
                if room < 1 or not any(_may_couple(irreps, factors, target) for target in targets):
                    continue
                for k in factors:
                    found[k] = max(found[k], room)
        return tuple(found)

    def count(
        self,
        channels: Sequence[tuple[int, Irrep]],
        n_types: int,
        irrep_out: Irrep,
    ) -> tuple[int, ...]:
        """Count the functions of each order without listing them.

        Args:
            channels: largest n of each irrep of A, and the irrep.
            n_types: types of channels.
            irrep_out: irrep of the functions.
        """
        return tuple(
            sum(n * count_symmetric(*couplings) for couplings, n in patterns.items())
            for patterns in self.patterns(channels, n_types, irrep_out)
        )

    def patterns(
        self, channels: Sequence[tuple[int, Irrep]], n_types: int, irrep_out: Irrep
    ) -> list[Counter[tuple[tuple[Irrep, ...], tuple[int, ...], Irrep]]]:
        """Count the products of each order by what their couplings depend on.

        Returns:
            For each order: (irreps of the different factors, position of each factor among them,
            irrep_out) -> number of products.
        """
        irreps = [irrep for _, irrep in channels]
        result = []
        for order in range(1, len(self.of_order) + 1):
            counts: Counter[tuple[tuple[Irrep, ...], tuple[int, ...], Irrep]] = Counter()
            for factors in combinations_with_replacement(range(len(irreps)), order):
                room = self._room(irreps, factors)
                if room < order or not _may_couple(irreps, factors, irrep_out):
                    continue
                groups = Counter(factors)
                for repeats in product(*(_partitions(size) for size in groups.values())):
                    sums = [
                        _choices(channels[k][0], n_types, of_group, room)
                        for k, of_group in zip(groups, repeats, strict=True)
                    ]
                    n = sum(_convolved(sums, room))
                    if n == 0:
                        continue
                    different = [
                        (irreps[k], times)
                        for k, of_group in zip(groups, repeats, strict=True)
                        for times in of_group
                    ]
                    positions = [k for k, (_, times) in enumerate(different) for _ in range(times)]
                    pattern = (tuple(irrep for irrep, _ in different), tuple(positions), irrep_out)
                    counts[pattern] += n
            result.append(counts)
        return result

    def products(
        self, channels: Sequence[tuple[int, Irrep]], n_types: int, irrep_out: Irrep, order: int
    ) -> Iterator[tuple[tuple[Factor, ...], SymmetricCouplings]]:
        """List the products of one order with their couplings, in lexicographic order of factors.

        Args:
            channels: largest n of each irrep of A, and the irrep.
            n_types: types of channels.
            irrep_out: irrep of the functions.
            order: number of factors.
        """
        irreps = [irrep for _, irrep in channels]
        for positions in combinations_with_replacement(range(len(irreps)), order):
            room = self._room(irreps, positions)
            if room < order or not _may_couple(irreps, positions, irrep_out):
                continue
            for factors in _ascending(positions, channels, n_types, room):
                different = sorted(set(factors))
                multiset = tuple(different.index(factor) for factor in factors)
                of_different = tuple(irreps[factor.irrep] for factor in different)
                if count_symmetric(of_different, multiset, irrep_out):
                    yield factors, symmetric_couplings(of_different, multiset, irrep_out)

    def _room(self, irreps: Sequence[Irrep], factors: Sequence[int]) -> int:
        """Return the largest sum of n of factors of these irreps."""
        degree = self.of_order[len(factors) - 1]
        return floor(degree - self.l_weight * sum(irreps[k].l for k in factors) + 1e-9)


def _may_couple(irreps: Sequence[Irrep], factors: Sequence[int], target: Irrep) -> bool:
    """Return whether different channels of these irreps couple to the target."""
    return (
        count_symmetric(tuple(irreps[k] for k in factors), tuple(range(len(factors))), target) > 0
    )


def _ascending(
    positions: Sequence[int], channels: Sequence[tuple[int, Irrep]], n_types: int, room: int
) -> Iterator[tuple[Factor, ...]]:
    """Give the ascending factors of these irreps whose n sum to `room` or less."""
    if not positions:
        yield ()
        return
    *before, last = positions
    for factors in _ascending(before, channels, n_types, room - 1):
        left = room - sum(factor.n for factor in factors)
        least = factors[-1] if factors else Factor(0, 0, 0)
        for of_type in range(n_types):
            for n in range(1, min(left, channels[last][0]) + 1):
                if Factor(last, of_type, n) >= least:
                    yield (*factors, Factor(last, of_type, n))


def _partitions(size: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Give the ways in which `size` equal irreps are repeats of different channels."""
    if size == 0:
        yield ()
        return
    for times in range(min(size, largest or size), 0, -1):
        for rest in _partitions(size - times, times):
            yield (times, *rest)


def _choices(n_max: int, n_types: int, repeats: tuple[int, ...], room: int) -> list[int]:
    """Return how many choices of different channels for the repeats have each sum of n."""
    states: Counter[tuple[tuple[int, ...], int]] = Counter({(repeats, 0): 1})
    for n in range(1, min(n_max, room) + 1):
        for _ in range(n_types):
            after = Counter(states)
            for (left, total), ways in states.items():
                for times in set(left):
                    if total + times * n <= room:
                        rest = list(left)
                        rest.remove(times)
                        after[tuple(rest), total + times * n] += ways
            states = after
    return [states[(), total] for total in range(room + 1)]


def _convolved(sums: Sequence[list[int]], room: int) -> list[int]:
    """Return how many choices of all groups have each sum of n, up to `room`."""
    result = [1] + [0] * room
    for of_group in sums:
        result = [
            sum(result[total - n] * of_group[n] for n in range(total + 1))
            for total in range(room + 1)
        ]
    return result
