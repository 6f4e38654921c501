"""Body order of a potential, measured by inclusion and exclusion of atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from multiace.analysis.site_terms import terms_of_atoms
from multiace.geometry import Labels, Structure
from multiace.potential import Potential

LARGEST_CLUSTER = 12
"""Atoms of which all subsets are evaluated: 2^12 = 4096 structures."""


@dataclass(frozen=True, eq=False)
class BodyOrders:
    """Largest |V_n| over all n atoms of a cluster, for each term of the energy.

    Args:
        terms: names of the columns: the terms of the potential, and their sum `total`.
        largest: row n - 1 holds max |V_n|, eV; for `site_body_orders` row n holds max |V_n|.
    """

    terms: tuple[str, ...]
    largest: Float64[np.ndarray, "orders terms"]

    def __getitem__(self, term: str) -> Float64[np.ndarray, " orders"]:
        """Return the column of a term."""
        return self.largest[:, self.terms.index(term)]


def body_orders(potential: Potential, structure: Structure) -> BodyOrders:
    """Measure n-body energies of a cluster by inclusion and exclusion.

    V_n(S) = sum_{S' subset S} (-1)^{|S| - |S'|} E(S'),   n = |S|.

    V_n vanishes for n beyond the body order of a term, for every cluster.

    Args:
        potential: a float64 one, or rounding is all there is to see.
        structure: not periodic; choose distances such that the atoms interact.

    Returns:
        max |V_n| for n = 1 .. atoms. V_1 are the energies of isolated atoms.

    Raises:
        ValueError: periodic directions, or more than `LARGEST_CLUSTER` atoms.

    Source: Batatia et al. 2025, body-ordered expansions.

    Example:
        >>> import torch
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> potential = Potential(botnet("small"), (1,), statistics, dtype=torch.float64)
        >>> positions = np.random.default_rng(0).normal(size=(4, 3))
        >>> cluster = Structure(numbers=np.ones(4, dtype=int), positions=positions)
        >>> orders = body_orders(potential, cluster)["E1"]
        >>> bool(orders[1] > 1e-3), bool(orders[2] < 1e-12)  # pairs, and no triples
        (True, True)
    """
    clusters = subsets_of(structure)
    energies = np.stack([of_atoms.sum(axis=0) for of_atoms in _with_total(potential, clusters)])
    return orders_of_subsets(energies, (*potential.terms, "total"), structure.n_atoms)


def subsets_of(structure: Structure) -> list[Structure]:
    """Return every cluster of atoms of a structure, the empty one left out.

    Raises:
        ValueError: periodic directions, or more than `LARGEST_CLUSTER` atoms.
    """
    _check(structure, structure.n_atoms)
    everyone = range(structure.n_atoms)
    masks = _subsets(structure.n_atoms)[1:]
    return [_subset(structure, [k for k in everyone if mask >> k & 1]) for mask in masks]


def orders_of_subsets(
    energies: Float64[np.ndarray, "subsets terms"], terms: Sequence[str], n_atoms: int
) -> BodyOrders:
    """Return max |V_n| from the energies of all clusters of `subsets_of`, of whatever origin.

    Args:
        energies: eV.
        terms: names of the columns.
        n_atoms: atoms of the structure.
    """
    with_empty = np.concatenate([np.zeros((1, energies.shape[1])), energies])
    return BodyOrders(tuple(terms), _largest_by_size(_moebius(with_empty), n_atoms)[1:])


def site_body_orders(potential: Potential, structure: Structure, centre: int = 0) -> BodyOrders:
    """Measure how the energy of one atom decomposes over its neighbours.

    V_n(S) = sum_{S' subset S} (-1)^{|S| - |S'|} E_i(S'), S' the neighbours that are present.

    A message of correlation nu with a linear readout holds at most nu neighbours.

    Args:
        potential: a float64 one, or rounding is all there is to see.
        structure: not periodic.
        centre: atom i; the others are the neighbours.

    Returns:
        max |V_n| for n = 0 .. neighbours. V_0 is the energy of the isolated atom.

    Raises:
        ValueError: periodic directions, or more than `LARGEST_CLUSTER` neighbours.

    Source: Dusson et al., J. Comput. Phys. 454, 110946 (2022).
    """
    neighbours = [k for k in range(structure.n_atoms) if k != centre]
    _check(structure, len(neighbours))
    environments = [
        _subset(structure, [centre, *(k for n, k in enumerate(neighbours) if mask >> n & 1)])
        for mask in _subsets(len(neighbours))
    ]
    energies = np.stack([of_atoms[0] for of_atoms in _with_total(potential, environments)])
    largest = _largest_by_size(_moebius(energies), len(neighbours))
    return BodyOrders((*potential.terms, "total"), largest)


def _check(structure: Structure, size: int) -> None:
    if any(structure.pbc):
        raise ValueError(f"Body orders need a free cluster, got pbc = {structure.pbc}.")
    if size > LARGEST_CLUSTER:
        raise ValueError(
            f"All subsets of {size} atoms are too many. Choose at most {LARGEST_CLUSTER} atoms."
        )


def _subsets(size: int) -> range:
    """Every subset of `size` atoms as a bit mask."""
    return range(2**size)


def _subset(structure: Structure, atoms: Sequence[int]) -> Structure:
    chosen = list(atoms)
    return replace(
        structure,
        numbers=structure.numbers[chosen],
        positions=structure.positions[chosen],
        labels=Labels(),
    )


def _with_total(
    potential: Potential, structures: Sequence[Structure]
) -> list[Float64[np.ndarray, "atoms terms"]]:
    """Return the terms of each atom's energy, and their sum without E0 as last column."""
    terms = terms_of_atoms(potential, structures)
    return [np.concatenate([t, t[:, 1:].sum(axis=1, keepdims=True)], axis=1) for t in terms]


def _moebius(
    energies: Float64[np.ndarray, "subsets terms"],
) -> Float64[np.ndarray, "subsets terms"]:
    """Turn E(S) into V(S) = sum_{S' subset S} (-1)^{|S| - |S'|} E(S'), one atom after the other."""
    n_subsets, n_terms = energies.shape
    v = energies.copy()
    half = 1
    while half < n_subsets:
        pairs = v.reshape(-1, 2, half, n_terms)  # without, with the atom of this bit
        pairs[:, 1] -= pairs[:, 0]
        half *= 2
    return v


def _largest_by_size(
    v: Float64[np.ndarray, "subsets terms"], size: int
) -> Float64[np.ndarray, "orders terms"]:
    sizes = np.array([mask.bit_count() for mask in range(len(v))])
    return np.stack([np.abs(v[sizes == n]).max(axis=0) for n in range(size + 1)])
