"""A potential as an ASE calculator."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    CalculatorError,
    PropertyNotImplementedError,
    all_changes,
)
from ase.stress import full_3x3_to_voigt_6_stress

from multiace.checkpoint import load
from multiace.deploy.evaluator import Evaluator
from multiace.ensemble import Ensemble, spread
from multiace.geometry.structure import Structure, following
from multiace.potential import Potential


class ASECalculator(Calculator):
    """Energies, forces and stress of a potential for ASE.

    `energy` and `free_energy` in eV (equal: there is no electronic entropy), `energies` in eV per
    atom, `forces` in eV/Å, `stress` in eV/Å^3 as a Voigt vector (xx, yy, zz, yz, xz, xy) with
    ASE's sign. The stress exists only where all three directions are periodic: a slab or a
    molecule has no volume.

    Of an ensemble these are means, and `energy_spread` (eV) and `forces_spread` (eV/Å) in
    `results` the standard deviations over its members.

    On the CPU, radial functions are splines unless `exact`; docs/md.md states their error. A
    calculator is for one thread at a time, as ASE's are; several may share a potential.

    Args:
        potential: a model file, several files of an ensemble, or a `Potential` or `Ensemble`, used
            as it is.
        dtype: compute type of a model read from a file; None is the one it was trained in.
        device: where a model read from a file computes: auto, cpu, cuda or cuda:N.
        exact: evaluate the radial network for every edge.
        skin: neighbours are searched again once an atom has moved half of it, Å.

    Raises:
        ValueError: `dtype` or `device` is given for a `Potential`, or the skin is negative.
        ModelFileError: the file is not a model.
        DeviceError: a GPU that is not there.

    Example:
        >>> from ase.build import molecule
        >>> from multiace import Design, Potential
        >>> from multiace.design import Statistics
        >>> statistics = Statistics(mean_neighbours=2, atomic_energies={"H": -10, "O": -430})
        >>> potential = Potential(Design(channels=4), (1, 8), statistics, seed=0)
        >>> water = molecule("H2O")
        >>> water.calc = ASECalculator(potential)
        >>> water.get_forces().shape
        (3, 3)
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(
        self,
        potential: Potential | Ensemble | str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        exact: bool = False,
        skin: float = 0.5,
    ) -> None:
        super().__init__()
        self._evaluators = _evaluators(potential, dtype, device, exact, skin)
        self._evaluator = self._evaluators[0]
        self._structure: Structure | None = None  # of the last calculation
        self._copy: Atoms | None = None  # which had this structure
        self.use_cache = False  # the copy of atoms that `calculate` makes is enough

    @property
    def potential(self) -> Potential:
        """The potential; of an ensemble, its first member."""
        return self._evaluator.potential

    @property
    def ensemble(self) -> tuple[Potential, ...]:
        """The potentials, one or more."""
        return tuple(evaluator.potential for evaluator in self._evaluators)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed since the last calculation; moments and charges do not count."""
        last = self.atoms
        if last is None:
            return list(all_changes)
        changed = {
            "positions": not _close(last.positions, atoms.positions, tol),
            "numbers": last.numbers.tobytes() != atoms.numbers.tobytes(),
            "cell": not _close(last.cell.array, atoms.cell.array, tol),
            "pbc": last.pbc.tobytes() != atoms.pbc.tobytes(),
        }
        found = [name for name, has_changed in changed.items() if has_changed]
        if not found and any(evaluator.weights_changed() for evaluator in self._evaluators):
            return list(all_changes)
        return found

    def reset(self) -> None:
        """Forget the last calculation, and what was folded of the weights."""
        super().reset()
        for evaluator in self._evaluators:
            evaluator.reset()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute every property of the atoms at once.

        Raises:
            PropertyNotImplementedError: the stress of a structure that is not periodic in three
                directions.
            CalculatorError: a result is not finite.
            ElementError: an element that the potential does not know.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise CalculatorError("There are no atoms to compute: pass them to `calculate`.")
        cell = atoms.cell.array if atoms.cell.array.any() else None
        of_atoms = atoms.numbers, atoms.positions, cell, tuple(atoms.pbc.tolist())
        structure = following(self._structure, *of_atoms)
        if structure.volume is None and "stress" in (properties or ()):
            raise PropertyNotImplementedError(
                f"The stress needs a volume, and with pbc = {structure.pbc} there is none. Make "
                "all three directions periodic, or do not ask for the stress."
            )
        self.atoms = self._copy_of(atoms, structure)
        self._structure, self._copy, self.results = structure, self.atoms, {}
        results = self._evaluate(structure)
        for name in ("energy", "forces", "stress"):
            if not _finite(results.get(name, 0.0)):
                raise CalculatorError(
                    f"The {name} predicted for {atoms.get_chemical_formula()} is not finite, "
                    "so the run must not go on. Look at the last structures: overlapping atoms or "
                    "a time step that is too long are the usual causes."
                )
        self.results = results

    def _copy_of(self, atoms: Atoms, structure: Structure) -> Atoms:
        """Return `atoms.copy()`, quicker from the last copy if nothing but arrays has changed."""
        last, former = self._copy, self._structure
        if last is None or former is None or structure.numbers is not former.numbers:
            return atoms.copy()
        copied = copy.copy(last)  # which shares cell and pbc
        copied.arrays = {name: values.copy() for name, values in atoms.arrays.items()}
        copied.info, copied.constraints = dict(atoms.info), copy.deepcopy(atoms.constraints)
        return copied

    def _evaluate(self, structure: Structure) -> dict[str, Any]:
        found = [evaluator.evaluate(structure) for evaluator in self._evaluators]
        energy = float(_mean([each.energy for each in found]))
        results: dict[str, Any] = {
            "energy": energy,
            "free_energy": energy,
            "energies": _mean([each.energies for each in found]),
            "forces": _mean([each.forces for each in found]),
        }
        stresses = [each.stress for each in found if each.stress is not None]
        if stresses:
            results["stress"] = full_3x3_to_voigt_6_stress(_mean(stresses))
        if len(found) > 1:
            results["energy_spread"] = float(spread(np.array([each.energy for each in found])))
            results["forces_spread"] = spread(np.stack([each.forces for each in found]))
        return results


def _mean(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else np.mean(values, axis=0)


def _finite(values: np.ndarray | float) -> bool:
    # the sum of squares is finite for all but odd results, and quicker
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def _close(a: np.ndarray, b: np.ndarray, tol: float) -> bool:
    """Whether arrays differ by no more than `tol`."""
    if a.shape != b.shape or a.tobytes() == b.tobytes():
        return a.shape == b.shape
    with np.errstate(invalid="ignore"):
        return bool((np.abs(a - b) <= tol).all())


def _evaluators(
    potential: Potential | Ensemble | str | PathLike[str] | Sequence[str | PathLike[str]],
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    exact: bool,
    skin: float,
) -> list[Evaluator]:
    """Return one evaluator for each member."""
    if isinstance(potential, Potential | str | PathLike):
        return [Evaluator(potential, dtype=dtype, device=device, exact=exact, skin=skin)]
    if not isinstance(potential, Ensemble):
        potential = load(list(potential), dtype=dtype, device=device or "cpu")
    elif dtype is not None or device is not None:
        raise ValueError(
            "dtype and device belong to model files: an Ensemble keeps its own. Leave them out, or "
            "pass the files' paths."
        )
    return [Evaluator(member, exact=exact, skin=skin) for member in potential]
