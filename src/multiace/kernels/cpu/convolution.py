"""The sum over neighbours of the one-particle basis, fused."""

from __future__ import annotations

import ctypes
from typing import Any

from torch import Tensor

from multiace.kernels.cpu.library import words_of
from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.convolution import CONVOLUTION
from multiace.kernels.tables import ConvolutionTable

_HIGHEST = 6
"""l of the largest output that csrc/convolution_paths.h has loops for."""

_INPUTS = CONVOLUTION.inputs


class Arguments(ctypes.Structure):
    """`MultiaceConvolution` of csrc/convolution.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_senders n_receivers n_edges n_pairs".split()),
        *((name, ctypes.c_int64) for name in "n_hidden n_types type_rows n_threads".split()),
        *((name, ctypes.c_void_p) for name in "senders receivers edge_types pairs".split()),
        *((name, ctypes.c_void_p) for name in "features harmonics hidden weights".split()),
        ("cotangent", ctypes.c_void_p),
        *((f"{name}_dot", ctypes.c_void_p) for name in "features harmonics hidden weights".split()),
        ("pooled", ctypes.c_void_p),
        *(
            (f"{name}_gradient", ctypes.c_void_p)
            for name in "features harmonics hidden weights".split()
        ),
    )


def fields(
    features: Tensor, harmonics: Tensor, hidden: Tensor, weights: Tensor, *constants: Any
) -> Fields:
    """Return sizes, and tensors that are no inputs.

    Raises:
        ValueError: an output of l > 6, which no Design has.
    """
    edge_types, senders, receivers, pairs, table, _ = constants
    highest = ConvolutionTable.decode(table).highest
    if highest > _HIGHEST:
        raise ValueError(
            f"The compiled convolution reaches l = {_HIGHEST}, and is asked for {highest}. Use "
            "kernels='reference'."
        )
    n_nodes, n_hidden, (n_rows, *_) = features.shape[0], hidden.shape[1], weights.shape
    by_type = weights.ndim == 3
    sizes = {
        "table": words_of(table),
        "n_senders": n_nodes,
        "n_receivers": n_nodes,
        "n_edges": senders.shape[0],
        "n_pairs": hidden.shape[0],
        "n_hidden": n_hidden,
        "n_types": n_rows if by_type else n_rows - n_hidden + 1,
        "type_rows": n_hidden if by_type else 1,
    }
    indices = {"edge_types": edge_types, "senders": senders, "receivers": receivers}
    return sizes, {**indices, "pairs": pairs}


PASSES = passes(CONVOLUTION, Arguments, ["pooled"], fields)
