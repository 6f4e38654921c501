"""A program being built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from multiace.kernels.tables import Table
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.layer import Layer
from multiace.model import Model
from multiace.program.program import ABSENT, Array, Lifetime, Operation, Rows

_NONLINEAR = ("convolution", "quotient", "polynomial_product", "gate", "norm")
"""Operations whose reverse pass reads their inputs again."""


class Draft:
    """Arrays and operations of a model so far.

    Args:
        model: the model, on the CPU.
        dtype: dtype of the program.
        known: atomic numbers of the model.
        elements: atomic numbers of the program.
    """

    def __init__(
        self, model: Model, dtype: torch.dtype, known: Sequence[int], elements: Sequence[int]
    ) -> None:
        self.model, self.dtype, self.elements = model, dtype, elements
        self.present = torch.tensor([list(known).index(number) for number in elements])
        self._shapes: list[tuple[Rows, int]] = []
        self._operations: list[Operation] = []

    @property
    def layers(self) -> list[Layer]:
        """Layers of the model."""
        return [cast(Layer, layer) for layer in self.model.layers]

    @property
    def bases(self) -> list[AtomicBasis]:
        """Atomic basis of each layer."""
        return [layer.atomic_basis for layer in self.layers]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Operations layer by layer."""
        return tuple(sorted(self._operations, key=lambda operation: operation.layer))

    def array(self, rows: Rows, width: int) -> int:
        """Add an array; return its position."""
        self._shapes.append((rows, width))
        return len(self._shapes) - 1

    def width(self, array: int) -> int:
        """Return the length of a row of an array."""
        return self._shapes[array][1]

    def add(
        self,
        name: str,
        layer: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        table: Table | None = None,
        constants: Sequence[Tensor | None] = (),
    ) -> int:
        """Add an operation; return its first output."""
        kept = tuple(None if c is None else c.detach().contiguous() for c in constants)
        operation = Operation(name, layer, tuple(inputs), tuple(outputs), table, kept)
        self._operations.append(operation)
        return operation.outputs[0]

    def arrays(self, vectors: int, whole: Sequence[int]) -> tuple[Array, ...]:
        """Return all arrays, once every operation is there.

        Args:
            vectors: edge vectors.
            whole: arrays that are read from outside.
        """
        differentiable = {vectors}
        lifetimes: dict[int, Lifetime] = dict.fromkeys((vectors, *whole), "whole")
        for operation in self.operations:
            if differentiable.intersection(operation.inputs):
                differentiable.update({*operation.outputs} - {ABSENT})
            if operation.layer == 0 and operation.name != "spline":
                lifetimes.update(dict.fromkeys(operation.outputs, "whole"))
            if operation.name in _NONLINEAR:
                for array in operation.inputs:
                    if lifetimes.get(array) != "whole" and self._shapes[array][0] != "edges":
                        lifetimes[array] = "kept"
        return tuple(
            Array(rows, width, lifetimes.get(n, "temporary"), n in differentiable)
            for n, (rows, width) in enumerate(self._shapes)
        )
