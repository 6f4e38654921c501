"""The density of neighbours of each element."""

from __future__ import annotations

import ctypes
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import words_of
from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.neighbour_density import NEIGHBOUR_DENSITY

_INPUTS = NEIGHBOUR_DENSITY.inputs


class Arguments(ctypes.Structure):
    """`MultiaceNeighbourDensity` of csrc/neighbour_density.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_edges n_pairs n_threads".split()),
        *((name, ctypes.c_void_p) for name in "edge_types receivers pairs".split()),
        *((name, ctypes.c_void_p) for name in (*_INPUTS, "cotangent")),
        *((f"{name}_dot", ctypes.c_void_p) for name in _INPUTS),
        ("density", ctypes.c_void_p),
        *((f"{name}_gradient", ctypes.c_void_p) for name in _INPUTS),
    )


def fields(harmonics: Tensor, hidden: Tensor, *constants: Any) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    edge_types, receivers, pairs, table, n_nodes, _ = constants
    sizes = {
        "table": words_of(table),
        "n_nodes": n_nodes,
        "n_edges": harmonics.shape[0],
        "n_pairs": hidden.shape[0],
    }
    return sizes, {"edge_types": edge_types, "receivers": receivers, "pairs": pairs}


PASSES = passes(NEIGHBOUR_DENSITY, Arguments, ["density"], fields)
