"""Hidden layers of radial functions, a block of edges in the cache at a time."""

from __future__ import annotations

import ctypes
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import words_of
from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.radial_network import RADIAL_NETWORK
from multiace.kernels.tables import RadialNetworkTable
from multiace.kernels.tables.encoding import FUNCTIONS

_INPUTS = RADIAL_NETWORK.inputs


class Arguments(ctypes.Structure):
    """`MultiaceRadialNetwork` of csrc/radial_network.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows n_layers n_threads".split()),
        ("widths", ctypes.c_void_p),
        ("function", ctypes.c_int64),
        ("constant", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        ("cotangent", ctypes.c_void_p),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("features", ctypes.c_void_p),
        ("features_dot", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


def fixed(table: RadialNetworkTable, encoding: Tensor) -> dict[str, Any]:
    """Return the arguments that a table and its encoding say; widths point into the latter."""
    return {
        "n_layers": len(table.widths) - 1,
        "function": FUNCTIONS.index(table.activation.name),
        "constant": table.activation.constant,
        "widths": words_of(encoding) + 3 * encoding.itemsize,
    }


def fields(basis: Tensor, *others: Any) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    table = others[3]
    return {"n_rows": basis.shape[0], **fixed(RadialNetworkTable.decode(table), table)}, {}


PASSES = passes(RADIAL_NETWORK, Arguments, ["features"], fields)
