"""`Program`: a potential as data, which executors in any language can run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.kernels.tables import Table

FORMAT = 1
"""Version of the program file."""

ABSENT = -1

Rows = Literal["nodes", "owned", "edges", "pairs"]
Lifetime = Literal["whole", "kept", "temporary"]
ROWS: tuple[Rows, ...] = ("nodes", "owned", "edges", "pairs")
LIFETIMES: tuple[Lifetime, ...] = ("whole", "kept", "temporary")

OPERATIONS = (
    "edge_basis",
    "agnesi",
    "radial_basis",
    "radial_network",
    "spline",
    "embedding",
    "convolution",
    "neighbour_density",
    "pooling_density",
    "quotient",
    "linear",
    "polynomial_product",
    "gate",
    "norm",
    "select",
    "repulsion",
    "normalised_agnesi",
)
"""Names of operations; codes count from 1. See docs/programs.md."""


class Array(NamedTuple):
    """One quantity, with a row for each node, owned node, edge or pair of edges.

    Args:
        rows: what the rows belong to.
        width: numbers in a row.
        lifetime: `whole`, the evaluation; `kept`, until the reverse pass of the layer; `temporary`,
            within one pass of the layer.
        differentiable: whether the energy has a gradient by it.
    """

    rows: Rows
    width: int
    lifetime: Lifetime
    differentiable: bool


@dataclass(frozen=True, eq=False)
class Operation:
    """One step: read arrays, write others.

    Args:
        name: one of `OPERATIONS`.
        layer: layer it belongs to, from 1; 0 for edges.
        inputs: positions of the arrays read; -1: absent.
        outputs: positions of the arrays written; -1: absent.
        table: what the operation is built from.
        constants: tensors of the program's dtype, or int64; None: absent.
    """

    name: str
    layer: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Table | None = None
    constants: tuple[Tensor | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """Operations over arrays, layer by layer, with their weights.

    An array that several operations of a layer write is their sum. The energy of an atom of
    element z is the sum of its terms: the constants `terms[z]`, where the last of them, one for
    each of `reads`, gain `factors[n, z]` times what is read.

    Args:
        elements: atomic numbers, ascending; species count in these.
        cutoff: Å.
        dtype: dtype of arrays and weights.
        exact: whether radial functions are evaluated by their network, not by splines.
        spline_error: largest error of a radial function over its largest value.
        spline_slope_error: the same of slopes.
        arrays: all arrays.
        operations: in the order of the forward pass.
        vectors: position of the array of edge vectors.
        features: positions of the arrays h^(t), t = 1 .. T.
        reads: positions of the arrays that the energy reads.
        terms: constants, eV.
        factors: eV.
        names: of the terms.
        provenance: where the weights come from, for people.
    """

    elements: tuple[int, ...]
    cutoff: float
    dtype: torch.dtype
    exact: bool
    spline_error: float
    spline_slope_error: float
    arrays: tuple[Array, ...]
    operations: tuple[Operation, ...]
    vectors: int
    features: tuple[int, ...]
    reads: tuple[int, ...]
    terms: Float64[Tensor, "elements terms"]
    factors: Float64[Tensor, "read elements"]
    names: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        """Number of layers T."""
        return len(self.features)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The program as named tensors, those of the file but for the checksum."""
        of_tables: dict[Table, int] = {}
        constants: dict[int, tuple[int, Tensor]] = {}
        words: list[int] = []
        for operation in self.operations:
            table = operation.table
            of_table = ABSENT if table is None else of_tables.setdefault(table, len(of_tables))
            of_constants = [
                ABSENT if c is None else constants.setdefault(id(c), (len(constants), c))[0]
                for c in operation.constants
            ]
            record = [OPERATIONS.index(operation.name) + 1, operation.layer, of_table]
            for places in (operation.inputs, operation.outputs, of_constants):
                record += [len(places), *places]
            words += [len(record) + 1, *record]
        arrays = [
            (ROWS.index(a.rows), a.width, LIFETIMES.index(a.lifetime), int(a.differentiable))
            for a in self.arrays
        ]
        counts = [self.n_layers, len(self.elements), len(arrays), len(self.operations)]
        counts += [
            len(of_tables),
            len(constants),
            self.vectors,
            self.dtype.itemsize,
            int(self.exact),
        ]
        settings = [self.cutoff, self.spline_error, self.spline_slope_error]
        return {
            "header": _integers([FORMAT, *counts]),
            "settings": torch.tensor(settings, dtype=torch.float64),
            "elements": _integers(self.elements),
            "arrays": _integers([word for array in arrays for word in array]).view(-1, 4),
            "operations": _integers(words),
            "features": _integers(self.features),
            "reads": _integers(self.reads),
            "terms": self.terms,
            "factors": self.factors,
            **{f"table.{n}": table.encoding for table, n in of_tables.items()},
            **{f"constant.{n}": constant for n, constant in constants.values()},
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all tensors with their names, in the order of names."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def _integers(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
