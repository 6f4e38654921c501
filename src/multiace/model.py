"""The Multi-ACE model: from edge vectors to the energies of atoms.

| step | formula | code |
|---|---|---|
| edges | d_ji, e_n(d_ji), Y_lm(r_ji) | `EdgeFunctions` |
| h^(0) | W_{z_i} | `ChemicalEmbedding` |
| A | (1/lambda) sum_j R_{pc}(r_ji; z_j, z_i) sum C Y(r_ji) h_j, mixed over (p, c) | `AtomicBasis` |
| B, m | m = sum_{nu eta} w^{z_i}_{nu eta} B_{nu eta},  B = symmetrised products of A | `Message` |
| h^(t+1) | sigma( W m + self-connection(h, z_i) ) | `Update` |
| E_i | E0_{z_i} + shift + scale sum_t R_t(h_i^(t)) | readouts, `Baseline` |

`multiace.build` makes a Model of a `Design`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from multiace.baseline import Baseline
from multiace.geometry.pairs import Pairs
from multiace.layer.layer import Layer
from multiace.one_particle.basis import EdgeFunctions
from multiace.one_particle.chemical import ChemicalEmbedding


class Model(nn.Module):
    """Energies of atoms from edge vectors; no cell, no strain, no structure inside.

    Args:
        edge_functions: what no layer changes.
        embedding: h^(0).
        layers: from h^(t) to h^(t+1).
        readouts: position of a layer, from 0 -> R of its output.
        baseline: E0, shift, scale and core repulsion.
    """

    def __init__(
        self,
        edge_functions: EdgeFunctions,
        embedding: ChemicalEmbedding,
        layers: Sequence[Layer],
        readouts: Mapping[int, nn.Module],
        baseline: Baseline,
    ) -> None:
        super().__init__()
        self.edge_functions, self.embedding = edge_functions, embedding
        self.layers = nn.ModuleList(layers)
        self.readouts = nn.ModuleDict({str(t): readout for t, readout in readouts.items()})
        self.baseline = baseline

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the energy: E0, shift, ZBL, E1 .. ET, as far as there are."""
        return self.baseline.terms(tuple(int(t) + 1 for t in self.readouts))

    def forward(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        n_owned: int,
        pairs: Pairs | None = None,
    ) -> Float64[Tensor, "owned terms"]:
        """Return the terms of the energy of each owned atom in eV; their sum is E_i.

        Args:
            edge_vectors: r_ji = r_j - r_i in Å.
            senders: neighbour j of each edge.
            receivers: centre i of each edge, ascending.
            species: element of each node, as position in `elements`.
            n_owned: the first nodes, whose energies are wanted; the others are ghosts.
            pairs: edges with opposite vectors, whose radial functions are evaluated once; None:
                every edge is on its own.
        """
        edges = self.edge_functions(edge_vectors, senders, receivers, species, pairs)
        of_element: Tensor | None = self.embedding.of_element
        h = of_element[species]
        energies = []
        for t, layer in enumerate(self.layers):
            h = layer(h, edges, species, of_element)
            of_element = None  # from here on, neighbours of one element differ
            if str(t) in self.readouts:
                energies.append(self.readouts[str(t)](h[:n_owned]))
        repulsion = None
        if self.baseline.repulsion is not None:
            repulsion = self.baseline.repulsion(edges.distances, senders, receivers, species)
            repulsion = repulsion[:n_owned]
        return self.baseline(energies, species[:n_owned], repulsion)
