"""R_t: features of an atom to an energy."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.initialisation import Initialisation


class LinearReadout(nn.Module):
    """R(h) = sum_c w_c h_{c 00}: keeps the body order of h.

    Args:
        channels: even scalars of h.
        initial: initial weights.
    """

    def __init__(self, channels: int, initial: Initialisation) -> None:
        super().__init__()
        self.channels = channels
        self.weights, self.factor = initial.linear("weights", (channels, 1), channels)

    def forward(self, h: Float[Tensor, "nodes dim"]) -> Float[Tensor, " nodes"]:
        """Return the energy of each node in units of the model's scale."""
        return (h[:, : self.channels] @ (self.weights * self.factor)).squeeze(1)


class SumReadout(nn.Module):
    """R(h) = sum_c h_{c 00}, without weights.

    Args:
        channels: even scalars of h.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, h: Float[Tensor, "nodes dim"]) -> Float[Tensor, " nodes"]:
        """Return the energy of each node in units of the model's scale."""
        return h[:, : self.channels].sum(dim=1)


class MLPReadout(nn.Module):
    """R(h) = w2 f(W1 h_00), without biases, so that R(0) = 0.

    Args:
        channels: even scalars of h.
        hidden: hidden width.
        activation: f, or None: two linear maps.
        initial: initial weights.
    """

    def __init__(
        self, channels: int, hidden: int, activation: Activation | None, initial: Initialisation
    ) -> None:
        super().__init__()
        self.channels, self.activation = channels, activation
        self.first, self.first_factor = initial.linear("first", (channels, hidden), channels)
        self.second, self.second_factor = initial.linear("second", (hidden, 1), hidden)

    def forward(self, h: Float[Tensor, "nodes dim"]) -> Float[Tensor, " nodes"]:
        """Return the energy of each node in units of the model's scale."""
        x = h[:, : self.channels] @ (self.first * self.first_factor)
        if self.activation is not None:
            x = self.activation(x)
        return (x @ (self.second * self.second_factor)).squeeze(1)
