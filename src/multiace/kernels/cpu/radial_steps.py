"""Steps of a plan that evaluate radial basis and network, and their derivatives by the distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multiace.kernels.cpu import radial_basis, radial_network
from multiace.kernels.cpu.bound_kernel import Array, BoundKernel, BoundStep, Topology
from multiace.kernels.cpu.spline import SplineFunctionsArguments
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operations.radial_basis import RadialBasis
from multiace.kernels.operations.radial_network import RadialNetwork


class RadialValues(BoundStep):
    """Basis and envelope of the distances, and their slopes; the network pulls them back.

    Args:
        module: the radial basis.
        constants: k_n.
        distances: r of the pairs.
        transformed: x and dx/dr of the pairs; None: x is r.
    """

    def __init__(
        self,
        module: RadialBasis,
        constants: Tensor,
        distances: Array,
        transformed: tuple[Array, Array] | None,
    ) -> None:
        self.distances, self.transformed = distances, transformed
        number, dtype = module.table.number, distances.value.dtype
        self.basis = self.basis_slope = torch.empty((0, number), dtype=dtype)
        self.envelope = self.envelope_slope = None
        if module.table.envelope_on == "weights":
            self.envelope = self.envelope_slope = torch.empty(0, dtype=dtype)
        self._kernel = BoundKernel("radial_basis_tangent", dtype, radial_basis.Arguments())
        super().__init__([self._kernel])
        self._kernel.set(constants=constants, **radial_basis.fixed(module.table))

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        n = top.n_pairs
        if n > len(self.basis):
            rows = int(1.1 * n) + 1
            shape = (rows, self.basis.shape[1])
            self.basis, self.basis_slope = (self.basis.new_empty(shape) for _ in range(2))
            if self.envelope is not None:
                self.envelope, self.envelope_slope = (self.basis.new_empty(rows) for _ in range(2))
        self._kernel.set(
            n_rows=n,
            n_threads=threads(),
            distances=self.distances.value,
            basis=self.basis,
            basis_dot=self.basis_slope,
            envelope=self.envelope,
            envelope_dot=self.envelope_slope,
        )
        if self.transformed is not None:
            argument, rate = self.transformed
            self._kernel.set(argument=argument.value, argument_dot=rate.value)


class HiddenFeatures(BoundStep):
    """u(r) of a radial network and du/dr, both at once: r is the only thing that u depends on.

    Args:
        module: the radial network.
        matrices: its hidden layers.
        biases: their biases, or none at all.
        radial: basis and envelope of the distances.
        hidden: u.
    """

    def __init__(
        self,
        module: RadialNetwork,
        matrices: Sequence[Tensor],
        biases: Sequence[Tensor],
        radial: RadialValues,
        hidden: Array,
    ) -> None:
        self.radial, self.hidden = radial, hidden
        dtype, width = hidden.value.dtype, hidden.value.shape[1]
        self._table = module.encoding  # which the widths are in
        self._forward_kernel = BoundKernel(
            "radial_network_tangent", dtype, radial_network.Arguments()
        )
        self._forward_kernel.set(
            **radial_network.fixed(module.table, self._table),
            weights=torch.cat([matrix.flatten() for matrix in matrices]) if matrices else None,
            biases=torch.cat(list(biases)) if biases else None,
        )
        arguments = SplineFunctionsArguments()
        self._backward_kernel = BoundKernel("spline_functions_backward", dtype, arguments)
        self._backward_kernel.set(n_functions=width)
        self._slopes = hidden.value.new_empty((0, width))
        super().__init__([self._forward_kernel], [self._backward_kernel])

    def bind(self, top: Topology, moved: bool) -> None:
        """Take the edges there are."""
        n, radial = top.n_pairs, self.radial
        if n > len(self._slopes):
            self._slopes = self._slopes.new_empty((int(1.1 * n) + 1, self._slopes.shape[1]))
        self._forward_kernel.set(
            n_rows=n,
            n_threads=threads(),
            basis=radial.basis,
            basis_dot=radial.basis_slope,
            envelope=radial.envelope,
            envelope_dot=radial.envelope_slope,
            features=self.hidden.value,
            features_dot=self._slopes,
        )
        self._backward_kernel.set(
            n_rows=n,
            slopes=self._slopes,
            cotangent=self.hidden.gradient,
            distance_gradient=radial.distances.gradient,
        )
