"""`InternalScan`: a bond, an angle or a dihedral from one value to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.constraints import FixInternals

from multiace.data.errors import DataError
from multiace.data.make.labelling import CalculationError, Failure, Point
from multiace.data.make.recipe import Angle, Bond, Dihedral
from multiace.data.make.source import OnWork, State, System
from multiace.data.make.start import optimise
from multiace.elements import covalent_radii

_BONDED: Final = 1.3  # of the sum of covalent radii
_ENERGIES_OF_RELAXATION: Final = 15  # about, at each point
_KEYS: Final = {"bond": "distance_A", "angle": "angle_deg", "dihedral": "dihedral_deg"}


@dataclass(frozen=True)
class InternalScan:
    """A scan of one internal coordinate, rigid or with everything else relaxed.

    A rigid scan moves part of the molecule and leaves the rest where it is in the starting
    structure. A relaxed one begins each point where the one before it ended.

    Args:
        name: of the scan.
        system: a molecule.
        settings: which coordinate, from where to where.
    """

    name: str
    system: System
    settings: Bond | Angle | Dihedral

    def __post_init__(self) -> None:
        kind, numbers = self.settings.kind, self.settings.atoms
        if self.system.atoms.pbc.any():
            raise DataError(f"sets.{self.name}: a {kind} is scanned in molecules, without pbc")
        _require_atoms(self.name, self.system.atoms, (*numbers, *(self.settings.moving or ())))
        moving = self.moving()
        still = numbers[0] if kind == "bond" else numbers[1]
        if numbers[-1] not in moving or still in moving:
            raise DataError(
                f"sets.{self.name}.moving must hold atom {numbers[-1]} and not {still}, got "
                f"{moving}",
                field="moving",
            )

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return self.settings.kind

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.settings.points

    @property
    def n_energies(self) -> int:
        """Energies before the labels, about."""
        return self.n_points * (_ENERGIES_OF_RELAXATION if self.settings.relax else 0)

    def values(self) -> np.ndarray:
        """Return the values of the coordinate, Å or degrees."""
        start, stop, now = self.settings.start, self.settings.stop, self._value()
        defaults = {
            "bond": (0.75 * now, 2.5 * now),
            "angle": (max(now - 30.0, 20.0), min(now + 30.0, 179.0)),
            "dihedral": (now, now),
        }[self.settings.kind]
        first = defaults[0] if start is None else start
        if self.settings.kind == "dihedral" and stop is None:
            return first + np.arange(self.n_points) * (360.0 / self.n_points)
        return np.linspace(first, defaults[1] if stop is None else stop, self.n_points)

    def _value(self) -> float:
        atoms, settings = self.system.atoms, self.settings
        if isinstance(settings, Bond):
            first, last = settings.atoms
            return float(atoms.get_distance(first, last))
        if isinstance(settings, Angle):
            first, vertex, last = settings.atoms
            return float(atoms.get_angle(first, vertex, last))
        return float(atoms.get_dihedral(*settings.atoms))

    def moving(self) -> list[int]:
        """Return the atoms that move."""
        if self.settings.moving is not None:
            return sorted(self.settings.moving)
        numbers = self.settings.atoms
        cut = (numbers[1], numbers[2]) if len(numbers) == 4 else (numbers[-2], numbers[-1])
        side = fragment(self.system.atoms, *cut)
        if side is None:
            bonded = bonds(self.system.atoms)[cut]
            how = "are joined in another way too, as in a ring" if bonded else "are not bonded"
            raise DataError(
                f"sets.{self.name}: atoms {cut[0]} and {cut[1]} {how}, so that there is no side "
                "that can move alone",
                hint="Check the numbers of the atoms, or say which move: `moving: [...]`.",
            )
        return side

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the points that are left."""
        begin = self.system.atoms.copy()
        if "positions" in state:
            begin.positions = state["positions"]
        values = self.values()
        for index in range(state.get("done", 0), self.n_points):
            value = float(values[index])
            info = {_KEYS[self.settings.kind]: round(value, 8)}
            outcome: Point | Failure
            now: dict[str, Any] = {"done": index + 1}
            try:
                atoms = self._moved(begin, value)
                if self.settings.relax:
                    on_work(self._relax(atoms, value))
                    begin = atoms.copy()
                outcome = self.system.point(atoms, **info)
            except CalculationError as error:
                outcome = Failure(str(error), info)
            if self.settings.relax:
                now["positions"] = begin.positions.tolist()
            yield outcome, now

    def _moved(self, atoms: Atoms, value: float) -> Atoms:
        """Return atoms with the coordinate at a value, the moving ones moved rigidly."""
        moved, settings, moving = atoms.copy(), self.settings, self.moving()
        if isinstance(settings, Bond):
            first, last = settings.atoms
            bond = moved.positions[last] - moved.positions[first]
            moved.positions[moving] += bond * (value / np.linalg.norm(bond) - 1.0)
        elif isinstance(settings, Angle):
            first, vertex, last = settings.atoms
            moved.set_angle(first, vertex, last, value, indices=moving)
        else:
            first, second, third, last = settings.atoms
            moved.set_dihedral(first, second, third, last, value, indices=moving)
        return moved

    def _relax(self, atoms: Atoms, value: float) -> int:
        """Relax everything but the coordinate, in place; return the energies it took."""
        coordinate = [value, list(self.settings.atoms)]
        if self.settings.kind == "bond":
            constraint = FixInternals(bonds=[coordinate])
        elif self.settings.kind == "angle":
            constraint = FixInternals(angles_deg=[coordinate])
        else:
            constraint = FixInternals(dihedrals_deg=[[value % 360.0, coordinate[1]]])
        atoms.set_constraint(constraint)
        atoms.calc = self.system.calculator()
        steps = optimise(atoms)
        atoms.set_constraint()
        atoms.calc = None
        return steps


def fragment(atoms: Atoms, fixed: int, moving: int) -> list[int] | None:
    """Return the atoms on the side of `moving` when its bond to `fixed` is cut.

    Atoms are bonded if closer than 1.3 times the sum of their covalent radii. None if the two are
    joined in another way.

    Example:
        >>> from ase.build import molecule
        >>> ethanol = molecule("CH3CH2OH")
        >>> [ethanol.symbols[i] for i in fragment(ethanol, 1, 2)]
        ['O', 'H']
    """
    bonded = bonds(atoms)
    bonded[fixed, moving] = bonded[moving, fixed] = False
    side, found = {moving}, [moving]
    while found:
        reached = np.flatnonzero(bonded[found.pop()])
        found += [int(atom) for atom in reached if int(atom) not in side]
        side.update(reached.tolist())
    return None if fixed in side else sorted(side)


def bonds(atoms: Atoms) -> np.ndarray:
    """Return which atoms are bonded, (atoms, atoms)."""
    radii = np.array(covalent_radii(atoms.numbers.tolist(), "bond, angle and dihedral scans"))
    distances = atoms.get_all_distances()
    bonded = distances < _BONDED * (radii[:, None] + radii)
    np.fill_diagonal(bonded, False)
    return bonded


def _require_atoms(name: str, atoms: Atoms, numbers: Sequence[int]) -> None:
    for number in numbers:
        if number >= len(atoms):
            raise DataError(
                f"sets.{name}: there is no atom {number}: the structure has {len(atoms)}, counted "
                "from 0",
                value=number,
            )
