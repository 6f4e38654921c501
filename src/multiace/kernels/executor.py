"""What a backend may bring beside operations: an executor, which runs programs."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Float64, Int64
from torch import Tensor


class Totals(NamedTuple):
    """Sums over the nodes and edges of each structure.

    | quantity | field | unit |
    |---|---|---|
    | E | `energy` | eV |
    | E_i | `energies` | eV |
    | terms of E | `contributions` | eV |
    | F_i | `forces` | eV/Å |
    | -dE/d(strain) | `virial` | eV |
    """

    energy: Float64[Tensor, " structures"]
    energies: Float64[Tensor, " nodes"]
    contributions: Float64[Tensor, "structures terms"]
    forces: Float64[Tensor, "nodes 3"] | None
    virial: Float64[Tensor, "structures 3 3"] | None


@runtime_checkable
class Executor(Protocol):
    """Runs one program; made from the bytes of its file. One thread at a time may use it.

    `bind` comes first. Then either `evaluate`, or `begin`, layers from 1 to T, `energies`, layers
    in reverse, and `gradient`; between the layers, features of ghosts and their gradients are
    exchanged. After an error it must be bound again.
    """

    def bind(
        self,
        n_owned: int,
        species: Int64[Tensor, " nodes"],
        senders: Int64[Tensor, " edges"],
        receivers: Int64[Tensor, " edges"],
        reverse: Int64[Tensor, " edges"] | None,
    ) -> None:
        """Copy nodes and edges.

        Args:
            n_owned: the first nodes, which are not ghosts.
            species: of each node, as position in the elements of the program.
            senders: j of each edge.
            receivers: i of each edge.
            reverse: the opposite of each edge, if radial functions are evaluated once a pair.
        """
        ...

    def begin(self, edge_vectors: Float[Tensor, "edges 3"], gradients: bool) -> None:
        """Evaluate what no layer changes; `gradients`: layers will be reversed too."""
        ...

    def forward_layer(self, t: int) -> None:
        """Evaluate h^(t) of owned nodes."""
        ...

    def features(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return the memory of h^(t)."""
        ...

    def energies(self) -> Float64[Tensor, "owned terms"]:
        """Return the terms of each energy, eV."""
        ...

    def reverse_layer(self, t: int) -> None:
        """Add what layer t contributes to the gradients."""
        ...

    def feature_gradients(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return the memory of dE/dh^(t)."""
        ...

    def gradient(self) -> Float64[Tensor, "edges 3"]:
        """Return dE/d(edge vector), eV/Å."""
        ...

    def evaluate(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        structure_of_node: Int64[Tensor, " nodes"],
        n_structures: int,
        *,
        forces: bool,
        virial: bool,
    ) -> Totals:
        """Evaluate structures without ghosts."""
        ...
