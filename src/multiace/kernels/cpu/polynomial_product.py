"""Weighted sums of symmetrised products of features, as sparse polynomials in Horner's form."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from multiace.kernels.cpu.library import library, words_of
from multiace.kernels.cpu.passes import Fields, passes
from multiace.kernels.operations.polynomial_product import POLYNOMIAL_PRODUCT
from multiace.kernels.tables.encoding import digest_of


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
    digest = digest_of(encoding)
    found = _PACKED.get(digest)
    if found is None:
        call = PackArguments(words_of(encoding), len(encoding) - 1)
        library().call("polynomial_product_pack", None, call)
        found = torch.empty(call.n_packed, dtype=torch.int64)
        call.packed = found.data_ptr()
        library().call("polynomial_product_pack", None, call)
        _PACKED[digest] = found
    return found


def fields(
    features: Tensor, weights: Tensor, species: Tensor | None, table: Tensor, dim_out: int
) -> Fields:
    """Return sizes, and tensors that are no inputs."""
    sizes = {
        "table": packed(table).data_ptr(),
        "n_nodes": features.shape[0],
        "n_channels": weights.shape[2],
        "n_elements": weights.shape[0],
    }
    return sizes, {"species": species}


PASSES = passes(POLYNOMIAL_PRODUCT, Arguments, ["product"], fields)
