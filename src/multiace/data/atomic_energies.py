"""E0: the energy of each element that is taken out before a network sees the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from multiace.data.errors import DataError
from multiace.elements import ElementError, format_elements, sorted_elements, symbol_of
from multiace.geometry import Structure

ISOLATED_ATOM_TYPES = ("isolated_atom", "IsolatedAtom")
"""Values of `config_type` that mark an isolated atom, whatever its box."""

_SAME_ENERGY = 1e-6  # eV: two isolated atoms of one element agree

Reference = Literal["isolated_atoms", "given", "least_squares", "mean", "none"]


def atomic_energies(
    structures: Iterable[Structure],
    elements: tuple[int, ...],
    reference: Reference,
    given: Mapping[str, float] | None = None,
) -> Float64[np.ndarray, " elements"]:
    """Return E0 of each element.

    Args:
        structures: structures with labels; those without an energy are passed over.
        elements: atomic numbers, ascending.
        reference: `isolated_atoms`: energies of the isolated atoms among the structures. `given`:
            the argument. `least_squares`: the E0 whose sums come closest to the energies, errors
            counted per atom. `mean`: the mean energy per atom of the structures that are not
            isolated atoms, the same for each element. `none`: 0.
        given: E0 in eV by symbol, with `given` only.

    Returns:
        E0 in eV, in the order of `elements`.

    Raises:
        DataError: an element or every energy is missing, or least squares cannot tell the elements
            apart.

    Example:
        >>> from multiace.geometry import Labels
        >>> atom = Structure(np.array([1]), np.zeros((1, 3)), labels=Labels(energy=-13.6))
        >>> atomic_energies([atom], (1,), "isolated_atoms").tolist()
        [-13.6]
    """
    check_given(reference, given)
    if reference == "none":
        return np.zeros(len(elements))
    if reference in ("mean", "least_squares"):
        return fitted_energies(compositions(structures, elements), elements, reference)
    if reference == "given":
        return _in_order(elements, given or {}, "the given atomic energies")
    return _in_order(elements, isolated_atom_energies(structures), "the isolated atoms")


def check_given(reference: Reference, given: Mapping[str, float] | None) -> None:
    """Refuse energies without the reference `given`, and the reference without energies.

    Raises:
        DataError: one without the other.
    """
    if (given is not None) != (reference == "given"):
        state = "no atomic energies are given" if given is None else "atomic energies are given"
        raise DataError(
            f"{state}, but the reference is {reference!r}",
            field="atomic_energies",
            hint="Reference 'given' goes with atomic energies in eV by symbol, the others without.",
        )


def is_isolated_atom(structure: Structure) -> bool:
    """Tell whether a structure is a single atom without images.

    It has one atom and no periodic direction, or one atom in a box and a `config_type` that says
    so.

    Raises:
        DataError: `config_type` calls it an isolated atom, but it has several.
    """
    marked = structure.config_type in ISOLATED_ATOM_TYPES
    if marked and structure.n_atoms != 1:
        raise DataError(
            f"config_type is {structure.config_type}, but there are {structure.n_atoms} atoms",
            file=structure.source or None,
            field="config_type",
        )
    return marked or (structure.n_atoms == 1 and not any(structure.pbc))


def isolated_atom_energies(structures: Iterable[Structure]) -> dict[str, float]:
    """Return the energies of the isolated atoms among structures, eV, by symbol.

    Raises:
        DataError: two isolated atoms of one element have different energies.
    """
    found: dict[str, float] = {}
    source: dict[str, str] = {}
    for structure in structures:
        energy = structure.labels.energy
        if energy is None or not is_isolated_atom(structure):
            continue
        symbol = symbol_of(int(structure.numbers[0]))
        if abs(found.setdefault(symbol, energy) - energy) > _SAME_ENERGY:
            raise DataError(
                f"two isolated {symbol} atoms have different energies: {found[symbol]} eV in "
                f"{source[symbol] or 'one'} and {energy} eV in {structure.source or 'another'}",
                field="energy",
                hint="Keep the one of the ground state.",
            )
        source.setdefault(symbol, structure.source)
    return found


@dataclass(frozen=True, eq=False)
class Compositions:
    """Atoms of each element and total energy of structures that have an energy.

    Args:
        counts: number of atoms of each element.
        energies: total energies, eV.
        isolated: which structures are isolated atoms.
        n_unlabelled: structures that are neither isolated atoms nor have an energy.
    """

    counts: Int64[np.ndarray, "structures elements"]
    energies: Float64[np.ndarray, " structures"]
    isolated: Bool[np.ndarray, " structures"]
    n_unlabelled: int = 0

    @property
    def condensed(self) -> Compositions:
        """All but the isolated atoms.

        Raises:
            DataError: there is nothing else with an energy.
        """
        kept = ~self.isolated
        if not kept.any():
            raise DataError(
                "no structure other than isolated atoms has an energy"
                if self.n_unlabelled
                else "there is no structure other than isolated atoms",
                field="energy",
                hint="Choose a reference, shift and scale that need no energies.",
            )
        return Compositions(self.counts[kept], self.energies[kept], self.isolated[kept])


def compositions(structures: Iterable[Structure], elements: tuple[int, ...]) -> Compositions:
    """Return the compositions of the structures that have an energy, each looked at once.

    Raises:
        ElementError: a structure has an element that is not among `elements`.
    """
    rows, energies, isolated = [], [], []
    n_unlabelled = 0
    for structure in structures:
        row, is_atom = composition(structure, elements), is_isolated_atom(structure)
        if structure.labels.energy is None:
            n_unlabelled += not is_atom
            continue
        rows.append(row)
        energies.append(structure.labels.energy)
        isolated.append(is_atom)
    return Compositions(
        np.array(rows, dtype=np.int64).reshape(-1, len(elements)),
        np.array(energies, dtype=np.float64),
        np.array(isolated, dtype=bool),
        n_unlabelled,
    )


def fitted_energies(
    found: Compositions, elements: tuple[int, ...], reference: Literal["mean", "least_squares"]
) -> Float64[np.ndarray, " elements"]:
    """Return E0 from total energies, in eV; see `atomic_energies`.

    Raises:
        DataError: there is no energy, or least squares cannot tell the elements apart.
    """
    if reference == "mean":
        found = found.condensed
        return np.full(len(elements), found.energies.sum() / found.counts.sum())
    return least_squares(found.counts, elements, found.energies, "atomic energies")


def composition(structure: Structure, elements: tuple[int, ...]) -> list[int]:
    """Return the number of atoms of each element in a structure.

    Raises:
        ElementError: it has an element that is not among `elements`.
    """
    counts = [int(np.count_nonzero(structure.numbers == number)) for number in elements]
    if sum(counts) != structure.n_atoms:
        others = sorted_elements(set(structure.numbers.tolist()) - set(elements))
        raise ElementError(
            f"{structure.source or 'A structure'} contains {format_elements(others)}, but the "
            f"elements of the model are {format_elements(elements)}."
        )
    return counts


def least_squares(
    counts: Int64[np.ndarray, "structures elements"],
    elements: tuple[int, ...],
    energies: Float64[np.ndarray, " structures"],
    what: str,
) -> Float64[np.ndarray, " elements"]:
    """Return the energy of each element whose sums come closest to `energies`.

    Minimises sum_b [(E_b - sum_z n_bz E_z) / n_b]^2.

    Args:
        counts: number of atoms of each element.
        elements: atomic numbers, ascending.
        energies: energy of each structure, eV.
        what: name of the result in messages.

    Raises:
        DataError: the compositions do not determine the result; says which are tied together.
    """
    if len(counts) == 0:
        raise DataError(
            "no structure has an energy",
            field="energy",
            hint="Choose a reference, shift and scale that need no energies.",
        )
    dependent = dependent_elements(counts)
    if dependent:
        raise DataError(
            f"least squares cannot find the {what}: the compositions have rank "
            f"{len(elements) - len(dependent)} for {len(elements)} elements "
            f"({format_elements(elements)}): {null_space(elements, dependent)}",
            field="energy",
            hint="Add isolated atoms or structures of other compositions, give the energies, or "
            "take one value for all elements.",
        )
    sizes = counts.sum(axis=1)
    return np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]


def dependent_elements(
    counts: Int64[np.ndarray, "structures elements"],
) -> dict[int, dict[int, Fraction]]:
    """Return the columns of a composition matrix that follow from columns before them.

    n_j = sum_k c_jk n_k in every structure, which is the null space written out. Elimination is in
    rational numbers, so the rank is exact and no tolerance enters.

    Returns:
        {j: {k: c_jk}}; no terms for an element that never occurs.

    Example:
        >>> dependent_elements(np.array([[4, 3, 2], [8, 6, 4]]))  # H4C3O2, and twice that
        {1: {0: Fraction(3, 4)}, 2: {0: Fraction(1, 2)}}
    """
    n_columns = counts.shape[1]
    gram = counts.T @ counts  # the same null space in one row for each element
    rows = [[Fraction(int(value)) for value in row] for row in gram]
    pivots: list[int] = []
    dependent: dict[int, dict[int, Fraction]] = {}
    for column in range(n_columns):
        rank = len(pivots)
        source = next((row for row in range(rank, n_columns) if rows[row][column]), None)
        if source is None:
            terms = {k: rows[row][column] for row, k in enumerate(pivots) if rows[row][column]}
            dependent[column] = terms
            continue
        rows[rank], rows[source] = rows[source], rows[rank]
        leading = rows[rank][column]
        rows[rank] = [value / leading for value in rows[rank]]
        for row in range(n_columns):
            factor = rows[row][column]
            if row != rank and factor:
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[rank], strict=True)]
        pivots.append(column)
    return dependent


def null_space(elements: tuple[int, ...], dependent: Mapping[int, Mapping[int, Fraction]]) -> str:
    """Return `n(C) = 3/4 n(H) and n(O) = 1/2 n(H) in every structure`."""
    relations = []
    for column, terms in dependent.items():
        text = ""
        for other, factor in terms.items():
            sign = "-" if factor < 0 else "+"
            size = "" if abs(factor) == 1 else f"{abs(factor)} "
            text += f" {sign} {size}n({symbol_of(elements[other])})"
        total = text.removeprefix(" +").strip() if terms else "0"
        relations.append(f"n({symbol_of(elements[column])}) = {total}")
    return f"{' and '.join(relations)} in every structure"


def _in_order(
    elements: tuple[int, ...], energies: Mapping[str, float], source: str
) -> Float64[np.ndarray, " elements"]:
    """Return energies by symbol in the order of the elements."""
    symbols = [symbol_of(number) for number in elements]
    missing = [symbol for symbol in symbols if symbol not in energies]
    if missing:
        raise DataError(
            f"{source} hold {', '.join(energies) or 'no element'}: missing {', '.join(missing)}",
            field="atomic_energies",
            hint="Add frames of one atom, without pbc and with an energy, or give the energies, or "
            "choose the reference 'least_squares' or 'mean'.",
        )
    return np.array([energies[symbol] for symbol in symbols], dtype=np.float64)
