"""Nonlinearity by norms."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.tables import NormTable, split_sizes
from multiace.o3.irreps import Irrep


class Norm(OperationModule):
    """Scalars f(x) (odd ones: tanh); the others x_{l m c} f(n_{l c}) / n_{l c}.

    n^2 = 1 + sum_m x_{l m c}^2 / (2 l + 1) is smooth where the feature vanishes.
    """

    name, of_table = "norm", NormTable

    def forward(self, x: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes dim"]:
        """Apply the nonlinearity."""
        function = self.function
        return norm(self.table, x) if function is None else function(x, self.encoding)


def norm(table: NormTable, x: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes dim"]:
    """Apply the nonlinearity: the definition."""
    result = []
    blocks = x.split(split_sizes(table.irreps), dim=1)
    for block, irrep in zip(blocks, table.irreps.irreps, strict=True):
        if irrep.l == 0:
            result.append(table.even(block) if irrep == Irrep(0, 1) else table.odd(block))
            continue
        components = block.unflatten(1, (irrep.dim, -1))  # (nodes, m, channels)
        n = (1.0 + components.square().mean(dim=1, keepdim=True)).sqrt()
        result.append((components * (table.even(n) / n)).flatten(1))
    return torch.cat(result, dim=1)


NORM = Operation(
    name="norm",
    inputs=("x",),
    constants="Tensor table",
    n_outputs=1,
    fake=lambda x, table: (x.new_empty(x.shape),),
    definition=lambda x, table: (norm(NormTable.decode(table), x),),
)
