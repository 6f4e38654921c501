"""Flat graphs: free in their sizes or refused, with nothing of autograd left."""

import jaxtyping
import pytest
import torch

from multiace.tracing import (
    EDGES,
    NODES,
    TraceError,
    call_directly,
    constants_as_arguments,
    flat_graph,
    forget_history,
)


def test_sizes_are_free():
    graph = flat_graph(lambda x, y: x.sum() * torch.ones(y.shape[0]), torch.ones(7), torch.ones(5))
    for n, m in ((3, 4), (2, 2), (9, 0), (1, 1)):
        assert graph(torch.ones(n), torch.ones(m)).tolist() == m * [float(n)]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x if x.shape[0] > 6 else 2.0 * x,
        lambda x, y: torch.ones(int(x.shape[0])),
        lambda x, y: x if x.shape[0] != y.shape[0] else y,
        lambda x, y: x.view(7, 1),
    ],
    ids=["a branch", "a number", "a comparison", "a constant"],
)
def test_operations_that_depend_on_sizes_are_refused(function):
    with pytest.raises(TraceError, match="depend on the sizes"):
        flat_graph(function, torch.ones(NODES), torch.ones(EDGES))


def test_sizes_that_must_be_equal_are_refused():
    with pytest.raises((TraceError, RuntimeError)):
        flat_graph(lambda x, y: x + y, torch.ones(NODES), torch.ones(EDGES))


def test_weights_are_the_same_objects():
    weights = torch.nn.Parameter(torch.ones(2))
    graph = flat_graph(lambda x: (x * weights.sum()).detach(), torch.ones(5))
    (own,) = graph.parameters()
    assert own is weights
    with torch.no_grad():
        weights.fill_(3.0)
    assert graph(torch.ones(2)).tolist() == [6.0, 6.0]


def test_history_is_forgotten_and_values_stay():
    def cube(x):
        y = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad((y**3).sum(), y, create_graph=True)
        _ = torch.sin(x)  # nobody uses it
        return torch.autograd.grad((slope**2).sum(), y)[0].detach()

    graph = flat_graph(cube, torch.ones(5))
    x = torch.linspace(-1.0, 2.0, 7)
    before = graph(x)
    assert "detach" in graph.code
    forget_history(graph)
    assert "detach" not in graph.code
    assert "sin" not in graph.code
    assert torch.equal(graph(x), before)


def test_operations_in_place_stay():
    def double(x):
        y = x.clone()
        y.mul_(2.0)
        return y

    graph = flat_graph(double, torch.ones(5))
    forget_history(graph)
    assert graph(torch.ones(2)).tolist() == [2.0, 2.0]


def test_the_shape_checker_is_as_it_was_even_after_an_error():
    def fail(x):
        raise ArithmeticError

    before = jaxtyping.config.jaxtyping_disable
    with pytest.raises(ArithmeticError):
        flat_graph(fail, torch.ones(5))
    assert jaxtyping.config.jaxtyping_disable == before


def test_what_takes_all_of_its_input_is_left_out():
    def function(x):
        y = x[: x.shape[0]].detach().requires_grad_()
        (slope,) = torch.autograd.grad((y[:, :].expand(*x.shape) ** 2).sum(), y)
        return slope[:, 1:]

    graph = flat_graph(function, torch.ones(5, 3))
    x = torch.randn(7, 3)
    expected = graph(x)
    forget_history(graph)
    targets = [node.target for node in graph.graph.nodes]
    assert targets.count(torch.ops.aten.slice.Tensor) == 1
    assert torch.ops.aten.slice_backward.default not in targets
    assert torch.equal(graph(x), expected)


def test_operations_become_functions_that_do_the_same():
    def function(x):
        y = torch.cat([x * 2.0, x.sum(dim=0, keepdim=True), x.mean().expand(1, 3) - 1.0])
        return torch.where(y > 0, y.mm(y.t()).select(0, 0).unsqueeze(1), -y / 3.0).pow(2)

    graph = flat_graph(function, torch.ones(5, 3))
    x = torch.randn(4, 3)
    expected = graph(x)
    call_directly(graph, {torch.ops.aten.gt.Scalar: lambda y, zero: y > zero})
    overloads = [n for n in graph.graph.nodes if isinstance(n.target, torch._ops.OpOverload)]
    assert [str(node.target) for node in overloads] == ["aten.mean.default"]
    assert torch.equal(graph(x), expected)


@pytest.mark.parametrize(
    ("function", "target"),
    [
        (lambda x, i: x[:, 1:3] + 0.0, torch.narrow),
        (lambda x, i: x[i], torch.index_select),
        (lambda x, i: x.double(), torch.Tensor.to),
    ],
    ids=["a slice", "an index", "a conversion"],
)
def test_operations_become_what_people_would_write(function, target):
    graph = flat_graph(function, torch.ones(5, 3), torch.zeros(7, dtype=torch.int64))
    x, i = torch.randn(4, 3), torch.tensor([2, 0, 2])
    call_directly(graph, {})
    assert target in {node.target for node in graph.graph.nodes}
    assert torch.equal(graph(x, i), function(x, i))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x[:, 1:],
        lambda x, i: x[:, -2:],
        lambda x, i: x[:, ::2],
        lambda x, i: x[:, i % 3],
        lambda x, i: x[i, i % 3],
        lambda x, i: x[x[:, 0] > 0],
    ],
    ids=["to the end", "from the end", "steps", "columns", "two indices", "a mask"],
)
def test_other_slices_and_indices_stay_what_they_are(function):
    graph = flat_graph(function, torch.ones(5, 3), torch.zeros(7, dtype=torch.int64))
    x, i = torch.randn(4, 3), torch.tensor([2, 0, 2])
    call_directly(graph, {})
    assert torch.equal(graph(x, i), function(x, i))


def test_constants_become_arguments_and_stay_the_same_objects():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    graph = flat_graph(lambda x: weight * torch.where(x > 0, x, 0.0) + weight, torch.ones(5))
    constants = constants_as_arguments(graph)
    assert {node.op for node in graph.graph.nodes} == {"placeholder", "call_function", "output"}
    assert any(constant is weight for constant in constants)
    assert len(constants) == 2  # the weight once, and the zero
    x = torch.tensor([-1.0, 3.0])
    assert graph(x, *constants).tolist() == [2.0, 8.0]
    with torch.no_grad():
        weight.fill_(1.0)
    assert graph(x, *constants).tolist() == [1.0, 4.0]


def test_a_constant_that_is_changed_in_place_is_made_anew():
    graph = flat_graph(lambda x: x + torch.zeros(()).add_(1.0), torch.ones(5))
    constants = constants_as_arguments(graph)
    for _ in range(2):
        assert graph(torch.zeros(2), *constants).tolist() == [1.0, 1.0]
