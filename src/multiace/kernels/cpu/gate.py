"""Gated activation in one pass over the rows."""

from __future__ import annotations

import ctypes

from torch import Tensor

from multiace.kernels.cpu.library import words_of
from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.gate import GATE


class Arguments(ctypes.Structure):
    """`MultiaceGate` of csrc/gate.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_threads".split()),
        *((name, ctypes.c_void_p) for name in "x cotangent x_dot y x_gradient".split()),
    )


def fields(x: Tensor, table: Tensor, dim_out: int) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    return {"table": words_of(table), "n_nodes": x.shape[0]}, {}


PASSES = passes(GATE, Arguments, ["y"], fields)
