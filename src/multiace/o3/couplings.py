"""Symmetrised products of up to four factors that transform as one irrep.

A coupling is built as a chain: the first factor is coupled with the second to an intermediate
irrep, that with the third, and so on to the output. The basis is a choice among these chains:

- `reduced`: as many as are linearly independent once the factors are symmetrised, made orthonormal;
- `mace`: every chain over every order of the factors, as mace-torch builds them. They span the same
  space with more parameters, so optimisers and weight decay act differently.

Order, sign and normalisation of the couplings are part of the model file format.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from math import factorial, prod, sqrt
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float64, Int64

from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.irreps import Irrep

CouplingBasis = Literal["reduced", "mace"]

MAX_ORDER = 4

INDEPENDENCE_THRESHOLD = 1e-6
"""Part of a chain, relative to its norm before symmetrisation, that must lie outside the span of
the couplings kept before it. Dependent chains leave less than 1e-15, independent ones of degrees up
to 4 more than 0.05."""

_ROUND_OFF = 1e-12  # coefficients below are zeros that rounding has blurred
_MACE_MAX_DEGREE = 11  # of the intermediates at order 4


@dataclass(frozen=True, eq=False)
class ProductCouplings:
    """Hold couplings as polynomials: a table of monomials and their coefficients.

        B_{M eta} = sum_q coefficients[M, q, eta] prod_k A[monomials[q, k]]

    | symbol | name |
    |---|---|
    | A | components of the factors, irrep after irrep |
    | M, eta | component of the output, coupling (path) |
    | q | monomial |

    Args:
        monomials: for each monomial the indices of its factors in A, in ascending order. Rows are
            in lexicographic order; those without any coefficient are left out.
        coefficients: sums over all orders of the factors, read-only.
    """

    monomials: Int64[np.ndarray, "monomials order"]
    coefficients: Float64[np.ndarray, "m monomials paths"]

    @property
    def n_paths(self) -> int:
        """Number of couplings."""
        return self.coefficients.shape[2]


def product_couplings(
    irreps_in: Sequence[Irrep], irrep_out: Irrep, order: int, basis: CouplingBasis = "reduced"
) -> ProductCouplings:
    """Build the symmetric couplings of `order` factors to one irrep.

    Every factor is the same A, the concatenated components of `irreps_in`. A chain

        T_{M m1..mn} = sum C^{l1 l2 -> L2}_{m1 m2 M2} C^{L2 l3 -> L3}_{M2 m3 M3} ... C^{.. ln -> L}

    is summed over the permutations of (m1, ..., mn), because A_{m1} ... A_{mn} commute.

    `reduced`: for each multiset of entries of `irreps_in`, in lexicographic order of their
    positions, the chains in lexicographic order of their intermediates go through Gram-Schmidt;
    one that depends on its predecessors is dropped. The symmetric tensors are orthogonal, have the
    squared Frobenius norm 2L + 1, and overlap positively with their own chain.

    `mace`: every chain over every ordered tuple of entries, unnormalised, in the order of
    mace-torch: chains of one factor less, sorted stably by their output (degree, then odd before
    even), then the last factor, then the output. At order 4 intermediates have natural
    parity and at most degree 11. Signs are ours: those of `clebsch_gordan`.

    Args:
        irreps_in: irreps of the factors; an irrep may come more than once.
        irrep_out: irrep of the product.
        order: number of factors, 1 to 4.
        basis: "reduced" or "mace".

    Returns:
        A cached table, without paths if the factors do not couple to `irrep_out`.

    Raises:
        ValueError: if there are no irreps, or the order or the basis is not one of the above.

    Source:
        Dusson et al., J. Comput. Phys. 454, 110946 (2022), for symmetric couplings of any order;
        Batatia et al., NeurIPS 2022, arXiv:2206.07697, eq. 10, for the chains.

    Example:
        >>> vector, scalar = Irrep.parse("1o"), Irrep.parse("0e")
        >>> square = product_couplings([vector], scalar, order=2)
        >>> square.monomials.tolist(), square.coefficients.round(4).tolist()
        ([[0, 0], [1, 1], [2, 2]], [[[0.5774], [0.5774], [0.5774]]])
    """
    _check(irreps_in, order, basis)
    return _product_couplings(tuple(irreps_in), irrep_out, order, basis)


def count_couplings(
    irreps_in: Sequence[Irrep], irrep_out: Irrep, order: int, basis: CouplingBasis = "reduced"
) -> int:
    """Count the couplings without building them.

    The reduced basis has as many as the irrep occurs in the symmetric power of the factors, from
    characters in integer arithmetic; the basis of mace has one for each chain.

    Args:
        irreps_in: irreps of the factors.
        irrep_out: irrep of the product.
        order: number of factors, 1 to 4.
        basis: "reduced" or "mace".

    Raises:
        ValueError: as `product_couplings`.

    Example:
        >>> irreps = [Irrep.natural(l) for l in range(4)]
        >>> [count_couplings(irreps, Irrep.natural(1), 3, basis) for basis in ("reduced", "mace")]
        [12, 51]
    """
    _check(irreps_in, order, basis)
    irreps = tuple(irreps_in)
    if basis == "mace":
        return _count_mace_chains(irreps, irrep_out, order)
    return sum(
        count_symmetric(irreps, multiset, irrep_out) for multiset in _multisets(len(irreps), order)
    )


def _check(irreps_in: Sequence[Irrep], order: int, basis: str) -> None:
    if not irreps_in:
        raise ValueError("irreps_in is empty. Give the irreps of the factors, at least one.")
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(
            f"the order of a product must be between 1 and {MAX_ORDER}, got {order}. "
            "Higher body orders come from more layers."
        )
    if basis not in get_args(CouplingBasis):
        raise ValueError(
            f"{basis!r} is not a basis of couplings. "
            "Use 'reduced' (linearly independent) or 'mace' (all chains, as mace-torch)."
        )


class _Chain(NamedTuple):
    """Couple entries of irreps_in one after the other.

    `positions` are the entries, `outputs` the irrep after each of them; the last is the result.
    """

    positions: tuple[int, ...]
    outputs: tuple[Irrep, ...]


class SymmetricCouplings(NamedTuple):
    """Couplings of one multiset of entries, as polynomials in its own monomials.

    Args:
        monomials: indices of the factors of each monomial in the components of all entries.
        coefficients: of each component of the product, monomial and path.
    """

    monomials: Int64[np.ndarray, "monomials order"]
    coefficients: Float64[np.ndarray, "m monomials paths"]


class _Block(NamedTuple):
    """Hold the couplings of one multiset of entries, as polynomials in its own monomials."""

    monomials: np.ndarray  # (monomials, order)
    coefficients: np.ndarray  # (M, monomials, paths of the block)
    paths: list[int]  # their places among all paths


@lru_cache(maxsize=32)
def _product_couplings(
    irreps_in: tuple[Irrep, ...], irrep_out: Irrep, order: int, basis: CouplingBasis
) -> ProductCouplings:
    build = _reduced_blocks if basis == "reduced" else _mace_blocks
    blocks = list(build(irreps_in, irrep_out, order))
    monomials = np.concatenate([np.empty((0, order), np.int64), *(b.monomials for b in blocks)])
    n_paths = sum(len(block.paths) for block in blocks)
    coefficients = np.zeros((irrep_out.dim, len(monomials), n_paths))
    start = 0
    for block in blocks:
        rows = slice(start, start + len(block.monomials))
        coefficients[:, rows, block.paths] = block.coefficients
        start = rows.stop
    coefficients[np.abs(coefficients) < _ROUND_OFF] = 0.0
    occurs = np.flatnonzero(coefficients.any(axis=(0, 2)))
    rows = occurs[np.lexsort(monomials[occurs].T[::-1])]
    couplings = ProductCouplings(monomials[rows], coefficients[:, rows])
    couplings.monomials.flags.writeable = False
    couplings.coefficients.flags.writeable = False
    return couplings


def _multisets(n_irreps: int, order: int) -> Iterator[tuple[int, ...]]:
    return combinations_with_replacement(range(n_irreps), order)


def _reduced_blocks(irreps_in: tuple[Irrep, ...], irrep_out: Irrep, order: int) -> Iterator[_Block]:
    """Give the linearly independent couplings, multiset after multiset."""
    n_paths = 0
    for multiset in _multisets(len(irreps_in), order):
        n_independent = count_symmetric(irreps_in, multiset, irrep_out)
        if n_independent == 0:
            continue
        block = _reduced(irreps_in, multiset, irrep_out)
        yield _Block(*block, list(range(n_paths, n_paths + n_independent)))
        n_paths += n_independent


def _reduced(
    irreps_in: tuple[Irrep, ...], multiset: tuple[int, ...], irrep_out: Irrep
) -> SymmetricCouplings:
    """Make the linearly independent couplings of one multiset of entries."""
    factors = tuple(irreps_in[k] for k in multiset)
    chains = _chains_over(factors, irrep_out)
    tensors = np.stack([_chain_tensor(factors, outputs) for outputs in chains])
    monomials, candidates = _symmetrise(tensors, irreps_in, multiset)
    # Sum over monomials / n_permutations = sum over the entries of the full symmetric tensor.
    weights = 1 / np.sqrt(_n_permutations(monomials))[:, None]
    vectors = _orthogonalise(
        (candidates * weights).reshape(-1, len(chains)), norm=sqrt(irrep_out.dim)
    )
    n_paths = vectors.shape[1]
    assert n_paths == count_symmetric(irreps_in, multiset, irrep_out), (multiset, irrep_out)
    coefficients = vectors.reshape(irrep_out.dim, len(monomials), n_paths) / weights
    return SymmetricCouplings(monomials, coefficients)


@lru_cache(maxsize=4096)
def symmetric_couplings(
    irreps_in: tuple[Irrep, ...], multiset: tuple[int, ...], irrep_out: Irrep
) -> SymmetricCouplings:
    """Build the reduced couplings of one multiset of entries, cached and read-only.

    Args:
        irreps_in: irreps of the entries.
        multiset: position of each factor in irreps_in, ascending.
        irrep_out: irrep of the product.
    """
    monomials, coefficients = _reduced(irreps_in, multiset, irrep_out)
    coefficients[np.abs(coefficients) < _ROUND_OFF] = 0.0
    occurs = coefficients.any(axis=(0, 2))
    found = SymmetricCouplings(monomials[occurs], coefficients[:, occurs])
    found.monomials.flags.writeable = False
    found.coefficients.flags.writeable = False
    return found


def _mace_blocks(irreps_in: tuple[Irrep, ...], irrep_out: Irrep, order: int) -> Iterator[_Block]:
    """Give all chains, those over the same multiset together."""
    chains = [chain for chain in _mace_chains(irreps_in, order) if chain.outputs[-1] == irrep_out]
    paths_of_multiset: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for path, chain in enumerate(chains):
        paths_of_multiset[tuple(sorted(chain.positions))].append(path)
    for multiset, paths in paths_of_multiset.items():
        tensors = []
        for positions, outputs in (chains[path] for path in paths):
            tensor = _chain_tensor(tuple(irreps_in[k] for k in positions), outputs)
            in_order = np.argsort(positions, kind="stable")  # factors from chain to multiset order
            tensors.append(tensor.transpose(0, *(in_order + 1)))
        yield _Block(*_symmetrise(np.stack(tensors), irreps_in, multiset), paths)


def _chains_over(factors: tuple[Irrep, ...], irrep_out: Irrep) -> list[tuple[Irrep, ...]]:
    """List the outputs of the chains from the factors to irrep_out, in lexicographic order."""
    chains = [(factors[0],)]
    for factor in factors[1:]:
        chains = [(*chain, output) for chain in chains for output in chain[-1] * factor]
    return [chain for chain in chains if chain[-1] == irrep_out]


def _mace_chains(irreps_in: tuple[Irrep, ...], order: int) -> list[_Chain]:
    """List the chains of mace-torch, of any output, in its order."""
    chains = [_Chain((k,), (irrep,)) for k, irrep in enumerate(irreps_in)]
    for _ in range(order - 1):
        extended = [
            _Chain((*chain.positions, k), (*chain.outputs, output))
            for chain in chains
            for k, irrep in enumerate(irreps_in)
            for output in chain.outputs[-1] * irrep
            if _kept_by_mace(output, order)
        ]
        chains = sorted(extended, key=_mace_sort_key)
    return chains


def _kept_by_mace(output: Irrep, order: int) -> bool:
    return order < 4 or (output.is_natural and output.l <= _MACE_MAX_DEGREE)


def _mace_sort_key(chain: _Chain) -> tuple[int, int]:
    return chain.outputs[-1].l, chain.outputs[-1].p  # odd first, unlike everywhere else


@lru_cache(maxsize=1024)
def _chain_tensor(factors: tuple[Irrep, ...], outputs: tuple[Irrep, ...]) -> np.ndarray:
    """Contract the Clebsch-Gordan coefficients of a chain: axes M, m1, ..., mn."""
    if len(factors) == 1:
        return np.eye(factors[0].dim)
    left = _chain_tensor(factors[:-1], outputs[:-1])
    last = clebsch_gordan(outputs[-2].l, factors[-1].l, outputs[-1].l)
    return np.moveaxis(np.tensordot(left, last, axes=(0, 0)), -1, 0)


def _symmetrise(
    tensors: np.ndarray, irreps_in: tuple[Irrep, ...], multiset: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum tensors over the permutations of their factors.

    Args:
        tensors: axes path, M and one for each entry of the multiset.
        irreps_in: irreps of the factors.
        multiset: ascending positions in irreps_in.

    Returns:
        The monomials (q, order) in lexicographic order, and coefficients (M, q, path).
    """
    starts = np.cumsum([0, *(irrep.dim for irrep in irreps_in)])
    axes = [np.arange(starts[k], starts[k + 1]) for k in multiset]
    indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(multiset))
    monomials, monomial_of_entry = np.unique(np.sort(indices, axis=1), axis=0, return_inverse=True)
    by_monomial = np.argsort(monomial_of_entry.ravel(), kind="stable")
    first = np.searchsorted(monomial_of_entry.ravel()[by_monomial], np.arange(len(monomials)))
    entries = tensors.reshape(*tensors.shape[:2], -1)[..., by_monomial]  # (path, M, entries)
    coefficients = np.add.reduceat(entries, first, axis=2)
    return monomials, coefficients.transpose(1, 2, 0)


def _n_permutations(monomials: np.ndarray) -> np.ndarray:
    """Count the distinct orders of the factors of each monomial."""
    order = monomials.shape[1]
    repeats = [prod(map(factorial, Counter(row).values())) for row in monomials.tolist()]
    return factorial(order) // np.array(repeats)


def _orthogonalise(candidates: np.ndarray, norm: float) -> np.ndarray:
    """Make columns orthogonal from left to right, dropping those that depend on earlier ones.

    Args:
        candidates: one chain a column.
        norm: of a chain before symmetrisation, and of each result.
    """
    kept = np.empty((len(candidates), 0))
    for candidate in candidates.T:
        rest = candidate
        for _ in range(2):  # once more for the round-off of the first pass
            rest = rest - kept @ (kept.T @ rest) / norm**2
        size = float(np.linalg.norm(rest))
        if size > INDEPENDENCE_THRESHOLD * norm:
            kept = np.column_stack([kept, rest * (norm / size)])
    return kept


@lru_cache(maxsize=65536)
def count_symmetric(
    irreps_in: tuple[Irrep, ...], multiset: tuple[int, ...], irrep_out: Irrep
) -> int:
    """Count how often irrep_out occurs in the symmetrised product over a multiset of entries.

    Each copy of degree l has one state for every weight m from -l to l, so the copies of degree L
    are as many as the states of weight L less those of weight L + 1.
    """
    if prod(irreps_in[k].p for k in multiset) != irrep_out.p:
        return 0
    states: Counter[int] = Counter({0: 1})  # weight m -> number of states
    for k, repeats in Counter(multiset).items():
        l = irreps_in[k].l
        power = Counter(
            sum(weights) for weights in combinations_with_replacement(range(-l, l + 1), repeats)
        )
        product: Counter[int] = Counter()
        for m1, n1 in states.items():
            for m2, n2 in power.items():
                product[m1 + m2] += n1 * n2
        states = product
    return states[irrep_out.l] - states[irrep_out.l + 1]


def _count_mace_chains(irreps_in: tuple[Irrep, ...], irrep_out: Irrep, order: int) -> int:
    """Count chains by their outputs, adding one factor at a time."""
    chains = Counter(irreps_in)
    for _ in range(order - 1):
        extended: Counter[Irrep] = Counter()
        for left, n_chains in chains.items():
            for irrep in irreps_in:
                for output in left * irrep:
                    if _kept_by_mace(output, order):
                        extended[output] += n_chains
        chains = extended
    return chains[irrep_out]
