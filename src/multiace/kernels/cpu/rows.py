"""Steps of a plan that take rows as they are."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

from torch import Tensor

from multiace.kernels.cpu.bound_kernel import Array, BoundKernel, BoundStep, Topology


class Arguments(ctypes.Structure):
    """`MultiaceRows` of csrc/rows.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows width n_indexed accumulate".split()),
        *((name, ctypes.c_void_p) for name in "index x y".split()),
    )


def _kernel(name: str, rows: Array, *, add: bool = False) -> BoundKernel:
    width = rows.value.shape[1:].numel()
    arguments = Arguments(width=width, accumulate=int(add))
    return BoundKernel(name, rows.value.dtype, arguments)


class CarryRows(BoundStep):
    """y = x, or y += x.

    Args:
        x: array read.
        y: array written.
        n_rows: how many rows of a topology are carried.
        add: add to y instead of writing it.
    """

    def __init__(self, x: Array, y: Array, n_rows: Callable[[Topology], int], *, add: bool) -> None:
        self.x, self.y, self.n_rows = x, y, n_rows
        self._there = _kernel("rows_take", y, add=add)
        self._back = _kernel("rows_take", y, add=x.shared)
        super().__init__([self._there], [self._back] if x.differentiable else [])

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the rows there are."""
        if not moved:
            return
        x, y, n = self.x, self.y, self.n_rows(top)
        self._there.set(n_rows=n, x=x.value, y=y.value)
        if x.differentiable:
            self._back.set(n_rows=n, x=y.gradient, y=x.gradient)


class TakeRows(BoundStep):
    """y_n = x_{k_n}; the gradient of x, which is shared, is added to.

    Args:
        x: array read.
        y: array written.
        index: topology -> k, or None: every row.
    """

    def __init__(self, x: Array, y: Array, index: Callable[[Topology], Tensor | None]) -> None:
        assert x.shared
        self.x, self.y, self.index = x, y, index
        self._take, self._give = _kernel("rows_take", y), _kernel("rows_give", y)
        super().__init__([self._take], [self._give])

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the rows there are."""
        x, y, index = self.x, self.y, self.index(top)
        for kernel in (self._take, self._give):
            kernel.set(n_rows=len(y.value), n_indexed=len(x.value), index=index)
        self._take.set(x=x.value, y=y.value)
        self._give.set(x=y.gradient, y=x.gradient)


class ClearGradients(BoundStep):
    """Gradients that steps add to, back to zero.

    Args:
        arrays: whose gradients.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = tuple(arrays)
        self._kernels = [_kernel("rows_take", array) for array in arrays]
        super().__init__(self._kernels)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the rows there are."""
        for kernel, array in zip(self._kernels, self.arrays, strict=True):
            kernel.set(n_rows=len(array.gradient), y=array.gradient)
