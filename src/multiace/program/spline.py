"""Radial functions as tables of quintic splines, with the error they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

Functions = Callable[[Float64[Tensor, " points"]], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""r -> (f, df/dr, d2f/dr2), each (points, functions) in float64."""

FEWEST, MOST = 16, 1024
"""Intervals of a table; in between the number doubles until the error is small."""

ROWS = 4
"""Rows of a table for each knot."""

TERMS = 6
"""Rows that an interval combines: those of its knot, and two of the next."""


@dataclass(frozen=True)
class Spline:
    """Quintic Hermite splines of several functions, on equal intervals from 0 to the cutoff.

    With t = r/h - k = 1 - s on interval k, and values, slopes and curvatures at the knots those of
    the functions,

        f(r) = t^2 s^3 / 2 h^2 f''_k + t s^3 (1+3t) h f'_k + f_k
             + t^3 (10 - 15t + 6t^2) (f_{k+1} - f_k)
             + t^3 s^2 / 2 h^2 f''_{k+1} - t^3 s (4-3t) h f'_{k+1}.

    The error is at most h^6 max|f^(6)| / 46080, that of the slope sqrt(5) h^5 max|f^(6)| / 30000.
    The table holds differences of values, so that slopes do not cancel in float32. Values, slopes
    and curvatures are continuous within the cutoff, values and slopes at it; beyond, all are zero.
    Forces are derivatives of the splined energy, so energy is conserved whatever the error.

    Args:
        table: rows h^2 f''_k, h f'_k, f_k, f_{k+1} - f_k for each knot, and the first two at the
            cutoff.
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
        value = sum(w[q][:, None] * self.table[ROWS * knot + q] for q in range(TERMS))
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
        functions: f, f' and f'', f and f' zero at the cutoff; see `with_derivatives`.
        cutoff: where the functions end, Å.
        start: shortest distance at which the error is measured, Å; the table begins at 0.
        tolerance: largest error wanted, of values relative to the largest |f| and of slopes
            relative to the largest |f'|.
        at_least: fewest intervals.

    Returns:
        The coarsest table of 16, 32, .. 1024 intervals whose errors are below the tolerance, or
        the finest: its `error` and `slope_error` say how far it came.

    Example:
        >>> cubic = with_derivatives(lambda r: ((1 - r / 4) ** 3)[:, None])
        >>> fit_spline(cubic, 4.0, start=0.5, tolerance=1e-6).n_intervals
        16
    """
    n = at_least
    while True:
        spline = _tabulate(functions, cutoff, n, start)
        if not max(spline.error, spline.slope_error) > tolerance or n >= MOST:  # nan: no use
            return spline
        n *= 2


def with_derivatives(function: Callable[[Tensor], Tensor]) -> Functions:
    """Return a function of distances, (points) -> (points, functions), with its derivatives."""

    def all_three(r: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with torch.enable_grad():
            r = r.clone().requires_grad_()
            values = function(r)
            slopes = _slopes(values, r)
            curvatures = _slopes(slopes, r)
        return values.detach().numpy(), slopes.detach().numpy(), curvatures.detach().numpy()

    return all_three


def _slopes(f: Tensor, r: Tensor) -> Tensor:
    """Return df/dr, all columns at once; it can be differentiated again.

    The derivative of <v, f> by r is linear in v, so that its derivative by v has all the slopes.
    """
    v = torch.zeros_like(f, requires_grad=True)
    options = {"create_graph": True, "materialize_grads": True}
    (pulled,) = torch.autograd.grad(f, r, v, **options)
    (slopes,) = torch.autograd.grad(pulled, v, torch.ones_like(pulled), **options)
    return slopes


def _tabulate(functions: Functions, cutoff: float, n: int, start: float) -> Spline:
    width = cutoff / n
    knots = torch.linspace(0.0, cutoff, n + 1, dtype=torch.float64)
    # limits from inside: sin(k r) / r is not defined at 0, and curvatures may jump at the cutoff
    knots[0], knots[-1] = 1e-3 * width, cutoff * (1 - 1e-12)
    values, slopes, curvatures = functions(knots)
    both = [width**2 * curvatures, width * slopes]
    rows = np.stack([*(x[:-1] for x in both), values[:-1], np.diff(values, axis=0)], axis=1)
    table = np.concatenate([rows.reshape(ROWS * n, -1), *(x[-1:] for x in both)])
    points = ((np.arange(n)[:, None] + _POINTS) * width).ravel()
    points = points[points >= start]
    exact, exact_slopes, _ = functions(torch.from_numpy(points))
    spline = Spline(table, width)
    return Spline(
        table,
        width,
        _relative(spline(points) - exact, exact),
        _relative(spline.slope(points) - exact_slopes, exact_slopes),
    )


_POINTS = (1.0 + np.array([-1.0, 0.0, 1.0]) / np.sqrt(5.0)) / 2
"""Where on an interval errors are measured: that of t^6 is largest in the middle, that of its slope
beside."""


def _relative(error: np.ndarray, to: np.ndarray) -> float:
    return float(np.abs(error).max() / max(np.abs(to).max(), 1e-300))


def _basis(t: np.ndarray) -> np.ndarray:
    s = 1 - t
    return np.stack(
        [
            t**2 * s**3 / 2,
            t * s**3 * (1 + 3 * t),
            np.ones_like(t),
            t**3 * (10 - 15 * t + 6 * t**2),
            t**3 * s**2 / 2,
            -(t**3) * s * (4 - 3 * t),
        ]
    )


def _basis_slope(t: np.ndarray) -> np.ndarray:
    s = 1 - t
    return np.stack(
        [
            t * s**2 * (2 - 5 * t) / 2,
            s**2 * (1 + 2 * t - 15 * t**2),
            np.zeros_like(t),
            30 * t**2 * s**2,
            t**2 * s * (3 - 5 * t) / 2,
            -(t**2) * (2 - 3 * t) * (6 - 5 * t),
        ]
    )
