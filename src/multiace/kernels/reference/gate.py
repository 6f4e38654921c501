"""Gated activation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irrep, Irreps

_SCALAR = Irrep(0, 1)


class Gate(nn.Module):
    """Even scalars f(x), odd scalars tanh(x), the others x_{l m c} g(gate_{l c}).

    The first entry of the input holds the even scalars and then the gates, in the order of the
    gated irreps; the other entries are those of the output.

    Args:
        irreps_in: irreps of the input.
        irreps_out: irreps of the output.
        even: f.
        odd: activation of odd scalars; must be odd.
        gate: g.
    """

    def __init__(
        self,
        irreps_in: Irreps,
        irreps_out: Irreps,
        even: Activation,
        odd: Activation,
        gate: Activation,
    ) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.even, self.odd, self.gate = even, odd, gate
        from multiace.kernels.tables import GateTable

        self.table = GateTable(irreps_in, irreps_out, even, odd, gate)
        gated = [channels for channels, irrep in irreps_out.entries if irrep.l > 0]
        scalars = [channels for channels, irrep in irreps_out.entries if irrep == _SCALAR]
        self.first = [*scalars, *gated]

    def forward(self, x: Float[Tensor, "nodes dim_in"]) -> Float[Tensor, "nodes dim_out"]:
        """Apply the gate."""
        sizes = split_sizes(self.irreps_in)
        blocks = dict(zip(self.irreps_in.irreps, x.split(sizes, dim=1), strict=True))
        gates = list(blocks[_SCALAR].split(self.first, dim=1)) if _SCALAR in blocks else []
        result = []
        for _, irrep in self.irreps_out.entries:
            if irrep == _SCALAR:
                result.append(self.even(gates.pop(0)))
            elif irrep.l == 0:
                result.append(self.odd(blocks[irrep]))
            else:
                block = blocks[irrep].unflatten(1, (irrep.dim, -1))
                result.append((block * self.gate(gates.pop(0)).unsqueeze(1)).flatten(1))
        return torch.cat(result, dim=1)
