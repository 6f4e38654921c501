"""Where a plan's convolutions take their radial functions from: splines, or the network."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from multiace.elements import format_elements
from multiace.kernels.dispatch import Kernels
from multiace.layer.atomic_basis import AtomicBasis, Density
from multiace.layer.layer import Layer
from multiace.one_particle.basis import EdgeFunctions, Edges
from multiace.plan.arrays import Array
from multiace.plan.sources import NetworkSource, RadialSource, SplineSource
from multiace.plan.spline import Spline, fit_spline
from multiace.plan.steps import Differentiated, Step
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
        distances: array of distances.
        topology: the edges of the moment.
        kernels: kernels of the potential; without steps of their own, the network is evaluated.
        exact: evaluate the network.
        tolerance: error wanted of the splines.
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
        self._bound = kernels.steps
        self.exact = exact or self._bound is None or not self._fits(elements)
        if self.exact:
            self.sources, self.steps = self._networks()
        else:
            present = [potential.elements.index(number) for number in elements]
            self.sources, self.steps = self._splines(present, tolerance)

    def edges(self, distances: Tensor) -> Edges:
        """Return the radial basis of the edges at these distances."""
        top = self._topology()
        return radial_edges(
            self._model.edge_functions, distances, top.senders, top.receivers, top.species
        )

    def density(self, density: Density, distances: Tensor) -> list[Tensor]:
        """Return lambda of the owned nodes."""
        return [density(self.edges(distances), self._topology().n_owned)]

    def _fits(self, elements: Sequence[int]) -> bool:
        n_types = len(_pairs(self._model.edge_functions, self._bases, range(len(elements))))
        widths = sum(basis.convolution.table.n_weights for basis in self._bases)
        fits = n_types * widths * 256 * self._dtype.itemsize <= BUDGET
        if not fits:
            _LOG.info(
                "plan: splines for %s would take more than %d MB, the radial network is evaluated",
                format_elements(elements),
                BUDGET >> 20,
            )
        return fits

    def _networks(self) -> tuple[list[RadialSource], list[Step]]:
        sources: list[RadialSource] = []
        for basis in self._bases:
            network = basis.radial_network
            weights = network.weights.detach() * basis.pooling_factor
            hidden = Array("edges", (weights.shape[1],), self._dtype)
            sources.append(NetworkSource(hidden, weights.contiguous(), network))

        def hidden_features(distances: Tensor) -> list[Tensor]:
            edges = self.edges(distances)
            return [
                basis.radial_network(edges.radial_basis, edges.envelope) for basis in self._bases
            ]

        arrays = [cast(NetworkSource, source).hidden for source in sources]
        return sources, [Differentiated(hidden_features, [self._distances], arrays)]

    def _splines(
        self, present: Sequence[int], tolerance: float
    ) -> tuple[list[RadialSource], list[Step]]:
        functions = copy.deepcopy(self._model.edge_functions).double()
        pairs = _pairs(functions, self._bases, present)
        splines: list[list[Spline]] = []
        n_intervals = None
        while True:
            splines = [
                [
                    fit_spline(
                        _RadialFunction(functions, basis, pair),
                        functions.cutoff,
                        start=SHORTEST,
                        tolerance=tolerance,
                        n_intervals=n_intervals,
                    )
                    for pair in pairs
                ]
                for basis in self._bases
            ]
            needed = max(spline.n_intervals for row in splines for spline in row)
            if n_intervals == needed:
                break
            n_intervals = needed
        self.error = max(spline.error for row in splines for spline in row)
        self.slope_error = max(spline.slope_error for row in splines for spline in row)
        assert self._bound is not None
        step = self._bound.SplineBasis(self._distances, needed, splines[0][0].width, self._dtype)
        n_elements = len(self._model.embedding.weights)
        type_of_pair = torch.full((n_elements, n_elements), -1, dtype=torch.int64)
        for n, (sender, receiver) in enumerate(pairs):
            type_of_pair[sender, receiver] = n
        single = len(pairs) == 1 and pairs[0] == _ANY
        sources: list[RadialSource] = []
        for basis, row in zip(self._bases, splines, strict=True):
            table = torch.stack([torch.from_numpy(spline.table) for spline in row])
            table = (table * basis.pooling_factor).to(self._dtype).contiguous()
            sources.append(SplineSource(step, table, None if single else type_of_pair))
        return sources, [step]


_ANY = (0, 0)


def _pairs(
    functions: EdgeFunctions, bases: Sequence[AtomicBasis], present: Sequence[int]
) -> list[tuple[int, int]]:
    """Pairs (sender, receiver) of elements whose radial functions differ; one stands for all."""
    depends = any(basis.radial_network.species != "none" for basis in bases)
    if functions.transform is None and not depends:
        return [_ANY]
    return [(sender, receiver) for sender in present for receiver in present]


class _RadialFunction:
    """R(r) of one layer for one pair of elements, in float64."""

    def __init__(self, functions: EdgeFunctions, basis: AtomicBasis, pair: tuple[int, int]) -> None:
        self.functions, self.pair = functions, pair
        self.network = copy.deepcopy(basis.radial_network).double()

    def __call__(self, r: Tensor) -> Tensor:
        ends = torch.zeros(len(r), dtype=torch.int64)
        species = torch.tensor(self.pair)
        edges = radial_edges(self.functions, r, ends, ends + 1, species)
        u = self.network(edges.radial_basis, edges.envelope)
        types = self.network.edge_types(species, ends, ends + 1)
        weights = self.network.weights.detach()
        return u @ weights[0 if types is None else int(types[0])]


def radial_edges(
    functions: EdgeFunctions, distances: Tensor, senders: Tensor, receivers: Tensor, species: Tensor
) -> Edges:
    """Return edges without harmonics."""
    basis, envelope = functions.radial(distances, senders, receivers, species)
    no_harmonics = distances.new_zeros((len(distances), 0))
    return Edges(senders, receivers, distances, basis, envelope, no_harmonics)
