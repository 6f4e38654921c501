"""The layers of a program."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.kernels.operation import OperationModule
from multiace.kernels.tables import (
    ConvolutionTable,
    DensityTable,
    GateTable,
    SelectTable,
)
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.layer.update import Select, Update
from multiace.layer_layout import LayerLayout
from multiace.o3.irreps import Irrep, Irreps
from multiace.program.draft import Draft
from multiace.program.edges import EdgeOperations, RadialSource
from multiace.program.linear_map import LinearMap, folded
from multiace.readout import LinearReadout, MLPReadout, SumReadout

_SCALAR = Irrep(0, 1)
_ENERGY = Irreps.of(1, [_SCALAR])


class LayerOperations:
    """Adds layers and readouts to a draft; h^(0) is given by element.

    Args:
        draft: the program so far.
        edges: what layers read of edges.
    """

    def __init__(self, draft: Draft, edges: EdgeOperations) -> None:
        self.draft, self.edges, self.present = draft, edges, draft.present

    def layer(self, t: int, layer: Layer, source: RadialSource, h: int | Tensor) -> int:
        """Add h^(t-1) -> A -> m -> h^(t); h^(0) is given by element."""
        a, maps = self._pool(t, layer.atomic_basis, layer.layout, source, h)
        chain: list[LinearMap | Message] = [*maps]
        if layer.message is not None:
            chain.append(layer.message)
        update = layer.update
        if update.linear is not None:
            chain.append(LinearMap.of(cast(EquivariantLinear, update.linear), self.present))
        chain = folded(chain)
        out = self.draft.array("nodes", layer.layout.features_out.dim)
        for n, part in enumerate(chain, 1):
            last = out if n == len(chain) and update.nonlinearity is None else None
            if isinstance(part, LinearMap):
                a = self._map(part, a, t, to=last)
            else:
                a = self._message(part, a, t, to=last)
        self._connect(t, update, h, a)
        if update.nonlinearity is not None:
            sigma = cast(OperationModule, update.nonlinearity)
            self.draft.add(sigma.name, t, [a], [out], sigma.table)
        return out

    def _pool(
        self, t: int, basis: AtomicBasis, layout: LayerLayout, source: RadialSource, h: int | Tensor
    ) -> tuple[int, list[LinearMap]]:
        """Add (1/lambda) sum_j phi(j -> i); return it and the linear maps after it."""
        maps = [
            LinearMap.of(cast(EquivariantLinear, linear), self.present)
            for linear in basis.after_pooling
        ]
        if basis.neighbour_density is not None:
            a, maps = self._densities(t, basis, layout, source, maps)
        elif basis.species_pooling is not None:
            assert isinstance(h, Tensor)
            a, of_density = self._density(t, basis, source, h)
            if basis.density is None:
                return a, [of_density, *maps]
            a = self._map(of_density, a, t)
        else:
            a = self.draft.array("owned", layout.pooled.dim)
            inputs = [self._mix(t, basis, layout, h), self.edges.harmonics, source.hidden]
            constants = [source.weights, source.types]
            assert basis.convolution is not None
            table = cast(ConvolutionTable, basis.convolution.table)
            self.draft.add("convolution", t, inputs, [a], table, constants)
        if basis.density is None:
            return a, maps
        density = self.draft.array("owned", 1)
        weights = basis.density.weights * basis.density.factor
        assert self.edges.basis is not None
        self.draft.add("pooling_density", t, self.edges.basis, [density], constants=[weights])
        pooled = self.draft.array("owned", self.draft.width(a))
        return self.draft.add("quotient", t, [a, density], [pooled]), maps

    def _mix(self, t: int, basis: AtomicBasis, layout: LayerLayout, h: int | Tensor) -> int:
        """Add the features that the convolution reads, of all nodes."""
        mixing = basis.before_edges
        if isinstance(h, Tensor):
            mixed = self.draft.array("nodes", layout.convolved.dim)
            return self._embed(0, self._of_elements(mixing, h), mixed)
        if mixing is None:
            return h
        return self._apply(mixing, h, t, self.draft.array("nodes", layout.convolved.dim))

    def _densities(
        self,
        t: int,
        basis: AtomicBasis,
        layout: LayerLayout,
        source: RadialSource,
        maps: list[LinearMap],
    ) -> tuple[int, list[LinearMap]]:
        """Add 1/lambda times the densities of each element present.

        Returns:
            Their array, and the linear maps after it.
        """
        assert basis.neighbour_density is not None
        of_all = cast(DensityTable, basis.neighbour_density.table)
        n_types, present = of_all.n_types, self.present
        table = replace(of_all, n_types=len(present))
        rho = self.draft.array("owned", table.dim)
        inputs = [self.edges.harmonics, source.hidden]
        self.draft.add("neighbour_density", t, inputs, [rho], table, [None])
        if maps:  # of the channels of elements present
            first = maps[0]
            matrices = {
                irrep: w.unflatten(-2, (n_types, -1)).index_select(-3, present).flatten(-3, -2)
                for irrep, w in first.matrices.items()
            }
            maps[0] = replace(
                first, irreps_in=self._present(layout.pooled, n_types), matrices=matrices
            )
        # splines have the factor already
        if basis.pooling_factor == 1.0 or self.edges.splines is not None:
            return rho, maps
        irreps = self._present(layout.pooled, n_types)
        factor = torch.tensor(basis.pooling_factor, dtype=self.draft.dtype)
        scaled = {str(irrep): factor * torch.eye(n).to(factor) for n, irrep in irreps.entries}
        return rho, [LinearMap(irreps, irreps, scaled), *maps]

    def _present(self, irreps: Irreps, n_types: int) -> Irreps:
        """Return the channels of the elements present."""
        n = len(self.present)
        return Irreps(tuple((n * number, irrep) for number, irrep in irreps.numbered(n_types)))

    def _density(
        self, t: int, basis: AtomicBasis, source: RadialSource, h: Tensor
    ) -> tuple[int, LinearMap]:
        """Add rho, and return the map rho -> sum_{z k} rho V h."""
        pooling, n = basis.species_pooling, len(self.present)
        assert pooling is not None
        assert source.weights is not None
        n_hidden = source.weights.shape[1]
        table = DensityTable.full(pooling.table.l_max, n, n_hidden)
        irreps = Irreps.of(n * n_hidden, pooling.irreps_in.irreps)
        rho = self.draft.array("owned", irreps.dim)
        inputs = [self.edges.harmonics, source.hidden]
        self.draft.add("neighbour_density", t, inputs, [rho], table, [None])
        mixed = self._of_elements(basis.before_edges, h)
        matrices = pooling.matrices(mixed, source.weights)
        return rho, LinearMap(irreps, pooling.table.irreps_out, matrices, pooling.per_element)

    def _message(self, message: Message, a: int, t: int, *, to: int | None) -> int:
        table, weights = message.product_basis.table, message.path_weights
        weights = weights[self.present] if message.per_element else weights
        if table.n_types > 1:
            table, paths = table.paths_within(self.present.tolist())
            weights = weights[:, paths]
        to = self.draft.array("owned", table.irreps_out.dim) if to is None else to
        return self.draft.add("polynomial_product", t, [a], [to], table, [weights])

    def _connect(self, t: int, update: Update, h: int | Tensor, to: int) -> None:
        """Add the self-connection to the message."""
        connection = update.self_connection
        if connection is None:
            return
        if isinstance(h, Tensor):
            self._embed(t, self._of_elements(connection, h), to)
        else:
            self._apply(connection, h, t, to)

    def _of_elements(self, module: nn.Module | None, h: Tensor) -> Tensor:
        """Return what a part makes of the features of each element present."""
        h = h[self.present]
        return h if module is None else module(h, self.present)

    def _embed(self, layer: int, of_element: Tensor, to: int) -> int:
        return self.draft.add("embedding", layer, [], [to], constants=[of_element])

    def _apply(self, module: nn.Module, x: int, t: int, to: int) -> int:
        """Add a selection or linear map."""
        if isinstance(module, Select):
            table = SelectTable(module.irreps_in, module.irreps_out)
            return self.draft.add("select", t, [x], [to], table)
        return self._map(LinearMap.of(cast(EquivariantLinear, module), self.present), x, t, to=to)

    def _map(self, linear: LinearMap, x: int, t: int, *, to: int | None = None) -> int:
        to = self.draft.array("owned", linear.irreps_out.dim) if to is None else to
        return self.draft.add("linear", t, [x], [to], linear.table, [linear.flat])

    def readout(self, t: int, readout: nn.Module, features: Irreps, h: int) -> int:
        """Add R(h)."""
        if isinstance(readout, SumReadout):
            weights = {str(_SCALAR): torch.ones(readout.channels, 1, dtype=self.draft.dtype)}
            return self._map(LinearMap(features, _ENERGY, weights), h, t)
        if isinstance(readout, LinearReadout):
            weights = {str(_SCALAR): readout.weights * readout.factor}
            return self._map(LinearMap(features, _ENERGY, weights), h, t)
        assert isinstance(readout, MLPReadout)
        hidden = Irreps.of(readout.first.shape[1], [_SCALAR])
        first = {str(_SCALAR): readout.first * readout.first_factor}
        second = {str(_SCALAR): readout.second * readout.second_factor}
        maps = LinearMap(features, hidden, first), LinearMap(hidden, _ENERGY, second)
        if readout.activation is None:
            return self._map(maps[0].then(maps[1]), h, t)
        x = self._map(maps[0], h, t)
        activation = readout.activation
        table = GateTable(hidden, hidden, activation, Activation.of("tanh"), activation)
        y = self.draft.add("gate", t, [x], [self.draft.array("owned", hidden.dim)], table)
        return self._map(maps[1], y, t)
