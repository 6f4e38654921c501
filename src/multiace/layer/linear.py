"""Equivariant linear maps with their weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import Kernels
from multiace.kernels.tables import LinearTable
from multiace.o3.irreps import Irrep, Irreps


class EquivariantLinear(nn.Module):
    """y_{i m d} = sum_c x_{i m c} W_{c d} / sqrt(fan-in), W of each irrep, shared or per element.

    Args:
        kernels: implementation.
        irreps_in: irreps of x.
        irreps_out: irreps of y; those that x does not have stay zero.
        initial: initial weights.
        n_elements: elements of the model for weights W_z, or None for shared ones.
        count_elements: count the elements into the fan-in, as a map of the one-hot does.
        groups: irrep -> widths of the groups of channels that weigh alike (the paths after
            pooling); by default all channels weigh alike.
    """

    def __init__(
        self,
        kernels: Kernels,
        irreps_in: Irreps,
        irreps_out: Irreps,
        initial: Initialisation,
        *,
        n_elements: int | None = None,
        count_elements: bool = False,
        groups: Mapping[Irrep, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.kernel = kernels.linear(LinearTable(irreps_in, irreps_out))
        self.per_element = n_elements is not None
        self.grouped = groups is not None
        self.weights = nn.ParameterDict()
        self.factors: dict[str, float] = {}
        copies = () if n_elements is None else (n_elements,)
        width = {irrep: channels for channels, irrep in irreps_in.entries}
        for channels, irrep in irreps_out.entries:
            if irrep not in width:
                continue
            fan_in = width[irrep] * (n_elements if n_elements and count_elements else 1)
            shape = (*copies, width[irrep], channels)
            self.weights[str(irrep)], self.factors[str(irrep)] = initial.linear(
                str(irrep), shape, fan_in
            )
            if groups is not None:
                balance = _balance(groups[irrep])
                self.register_buffer(f"balance_{irrep}", balance, persistent=False)

    def forward(
        self, x: Float[Tensor, "nodes dim_in"], species: Int[Tensor, " nodes"]
    ) -> Float[Tensor, "nodes dim_out"]:
        """Apply the map."""
        of_node = species if self.per_element else None
        return self.kernel(x, self._balanced, of_node, self.factors)

    @property
    def matrices(self) -> dict[str, Tensor]:
        """Irrep -> W / sqrt(fan-in), ready to be multiplied with x."""
        return {irrep: w * self.factors[irrep] for irrep, w in self._balanced.items()}

    @property
    def _balanced(self) -> dict[str, Tensor]:
        """Irrep -> W, groups of channels weighing alike."""
        if not self.grouped:
            return dict(self.weights.items())
        return {i: w * self.get_buffer(f"balance_{i}") for i, w in self.weights.items()}


def _balance(widths: tuple[int, ...]) -> Float[Tensor, "channels 1"]:
    """Factors by which groups of channels, however wide, add equal variance."""
    mean = sum(widths) / len(widths)
    factors = [(mean / width) ** 0.5 for width in widths for _ in range(width)]
    return torch.tensor(factors, dtype=torch.float64).unsqueeze(1)
