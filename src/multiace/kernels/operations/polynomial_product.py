"""Weighted sums of symmetrised products of features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from multiace.kernels.operation import HasFunctions, Operation, OperationModule
from multiace.kernels.tables import ProductTable
from multiace.kernels.tables.product import Coefficients


class PolynomialProduct(OperationModule):
    """m_{i c M} = sum_eta w^{z_i}_{eta c} B_{i eta c M}, the B of `ProductTable`.

    Monomials of A are formed order by order, each from one of the order below and one more
    factor. The couplings then are one matrix product over them, channel by channel, or a sum over
    their sparse coefficients where channels couple.
    """

    name, of_table = "polynomial_product", ProductTable

    def __init__(self, table: ProductTable, kernels: HasFunctions | None = None) -> None:
        super().__init__(table, kernels)
        if self.function is not None:
            return
        below: tuple[tuple[int, ...], ...] = ((),)
        for order, monomials in enumerate(table.monomials, 1):
            position: dict[tuple[int, ...], int] = {f: q for q, f in enumerate(below)}
            of_head = [position[factors[:-1]] for factors in monomials]
            head = torch.tensor(of_head, dtype=torch.int64)
            last = torch.tensor([factors[-1] for factors in monomials], dtype=torch.int64)
            buffers = {"head": head, "last": last}
            if table.total_degree is None:
                buffers["coefficients"] = torch.from_numpy(table.coefficients(order))
            else:
                sparse = table.sparse_coefficients(order)._asdict()
                buffers |= {name: torch.from_numpy(x) for name, x in sparse.items()}
            for name, buffer in buffers.items():
                self.register_buffer(f"{name}_{order}", buffer, persistent=False)
            below = monomials

    def forward(
        self,
        features: Float[Tensor, "nodes dim_in"],
        weights: Float[Tensor, "elements paths channels"],
        species: Int[Tensor, " nodes"] | None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Evaluate the message.

        Args:
            features: A.
            weights: w, of one element if shared.
            species: element of each node, or None if w is shared.

        Raises:
            ValueError: shapes are not those of the table, or dtypes differ.
        """
        self._check(features, weights)
        function = self.function
        if function is not None:
            dim_out = self.table.irreps_out.dim
            return function(features, weights, species, self.encoding, dim_out)
        n_nodes, lanes = features.shape[0], self.table.lanes
        w = weights[species] if species is not None else weights.expand(n_nodes, -1, -1)
        w = w.transpose(0, 1)  # (paths, nodes, c)
        # components first: products of rows, and the couplings a matrix on the left
        a = features.unflatten(1, (-1, lanes)).transpose(0, 1).flatten(1)  # (lm, nodes c)
        if self.table.total_degree is not None:
            return self._coupled(a, w.flatten(1)).T
        irreps, n_paths = self.table.irreps_out.irreps, self.table.n_paths
        w_of = w.split([n for counts in n_paths for n in counts])
        messages: list[list[Tensor]] = [[] for _ in irreps]
        for order, products in enumerate(self._products(a), 1):
            basis = self.get_buffer(f"coefficients_{order}") @ products  # (rows, nodes c)
            sizes = [
                counts[order - 1] * irrep.dim for counts, irrep in zip(n_paths, irreps, strict=True)
            ]
            for n, block in enumerate(basis.split(sizes)):
                b = block.view(n_paths[n][order - 1], irreps[n].dim, n_nodes, lanes)
                weights_of = w_of[n * self.table.correlation + order - 1]
                messages[n].append((b * weights_of.unsqueeze(1)).sum(dim=0))
        total = [torch.stack(of_orders).sum(dim=0) for of_orders in messages]
        return torch.cat([m.transpose(0, 1).flatten(1) for m in total], dim=1)

    def _products(self, a: Float[Tensor, "components lanes"]) -> Iterator[Tensor]:
        """Give the monomials of each order."""
        products = a
        for order in range(1, self.table.correlation + 1):
            last = a.index_select(0, self.get_buffer(f"last_{order}"))
            if order == 1:
                products = last
            else:
                products = products.index_select(0, self.get_buffer(f"head_{order}")) * last
            yield products

    def _coupled(
        self, a: Float[Tensor, "components nodes"], w: Float[Tensor, "paths nodes"]
    ) -> Float[Tensor, "rows nodes"]:
        """Sum over the sparse coefficients, where channels couple."""
        message = a.new_zeros(self.table.irreps_out.dim, a.shape[1])
        for order, products in enumerate(self._products(a), 1):
            row, monomial, path, value = (
                self.get_buffer(f"{name}_{order}") for name in Coefficients._fields
            )
            terms = (
                value.unsqueeze(1) * w.index_select(0, path) * products.index_select(0, monomial)
            )
            message = message.index_add(0, row, terms)
        return message

    def _check(self, features: Tensor, weights: Tensor) -> None:
        dim_in, dtype = self.table.irreps_in.dim, features.dtype
        of_element = (self.table.n_weights, self.table.lanes)
        if features.shape[1:] != (dim_in,) or weights.shape[1:] != of_element:
            raise ValueError(
                f"features are {tuple(features.shape)} and weights {tuple(weights.shape)}; they "
                f"must be (nodes, {dim_in}) and (elements, {of_element[0]}, {of_element[1]}), as "
                "the table says. Build the table of these irreps."
            )
        if weights.dtype != dtype:
            raise ValueError(
                f"features are {dtype}, weights {weights.dtype}; they must be the same. Cast one."
            )


def _definition(
    features: Tensor, weights: Tensor, species: Tensor | None, table: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    return (PolynomialProduct.defined_by(table, features)(features, weights, species),)


POLYNOMIAL_PRODUCT = Operation(
    name="polynomial_product",
    inputs=("features", "weights"),
    constants="Tensor? species, Tensor table, int dim_out",
    n_outputs=1,
    fake=lambda features, *others: (features.new_empty((features.shape[0], others[-1])),),
    definition=_definition,
)
