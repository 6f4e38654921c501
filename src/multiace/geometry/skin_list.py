"""`SkinList`: neighbours of atoms that move little from one step to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64

from multiace.geometry.listed_pairs import ListedPairs
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
        pairs: `ListedPairs`, or a compiled equivalent.

    Raises:
        ValueError: the cutoff is not positive, or the skin negative.

    Example:
        >>> from dataclasses import replace
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

    def __init__(
        self, cutoff: float, skin: float = 0.5, pairs: Callable[..., Any] = ListedPairs
    ) -> None:
        if not (math.isfinite(cutoff) and cutoff > 0):
            raise ValueError(f"cutoff must be a positive number of Å, got {cutoff}.")
        if not (math.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin must be a number of Å, 0 or larger, got {skin}.")
        self.cutoff, self.skin, self.n_searches = float(cutoff), float(skin), 0
        self._pairs = pairs
        self._listed: Any = None
        self._then: Structure | None = None  # at the last search
        self._indices: tuple[np.ndarray, ...] = ()  # of the last step

    def update(self, structure: Structure) -> NeighbourList:
        """Return the neighbours within the cutoff, as `neighbour_list` does."""
        vectors, changed = self._among_listed(structure) or self._search(structure)
        if changed:
            self._indices = self._listed.select()
        senders, receivers, shifts, reverse = self._indices
        return NeighbourList(senders, receivers, shifts, vectors, reverse)

    def _search(self, now: Structure) -> tuple[np.ndarray, bool]:
        """List pairs anew; return the vectors within the cutoff."""
        self._listed = None  # should the search fail
        found = neighbour_list(now, self.cutoff + self.skin)
        indices = found.senders, found.receivers, found.shifts, found.reverse
        self._listed, self._then = self._pairs(*indices, self.cutoff), now
        self.n_searches += 1
        return self._listed.vectors_within(now.positions, now.positions, _cell(now))[0], True

    def _among_listed(self, now: Structure) -> tuple[np.ndarray, bool] | None:
        """Return the vectors within the cutoff, and whether their pairs have changed.

        None if a pair that is not listed may be within the cutoff.
        """
        listed, then = self._listed, self._then
        if listed is None or then is None or now.pbc != then.pbc or now.n_atoms != then.n_atoms:
            return None
        before, reach = then.positions, self.cutoff + self.skin
        cell, former = _cell(now), _cell(then)
        if not (cell is former or np.array_equal(cell, former)):
            if not all(now.pbc):
                return None
            strain = np.linalg.solve(former, cell)
            before = before @ strain
            reach *= float(np.linalg.svd(strain, compute_uv=False)[-1])
        vectors, changed, displacement = listed.vectors_within(now.positions, before, cell)
        lasts = reach - 2 * displacement > self.cutoff * (1 + _MARGIN)
        return (vectors, changed) if lasts else None


_NO_CELL = np.zeros((3, 3))


def _cell(structure: Structure) -> Float64[np.ndarray, "3 3"]:
    """Return the cell of the periodic directions, if there are any."""
    return _NO_CELL if structure.cell is None or not any(structure.pbc) else structure.cell


_MARGIN = 1e-9
"""How much (relative) closer pairs may be counted than they are, for rounding."""
