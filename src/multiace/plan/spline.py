"""Radial functions as tables of cubic splines, with the error they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

Functions = Callable[[Float64[Tensor, " points"]], tuple[np.ndarray, np.ndarray]]
"""r -> (f, df/dr), each (points, functions) in float64."""

FEWEST, MOST = 64, 4096
"""Intervals of a table; in between the number doubles until the error is small."""

ROWS = 3
"""Rows of a table for each knot."""


@dataclass(frozen=True)
class Spline:
    """Cubic Hermite splines of several functions, on equal intervals from 0 to the cutoff.

    With t = r/h - k on interval k, and values and slopes at the knots those of the functions,

        f(r) = t (1-t)^2 h f'_k + f_k + t^2 (3-2t) (f_{k+1} - f_k) - t^2 (1-t) h f'_{k+1}.

    The error is at most h^4 max|f''''| / 384, that of the slope sqrt(3) h^3 max|f''''| / 216. The
    table holds differences of values, so that slopes do not cancel in float32. Values and slopes
    are continuous; beyond the cutoff both are zero. Forces are derivatives of the splined energy,
    so energy is conserved whatever the error.

    Args:
        table: rows h f'_k, f_k, f_{k+1} - f_k for each knot, and h f' at the cutoff.
        width: h of an interval, Å.
        error: largest |f - spline|, over the largest |f|; both beyond `start` of `fit_spline`.
        slope_error: the same of derivatives.
    """

    table: Float64[np.ndarray, "rows functions"]
    width: float
    error: float = 0.0
    slope_error: float = 0.0

    @property
    def n_intervals(self) -> int:
        """Number of intervals."""
        return len(self.table) // ROWS

    def __call__(
        self, r: Float64[np.ndarray, " points"]
    ) -> Float64[np.ndarray, "points functions"]:
        """Evaluate the functions."""
        return self._combine(r, _basis)

    def slope(self, r: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, "points functions"]:
        """Evaluate the derivatives by r."""
        return self._combine(r, lambda t: _basis_slope(t) / self.width)

    def _combine(self, r: np.ndarray, weights: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        x = r / self.width
        knot = np.minimum(x.astype(int), self.n_intervals - 1)
        w = weights(x - knot)
        value = sum(w[q][:, None] * self.table[ROWS * knot + q] for q in range(4))
        return np.where((x < self.n_intervals)[:, None], value, 0.0)


def fit_spline(
    functions: Functions,
    cutoff: float,
    *,
    start: float,
    tolerance: float,
    at_least: int = FEWEST,
) -> Spline:
    """Tabulate functions of the distance, on as many intervals as the tolerance needs.

    Args:
        functions: f and f', zero at the cutoff; see `with_slopes`.
        cutoff: where the functions end, Å.
        start: shortest distance at which the error is measured, Å; the table begins at 0.
        tolerance: largest error wanted, of values relative to the largest |f| and of slopes
            relative to the largest |f'|.
        at_least: fewest intervals.

    Returns:
        The coarsest table of 64, 128, .. 4096 intervals whose errors are below the tolerance, or
        the finest: its `error` and `slope_error` say how far it came.

    Example:
        >>> cubic = with_slopes(lambda r: ((1 - r / 4) ** 3)[:, None])
        >>> fit_spline(cubic, 4.0, start=0.5, tolerance=1e-6).n_intervals
        64
    """
    n = at_least
    while True:
        spline = _tabulate(functions, cutoff, n, start)
        if not max(spline.error, spline.slope_error) > tolerance or n >= MOST:  # nan: no use
            return spline
        n *= 2


def with_slopes(function: Callable[[Tensor], Tensor]) -> Functions:
    """Return a function of distances, (points) -> (points, functions), with its derivatives."""

    def both(r: Tensor) -> tuple[np.ndarray, np.ndarray]:
        with torch.enable_grad():
            r = r.clone().requires_grad_()
            f = function(r)
            # the derivative of <v, f> by r is linear in v: its derivative by v has all the slopes
            v = torch.zeros_like(f, requires_grad=True)
            (pulled,) = torch.autograd.grad(f, r, v, create_graph=True)
            (slopes,) = torch.autograd.grad(pulled, v, torch.ones_like(pulled))
        return f.detach().numpy(), slopes.numpy()

    return both


def _tabulate(functions: Functions, cutoff: float, n: int, start: float) -> Spline:
    width = cutoff / n
    knots = torch.linspace(0.0, cutoff, n + 1, dtype=torch.float64)
    knots[0] = 1e-6 * width  # radial bases such as sin(k r) / r need a direction to the limit
    values, slopes = functions(knots)
    rows = np.stack([width * slopes[:-1], values[:-1], np.diff(values, axis=0)], axis=1)
    table = np.concatenate([rows.reshape(ROWS * n, -1), width * slopes[-1:]])
    points = ((np.arange(n)[:, None] + _POINTS) * width).ravel()
    points = points[points >= start]
    exact, exact_slopes = functions(torch.from_numpy(points))
    spline = Spline(table, width)
    return Spline(
        table,
        width,
        _relative(spline(points) - exact, exact),
        _relative(spline.slope(points) - exact_slopes, exact_slopes),
    )


_POINTS = (1.0 + np.array([-1.0, 0.0, 1.0]) / np.sqrt(3.0)) / 2
"""Where on an interval errors are measured: that of a quartic is largest in the middle, that of its
slope beside."""


def _relative(error: np.ndarray, to: np.ndarray) -> float:
    return float(np.abs(error).max() / max(np.abs(to).max(), 1e-300))


def _basis(t: np.ndarray) -> np.ndarray:
    u = 1 - t
    return np.stack([t * u * u, np.ones_like(t), t * t * (3 - 2 * t), -t * t * u])


def _basis_slope(t: np.ndarray) -> np.ndarray:
    u = 1 - t
    return np.stack([u * (1 - 3 * t), np.zeros_like(t), 6 * t * u, -t * (2 - 3 * t)])
