"""What a model takes from its training set: mean neighbours, E0, shift and scale.

The energy of an atom is E_i = E0_z + scale * R_i + shift, and the statistics follow that order: E0
first, the shift of what is left, then the scale. Everything is in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float64

from multiace.data.atomic_energies import (
    Compositions,
    Reference,
    atomic_energies,
    check_given,
    compositions,
    fitted_energies,
    is_isolated_atom,
    least_squares,
)
from multiace.data.edge_counts import EdgeCounts, mean_neighbours
from multiace.data.errors import DataError
from multiace.design import Statistics
from multiace.elements import format_elements, symbol_of
from multiace.geometry import Labels, Structure

Shift = Literal["none", "mean"]
Scale = Literal["none", "rms_forces", "std"]


def compute_statistics(
    structures: Sequence[Structure],
    edges: EdgeCounts,
    elements: tuple[int, ...],
    *,
    reference: Reference = "isolated_atoms",
    shift: Shift = "none",
    scale: Scale = "rms_forces",
    per_element: bool = False,
    given: Mapping[str, float] | None = None,
    repulsion: Callable[[Structure], Labels] | None = None,
) -> Statistics:
    """Return the statistics of a training set.

    Isolated atoms enter neither shift nor scale: their forces vanish by symmetry, and what is left
    of their energy after E0 says nothing about bonds. Structures without a label are passed over
    where it is needed.

    Args:
        structures: the training set with its labels, gone through several times.
        edges: their edges within the cutoff of the model.
        elements: atomic numbers of the model, ascending.
        reference: where E0 comes from, see `atomic_energies`.
        shift: `mean`: mean of (E - sum E0) / atoms. With `per_element`, least squares over the
            number of atoms of each element.
        scale: `rms_forces`: root mean square of the force components, with `per_element` of the
            atoms of each element. `std`: standard deviation of (E - sum E0 - sum shift) / atoms.
        per_element: shift and scale for each element.
        given: E0 in eV by symbol, for the reference `given`.
        repulsion: returns energy and forces that the model adds outside scale and shift (core
            repulsion); subtracted from the labels first.

    Raises:
        DataError: a label or an isolated atom is missing, no atom has a neighbour, or least squares
            cannot tell the elements apart.

    Example:
        >>> from multiace.data import count_edges
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        >>> pair = Structure(np.array([1, 1]), positions, labels=Labels(energy=-30.0))
        >>> edges = count_edges([pair], cutoff=2.0)
        >>> compute_statistics([pair], edges, (1,), reference="mean", scale="none")
        Statistics(mean_neighbours=1.0, atomic_energies={'H': -15.0}, shift=0.0, scale=1.0)
    """
    if len(edges) != len(structures):
        raise ValueError(f"{len(structures)} structures need as many counts, got {len(edges)}.")
    if per_element and scale == "std":
        raise DataError(
            "scale 'std' cannot be per element: an energy belongs to all atoms of a structure",
            field="scale",
            hint="Take scale 'rms_forces', or one scale for all elements.",
        )
    check_given(reference, given)
    seen: Iterable[Structure] = structures
    if repulsion is not None:
        seen = _Without(structures, repulsion)
    found = compositions(seen, elements)
    if reference in ("mean", "least_squares"):
        energies = fitted_energies(found, elements, reference)
    else:
        energies = atomic_energies(seen, elements, reference, given)
    shifts = np.zeros(len(elements))
    if shift == "mean":
        shifts = _shifts(found.condensed, elements, energies, per_element)
    scales = np.ones(len(elements))
    if scale == "rms_forces":
        scales = _rms_forces(seen, elements, per_element)
    elif scale == "std":
        scales[:] = _deviation(found.condensed, energies + shifts)
    return Statistics(
        mean_neighbours=mean_neighbours(edges),
        atomic_energies=_by_symbol(elements, energies),
        shift=_by_symbol(elements, shifts) if per_element else float(shifts[0]),
        scale=_by_symbol(elements, scales) if per_element else float(scales[0]),
    )


def _shifts(
    found: Compositions,
    elements: tuple[int, ...],
    energies: Float64[np.ndarray, " elements"],
    per_element: bool,
) -> Float64[np.ndarray, " elements"]:
    """Return the shift of each element, eV."""
    residual = found.energies - found.counts @ energies
    if per_element:
        return least_squares(found.counts, elements, residual, "shifts per element")
    return np.full(len(elements), np.mean(residual / found.counts.sum(axis=1)))


def _deviation(found: Compositions, energies: Float64[np.ndarray, " elements"]) -> float:
    """Return the standard deviation of the energy per atom beyond `energies`, eV."""
    n_atoms = found.counts.sum(axis=1)
    deviation = float(np.std((found.energies - found.counts @ energies) / n_atoms))
    if deviation == 0.0:
        raise DataError(
            "the energies per atom are all the same, so their deviation is no scale",
            field="energy",
            hint="Take scale 'rms_forces' or 'none'.",
        )
    return deviation


def _rms_forces(
    structures: Iterable[Structure], elements: tuple[int, ...], per_element: bool
) -> Float64[np.ndarray, " elements"]:
    """Return the root mean square force component of each element or of all, eV/Å."""
    squares = np.zeros(len(elements))
    counts = np.zeros(len(elements))
    for structure in structures:
        if structure.labels.forces is None or is_isolated_atom(structure):
            continue
        species = np.searchsorted(elements, structure.numbers)
        norms = np.square(structure.labels.forces).sum(axis=1)
        squares += np.bincount(species, weights=norms, minlength=len(elements))
        counts += 3 * np.bincount(species, minlength=len(elements))
    if not per_element:
        squares[:], counts[:] = squares.sum(), counts.sum()
    if not (squares > 0).all():
        bare = [number for number, square in zip(elements, squares, strict=True) if not square]
        raise DataError(
            f"there is no force other than 0 on {format_elements(bare)}, so it is no scale",
            field="forces",
            hint="Take scale 'std' or 'none'.",
        )
    return np.sqrt(squares / counts)


def _by_symbol(
    elements: tuple[int, ...], values: Float64[np.ndarray, " elements"]
) -> dict[str, float]:
    """Return values by chemical symbol."""
    return {symbol_of(number): float(value) for number, value in zip(elements, values, strict=True)}


class _Without:
    """Structures with another contribution taken out of their labels, one at a time."""

    def __init__(
        self, structures: Iterable[Structure], repulsion: Callable[[Structure], Labels]
    ) -> None:
        self._structures, self._repulsion = structures, repulsion

    def __iter__(self) -> Iterator[Structure]:
        for structure in self._structures:
            part = self._repulsion(structure)
            energy, forces = structure.labels.energy, structure.labels.forces
            if energy is not None and part.energy is not None:
                energy = energy - part.energy
            if forces is not None and part.forces is not None:
                forces = forces - part.forces
            labels = replace(structure.labels, energy=energy, forces=forces)
            yield replace(structure, labels=labels)
