"""Least squares of any number of equations: QR of one block after another, then one SVD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64
from scipy.linalg import qr, svd
from scipy.optimize import minimize_scalar

Rule = Literal["gcv", "evidence"]
"""How the regularisation is chosen: generalised cross-validation, or the marginal likelihood."""

_BLOCK = 4096  # equations, or as many as there are unknowns
_DECADES = 16  # below the largest singular value squared


@dataclass(frozen=True, eq=False)
class Solution:
    """Weights of regularised least squares.

    Args:
        weights: w; zero where no equation has an entry.
        regularisation: lambda.
        freedom: degrees of freedom that the data determine, sum s^2 / (s^2 + lambda).
        rank: singular values above rounding.
        occurs: unknowns that some equation has.
        residual: root of the mean squared residual of the equations, weighted as they were.
    """

    weights: Float64[np.ndarray, " unknowns"]
    regularisation: float
    freedom: float
    rank: int
    occurs: Bool[np.ndarray, " unknowns"]
    residual: float


class LeastSquares:
    """The equations X w = y as R w = Q^T y, in the memory of a block however many there are.

    Args:
        n_unknowns: number of weights.

    Example:
        >>> equations = LeastSquares(2)
        >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> equations.add(x, x @ np.array([3.0, -1.0]))
        >>> equations.solve(np.ones(2), 0.0).weights.round(12).tolist()
        [3.0, -1.0]
    """

    def __init__(self, n_unknowns: int) -> None:
        self.n_unknowns, self.n_equations = n_unknowns, 0
        self._triangle = np.zeros((0, n_unknowns + 1))  # of (X, y)
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0

    def add(
        self,
        equations: Float64[np.ndarray, "rows unknowns"],
        targets: Float64[np.ndarray, " rows"],
    ) -> None:
        """Add equations, weighted already.

        Raises:
            ValueError: an entry is not finite.
        """
        if not (np.isfinite(equations).all() and np.isfinite(targets).all()):
            raise ValueError(
                "An equation has an entry that is not finite. Check the labels and weights with "
                "`multiace data check`."
            )
        self._waiting.append(np.column_stack([equations, targets]))
        self._n_waiting += len(targets)
        self.n_equations += len(targets)
        if self._n_waiting >= max(_BLOCK, self.n_unknowns):
            self._reduce()

    def _reduce(self) -> None:
        """Turn what waits into the triangle."""
        if not self._waiting:
            return
        rows = np.concatenate([self._triangle, *self._waiting])
        self._waiting, self._n_waiting = [], 0
        (triangle, *_) = qr(rows, mode="r", overwrite_a=True, check_finite=False)
        self._triangle = np.ascontiguousarray(triangle[: self.n_unknowns + 1])

    def solve(
        self,
        prior: Float64[np.ndarray, " unknowns"],
        regularisation: Rule | float,
    ) -> Solution:
        """Minimise |X w - y|^2 + lambda |prior w|^2.

        Args:
            prior: what a weight costs, positive.
            regularisation: lambda, or the rule that chooses it. `gcv` minimises
                n |X w - y|^2 / (n - freedom)^2, `evidence` maximises the marginal likelihood of
                weights drawn with standard deviations proportional to 1 / prior.

        Raises:
            ValueError: without regularisation the equations do not determine the weights.

        Source: Golub, Heath and Wahba, Technometrics 21, 215 (1979); MacKay, Neural Comput. 4, 415
        (1992).
        """
        self._reduce()
        triangle, q = self._triangle[:, :-1], self._triangle[:, -1]
        occurs = np.asarray(triangle.any(axis=0))
        scaled = triangle[:, occurs] / prior[occurs]
        u, s, vt = svd(scaled, full_matrices=False, check_finite=False, overwrite_a=True)
        beta = u.T @ q
        n, rest = self.n_equations, float(q @ q - beta @ beta)
        rounding = np.finfo(float).eps * max(n, len(s)) * (s[0] if len(s) else 0.0)
        rank = int((s > rounding).sum())

        def fit_at(value: float) -> tuple[float, float, float]:
            """Return squared residual, degrees of freedom and penalty."""
            kept = s**2 / (s**2 + value)
            residual = max(rest, 0.0) + float((((1 - kept) * beta) ** 2).sum())
            return residual, float(kept.sum()), float(((s / (s**2 + value) * beta) ** 2).sum())

        def gcv(value: float) -> float:
            residual, freedom, _ = fit_at(value)
            return np.log(residual + 1e-300) - 2 * np.log(max(n - freedom, 1e-3))

        def evidence(value: float) -> float:
            residual, _, penalty = fit_at(value)
            return n * np.log(residual + value * penalty + 1e-300) + np.log1p(s**2 / value).sum()

        if isinstance(regularisation, str):
            value = _minimum({"gcv": gcv, "evidence": evidence}[regularisation], float(s[0]) ** 2)
        else:
            value = regularisation
        if value == 0.0 and rank < occurs.sum():
            raise ValueError(
                f"{n} equations determine {rank} of {int(occurs.sum())} weights. Give more data, a "
                "smaller basis, or a regularisation."
            )
        weights = np.zeros(self.n_unknowns)
        weights[occurs] = vt.T @ (s / (s**2 + value) * beta) / prior[occurs]
        residual, freedom, _ = fit_at(value)
        return Solution(weights, value, freedom, rank, occurs, float(np.sqrt(residual / n)))


def _minimum(of: Callable[[float], float], largest: float) -> float:
    """Return where a function of lambda is least, by a grid of decades and then between them."""
    grid = np.log10(largest) + np.linspace(-_DECADES, 1, 4 * _DECADES + 5)
    least = int(np.argmin([of(10.0**x) for x in grid]))
    bounds = (grid[max(least - 1, 0)], grid[min(least + 1, len(grid) - 1)])
    found: Any = minimize_scalar(lambda x: of(10.0**x), bounds=bounds, method="bounded")
    return float(10.0**found.x)
