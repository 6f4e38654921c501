"""A function that differentiates as one flat graph of operations, free in the sizes of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

STRUCTURES, NODES, PAIRS, EDGES = 5, 7, 9, 11
"""Sizes that are traced with: different ones, as equal ones would be taken for one size, and
none of them 0, 1 or 3, as those would be taken for constants."""


class TraceError(ValueError):
    """A function that has no graph which is free in its sizes: says why."""


def flat_graph(function: Callable[..., Any], *inputs: Tensor) -> fx.GraphModule:
    """Return the operations that a function runs, those of its backward passes among them.

    A size of an input that is 0 or 1 becomes a constant, and so does a 3; others stay free, from 2
    on, and equal ones stay equal. Tensors that are no input, weights above all, become attributes
    of the graph: the same objects, so that their changes are seen.

    Args:
        function: of tensors, without branches on their values.
        inputs: examples of its arguments, whose values do not matter.

    Raises:
        TraceError: the operations hold for some sizes only, beyond the above.

    Example:
        >>> def slope(x):
        ...     x = x.detach().requires_grad_()
        ...     return torch.autograd.grad((x**2).sum(), x)
        >>> flat_graph(slope, torch.ones(5))(torch.arange(3.0))
        (tensor([0., 2., 4.]),)
    """
    with _without_shape_checker():
        graph = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*inputs)
    _check_sizes(graph, inputs)
    return graph


@contextmanager
def _without_shape_checker() -> Iterator[None]:
    """Switch off the runtime checks of shapes that tests run with: a symbol is no int to them."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _check_sizes(graph: fx.GraphModule, inputs: Iterable[Tensor]) -> None:
    """Refuse a graph with a condition on sizes, or with a size that has become a constant.

    Raises:
        TraceError: naming them.
    """
    placeholders = (node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder")
    symbols: dict[int, Any] = {}  # of each size
    bound: set[str] = set()
    for example, traced in zip(inputs, placeholders, strict=True):
        for size, free in zip(example.shape, traced.shape, strict=True):
            if size in (0, 1, 3):
                continue
            node: Any = getattr(free, "node", None)
            expression: Any = size if node is None else node.expr
            if expression in symbols.values() and symbols.get(size) != expression:
                bound.add(f"{size} is taken for another size")
            symbols[size] = expression
            if node is None or not expression.is_Symbol:
                bound.add(f"{size} has become {expression}")
                continue
            bound |= {
                str(guard.expr)
                for guard in node.shape_env.guards
                if expression in guard.expr.free_symbols
            }
    if bound:
        raise TraceError(
            f"the operations depend on the sizes of the batch: {'; '.join(sorted(bound))}"
        )


def forget_history(graph: fx.GraphModule) -> None:
    """Take out of a graph what matters to autograd alone, what does nothing, and what nobody uses.

    The values do not change by a bit.
    """
    for node in graph.graph.nodes:
        if node.target is _ATEN.detach.default or _does_nothing(node):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _does_nothing(node: fx.Node) -> bool:
    """Whether an operation takes all of its input, as it is."""
    if node.target not in (_ATEN.slice.Tensor, _ATEN.slice_backward.default, _ATEN.expand.default):
        return False
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return _layout(node) == _layout(source)


def _layout(node: fx.Node) -> list[Any]:
    """Return sizes and strides as expressions that are equal where the sizes are."""
    value = node.meta["val"]
    of_value: tuple[Any, ...] = (*value.shape, *value.stride())
    return [size.node.expr if isinstance(size, torch.SymInt) else size for size in of_value]


def call_directly(graph: fx.GraphModule, functions: Mapping[Any, Callable[..., Any]]) -> None:
    """Let a graph call functions of Python in place of operations that do the same.

    The operations of PyTorch become those that people call, which find their overload faster.

    Args:
        graph: a graph that nobody traces or differentiates any more.
        functions: operation -> function, of the kernels.
    """
    for node in graph.graph.nodes:
        if node.op == "call_function":
            _simplify(node)
            node.target = functions.get(node.target) or _PUBLIC.get(node.target, node.target)
    graph.recompile()


def constants_as_arguments(graph: fx.GraphModule) -> list[Tensor]:
    """Let a graph take its attributes as further arguments; return them, the same objects.

    Looking an attribute of a module up takes as long as a small operation. Tensors that are made
    of nothing but numbers, and that nothing changes in place, are made once and become arguments
    too.
    """
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    arguments: dict[str, fx.Node] = {}
    constants: list[Tensor] = []
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            name, value = str(node.target), getattr(graph, str(node.target))
        elif node.target in (_ATEN.scalar_tensor.default, _ATEN.zeros.default):
            if node.all_input_nodes or any(map(_changes, node.users)):
                continue
            name, value = node.name, node.target(*node.args, **node.kwargs)
        else:
            continue
        if name not in arguments:
            with graph.graph.inserting_after(last):
                last = arguments[name] = graph.graph.placeholder(f"constant_{name}")
            constants.append(value)
        node.replace_all_uses_with(arguments[name])
        graph.graph.erase_node(node)
    graph.recompile()
    return constants


def _changes(node: fx.Node) -> bool:
    """Whether an operation writes into an input."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _simplify(node: fx.Node) -> None:
    """Say what people would: `narrow` for a slice of known ends, `index_select` for one index."""
    if node.target is _ATEN.slice.Tensor and len(node.args) == 4:
        source, dim, start, end = node.args
        if isinstance(start, int) and isinstance(end, int) and 0 <= start <= end < _NO_END:
            node.target, node.args = torch.narrow, (source, dim, start, end - start)
    elif node.target is _ATEN.index.Tensor:
        source, indices = node.args
        assert isinstance(indices, Sequence)
        (index, *others) = indices
        if not others and isinstance(index, fx.Node) and index.meta["val"].dtype == torch.int64:
            node.target, node.args = torch.index_select, (source, 0, index)
    elif node.target is _ATEN._to_copy.default and set(node.kwargs) <= _OF_COPY:
        value, (source,) = node.meta["val"], node.all_input_nodes
        before = source.meta["val"]
        stays = (value.device, value.layout) == (before.device, before.layout)
        if stays and value.dtype != before.dtype:
            node.target, node.kwargs = Tensor.to, {"dtype": value.dtype}


_OF_COPY = {"dtype", "device", "layout"}

_ATEN = torch.ops.aten

_NO_END = 2**62
"""Ends of slices beyond are those of the tensor."""

_PUBLIC: dict[Any, Callable[..., Any]] = {
    _ATEN._unsafe_view.default: Tensor.view,
    _ATEN.add.Scalar: torch.add,
    _ATEN.add.Tensor: torch.add,
    _ATEN.cat.default: torch.cat,
    _ATEN.clamp.default: torch.clamp,
    _ATEN.clone.default: torch.clone,
    _ATEN.cos.default: torch.cos,
    _ATEN.div.Tensor: torch.div,
    _ATEN.empty_like.default: torch.empty_like,
    _ATEN.expand.default: Tensor.expand,
    _ATEN.fill_.Scalar: Tensor.fill_,
    _ATEN.index_add.default: torch.index_add,
    _ATEN.index_put.default: torch.index_put,
    _ATEN.index_select.default: torch.index_select,
    _ATEN.lt.Scalar: torch.lt,
    _ATEN.mm.default: torch.mm,
    _ATEN.mul.Scalar: torch.mul,
    _ATEN.mul.Tensor: torch.mul,
    _ATEN.neg.default: torch.neg,
    _ATEN.new_empty.default: Tensor.new_empty,
    _ATEN.new_zeros.default: Tensor.new_zeros,
    _ATEN.ones_like.default: torch.ones_like,
    _ATEN.permute.default: torch.permute,
    _ATEN.pow.Tensor_Scalar: torch.pow,
    _ATEN.repeat_interleave.Tensor: torch.repeat_interleave,
    _ATEN.rsub.Scalar: torch.rsub,
    _ATEN.select.int: torch.select,
    _ATEN.sigmoid.default: torch.sigmoid,
    _ATEN.sin.default: torch.sin,
    _ATEN.squeeze.dim: torch.squeeze,
    _ATEN.stack.default: torch.stack,
    _ATEN.sub.Tensor: torch.sub,
    _ATEN.sub_.Tensor: Tensor.sub_,
    _ATEN.sum.default: torch.sum,
    _ATEN.sum.dim_IntList: torch.sum,
    _ATEN.sym_size.int: Tensor.size,
    _ATEN.t.default: torch.t,
    _ATEN.unbind.int: torch.unbind,
    _ATEN.unsqueeze.default: torch.unsqueeze,
    _ATEN.view.default: Tensor.view,
    _ATEN.where.self: torch.where,
    _ATEN.zeros_like.default: torch.zeros_like,
}
