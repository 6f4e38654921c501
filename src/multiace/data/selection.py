"""Structures of several files in one order, in memory or left on the disk until they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import overload

import numpy as np
from jaxtyping import Int64

from multiace.data.columns import Columns
from multiace.data.edge_counts import EdgeCounts, count_edges
from multiace.data.store.store import Store
from multiace.geometry import Structure


class Selection(Sequence[Structure]):
    """Structures by reference: of lists in memory and of stores on the disk.

    Choosing some of them copies no structure. One that lies in a store is read when it is asked
    for and forgotten afterwards, so that memory does not grow with the number of atoms.

    Example:
        >>> atoms = [Structure(np.array([z]), np.zeros((1, 3))) for z in (1, 6, 8)]
        >>> chosen = Selection.of(atoms).take([2, 0])
        >>> [int(structure.numbers[0]) for structure in chosen]
        [8, 1]
    """

    def __init__(
        self,
        parts: tuple[Sequence[Structure], ...],
        part: Int64[np.ndarray, " structures"],
        position: Int64[np.ndarray, " structures"],
        columns: Columns,
    ) -> None:
        self._parts, self._part, self._position = parts, part, position
        self.columns = columns
        self._edges: dict[float, EdgeCounts] = {}

    @classmethod
    def of(cls, *sets: Sequence[Structure]) -> Selection:
        """Return all structures of sets, one set after the other."""
        if len(sets) == 1 and isinstance(sets[0], Selection):
            return sets[0]
        parts: list[Sequence[Structure]] = []
        numbers, positions, columns = [], [], []
        for members in sets:
            if isinstance(members, Selection):
                numbers.append(members._part + len(parts))
                positions.append(members._position)
                columns.append(members.columns)
                parts += members._parts
            else:
                numbers.append(np.full(len(members), len(parts), dtype=np.int64))
                positions.append(np.arange(len(members), dtype=np.int64))
                known = isinstance(members, Store)
                columns.append(members.columns if known else Columns.of(members))
                parts.append(members)
        empty = np.zeros(0, dtype=np.int64)
        return cls(
            tuple(parts),
            np.concatenate([empty, *numbers]),
            np.concatenate([empty, *positions]),
            Columns.concatenate(columns),
        )

    def take(self, indices: Sequence[int] | Int64[np.ndarray, " chosen"]) -> Selection:
        """Return some of the structures, in the order of the indices."""
        chosen = np.asarray(indices, dtype=np.int64)
        result = Selection(
            self._parts, self._part[chosen], self._position[chosen], self.columns.take(chosen)
        )
        result._edges = {cutoff: counts.take(chosen) for cutoff, counts in self._edges.items()}
        return result

    def __len__(self) -> int:
        return len(self._part)

    @overload
    def __getitem__(self, index: int) -> Structure: ...
    @overload
    def __getitem__(self, index: slice) -> Selection: ...
    def __getitem__(self, index: int | slice) -> Structure | Selection:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self._parts[self._part[index]][int(self._position[index])]

    def __iter__(self) -> Iterator[Structure]:
        for part, members in groupby(range(len(self)), key=lambda index: int(self._part[index])):
            positions = self._position[np.fromiter(members, dtype=np.int64)]
            structures = self._parts[part]
            if isinstance(structures, Store):
                yield from structures.read(positions)
            else:
                yield from (structures[position] for position in positions.tolist())

    def source(self, index: int) -> str:
        """Return where a structure comes from, `file:frame`, without reading it."""
        structures, position = self._parts[self._part[index]], int(self._position[index])
        if isinstance(structures, Store):
            return structures.source(position)
        return structures[position].source

    def edge_counts(self, cutoff: float) -> EdgeCounts:
        """Return the edges of each structure: from the stores that know, else counted once.

        Args:
            cutoff: Å.
        """
        if cutoff not in self._edges:
            self._edges[cutoff] = self._count_edges(cutoff)
        return self._edges[cutoff]

    def _count_edges(self, cutoff: float) -> EdgeCounts:
        edges = np.zeros(len(self), dtype=np.int64)
        centres = np.zeros(len(self), dtype=np.int64)
        for number, structures in enumerate(self._parts):
            (chosen,) = np.nonzero(self._part == number)
            cached = structures.edge_counts(cutoff) if isinstance(structures, Store) else None
            if cached is None:
                counts = count_edges(self.take(chosen), cutoff)
            else:
                counts = cached.take(self._position[chosen])
            edges[chosen], centres[chosen] = counts.edges, counts.centres
        return EdgeCounts(edges, centres)
