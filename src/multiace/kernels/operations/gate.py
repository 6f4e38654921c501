"""Gated activation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.tables import GateTable, split_sizes
from multiace.o3.irreps import Irrep

_SCALAR = Irrep(0, 1)


class Gate(OperationModule):
    """Even scalars f(x), odd scalars tanh(x), the others x_{l m c} g(gate_{l c}).

    The first entry of the input holds the even scalars and then the gates, in the order of the
    gated irreps; the other entries are those of the output.
    """

    name, of_table = "gate", GateTable

    def forward(self, x: Float[Tensor, "nodes dim_in"]) -> Float[Tensor, "nodes dim_out"]:
        """Apply the gate."""
        table, function = self.table, self.function
        if function is not None:
            return function(x, self.encoding, table.irreps_out.dim)
        sizes, entries = split_sizes(table.irreps_in), table.irreps_out.entries
        blocks = dict(zip(table.irreps_in.irreps, x.split(sizes, dim=1), strict=True))
        gated = [channels for channels, irrep in entries if irrep.l > 0]
        first = [*(channels for channels, irrep in entries if irrep == _SCALAR), *gated]
        gates = list(blocks[_SCALAR].split(first, dim=1)) if _SCALAR in blocks else []
        result = []
        for _, irrep in entries:
            if irrep == _SCALAR:
                result.append(table.even(gates.pop(0)))
            elif irrep.l == 0:
                result.append(table.odd(blocks[irrep]))
            else:
                block = blocks[irrep].unflatten(1, (irrep.dim, -1))
                result.append((block * table.gate(gates.pop(0)).unsqueeze(1)).flatten(1))
        return torch.cat(result, dim=1)


GATE = Operation(
    name="gate",
    inputs=("x",),
    constants="Tensor table, int dim_out",
    n_outputs=1,
    fake=lambda x, table, dim_out: (x.new_empty((x.shape[0], dim_out)),),
    definition=lambda x, table, dim_out: (Gate.defined_by(table, x)(x),),
)
