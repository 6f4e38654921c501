"""`Plan`: energies and their gradients by hand-ordered passes over arrays allocated once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from multiace.device import own_mode
from multiace.elements import ElementError, format_elements
from multiace.geometry.graph import Graph
from multiace.geometry.pairs import Pairs
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.layer.species_pooling import SpeciesPooling
from multiace.layer_layout import LayerLayout
from multiace.plan.arrays import Array, Rows
from multiace.plan.energy import EnergyTerms
from multiace.plan.linear_map import LinearMap
from multiace.plan.radial import RadialFunctions
from multiace.plan.sources import NetworkSource
from multiace.plan.steps import Differentiated, Lay, Step
from multiace.plan.topology import EdgeIndices, Topology
from multiace.potential import Potential, Prediction, prediction_of


class Plan:
    """The potential as a sequence of steps, for molecular dynamics.

    The same function as `Potential`, evaluated without autograd: each step writes its arrays
    forward and its gradients backward, layer by layer, in memory that stays. Radial functions are
    quintic splines in the distance unless `exact`; their errors are `spline_error` and
    `spline_slope_error`, and forces are derivatives of the splined energy. Threads that `evaluate`
    with one plan wait for each other; the calls below are for one thread.

    An engine that splits space drives the layers itself and exchanges ghosts in between:

    | call | afterwards |
    |---|---|
    | `begin(edge_vectors, ..., n_owned)` | edges and h^(0) are there |
    | `forward_layer(t)` | `features(t)` of owned nodes; write the ghosts' |
    | `energies()` | terms of the energy of owned nodes |
    | `begin_reverse()` | gradients are zero |
    | `reverse_layer(t)` | `feature_gradients(t - 1)`; add the ghosts' to their owners' |
    | `gradient()` | dE/d(edge vector) |

    Layers count from 1; `features(t)` is h^(t). Before `reverse_layer(t)` the gradients of owned
    rows must be complete.

    Args:
        potential: the potential, on the CPU. Its weights are folded in: a plan does not follow
            later changes.
        elements: atomic numbers of the structures to come, by default all the potential knows;
            tables of splines are made for pairs of these.
        exact: evaluate the radial network for every edge instead of splines.
        tolerance: error wanted of the splines, of values relative to the largest value of a radial
            function, and of slopes relative to the largest slope.

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
        device = next(potential.parameters()).device
        if device.type != "cpu":
            raise ValueError(
                f"A Plan runs on the CPU, the potential is on {device}. Move it there, or call it."
            )
        self.potential, self.dtype = potential, potential.dtype
        self.elements = tuple(potential.elements if elements is None else sorted(set(elements)))
        if not set(self.elements) <= set(potential.elements):
            raise ElementError(
                f"A plan for {format_elements(self.elements)} is asked of a potential that knows "
                f"{format_elements(potential.elements)}. Leave out what it does not know."
            )
        none = torch.zeros(0, dtype=torch.int64)
        self._top = Topology(EdgeIndices.of(none, none, None), none, 0)
        self._model = potential.model
        self._lay = Lay(potential.kernels, self._topology)
        self._make_arrays()
        self._radial = RadialFunctions(
            potential,
            self.elements,
            self._pair_distances,
            self._topology,
            kernels=potential.kernels,
            exact=exact,
            tolerance=tolerance,
        )
        self._n_threads = 0
        self._taken = False  # whether steps have the nodes and arrays of the moment
        self._alone = threading.Lock()
        self._of_species: list[Step] = []  # what depends on the elements alone
        self._edges = self._lay_edges()
        added_to = (self._distances, self._pair_distances, self._harmonics, *self._h[1:])
        self._clear = self._lay.clear(added_to)
        self._layers = [
            self._lay_layer(t, cast(Layer, layer), layout)
            for t, (layer, layout) in enumerate(zip(self._model.layers, self._layouts, strict=True))
        ]

    @property
    def exact(self) -> bool:
        """Whether the radial network is evaluated for every edge."""
        return self._radial.exact

    @property
    def spline_error(self) -> float:
        """Largest error of a radial function over the largest value; 0 if `exact`.

        Both errors are those beyond 0.5 Å, nearer than any two atoms of a run come.
        """
        return self._radial.error

    @property
    def spline_slope_error(self) -> float:
        """Largest error of the slope of a radial function over the largest slope; 0 if `exact`."""
        return self._radial.slope_error

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self._layers)

    # ---- building ----------------------------------------------------------------------------

    def _topology(self) -> Topology:
        return self._top

    def _array(self, rows: Rows, *shape: int, **options: bool) -> Array:
        array = Array(rows, shape, self.dtype, **options)
        self._arrays.append(array)
        return array

    def _make_arrays(self) -> None:
        """Make the arrays that layers share: edges, features and readouts."""
        self._arrays: list[Array] = []
        layers = [cast(Layer, layer) for layer in self._model.layers]
        self._layouts = [layer.layout for layer in layers]
        self._vectors = self._array("edges", 3)
        self._distances = self._array("edges", shared=True)
        self._pair_distances = self._array("pairs", shared=True)
        l_max = self._model.edge_functions.edge_basis.table.l_max
        self._harmonics = self._array("edges", (l_max + 1) ** 2, shared=True)
        dims = [self._model.embedding.weights.shape[1]]
        dims += [layout.features_out.dim for layout in self._layouts]
        self._h = [
            self._array("nodes", dim, differentiable=t > 0, shared=True)
            for t, dim in enumerate(dims)
        ]
        self._readouts = {int(t): self._array("owned") for t in self._model.readouts}
        repels = self._model.baseline.repulsion is not None
        self._repulsion = self._array("owned") if repels else None
        read = (list(self._readouts.values()), self._repulsion)
        self._terms = EnergyTerms(self._model.baseline, *read, self.potential.kernels.steps)

    def _lay_edges(self) -> list[Step]:
        """Lay out what no layer changes: geometry, radial functions, core repulsion."""
        kernel = self._model.edge_functions.edge_basis
        geometry = self._lay.edge_basis(kernel, self._vectors, self._distances, self._harmonics)
        for source in self._radial.sources:
            if isinstance(source, NetworkSource):
                self._arrays.append(source.hidden)
        self._arrays += self._radial.transformed
        of_pairs = self._lay.distances_of_pairs(self._distances, self._pair_distances)
        steps = [geometry, of_pairs, *self._radial.steps]
        if self._repulsion is not None:
            steps.append(Differentiated(self._repel, [self._distances], [self._repulsion]))
        return self._lay.joined(steps)

    def _repel(self, distances: Tensor) -> list[Tensor]:
        top, repulsion = self._top, self._model.baseline.repulsion
        assert repulsion is not None
        of_nodes = repulsion(distances, top.senders, top.receivers, top.species)
        return [of_nodes[: top.n_owned]]

    def _lay_layer(self, t: int, layer: Layer, layout: LayerLayout) -> list[Step]:
        """Lay out h^(t) -> A -> B -> m -> h^(t+1) and the readout of h^(t+1)."""
        steps: list[Step] = []
        a, chain = self._lay_pooling(t, layer, layout, steps)
        update, out = layer.update, self._h[t + 1]
        if layer.message is not None:
            chain.append(layer.message)
        if update.linear is not None:
            chain.append(LinearMap.of(cast(EquivariantLinear, update.linear)))
        chain = _folded(chain)
        for n, part in enumerate(chain):
            ends = n == len(chain) - 1 and update.nonlinearity is None
            irreps = part.irreps_out if isinstance(part, LinearMap) else layout.message
            to = out if ends else self._array("owned", irreps.dim)
            if isinstance(part, LinearMap):
                steps.append(self._lay.map(part, a, to, "owned"))
            else:
                steps.append(self._lay.rows(part, a, to, "owned"))
            a = to
        connection = update.self_connection
        if connection is not None and t == 0:
            constant = self._array("owned", *a.shape, differentiable=False)
            self._of_species.append(self._lay.rows(connection, self._h[0], constant, "owned"))
            steps.append(self._lay.carry(constant, a, "owned", add=True))
        elif connection is not None:
            steps.append(self._lay.rows(connection, self._h[t], a, "owned", add=True))
        if update.nonlinearity is not None:
            steps.append(self._lay.rows(update.nonlinearity, a, out, "owned"))
        if t in self._readouts:
            readout, features = self._model.readouts[str(t)], layout.features_out
            steps += self._lay.readout(readout, features, out, self._readouts[t], self._array)
        return self._lay.joined(steps)

    def _lay_pooling(
        self, t: int, layer: Layer, layout: LayerLayout, steps: list[Step]
    ) -> tuple[Array, list[LinearMap | Message]]:
        """Lay out (1/lambda) sum_j phi(j -> i); return it and the maps that remain."""
        basis = layer.atomic_basis
        maps = [LinearMap.of(cast(EquivariantLinear, linear)) for linear in basis.after_pooling]
        source = self._radial.sources[t]
        pooling = basis.species_pooling
        if pooling is not None and isinstance(source, NetworkSource) and self._lay.bound:
            a = self._array("owned", pooling.irreps_in.dim)
            n_elements = len(self.potential.elements)
            steps.append(self._lay.density(n_elements, source, self._harmonics, a))
            of_density = self._map_of_density(basis, pooling, source)
            if basis.density is None:
                maps.insert(0, of_density)
            else:
                rho, a = a, self._array("owned", of_density.irreps_out.dim)
                steps.append(self._lay.map(of_density, rho, a, "owned"))
        else:
            h = self._array("nodes", layout.convolved.dim, differentiable=t > 0)
            before = steps if t > 0 else self._of_species
            mixing = nn.Identity() if basis.before_edges is None else basis.before_edges
            before.append(self._lay.rows(mixing, self._h[t], h, "nodes"))
            a = self._array("owned", layout.pooled.dim)
            steps.append(self._lay.convolution(basis.convolution, source, h, self._harmonics, a))
        if basis.density is None:
            return a, [*maps]
        density, pooled = self._array("owned", 1), self._array("owned", *a.shape)
        of_pairs = partial(self._radial.density, basis.density)
        steps.append(Differentiated(of_pairs, [self._pair_distances], [density]))
        steps.append(Differentiated(_quotient, [a, density], [pooled]))
        return pooled, [*maps]

    def _map_of_density(
        self, basis: AtomicBasis, pooling: SpeciesPooling, source: NetworkSource
    ) -> LinearMap:
        """Return rho -> sum_{z k} rho V h."""
        every = torch.arange(len(self.potential.elements))
        with torch.no_grad():
            h = basis.mix(self._model.embedding.of_element, every)
            matrices = pooling.matrices(h, source.weights)
        irreps = (pooling.irreps_in, pooling.table.irreps_out)
        return LinearMap(*irreps, matrices, pooling.per_element)

    # ---- running -----------------------------------------------------------------------------

    def begin(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
        n_owned: int,
        pairs: Pairs | None = None,
    ) -> None:
        """Take edges and nodes; evaluate everything about the edges, and h^(0).

        Args:
            edge_vectors: r_ji = r_j - r_i in Å.
            senders: neighbour j of each edge.
            receivers: centre i of each edge, an owned node, ascending.
            species: element of each node, as position in the elements of the potential.
            n_owned: the first nodes, whose energies are wanted; the others are ghosts.
            pairs: edges with opposite vectors, whose radial functions are evaluated once; None:
                every edge is on its own.
        """
        threads_changed = self._threads_changed()
        same = self._top.n_owned == n_owned and torch.equal(self._top.species, species)
        edges = EdgeIndices.of(senders, receivers, pairs)
        if threads_changed or not (same and self._taken and edges.unchanged_since(self._top.edges)):
            self._take(edges, species, n_owned, anew=threads_changed or not same)
        self._vectors.value.copy_(edge_vectors)
        self._forward(self._edges)

    def _take(self, edges: EdgeIndices, species: Tensor, n_owned: int, *, anew: bool) -> None:
        """Bind the steps to edges and, if they are others, to nodes or threads."""
        if anew:
            self._check(species)
            species = species.clone()  # the caller may write into it
        else:
            species = self._top.species
        anew, self._taken = anew or not self._taken, False
        self._top = Topology(edges, species, n_owned)
        sizes = self._top.sizes
        moved = [array.resize(sizes) for array in self._arrays]
        anew = anew or any(moved)
        for steps in (self._of_species, self._edges, [self._clear], *self._layers):
            for step in steps:
                step.bind(self._top, anew)
        if anew:
            self._take_species()
        self._taken = True

    def _forward(self, steps: Sequence[Step]) -> None:
        with self.potential.kernels.own_threads():
            for step in steps:
                step.forward()

    def _backward(self, steps: Sequence[Step]) -> None:
        with self.potential.kernels.own_threads():
            for step in reversed(steps):
                step.backward()

    def _threads_changed(self) -> bool:
        bound, before = self.potential.kernels.steps, self._n_threads
        self._n_threads = 1 if bound is None else bound.threads()
        return before != self._n_threads

    def _check(self, species: Tensor) -> None:
        known = self.potential.elements
        unknown = {known[n] for n in species.unique().tolist()} - set(self.elements)
        if unknown:
            raise ElementError(
                f"This plan was made for {format_elements(self.elements)}, and is asked for "
                f"{format_elements(sorted(unknown))}. Make one with these elements too."
            )

    def _take_species(self) -> None:
        """Evaluate what depends on the elements alone, and the energy's gradient by readouts."""
        top = self._top
        with torch.no_grad():
            self._h[0].value.copy_(self._model.embedding(top.species))
        self._forward(self._of_species)
        self._terms.take_species(top.species[: top.n_owned])

    def forward_layer(self, t: int) -> None:
        """Evaluate h^(t) of owned nodes from h^(t-1) of all; t counts from 1."""
        self._forward(self._layers[t - 1])

    def features(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return h^(t) of all nodes, to be written where nodes are ghosts."""
        return self._h[t].value

    def energies(self) -> Float64[Tensor, "owned terms"]:
        """Return the terms of each owned atom's energy in eV; their sum is the energy.

        They stay until the next evaluation.
        """
        return self._terms.values()

    def begin_reverse(self) -> None:
        """Forget the gradients of the last evaluation."""
        self._clear.forward()

    def reverse_layer(self, t: int) -> None:
        """Add what layer t contributes to the gradients by h^(t-1) and by the edges."""
        self._backward(self._layers[t - 1])

    def feature_gradients(self, t: int) -> Float[Tensor, "nodes dim"]:
        """Return dE/dh^(t) of all nodes; rows of ghosts belong to their owners."""
        return self._h[t].gradient

    def gradient(self) -> Float[Tensor, "edges 3"]:
        """Return dE/d(edge vector) in eV/Å, once all layers are reversed."""
        self._backward(self._edges)
        return self._vectors.gradient

    def evaluate(self, graph: Graph, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Evaluate structures as `Potential` does, in the dtype of the weights.

        Args:
            graph: structures.
            forces: also evaluate forces.
            stress: also evaluate stress.
        """
        if torch.is_inference_mode_enabled():  # which parts by autograd would not work in
            with own_mode():
                return self.evaluate(graph.clone(), forces=forces, stress=stress)
        with (
            self._alone,
            torch.autocast("cpu", enabled=False),
            self.potential.kernels.own_threads(),
        ):
            vectors = graph.edge_vectors.to(self.dtype)
            ends = (graph.senders, graph.receivers)
            self.begin(vectors, *ends, graph.species, graph.n_nodes, graph.pairs)
            for t in range(1, self.n_layers + 1):
                self.forward_layer(t)
            terms = self.energies()
            by_edge = None
            if forces or stress:
                self.begin_reverse()
                for t in range(self.n_layers, 0, -1):
                    self.reverse_layer(t)
                by_edge = self.gradient()
            wanted = {"forces": forces, "stress": stress}
            predict = self.potential.kernels.predict
            if predict is None:
                return prediction_of(graph, vectors, terms, by_edge, **wanted)
            of_nodes = (terms, graph.structure_of_node, graph.volume)
            return Prediction(*predict(*of_nodes, *ends, vectors, by_edge, **wanted))


def _folded(chain: Sequence[LinearMap | Message]) -> list[LinearMap | Message]:
    """Fold each linear map into the one before it."""
    folded: list[LinearMap | Message] = []
    for part in chain:
        last = folded.pop() if folded else None
        if isinstance(last, LinearMap) and isinstance(part, LinearMap):
            folded += last.followed_by(part)
        else:
            folded += [part] if last is None else [last, part]
    return folded


def _quotient(a: Tensor, density: Tensor) -> list[Tensor]:
    return [a / density]
