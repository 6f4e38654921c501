"""Weighted sums of symmetrised products of features, as sparse polynomials in Horner's form."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.kernels.cpu.differentiable import Operation
from multiace.kernels.cpu.library import contiguous, library, pointer
from multiace.kernels.cpu.threads import threads
from multiace.kernels.reference.polynomial_product import PolynomialProduct as Definition
from multiace.kernels.tables import ProductTable

_TABLES: dict[int, ProductTable] = {}
"""Key in front of the packed words -> table, for derivatives by the definition."""

Monomial = tuple[int, ...]
"""Sorted component indices of the factors of a product."""

Coefficient = list[tuple[int, float]]
"""sum_eta U_eta w_eta as pairs (eta, U_eta)."""

Polynomial = dict[Monomial, Coefficient]


class Arguments(ctypes.Structure):
    """`MultiacePolynomialProduct` of csrc/polynomial_product.h, field by field."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in "n_nodes n_channels n_elements n_threads".split()),
        *((name, ctypes.c_void_p) for name in "species features weights cotangent".split()),
        *((name, ctypes.c_void_p) for name in "features_dot weights_dot product".split()),
        *((name, ctypes.c_void_p) for name in "features_gradient weights_gradient".split()),
    )


@dataclass(frozen=True)
class Brackets:
    """k_1 A_1 + k_2 A_2 + ... + A_a (...) + A_b (...): a polynomial in Horner's form.

    Args:
        factor: the component before the brackets; None for the polynomial itself.
        leaves: components of the terms that end here, with their coefficients.
        inner: brackets inside these.
    """

    factor: int | None
    leaves: list[tuple[int, Coefficient]]
    inner: list[Brackets]

    @property
    def height(self) -> int:
        """Return how many brackets stand inside one another."""
        return 1 + max((brackets.height for brackets in self.inner), default=0)

    def flatten(self) -> list[tuple[Brackets, Brackets | None]]:
        """Return these brackets and all inside, each with those around it."""
        return [
            (self, None),
            *((b, a or self) for brackets in self.inner for b, a in brackets.flatten()),
        ]


def factorise(polynomial: Polynomial, factor: int | None = None) -> Brackets:
    """Bring a polynomial into Horner's form, each time with the factor that most terms share."""
    leaves = [(factors[0], k) for factors, k in polynomial.items() if len(factors) == 1]
    rest = {factors: k for factors, k in polynomial.items() if len(factors) > 1}
    inner = []
    while rest:
        shared = Counter(component for factors in rest for component in set(factors))
        common = max(shared, key=lambda component: (shared[component], component))
        quotient = {_divide(f, common): k for f, k in rest.items() if common in f}
        inner.append(factorise(quotient, common))
        rest = {factors: k for factors, k in rest.items() if common not in factors}
    return Brackets(factor, leaves, inner)


def _divide(factors: Monomial, by: int) -> Monomial:
    position = factors.index(by)
    return factors[:position] + factors[position + 1 :]


def polynomials(table: ProductTable) -> list[Polynomial]:
    """Return the polynomial of each row of the message."""
    rows: list[Polynomial] = [{} for _ in range(sum(i.dim for i in table.irreps_out.irreps))]
    for order in range(1, table.correlation + 1):
        coefficients = table.coefficients(order)
        monomials = table.monomials[order - 1]
        targets = _targets(table, order)
        for n, q in np.argwhere(coefficients):
            row, path = targets[n]
            terms = rows[row].setdefault(monomials[q], [])
            terms.append((path, float(coefficients[n, q])))
    return rows


def _targets(table: ProductTable, order: int) -> list[tuple[int, int]]:
    """Return, for each row of the coefficients of an order, its row of the message and its path."""
    targets, row, path = [], 0, 0
    for irrep, counts in zip(table.irreps_out.irreps, table.n_paths, strict=True):
        first = path + sum(counts[: order - 1])
        for eta in range(counts[order - 1]):
            targets += [(row + m, first + eta) for m in range(irrep.dim)]
        row += irrep.dim
        path += sum(counts)
    return targets


def pack_table(table: ProductTable) -> np.ndarray:
    """Lay a table out as 64-bit words for the kernel.

    Brackets of a row are ordered by height and number of leaves, which keeps the lengths of the
    kernel's loops predictable.

    Returns:
        (components, rows, paths, terms, coefficients, most brackets with brackets inside of a
        row, brackets), then 4 words a row, 3 a pair of brackets, the last factor of each term, and
        for each coefficient its term and path as one word and its value as the bits of a double.
    """
    rows: list[int] = []
    heads: list[int] = []
    terms: list[tuple[int, Coefficient]] = []
    most_inner = 0
    for polynomial in polynomials(table):
        nested = factorise(polynomial).flatten()
        nested.sort(key=lambda pair: (pair[0].height, pair[1] is None, len(pair[0].leaves)))
        inner = [brackets for brackets, around in nested if brackets.inner or around is None]
        position = {id(brackets): n for n, brackets in enumerate(inner)}
        rows += [len(nested), len(inner), len(heads) // 3, len(terms)]
        for brackets, around in nested:
            heads += [position[id(around)] if around else 0, brackets.factor or 0]
            heads.append(len(brackets.leaves))
            terms += brackets.leaves
        most_inner = max(most_inner, len(inner))
    mixes = _spread([(q, *mix) for q, (_, coefficient) in enumerate(terms) for mix in coefficient])
    n_components = sum(irrep.dim for irrep in table.irreps_in.irreps)
    head = [n_components, len(rows) // 4, table.n_weights, len(terms), len(mixes), most_inner]
    words = [*head, len(heads) // 3, *rows, *heads, *(leaf for leaf, _ in terms)]
    values = np.array([value for *_, value in mixes], dtype=np.float64).view(np.int64)
    indices = np.array([indices for *indices, _ in mixes], dtype=np.int32).ravel().view(np.int64)
    return np.array([*words, *np.column_stack([indices, values]).ravel()], dtype=np.int64)


def _spread(mixes: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Reorder sums so that none waits for the one before: neighbours add to different places."""
    step = len(mixes) // 8 + 1
    return [mix for first in range(step) for mix in mixes[first::step]]


class PolynomialProduct(nn.Module):
    """The products of `kernels.reference`, evaluated without storing any product.

    The weights of each element are mixed with the couplings once a call, into one coefficient a
    term; rows of the message are then polynomials. Sums run in a fixed order, so that results are
    the same on every run with the same number of threads.

    Args:
        table: couplings and layout.
    """

    words: Tensor

    def __init__(self, table: ProductTable) -> None:
        super().__init__()
        self.table = table
        key = hash(table)
        _TABLES[key] = table
        packed = torch.from_numpy(np.concatenate([[key], pack_table(table)]).astype(np.int64))
        self.register_buffer("words", packed, persistent=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make derivatives of a copy or a pickle find their definition."""
        super().__setstate__(state)
        _TABLES[int(self.words[0])] = self.table

    def forward(
        self,
        features: Float[Tensor, "nodes dim_in"],
        weights: Float[Tensor, "elements paths channels"],
        species: Int[Tensor, " nodes"] | None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Evaluate the message.

        Args:
            features: A.
            weights: w, of one element if shared.
            species: element of each node, or None if w is shared.

        Raises:
            ValueError: shapes are not those of the table, or dtypes differ.
        """
        dim_in, dtype = self.table.irreps_in.dim, features.dtype
        of_element = (self.table.n_weights, self.table.irreps_in.channels[0])
        if features.shape[1:] != (dim_in,) or weights.shape[1:] != of_element:
            raise ValueError(
                f"features are {tuple(features.shape)} and weights {tuple(weights.shape)}; they "
                f"must be (nodes, {dim_in}) and (elements, {of_element[0]}, {of_element[1]}), as "
                "the table says. Build the table of these irreps."
            )
        if weights.dtype != dtype:
            raise ValueError(
                f"features are {dtype}, weights {weights.dtype}; they must be the same. Cast one."
            )
        dim_out = self.table.irreps_out.dim
        return polynomial_product(features, weights, species, self.words, dim_out)


def _arguments(
    features: Tensor,
    weights: Tensor,
    species: Tensor | None,
    words: Tensor,
    **others: Tensor | None,
) -> tuple[Arguments, list[Tensor | None]]:
    """Fill in what every pass reads, and return what must outlive the call."""
    kept = contiguous([features, weights, species, *others.values()])
    call = Arguments(
        table=words.data_ptr() + 8,  # behind the key
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
    features: Tensor, weights: Tensor, species: Tensor | None, words: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    call, _kept = _arguments(features, weights, species, words)
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
    words: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    call, _kept = _arguments(features, weights, species, words, cotangent=cotangent)
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
    words: Tensor,
    dim_out: int,
) -> tuple[Tensor, ...]:
    dots = {"features_dot": features_dot, "weights_dot": weights_dot}
    call, _kept = _arguments(features, weights, species, words, cotangent=cotangent, **dots)
    gradients = {"features_gradient": features, "weights_gradient": weights}
    results = _results(call, needed, product=cotangent, **gradients)
    library().call("polynomial_product_double_backward", features.dtype, call)
    return results


def _fake(
    features: Tensor, weights: Tensor, species: Tensor | None, words: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    return (features.new_empty((features.shape[0], dim_out)),)


def _reference(
    features: Tensor, weights: Tensor, species: Tensor | None, words: Tensor, dim_out: int
) -> tuple[Tensor, ...]:
    definition = Definition(_TABLES[int(words[0])]).to(features.dtype)
    return (definition(features, weights, species),)


polynomial_product = Operation(
    name="polynomial_product",
    inputs=("features", "weights"),
    constants="Tensor? species, Tensor table, int dim_out",
    n_outputs=1,
    forward=_forward,
    backward=_backward,
    double_backward=_double_backward,
    fake=_fake,
    reference=_reference,
).register()
