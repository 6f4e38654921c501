"""Steps of a plan: kernels whose arguments are bound once to arrays that stay.

Calling a kernel then costs a microsecond. Each step writes its outputs forward, and backward the
energy's gradients by its inputs, adding where an input is shared with other steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from multiace.kernels.cpu import (
    convolution,
    edge_basis,
    gate,
    linear,
    neighbour_density,
    polynomial_product,
)
from multiace.kernels.cpu.bound_kernel import Array, BoundKernel, Topology
from multiace.kernels.cpu.bound_kernel import BoundStep as BoundStep
from multiace.kernels.cpu.bound_kernel import JoinedSteps as JoinedSteps
from multiace.kernels.cpu.prediction import SumTerms as SumTerms
from multiace.kernels.cpu.radial_steps import HiddenFeatures as HiddenFeatures
from multiace.kernels.cpu.radial_steps import RadialValues as RadialValues
from multiace.kernels.cpu.rows import CarryRows as CarryRows
from multiace.kernels.cpu.rows import ClearGradients as ClearGradients
from multiace.kernels.cpu.rows import TakeRows as TakeRows
from multiace.kernels.cpu.spline import SplineBasis as SplineBasis
from multiace.kernels.cpu.spline import SplineFunctions as SplineFunctions
from multiace.kernels.cpu.threads import threads as threads
from multiace.kernels.operations.gate import Gate
from multiace.kernels.tables import ConvolutionTable, DensityTable, LinearTable, ProductTable
from multiace.o3.irreps import Irreps


class SumDensity(BoundStep):
    """The density of neighbours of each element.

    Args:
        n_elements: elements of the potential.
        hidden: u.
        harmonics: Y.
        density: rho of the owned nodes.
    """

    def __init__(self, n_elements: int, hidden: Array, harmonics: Array, density: Array) -> None:
        self.hidden, self.harmonics, self.density = hidden, harmonics, density
        names = ("neighbour_density_forward", "neighbour_density_backward")
        dtype, l_max = density.value.dtype, math.isqrt(harmonics.value.shape[1]) - 1
        words = DensityTable.full(l_max, n_elements, hidden.value.shape[1]).encoding[1:]
        self._kernels = [BoundKernel(name, dtype, neighbour_density.Arguments()) for name in names]
        super().__init__(self._kernels[:1], self._kernels[1:])
        for kernel in self._kernels:
            kernel.set(table=words)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        elements = top.species[top.senders]
        for kernel in self._kernels:
            kernel.set(
                n_nodes=top.n_owned,
                n_edges=len(top.senders),
                n_pairs=top.n_pairs,
                n_threads=threads(),
                edge_types=elements,
                receivers=top.receivers,
                pairs=top.pair,
            )
        if not moved:
            return
        hidden, harmonics, density = self.hidden, self.harmonics, self.density
        for kernel in self._kernels:
            kernel.set(hidden=hidden.value, harmonics=harmonics.value)
        self._kernels[0].set(density=density.value)
        self._kernels[1].set(
            cotangent=density.gradient,
            hidden_gradient=hidden.gradient,
            harmonics_gradient=harmonics.gradient,
            add_harmonics_gradient=1,
        )


KEPT = 2**24
"""Bytes of radial functions u V that a convolution may keep for its backward pass: what stays in a
cache that cores share. The rest is computed again."""


class Convolve(BoundStep):
    """The sum over neighbours, with radial functions u V or splines.

    Args:
        table: couplings and layout.
        source: `hidden` and `weights`, or `basis` and `table`, and `edge_types(topology)`.
        features: h of all nodes.
        harmonics: Y of the edges.
        pooled: A of the owned nodes.
    """

    def __init__(
        self, table: ConvolutionTable, source: Any, features: Array, harmonics: Array, pooled: Array
    ) -> None:
        self.source, self.features, self.harmonics, self.pooled = (
            source,
            features,
            harmonics,
            pooled,
        )
        self._splined = hasattr(source, "basis")
        dtype = pooled.value.dtype
        names = ("convolution_forward", "convolution_backward")
        self._kernels = [BoundKernel(name, dtype, convolution.Arguments()) for name in names]
        super().__init__(self._kernels[:1], self._kernels[1:])
        assert not features.shared or not features.differentiable
        words = table.encoding[1:]
        weights = source.table if self._splined else source.weights
        self._kept = weights.new_empty(0)
        for kernel in self._kernels:
            kernel.set(table=words, weights=weights, n_types=len(weights), n_threads=threads())
            if self._splined:
                kernel.set(n_knots=weights.shape[1])
            else:
                kernel.set(n_hidden=weights.shape[1], type_rows=weights.shape[1])

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        types = self.source.edge_types(top)
        for kernel in self._kernels:
            kernel.set(
                n_edges=len(top.senders),
                n_pairs=top.n_pairs,
                n_threads=threads(),
                senders=top.senders,
                receivers=top.receivers,
                edge_types=types,
                pairs=top.pair,
            )
            if self._splined:
                basis = self.source.basis
                kernel.set(knots=basis.knots, spline_basis=basis.basis, spline_slope=basis.slope)
        if not self._splined:
            self._keep(len(top.senders))
        if moved:
            self._take_arrays(top)

    def _keep(self, n_edges: int) -> None:
        """Make room for the radial functions of so many edges, within the bound."""
        weights = self.source.weights
        most = KEPT // weights.itemsize
        wanted = n_edges * weights.shape[2]
        if len(self._kept) < min(wanted, most):
            self._kept = weights.new_empty(min(int(1.1 * wanted), most))
            for kernel in self._kernels:
                kernel.set(kept=self._kept, n_kept=len(self._kept))

    def _take_arrays(self, top: Topology) -> None:
        features, harmonics, pooled = self.features, self.harmonics, self.pooled
        for kernel in self._kernels:
            kernel.set(
                n_senders=len(top.species),
                n_receivers=top.n_owned,
                features=features.value,
                harmonics=harmonics.value,
            )
            if not self._splined:
                kernel.set(hidden=self.source.hidden.value)
        forward, backward = self._kernels
        forward.set(pooled=pooled.value)
        backward.set(
            cotangent=pooled.gradient,
            harmonics_gradient=harmonics.gradient,
            add_harmonics_gradient=1,
            features_gradient=features.gradient if features.differentiable else None,
        )
        if self._splined:
            backward.set(distance_gradient=self.source.basis.distances.gradient)
        else:
            backward.set(hidden_gradient=self.source.hidden.gradient)


class MapRows(BoundStep):
    """An equivariant linear map.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y.
        weights: irrep -> (c, d), or (elements, c, d).
        per_element: whether weights are by element.
        x: input.
        y: output.
        n_rows: how many rows of a topology are mapped.
        add: add to y.
    """

    def __init__(
        self,
        irreps_in: Irreps,
        irreps_out: Irreps,
        weights: dict[str, Tensor],
        per_element: bool,
        x: Array,
        y: Array,
        n_rows: Callable[[Topology], int],
        *,
        add: bool,
    ) -> None:
        self.x, self.y, self.per_element, self.n_rows, self.add = x, y, per_element, n_rows, add
        table = LinearTable(irreps_in, irreps_out)
        flat = torch.cat([y.value.new_empty(0), *(matrix.flatten() for matrix in weights.values())])
        n_elements = next(iter(weights.values())).shape[0] if per_element and weights else 1
        names = ("linear_forward", "linear_transposed")
        dtype = y.value.dtype
        self._kernels = [BoundKernel(name, dtype, linear.Arguments()) for name in names]
        super().__init__(self._kernels[:1], self._kernels[1:] if x.differentiable else [])
        for kernel, transposed in zip(self._kernels, (False, True), strict=True):
            packed = linear.pack_weights(table, flat, n_elements, transposed=transposed)
            kernel.set(table=table.encoding[1:], packed=packed, n_elements=n_elements)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the rows there are."""
        if not moved:
            return
        species = top.species if self.per_element else None
        for kernel in self._kernels:
            kernel.set(n_nodes=self.n_rows(top), species=species, n_threads=threads())
        forward, backward = self._kernels
        forward.set(x=self.x.value, y=self.y.value, accumulate=int(self.add))
        if self.x.differentiable:
            accumulate = int(self.x.shared)
            backward.set(x=self.x.gradient, y=self.y.gradient, accumulate=accumulate)


class Multiply(BoundStep):
    """The message of symmetrised products.

    Args:
        table: couplings and layout.
        weights: (elements, paths, channels), of one element if shared.
        per_element: whether weights are by element.
        a: atomic basis.
        m: message.
    """

    def __init__(
        self, table: ProductTable, weights: Tensor, per_element: bool, a: Array, m: Array
    ) -> None:
        self.a, self.m, self.per_element = a, m, per_element
        words = polynomial_product.packed(table.encoding)
        names = ("polynomial_product_forward", "polynomial_product_backward")
        self._kernels = [
            BoundKernel(name, weights.dtype, polynomial_product.Arguments()) for name in names
        ]
        super().__init__(self._kernels[:1], self._kernels[1:])
        assert not a.shared
        for kernel in self._kernels:
            kernel.set(
                table=words,
                weights=weights,
                n_channels=table.irreps_in.channels[0],
                n_elements=len(weights),
            )

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the nodes there are."""
        if not moved:
            return
        species = top.species if self.per_element else None
        for kernel in self._kernels:
            kernel.set(n_nodes=top.n_owned, species=species, n_threads=threads())
            kernel.set(features=self.a.value)
        self._kernels[0].set(product=self.m.value)
        self._kernels[1].set(cotangent=self.m.gradient, features_gradient=self.a.gradient)


class Activate(BoundStep):
    """A gate.

    Args:
        module: the gate.
        x: input.
        y: output.
        n_rows: how many rows of a topology are mapped.
    """

    def __init__(self, module: Gate, x: Array, y: Array, n_rows: Callable[[Topology], int]) -> None:
        self.x, self.y, self.n_rows = x, y, n_rows
        names, dtype = ("gate_forward", "gate_backward"), y.value.dtype
        self._kernels = [BoundKernel(name, dtype, gate.Arguments()) for name in names]
        super().__init__(self._kernels[:1], self._kernels[1:])
        assert not x.shared
        for kernel in self._kernels:
            kernel.set(table=module.encoding[1:])

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the rows there are."""
        if not moved:
            return
        for kernel in self._kernels:
            kernel.set(n_nodes=self.n_rows(top), n_threads=threads(), x=self.x.value)
        self._kernels[0].set(y=self.y.value)
        self._kernels[1].set(cotangent=self.y.gradient, x_gradient=self.x.gradient)


class EdgeGeometry(BoundStep):
    """Distances and harmonics of the edge vectors.

    Args:
        l_max: largest l.
        vectors: r_ji.
        distances: d_ji.
        harmonics: Y_lm.
    """

    def __init__(self, l_max: int, vectors: Array, distances: Array, harmonics: Array) -> None:
        self.vectors, self.distances, self.harmonics = vectors, distances, harmonics
        names, dtype = ("edge_basis_forward", "edge_basis_backward"), vectors.value.dtype
        self._kernels = [BoundKernel(name, dtype, edge_basis.Arguments()) for name in names]
        super().__init__(self._kernels[:1], self._kernels[1:])
        for kernel in self._kernels:
            kernel.set(l_max=l_max)

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        forward, backward = self._kernels
        for kernel in self._kernels:
            kernel.set(n_edges=len(top.senders), n_threads=threads())
        if not moved:
            return
        vectors, distances, harmonics = self.vectors, self.distances, self.harmonics
        forward.set(vectors=vectors.value, distances=distances.value, harmonics=harmonics.value)
        backward.set(
            vectors=vectors.value,
            distances_cotangent=distances.gradient,
            harmonics_cotangent=harmonics.gradient,
            vectors_gradient=vectors.gradient,
        )
