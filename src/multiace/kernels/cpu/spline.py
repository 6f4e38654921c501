"""Steps of a plan that evaluate splines in the distance."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from multiace.kernels.cpu.bound_kernel import Array, BoundKernel, BoundStep, Topology


class SplineArguments(ctypes.Structure):
    """`MultiaceSpline` of csrc/spline.h."""

    _fields_ = (
        ("n_rows", ctypes.c_int64),
        ("n_intervals", ctypes.c_int64),
        ("width", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in "distances knots basis slope".split()),
    )


class SplineBasis(BoundStep):
    """Knots and weights of quintic splines at the distances; the convolution pulls them back.

    Args:
        distances: of the pairs.
        n_intervals: intervals from 0 to the cutoff.
        width: of an interval, Å.
        dtype: dtype of the weights.
    """

    def __init__(
        self, distances: Array, n_intervals: int, width: float, dtype: torch.dtype
    ) -> None:
        self.distances = distances
        self.knots = torch.empty(0, dtype=torch.int64)
        self.basis = self.slope = torch.empty((0, 6), dtype=dtype)
        self._kernel = BoundKernel("spline_basis", dtype, SplineArguments())
        super().__init__([self._kernel])
        self._kernel.set(n_intervals=n_intervals, width=width)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        n = top.n_pairs
        if n > len(self.knots):
            rows = int(1.1 * n) + 1
            self.knots = torch.empty(rows, dtype=torch.int64)
            self.basis, self.slope = (self.basis.new_empty((rows, 6)) for _ in range(2))
            self._kernel.set(knots=self.knots, basis=self.basis, slope=self.slope)
        self._kernel.set(n_rows=n, distances=self.distances.value)


class SplineFunctionsArguments(ctypes.Structure):
    """`MultiaceSplineFunctions` of csrc/spline.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows n_functions n_knots".split()),
        *((name, ctypes.c_void_p) for name in "knots types basis slope table".split()),
        *((name, ctypes.c_void_p) for name in "values slopes cotangent distance_gradient".split()),
    )


class SplineFunctions(BoundStep):
    """Functions of the distance by splines, such as the hidden features u.

    Args:
        basis: knots and weights.
        table: (types, knots, functions).
        types: topology -> which table each pair takes, or None.
        values: the functions.
    """

    def __init__(
        self,
        basis: SplineBasis,
        table: Tensor,
        types: Callable[[Topology], Tensor | None],
        values: Array,
    ) -> None:
        self.basis, self.types, self.values = basis, types, values
        self._slopes = table.new_empty((0, table.shape[2]))
        names = ("spline_functions_forward", "spline_functions_backward")
        self._kernels = [
            BoundKernel(name, table.dtype, SplineFunctionsArguments()) for name in names
        ]
        super().__init__(self._kernels[:1], self._kernels[1:])
        for kernel in self._kernels:
            kernel.set(n_functions=table.shape[2], n_knots=table.shape[1], table=table)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        n, basis = top.n_pairs, self.basis
        if n > len(self._slopes):
            self._slopes = self._slopes.new_empty((int(1.1 * n) + 1, self._slopes.shape[1]))
        types = self.types(top)
        for kernel in self._kernels:
            kernel.set(
                n_rows=n,
                knots=basis.knots,
                types=types,
                basis=basis.basis,
                slope=basis.slope,
                slopes=self._slopes,
            )
        self._kernels[0].set(values=self.values.value)
        self._kernels[1].set(
            cotangent=self.values.gradient, distance_gradient=basis.distances.gradient
        )
