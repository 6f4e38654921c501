"""Equivariant linear maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from multiace.kernels.operation import HasFunctions, Operation, OperationModule
from multiace.kernels.operations.flat_weights import flat_weights_of
from multiace.kernels.tables import LinearTable, split_sizes


class Linear(OperationModule):
    """y_{n m d} = a sum_c x_{n m c} W_{c d}, one matrix for each irrep; or W_{z_n c d}.

    Irreps that x does not have are zero in y.
    """

    name, of_table = "linear", LinearTable

    def __init__(self, table: LinearTable, kernels: HasFunctions | None = None) -> None:
        super().__init__(table, kernels)
        self.mixed = [str(irrep) for irrep in table.shapes]

    def forward(
        self,
        x: Float[Tensor, "nodes dim_in"],
        weights: Mapping[str, Tensor],
        species: Int[Tensor, " nodes"] | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Apply the map.

        Args:
            x: features.
            weights: irrep -> (c, d), or (elements, c, d) with `species`.
            species: element of each node, for maps that depend on it.
            factors: irrep -> a; None: all are 1.
        """
        function = self.function
        if function is None:
            if factors is not None:
                weights = {irrep: weights[irrep] * factors[irrep] for irrep in self.mixed}
            return linear(self.table, x, weights, species)
        matrices = [weights[irrep] for irrep in self.mixed]
        n_elements = 1 if species is None or not matrices else len(matrices[0])
        scales = [1.0 if factors is None else factors[irrep] for irrep in self.mixed]
        flat = flat_weights_of(self.kernels)(matrices, scales) if matrices else x.new_empty(0)
        return function(x, flat, species, self.encoding, self.table.irreps_out.dim, n_elements)


def linear(
    table: LinearTable,
    x: Float[Tensor, "nodes dim_in"],
    weights: Mapping[str, Tensor],
    species: Int[Tensor, " nodes"] | None,
) -> Float[Tensor, "nodes dim_out"]:
    """Apply a map: the definition."""
    parts = x.split(split_sizes(table.irreps_in), dim=1)
    blocks = dict(zip(table.irreps_in.irreps, parts, strict=True))
    result = []
    for channels, irrep in table.irreps_out.entries:
        if irrep not in blocks:
            result.append(x.new_zeros(x.shape[0], irrep.dim * channels))
            continue
        block = blocks[irrep].unflatten(1, (irrep.dim, -1))  # (nodes, m, c)
        weight = weights[str(irrep)]
        if species is not None:
            weight = weight[species]  # (nodes, c, d)
        result.append((block @ weight).flatten(1))
    return torch.cat(result, dim=1)


def _definition(
    x: Tensor, weights: Tensor, species: Tensor | None, table: Tensor, dim_out: int, n_elements: int
) -> tuple[Tensor, ...]:
    decoded = LinearTable.decode(table)
    copies = () if species is None else (n_elements,)
    parts = weights.split([n_elements * c * d for c, d in decoded.shapes.values()])
    matrices = {
        str(irrep): part.view(*copies, *shape)
        for (irrep, shape), part in zip(decoded.shapes.items(), parts, strict=True)
    }
    return (linear(decoded, x, matrices, species),)


LINEAR = Operation(
    name="linear",
    inputs=("x", "weights"),
    constants="Tensor? species, Tensor table, int dim_out, int n_elements",
    n_outputs=1,
    fake=lambda x, weights, *constants: (x.new_empty((x.shape[0], constants[2])),),
    definition=_definition,
    multilinear=True,
)
