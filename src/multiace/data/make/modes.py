"""`ModeScan`: displacements along the normal modes of a molecule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from jaxtyping import Float64

from multiace.data.errors import DataError
from multiace.data.make.labelling import CalculationError, Failure, Point, evaluate
from multiace.data.make.recipe import NormalModes
from multiace.data.make.source import OnWork, State, System

_STEP: Final = 0.005  # Å, of the differences of forces


@dataclass(frozen=True)
class ModeScan:
    """Displacements along normal modes, each mode a unit vector in Cartesian coordinates.

    Args:
        name: of the scan.
        system: a molecule at a minimum.
        settings: which modes, how far.
    """

    name: str
    system: System
    settings: NormalModes

    def __post_init__(self) -> None:
        if self.system.atoms.pbc.any():
            raise DataError(f"sets.{self.name}: normal modes are those of molecules, without pbc")
        n_modes = n_vibrations(self.system.atoms)
        for mode in self.settings.modes or ():
            if mode > n_modes:
                raise DataError(
                    f"sets.{self.name}.modes must be 1 to {n_modes}, got {mode}", field="modes"
                )

    @property
    def modes(self) -> tuple[int, ...]:
        """The modes, counted from 1."""
        return self.settings.modes or tuple(range(1, n_vibrations(self.system.atoms) + 1))

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return "normal_mode"

    @property
    def n_points(self) -> int:
        """Number of points of all modes."""
        return len(self.modes) * self.settings.points

    @property
    def n_energies(self) -> int:
        """Energies of the Hessian."""
        return 6 * len(self.system.atoms)

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the points that are left; the Hessian is computed again."""
        amounts = np.linspace(self.settings.start, self.settings.stop, self.settings.points)
        grid = [(mode, float(amount)) for mode in self.modes for amount in amounts]
        try:
            second = hessian(self.system.atoms, self.system, on_work)
        except CalculationError as error:
            for index in range(state.get("done", 0), len(grid)):
                yield Failure(f"no normal modes: {error}"), {"done": index + 1}
            return
        frequencies, vectors = normal_modes(self.system.atoms, second)
        for index in range(state.get("done", 0), len(grid)):
            mode, amount = grid[index]
            atoms = self.system.atoms.copy()
            atoms.positions += amount * vectors[mode - 1]
            info: dict[str, Any] = {
                "mode": mode,
                "frequency_per_cm": round(float(frequencies[mode - 1]), 2),
                "displacement_A": round(amount, 8),
            }
            yield self.system.point(atoms, **info), {"done": index + 1}


def hessian(
    atoms: Atoms, system: System, on_work: OnWork = lambda energies: None
) -> Float64[np.ndarray, "coordinates coordinates"]:
    """Return the matrix of second derivatives of the energy by central differences, eV/Å^2.

    Raises:
        CalculationError: a calculator failed.
    """
    size = 3 * len(atoms)
    rows = np.empty((size, size))
    for coordinate in range(size):
        sides = []
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions.reshape(-1)[coordinate] += sign * _STEP
            moved.calc = system.calculator()
            sides.append(evaluate(moved, ["forces"])["forces"].reshape(-1))
        rows[coordinate] = (sides[1] - sides[0]) / (2 * _STEP)
        on_work(2)
    return 0.5 * (rows + rows.T)


def normal_modes(
    atoms: Atoms, hessian: Float64[np.ndarray, "coordinates coordinates"]
) -> tuple[Float64[np.ndarray, " modes"], Float64[np.ndarray, "modes atoms 3"]]:
    """Return the vibrations of a molecule: wavenumbers and displacements.

    H' u = ω² u with H' = M^(-1/2) H M^(-1/2), from which translations and rotations are projected
    out; the displacements M^(-1/2) u are scaled to length 1.

    Args:
        atoms: at a stationary point.
        hessian: second derivatives, eV/Å^2.

    Returns:
        Wavenumbers in 1/cm in ascending order, imaginary ones as negative numbers, and unit
        vectors.
    """
    root_masses = np.repeat(np.sqrt(atoms.get_masses()), 3)
    rigid = _rigid_motions(atoms)
    outside = np.linalg.svd(rigid, full_matrices=True)[0][:, rigid.shape[1] :]
    weighted = hessian / np.outer(root_masses, root_masses)
    squares, within = np.linalg.eigh(outside.T @ weighted @ outside)
    energies = np.sign(squares) * np.sqrt(np.abs(squares)) * units._hbar
    energies *= np.sqrt(units._e / units._amu) * 1e10 / units._e  # eV
    vectors = (outside @ within).T / root_masses
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    signs = np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], axis=1))
    return energies / units.invcm, (vectors * signs).reshape(-1, len(atoms), 3)


def n_vibrations(atoms: Atoms) -> int:
    """Return 3 N - 6, or 3 N - 5 for linear molecules.

    Example:
        >>> from ase.build import molecule
        >>> n_vibrations(molecule("CO2")), n_vibrations(molecule("H2O"))
        (4, 3)
    """
    return 3 * len(atoms) - _rigid_motions(atoms).shape[1]


def _rigid_motions(atoms: Atoms) -> np.ndarray:
    """Return an orthonormal basis of translations and rotations in mass-weighted coordinates."""
    roots = np.sqrt(atoms.get_masses())[:, None]
    centred = atoms.positions - atoms.get_center_of_mass()
    motions = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    motions += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.stack([(roots * motion).reshape(-1) for motion in motions], axis=1)
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > 1e-4 * values[0]]
