"""The part of a program that no layer changes: geometry and radial functions of edges."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from multiace.elements import format_elements
from multiace.layer.atomic_basis import AtomicBasis
from multiace.program import radial
from multiace.program.draft import Draft
from multiace.program.program import ABSENT

_LOG = logging.getLogger("multiace")


class RadialSource(NamedTuple):
    """What the neighbour sum of a layer reads.

    Args:
        hidden: array of u, or of R where R are splines.
        weights: V; None where R are splines.
        types: V of each pair (sender, receiver) of elements; None: there is one.
    """

    hidden: int
    weights: Tensor | None
    types: Tensor | None


class EdgeOperations:
    """Adds everything about edges to a draft.

    Args:
        draft: the program so far.
        exact: keep the radial network.
        tolerance: of splines.
    """

    def __init__(self, draft: Draft, *, exact: bool, tolerance: float) -> None:
        self.draft, self.model, self.present = draft, draft.model, draft.present
        table = self.model.edge_functions.edge_basis.table
        self.vectors, self.distances = draft.array("edges", 3), draft.array("edges", 1)
        self.harmonics = draft.array("edges", (table.l_max + 1) ** 2)
        outputs = [self.distances, self.harmonics]
        draft.add("edge_basis", 0, [self.vectors], outputs, table)
        self.basis: tuple[int, int] | None = None
        self.splines = None if exact else self._fit(tolerance)
        self.sources = self._networks() if self.splines is None else self._splined(self.splines)

    def repulsion(self) -> int:
        """Add the repulsion of cores; return its array."""
        repulsion = self.model.baseline.repulsion
        assert repulsion is not None
        of_elements = {
            name: tuple(getattr(repulsion.table, name)[n] for n in self.present)
            for name in ("charges", "half_ends")
        }
        table = replace(repulsion.table, **of_elements)
        energy = self.draft.array("owned", 1)
        return self.draft.add("repulsion", 1, [self.distances], [energy], table)

    def _fit(self, tolerance: float) -> list[radial.Splines] | None:
        options = {"tolerance": tolerance, "itemsize": self.draft.dtype.itemsize}
        splines = radial.fit_splines(self.model, self.present.tolist(), **options)
        if splines is None:
            _LOG.info(
                "plan: splines for %s would take more than %d MB; the radial network is "
                "evaluated instead",
                format_elements(self.draft.elements),
                radial.BUDGET >> 20,
            )
        return splines

    def _basis(self) -> tuple[int, int]:
        """Add the radial basis; return it, and its envelope where the weights have one."""
        functions, argument = self.model.edge_functions, ABSENT
        if functions.transform is not None:
            radii = functions.transform.table.radii
            table = replace(functions.transform.table, radii=tuple(radii[n] for n in self.present))
            argument = self.draft.array("pairs", 1)
            operation = functions.transform.operation
            self.draft.add(operation, 0, [self.distances], [argument], table)
        module = functions.radial_basis
        table = module.kernel.table
        basis = self.draft.array("pairs", table.number)
        envelope = self.draft.array("pairs", 1) if table.envelope_on == "weights" else ABSENT
        inputs, outputs = [self.distances, argument], [basis, envelope]
        constants = [module.constants.to(self.draft.dtype)]
        self.draft.add("radial_basis", 0, inputs, outputs, table, constants)
        return basis, envelope

    def _networks(self) -> list[RadialSource]:
        """Add the radial network of each layer."""
        self.basis = basis, envelope = self._basis()
        sources = []
        for layer in self.draft.bases:
            network = layer.radial_network
            table = network.kernel.table
            constants = [_joined(network.matrices), _joined(list(network.biases))]
            hidden = self.draft.array("pairs", table.widths[-1])
            self.draft.add("radial_network", 0, [basis, envelope], [hidden], table, constants)
            weights = self._weights(layer) if network.maps else None
            sources.append(RadialSource(hidden, weights, self._types(network.species)))
        return sources

    def _splined(self, splines: Sequence[radial.Splines]) -> list[RadialSource]:
        """Add the splines of each layer."""
        if any(basis.density is not None for basis in self.draft.bases):
            self.basis = self._basis()
        sources = []
        for basis, spline in zip(self.draft.bases, splines, strict=True):
            values = self.draft.array("edges", spline.table.n_functions)
            constants = [spline.coefficients.to(self.draft.dtype), spline.types]
            self.draft.add("spline", 0, [self.distances], [values], spline.table, constants)
            weights = None if basis.species_pooling is None else self._weights(basis)
            sources.append(RadialSource(values, weights, None))
        return sources

    def _weights(self, basis: AtomicBasis) -> Tensor:
        """Return V / lambda of the elements present."""
        weights, species = basis.radial_weights, basis.radial_network.species
        if species == "none":
            return weights
        if species != "pair":
            return weights[self.present]
        n = len(self.model.embedding.weights)
        of_pairs = weights.unflatten(0, (n, n))[self.present][:, self.present]
        return of_pairs.flatten(0, 1)

    def _types(self, species: str) -> Tensor | None:
        """Return which V each pair (sender, receiver) of elements has."""
        n = len(self.present)
        senders = torch.arange(n)[:, None].expand(n, n)
        return {
            "none": None,
            "sender": senders,
            "receiver": senders.T,
            "pair": n * senders + senders.T,
        }[species]


def _joined(tensors: Sequence[Tensor]) -> Tensor | None:
    """Return tensors as one flat one; None without any."""
    return torch.cat([tensor.flatten() for tensor in tensors]) if tensors else None
