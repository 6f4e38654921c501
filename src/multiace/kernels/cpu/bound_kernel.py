"""A kernel whose arguments are bound to arrays that stay."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from multiace.kernels.cpu.library import kernel_error, library, pointer


@runtime_checkable
class Array(Protocol):
    """A quantity and the energy's gradient by it; `multiace.plan.arrays.Array`."""

    value: Tensor
    gradient: Tensor
    differentiable: bool
    shared: bool


@runtime_checkable
class Topology(Protocol):
    """Indices of nodes and edges; `multiace.plan.topology.Topology`."""

    senders: Tensor
    receivers: Tensor
    species: Tensor
    n_owned: int
    pair: Tensor | None
    n_pairs: int


class BoundKernel:
    """A kernel and the structure of its arguments, filled in when arrays move or sizes change.

    Args:
        name: the kernel.
        dtype: its dtype.
        arguments: structure of its arguments.
    """

    def __init__(self, name: str, dtype: torch.dtype, arguments: ctypes.Structure) -> None:
        self._arguments, self._kept = arguments, dict[str, Tensor]()
        self._names = {field[0] for field in arguments._fields_}
        self._function: Callable[[Any], int] = library().function(name, dtype)
        self._name, self._address = name, ctypes.addressof(arguments)

    def set(self, **values: int | float | Tensor | None) -> None:
        """Fill in arguments; tensors are kept alive and must be contiguous."""
        for name, value in values.items():
            assert name in self._names, name  # a structure of ctypes takes any attribute
            if isinstance(value, Tensor):
                assert value.is_contiguous(), name
                self._kept[name] = value
                value = pointer(value)
            setattr(self._arguments, name, value)

    def run(self) -> None:
        """Run the kernel; it raises what `KernelLibrary.call` does."""
        code = self._function(self._address)
        if code:
            raise kernel_error(self._name, code)
