"""One Multi-ACE layer."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.message import Message
from multiace.layer.update import Update
from multiace.layer_layout import LayerLayout
from multiace.one_particle.basis import Edges


class Layer(nn.Module):
    """h^(t) -> A -> B -> m -> h^(t+1).

    Args:
        layout: irreps and paths.
        atomic_basis: A.
        message: m of the product basis B, or None for correlation 1, where m = A.
        update: h^(t+1).

    Source: Batatia et al. 2025.
    """

    def __init__(
        self,
        layout: LayerLayout,
        atomic_basis: AtomicBasis,
        message: Message | None,
        update: Update,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.atomic_basis = atomic_basis
        self.message = message
        self.update = update

    def forward(
        self,
        h: Float[Tensor, "nodes dim_in"],
        edges: Edges,
        species: Int[Tensor, " nodes"],
        of_element: Float[Tensor, "elements dim_in"] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return h^(t+1) of every node.

        Args:
            h: h^(t).
            edges: edges.
            species: element of each node.
            of_element: h^(0) of each element, in the first layer.
        """
        a = self.atomic_basis(h, edges, species, of_element)
        m = a if self.message is None else self.message(a, species)
        return self.update(m, h, species)
