"""Operations that PyTorch differentiates to any order, whatever backend computes them.

An operation f(x_1 .. x_n; constants) -> outputs is said once, by a definition in PyTorch. A backend
supplies passes of it:

| pass | computes |
|---|---|
| `forward` | f |
| `backward` | d<g, f>/dx_k, for a cotangent g of each output |
| `double_backward` | tangents of f and of these gradients, along a direction dx of the inputs |

The last is the gradient of the gradient: with phi = sum_k <dx_k, d<g, f>/dx_k>, the tangent of f
is d phi/dg and the tangent of the k-th gradient is d phi/dx_k. A pass that a backend lacks, and all
derivatives beyond these, are those of the definition.

Each pass is registered with `torch.library` under the name of its backend, with a version for fake
tensors, so that `torch.compile` and `torch.export` see one opaque operation. This module holds
everything that needs private parts of torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from multiace.kernels.tables import Table
from multiace.kernels.tables.encoding import digest_of

_LOG = logging.getLogger("multiace")

Outputs = tuple[Tensor, ...]
Kernel = Callable[..., Outputs]
Function = Callable[..., Any]
"""A differentiable operation of a backend: (*inputs, *constants) -> outputs."""
M = TypeVar("M", bound="OperationModule")


class Passes(NamedTuple):
    """What a backend computes of an operation; None: by the definition.

    Args:
        forward: (*inputs, *constants) -> outputs.
        backward: (needed, *cotangents, *inputs, *constants) -> a gradient for each input, an
            empty tensor where it is not needed.
        double_backward: (needed, *dots, *cotangents, *inputs, *constants) -> tangents of the
            outputs, then of each gradient, empty where not needed; a dot may be None: zero.
    """

    forward: Kernel
    backward: Kernel | None = None
    double_backward: Kernel | None = None


@dataclass(frozen=True)
class Operation:
    """What is common to an operation of all backends; tensors first, then constants.

    Args:
        name: of the operation.
        inputs: names of the tensors to differentiate by.
        constants: the rest of the schema: indices, then `Tensor table`, an encoding that is always
            on the CPU, then what fake versions need, such as "int dim_out".
        n_outputs: number of outputs.
        fake: (*inputs, *constants) -> empty outputs.
        definition: (*inputs, *constants) -> outputs, in PyTorch.
        multilinear: f is linear in each input, so that the gradient by an input does not change
            along that input alone.
    """

    name: str
    inputs: tuple[str, ...]
    constants: str
    n_outputs: int
    fake: Kernel
    definition: Kernel
    multilinear: bool = False

    @property
    def n_constant_tensors(self) -> int:
        """Number of constants that are tensors; they come first."""
        return sum(constant.startswith("Tensor") for constant in self.constants.split(", "))

    def fake_backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        """Return what `backward` does, without numbers."""
        inputs = arguments[self.n_outputs :][: len(self.inputs)]
        return _empty(inputs, needed)

    def fake_double_backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        """Return what `double_backward` does, without numbers."""
        n_in = len(self.inputs)
        cotangents = arguments[n_in : n_in + self.n_outputs]
        inputs = arguments[n_in + self.n_outputs :][:n_in]
        return _empty((*cotangents, *inputs), needed)

    def backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        """Return what a backend's `backward` does, by differentiating the definition."""
        cotangents, rest = arguments[: self.n_outputs], arguments[self.n_outputs :]
        with _recording():
            inputs = [x.detach().requires_grad_() for x in rest[: len(self.inputs)]]
            results = self._gradients(cotangents, inputs, rest[len(inputs) :], create_graph=False)
        return _own(results, needed)

    def double_backward(self, needed: Sequence[bool], *arguments: Any) -> Outputs:
        """Return what a backend's `double_backward` does, by differentiating twice."""
        n_in = len(self.inputs)
        dots, rest = arguments[:n_in], arguments[n_in:]
        n_differentiable = self.n_outputs + n_in
        with _recording():
            own = [x.detach().requires_grad_() for x in rest[:n_differentiable]]
            results = self.tangents(dots, *own, *rest[n_differentiable:], create_graph=False)
        return _own(results, needed)

    def tangents(
        self, dots: Sequence[Tensor | None], *arguments: Any, create_graph: bool = True
    ) -> Outputs:
        """Return the derivatives of phi by cotangents and inputs, all of which require gradients.

        Args:
            dots: directions of the inputs; None: zero.
            arguments: cotangents, inputs and constants.
            create_graph: whether the results will be differentiated.
        """
        n_in, n_out = len(self.inputs), self.n_outputs
        cotangents, inputs = arguments[:n_out], arguments[n_out : n_out + n_in]
        first = self._gradients(cotangents, inputs, arguments[n_out + n_in :], create_graph=True)
        phi = sum((dot * g).sum() for dot, g in zip(dots, first, strict=True) if dot is not None)
        assert isinstance(phi, Tensor)
        return torch.autograd.grad(
            phi, (*cotangents, *inputs), create_graph=create_graph, materialize_grads=True
        )

    def _gradients(
        self,
        cotangents: Sequence[Tensor],
        inputs: Sequence[Tensor],
        constants: Sequence[Any],
        *,
        create_graph: bool,
    ) -> Outputs:
        outputs = self.definition(*inputs, *constants)
        live = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
        return torch.autograd.grad(
            [output for output, _ in live],
            inputs,
            [cotangent for _, cotangent in live],
            create_graph=create_graph,
            materialize_grads=True,
        )


def _empty(like: Sequence[Tensor], needed: Sequence[bool]) -> Outputs:
    """Return what passes return of these shapes: contiguous, and empty where not needed."""
    return tuple(
        x.new_empty(x.shape if wanted else (0,)) for x, wanted in zip(like, needed, strict=True)
    )


def _own(results: Sequence[Tensor], needed: Sequence[bool]) -> Outputs:
    """Return results as passes do: in memory of their own, and empty where not needed."""
    layout = torch.contiguous_format
    return tuple(
        x.detach().clone(memory_format=layout) if wanted else x.new_empty(0)
        for x, wanted in zip(results, needed, strict=True)
    )


@contextmanager
def _recording() -> Iterator[None]:
    """Let autograd record, beneath the dispatcher's autograd too."""
    exclude = torch._C._dispatch_tls_local_exclude_set()
    for key in _AUTOGRAD:
        exclude = exclude.remove(key)
    include = torch._C._dispatch_tls_local_include_set()
    with torch._C._ForceDispatchKeyGuard(include, exclude), torch.enable_grad():
        yield


_KEYS = torch._C.DispatchKey
_AUTOGRAD = (_KEYS.AutogradFunctionality, _KEYS.AutogradOther, _KEYS.ADInplaceOrView)


class Namespace:
    """The operations of one backend: `torch.ops.multiace_<name>`.

    Args:
        name: of the backend.
        device: type of the only device it computes on; None: any.
    """

    def __init__(self, name: str, device: str | None) -> None:
        self.name, self.device = name, device
        self.library = torch.library.Library(f"multiace_{name}", "DEF")
        self.operations = getattr(torch.ops, f"multiace_{name}")
        self.direct: dict[Any, Callable[..., Any]] = {}
        """Operation of `torch.ops` -> the function that computes it, for graphs whose operations
        nobody traces or differentiates any more: the dispatcher costs more than the function."""

    def register(self, operation: Operation, passes: Passes) -> Function:
        """Register the passes of an operation; return the differentiable operation."""
        name, n_in, n_out = operation.name, len(operation.inputs), operation.n_outputs
        backward, double_backward = passes.backward, passes.double_backward
        for of_pass, kernel in (("backward", backward), ("double_backward", double_backward)):
            if kernel is None:
                _LOG.info(
                    "kernels %s: %s has no pass %s; it is that of the definition",
                    *(self.name, name, of_pass),
                )
        tensors = ", ".join(f"Tensor {name}" for name in operation.inputs)
        cotangents = ", ".join(f"Tensor cotangent{k}" for k in range(n_out))
        dots = ", ".join(f"Tensor? {name}_dot" for name in operation.inputs)
        once = f"{tensors}, {operation.constants}"
        kernels = [
            self.define(name, once, _tensors(n_out), passes.forward, operation.fake),
            self.define(
                f"{name}_backward",
                f"bool[] needed, {cotangents}, {once}",
                _tensors(n_in),
                backward or operation.backward,
                operation.fake_backward,
            ),
            self.define(
                f"{name}_double_backward",
                f"bool[] needed, {dots}, {cotangents}, {once}",
                _tensors(n_out + n_in),
                double_backward or operation.double_backward,
                operation.fake_double_backward,
            ),
        ]
        third = _third_function(operation, kernels[2])
        second = _second_function(operation, kernels[1], third)
        function = _first_function(operation, kernels[0], second)
        self.library.impl(name, function.apply, "Autograd")
        dispatched = getattr(self.operations, name).default

        def differentiable(*arguments: Any) -> Any:
            """Apply the function itself where nobody traces: the dispatcher costs more than it."""
            return (function.apply if self.is_plain(arguments) else dispatched)(*arguments)

        return differentiable

    def define(
        self,
        name: str,
        arguments: str,
        results: str,
        kernel: Callable[..., Sequence[Tensor]],
        fake: Callable[..., Sequence[Tensor]],
    ) -> Kernel:
        """Register a kernel as an operation of `torch.ops`; return a function that runs it.

        It runs beneath autograd, by the registered name if somebody traces.

        Args:
            name: of the operation.
            arguments: of its schema.
            results: of its schema.
            kernel: arguments -> sequence of results.
            fake: the same for tensors without data.
        """
        self.library.define(f"{name}({arguments}) -> {results}")

        def unpacked(function: Callable[..., Sequence[Tensor]]) -> Callable[..., Any]:
            if results != "Tensor":
                return function

            @wraps(function)
            def first(*arguments: Any) -> Tensor:
                return function(*arguments)[0]

            return first

        direct = unpacked(kernel)
        if self.device is None:
            self.library.impl(name, direct, "CompositeExplicitAutograd")
        else:
            self.library.impl(name, direct, self.device.upper())
            for other in {"cpu", "cuda"} - {self.device}:
                self.library.impl(name, self._refuse, other.upper())
        torch.library.register_fake(
            f"multiace_{self.name}::{name}", unpacked(fake), lib=self.library
        )
        overload = getattr(self.operations, name).default
        self.direct[overload] = direct

        def run(*arguments: Any) -> Outputs:
            if self.is_plain(arguments):
                return tuple(kernel(*arguments))
            with torch._C._AutoDispatchBelowAutograd():
                result = overload(*arguments)
            return (result,) if isinstance(result, Tensor) else tuple(result)

        return run

    def _refuse(self, *arguments: Any) -> None:
        """Say that kernels got tensors that are not on their device.

        Raises:
            ValueError: always.
        """
        every = [
            x
            for argument in arguments
            for x in (argument if isinstance(argument, list) else [argument])
        ]
        devices = {str(x.device) for x in every if isinstance(x, Tensor)} - {self.device, "cpu"}
        raise ValueError(
            f"Kernels {self.name!r} compute on {self.device}, got tensors on "
            f"{', '.join(sorted(devices)) or 'cpu'}. "
            "Load or build the potential with that device instead of moving it there."
        )

    def is_plain(self, arguments: Sequence[Any]) -> bool:
        """Whether kernels can be called as they are: nothing traces, and data lie where they must.

        The dispatcher takes longer than the kernel of a small molecule.
        """
        if not nothing_traces():
            return False
        on_cpu = self.device == "cpu"
        for x in arguments:
            if isinstance(x, Tensor):
                if type(x) not in _PLAIN or not (x.is_cpu if on_cpu else self._has(x)):
                    return False
            elif type(x) is tuple and not self.is_plain(x):
                return False
        return True

    def _has(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the device, or a table, which is on the CPU for every device."""
        return self.device in (None, tensor.device.type) or tensor.dtype == torch.int64


_PLAIN = (Tensor, torch.nn.Parameter)


def nothing_traces() -> bool:
    """Whether tensors are what they seem, and nobody records the operations on them."""
    return (
        torch._C._len_torch_dispatch_stack() == 0
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def _tensors(n: int) -> str:
    return "Tensor" if n == 1 else f"({', '.join(['Tensor'] * n)})"


@runtime_checkable
class HasFunctions(Protocol):
    """Kernels of a backend: `multiace.kernels.dispatch.Kernels`."""

    @property
    def functions(self) -> Mapping[str, Function]:
        """Operation -> function, of those the backend has passes of."""
        ...


class OperationModule(nn.Module):
    """An operation and its table: the function of some kernels, or the definition.

    The table stays on the CPU; what the definition needs of it are buffers of the subclass.

    Args:
        table: couplings, layout and constants.
        kernels: which have a function; None, or without one of this operation: the definition.
    """

    name: ClassVar[str]
    of_table: ClassVar[type[Table]]
    _definitions: ClassVar[dict[tuple[Any, ...], OperationModule]] = {}

    def __init__(self, table: Table, kernels: HasFunctions | None = None) -> None:
        super().__init__()
        self.table: Any = table
        self.encoding, self.kernels = table.encoding, kernels

    @property
    def function(self) -> Function | None:
        """What computes it; None: the definition."""
        return None if self.kernels is None else self.kernels.functions.get(self.name)

    @classmethod
    def defined_by(cls: type[M], encoding: Tensor, like: Tensor) -> M:
        """Return the definition for a table, in the dtype and on the device of a tensor."""
        if not nothing_traces() or torch.is_inference_mode_enabled():
            return cls(cls.of_table.decode(encoding)).to(like)
        key = (cls, digest_of(encoding), like.dtype, like.device)
        found = cls._definitions.get(key)
        if found is None:
            found = cls._definitions[key] = cls(cls.of_table.decode(encoding)).to(like)
        assert isinstance(found, cls)
        return found


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


def _first_function(operation: Operation, kernel: Kernel, second: Any) -> Any:
    """f, whose backward is `second`."""
    n_in = len(operation.inputs)
    n_tensors = n_in + operation.n_constant_tensors

    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            return _single(kernel(*arguments))

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor) -> Any:
            arguments = (*ctx.saved_tensors, *ctx.others)
            needed = _wanted(ctx, 0, n_in)
            results = second(needed, *cotangents, *arguments)
            return _gradients(results, needed, len(arguments) - n_in)

    return First


def _second_function(operation: Operation, kernel: Kernel, third: Any) -> Any:
    """The gradients of f, whose backward is `third`."""
    n_in, n_out = len(operation.inputs), operation.n_outputs
    n_tensors = n_out + n_in + operation.n_constant_tensors

    class Second(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, needed: list[bool], *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            ctx.needed = needed
            ctx.set_materialize_grads(False)
            return _single(kernel(needed, *arguments))

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

    return _differentiated(Second, kernel)


def _differentiated(function: Any, kernel: Kernel) -> Callable[..., Outputs]:
    """Return a function that is recorded only where its own derivative may be asked for."""

    def call(*arguments: Any) -> Outputs:
        if not torch.is_grad_enabled():
            return kernel(*arguments)
        results = function.apply(*arguments)
        return (results,) if isinstance(results, Tensor) else results

    return call


def _third_function(operation: Operation, kernel: Kernel) -> Any:
    """The gradients of the gradients; what comes after is the definition's."""
    n_in, n_out = len(operation.inputs), operation.n_outputs
    n_differentiable = n_in + n_out + n_in
    n_tensors = n_differentiable + operation.n_constant_tensors

    class Third(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, needed: list[bool], *arguments: Any) -> Any:
            _save(ctx, arguments, n_tensors)
            ctx.needed = needed
            ctx.set_materialize_grads(False)
            return _single(kernel(needed, *arguments))

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
            arguments = (*ctx.saved_tensors, *ctx.others)
            with torch.enable_grad():
                # views: the derivative by one argument must not pass through another's history
                own = [
                    _fresh(a) if isinstance(a, Tensor) and k < n_differentiable else a
                    for k, a in enumerate(arguments)
                ]
                results = operation.tangents(own[:n_in], *own[n_in:])
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

    return _differentiated(Third, kernel)


def _fresh(tensor: Tensor) -> Tensor:
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
