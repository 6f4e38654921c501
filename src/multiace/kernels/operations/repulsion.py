"""Repulsion of atomic cores."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from multiace.envelope import Envelope
from multiace.kernels.operation import HasFunctions, Operation, OperationModule
from multiace.kernels.segment_sum import segment_sum
from multiace.kernels.tables import RepulsionTable


class Repulsion(OperationModule):
    """V_i = 1/2 sum_j (e^2 / 4 pi eps0) Z_i Z_j / r phi(r / a) u(r / r_0).

    | symbol | meaning |
    |---|---|
    | phi(x) | sum of `coefficients` e^(-`exponents` x) |
    | a | `length` / (Z_i^`power` + Z_j^`power`) |
    | e^2 / 4 pi eps0 | `coulomb` |
    | u | polynomial envelope |
    | r_0 | sum of the `half_ends` of i and j |

    Source: Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Matter (1985).
    """

    name, of_table = "repulsion", RepulsionTable
    charges: Tensor
    half_ends: Tensor

    def __init__(self, table: RepulsionTable, kernels: HasFunctions | None = None) -> None:
        super().__init__(table, kernels)
        for name in ("charges", "half_ends"):
            of_elements = torch.tensor(getattr(table, name), dtype=torch.float64)
            self.register_buffer(name, of_elements, persistent=False)

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " nodes"]:
        """Return the repulsion of each atom in eV."""
        function = self.function
        if function is not None:
            return function(distances, senders, receivers, species, self.encoding)
        table = self.table
        z_j, z_i = self.charges[species[senders]], self.charges[species[receivers]]
        ends = self.half_ends[species[senders]] + self.half_ends[species[receivers]]
        x = distances * (z_i.pow(table.power) + z_j.pow(table.power)) / table.length
        terms = zip(table.coefficients, table.exponents, strict=True)
        screening = sum(c * torch.exp(-k * x) for c, k in terms)
        pair = table.coulomb * z_i * z_j / distances * screening
        pair = pair * Envelope("polynomial", table.envelope_power)(distances / ends)
        return segment_sum(0.5 * pair, receivers, species.shape[0])


def _definition(distances: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
    *indices, table = constants
    return (Repulsion.defined_by(table, distances)(distances, *indices),)


REPULSION = Operation(
    name="repulsion",
    inputs=("distances",),
    constants="Tensor senders, Tensor receivers, Tensor species, Tensor table",
    n_outputs=1,
    fake=lambda distances, *constants: (distances.new_empty(constants[2].shape),),
    definition=_definition,
)
