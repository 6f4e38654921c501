"""Hidden layers of radial functions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.operations.flat_weights import flat_weights_of
from multiace.kernels.tables import RadialNetworkTable


class RadialNetwork(OperationModule):
    """u = f(.. f(a_1 e W_1 + b_1) ..), times the envelope; without layers u is e."""

    name, of_table = "radial_network", RadialNetworkTable

    def forward(
        self,
        basis: Float[Tensor, "edges number"],
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        envelope: Float[Tensor, " edges"] | None,
        factors: Sequence[float] | None = None,
    ) -> Float[Tensor, "edges hidden"]:
        """Return the hidden features u.

        Args:
            basis: e.
            weights: W of each layer, (width before, width).
            biases: b of each layer, or none at all.
            envelope: factor of each edge, or None.
            factors: a of each layer; None: all are 1.
        """
        function = self.function
        if not weights and envelope is None:
            return basis
        if function is None:
            if factors is not None:
                weights = [weight * a for weight, a in zip(weights, factors, strict=True)]
            return radial_network(self.table, basis, weights, biases, envelope)
        nothing, scales = basis.new_empty(0), factors or [1.0] * len(weights)
        return function(
            basis,
            flat_weights_of(self.kernels)(weights, scales) if weights else nothing,
            torch.cat(list(biases)) if biases else nothing,
            nothing if envelope is None else envelope,
            self.encoding,
            self.table.widths[-1],
        )


def radial_network(
    table: RadialNetworkTable,
    basis: Float[Tensor, "edges number"],
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    envelope: Float[Tensor, " edges"] | None,
) -> Float[Tensor, "edges hidden"]:
    """Return the hidden features: the definition."""
    u = basis
    for n, weight in enumerate(weights):
        u = u @ weight
        if biases:
            u = u + biases[n]
        u = table.activation(u)
    return u if envelope is None else u * envelope.unsqueeze(1)


def _definition(
    basis: Tensor, weights: Tensor, biases: Tensor, envelope: Tensor, table: Tensor, n_hidden: int
) -> tuple[Tensor, ...]:
    decoded = RadialNetworkTable.decode(table)
    shapes = list(pairwise(decoded.widths))
    parts = weights.split([a * b for a, b in shapes])
    matrices = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
    rows = biases.split(list(decoded.widths[1:])) if biases.numel() else ()
    factor = envelope if envelope.numel() else None
    return (radial_network(decoded, basis, matrices, rows, factor),)


RADIAL_NETWORK = Operation(
    name="radial_network",
    inputs=("basis", "weights", "biases", "envelope"),
    constants="Tensor table, int n_hidden",
    n_outputs=1,
    fake=lambda basis, *others: (basis.new_empty((basis.shape[0], others[-1])),),
    definition=_definition,
)
