"""Weighted sums of symmetrised products of features, channel by channel."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.tables import ProductTable


class PolynomialProduct(nn.Module):
    """m_{i c M} = sum_eta w^{z_i}_{eta c} B_{i eta c M}, the B of `ProductTable`.

    Monomials of A are formed order by order, each from one of the order below and one more
    factor; the couplings then are one matrix product over them.

    Args:
        table: couplings and layout.
    """

    def __init__(self, table: ProductTable) -> None:
        super().__init__()
        self.table = table
        below: tuple[tuple[int, ...], ...] = ((),)
        for order, monomials in enumerate(table.monomials, 1):
            position = {factors: q for q, factors in enumerate(below)}
            of_head = [position[factors[:-1]] for factors in monomials]
            head = torch.tensor(of_head, dtype=torch.int64)
            last = torch.tensor([factors[-1] for factors in monomials], dtype=torch.int64)
            coefficients = torch.from_numpy(table.coefficients(order))
            self.register_buffer(f"head_{order}", head, persistent=False)
            self.register_buffer(f"last_{order}", last, persistent=False)
            self.register_buffer(f"coefficients_{order}", coefficients, persistent=False)
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
        """
        irreps, n_paths = self.table.irreps_out.irreps, self.table.n_paths
        shape = (features.shape[0], self.table.irreps_in.channels[0])
        w = weights[species] if species is not None else weights.expand(shape[0], -1, -1)
        w = w.transpose(0, 1).split([n for counts in n_paths for n in counts])
        # components first: products of rows, and the couplings a matrix on the left
        a = features.unflatten(1, (-1, shape[1])).transpose(0, 1).flatten(1)  # (lm, nodes c)
        messages: list[list[Tensor]] = [[] for _ in irreps]
        products = a
        for order in range(1, self.table.correlation + 1):
            last = a.index_select(0, self.get_buffer(f"last_{order}"))
            if order == 1:
                products = last
            else:
                products = products.index_select(0, self.get_buffer(f"head_{order}")) * last
            basis = self.get_buffer(f"coefficients_{order}") @ products  # (rows, nodes c)
            sizes = [
                counts[order - 1] * irrep.dim for counts, irrep in zip(n_paths, irreps, strict=True)
            ]
            for n, block in enumerate(basis.split(sizes)):
                b = block.view(n_paths[n][order - 1], irreps[n].dim, *shape)
                weighted = (b * w[n * self.table.correlation + order - 1].unsqueeze(1)).sum(dim=0)
                messages[n].append(weighted)
        total = [torch.stack(of_orders).sum(dim=0) for of_orders in messages]
        return torch.cat([m.transpose(0, 1).flatten(1) for m in total], dim=1)
