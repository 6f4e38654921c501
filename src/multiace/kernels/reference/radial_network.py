"""Hidden layers of radial functions."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation


class RadialNetwork(nn.Module):
    """u = f(.. f(a_1 e W_1 + b_1) ..), times the envelope; without layers u is e.

    Args:
        activation: f.
    """

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

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
        u = basis
        for n, weight in enumerate(weights):
            u = u @ (weight if factors is None else weight * factors[n])
            if biases:
                u = u + biases[n]
            u = self.activation(u)
        return u if envelope is None else u * envelope.unsqueeze(1)
