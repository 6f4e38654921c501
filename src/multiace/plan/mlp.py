"""A step for readouts by a network, which are too small for autograd to be worth its time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from multiace.plan.arrays import Array
from multiace.plan.topology import Topology
from multiace.readout import MLPReadout

_BACKWARD: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "silu": lambda g, x, y: torch.ops.aten.silu_backward(g, x),
    "tanh": lambda g, x, y: torch.ops.aten.tanh_backward(g, y),
    "sigmoid": lambda g, x, y: torch.ops.aten.sigmoid_backward(g, y),
}
"""g f'(x), given f(x) = y."""


class ReadMLP:
    """R = w2 c f(W1 h_00) of the owned nodes.

    Args:
        readout: W1, w2, f and its constant c.
        h: features; its gradient is added to.
        energies: R.
    """

    def __init__(self, readout: MLPReadout, h: Array, energies: Array) -> None:
        self.h, self.energies = h, energies
        activation = readout.activation
        self._name = None if activation is None else activation.name
        constant = 1.0 if activation is None else activation.constant
        self._first = (readout.first * readout.first_factor).detach()
        self._second = (readout.second * (readout.second_factor * constant)).detach()
        self._n = 0
        self._x = self._y = self._first

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the number of nodes."""
        self._n = top.n_owned

    def forward(self) -> None:
        """Evaluate R."""
        self._x = self._y = self.h.value[: self._n, : len(self._first)] @ self._first
        if self._name is not None:
            self._y = getattr(torch.ops.aten, self._name)(self._x)
        torch.mm(self._y, self._second, out=self.energies.value.unsqueeze(1))

    def backward(self) -> None:
        """Add the gradient by h."""
        gradient = torch.outer(self.energies.gradient, self._second[:, 0])
        if self._name is not None:
            gradient = _BACKWARD[self._name](gradient, self._x, self._y)
        assert self.h.shared
        self.h.gradient[: self._n, : len(self._first)].addmm_(gradient, self._first.T)
