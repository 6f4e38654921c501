"""The sum over neighbours of the one-particle basis, fused."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes
from multiace.kernels.operations.convolution import CONVOLUTION
from multiace.kernels.tables import ConvolutionTable

_HIGHEST = 6
"""l of the largest output that csrc/convolution_paths.h has loops for."""


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


_INPUTS = CONVOLUTION.inputs


def _arguments(inputs: Sequence[Tensor], constants: Sequence, keep: list) -> Arguments:
    """Fill in what every pass reads; `keep` holds what must outlive the call."""
    *indices, table, _ = constants
    keep += contiguous([*inputs, *indices])
    features, harmonics, hidden, weights, edge_types, senders, receivers, pairs = keep[-8:]
    return Arguments(
        table=words_of(table),
        n_senders=features.shape[0],
        n_receivers=features.shape[0],
        n_edges=senders.shape[0],
        n_pairs=hidden.shape[0],
        n_hidden=hidden.shape[1],
        n_types=weights.shape[0] if weights.ndim == 3 else weights.shape[0] - hidden.shape[1] + 1,
        type_rows=hidden.shape[1] if weights.ndim == 3 else 1,
        n_threads=threads(),
        senders=pointer(senders),
        receivers=pointer(receivers),
        edge_types=pointer(edge_types),
        pairs=pointer(pairs),
        features=pointer(features),
        harmonics=pointer(harmonics),
        hidden=pointer(hidden),
        weights=pointer(weights),
    )


def _forward(*arguments) -> tuple[Tensor, ...]:
    inputs, constants = arguments[:4], arguments[4:]
    keep: list = []
    call = _arguments(inputs, constants, keep)
    pooled = inputs[0].new_empty((inputs[0].shape[0], constants[-1]))
    call.pooled = pointer(pooled)
    library().call("convolution_forward", pooled.dtype, call)
    return (pooled,)


def _results(call: Arguments, inputs: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor]:
    results = []
    for name, x, wanted in zip(_INPUTS, inputs, needed, strict=True):
        results.append(x.new_empty(x.shape if wanted else (0,)))
        if wanted:
            setattr(call, f"{name}_gradient", pointer(results[-1]))
    return results


def _backward(needed: Sequence[bool], cotangent: Tensor, *arguments) -> tuple[Tensor, ...]:
    inputs, constants = arguments[:4], arguments[4:]
    keep = contiguous([cotangent])
    call = _arguments(inputs, constants, keep)
    call.cotangent = pointer(keep[0])
    results = _results(call, inputs, needed)
    if any(needed):
        library().call("convolution_backward", cotangent.dtype, call)
    return tuple(results)


def _double_backward(needed: Sequence[bool], *arguments) -> tuple[Tensor, ...]:
    dots, cotangent = arguments[:4], arguments[4]
    inputs, constants = arguments[5:9], arguments[9:]
    keep = contiguous([cotangent, *dots])
    call = _arguments(inputs, constants, keep)
    call.cotangent = pointer(keep[0])
    for name, dot in zip(_INPUTS, keep[1:5], strict=True):
        setattr(call, f"{name}_dot", pointer(dot))
    pooled = cotangent.new_empty(cotangent.shape if needed[0] else (0,))
    if needed[0]:
        call.pooled = pointer(pooled)
    results = _results(call, inputs, needed[1:])
    library().call("convolution_double_backward", cotangent.dtype, call)
    return (pooled, *results)


def _check(table: ConvolutionTable) -> None:
    """Refuse an output of l > 6, which no Design has.

    Raises:
        ValueError: always then.
    """
    highest = max((irrep.l for irrep in table.irreps_out.irreps), default=0)
    if highest > _HIGHEST:
        raise ValueError(
            f"The compiled convolution reaches l = {_HIGHEST}, and is asked for {highest}. Use "
            "kernels='reference'."
        )


PASSES = Passes(_forward, _backward, _double_backward, _check)
