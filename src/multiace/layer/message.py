"""m_i: weighted sum of the product basis."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import Kernels
from multiace.layer.product_basis import ProductBasis


class Message(nn.Module):
    """m_{i c M} = sum_{nu eta} w^{z_i}_{nu eta c} B_{i nu eta c M}.

    With full coupling every channel c of the message has a weight for each B. Weights start with
    standard deviation 1 / paths, and enter as they are.

    Args:
        kernels: implementation.
        product_basis: the B.
        initial: initial weights.
        n_elements: elements of the model for weights w_z, or None for shared ones.

    Source: Batatia et al., MACE, NeurIPS 2022, eq. 10-11.
    """

    def __init__(
        self,
        kernels: Kernels,
        product_basis: ProductBasis,
        initial: Initialisation,
        *,
        n_elements: int | None,
    ) -> None:
        super().__init__()
        self.product_basis = product_basis
        self.product = kernels.polynomial_product(product_basis.table)
        self.per_element = n_elements is not None
        self.weights = nn.ParameterDict()
        for (irrep, order), n_paths in product_basis.n_paths.items():
            width = product_basis.irreps_out.channels[product_basis.irreps_out.index(irrep)]
            shape = (n_elements or 1, n_paths, width)
            name = f"{irrep}_order{order}"
            self.weights[name] = initial.weights(name, shape, 1.0 / n_paths)

    def forward(
        self, a: Float[Tensor, "nodes dim_in"], species: Int[Tensor, " nodes"]
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return m of every node."""
        return self.product(a, self.path_weights, species if self.per_element else None)

    @property
    def path_weights(self) -> Float[Tensor, "elements paths channels"]:
        """W of all irreps and orders, in the order of the table's paths."""
        weights = list(self.weights.values())
        if self.product_basis.total_degree is not None:
            weights = [w.flatten(1).unsqueeze(2) for w in weights]
        return torch.cat(weights, dim=1)
