"""`SkinList`: neighbours of atoms that move little from one step to the next."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from multiace.geometry.neighbours import NeighbourList, neighbour_list
from multiace.geometry.structure import Structure


class SkinList:
    """Lists pairs within the cutoff from pairs within cutoff + skin, which last several steps.

    The same edges in the same order, to the last bit, as `neighbour_list` gives. While no pair
    comes or goes they are the same arrays, but for the vectors. With F the map
    from the old cell to the new one and u_i what atom i has moved beside it, r_i - r_i(old) F,
    pairs that were not listed are now farther apart than

        sigma_min(F) (cutoff + skin) - 2 max_i |u_i - mean u|,

    and the list is made anew once this is below the cutoff.

    Args:
        cutoff: Å, positive.
        skin: Å; 0 searches at every step.

    Raises:
        ValueError: the cutoff is not positive, or the skin negative.

    Example:
        >>> pair = Structure(
        ...     numbers=np.array([1, 1]), positions=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        ... )
        >>> neighbours = SkinList(cutoff=2.0, skin=0.5)
        >>> neighbours.update(pair).n_edges, neighbours.n_searches
        (2, 1)
        >>> neighbours.update(replace(pair, positions=0.9 * pair.positions)).n_edges
        2
        >>> neighbours.n_searches
        1
    """

    def __init__(self, cutoff: float, skin: float = 0.5) -> None:
        if not (math.isfinite(cutoff) and cutoff > 0):
            raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}.")
        if not (math.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin must be a number of Å, 0 or larger, got {skin}.")
        self.cutoff, self.skin = float(cutoff), float(skin)
        self.n_searches = 0
        self._listed: NeighbourList | None = None
        self._then: Structure | None = None
        self._cell: np.ndarray | None = None
        self._images = np.zeros((0, 3))
        self._within = np.zeros(0, dtype=bool)
        self._selected: NeighbourList | None = None  # those of the last step, with earlier vectors

    def update(self, structure: Structure) -> NeighbourList:
        """Return the neighbours within the cutoff, as `neighbour_list` does."""
        listed = self._listed
        if listed is None or not self._lasts(structure):
            listed = self._search(structure)
        positions = structure.positions
        vectors = positions[listed.senders]
        vectors -= positions[listed.receivers]
        vectors += self._images_in(structure)
        within = np.square(vectors).sum(axis=1) < self.cutoff**2
        if self._selected is None or not np.array_equal(within, self._within):
            self._within, self._selected = within, _selected(listed, within)
        return replace(self._selected, vectors=vectors[within])

    def _search(self, structure: Structure) -> NeighbourList:
        self._listed = neighbour_list(structure, self.cutoff + self.skin)
        self._then, self._cell, self._selected = structure, None, None
        self.n_searches += 1
        return self._listed

    def _lasts(self, now: Structure) -> bool:
        """Whether no pair that is not listed can be within the cutoff."""
        then = self._then
        assert then is not None
        if now.pbc != then.pbc or now.n_atoms != then.n_atoms:
            return False
        before, reach = then.positions, self.cutoff + self.skin
        cell, former = _cell(now), _cell(then)
        if not np.array_equal(cell, former):
            if not all(now.pbc):
                return False
            strain = np.linalg.solve(former, cell)
            before = before @ strain
            reach *= float(np.linalg.svd(strain, compute_uv=False)[-1])
        moved = now.positions - before
        moved -= moved.mean(axis=0)
        farthest = math.sqrt(np.square(moved).sum(axis=1).max())
        return reach - 2 * farthest > self.cutoff * (1 + _MARGIN)

    def _images_in(self, structure: Structure) -> Float64[np.ndarray, "listed 3"]:
        """Return the shift of each listed pair in Å."""
        cell = _cell(structure)
        if self._cell is None or not np.array_equal(cell, self._cell):
            assert self._listed is not None
            shifts = self._listed.shifts
            self._images = (
                shifts[:, 0:1] * cell[0] + shifts[:, 1:2] * cell[1] + shifts[:, 2:3] * cell[2]
            )
            self._cell = cell
        return self._images


_NO_CELL = np.zeros((3, 3))


def _cell(structure: Structure) -> Float64[np.ndarray, "3 3"]:
    """Return the cell of the periodic directions, if there are any."""
    return _NO_CELL if structure.cell is None or not any(structure.pbc) else structure.cell


_MARGIN = 1e-9
"""How much (relative) closer pairs may be counted than they are, for rounding."""


def _selected(listed: NeighbourList, within: Bool[np.ndarray, " listed"]) -> NeighbourList:
    kept = np.flatnonzero(within)
    place = np.cumsum(within) - 1
    return NeighbourList(
        senders=listed.senders[kept],
        receivers=listed.receivers[kept],
        shifts=listed.shifts[kept],
        vectors=listed.vectors[kept],
        reverse=place[listed.reverse[kept]],
    )
