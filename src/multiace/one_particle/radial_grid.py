"""Radial functions on a grid of distances, while a potential is trained."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

FEWEST = 8
"""Fewest intervals of a grid."""


class GridEdges(NamedTuple):
    """Pairs of atoms by their place on a grid, and what the radial network takes at its points.

    | symbol | field |
    |---|---|
    | e_n of the points, and their envelope | `radial_basis`, `envelope` (or None) |
    | values at the points -> coefficients | `solve` |
    | B_q of each pair | `weights` |
    | first coefficient of each pair | `first` |
    """

    radial_basis: Float[Tensor, "points number"]
    envelope: Float[Tensor, " points"] | None
    solve: Float[Tensor, "coefficients points"]
    weights: Float[Tensor, "pairs 4"]
    first: Int[Tensor, " pairs"]


class RadialGrid:
    """R(r) = sum_q B_q(r) c_{k + q}, q = 0..3: cubic B-splines through R at equal distances.

    The radial network is evaluated at the points, of which there are far fewer than edges, and its
    last map too; an edge combines four rows of the result. R stays trainable through the
    coefficients c, and differentiable by r through the B_q, twice continuously.

    The end conditions are R'(r_c) = 0, which every envelope brings about, and a third derivative
    without a jump at the first inner point. The error falls with the fourth power of the spacing;
    `Potential.radial_grid_error` measures it.

    Args:
        cutoff: r_c in Å.
        intervals: intervals between 0 and the cutoff.

    Raises:
        ValueError: fewer than 8 intervals.

    Example:
        >>> grid = RadialGrid(4.0, 40)
        >>> r = torch.tensor([1.23, 2.6], dtype=torch.float64)
        >>> weights, first = grid.place(r)
        >>> values = (1 - (grid.points / 4.0) ** 2) ** 3
        >>> rows = (grid.solve @ values)[first[:, None] + torch.arange(4)]
        >>> exact = (1 - (r / 4.0) ** 2) ** 3
        >>> bool(((weights * rows).sum(1) - exact).abs().max() < 1e-6)
        True
    """

    def __init__(self, cutoff: float, intervals: int) -> None:
        if intervals < FEWEST:
            raise ValueError(
                f"a radial grid of {intervals} intervals is too coarse for any radial function; it "
                f"must have {FEWEST} or more. Give 128, or leave it out."
            )
        self.cutoff, self.intervals, self.width = cutoff, intervals, cutoff / intervals
        points = np.linspace(0.0, cutoff, intervals + 1)
        points[0] = 1e-3 * self.width  # sin(k r) / r is not defined at 0 itself
        self.points: Float64[Tensor, " points"] = torch.from_numpy(points)
        self.solve: Float64[Tensor, "coefficients points"] = torch.tensor(_solve(intervals))

    def place(
        self, distances: Float[Tensor, " edges"]
    ) -> tuple[Float[Tensor, "edges 4"], Int[Tensor, " edges"]]:
        """Return B_q of each edge and its first coefficient; B is zero from the cutoff on."""
        x = distances / self.width
        first = x.detach().floor().long().clamp(0, self.intervals - 1)
        t = (x - first).unsqueeze(1)
        s = 1.0 - t
        weights = torch.cat(
            [
                s**3,
                3.0 * t**3 - 6.0 * t**2 + 4.0,
                3.0 * s**3 - 6.0 * s**2 + 4.0,
                t**3,
            ],
            dim=1,
        )
        inside = (distances < self.cutoff).unsqueeze(1)
        return torch.where(inside, weights / 6.0, 0.0), first


@lru_cache(maxsize=4)
def _solve(intervals: int) -> Float64[np.ndarray, "coefficients points"]:
    """Return the matrix from values at the points to the coefficients of the spline."""
    n = intervals + 1
    equations = np.zeros((n + 2, n + 2))
    for k in range(n):
        equations[k, k : k + 3] = np.array([1.0, 4.0, 1.0]) / 6.0
    equations[n, [n - 1, n + 1]] = -1.0, 1.0  # no slope at the cutoff
    equations[n + 1, :5] = 1.0, -4.0, 6.0, -4.0, 1.0  # one cubic on the first two intervals
    matrix = np.linalg.inv(equations)[:, :n].copy()
    matrix.flags.writeable = False
    return matrix
