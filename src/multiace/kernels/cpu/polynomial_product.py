"""Weighted sums of symmetrised products of features, as sparse polynomials in Horner's form."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from multiace.kernels.cpu.library import contiguous, library, pointer, words_of
from multiace.kernels.cpu.threads import threads
from multiace.kernels.operation import Passes


class Arguments(ctypes.Structure):
    """`MultiacePolynomialProduct` of csrc/polynomial_product.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_channels n_elements n_threads".split()),
        *((name, ctypes.c_void_p) for name in "species features weights cotangent".split()),
        *((name, ctypes.c_void_p) for name in "features_dot weights_dot product".split()),
        *((name, ctypes.c_void_p) for name in "features_gradient weights_gradient mixed".split()),
    )


class PackArguments(ctypes.Structure):
    """`MultiacePolynomialProductPack` of csrc/polynomial_product.h, field by field."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("n_words", ctypes.c_int64),
        ("packed", ctypes.c_void_p),
        ("n_packed", ctypes.c_int64),
    )


_PACKED: dict[int, Tensor] = {}
"""Digest of a table -> its packed form."""


def packed(encoding: Tensor) -> Tensor:
    """Return the polynomials of a `ProductTable` in Horner's form, for the kernel."""
    digest = ctypes.c_int64.from_address(encoding.data_ptr()).value
    found = _PACKED.get(digest)
    if found is None:
        call = PackArguments(words_of(encoding), len(encoding) - 1)
        library().call("polynomial_product_pack", None, call)
        found = torch.empty(call.n_packed, dtype=torch.int64)
        call.packed = found.data_ptr()
        library().call("polynomial_product_pack", None, call)
        _PACKED[digest] = found
    return found


def _arguments(
    features: Tensor,
    weights: Tensor,
    species: Tensor | None,
    table: Tensor,
    **others: Tensor | None,
) -> tuple[Arguments, list[Tensor | None]]:
    """Fill in what every pass reads, and return what must outlive the call."""
    kept = contiguous([features, weights, species, *others.values()])
    call = Arguments(
        table=packed(table).data_ptr(),
        n_nodes=features.shape[0],
        n_channels=weights.shape[2],
        n_elements=weights.shape[0],
        n_threads=threads(),
    )
    for name, tensor in zip(["features", "weights", "species", *others], kept, strict=True):
        setattr(call, name, pointer(tensor))
    return call, kept


def _results(call: Arguments, needed: Sequence[bool], **like: Tensor) -> tuple[Tensor, ...]:
    """Allocate the results that are needed and fill them in; the others are empty."""
    results = []
    for (name, x), wanted in zip(like.items(), needed, strict=True):
        results.append(x.new_empty(x.shape if wanted else (0,)))
        if wanted:
            setattr(call, name, pointer(results[-1]))
    return tuple(results)


def _forward(
    features: Tensor, weights: Tensor, species: Tensor | None, table: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    call, _kept = _arguments(features, weights, species, table)
    product = features.new_empty((features.shape[0], dim_out))
    call.product = pointer(product)
    library().call("polynomial_product_forward", features.dtype, call)
    return (product,)


def _backward(
    needed: Sequence[bool],
    cotangent: Tensor,
    features: Tensor,
    weights: Tensor,
    species: Tensor | None,
    table: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    call, _kept = _arguments(features, weights, species, table, cotangent=cotangent)
    results = _results(call, needed, features_gradient=features, weights_gradient=weights)
    library().call("polynomial_product_backward", features.dtype, call)
    return results


def _double_backward(
    needed: Sequence[bool],
    features_dot: Tensor | None,
    weights_dot: Tensor | None,
    cotangent: Tensor,
    features: Tensor,
    weights: Tensor,
    species: Tensor | None,
    table: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    dots = {"features_dot": features_dot, "weights_dot": weights_dot}
    call, _kept = _arguments(features, weights, species, table, cotangent=cotangent, **dots)
    gradients = {"features_gradient": features, "weights_gradient": weights}
    results = _results(call, needed, product=cotangent, **gradients)
    library().call("polynomial_product_double_backward", features.dtype, call)
    return results


PASSES = Passes(_forward, _backward, _double_backward)
