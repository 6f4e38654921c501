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
        table, function = self.table, self.function
        if function is not None:
            return function(x, self.encoding)
        result = []
        blocks = x.split(split_sizes(table.irreps), dim=1)
        for block, irrep in zip(blocks, table.irreps.irreps, strict=True):
            if irrep.l == 0:
                result.append(table.even(block) if irrep == Irrep(0, 1) else table.odd(block))
                continue
            components = block.unflatten(1, (irrep.dim, -1))  # (nodes, m, channels)
            norm = (1.0 + components.square().mean(dim=1, keepdim=True)).sqrt()
            result.append((components * (table.even(norm) / norm)).flatten(1))
        return torch.cat(result, dim=1)


NORM = Operation(
    name="norm",
    inputs=("x",),
    constants="Tensor table",
    n_outputs=1,
    fake=lambda x, table: (x.new_empty(x.shape),),
    definition=lambda x, table: (Norm.defined_by(table, x)(x),),
)
