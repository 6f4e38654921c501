"""Distances and spherical harmonics of edges, several edges at a time."""

from __future__ import annotations

import ctypes

from torch import Tensor

from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.edge_basis import EDGE_BASIS


class Arguments(ctypes.Structure):
    """`MultiaceEdgeBasis` of csrc/edge_basis.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "l_max n_edges n_threads".split()),
        *((name, ctypes.c_void_p) for name in "vectors vectors_dot".split()),
        *((f"{name}_cotangent", ctypes.c_void_p) for name in "distances harmonics".split()),
        *((name, ctypes.c_void_p) for name in "distances harmonics vectors_gradient".split()),
    )


def fields(vectors: Tensor, table: Tensor, l_max: int) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    return {"l_max": l_max, "n_edges": vectors.shape[0]}, {}


PASSES = passes(EDGE_BASIS, Arguments, ["distances", "harmonics"], fields)
