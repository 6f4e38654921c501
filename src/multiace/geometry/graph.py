"""The graph of one or more structures: what a model is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from multiace.elements import ElementError, format_elements, sorted_elements
from multiace.geometry.neighbours import neighbour_list
from multiace.geometry.pairs import Pairs
from multiace.geometry.structure import Structure


@dataclass(frozen=True, eq=False)
class Graph:
    """Atoms as nodes and directed pairs within the cutoff as edges, immutable.

    Several structures are one graph without edges between them. Edges are sorted by receiver, and
    nodes by structure.

    Args:
        species: index of each atom's element in the sorted elements of the model.
        senders: neighbour j of each edge.
        receivers: centre i of each edge, ascending.
        edge_vectors: r_ji = r_j - r_i + cell shift, Å.
        structure_of_node: index of the structure each atom belongs to, ascending.
        n_structures: number of structures.
        volume: volume of each cell, Å^3; nan unless all three directions are periodic.
        pairs: the two directions of each pair; None where edge vectors are not opposite. Radial
            functions then are evaluated for every edge.

    Raises:
        TypeError: indices that are not int64.
    """

    species: Int64[Tensor, " nodes"]
    senders: Int64[Tensor, " edges"]
    receivers: Int64[Tensor, " edges"]
    edge_vectors: Float[Tensor, "edges 3"]
    structure_of_node: Int64[Tensor, " nodes"]
    n_structures: int
    volume: Float64[Tensor, " structures"]
    pairs: Pairs | None = None

    def __post_init__(self) -> None:
        for name in ("species", "senders", "receivers", "structure_of_node"):
            dtype = getattr(self, name).dtype
            if dtype != torch.int64:
                raise TypeError(f"{name} must be torch.int64, got {dtype}. Convert it by .long().")

    @property
    def n_nodes(self) -> int:
        """Number of atoms of all structures together."""
        return self.species.shape[0]

    @property
    def n_edges(self) -> int:
        """Number of directed edges of all structures together."""
        return self.senders.shape[0]

    @property
    def n_atoms(self) -> Int64[Tensor, " structures"]:
        """Number of atoms of each structure."""
        return torch.bincount(self.structure_of_node, minlength=self.n_structures)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Graph:
        """Return the graph on another device, its edge vectors in another precision.

        Only `edge_vectors` change dtype: volumes stay in float64 and indices integers.
        """
        return replace(
            self,
            species=self.species.to(device),
            senders=self.senders.to(device),
            receivers=self.receivers.to(device),
            edge_vectors=self.edge_vectors.to(device=device, dtype=dtype),
            structure_of_node=self.structure_of_node.to(device),
            volume=self.volume.to(device),
            pairs=None if self.pairs is None else self.pairs.to(device),
        )

    def clone(self) -> Graph:
        """Return a copy of everything."""
        tensors = {
            name: value.clone() for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        pairs = None if self.pairs is None else Pairs(*(each.clone() for each in self.pairs))
        return replace(self, **tensors, pairs=pairs)


def build_graph(structure: Structure, cutoff: float, elements: tuple[int, ...]) -> Graph:
    """Return the graph of one structure on the CPU, edge vectors in float64.

    Args:
        structure: the atoms.
        cutoff: Å, positive.
        elements: atomic numbers a model knows, ascending.

    Raises:
        ElementError: the structure has elements that are not among `elements`.
        ValueError: the cutoff is not positive, or `elements` are not sorted and distinct.

    Example:
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.96], [0.0, 0.93, -0.24]])
        >>> water = Structure(numbers=np.array([8, 1, 1]), positions=positions)
        >>> graph = build_graph(water, cutoff=3.0, elements=(1, 6, 8))
        >>> graph.species.tolist(), graph.n_edges
        ([2, 0, 0], 6)
    """
    edges = neighbour_list(structure, cutoff)
    volume = structure.volume
    return Graph(
        species=torch.from_numpy(species_of(structure, elements)),
        senders=torch.from_numpy(edges.senders),
        receivers=torch.from_numpy(edges.receivers),
        edge_vectors=torch.from_numpy(edges.vectors),
        structure_of_node=torch.zeros(structure.n_atoms, dtype=torch.int64),
        n_structures=1,
        volume=torch.tensor([np.nan if volume is None else volume], dtype=torch.float64),
        pairs=Pairs.of(edges.reverse),
    )


def species_of(structure: Structure, elements: tuple[int, ...]) -> Int64[np.ndarray, " atoms"]:
    """Return the index of each atom's element in `elements`.

    Raises:
        ElementError: the structure has elements that are not among `elements`.
        ValueError: `elements` are not sorted and distinct.
    """
    if tuple(elements) != sorted_elements(elements):
        raise ValueError(f"elements must be sorted and distinct, got {elements}.")
    missing = sorted_elements(set(structure.numbers.tolist()) - set(elements))
    if missing:
        origin = f" in {structure.source}" if structure.source else ""
        raise ElementError(
            f"The structure{origin} contains {format_elements(missing)}, which the model does not "
            f"know: its elements are {format_elements(elements)}. Train it with structures of "
            "these elements, or take them out."
        )
    return np.searchsorted(np.array(elements), structure.numbers).astype(np.int64)
