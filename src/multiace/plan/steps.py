"""What a plan carries out: steps that write arrays forward and gradients backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.design.layout import SCALAR
from multiace.kernels.dispatch import Kernels
from multiace.kernels.operations.edge_basis import EdgeBasis
from multiace.kernels.tables import GateTable, LinearTable
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.layer.update import Select
from multiace.o3.irreps import Irreps
from multiace.plan.arrays import Array, Rows
from multiace.plan.linear_map import LinearMap
from multiace.plan.sources import NetworkSource, RadialSource
from multiace.plan.topology import Topology
from multiace.readout import LinearReadout, MLPReadout


@runtime_checkable
class Step(Protocol):
    """One operation over arrays of a plan."""

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are; the nodes and the addresses of arrays if these have changed."""

    def forward(self) -> None:
        """Write the outputs."""

    def backward(self) -> None:
        """Write the gradients of the inputs, or add them where an input is shared."""


class Differentiated:
    """A step by PyTorch: any function of tensors, its gradient by autograd.

    For what is rare or small, such as readouts by a network.

    Args:
        function: (*inputs) -> one tensor for each output.
        inputs: arrays read.
        outputs: arrays written.
        rows: cut inputs to these rows, where owned nodes read arrays that have ghosts too.
        add: add to the outputs instead of writing them.
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Tensor]],
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        *,
        rows: Rows | None = None,
        add: bool = False,
    ) -> None:
        self.function, self.inputs, self.outputs = function, list(inputs), list(outputs)
        self.rows: Rows | None = rows
        self.add = add
        self._leaves: list[Tensor] = []
        self._results: Sequence[Tensor] = ()
        self._n_rows: list[int] = []

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the sizes."""
        sizes = top.sizes
        self._n_rows = [getattr(sizes, self.rows or array.rows) for array in self.inputs]

    def forward(self) -> None:
        """Evaluate the function."""
        # .data: autograd must not count writes to other rows, such as those of ghosts
        with torch.enable_grad():
            self._leaves = [
                array.value[:n].data.requires_grad_(array.differentiable)
                for array, n in zip(self.inputs, self._n_rows, strict=True)
            ]
            self._results = self.function(*self._leaves)
        for array, result in zip(self.outputs, self._results, strict=True):
            to = array.value[: len(result)]
            to.add_(result.detach()) if self.add else to.copy_(result.detach())

    def backward(self) -> None:
        """Pull the gradients of the outputs back."""
        wanted = [
            (array, leaf)
            for array, leaf in zip(self.inputs, self._leaves, strict=True)
            if array.differentiable
        ]
        pairs = [
            (result, array.gradient[: len(result)])
            for array, result in zip(self.outputs, self._results, strict=True)
            if result.requires_grad
        ]
        gradients: Sequence[Tensor | None] = [None] * len(wanted)
        if pairs and wanted:
            gradients = torch.autograd.grad(
                [result for result, _ in pairs],
                [leaf for _, leaf in wanted],
                [cotangent for _, cotangent in pairs],
                allow_unused=True,
            )
        for (array, leaf), gradient in zip(wanted, gradients, strict=True):
            to = array.gradient[: len(leaf)]
            if array.shared:
                if gradient is not None:
                    to += gradient
            else:
                to.copy_(gradient) if gradient is not None else to.zero_()
        self._leaves, self._results = [], ()


class Transform:
    """x(r), what the radial basis is evaluated at, and dx/dr beside it.

    Args:
        function: distances of pairs -> x, dx/dr.
        distances: array of distances of pairs.
        argument: array of x.
        rate: array of dx/dr.
    """

    def __init__(
        self,
        function: Callable[[Tensor], tuple[Tensor, Tensor]],
        distances: Array,
        argument: Array,
        rate: Array,
    ) -> None:
        self.function, self.distances, self.outputs = function, distances, (argument, rate)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""

    def forward(self) -> None:
        """Evaluate the function."""
        results = self.function(self.distances.value)
        for array, result in zip(self.outputs, results, strict=True):
            array.value.copy_(result)

    def backward(self) -> None:
        """Leave it to the radial functions, whose slopes are by the distance."""


class DistancesOfPairs:
    """d of each pair, from one of its edges.

    Args:
        of_edges: distances; its gradient is added to.
        of_pairs: array written.
    """

    def __init__(self, of_edges: Array, of_pairs: Array) -> None:
        assert of_edges.shared
        self.of_edges, self.of_pairs = of_edges, of_pairs
        self._edge: Tensor | None = None

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the pairs there are."""
        self._edge = top.edge_of_pair

    def forward(self) -> None:
        """Take the distances."""
        value = self.of_edges.value
        self.of_pairs.value.copy_(value if self._edge is None else value[self._edge])

    def backward(self) -> None:
        """Add the gradients, to that of one edge of each pair."""
        gradient, of_pairs = self.of_edges.gradient, self.of_pairs.gradient
        if self._edge is None:
            gradient.add_(of_pairs)
        else:
            gradient.index_add_(0, self._edge, of_pairs)


class Carry:
    """y = x, or y += x.

    Args:
        x: array read.
        y: array written, of as many rows as there are `rows`.
        rows: rows carried.
        add: add to y instead of writing it.
    """

    def __init__(self, x: Array, y: Array, rows: Rows, *, add: bool) -> None:
        self.x, self.y, self.add, self._n = x, y, add, 0
        self.rows: Rows = rows

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the number of rows."""
        self._n = _count(self.rows, top)

    def forward(self) -> None:
        """Carry values."""
        x, y = self.x.value[: self._n], self.y.value[: self._n]
        y.add_(x) if self.add else y.copy_(x)

    def backward(self) -> None:
        """Carry gradients back."""
        if self.x.differentiable:
            x, y = self.x.gradient[: self._n], self.y.gradient[: self._n]
            x.add_(y) if self.x.shared else x.copy_(y)


class ClearGradients:
    """Gradients that steps add to, back to zero.

    Args:
        arrays: whose gradients.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = tuple(arrays)

    def bind(self, top: Topology, moved: bool) -> None:
        """Nothing: arrays know their sizes."""

    def forward(self) -> None:
        """Clear them."""
        for array in self.arrays:
            array.gradient.zero_()

    def backward(self) -> None:
        """Nothing."""


class Lay:
    """Chooses the step for each part of a model: a kernel bound to its arrays, or `Differentiated`.

    Args:
        kernels: kernels of the potential.
        topology: the nodes and edges of the moment.
    """

    def __init__(self, kernels: Kernels, topology: Callable[[], Topology]) -> None:
        self._bound, self._linear, self._topology = kernels.steps, kernels.linear, topology

    @property
    def bound(self) -> bool:
        """Whether kernels are bound to arrays."""
        return self._bound is not None

    def edge_basis(
        self, module: EdgeBasis, vectors: Array, distances: Array, harmonics: Array
    ) -> Step:
        """Lay out distances and harmonics."""
        if self._bound is not None:
            return self._bound.EdgeGeometry(module.table.l_max, vectors, distances, harmonics)
        return Differentiated(module, [vectors], [distances, harmonics])

    def distances_of_pairs(self, of_edges: Array, of_pairs: Array) -> Step:
        """Lay out what takes the distance of each pair from one of its edges."""
        if self._bound is not None:
            return self._bound.TakeRows(of_edges, of_pairs, _edge_of_pair)
        return DistancesOfPairs(of_edges, of_pairs)

    def carry(self, x: Array, y: Array, rows: Rows, *, add: bool) -> Step:
        """Lay out y = x, or y += x."""
        if self._bound is not None:
            return self._bound.CarryRows(x, y, partial(_count, rows), add=add)
        return Carry(x, y, rows, add=add)

    def clear(self, arrays: Sequence[Array]) -> Step:
        """Lay out the clearing of gradients."""
        return (ClearGradients if self._bound is None else self._bound.ClearGradients)(arrays)

    def joined(self, steps: Sequence[Step]) -> list[Step]:
        """Join bound steps that follow one another, so that each pass of them is one call."""
        bound = self._bound
        if bound is None:
            return list(steps)
        joined: list[Step] = []
        for together, group in groupby(steps, lambda step: isinstance(step, bound.BoundStep)):
            of_group = list(group)
            joined += [bound.JoinedSteps(of_group)] if together else of_group
        return joined

    def convolution(
        self, module: nn.Module, source: RadialSource, h: Array, harmonics: Array, a: Array
    ) -> Step:
        """Lay out the sum over neighbours."""
        if self._bound is not None:
            return self._bound.Convolve(module.table, source, h, harmonics, a)
        assert isinstance(source, NetworkSource)

        def pool(h: Tensor, y: Tensor, u: Tensor) -> list[Tensor]:
            top = self._topology()
            types = source.edge_types(top)
            ends = (top.senders, top.receivers)
            pooled = module(h, y, u, source.weights, types, *ends, top.pair)
            return [pooled[: top.n_owned]]

        return Differentiated(pool, [h, harmonics, source.hidden], [a])

    def density(
        self, n_elements: int, source: NetworkSource, harmonics: Array, density: Array
    ) -> Step:
        """Lay out the density of neighbours; only where kernels are bound."""
        assert self._bound is not None
        return self._bound.SumDensity(n_elements, source.hidden, harmonics, density)

    def map(self, linear: LinearMap, x: Array, y: Array, rows: Rows, *, add: bool = False) -> Step:
        """Lay out a linear map of each node."""
        n_rows = partial(_count, rows)
        if self._bound is not None:
            irreps = (linear.irreps_in, linear.irreps_out)
            weights = (linear.matrices, linear.per_element)
            return self._bound.MapRows(*irreps, *weights, x, y, n_rows, add=add)
        kernel = self._linear(LinearTable(linear.irreps_in, linear.irreps_out))

        def function(x: Tensor) -> list[Tensor]:
            species = self._topology().species[: len(x)] if linear.per_element else None
            return [kernel(x, linear.matrices, species)]

        return Differentiated(function, [x], [y], rows=rows, add=add)

    def rows(self, module: nn.Module, x: Array, y: Array, rows: Rows, *, add: bool = False) -> Step:
        """Lay out a part that maps each node by itself."""
        if isinstance(module, nn.Identity):
            return self.carry(x, y, rows, add=add)
        if isinstance(module, EquivariantLinear):
            return self.map(LinearMap.of(module), x, y, rows, add=add)
        if self._bound is not None and isinstance(module, Message) and not add:
            table, weights = module.product_basis.table, module.path_weights.detach()
            return self._bound.Multiply(table, weights, module.per_element, x, y)
        if self._bound is not None and isinstance(module, self._bound.Gate) and not add:
            return self._bound.Activate(module, x, y, partial(_count, rows))

        def function(x: Tensor) -> list[Tensor]:
            if isinstance(module, (Message, Select)):
                return [module(x, self._topology().species[: len(x)])]
            return [module(x)]

        return Differentiated(function, [x], [y], rows=rows, add=add)

    def readout(
        self,
        module: nn.Module,
        features: Irreps,
        h: Array,
        energies: Array,
        array: Callable[[Rows, int], Array],
    ) -> list[Step]:
        """Lay out R(h) of owned nodes.

        Args:
            module: R.
            features: irreps of h.
            h: features.
            energies: where R(h) goes.
            array: makes arrays for what lies between.
        """
        if self._bound is None:
            return [Differentiated(lambda h: [module(h)], [h], [energies], rows="owned")]
        energy = Irreps.of(1, [SCALAR])
        if isinstance(module, LinearReadout):
            weights = {"0e": (module.weights * module.factor).detach()}
            return [self.map(LinearMap(features, energy, weights), h, energies, "owned")]
        assert isinstance(module, MLPReadout)
        activation, width = module.activation, module.first.shape[1]
        hidden = Irreps.of(width, [SCALAR])
        first = {"0e": (module.first * module.first_factor).detach()}
        second = {"0e": (module.second * module.second_factor).detach()}
        x = array("owned", width)
        steps = [self.map(LinearMap(features, hidden, first), h, x, "owned")]
        if activation is not None:
            odd = Activation.of("tanh")
            gate = self._bound.Gate(GateTable(hidden, hidden, activation, odd, activation))
            y = array("owned", width)
            steps.append(self._bound.Activate(gate, x, y, partial(_count, "owned")))
            x = y
        return [*steps, self.map(LinearMap(hidden, energy, second), x, energies, "owned")]


def _edge_of_pair(top: Topology) -> Tensor | None:
    return top.edge_of_pair


def _count(rows: Rows, top: Topology) -> int:
    return getattr(top.sizes, rows)
