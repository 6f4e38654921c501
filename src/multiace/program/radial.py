"""Radial functions of a program: the network, or splines of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from multiace.kernels.tables import SplineTable
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.layer import Layer
from multiace.model import Model
from multiace.one_particle.basis import EdgeFunctions
from multiace.potential import SHORTEST
from multiace.program.spline import FEWEST, ROWS, Functions, Spline, fit_spline, with_derivatives

BUDGET = 1 << 29
"""Bytes of all splines of a program; beyond, the network is evaluated."""


class Splines(NamedTuple):
    """Splines of one layer.

    Args:
        table: what the operation is built from.
        coefficients: (types, rows, functions), float64.
        types: type of each pair (sender, receiver) of elements; None: there is one.
        error: largest error of a function, over its largest value.
        slope_error: the same of slopes.
    """

    table: SplineTable
    coefficients: Tensor
    types: Tensor | None
    error: float
    slope_error: float


def fit_splines(
    model: Model, present: Sequence[int], *, tolerance: float, itemsize: int
) -> list[Splines] | None:
    """Fit the radial functions of all layers on equally many intervals.

    Args:
        model: the model.
        present: positions of the elements of the program.
        tolerance: of the errors, see `fit_spline`.
        itemsize: bytes of a number of the program.

    Returns:
        The splines of each layer; None if they exceed the budget.
    """
    functions = copy.deepcopy(model.edge_functions).double()
    bases = [cast(Layer, layer).atomic_basis for layer in model.layers]
    types = [_types(functions, basis, present) for basis in bases]
    wanted = [
        (basis, pair) for basis, (_, pairs) in zip(bases, types, strict=True) for pair in pairs
    ]
    n_functions = sum(_n_functions(basis) for basis, _ in wanted)
    found: dict[int, Spline] = {}
    n = FEWEST
    while n_functions * (ROWS * n + 2) * itemsize <= BUDGET:
        coarser = (k for k in range(len(wanted)) if k not in found or found[k].n_intervals < n)
        k = next(coarser, None)
        if k is None:
            break
        found[k] = fit_spline(
            _radial_function(functions, *wanted[k]),
            functions.cutoff,
            start=SHORTEST,
            tolerance=tolerance,
            at_least=n,
        )
        n = found[k].n_intervals
    else:
        return None
    fitted = (found[k] for k in range(len(wanted)))
    return [
        _joined(basis, [next(fitted) for _ in pairs], of_pairs)
        for basis, (of_pairs, pairs) in zip(bases, types, strict=True)
    ]


def _joined(basis: AtomicBasis, splines: Sequence[Spline], types: Tensor | None) -> Splines:
    """Join the splines of all types of a layer, with 1 / lambda in R."""
    factor = 1.0 if basis.species_pooling is not None else basis.pooling_factor
    coefficients = torch.stack([torch.from_numpy(s.table) for s in splines]) * factor
    table = SplineTable(splines[0].n_intervals, splines[0].width, coefficients.shape[2])
    errors = (max(s.error for s in splines), max(s.slope_error for s in splines))
    return Splines(table, coefficients, types, *errors)


def _types(
    functions: EdgeFunctions, basis: AtomicBasis, present: Sequence[int]
) -> tuple[Tensor | None, list[tuple[int, int]]]:
    """Return the type of each pair (sender, receiver) of elements, and a pair of each type.

    Pairs with equal radial functions are of one type; the table is None if all are.
    """
    network = "none" if basis.sums_densities else basis.radial_network.species
    found: dict[object, int] = {}
    pairs: list[tuple[int, int]] = []
    table = torch.empty((len(present), len(present)), dtype=torch.int64)
    for row, j in enumerate(present):
        for column, i in enumerate(present):
            of_network = {"none": None, "sender": j, "receiver": i, "pair": (j, i)}[network]
            of_transform = None if functions.transform is None else (min(i, j), max(i, j))
            key = (of_network, of_transform)
            if key not in found:
                pairs.append((j, i))
            table[row, column] = found.setdefault(key, len(found))
    return table if len(found) > 1 else None, pairs


def _n_functions(basis: AtomicBasis) -> int:
    """Return the number of tabulated functions: R, or u where densities of u are summed."""
    network = basis.radial_network
    return network.width if basis.sums_densities else network.last.shape[2]


def _radial_function(
    functions: EdgeFunctions, basis: AtomicBasis, pair: tuple[int, int]
) -> Functions:
    """Return R(r) = u(r) V of a layer for a pair of elements, or u(r) where densities are summed.

    In float64, with derivatives.
    """
    network = copy.deepcopy(basis.radial_network).double()
    species, ends = torch.tensor(pair), torch.zeros(1, dtype=torch.int64)
    types = network.edge_types(species, ends, ends + 1)

    def hidden(r: Tensor) -> Tensor:
        senders = torch.zeros(len(r), dtype=torch.int64)
        return network(*functions.radial(r, senders, senders + 1, species))

    hidden_with_derivatives = with_derivatives(hidden)
    if basis.sums_densities:
        return hidden_with_derivatives
    weights = network.weights.detach().numpy()[0 if types is None else int(types[0])]

    def radial(r: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, slopes, curvatures = hidden_with_derivatives(r)
        return u @ weights, slopes @ weights, curvatures @ weights

    return radial
