"""Radial functions as tables of cubic B-splines, with the error they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from scipy.linalg import solve_banded
from torch import Tensor

Functions = Callable[[Float64[Tensor, " points"]], Float64[Tensor, "points functions"]]

_FIRST, _LAST = 64, 1024
"""Fewest and most intervals of a table; in between the number doubles until the error is small."""


@dataclass(frozen=True)
class Spline:
    """f(r) = sum_q B_q(r) table[knot(r) + q], q = 0..3, on equal intervals from 0 to the cutoff.

    Twice continuously differentiable; zero beyond the cutoff. Forces are derivatives of the
    splined energy, so energy is conserved whatever the error.

    Args:
        table: (intervals + 3, functions).
        width: of an interval, Å.
        error: largest |f - spline| on four points an interval, over the largest |f|.
        slope_error: the same of derivatives.
    """

    table: Float64[np.ndarray, "rows functions"]
    width: float
    error: float
    slope_error: float

    @property
    def n_intervals(self) -> int:
        """Number of intervals."""
        return len(self.table) - 3

    def __call__(
        self, r: Float64[np.ndarray, " points"]
    ) -> Float64[np.ndarray, "points functions"]:
        """Evaluate the functions."""
        return self._combine(r, lambda t: _basis(t))

    def slope(self, r: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, "points functions"]:
        """Evaluate the derivatives by r."""
        return self._combine(r, lambda t: _basis_slope(t) / self.width)

    def _combine(self, r: np.ndarray, weights: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        knot = np.minimum((r / self.width).astype(int), self.n_intervals - 1)
        w = weights(r / self.width - knot)
        value = sum(w[q][:, None] * self.table[knot + q] for q in range(4))
        return np.where((r < self.width * self.n_intervals)[:, None], value, 0.0)


def fit_spline(
    functions: Functions,
    cutoff: float,
    *,
    start: float,
    tolerance: float,
    n_intervals: int | None = None,
) -> Spline:
    """Interpolate functions of the distance, on as many intervals as the tolerance needs.

    Args:
        functions: f, evaluated in float64.
        cutoff: where the functions end, Å.
        start: shortest distance at which the error is measured, Å; the table begins at 0.
        tolerance: largest error wanted, relative to the largest |f|.
        n_intervals: take this many, whatever the error.

    Returns:
        The coarsest table of 64, 128, .. 1024 intervals whose error is below the tolerance, or
        the finest: its `error` says how far it came.
    """
    n = n_intervals or _FIRST
    while True:
        spline = _interpolate(functions, cutoff, n, start)
        if n_intervals or spline.error <= tolerance or n >= _LAST:
            return spline
        n *= 2


def _interpolate(functions: Functions, cutoff: float, n: int, start: float) -> Spline:
    width = cutoff / n
    knots = torch.linspace(0.0, cutoff, n + 1, dtype=torch.float64)
    knots[0] = 1e-6 * width  # radial bases such as sin(k r) / r need a direction to the limit
    values, slopes = _with_slopes(functions, knots)
    table = _coefficients(values, slopes[[0, -1]], width)
    spline = Spline(table, width, 0.0, 0.0)
    points = (np.arange(n)[:, None] + np.array([0.25, 0.5, 0.75, 0.999])).ravel() * width
    points = points[points >= start]
    exact, exact_slopes = _with_slopes(functions, torch.from_numpy(points))
    error = np.abs(spline(points) - exact).max() / max(np.abs(exact).max(), 1e-300)
    slope_error = np.abs(spline.slope(points) - exact_slopes).max()
    return Spline(
        table, width, float(error), float(slope_error / max(np.abs(exact_slopes).max(), 1e-300))
    )


def _with_slopes(functions: Functions, r: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return f and df/dr, by forward differentiation of all functions at once."""
    with torch.enable_grad():
        r = r.clone().requires_grad_()
        f = functions(r)
        # d/dr of every function at once: differentiate <v, f> by r, which is linear in v, by v
        v = torch.zeros_like(f, requires_grad=True)
        (pulled,) = torch.autograd.grad(f, r, v, create_graph=True)
        (slopes,) = torch.autograd.grad(pulled.sum(), v)
    return f.detach().numpy(), slopes.numpy()


def _coefficients(values: np.ndarray, end_slopes: np.ndarray, width: float) -> np.ndarray:
    """Solve (c_{k-1} + 4 c_k + c_{k+1}) / 6 = f_k with given slopes at both ends."""
    n = len(values)
    bands = np.empty((3, n))
    bands[0], bands[1], bands[2] = 1 / 6, 4 / 6, 1 / 6
    right = values.copy()
    # c_{-1} = c_1 - 2 h f'_0 and c_{n} = c_{n-2} + 2 h f'_{n-1} eliminated
    bands[0, 1] = bands[2, -2] = 2 / 6
    right[0] += width * end_slopes[0] / 3
    right[-1] -= width * end_slopes[1] / 3
    inner = solve_banded((1, 1), bands, right)
    before = inner[1] - 2 * width * end_slopes[0]
    after = inner[-2] + 2 * width * end_slopes[1]
    return np.concatenate([before[None], inner, after[None]])


def _basis(t: np.ndarray) -> np.ndarray:
    u = 1 - t
    return np.stack([u**3, t * t * (3 * t - 6) + 4, u * u * (3 * u - 6) + 4, t**3]) / 6


def _basis_slope(t: np.ndarray) -> np.ndarray:
    u = 1 - t
    return np.stack([-(u**2), t * (3 * t - 4), -u * (3 * u - 4), t**2]) / 2
