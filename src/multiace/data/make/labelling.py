"""Label a geometry: energy, forces and stress of a fresh calculator, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, CalculatorError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from multiace.data.errors import DataError
from multiace.data.make.recipe import Method

DECIMALS: Final = 8
"""Decimals of positions, energies and forces in the files; a label belongs to these positions."""

MIXER_MEMORY: Final = 20
"""Steps that the mixer remembers; tblite's default, all of them, is slower and fails more often."""

NewCalculator = Callable[[int, int], Calculator]
"""Returns a fresh calculator for a charge and a multiplicity."""


@dataclass(frozen=True)
class Point:
    """A geometry to be labelled.

    Args:
        atoms: the geometry.
        charge: total charge, e.
        multiplicity: 2S + 1.
        info: what the comment line says of it besides its labels.
    """

    atoms: Atoms
    charge: int
    multiplicity: int
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A geometry that could not be made or labelled.

    Args:
        reason: why.
        info: which it was.
    """

    reason: str
    info: Mapping[str, Any] = field(default_factory=dict)


class CalculationError(RuntimeError):
    """A calculator gave nothing that can be used: its self-consistent field failed, or worse."""


def tblite_calculator(method: Method) -> NewCalculator:
    """Return a function that gives fresh tblite calculators.

    Raises:
        DataError: tblite is not installed.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise DataError(
            "making labels needs tblite, which is not installed",
            hint="pip install 'multiace[labels]'",
        ) from error

    def new(charge: int, multiplicity: int) -> Calculator:
        return TBLite(
            method=method.name,
            charge=charge,
            multiplicity=multiplicity,
            accuracy=method.accuracy,
            max_iterations=method.max_iterations,
            mixer_memory=MIXER_MEMORY,
            electronic_temperature=method.electronic_temperature,
            verbosity=0,
        )

    return new


def evaluate(atoms: Atoms, properties: Sequence[str]) -> dict[str, Any]:
    """Return properties of atoms from their calculator.

    Raises:
        CalculationError: it failed, or a value is not finite.
    """
    values: dict[str, Any] = {}
    if not np.isfinite(atoms.positions).all():
        raise CalculationError("positions are not finite")
    try:
        for name in properties:
            if name == "energy":
                values[name] = float(atoms.get_potential_energy())
            elif name == "forces":
                values[name] = np.asarray(atoms.get_forces(apply_constraint=False))
            else:
                values[name] = np.asarray(atoms.get_stress(voigt=True, apply_constraint=False))
    except (CalculatorError, RuntimeError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise CalculationError(str(error).strip() or type(error).__name__) from error
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise CalculationError(f"{name} is not finite")
    return values


def label(point: Point, new_calculator: NewCalculator) -> Atoms | Failure:
    """Return a copy of a geometry with its labels, or why it has none.

    Molecules are put with their centre of mass at the origin. Positions are rounded to what the
    file holds before anything is computed, and the calculator is a fresh one: the labels depend on
    the numbers in the file and on nothing before them. With three periodic directions there is a
    stress (eV/Å^3, ASE's sign).
    """
    if not np.isfinite(point.atoms.positions).all():
        return Failure("positions are not finite", point.info)
    atoms = Atoms(point.atoms.numbers, point.atoms.positions)
    periodic = bool(point.atoms.pbc.any())
    if periodic:
        atoms.set_cell(point.atoms.cell)
        atoms.set_pbc(point.atoms.pbc)
    else:
        atoms.positions -= atoms.get_center_of_mass()
    atoms.positions = atoms.positions.round(DECIMALS) + 0.0
    atoms.calc = new_calculator(point.charge, point.multiplicity)
    names = ["energy", "forces"] + (["stress"] if point.atoms.pbc.all() else [])
    try:
        values = evaluate(atoms, names)
    except CalculationError as error:
        return Failure(str(error), point.info)
    values["energy"] = round(values["energy"], DECIMALS)
    values["forces"] = values["forces"].round(DECIMALS) + 0.0  # no negative zeros
    atoms.calc = SinglePointCalculator(atoms, **values)
    atoms.info = {**point.info, "charge": point.charge, "multiplicity": point.multiplicity}
    return atoms


def as_extxyz(atoms: Atoms) -> str:
    """Return a labelled frame as extended XYZ."""
    text = StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()


def n_electrons(numbers: Sequence[int], charge: int) -> int:
    """Return the number of electrons, up to an even number of core electrons.

    xTB keeps the f electrons of the elements 58 to 71 in the core, with three in the valence.

    Example:
        >>> n_electrons([8, 1, 1], 1)
        9
    """
    return sum(3 if 58 <= number <= 71 else int(number) for number in numbers) - charge


def multiplicity_of(numbers: Sequence[int], charge: int, given: int | None, field: str) -> int:
    """Return the multiplicity: the given one if it is possible, else the lowest there is.

    Raises:
        DataError: the number of electrons does not fit.

    Example:
        >>> multiplicity_of([8, 1, 1], 0, None, "method.multiplicity")
        1
        >>> multiplicity_of([8, 1], 0, 1, "method.multiplicity")
        Traceback (most recent call last):
        multiace.data.errors.DataError: method.multiplicity 1 does not fit 9 electrons...
    """
    electrons = n_electrons(numbers, charge)
    if given is None:
        return 1 + electrons % 2
    if (electrons - given + 1) % 2 or given - 1 > electrons:
        raise DataError(
            f"{field} {given} does not fit {electrons} electrons (charge {charge}): it must be "
            f"{'odd' if electrons % 2 == 0 else 'even'} and at most {electrons + 1}",
            field=field,
            value=given,
        )
    return given


def largest_force_error(
    frame: Atoms, new_calculator: NewCalculator, *, charge: int = 0, multiplicity: int = 1
) -> float:
    """Return the largest difference between a frame's forces and differences of energies, eV/Å.

    The stencil is of fourth order: -dE/dx = (8 [E(-h) - E(h)] - [E(-2h) - E(2h)]) / 12 h, with
    h = 0.01 Å. It takes 12 energies an atom.
    """
    step, worst = 1e-2, 0.0
    forces = frame.get_forces()
    for atom, axis in np.ndindex(len(frame), 3):
        energies = {}
        for multiple in (-2, -1, 1, 2):
            moved = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=frame.pbc)
            moved.positions[atom, axis] += multiple * step
            moved.calc = new_calculator(charge, multiplicity)
            energies[multiple] = evaluate(moved, ["energy"])["energy"]
        force = 8 * (energies[-1] - energies[1]) - (energies[-2] - energies[2])
        worst = max(worst, abs(force / (12 * step) - forces[atom, axis]))
    return worst
