"""The nearest neighbour of every atom, for many structures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from multiace.geometry import Structure, neighbour_list

_AT_ONCE = 2_000_000
"""Distances held at a time by the dense search of small molecules."""

_DENSE = 64
"""Molecules up to this many atoms are searched densely."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest neighbour of each atom of one structure.

    Args:
        distances: Å; infinite where there is no other atom, or none within the search radius of a
            periodic structure.
        neighbours: index of the neighbour, -1 where there is none. It can be the atom itself, as
            its own image.
    """

    distances: Float64[np.ndarray, " atoms"]
    neighbours: Int64[np.ndarray, " atoms"]


def nearest(structures: Sequence[Structure], radius: float = 3.0) -> list[Nearest]:
    """Return the nearest neighbours of each structure.

    Args:
        structures: structures of any size and periodicity.
        radius: how far periodic and large structures are searched, Å; molecules are searched
            without limit.

    Example:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]))
        >>> nearest([pair])[0].distances.tolist()
        [0.74, 0.74]
    """
    found: list[Nearest | None] = [None] * len(structures)
    sizes: dict[int, list[int]] = {}
    for index, structure in enumerate(structures):
        if any(structure.pbc) or structure.n_atoms > _DENSE:
            found[index] = _searched(structure, radius)
        else:
            sizes.setdefault(structure.n_atoms, []).append(index)
    for n_atoms, members in sizes.items():
        step = max(1, _AT_ONCE // n_atoms**2)
        for start in range(0, len(members), step):
            chunk = members[start : start + step]
            positions = np.stack([structures[index].positions for index in chunk])
            for index, one in zip(chunk, _dense(positions), strict=True):
                found[index] = one
    return [one for one in found if one is not None]


def _dense(positions: Float64[np.ndarray, "structures atoms 3"]) -> list[Nearest]:
    """Return the nearest neighbours from all distances."""
    squares = np.zeros((*positions.shape[:2], positions.shape[1]))
    for axis in range(3):
        x = positions[:, :, axis]
        squares += np.square(x[:, :, None] - x[:, None, :])  # (structures, atoms, atoms)
    diagonal = np.arange(positions.shape[1])
    squares[:, diagonal, diagonal] = np.inf
    neighbours = squares.argmin(axis=2)
    distances = np.sqrt(np.take_along_axis(squares, neighbours[:, :, None], axis=2)[:, :, 0])
    neighbours = np.where(np.isfinite(distances), neighbours, -1)
    return [Nearest(*pair) for pair in zip(distances, neighbours, strict=True)]


def _searched(structure: Structure, radius: float) -> Nearest:
    """Return the nearest neighbours from a neighbour list."""
    edges = neighbour_list(structure, radius)
    lengths = np.linalg.norm(edges.vectors, axis=1)
    order = np.lexsort((lengths, edges.receivers))
    receivers = edges.receivers[order]
    first = np.concatenate([[True], receivers[1:] != receivers[:-1]]) if len(order) else []
    chosen = order[np.asarray(first, dtype=bool)]
    distances = np.full(structure.n_atoms, np.inf)
    neighbours = np.full(structure.n_atoms, -1)
    distances[edges.receivers[chosen]] = lengths[chosen]
    neighbours[edges.receivers[chosen]] = edges.senders[chosen]
    return Nearest(distances, neighbours)
