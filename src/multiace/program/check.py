"""Whether a program makes sense: shapes, positions and order of its operations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from multiace.elements import SYMBOLS
from multiace.kernels import tables as kernel_tables
from multiace.program.program import ABSENT, OPERATIONS, Operation, Program

_TABLES: dict[str, Any] = {
    "edge_basis": kernel_tables.EdgeBasisTable,
    "agnesi": kernel_tables.AgnesiTable,
    "radial_basis": kernel_tables.RadialBasisTable,
    "radial_network": kernel_tables.RadialNetworkTable,
    "spline": kernel_tables.SplineTable,
    "convolution": kernel_tables.ConvolutionTable,
    "neighbour_density": kernel_tables.DensityTable,
    "linear": kernel_tables.LinearTable,
    "polynomial_product": kernel_tables.ProductTable,
    "gate": kernel_tables.GateTable,
    "norm": kernel_tables.NormTable,
    "select": kernel_tables.SelectTable,
    "repulsion": kernel_tables.RepulsionTable,
}
"""Operation -> what it is built from; the others need nothing."""


class _Widths(NamedTuple):
    """Widths of the arrays of an operation, and shapes of its constants; None: absent."""

    inputs: Sequence[int | None]
    outputs: Sequence[int | None]
    constants: Sequence[tuple[int, ...] | None] = ()


def operation_of(words: list[int], tables: list[Tensor], constants: list[Tensor]) -> Operation:
    """Return the operation of a record, without its length.

    Args:
        words: code, layer, table, then inputs, outputs and constants with their numbers.
        tables: encodings.
        constants: all constants.

    Raises:
        ValueError: the record is not that of an operation.
    """
    code, layer, table, *rest = words
    if not 1 <= code <= len(OPERATIONS):
        raise ValueError(f"{code} is no code of an operation")
    name, parts = OPERATIONS[code - 1], []
    for _ in range(3):
        n, rest = rest[0], rest[1:]
        if not 0 <= n <= len(rest):
            raise ValueError(f"a record of {name} says {n} of {len(rest)} words")
        parts.append(rest[:n])
        rest = rest[n:]
    for n, limit in ((table, len(tables)), *((n, len(constants)) for n in parts[2])):
        if not ABSENT <= n < limit:
            raise ValueError(f"{name} refers to {n} of {limit}")
    if rest or (table == ABSENT) != (name not in _TABLES):
        raise ValueError(f"a record of {name} is too long, or its table is missing")
    return Operation(
        name,
        layer,
        tuple(parts[0]),
        tuple(parts[1]),
        None if table == ABSENT else _TABLES[name].decode(tables[table]),
        tuple(None if n == ABSENT else constants[n] for n in parts[2]),
    )


def check(program: Program) -> None:
    """Check everything that an executor relies on.

    Raises:
        ValueError: what makes no sense.
    """
    elements, n_arrays = program.elements, len(program.arrays)
    _ensure(elements == tuple(sorted(set(elements))), "elements are not ascending")
    _ensure(bool(elements) and 1 <= elements[0] <= elements[-1] <= len(SYMBOLS), "elements")
    numbers = (program.cutoff, program.spline_error, program.spline_slope_error)
    _ensure(all(0.0 <= number < float("inf") for number in numbers), "cutoff or spline errors")
    _ensure(program.cutoff > 0.0 and program.n_layers > 0, "no cutoff, or no layers")
    _ensure(all(array.width > 0 for array in program.arrays), "an array without width")
    written, layer = {program.vectors}, 0
    for operation in program.operations:
        name = operation.name
        places = (*operation.inputs, *operation.outputs)
        _ensure(all(ABSENT <= n < n_arrays for n in places), f"{name} of arrays out of range")
        _ensure(layer <= operation.layer <= program.n_layers, f"{name} of layer {operation.layer}")
        layer = operation.layer
        _ensure({*operation.inputs} <= written | {ABSENT}, f"{name} reads what was not written")
        written |= {*operation.outputs} - {ABSENT}
        _check_shapes(program, operation)
    whole = (program.vectors, *program.features, *program.reads)
    _ensure(all(0 <= n < n_arrays for n in whole), "features or reads out of range")
    _ensure({*whole} <= written, "features or reads that nothing writes")
    _ensure(all(program.arrays[n].rows == "nodes" for n in program.features), "rows of features")
    of_atoms = all(program.arrays[n][:2] == ("owned", 1) for n in program.reads)
    _ensure(of_atoms, "rows of energies")
    n_read, n_terms = len(program.reads), len(program.names)
    _ensure(program.terms.shape == (len(elements), n_terms), "shape of terms")
    _ensure(program.factors.shape == (n_read, len(elements)) and n_read <= n_terms, "factors")
    for tensor in (program.terms, program.factors):
        _ensure(tensor.dtype == torch.float64, "terms or factors that are not float64")
        _ensure(bool(tensor.isfinite().all()), "terms or factors that are not finite")


def _check_shapes(program: Program, operation: Operation) -> None:
    name, n_elements = operation.name, len(program.elements)
    expected = _widths(operation, [_width(program, n) for n in operation.inputs], n_elements)
    for places, widths in ((operation.inputs, expected[0]), (operation.outputs, expected[1])):
        found = [_width(program, n) for n in places]
        _ensure(found == list(widths), f"{name} has arrays of widths {found}, not {widths}")
    shapes = [None if c is None else tuple(c.shape) for c in operation.constants]
    _ensure(shapes == list(expected.constants), f"{name} has constants of shapes {shapes}")
    for constant in operation.constants:
        if constant is not None and constant.dtype == torch.int64:
            values = operation.constants[0]
            n_types = n_elements if values is None or values is constant else len(values)
            ends = (int(constant.min()), int(constant.max()))
            _ensure(-1 <= ends[0] <= ends[1] < n_types, f"{name} of types {ends}")
        elif constant is not None:
            _ensure(constant.dtype == program.dtype, f"{name} has {constant.dtype}")
            _ensure(bool(constant.isfinite().all()), f"{name} has weights that are not finite")


def _width(program: Program, array: int) -> int | None:
    return None if array == ABSENT else program.arrays[array].width


def _widths(operation: Operation, inputs: list[int | None], n_elements: int) -> _Widths:
    """Return the widths that an operation must have; what may vary is as it is."""
    table: Any = operation.table
    constants = [None if c is None else tuple(c.shape) for c in operation.constants]
    first = constants[0] if constants else None
    types = None if not constants or constants[-1] is None else (n_elements, n_elements)
    optional = None if len(inputs) < 2 or inputs[1] is None else 1
    match operation.name:
        case "edge_basis":
            return _Widths([3], [1, (table.l_max + 1) ** 2])
        case "agnesi":
            return _Widths([1], [1])
        case "radial_basis":
            envelope = 1 if table.envelope_on == "weights" else None
            return _Widths([1, optional], [table.number, envelope], [(table.number,)])
        case "radial_network":
            widths = table.widths
            sizes = (sum(map(prod, pairwise(widths))), sum(widths[1:]))
            shapes = [None if c is None else (n,) for c, n in zip(constants, sizes, strict=True)]
            return _Widths([widths[0], optional], [widths[-1]], shapes)
        case "spline":
            n_types = 1 if first is None else first[0]
            rows = 4 * table.n_intervals + 2
            return _Widths([1], [table.n_functions], [(n_types, rows, table.n_functions), types])
        case "embedding":
            width = 0 if first is None else first[-1]
            return _Widths([], [width], [(n_elements, width)])
        case "convolution":
            hidden = table.n_weights if first is None else inputs[2]
            weights = None if first is None else (first[0], hidden or 0, table.n_weights)
            n_harmonics = (table.l_max + 1) ** 2
            dims = (table.irreps_in.dim, table.irreps_out.dim)
            return _Widths([dims[0], n_harmonics, hidden], [dims[1]], [weights, types])
        case "neighbour_density":
            widths = [(table.l_max + 1) ** 2, table.n_hidden]
            return _Widths(widths, [table.dim], [types])
        case "pooling_density":
            number = inputs[0] or 0
            return _Widths([number, optional], [1], [(number,)])
        case "quotient":
            return _Widths([inputs[0], 1], [inputs[0]])
        case "linear":
            size = sum(map(prod, table.shapes.values()))
            shape = (n_elements * size if first == (n_elements * size,) else size,)
            return _Widths([table.irreps_in.dim], [table.irreps_out.dim], [shape])
        case "polynomial_product":
            copies = n_elements if first and first[0] == n_elements else 1
            shape = (copies, table.n_weights, table.irreps_in.channels[0])
            return _Widths([table.irreps_in.dim], [table.irreps_out.dim], [shape])
        case "norm":
            return _Widths([table.irreps.dim], [table.irreps.dim])
        case "repulsion":
            return _Widths([1], [1])
        case _:
            return _Widths([table.irreps_in.dim], [table.irreps_out.dim])


def _ensure(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
