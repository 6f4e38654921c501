"""Where everything begins: a structure by name or file, and its minimum."""

from __future__ import annotations

import difflib
from pathlib import Path

from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import g2
from ase.io import read
from ase.io.formats import UnknownFileTypeError
from ase.optimize import BFGS

from multiace.data.bundled import PREFIX, data_path
from multiace.data.errors import DataError
from multiace.data.make.labelling import CalculationError, evaluate


def read_start(structure: str, repeat: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """Return a structure by what a recipe calls it, without labels.

    Args:
        structure: a file that ASE reads (its last frame), `molecule:NAME` of ASE's G2 set,
            `bulk:NAME` of ASE's elements and crystals, or `bundled:NAME`.
        repeat: repetitions along the cell vectors.

    Raises:
        DataError: there is none, or a molecule is to be repeated.

    Example:
        >>> read_start("molecule:H2O").get_chemical_formula()
        'H2O'
        >>> len(read_start("bulk:Si", (2, 1, 1)))
        16
    """
    source, _, name = structure.partition(":")
    if source == "molecule":
        atoms = _molecule(name)
    elif source == "bulk":
        atoms = _bulk(name)
    else:
        atoms = _file(structure)
    clean = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if not clean.pbc.any():
        clean.set_cell(None)
    if repeat == (1, 1, 1):
        return clean
    for count, periodic in zip(repeat, clean.pbc, strict=True):
        if count > 1 and not periodic:
            raise DataError(
                f"repeat {list(repeat)} needs periodic directions, but pbc of {structure} is "
                f"{clean.pbc.tolist()}",
                field="repeat",
            )
    return clean.repeat(repeat)


def _molecule(name: str) -> Atoms:
    if name in g2.names:
        return molecule(name)
    close = difflib.get_close_matches(name, g2.names, n=3)
    raise DataError(
        f"ASE knows no molecule {name!r}",
        field="structure",
        value=name,
        hint=(f"Did you mean {' or '.join(map(repr, close))}? " if close else "")
        + "Its G2 set has formulas such as CH3CH2OH; any other molecule is given as a file.",
    )


def _bulk(name: str) -> Atoms:
    try:
        return bulk(name, cubic=True)
    except (ValueError, RuntimeError, KeyError):
        pass
    try:
        return bulk(name)
    except (ValueError, RuntimeError, KeyError) as error:
        raise DataError(
            f"ASE knows no crystal {name!r}: {error}",
            field="structure",
            value=name,
            hint="It knows the elements; any other crystal is given as a file, such as a .cif.",
        ) from error


def _file(name: str) -> Atoms:
    path = data_path(name) if name.startswith(PREFIX) else Path(name)
    if not path.is_file():
        hint = "Give a file, molecule:NAME, bulk:NAME or bundled:NAME."
        if name in g2.names:
            hint = f"Did you mean molecule:{name}?"
        raise DataError("there is no such file", file=name, field="structure", hint=hint)
    unreadable = (UnknownFileTypeError, OSError, ValueError, KeyError, IndexError, StopIteration)
    try:
        atoms = read(path)
    except unreadable as error:
        raise DataError(f"ASE cannot read it: {error}", file=path, field="structure") from error
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise DataError("there are no atoms in it", file=path, field="structure")
    return atoms


def optimise(atoms: Atoms, *, largest_force: float = 0.01, steps: int = 500) -> int:
    """Move atoms, which have a calculator, to the nearest minimum; constraints and cell hold.

    Args:
        atoms: moved in place.
        largest_force: on any atom at the end, eV/Å.
        steps: before it has failed.

    Returns:
        The number of steps taken.

    Raises:
        CalculationError: the calculator fails, or the minimum is not reached.
    """
    evaluate(atoms, ["energy"])
    optimiser = BFGS(atoms, logfile=None)
    try:
        reached = optimiser.run(fmax=largest_force, steps=steps)
    except (RuntimeError, ArithmeticError, ValueError) as error:
        raise CalculationError(str(error).strip() or type(error).__name__) from error
    if not reached:
        raise CalculationError(f"no minimum within {largest_force} eV/Å after {steps} steps")
    return optimiser.get_number_of_steps()
