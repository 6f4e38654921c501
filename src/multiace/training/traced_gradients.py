"""Gradients of the loss of a batch from a graph of operations that was traced beforehand."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor, fx

from multiace.geometry import Graph, Pairs
from multiace.potential import Potential
from multiace.tracing import (
    EDGES,
    NODES,
    PAIRS,
    STRUCTURES,
    call_directly,
    constants_as_arguments,
    flat_graph,
    forget_history,
)
from multiace.training.config import TrainingConfig
from multiace.training.examples import Example, Targets
from multiace.training.loss import Terms, loss_terms

_OF_GRAPH = tuple(f for f in Graph.__dataclass_fields__ if f not in ("n_structures", "pairs"))
_OF_TARGETS = tuple(Targets.__dataclass_fields__)


class Kind(NamedTuple):
    """What batches must have in common to follow one graph.

    Args:
        forces: the loss has a forces term.
        stress: the loss has a stress term.
        single: the batch is one structure, a size that would become a constant of the graph.
    """

    forces: bool
    stress: bool
    single: bool

    @classmethod
    def of(cls, batch: Example, weights: Float64[Tensor, " terms"]) -> Kind:
        """Return the kind of a batch with these weights of the loss."""
        return cls(bool(weights[1] > 0), bool(weights[2] > 0), batch.graph.n_structures == 1)


class TracedGradients:
    """The operations of a step up to the gradients, one after the other in a flat function.

    Autograd records them once, for sizes that stand for all. What then is left out is the work
    of Python in the modules of the model, of autograd and of the dispatcher before each compiled
    kernel; operations and their order stay, and with them every bit of the results. Tensors are
    let go after their last use, so that a step needs no more memory than with autograd.

    Args:
        potential: with kernels that have functions for graphs; its weights stay its own.
        config: of the run.
        kind: of the batches.

    Raises:
        TraceError: the operations depend on sizes.
    """

    def __init__(self, potential: Potential, config: TrainingConfig, kind: Kind) -> None:
        start = time.perf_counter()
        self._parameters = list(potential.parameters())
        graph = flat_graph(_function(potential, config, kind), *_example(potential, kind))
        forget_history(graph)
        direct = potential.kernels.direct
        assert direct is not None
        _own_gradients(graph, self._parameters)
        self._constants = constants_as_arguments(graph)
        call_directly(graph, direct)
        for node in graph.graph.nodes:
            node.meta.clear()  # sizes and symbols of the trace
        self._run = graph.forward
        self.n_operations = sum(node.op == "call_function" for node in graph.graph.nodes)
        self.seconds = time.perf_counter() - start

    def __call__(
        self, batch: Example, weights: Float64[Tensor, " terms"]
    ) -> tuple[Float64[Tensor, ""], Terms]:
        """Set the gradients of the weights; return the loss and its terms.

        Args:
            batch: of the kind that was traced, with 2 atoms and 2 pairs or more.
            weights: of the terms of the loss.
        """
        with torch.no_grad():
            loss, sums, counts, *gradients = self._run(weights, *_inputs(batch), *self._constants)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss, Terms(sums, counts)


def _inputs(batch: Example) -> list[Tensor]:
    """Return the tensors of a batch in the order of the arguments of a graph."""
    graph, targets = vars(batch.graph), vars(batch.targets)
    pairs = batch.graph.pairs
    assert pairs is not None
    return [*pairs, *(graph[name] for name in _OF_GRAPH), *(targets[name] for name in _OF_TARGETS)]


def _function(
    potential: Potential, config: TrainingConfig, kind: Kind
) -> Callable[..., tuple[Tensor | None, ...]]:
    """Return (weights of the loss, tensors of a batch) -> (loss, sums, counts, gradients)."""
    parameters = list(potential.parameters())

    def gradients(
        weights: Tensor, of_edge: Tensor, edge: Tensor, *tensors: Tensor
    ) -> tuple[Tensor | None, ...]:
        of_graph = dict(zip(_OF_GRAPH, tensors, strict=False))
        of_targets = dict(zip(_OF_TARGETS, tensors[len(_OF_GRAPH) :], strict=True))
        n_structures = of_graph["volume"].shape[0]
        graph = Graph(**of_graph, n_structures=n_structures, pairs=Pairs(of_edge, edge))
        with torch.enable_grad():
            with potential.on_radial_grid(config.radial_grid):
                prediction = potential(graph, forces=kind.forces, stress=kind.stress)
            terms = loss_terms(prediction, Targets(**of_targets), config.loss)
            loss = terms.value(weights)
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return (loss, terms.sums, terms.counts, *found)

    return gradients


def _example(potential: Potential, kind: Kind) -> list[Tensor]:
    """Return the arguments of a graph at the sizes that it is traced with."""
    n_structures = 1 if kind.single else STRUCTURES
    receivers = torch.arange(EDGES) * NODES // EDGES
    structure_of_node = torch.arange(NODES) * n_structures // NODES
    zeros, ones = torch.zeros(n_structures).double(), torch.ones(n_structures).double()
    n_atoms = torch.bincount(structure_of_node, minlength=n_structures)
    graph = Graph(
        species=torch.zeros(NODES, dtype=torch.int64),
        senders=(receivers + 1) % NODES,
        receivers=receivers,
        edge_vectors=torch.ones(EDGES, 3, dtype=potential.dtype),
        structure_of_node=structure_of_node,
        n_structures=n_structures,
        volume=ones,
        pairs=Pairs(torch.arange(EDGES) % PAIRS, torch.arange(PAIRS)),
    )
    targets = Targets(
        energy=zeros,
        forces=torch.zeros(NODES, 3).double(),
        stress=torch.zeros(n_structures, 3, 3).double(),
        has_energy=ones.bool(),
        has_forces=torch.ones(NODES).bool(),
        has_stress=ones.bool(),
        weight=ones.clone(),
        n_atoms=n_atoms.double(),
    )
    return [torch.ones(3).double(), *_inputs(Example(graph, targets))]


def _own_gradients(graph: fx.GraphModule, parameters: Sequence[Tensor]) -> None:
    """Let each gradient be a tensor of its own, laid out as the weights, as autograd does."""
    output = graph.graph.output_node()
    results: list[Any] = list(output.args[0])  # pyright: ignore[reportArgumentType]
    seen: set[fx.Node] = set()
    for place, parameter in enumerate(parameters, start=len(results) - len(parameters)):
        node = results[place]
        if node is None:
            continue
        if _is_new(node) and node not in seen and node.meta["val"].stride() == parameter.stride():
            seen.add(node)
            continue
        with graph.graph.inserting_before(output):
            results[place] = graph.graph.call_function(_laid_out, (node, parameter.stride()))
    output.args = (tuple(results),)


def _laid_out(gradient: Tensor, strides: tuple[int, ...]) -> Tensor:
    """Copy a gradient."""
    own = torch.empty_strided(gradient.shape, strides, dtype=gradient.dtype, device=gradient.device)
    return own.copy_(gradient)


def _is_new(node: fx.Node) -> bool:
    """Whether the result of an operation is no view of another tensor."""
    source: Any = node
    while source.target is operator.getitem:
        source = source.args[0]
    return source.op == "call_function" and not getattr(source.target, "is_view", False)
