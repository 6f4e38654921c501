"""Parameters of a Design, counted without building a model."""

from __future__ import annotations

from itertools import pairwise

from multiace.design.layout import SCALAR, LayerLayout, embedding_irreps, layouts
from multiace.design.spec import Design
from multiace.o3.couplings import count_couplings
from multiace.o3.irreps import Irreps


def count_parameters(design: Design, n_elements: int, *, prune: bool) -> dict[str, int]:
    """Count the trainable numbers of a Design by the part of the model they belong to.

    Args:
        design: the Design.
        n_elements: number of chemical elements of the model.
        prune: count only what can reach a readout (what the model holds), or everything, as the
            papers count.

    Returns:
        Part -> number; the sum is the size of the model.
    """
    rows = layouts(design, n_elements, prune=prune)
    counts = {
        "embedding": _embedding(design, n_elements),
        "radial": sum(_radial(design, n_elements, t, row) for t, row in enumerate(rows)),
        "before_edges": 0,
        "after_pooling": 0,
        "product_basis": 0,
        "update": 0,
        "self_connection": 0,
        "readout": 0,
        "energy": _energy(design, n_elements),
    }
    if design.atomic_basis.pooling == "density":
        counts["radial"] += len(rows) * design.radial.number
    if design.radial.trainable:
        counts["radial"] += design.radial.number
    for layer, row in enumerate(rows):
        for part, number in _layer(design, layer, row, n_elements).items():
            counts[part] += number
    return counts


def _embedding(design: Design, n_elements: int) -> int:
    if design.embedding == "one_hot":
        return 0
    return n_elements * embedding_irreps(design, n_elements).dim


def _energy(design: Design, n_elements: int) -> int:
    energy = design.energy
    used = (energy.shift != "none") + (energy.scale != "none")
    return used * (n_elements if energy.per_element else 1) if energy.trainable else 0


def n_radial_weights(row: LayerLayout) -> int:
    """Return the radial functions of a layer: channels summed over paths."""
    return sum(row.pooled.channels)


def edge_types(species: str, n_elements: int) -> int:
    """Return how many tables the last radial map holds."""
    return {"none": 1, "sender": n_elements, "receiver": n_elements, "pair": n_elements**2}[species]


def _radial(design: Design, n_elements: int, layer: int, row: LayerLayout) -> int:
    layers = design.per_layer("radial.hidden")[layer]
    widths = (design.radial.number, *layers)
    hidden = sum(a * b for a, b in pairwise(widths))
    if row.density:
        return hidden + (sum(layers) if design.radial.bias else 0)
    biases = sum(layers) if design.radial.bias else 0
    types = edge_types(design.per_layer("radial.species")[layer], n_elements)
    return hidden + biases + types * widths[-1] * n_radial_weights(row)


def _mixing(source: Irreps, target: Irreps) -> int:
    """Size of a linear map: one matrix for each irrep that both sides have."""
    return sum(
        n_in * n_out
        for n_in, irrep in source.entries
        for n_out, other in target.entries
        if irrep == other
    )


def _layer(design: Design, layer: int, row: LayerLayout, n_elements: int) -> dict[str, int]:
    def value(path: str) -> str:
        return design.per_layer(path)[layer]

    copies = {"none": 0, "identity": 0, "shared": 1, "linear": 1, "per_element": n_elements}
    correlation = design.per_layer("product_basis.correlation")[layer]
    counts = {
        "before_edges": copies[value("atomic_basis.before_edges")]
        * _mixing(row.convolved, row.convolved),
        "update": copies[value("update.linear")] * _mixing(row.message, row.update),
        "self_connection": copies[value("update.self_connection")]
        * _mixing(row.connected, row.update),
        "readout": _readout(design, layer, row),
    }
    after = value("atomic_basis.after_pooling")
    if after == "none":
        counts["after_pooling"] = 0
    elif after == "shared_then_per_element":
        counts["after_pooling"] = _mixing(row.pooled, row.mixed)
        counts["after_pooling"] += n_elements * _mixing(row.mixed, row.atomic_basis)
    else:
        copies_after = n_elements if after == "per_element" else 1
        counts["after_pooling"] = copies_after * _mixing(row.pooled, row.atomic_basis)
    if correlation > 1:
        copies_of_weights = n_elements if design.product_basis.weights == "per_element" else 1
        counts["product_basis"] = copies_of_weights * sum(
            width * sum(of_irrep)
            for width, of_irrep in zip(row.message.channels, n_functions(design, row), strict=True)
        )
    return counts


def n_functions(design: Design, row: LayerLayout) -> tuple[tuple[int, ...], ...]:
    """Return how many functions B each irrep of the message (rows) has by order (columns).

    Channel by channel these are the couplings of one channel.
    """
    degree, a = row.total_degree, row.atomic_basis
    if degree is not None:
        numbered = a.numbered(row.n_types)
        return tuple(degree.count(numbered, row.n_types, irrep) for irrep in row.message.irreps)
    basis = design.product_basis.basis
    orders = range(1, row.correlation + 1)
    return tuple(
        tuple(count_couplings(a.irreps, irrep, order, basis) for order in orders)
        for irrep in row.message.irreps
    )


def _readout(design: Design, layer: int, row: LayerLayout) -> int:
    kind = design.per_layer("readout.kind")[layer]
    if kind == "none":
        return 0
    width = row.features_out.channels[row.features_out.index(SCALAR)]
    return {"sum": 0, "linear": width, "mlp": (width + 1) * design.readout.hidden}[kind]
