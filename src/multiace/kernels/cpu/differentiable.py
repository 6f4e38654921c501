"""Make operations that PyTorch differentiates to any order of three kernels each.

An operation f(x_1 .. x_n; constants) -> outputs has

| kernel | computes |
|---|---|
| `forward` | f |
| `backward` | d<g, f>/dx_k, for a cotangent g of each output |
| `double_backward` | tangents of f and of these gradients, along a direction dx of the inputs |

The last is the gradient of the gradient: with phi = sum_k <dx_k, d<g, f>/dx_k>, the tangent of f
is d phi/dg and the tangent of the k-th gradient is d phi/dx_k. Derivatives beyond these are those
of the operation's definition in `kernels.reference`.

Each kernel is registered with `torch.library`, with a version for fake tensors, so that
`torch.compile` and `torch.export` see one opaque operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

LIBRARY = torch.library.Library("multiace", "DEF")

Outputs = tuple[Tensor, ...]
Kernel = Callable[..., Outputs]

DIRECT: dict[Any, Callable[..., Any]] = {}
"""Operation of `torch.ops.multiace` -> the function that computes it on the CPU, for graphs whose
operations nobody traces or differentiates any more: the dispatcher costs more than the function."""


@dataclass(frozen=True)
class Operation:
    """The kernels of one operation; tensors first, then constants.

    Args:
        name: what it is called in `torch.ops.multiace`.
        inputs: names of the tensors to differentiate by.
        constants: the rest of the schema, such as "Tensor senders, int dim_out".
        n_outputs: number of outputs.
        forward: (*inputs, *constants) -> outputs.
        backward: (needed, *cotangents, *inputs, *constants) -> a gradient for each input, an
            empty tensor where it is not needed.
        double_backward: (needed, *dots, *cotangents, *inputs, *constants) -> tangents of the
            outputs, then of each gradient, empty where not needed; a dot may be None: zero.
        fake: (*inputs, *constants) -> empty outputs.
        reference: the definition, (*inputs, *constants) -> outputs.
        multilinear: f is linear in each input, so that the gradient by an input does not change
            along that input alone.
    """

    name: str
    inputs: tuple[str, ...]
    constants: str
    n_outputs: int
    forward: Kernel
    backward: Kernel
    double_backward: Kernel
    fake: Kernel
    reference: Kernel
    multilinear: bool = False

    def register(self) -> Callable[..., Any]:
        """Register the three kernels; return the differentiable operation."""
        n_in, n_out = len(self.inputs), self.n_outputs
        tensors = ", ".join(f"Tensor {name}" for name in self.inputs)
        cotangents = ", ".join(f"Tensor cotangent{k}" for k in range(n_out))
        dots = ", ".join(f"Tensor? {name}_dot" for name in self.inputs)
        once = f"{tensors}, {self.constants}"
        define(self.name, once, _tensors(n_out), self.forward, self.fake)
        first = f"bool[] needed, {cotangents}, {once}"
        define(f"{self.name}_backward", first, _tensors(n_in), self.backward, self._fake_backward)
        second = f"bool[] needed, {dots}, {cotangents}, {once}"
        define(
            f"{self.name}_double_backward",
            second,
            _tensors(n_out + n_in),
            self.double_backward,
            self._fake_double_backward,
        )
        function = _first_function(self, _second_function(self, _third_function(self)))
        LIBRARY.impl(self.name, function.apply, "Autograd")
        dispatched = getattr(torch.ops.multiace, self.name).default

        def differentiable(*arguments: Any) -> Any:
            """Apply the function itself where nobody traces: the dispatcher costs more than it."""
            return (function.apply if is_plain(arguments) else dispatched)(*arguments)

        return differentiable

    @property
    def n_constant_tensors(self) -> int:
        """Number of constants that are tensors; they come first."""
        return sum(constant.startswith("Tensor") for constant in self.constants.split(", "))

    def _fake_backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        inputs = arguments[self.n_outputs :][: len(self.inputs)]
        return _empty(inputs, needed)

    def _fake_double_backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        n_in = len(self.inputs)
        cotangents = arguments[n_in : n_in + self.n_outputs]
        inputs = arguments[n_in + self.n_outputs :][:n_in]
        return _empty((*cotangents, *inputs), needed)

    def reference_double_backward(
        self, dots: Sequence[Tensor | None], *arguments: Any
    ) -> tuple[Tensor, ...]:
        """Return what `double_backward` does, by differentiating the definition twice."""
        n_in, n_out = len(self.inputs), self.n_outputs
        cotangents, inputs = arguments[:n_out], arguments[n_out : n_out + n_in]
        outputs = self.reference(*inputs, *arguments[n_out + n_in :])
        live = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
        first = torch.autograd.grad(
            [output for output, _ in live],
            inputs,
            [cotangent for _, cotangent in live],
            create_graph=True,
            materialize_grads=True,
        )
        phi = sum((dot * g).sum() for dot, g in zip(dots, first, strict=True) if dot is not None)
        assert isinstance(phi, Tensor)
        return torch.autograd.grad(
            phi, (*cotangents, *inputs), create_graph=True, materialize_grads=True
        )


def _empty(like: Sequence[Tensor], needed: Sequence[bool]) -> Outputs:
    """Return what kernels return of these shapes: contiguous, and empty where not needed."""
    return tuple(
        x.new_empty(x.shape if wanted else (0,)) for x, wanted in zip(like, needed, strict=True)
    )


def define(
    name: str,
    arguments: str,
    results: str,
    kernel: Callable[..., Sequence[Tensor]],
    fake: Callable[..., Sequence[Tensor]],
) -> None:
    """Register a kernel as an operation of `torch.ops.multiace`.

    Args:
        name: of the operation.
        arguments: of its schema.
        results: of its schema.
        kernel: arguments -> sequence of results.
        fake: the same for tensors without data.
    """
    LIBRARY.define(f"{name}({arguments}) -> {results}")

    def unpacked(function: Callable[..., Sequence[Tensor]]) -> Callable[..., Any]:
        if results != "Tensor":
            return function

        @wraps(function)
        def first(*arguments: Any) -> Tensor:
            return function(*arguments)[0]

        return first

    direct = unpacked(kernel)
    LIBRARY.impl(name, direct, "CPU")
    LIBRARY.impl(name, _refuse, "CUDA")
    torch.library.register_fake(f"multiace::{name}", unpacked(fake), lib=LIBRARY)
    DIRECT[getattr(torch.ops.multiace, name).default] = direct


def _tensors(n: int) -> str:
    return "Tensor" if n == 1 else f"({', '.join(['Tensor'] * n)})"


def _refuse(*arguments: Any) -> None:
    """Say that compiled kernels got tensors that are not on the CPU.

    Raises:
        ValueError: always.
    """
    every = [
        x
        for argument in arguments
        for x in (argument if isinstance(argument, list) else [argument])
    ]
    devices = {str(x.device) for x in every if isinstance(x, Tensor)} - {"cpu"}
    raise ValueError(
        f"Compiled kernels compute on the CPU, got tensors on {', '.join(sorted(devices))}. "
        "Load or build the potential with that device instead of moving it there."
    )


def is_plain(arguments: Sequence[Any]) -> bool:
    """Whether kernels can be called as they are: nothing traces, and all data lie on the CPU.

    The dispatcher takes longer than the kernel of a small molecule.
    """
    return (
        torch._C._len_torch_dispatch_stack() == 0
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and all(type(x) in _PLAIN and x.is_cpu for x in arguments if isinstance(x, Tensor))
    )


_PLAIN = (Tensor, torch.nn.Parameter)


def _call(name: str, kernel: Kernel, *arguments: Any) -> Outputs:
    """Run a kernel beneath autograd, by its registered name if somebody traces."""
    if is_plain(arguments):
        return kernel(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        result = getattr(torch.ops.multiace, name).default(*arguments)
    return (result,) if isinstance(result, Tensor) else tuple(result)


def _wanted(ctx: Any, first: int, n: int) -> list[bool]:
    """Which of n arguments' gradients this backward pass will use.

    `needs_input_grad` says only whether an argument requires a gradient at all; forces need none
    of the weights, and the gradient of a loss none of the positions.

    Args:
        ctx: of a function whose arguments before the first of the n are no tensors.
        first: the first of the n arguments, which are tensors or None.
        n: their number.
    """
    needed = list(ctx.needs_input_grad[first : first + n])
    if _ASK is None or torch.compiler.is_compiling():
        return needed
    nodes = iter(ctx.next_functions)  # one for each tensor
    for k, absent in enumerate(ctx.absent[:n]):
        if not absent:
            node = next(nodes)[0]
            needed[k] = needed[k] and (node is None or _executes(node))
    return needed


_ASK: Callable[[Any], bool] | None = getattr(torch._C, "_will_engine_execute_node", None)


def _executes(node: Any) -> bool:
    assert _ASK is not None
    try:
        return _ASK(node)
    except RuntimeError:  # a leaf whose gradient was asked for by name
        return True


def _save(ctx: Any, arguments: Sequence[Any], n_tensors: int) -> None:
    """Keep tensors, which come first, as autograd wants them kept, and the rest as it is."""
    tensors = arguments[:n_tensors]
    ctx.absent = [tensor is None for tensor in tensors]
    ctx.others = arguments[n_tensors:]
    ctx.save_for_backward(*tensors)


def _single(outputs: Outputs) -> Any:
    return outputs[0] if len(outputs) == 1 else outputs


def _gradients(results: Sequence[Tensor], needed: Sequence[bool], rest: int) -> tuple[Any, ...]:
    used = [result if wanted else None for result, wanted in zip(results, needed, strict=True)]
    return (*used, *[None] * rest)


def _first_function(operation: Operation, second: Any) -> Any:
    """f, whose backward is `second`."""
    n_in = len(operation.inputs)
    n_tensors = n_in + operation.n_constant_tensors

    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            return _single(_call(operation.name, operation.forward, *arguments))

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor) -> Any:
            arguments = (*ctx.saved_tensors, *ctx.others)
            needed = _wanted(ctx, 0, n_in)
            results = second(needed, *cotangents, *arguments)
            return _gradients(results, needed, len(arguments) - n_in)

    return First


def _second_function(operation: Operation, third: Any) -> Any:
    """The gradients of f, whose backward is `third`."""
    n_in, n_out = len(operation.inputs), operation.n_outputs
    n_tensors = n_out + n_in + operation.n_constant_tensors
    name, kernel = f"{operation.name}_backward", operation.backward

    class Second(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, needed: list[bool], *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            ctx.needed = needed
            ctx.set_materialize_grads(False)
            return _single(_call(name, kernel, needed, *arguments))

        @staticmethod
        def backward(ctx: Any, *dots: Tensor | None) -> Any:
            arguments = (*ctx.saved_tensors, *ctx.others)
            dots = tuple(
                dot if wanted else None for dot, wanted in zip(dots, ctx.needed, strict=True)
            )
            if all(dot is None for dot in dots):
                return (None,) * (1 + len(arguments))
            needed = _wanted(ctx, 1, n_out + n_in)
            for k in range(n_in if operation.multilinear else 0):
                others = (*dots[:k], *dots[k + 1 :])
                needed[n_out + k] &= any(dot is not None for dot in others)
            results = third(needed, *dots, *arguments)
            rest = len(arguments) - n_out - n_in
            return (None, *_gradients(results, needed, rest))

    return _differentiated(Second, name, kernel)


def _differentiated(function: Any, name: str, kernel: Kernel) -> Callable[..., Outputs]:
    """Return a function that is recorded only where its own derivative may be asked for."""

    def call(*arguments: Any) -> Outputs:
        if not torch.is_grad_enabled():
            return _call(name, kernel, *arguments)
        results = function.apply(*arguments)
        return (results,) if isinstance(results, Tensor) else results

    return call


def _third_function(operation: Operation) -> Any:
    """The gradients of the gradients; what comes after is the definition's."""
    n_in, n_out = len(operation.inputs), operation.n_outputs
    n_differentiable = n_in + n_out + n_in
    n_tensors = n_differentiable + operation.n_constant_tensors
    name, kernel = f"{operation.name}_double_backward", operation.double_backward

    class Third(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, needed: list[bool], *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            ctx.needed = needed
            ctx.set_materialize_grads(False)
            return _single(_call(name, kernel, needed, *arguments))

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
            arguments = (*ctx.saved_tensors, *ctx.others)
            with torch.enable_grad():
                # views: the derivative by one argument must not pass through another's history
                own = [
                    _fresh(a) if isinstance(a, Tensor) and k < n_differentiable else a
                    for k, a in enumerate(arguments)
                ]
                results = operation.reference_double_backward(own[:n_in], *own[n_in:])
                used = [
                    (result, cotangent)
                    for result, cotangent, wanted in zip(
                        results, cotangents, ctx.needed, strict=True
                    )
                    if wanted and cotangent is not None and result.requires_grad
                ]
                tensors = [a for a in own[:n_differentiable] if a is not None]
                gradients = (
                    torch.autograd.grad(
                        [result for result, _ in used],
                        tensors,
                        [cotangent for _, cotangent in used],
                        create_graph=torch.is_grad_enabled(),
                        allow_unused=True,
                    )
                    if used
                    else (None,) * len(tensors)
                )
            remaining = iter(gradients)
            of_tensors = [None if a is None else next(remaining) for a in own[:n_differentiable]]
            return (None, *of_tensors, *[None] * (len(arguments) - n_differentiable))

    return _differentiated(Third, name, kernel)


def _fresh(tensor: Tensor) -> Tensor:
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
