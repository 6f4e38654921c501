"""A structure: atoms, cell and the labels that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from multiace.elements import symbol_of

if TYPE_CHECKING:
    from ase import Atoms

FARTHEST = 1e15
"""Å from the origin; beyond, images cannot be counted in 64 bits."""

SINGULAR_CELL = 1e-6
"""Cells flatter than this (volume over the product of the edge lengths) are refused."""


def _frozen(values: Any, dtype: type, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return a read-only copy of `values` with this dtype and shape."""
    array = np.array(values, dtype=dtype, order="C")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}.")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Labels:
    """Reference values of one structure; None where there is none.

    Args:
        energy: total energy, eV.
        forces: minus the gradient of the energy, eV/Å.
        stress: (1/V) dE/d(strain), eV/Å^3: the sign of ASE, negative diagonal under compression.
        keys: the name under which the file held each label, for messages.
    """

    energy: float | None = None
    forces: Float64[np.ndarray, "atoms 3"] | None = None
    stress: Float64[np.ndarray, "3 3"] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.energy is not None:
            object.__setattr__(self, "energy", float(self.energy))
        if self.forces is not None:
            n_atoms = len(self.forces)
            object.__setattr__(
                self, "forces", _frozen(self.forces, np.float64, (n_atoms, 3), "forces")
            )
        if self.stress is not None:
            object.__setattr__(self, "stress", _frozen(self.stress, np.float64, (3, 3), "stress"))


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms in space, immutable.

    Args:
        numbers: atomic numbers.
        positions: Cartesian positions, Å.
        cell: cell vectors in rows, Å; None without periodicity. Rows of directions that are not
            periodic are kept but have no meaning, zero rows included.
        pbc: which of the three cell directions repeat.
        labels: reference values.
        config_type: the kind of configuration, free text; tables are grouped by it.
        source: where the structure comes from, `file:frame`, for messages.
        weight: factor of this structure in the loss.

    Raises:
        ValueError: wrong shapes, values that are not finite, a periodic direction without a cell
            vector, or linearly dependent periodic cell vectors.
        ElementError: an atomic number out of range.

    Example:
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        >>> hydrogen = Structure(numbers=np.array([1, 1]), positions=positions)
        >>> hydrogen.n_atoms, hydrogen.volume
        (2, None)
    """

    numbers: Int64[np.ndarray, " atoms"]
    positions: Float64[np.ndarray, "atoms 3"]
    cell: Float64[np.ndarray, "3 3"] | None = None
    pbc: tuple[bool, bool, bool] = (False, False, False)
    labels: Labels = Labels()
    config_type: str = ""
    source: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        n_atoms = len(self.numbers)
        if n_atoms == 0:
            raise ValueError(f"A structure needs at least one atom{self._origin()}.")
        numbers = _frozen(self.numbers, np.int64, (n_atoms,), "numbers")
        for number in set(numbers.tolist()):
            symbol_of(number)
        positions = self._checked(self.positions)
        forces = self.labels.forces
        if forces is not None and len(forces) != n_atoms:
            raise ValueError(f"forces must have shape ({n_atoms}, 3), got {forces.shape}.")
        cell = None if self.cell is None else _frozen(self.cell, np.float64, (3, 3), "cell")
        pbc = tuple(bool(periodic) for periodic in self.pbc)
        if len(pbc) != 3:
            raise ValueError(f"pbc must hold three values, got {len(pbc)}.")
        for name, value in (
            ("numbers", numbers),
            ("positions", positions),
            ("cell", cell),
            ("pbc", pbc),
            ("weight", float(self.weight)),
        ):
            object.__setattr__(self, name, value)
        check_cell(cell, pbc)

    def moved(self, positions: Float64[np.ndarray, "atoms 3"]) -> Structure:
        """Return the structure with its atoms elsewhere; nothing else is checked again.

        Raises:
            ValueError: the wrong shape, or values that are not finite.
        """
        moved = object.__new__(Structure)
        moved.__dict__.update(self.__dict__, positions=self._checked(positions))
        return moved

    def _checked(self, positions: np.ndarray) -> np.ndarray:
        positions = _frozen(positions, np.float64, (len(self.numbers), 3), "positions")
        # the sum of squares is small for all but odd structures, and quicker than comparisons
        if not (np.vdot(positions, positions) <= FARTHEST or (np.abs(positions) <= FARTHEST).all()):
            atom = int(np.argwhere(~(np.abs(positions) <= FARTHEST))[0, 0])
            raise ValueError(
                f"positions must be finite and within {FARTHEST:g} Å, got "
                f"{positions[atom].tolist()} Å for atom {atom}{self._origin()}."
            )
        return positions

    def _origin(self) -> str:
        return f" ({self.source})" if self.source else ""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @cached_property
    def volume(self) -> float | None:
        """Volume of the cell in Å^3, positive for left-handed cells too.

        None unless all three directions are periodic: a slab or a molecule has no volume, and
        that of the box drawn around it must not enter a stress.
        """
        if self.cell is None or not all(self.pbc):
            return None
        return float(abs(np.linalg.det(self.cell)))

    @classmethod
    def from_ase(
        cls,
        atoms: Atoms,
        *,
        labels: Labels | None = None,
        config_type: str = "",
        source: str = "",
        weight: float = 1.0,
    ) -> Structure:
        """Return the structure of an ASE `Atoms` object.

        Labels are what is passed here: an attached calculator is neither run nor read.
        """
        cell = np.asarray(atoms.cell)
        return cls(
            numbers=atoms.numbers,
            positions=atoms.positions,
            cell=cell if cell.any() else None,
            pbc=tuple(atoms.pbc.tolist()),
            labels=labels or Labels(),
            config_type=config_type,
            source=source,
            weight=weight,
        )

    def to_ase(self) -> Atoms:
        """Return an ASE `Atoms` object, its labels in a `SinglePointCalculator`."""
        from ase import Atoms
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.stress import full_3x3_to_voigt_6_stress

        atoms = Atoms(self.numbers, self.positions, cell=self.cell, pbc=self.pbc)
        results: dict[str, Any] = {}
        if self.labels.energy is not None:
            results["energy"] = self.labels.energy
        if self.labels.forces is not None:
            results["forces"] = self.labels.forces.copy()
        if self.labels.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(self.labels.stress)
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        if self.config_type:
            atoms.info["config_type"] = self.config_type
        if self.weight != 1.0:
            atoms.info["config_weight"] = self.weight
        return atoms


def following(
    last: Structure | None,
    numbers: Int64[np.ndarray, " atoms"],
    positions: Float64[np.ndarray, "atoms 3"],
    cell: Float64[np.ndarray, "3 3"] | None,
    pbc: tuple[bool, bool, bool],
) -> Structure:
    """Return the structure of the next step of a run; checks what differs from the last step.

    Args:
        last: the structure of the step before.
        numbers: atomic numbers.
        positions: Å.
        cell: cell vectors in rows, Å.
        pbc: which of the three cell directions repeat.

    Raises:
        ValueError: see `Structure`.
    """
    if last is not None and last.pbc == pbc and _same(last.numbers, numbers):
        former = last.cell
        if former is cell or (former is not None and cell is not None and _same(former, cell)):
            return last.moved(positions)
    return Structure(numbers=numbers, positions=positions, cell=cell, pbc=pbc)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether arrays are equal to the last bit; for small ones faster than `np.array_equal`."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check_cell(cell: Float64[np.ndarray, "3 3"] | None, pbc: tuple[bool, ...]) -> None:
    """Refuse a cell that cannot span its periodic directions.

    Raises:
        ValueError: a periodic direction without a cell vector, values that are not finite, or
            linearly dependent periodic vectors.
    """
    if not any(pbc):
        return
    if cell is None:
        raise ValueError(f"pbc = {pbc} needs a cell, got none. Give one, or set pbc to False.")
    if not np.isfinite(cell).all():
        raise ValueError(f"cell must be finite, got {cell.tolist()} Å.")
    rows = cell[np.array(pbc)]
    if np.abs(rows).max() > FARTHEST:
        raise ValueError(f"cell vectors must be within {FARTHEST:g} Å, got {cell.tolist()} Å.")
    lengths = np.linalg.norm(rows, axis=1)
    if not (lengths > 0).all():
        raise ValueError(
            f"pbc = {pbc} needs a cell vector in each periodic direction, got {cell.tolist()} Å. "
            "Set pbc to False in the direction of the zero row."
        )
    unit_rows = rows / lengths[:, None]
    if np.sqrt(max(np.linalg.det(unit_rows @ unit_rows.T), 0.0)) < SINGULAR_CELL:
        raise ValueError(
            f"The periodic cell vectors must be linearly independent, got {cell.tolist()} Å."
        )
