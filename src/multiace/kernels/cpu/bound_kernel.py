"""Kernels whose arguments are bound to arrays that stay."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

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
    edge_of_pair: Tensor | None
    n_pairs: int


class BoundKernel:
    """A kernel and the structure of its arguments, filled in when arrays move or sizes change.

    Args:
        name: the kernel.
        dtype: its dtype.
        arguments: structure of its arguments.
    """

    def __init__(self, name: str, dtype: torch.dtype, arguments: ctypes.Structure) -> None:
        self.name, self._arguments = name, arguments
        self._kept: dict[str, Tensor] = {}
        self._names = {field[0] for field in arguments._fields_}
        self._function: Any = library().function(name, dtype)

    def set(self, **values: int | float | Tensor | None) -> None:
        """Fill in arguments; tensors are kept alive and must be contiguous."""
        for name, value in values.items():
            assert name in self._names, name  # a structure of ctypes takes any attribute
            if isinstance(value, Tensor):
                assert value.is_contiguous(), name
                self._kept[name] = value
                value = pointer(value)
            setattr(self._arguments, name, value)

    @property
    def call(self) -> tuple[int, int]:
        """Addresses of the kernel and of its arguments, which stay."""
        address = ctypes.cast(self._function, ctypes.c_void_p).value
        assert address is not None
        return address, ctypes.addressof(self._arguments)


class _Call(ctypes.Structure):
    """`MultiaceCall` of csrc/sequence.h."""

    _fields_: ClassVar = [("kernel", ctypes.c_void_p), ("arguments", ctypes.c_void_p)]


class _Arguments(ctypes.Structure):
    """`MultiaceSequence` of csrc/sequence.h."""

    _fields_: ClassVar = [
        ("n_calls", ctypes.c_int64),
        ("calls", ctypes.c_void_p),
        ("failed", ctypes.c_int64),
    ]


class BoundSequence:
    """Bound kernels that run one after another in one call.

    Args:
        kernels: the kernels.
    """

    def __init__(self, kernels: Sequence[BoundKernel]) -> None:
        self._kernels = tuple(kernels)
        self._calls = (_Call * len(kernels))(*(kernel.call for kernel in kernels))
        self._arguments = _Arguments(len(kernels), ctypes.addressof(self._calls))
        self._run, self._address = library().sequence, ctypes.addressof(self._arguments)

    def run(self) -> None:
        """Run the kernels; one that fails ends it and raises what `KernelLibrary.call` does."""
        code = self._run(self._address)
        if code:
            raise kernel_error(self._kernels[self._arguments.failed].name, code)


class BoundStep(ABC):
    """A step of a plan whose passes are bound kernels; a subclass says what they are bound to.

    Args:
        forward: kernels of the forward pass, which writes the outputs.
        backward: kernels of the backward pass, which writes the gradients of the inputs, or adds
            them where an input is shared.
    """

    def __init__(
        self, forward: Sequence[BoundKernel] = (), backward: Sequence[BoundKernel] = ()
    ) -> None:
        self.forward_kernels, self.backward_kernels = tuple(forward), tuple(backward)
        self._forward, self._backward = BoundSequence(forward), BoundSequence(backward)

    @abstractmethod
    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are; the nodes and the addresses of arrays if these have changed."""

    def forward(self) -> None:
        """Write the outputs."""
        self._forward.run()

    def backward(self) -> None:
        """Write the gradients of the inputs, or add them."""
        self._backward.run()


class JoinedSteps(BoundStep):
    """Steps one after another, each pass of all of them in one call.

    Args:
        steps: in the order of the forward pass.
    """

    def __init__(self, steps: Sequence[BoundStep]) -> None:
        self.steps = tuple(steps)
        super().__init__(
            [kernel for step in steps for kernel in step.forward_kernels],
            [kernel for step in reversed(steps) for kernel in step.backward_kernels],
        )

    def bind(self, top: Topology, moved: bool) -> None:
        """Bind every step."""
        for step in self.steps:
            step.bind(top, moved)
