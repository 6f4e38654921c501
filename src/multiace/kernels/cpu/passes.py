"""The passes of an operation from its kernels, which all take one structure of arguments."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Operation, Outputs, Passes

Fields = tuple[dict[str, Any], dict[str, Tensor | None]]
"""Sizes and other numbers; tensors that are no inputs."""


def passes(
    operation: Operation,
    arguments: type[ctypes.Structure],
    outputs: Sequence[str],
    fields: Callable[..., Fields],
    *,
    tangents: Sequence[str] | None = None,
) -> Passes:
    """Return the passes of an operation.

    Kernels are named `<operation>_forward`, `_backward` and `_double_backward`. Their structure
    has a field for each input x (`x`, `x_dot`, `x_gradient`), for each output y, and for cotangents
    (`cotangent`, or `y_cotangent` of several). Null is what is absent, empty or not computed.

    Args:
        operation: inputs, and the shapes of results.
        arguments: structure of the arguments.
        outputs: its fields of the outputs.
        fields: (*inputs, *constants) -> what is neither input nor output.
        tangents: its fields of the tangents of outputs; None: those of the outputs.
    """
    inputs, n_in, n_out = operation.inputs, len(operation.inputs), operation.n_outputs
    cotangents = ["cotangent"] if n_out == 1 else [f"{name}_cotangent" for name in outputs]
    gradients = [f"{name}_gradient" for name in inputs]
    of_backward = [*cotangents, *inputs]
    of_double_backward = [*(f"{name}_dot" for name in inputs), *of_backward]
    tangents = [*(outputs if tangents is None else tangents), *gradients]

    def call(
        kernel: str, names: Sequence[str], given: Sequence[Any], to: Sequence[str], results: Outputs
    ) -> None:
        """Run a kernel; what is given are operands of these names, then constants."""
        sizes, others = fields(*given[len(names) - n_in :])
        kept = contiguous([*given[: len(names)], *others.values()])
        named = [*zip([*names, *others], kept, strict=True), *zip(to, results, strict=True)]
        pointers = {name: x.data_ptr() for name, x in named if x is not None}
        structure = arguments(n_threads=threads(), **sizes, **pointers)
        library().call(f"{operation.name}_{kernel}", results[0].dtype, structure)

    def forward(*given: Any) -> Outputs:
        results = operation.fake(*given)
        call("forward", inputs, given, outputs, results)
        return results

    def backward(needed: Sequence[bool], *given: Any) -> Outputs:
        results = operation.fake_backward(needed, *given)
        if any(needed):
            call("backward", of_backward, given, gradients, results)
        return results

    def double_backward(needed: Sequence[bool], *given: Any) -> Outputs:
        results = operation.fake_double_backward(needed, *given)
        if any(needed):
            call("double_backward", of_double_backward, given, tangents, results)
        return results

    return Passes(forward, backward, double_backward)
