"""The sum over neighbours of the one-particle basis, fused."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.convolution import Convolution as Definition
from multiace.kernels.tables import ConvolutionTable
from multiace.o3.clebsch_gordan import clebsch_gordan

_HIGHEST = 6
"""l of the largest output that csrc/convolution_paths.h has loops for."""

_TABLES: dict[int, ConvolutionTable] = {}
"""Key within the packed words -> table, for derivatives by the definition."""


class Arguments(ctypes.Structure):
    """`MultiaceConvolution` of csrc/convolution.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_senders n_receivers n_edges n_pairs".split()),
        *((name, ctypes.c_int64) for name in "n_hidden n_types type_rows n_threads".split()),
        *((name, ctypes.c_void_p) for name in "senders receivers edge_types pairs".split()),
        *((name, ctypes.c_void_p) for name in "features harmonics hidden weights".split()),
        *((name, ctypes.c_void_p) for name in "knots spline_basis spline_slope".split()),
        ("n_knots", ctypes.c_int64),
        ("cotangent", ctypes.c_void_p),
        *((f"{name}_dot", ctypes.c_void_p) for name in "features harmonics hidden weights".split()),
        ("pooled", ctypes.c_void_p),
        *(
            (f"{name}_gradient", ctypes.c_void_p)
            for name in "features harmonics hidden weights distance".split()
        ),
        ("add_harmonics_gradient", ctypes.c_int64),
        ("kept", ctypes.c_void_p),
        ("n_kept", ctypes.c_int64),
    )


def pack_table(table: ConvolutionTable) -> np.ndarray:
    """Lay a table out as 64-bit words for the kernel.

    Returns:
        (n_paths, dim_in, dim_out, harmonics, n_weights, largest d_in d_out), then 9 words a path
        and 3 a coupling, its value as the bits of a double.

    Raises:
        ValueError: an output of l > 6, which no Design has.
    """
    highest = max((irrep.l for irrep in table.irreps_out.irreps), default=0)
    if highest > _HIGHEST:
        raise ValueError(
            f"The compiled convolution reaches l = {_HIGHEST}, and is asked for {highest}. Use "
            "kernels='reference'."
        )
    starts_in = dict(zip(table.irreps_in.irreps, _starts(table.irreps_in.entries), strict=True))
    starts_out = dict(zip(table.irreps_out.irreps, _starts(table.irreps_out.entries), strict=True))
    width_out = {irrep: channels for channels, irrep in table.irreps_out.entries}
    paths: list[int] = []
    couplings: list[tuple[int, int, float]] = []
    weight = 0
    filled = dict.fromkeys(table.irreps_out.irreps, 0)
    for (irrep_in, l_edge, out), channels in zip(table.paths, table.channels_of_path, strict=True):
        first = len(couplings)
        values = clebsch_gordan(irrep_in.l, l_edge, out.l)  # (a, m, b)
        for a, m, b in np.argwhere(values):
            entry = int(b) * irrep_in.dim + int(a)
            couplings.append((l_edge**2 + int(m), entry, float(values[a, m, b])))
        start = starts_out[out] + filled[out]
        paths += [irrep_in.dim, out.dim, starts_in[irrep_in], channels, start, width_out[out]]
        paths += [weight, first, len(couplings)]
        filled[out] += channels
        weight += channels
    largest = max((i.dim * o.dim for i, _, o in table.paths), default=1)
    head = [len(table.paths), table.irreps_in.dim, table.irreps_out.dim, (table.l_max + 1) ** 2]
    words = np.array([*head, table.n_weights, largest, *paths], dtype=np.int64)
    values = np.array([value for *_, value in couplings], dtype=np.float64).view(np.int64)
    indices = np.array([indices for *indices, _ in couplings], dtype=np.int64).reshape(-1, 2)
    return np.concatenate([words, np.column_stack([indices, values]).ravel()])


def _starts(entries: Sequence[tuple[int, object]]) -> list[int]:
    sizes = [channels * irrep.dim for channels, irrep in entries]  # type: ignore[attr-defined]
    return [0, *np.cumsum(sizes)[:-1].tolist()]


class Convolution(nn.Module):
    """The convolution of `kernels.reference`, with radial functions formed in the cache.

    No array over edges is longer than the hidden features: R and the messages of some nodes' edges
    exist for the time of a few paths, R once for both directions of a pair. Sums run in a fixed
    order, so that results are the same on every run with the same number of threads.

    Args:
        table: couplings and layout.
    """

    words: Tensor

    def __init__(self, table: ConvolutionTable) -> None:
        super().__init__()
        self.table = table
        words = pack_table(table)
        key = hash(table)
        _TABLES[key] = table
        packed = torch.from_numpy(np.concatenate([[key], words]).astype(np.int64))
        self.register_buffer("words", packed, persistent=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make derivatives of a copy or a pickle find their definition."""
        super().__setstate__(state)
        _TABLES[int(self.words[0])] = self.table

    def forward(
        self,
        features: Float[Tensor, "nodes dim_in"],
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "pairs hidden"],
        weights: Float[Tensor, "types hidden n_weights"] | Float[Tensor, "rows n_weights"],
        edge_types: Int[Tensor, " edges"] | None,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        pairs: Int[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return the sums over neighbours; arguments are those of the definition."""
        return convolution(
            features,
            harmonics,
            hidden,
            weights,
            edge_types,
            senders,
            receivers,
            pairs,
            self.words,
            self.table.irreps_out.dim,
        )


_INPUTS = ("features", "harmonics", "hidden", "weights")


def _arguments(inputs: Sequence[Tensor], constants: Sequence, keep: list) -> Arguments:
    """Fill in what every pass reads; `keep` holds what must outlive the call."""
    *indices, words, _ = constants
    keep += contiguous([*inputs, *indices])
    features, harmonics, hidden, weights, edge_types, senders, receivers, pairs = keep[-8:]
    return Arguments(
        table=words.data_ptr() + 8,  # behind the key
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


def _fake(*arguments) -> tuple[Tensor, ...]:
    return (arguments[0].new_empty((arguments[0].shape[0], arguments[-1])),)


def _reference(*arguments) -> tuple[Tensor, ...]:
    *tensors, words, _ = arguments  # the last tensor is `pairs`
    definition = Definition(_TABLES[int(words[0])]).to(tensors[0].dtype)
    return (definition(*tensors),)


convolution = Operation(
    name="convolution",
    inputs=_INPUTS,
    constants="Tensor? edge_types, Tensor senders, Tensor receivers, Tensor? pairs, "
    "Tensor table, int dim_out",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
    multilinear=True,
).register()
