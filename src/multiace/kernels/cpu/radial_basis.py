"""Radial basis and envelope, several distances at a time."""

from __future__ import annotations

import ctypes
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.radial_basis import RADIAL_BASIS
from multiace.kernels.tables import RadialBasisTable
from multiace.kernels.tables.radial import FAMILIES

_INPUTS, _OUTPUTS = RADIAL_BASIS.inputs, ("basis", "envelope")


class Arguments(ctypes.Structure):
    """`MultiaceRadialBasis` of csrc/radial_basis.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_rows number n_threads".split()),
        *((name, ctypes.c_int64) for name in "family envelope_power envelope_on_basis".split()),
        *((name, ctypes.c_int64) for name in "outer inner falling".split()),
        ("cutoff", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        *((f"{name}_cotangent", ctypes.c_void_p) for name in _OUTPUTS),
        *((name, ctypes.c_void_p) for name in _OUTPUTS),
        *((f"{name}_dot", ctypes.c_void_p) for name in _OUTPUTS),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


def fixed(table: RadialBasisTable) -> dict[str, Any]:
    """Return the arguments that a table says."""
    outer, inner = table.outer_and_inner
    return {
        "number": table.number,
        "family": FAMILIES.index(table.family),
        "envelope_power": table.envelope_power,
        "envelope_on_basis": table.envelope_on == "basis",
        "outer": outer,
        "inner": inner,
        "falling": table.falling,
        "cutoff": table.cutoff,
    }


def fields(
    distances: Tensor, argument: Tensor, constants: Tensor, table: Tensor, on_basis: bool
) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    return {"n_rows": distances.shape[0], **fixed(RadialBasisTable.decode(table))}, {}


_TANGENTS = [f"{name}_dot" for name in _OUTPUTS]
PASSES = passes(RADIAL_BASIS, Arguments, _OUTPUTS, fields, tangents=_TANGENTS)
