"""Where a plan's convolutions take their radial functions from: splines, or the network."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import cast

import numpy as np
import torch
from torch import Tensor

from multiace.elements import format_elements
from multiace.kernels.dispatch import Kernels
from multiace.kernels.tables import ConvolutionTable
from multiace.layer.atomic_basis import AtomicBasis, Density
from multiace.layer.layer import Layer
from multiace.one_particle.basis import EdgeFunctions, Edges
from multiace.plan.arrays import Array
from multiace.plan.sources import NetworkSource, RadialSource, SplineSource
from multiace.plan.spline import FEWEST, ROWS, Functions, Spline, fit_spline, with_derivatives
from multiace.plan.steps import Differentiated, Step, Transform
from multiace.plan.topology import Topology
from multiace.potential import Potential

_LOG = logging.getLogger("multiace")

SHORTEST = 0.5
"""Å: nearest distance of two atoms at which the error of the splines is measured."""

BUDGET = 1 << 29
"""Bytes that tables may take; a plan that needs more evaluates the network."""


class RadialFunctions:
    """Radial functions of all layers, and the steps that prepare them for the edges there are.

    Args:
        potential: the potential.
        elements: elements among which there will be edges.
        distances: array of distances of pairs.
        topology: the edges of the moment.
        kernels: kernels of the potential; without steps of their own, the network is evaluated.
        exact: evaluate the network.
        tolerance: error wanted of the splines, see `fit_spline`.
    """

    def __init__(
        self,
        potential: Potential,
        elements: Sequence[int],
        distances: Array,
        topology: Callable[[], Topology],
        *,
        kernels: Kernels,
        exact: bool,
        tolerance: float,
    ) -> None:
        self._model, self._distances, self._topology = potential.model, distances, topology
        self._bases = [cast(Layer, layer).atomic_basis for layer in self._model.layers]
        self._dtype = potential.dtype
        self.error = self.slope_error = 0.0
        self.transformed: tuple[Array, ...] = ()
        self._bound = kernels.steps
        splines = None
        if not exact and self._bound is not None:
            present = [potential.elements.index(number) for number in elements]
            splines = self._fit(present, tolerance)
            if splines is None:
                _LOG.info(
                    "plan: splines for %s would take more than %d MB; the radial network is "
                    "evaluated instead",
                    format_elements(elements),
                    BUDGET >> 20,
                )
        self.exact = splines is None
        self.sources, self.steps = self._networks() if splines is None else self._tables(splines)

    def density(self, density: Density, distances: Tensor) -> list[Tensor]:
        """Return lambda of the owned nodes.

        Args:
            density: what to sum.
            distances: of the pairs.
        """
        top = self._topology()
        basis, envelope = self._radial_basis(distances)
        none = distances.new_zeros((len(top.senders), 0))
        edges = Edges(top.senders, top.receivers, none, basis, envelope, none, pair=top.pair)
        return [density(edges, top.n_owned)]

    def _networks(self) -> tuple[list[RadialSource], list[Step]]:
        sources: list[RadialSource] = []
        for basis in self._bases:
            network, weights = basis.radial_network, basis.radial_weights.detach()
            hidden = Array("pairs", (weights.shape[1],), self._dtype)
            sources.append(NetworkSource(hidden, weights.contiguous(), network))

        arrays = [cast(NetworkSource, source).hidden for source in sources]
        if self._bound is not None:
            return sources, self._bound_networks(self._bound, arrays)

        def hidden_features(distances: Tensor) -> list[Tensor]:
            radial = self._radial_basis(distances)
            return [basis.radial_network(*radial) for basis in self._bases]

        return sources, [Differentiated(hidden_features, [self._distances], arrays)]

    def _bound_networks(self, bound: ModuleType, hidden: Sequence[Array]) -> list[Step]:
        """Return the steps from the distances to the hidden features of each layer."""
        steps: list[Step] = []
        module = self._model.edge_functions.radial_basis
        if self._model.edge_functions.transform is not None:
            self.transformed = tuple(
                Array("pairs", (), self._dtype, differentiable=False) for _ in range(2)
            )
            steps.append(Transform(self._transform, self._distances, *self.transformed))
        values = bound.RadialValues(
            module.kernel,
            module.constants.detach().to(self._dtype),
            self._distances,
            self.transformed or None,
        )
        networks = (basis.radial_network for basis in self._bases)
        return [
            *steps,
            values,
            *(
                bound.HiddenFeatures(
                    network.kernel,
                    [matrix.detach() for matrix in network.matrices],
                    [bias.detach() for bias in network.biases],
                    values,
                    of_layer,
                )
                for network, of_layer in zip(networks, hidden, strict=True)
            ),
        ]

    def _radial_basis(self, distances: Tensor) -> tuple[Tensor, Tensor | None]:
        top = self._topology()
        return self._model.edge_functions.radial(distances, *top.ends_of_pairs, top.species)

    def _transform(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        top, transform = self._topology(), self._model.edge_functions.transform
        assert transform is not None
        ends = (*top.ends_of_pairs, top.species)
        return transform(distances, *ends), transform.slopes(distances, *ends)

    def _fit(self, present: Sequence[int], tolerance: float) -> _Splines | None:
        """Fit all splines on equally many intervals; return None if they are beyond the budget."""
        functions = copy.deepcopy(self._model.edge_functions).double()
        pairs = _pairs(functions, self._bases, present)
        found: _Splines = {}
        rows = len(pairs) * sum(_n_functions(basis) for basis in self._bases)
        n = FEWEST
        while rows * (ROWS * n + 2) * self._dtype.itemsize <= BUDGET:
            coarser = (
                pair
                for pair in pairs
                if pair not in found or min(spline.n_intervals for spline in found[pair]) < n
            )
            pair = next(coarser, None)
            if pair is None:
                return found
            found[pair] = [
                fit_spline(
                    _radial_function(functions, basis, pair),
                    functions.cutoff,
                    start=SHORTEST,
                    tolerance=tolerance,
                    at_least=n,
                )
                for basis in self._bases
            ]
            n = max(spline.n_intervals for spline in found[pair])
        return None

    def _tables(self, splines: _Splines) -> tuple[list[RadialSource], list[Step]]:
        every = [spline for row in splines.values() for spline in row]
        self.error = max(spline.error for spline in every)
        self.slope_error = max(spline.slope_error for spline in every)
        assert self._bound is not None
        step = self._bound.SplineBasis(
            self._distances, every[0].n_intervals, every[0].width, self._dtype
        )
        n_elements = len(self._model.embedding.weights)
        types: Tensor | None = torch.full((n_elements, n_elements), -1, dtype=torch.int64)
        for n, (sender, receiver) in enumerate(splines):
            types[sender, receiver] = n
        types = None if list(splines) == [_ANY] else types
        sources: list[RadialSource] = []
        steps: list[Step] = [step]
        for t, basis in enumerate(self._bases):
            table = torch.stack([torch.from_numpy(row[t].table) for row in splines.values()])
            if basis.species_pooling is None:
                table = (table * basis.pooling_factor).to(self._dtype).contiguous()
                sources.append(SplineSource(step, table, types))
                continue
            splined = SplineSource(step, table.to(self._dtype).contiguous(), types)
            hidden = Array("pairs", (table.shape[2],), self._dtype)
            values = self._bound.SplineFunctions(step, splined.table, splined.pair_types, hidden)
            steps.append(values)
            weights = basis.radial_weights.detach().contiguous()
            sources.append(NetworkSource(hidden, weights, basis.radial_network))
        return sources, steps


_Splines = dict[tuple[int, int], list[Spline]]
"""Splines of each layer for each pair (sender, receiver) of elements."""

_ANY = (0, 0)


def _pairs(
    functions: EdgeFunctions, bases: Sequence[AtomicBasis], present: Sequence[int]
) -> list[tuple[int, int]]:
    """Pairs (sender, receiver) of elements whose radial functions differ; one stands for all."""
    depends = any(basis.radial_network.species != "none" for basis in bases)
    if functions.transform is None and not depends:
        return [_ANY]
    return [(sender, receiver) for sender in present for receiver in present]


def _n_functions(basis: AtomicBasis) -> int:
    """How many functions of the distance are tabulated: R, or u where rho is summed of it."""
    if basis.species_pooling is not None:
        return basis.radial_network.last.shape[1]
    return cast(ConvolutionTable, basis.convolution.table).n_weights


def _radial_function(
    functions: EdgeFunctions, basis: AtomicBasis, pair: tuple[int, int]
) -> Functions:
    """Return what is tabulated of one layer for one pair of elements, in float64, with derivatives.

    That is R(r) = u(r) V, or u(r) itself where densities of u are summed.
    """
    network = copy.deepcopy(basis.radial_network).double()
    species, ends = torch.tensor(pair), torch.zeros(1, dtype=torch.int64)
    types = network.edge_types(species, ends, ends + 1)
    weights = network.weights.detach().numpy()[0 if types is None else int(types[0])]

    def hidden(r: Tensor) -> Tensor:
        senders = torch.zeros(len(r), dtype=torch.int64)
        return network(*functions.radial(r, senders, senders + 1, species))

    hidden_with_derivatives = with_derivatives(hidden)
    if basis.species_pooling is not None:
        return hidden_with_derivatives

    def radial(r: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, slopes, curvatures = hidden_with_derivatives(r)
        return u @ weights, slopes @ weights, curvatures @ weights

    return radial
