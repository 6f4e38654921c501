"""`Plan`: energies and their gradients by the executor of a backend."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from multiace.device import own_mode
from multiace.elements import ElementError, format_elements
from multiace.geometry.graph import Graph
from multiace.geometry.pairs import Pairs
from multiace.potential import Potential, Prediction
from multiace.program.builder import build_program
from multiace.program.file import to_bytes


def fastest(
    potential: Potential, *, elements: Sequence[int] | None = None, exact: bool = False
) -> Plan | Potential:
    """Return a plan where the backend has an executor, otherwise the potential itself.

    Args:
        potential: the potential.
        elements: atomic numbers of the structures to come.
        exact: of the plan.
    """
    if _executes(potential):
        return Plan(potential, elements=elements, exact=exact)
    return potential


def _executes(potential: Potential) -> bool:
    device = next(potential.parameters()).device.type
    return potential.kernels.executor is not None and potential.kernels.device == device


class Plan:
    """The potential as a program that the executor of its backend runs, for molecular dynamics.

    The same function as `Potential`, without autograd. Radial functions are quintic splines in the
    distance unless `exact`; their errors are `spline_error` and `spline_slope_error`, and forces
    are derivatives of the splined energy. Threads that `evaluate` with one plan wait for each
    other; the calls below are for one thread.

    An engine that splits space drives the layers itself and exchanges ghosts in between:

    | call | afterwards |
    |---|---|
    | `begin(edge_vectors, ..., n_owned)` | edges are evaluated |
    | `forward_layer(t)` | `features(t)` of owned nodes; write the ghosts' |
    | `energies()` | terms of the energy of owned nodes |
    | `reverse_layer(t)` | `feature_gradients(t - 1)`; add the ghosts' to their owners' |
    | `gradient()` | dE/d(edge vector) |

    Layers count from 1; `features(t)` is h^(t). Before `reverse_layer(t)` the gradients of owned
    rows must be complete.

    Args:
        potential: the potential. Its weights are copied: a plan does not follow later changes.
        elements: atomic numbers of the structures to come, by default all the potential knows.
        exact: evaluate the radial network for every edge instead of splines.
        tolerance: error wanted of the splines, see `build_program`.

    Raises:
        ValueError: the backend of the potential has no executor.
        ElementError: an element that the potential does not know.

    Example:
        >>> import numpy as np
        >>> from multiace import presets
        >>> from multiace.design import Statistics
        >>> from multiace.geometry import Structure, build_graph
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> potential = Potential(presets.botnet("small"), (1,), statistics, seed=0)
        >>> pair = Structure(numbers=np.array([1, 1]), positions=np.diag([0.0, 0.9, 0.0])[:2])
        >>> graph = build_graph(pair, potential.cutoff, (1,))
        >>> plan = Plan(potential, exact=True)
        >>> abs(plan.evaluate(graph).energy.item() - potential(graph).energy.item()) < 1e-4
        True
    """

    @own_mode()
    def __init__(
        self,
        potential: Potential,
        *,
        elements: Sequence[int] | None = None,
        exact: bool = False,
        tolerance: float = 1e-6,
    ) -> None:
        kernels = potential.kernels
        if kernels.executor is None or not _executes(potential):
            device = next(potential.parameters()).device
            raise ValueError(
                f"A plan needs an executor, and kernels {kernels.name!r} have none for {device}. "
                "Build or load the potential on the CPU with kernels 'auto', or call it."
            )
        self.potential, self.dtype = potential, potential.dtype
        program = build_program(potential, elements=elements, exact=exact, tolerance=tolerance)
        self.elements, self.exact = program.elements, program.exact
        self.spline_error = program.spline_error
        self.spline_slope_error = program.spline_slope_error
        self.n_layers = program.n_layers
        self._executor = kernels.executor(to_bytes(program))
        self._place = torch.full((len(potential.elements),), -1)  # of an element in the program
        for position, number in enumerate(program.elements):
            self._place[potential.elements.index(number)] = position
        self._bound: _Bound | None = None
        self._alone = threading.Lock()

    def begin(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        n_owned: int,
        pairs: Pairs | None = None,
        *,
        gradients: bool = True,
    ) -> None:
        """Bind to the current edges and nodes, and evaluate everything about the edges.

        Args:
            edge_vectors: r_ji = r_j - r_i in Å.
            senders: neighbour j of each edge.
            receivers: centre i of each edge, an owned node.
            species: element of each node, as position in the elements of the potential.
            n_owned: the first nodes, whose energies are wanted; the others are ghosts.
            pairs: edges with opposite vectors, whose radial functions are evaluated once; None:
                every edge is on its own.
            gradients: layers will be reversed too.

        Raises:
            ElementError: an element that the plan was not made for.
            IndexError: an index of a node that does not exist.
        """
        self._bind(_Bound.of(n_owned, species, senders, receivers, pairs), pairs)
        self._executor.begin(edge_vectors, gradients)

    def _bind(self, new: _Bound, pairs: Pairs | None) -> None:
        """Bind the executor, unless nodes and edges are those it is bound to."""
        if self._bound is not None and new.equals(self._bound):
            return
        self._bound = None  # in case of an error
        species, senders, receivers, *_ = new.tensors
        of_program = self._place[species]
        if bool((of_program < 0).any()):
            known = self.potential.elements
            unknown = {known[n] for n in species.unique().tolist()} - set(self.elements)
            raise ElementError(
                f"This plan was made for {format_elements(self.elements)}, and is asked for "
                f"{format_elements(sorted(unknown))}. Make one with these elements too."
            )
        reverse = None if pairs is None else pairs.reverse
        self._executor.bind(new.n_owned, of_program, senders, receivers, reverse)
        self._bound = new

    def forward_layer(self, t: int) -> None:
        """Evaluate h^(t) of owned nodes from h^(t-1) of all; t counts from 1."""
        self._executor.forward_layer(t)

    def features(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return h^(t) of all nodes, to be written where nodes are ghosts."""
        return self._executor.features(t)

    def energies(self) -> Float64[Tensor, "owned terms"]:
        """Return the terms of each owned atom's energy in eV; their sum is the energy."""
        return self._executor.energies()

    def reverse_layer(self, t: int) -> None:
        """Add what layer t contributes to the gradients by h^(t-1) and by the edges."""
        self._executor.reverse_layer(t)

    def feature_gradients(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return dE/dh^(t) of all nodes; rows of ghosts belong to their owners."""
        return self._executor.feature_gradients(t)

    def gradient(self) -> Float64[Tensor, "edges 3"]:
        """Return dE/d(edge vector) in eV/Å, once all layers are reversed.

        With pairs, the part along an edge is that of both directions, in either one of them.
        """
        return self._executor.gradient()

    def evaluate(self, graph: Graph, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Evaluate structures as `Potential` does; results are float64.

        Args:
            graph: structures.
            forces: also evaluate forces.
            stress: also evaluate stress and virial.

        Raises:
            ElementError: an element that the plan was not made for.
        """
        if torch.is_inference_mode_enabled():  # results are to be usual tensors
            with own_mode():
                return self.evaluate(graph, forces=forces, stress=stress)
        with self._alone, self.potential.kernels.own_threads():
            ends = (graph.senders, graph.receivers)
            self._bind(_Bound.of(graph.n_nodes, graph.species, *ends, graph.pairs), graph.pairs)
            wanted = {"forces": forces, "virial": stress}
            structures = (graph.structure_of_node, graph.n_structures)
            try:
                found = self._executor.evaluate(graph.edge_vectors, *structures, **wanted)
            except BaseException:
                self._bound = None  # after an error, nodes and edges must be bound again
                raise
            volume, virial = graph.volume.view(-1, 1, 1), found[4]
            by_volume = None if virial is None else virial / -volume  # nan where there is none
        return Prediction(*found[:4], stress=by_volume, virial=virial)


class _Bound(NamedTuple):
    """Nodes and edges as they were given, and how often they had been written into.

    Args:
        n_owned: the first nodes, which are not ghosts.
        tensors: species, senders, receivers and, where edges come in pairs, `Pairs`.
        versions: of the tensors; None where they are not counted.
    """

    n_owned: int
    tensors: tuple[Tensor, ...]
    versions: tuple[int | None, ...]

    @classmethod
    def of(
        cls, n_owned: int, species: Tensor, senders: Tensor, receivers: Tensor, pairs: Pairs | None
    ) -> _Bound:
        """Take note of the tensors."""
        tensors = (species, senders, receivers, *(pairs or ()))
        return cls(
            n_owned, tensors, tuple(None if t.is_inference() else t._version for t in tensors)
        )

    def equals(self, before: _Bound) -> bool:
        """Whether these are the tensors of before, and nobody has written into them."""
        return (
            self.n_owned == before.n_owned
            and len(self.tensors) == len(before.tensors)
            and all(a is b for a, b in zip(self.tensors, before.tensors, strict=True))
            and self.versions == before.versions
            and None not in self.versions
        )
