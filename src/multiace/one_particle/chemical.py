"""h^(0): what a layer sees of a chemical element."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.initialisation import Initialisation


class ChemicalEmbedding(nn.Module):
    """h_{i c}^(0) = W_{z_i c} (learned), or delta_{z_i c} (one-hot).

    Args:
        kind: learned or one_hot.
        n_elements: chemical elements of the model.
        channels: channels of h^(0); one_hot: `n_elements`.
        count_elements: divide by sqrt(elements), as a linear map of the one-hot does.
        initial: initial weights.
    """

    def __init__(
        self,
        kind: Literal["learned", "one_hot"],
        n_elements: int,
        channels: int,
        *,
        count_elements: bool,
        initial: Initialisation,
    ) -> None:
        super().__init__()
        self.factor = 1.0
        if kind == "learned":
            fan_in = n_elements if count_elements else 1
            self.weights, self.factor = initial.linear("weights", (n_elements, channels), fan_in)
        else:
            one_hot = torch.eye(n_elements, dtype=torch.float64)
            self.register_buffer("weights", one_hot, persistent=False)

    def forward(self, species: Int[Tensor, " nodes"]) -> Float[Tensor, "nodes channels"]:
        """Return h^(0) of every node."""
        return self.of_element[species]

    @property
    def of_element(self) -> Float[Tensor, "elements channels"]:
        """h^(0) of every element."""
        return self.weights * self.factor
