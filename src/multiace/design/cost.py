"""Operations and memory traffic of a Design, from its layout alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from multiace.design.layout import LayerLayout, layouts
from multiace.design.parameters import n_radial_weights
from multiace.design.spec import Design
from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.couplings import product_couplings, symmetric_couplings
from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irreps

_WORD = 4  # bytes of a float32


@dataclass(frozen=True)
class Cost:
    """Cost of one atom: what an ideal implementation does, in float32.

    | field | what |
    |---|---|
    | `flops_energy` | multiplications and additions of the energy |
    | `flops_forces` | the same of energy and forces |
    | `bytes_fused` | memory traffic of the energy if nothing per edge and channel is stored |
    | `bytes_unfused` | the same if radial weights and messages of each edge are stored |
    """

    flops_energy: float
    flops_forces: float
    bytes_fused: float
    bytes_unfused: float


def cost(design: Design, n_elements: int, neighbours: float) -> Cost:
    """Count what the live part of a Design costs.

    A path (l2, l1, l3) of c channels takes c (2 (2 l2 + 1)(2 l3 + 1) + (2 l2 + 1)) operations an
    edge and its coupling twice its non-zeros; radial maps two for each weight; linear maps two
    for each weight and component; products one for each factor beyond the first and two for each
    coefficient. The reverse pass of a convolution takes about twice its energy pass, that of a
    matrix product as much, and that of a product basis about twice.

    Args:
        design: the Design.
        n_elements: elements of the model.
        neighbours: mean neighbours of an atom within the cutoff.
    """
    forward = backward = fused = unfused = 0.0
    for layer, row in enumerate(layouts(design, n_elements)):
        convolution, reverse = _convolution(row)
        radial = _radial(design, layer, row)
        linear = _linear(design, layer, row)
        product = _product(design, layer, row)
        forward += neighbours * (convolution + radial) + linear + product
        backward += neighbours * (reverse + radial) + linear + 2.0 * product
        width = (design.radial.number, *design.per_layer("radial.hidden")[layer])[-1]
        node_words = row.convolved.dim + row.pooled.dim
        edge_words = width + (design.l_max + 1) ** 2 + 3
        fused += _WORD * (neighbours * edge_words + node_words)
        stored = 2 * n_radial_weights(row) + 2 * row.convolved.dim + 3 * row.pooled.dim
        unfused += _WORD * neighbours * stored
    return Cost(forward, forward + backward, fused, unfused)


def _convolution(row: LayerLayout) -> tuple[float, float]:
    """Operations an edge, energy pass and reverse pass."""
    if row.density:  # of the channels of one element
        dim = row.pooled.dim / row.convolved.dim
        return 2.0 * dim, 4.0 * dim
    width = {irrep: channels for channels, irrep in row.convolved.entries}
    forward = reverse = 0.0
    for irrep_in, l_edge, irrep_out in row.paths:
        dense = irrep_in.dim * irrep_out.dim
        non_zeros = int(np.count_nonzero(clebsch_gordan(irrep_in.l, l_edge, irrep_out.l)))
        channels = width[irrep_in]
        forward += channels * (2 * dense + irrep_in.dim) + 2 * non_zeros
        reverse += channels * (4 * dense + 5 * irrep_in.dim) + 2 * non_zeros
    return forward, reverse


def _radial(design: Design, layer: int, row: LayerLayout) -> float:
    widths = (design.radial.number, *design.per_layer("radial.hidden")[layer])
    hidden = sum(a * b for a, b in pairwise(widths))
    density = design.radial.number if design.atomic_basis.pooling == "density" else 0
    last = 0 if row.density else widths[-1] * n_radial_weights(row)
    return 2.0 * (hidden + last + density)


def _map(source: Irreps, target: Irreps) -> float:
    """Operations of one matrix an irrep, for every component."""
    return 2.0 * sum(
        irrep.dim * n_in * n_out
        for n_in, irrep in source.entries
        for n_out, other in target.entries
        if irrep == other
    )


def _linear(design: Design, layer: int, row: LayerLayout) -> float:
    def value(path: str) -> str:
        return design.per_layer(path)[layer]

    if value("atomic_basis.after_pooling") == "none":
        total = 0.0
    elif value("atomic_basis.after_pooling") == "shared_then_per_element":
        total = _map(row.pooled, row.mixed) + _map(row.mixed, row.atomic_basis)
    else:
        total = _map(row.pooled, row.atomic_basis)
    if value("atomic_basis.before_edges") != "none":
        total += _map(row.convolved, row.convolved)
    if value("update.linear") != "none":
        total += _map(row.message, row.update)
    if value("update.self_connection") in ("linear", "per_element"):
        total += _map(row.connected, row.update)
    return total


def _product(design: Design, layer: int, row: LayerLayout) -> float:
    correlation = design.per_layer("product_basis.correlation")[layer]
    if correlation == 1:
        return 0.0
    if row.total_degree is not None:
        return _coupled(row, row.total_degree)
    monomials: set[tuple[int, ...]] = set()
    coefficients = 0
    for irrep in row.message.irreps:
        for order in range(1, correlation + 1):
            couplings = product_couplings(
                row.atomic_basis.irreps, irrep, order, design.product_basis.basis
            )
            monomials |= {tuple(map(int, factors)) for factors in couplings.monomials}
            coefficients += int(np.count_nonzero(np.abs(couplings.coefficients).sum(axis=2)))
    products = sum(len(factors) - 1 for factors in monomials)
    return row.message.channels[0] * (products + 2.0 * coefficients)


def _coupled(row: LayerLayout, degree: TotalDegree) -> float:
    """Operations of products of any channels, counted by patterns."""
    total = 0.0
    for width, irrep in row.message.entries:
        numbered = row.atomic_basis.numbered(row.n_types)
        for order, patterns in enumerate(degree.patterns(numbered, row.n_types, irrep), 1):
            for pattern, number in patterns.items():
                couplings = symmetric_couplings(*pattern)
                coefficients = np.count_nonzero(np.abs(couplings.coefficients).sum(axis=2))
                products = (order - 1) * len(couplings.monomials)
                total += number * (products + 2.0 * width * int(coefficients))
    return total
