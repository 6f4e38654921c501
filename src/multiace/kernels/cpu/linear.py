"""Equivariant linear maps on flat rows, nothing split or copied."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate as running_sums
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.flat_weights import flat_weights
from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.linear import Linear as Definition
from multiace.kernels.tables import split_sizes
from multiace.o3.irreps import Irreps

_MAPS: dict[int, tuple[Irreps, Irreps]] = {}
"""Key within the packed words -> irreps of x and y, for derivatives by the definition."""


class Arguments(ctypes.Structure):
    """`MultiaceLinear` of csrc/linear.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_elements n_threads accumulate".split()),
        *((name, ctypes.c_void_p) for name in "species x weights y packed".split()),
    )


_PANEL = 32
"""Columns that packed matrices are padded to, at most; see csrc/linear.h."""


def pack_irreps(irreps_in: Irreps, irreps_out: Irreps) -> list[int]:
    """Lay a map out as words for the kernel.

    Returns:
        (n_blocks, dim_in, dim_out), then 6 words an irrep of x or y: 2l + 1, start in x and
        channels there, start in y and channels there, start of its weights.
    """
    place_in, place_out = (
        dict(zip(irreps.irreps, running_sums([0, *split_sizes(irreps)]), strict=False))
        for irreps in (irreps_in, irreps_out)
    )
    width_in = {irrep: channels for channels, irrep in irreps_in.entries}
    words, weight = [0, irreps_in.dim, irreps_out.dim], 0
    for channels, irrep in irreps_out.entries:
        width = width_in.get(irrep, 0)
        words += [irrep.dim, place_in.get(irrep, 0), width, place_out[irrep], channels, weight]
        weight += width * channels
    for width, irrep in irreps_in.entries:
        if irrep not in place_out:
            words += [irrep.dim, place_in[irrep], width, 0, 0, weight]
    words[0] = (len(words) - 3) // 6
    return words


def pack_weights(
    irreps_in: Irreps, irreps_out: Irreps, weights: Tensor, n_elements: int, *, transposed: bool
) -> Tensor:
    """Lay the matrices of a map out in the order in which a product reads them.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y.
        weights: all matrices, irrep after irrep of y, each (elements, c, d).
        n_elements: number of matrices for each irrep.
        transposed: for y W^T instead of x W.
    """
    inner, columns = (irreps_out, irreps_in) if transposed else (irreps_in, irreps_out)
    heights = {irrep: channels for channels, irrep in inner.entries}
    padded = ((irrep, math.ceil(n / _PANEL) * _PANEL) for n, irrep in columns.entries)
    size = sum(heights.get(irrep, 0) * width for irrep, width in padded)
    packed, weights = weights.new_empty(n_elements * size), weights.contiguous()
    words = torch.tensor(pack_irreps(irreps_in, irreps_out), dtype=torch.int64)
    call = Arguments(table=pointer(words), n_elements=n_elements)
    call.weights, call.packed = pointer(weights), pointer(packed)
    name = "linear_pack_transposed" if transposed else "linear_pack_forward"
    library().call(name, weights.dtype, call)
    return packed


class Linear(nn.Module):
    """The linear map of `kernels.reference`, irrep after irrep within the flat rows.

    Nodes of one element are multiplied together, wherever they are.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y.
    """

    words: Tensor

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.mixed = [str(irrep) for irrep in irreps_out.irreps if irrep in irreps_in.irreps]
        key = hash((irreps_in, irreps_out))
        _MAPS[key] = (irreps_in, irreps_out)
        words = torch.tensor([key, *pack_irreps(irreps_in, irreps_out)], dtype=torch.int64)
        self.register_buffer("words", words, persistent=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make derivatives of a copy or a pickle find their definition."""
        super().__setstate__(state)
        _MAPS[int(self.words[0])] = (self.irreps_in, self.irreps_out)

    def forward(
        self,
        x: Float[Tensor, "nodes dim_in"],
        weights: Mapping[str, Tensor],
        species: Int[Tensor, " nodes"] | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Apply the map; arguments are those of the definition."""
        matrices = [weights[irrep] for irrep in self.mixed]
        n_elements = 1 if species is None or not matrices else len(matrices[0])
        scales = [1.0 if factors is None else factors[irrep] for irrep in self.mixed]
        flat = flat_weights(matrices, scales) if matrices else x.new_empty(0)
        return linear(x, flat, species, self.words, self.irreps_out.dim, n_elements)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _multiply(
    product: str,
    constants: Sequence,
    *,
    x: Tensor,
    weights: Tensor,
    y: Tensor,
    accumulate: bool = False,
) -> None:
    """Write the product of two operands into the third: y (`forward`), x (`transposed`), weights.

    The third is contiguous and stays where it is; `accumulate` adds to it.
    """
    species, words, _, n_elements = constants
    kept = contiguous([species, x, weights, y])
    table = words.data_ptr() + 8  # behind the key
    call = Arguments(table, x.shape[0], n_elements, threads(), accumulate, *map(pointer, kept))
    library().call(f"linear_{product}", x.dtype, call)


def _forward(x: Tensor, weights: Tensor, *constants) -> tuple[Tensor, ...]:
    y = x.new_empty((x.shape[0], constants[2]))
    _multiply("forward", constants, x=x, weights=weights, y=y)
    return (y,)


def _backward(
    needed: Sequence[bool],
    cotangent: Tensor,
    x: Tensor,
    weights: Tensor,
    *constants,
) -> tuple[Tensor, ...]:
    to_x = _like(x) if needed[0] else x.new_empty(0)
    to_weights = _like(weights) if needed[1] else x.new_empty(0)
    if needed[0]:
        _multiply("transposed", constants, x=to_x, weights=weights, y=cotangent)
    if needed[1]:
        _multiply("outer", constants, x=x, weights=to_weights, y=cotangent)
    return to_x, to_weights


def _double_backward(
    needed: Sequence[bool],
    x_dot: Tensor | None,
    weights_dot: Tensor | None,
    cotangent: Tensor,
    x: Tensor,
    weights: Tensor,
    *constants,
) -> tuple[Tensor, ...]:
    y_dot = _like(cotangent) if needed[0] else x.new_empty(0)
    to_x = _like(x) if needed[1] else x.new_empty(0)
    to_weights = _like(weights) if needed[2] else x.new_empty(0)
    if x_dot is None:
        to_weights.zero_()
    else:
        if needed[0]:
            _multiply("forward", constants, x=x_dot, weights=weights, y=y_dot)
        if needed[2]:
            _multiply("outer", constants, x=x_dot, weights=to_weights, y=cotangent)
    if weights_dot is None:
        to_x.zero_()
    else:
        if needed[0]:
            add = x_dot is not None
            _multiply("forward", constants, x=x, weights=weights_dot, y=y_dot, accumulate=add)
        if needed[1]:
            _multiply("transposed", constants, x=to_x, weights=weights_dot, y=cotangent)
    return y_dot, to_x, to_weights


def _fake(x: Tensor, weights: Tensor, *constants) -> tuple[Tensor, ...]:
    return (x.new_empty((x.shape[0], constants[2])),)


def _reference(x: Tensor, weights: Tensor, *constants) -> tuple[Tensor, ...]:
    species, words, _, n_elements = constants
    irreps_in, irreps_out = _MAPS[int(words[0])]
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    shapes = {
        str(irrep): (n_elements, width[irrep], channels)
        for channels, irrep in irreps_out.entries
        if irrep in width
    }
    flat = weights.split([n * c * d for n, c, d in shapes.values()])
    matrices = {
        irrep: part.view(shape if species is not None else shape[1:])
        for (irrep, shape), part in zip(shapes.items(), flat, strict=True)
    }
    return (Definition(irreps_in, irreps_out)(x, matrices, species),)


linear = Operation(
    name="linear",
    inputs=("x", "weights"),
    constants="Tensor? species, Tensor table, int dim_out, int n_elements",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
    multilinear=True,
).register()
