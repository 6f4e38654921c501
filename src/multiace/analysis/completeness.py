"""Environments that differ, yet look alike to invariants of few neighbours."""

from __future__ import annotations

import math

import numpy as np

from multiace.analysis.site_terms import terms_of_atoms
from multiace.geometry import Structure
from multiace.potential import Potential


def degenerate_pair(
    correlation: int, number: int = 6, radius: float = 3.0
) -> tuple[Structure, Structure]:
    """Return two environments of atom 0 that no invariant of `correlation` neighbours separates.

    All distances and angles (correlation 2), or all tetrahedra with the centre, up to handedness
    and with it (correlation 3), agree; those of one neighbour more do not.

    Args:
        correlation: 2 or 3.
        number: atomic number of all atoms.
        radius: distance of the farthest neighbour, Å.

    Raises:
        ValueError: another correlation.

    Source: Pozdnyakov et al., Phys. Rev. Lett. 125, 166001 (2020); coordinates as in Joshi et al.,
    On the expressive power of geometric graph neural networks, ICML 2023.

    Example:
        >>> plus, minus = degenerate_pair(2)
        >>> plus.n_atoms, minus.n_atoms
        (5, 5)
    """
    if correlation == 2:
        common = [(1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0)]
        last = (0.0, 1.0, 1.0)
    elif correlation == 3:
        above = [(3.0, 2.0, -4.0), (0.0, 2.0, 5.0), (0.0, 2.0, -5.0)]
        c, s = math.cos(math.pi / 10.0), math.sin(math.pi / 10.0)
        below = [(c * x + s * z, -y, c * z - s * x) for x, y, z in above]
        common, last = above + below, (0.0, 5.0, 0.0)
    else:
        raise ValueError(f"Pairs are known for correlation 2 and 3, got {correlation}.")
    flipped = (last[0], -last[1], last[2])
    plus, minus = (np.array([(0.0, 0.0, 0.0), *common, end]) for end in (last, flipped))
    scale = radius / np.linalg.norm(plus, axis=1).max()
    numbers = np.full(len(plus), number)
    return Structure(numbers, scale * plus), Structure(numbers, scale * minus)


def separation(potential: Potential, pair: tuple[Structure, Structure], centre: int = 0) -> float:
    """Return how far the energies of the centres of two environments are apart.

    Returns:
        |E_i - E_i'| / |E_i|, both without E0.

    Example:
        >>> import torch
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=4.0, atomic_energies={"C": -1029.0})
        >>> design = botnet("small", layers=1, readout={"kind": "linear"})
        >>> pairwise = Potential(design, (6,), statistics, dtype=torch.float64, seed=0)
        >>> separation(pairwise, degenerate_pair(2)) < 1e-12  # sums over neighbours only
        True
    """
    plus, minus = (terms[centre, 1:].sum() for terms in terms_of_atoms(potential, list(pair)))
    return float(abs(plus - minus) / abs(plus))
