"""Weighted sums of symmetrised products of features, channel by channel."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.tables import ProductTable


class PolynomialProduct(nn.Module):
    """m_{i c M} = sum_eta w^{z_i}_{eta c} B_{i eta c M}, the B of `ProductTable`.

    All monomials of A are formed once, order by order, each from one of the order below; the
    couplings then are one matrix product over them.

    Args:
        table: couplings and layout.
    """

    coefficients: Tensor

    def __init__(self, table: ProductTable) -> None:
        super().__init__()
        self.table = table
        self.n_orders = len(table.monomials)
        below: list[tuple[int, ...]] = [(c,) for c in range(table.irreps_in.n_components)]
        for order, rows in enumerate(table.monomials, 1):
            grown = _with_prefixes(table.monomials, order) if order < self.n_orders else list(rows)
            head = torch.tensor([below.index(row[:-1] or row) for row in grown])
            last = torch.tensor([row[-1] for row in grown])
            used = torch.tensor([grown.index(row) for row in rows])
            self.register_buffer(f"head_{order}", head, persistent=False)
            self.register_buffer(f"last_{order}", last, persistent=False)
            self.register_buffer(f"used_{order}", used, persistent=False)
            below = grown
        coefficients = torch.from_numpy(table.coefficients)
        self.register_buffer("coefficients", coefficients, persistent=False)

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
        """
        channels = self.table.irreps_in.channels[0]
        n_nodes = len(features)
        # components first: products of rows, and the couplings a matrix on the left
        a = (
            features.view(n_nodes, -1, channels).transpose(0, 1).flatten(1)
        )  # (lm, nodes * channels)
        monomials = self._monomials(a)  # (monomials, nodes * channels)
        basis = (self.coefficients @ monomials).view(-1, n_nodes, channels)  # (rows, nodes, c)
        w = weights[species] if species is not None else weights.expand(n_nodes, -1, -1)

        messages, row, path = [], 0, 0
        for irrep, counts in zip(self.table.irreps_out.irreps, self.table.n_paths, strict=True):
            n_paths = sum(counts)
            b = basis[row : row + n_paths * irrep.dim].view(n_paths, irrep.dim, n_nodes, channels)
            message = torch.einsum("pmnc,npc->nmc", b, w[:, path : path + n_paths])
            messages.append(message.flatten(1))
            row, path = row + n_paths * irrep.dim, path + n_paths
        return torch.cat(messages, dim=1)

    def _monomials(self, a: Tensor) -> Tensor:
        products, used = a, []
        for order in range(1, self.n_orders + 1):
            head = products.index_select(0, self.get_buffer(f"head_{order}"))
            if order == 1:
                products = head
            else:
                products = head * a.index_select(0, self.get_buffer(f"last_{order}"))
            used.append(products.index_select(0, self.get_buffer(f"used_{order}")))
        return torch.cat(used)


def _with_prefixes(
    monomials: tuple[tuple[tuple[int, ...], ...], ...], order: int
) -> list[tuple[int, ...]]:
    """Monomials of an order that occur themselves or begin one of a higher order."""
    occurring = {row[:order] for rows in monomials[order - 1 :] for row in rows}
    return sorted(occurring)
