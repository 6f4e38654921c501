"""`Surface`: anything that has energies and forces, so that a probe can look at it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from ase.calculators.calculator import (
    Calculator,
    CalculatorError,
    PropertyNotImplementedError,
)
from ase.stress import voigt_6_to_full_3x3_stress

from multiace.analysis import predict
from multiace.checkpoint import load
from multiace.elements import atomic_number, symbol_of
from multiace.ensemble import Ensemble
from multiace.geometry import Labels, Structure
from multiace.potential import Potential


class Surface(ABC):
    """A potential-energy surface: energies and forces of structures.

    Args:
        name: what it is called in tables and figures.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def evaluate(self, structures: Sequence[Structure], *, stress: bool = False) -> list[Labels]:
        """Return energy (eV) and forces (eV/Å) of each structure, and the stress if wanted."""

    def attempt(self, structures: Sequence[Structure]) -> list[Labels]:
        """Evaluate, but leave nan where a calculation fails, such as one that does not converge."""
        return self.evaluate(structures)

    @property
    def members(self) -> tuple[Surface, ...]:
        """The members of an ensemble; otherwise the surface itself."""
        return (self,)

    @property
    def potential(self) -> Potential | None:
        """The potential behind it; None for ensembles and for calculators of other codes."""
        return None

    @property
    def cutoff(self) -> float | None:
        """Distance beyond which atoms do not see each other directly, Å, if known."""
        return None

    @property
    def elements(self) -> tuple[int, ...] | None:
        """Atomic numbers that it knows, or None for any."""
        return None

    def atomic_energies(self, numbers: Sequence[int]) -> dict[int, float]:
        """Return E0 of elements: the energies of isolated atoms that it was made with, eV.

        Args:
            numbers: atomic numbers.
        """
        atoms = [Structure(np.array([number]), np.zeros((1, 3))) for number in numbers]
        energies = [label.energy for label in self.evaluate(atoms)]
        return {
            number: float(e) for number, e in zip(numbers, energies, strict=True) if e is not None
        }


class PotentialSurface(Surface):
    """The surface of a `Potential`.

    Args:
        potential: evaluated in its own dtype and on its own device.
        name: what to call it.
    """

    def __init__(self, potential: Potential, name: str = "model") -> None:
        super().__init__(name)
        self._potential = potential

    @property
    def potential(self) -> Potential:
        """The potential."""
        return self._potential

    @property
    def cutoff(self) -> float:
        """Cutoff of one layer, Å."""
        return self._potential.cutoff

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the potential."""
        return self._potential.elements

    def evaluate(self, structures: Sequence[Structure], *, stress: bool = False) -> list[Labels]:
        """Evaluate batch by batch.

        Raises:
            ElementError: an element that the potential does not know.
            ValueError: a prediction is not finite.
        """
        return predict(self._potential, structures, stress=stress)

    def atomic_energies(self, numbers: Sequence[int]) -> dict[int, float]:
        """Return E0 of the reference data, which is not always what the potential says of atoms."""
        return _stored(self._potential.statistics.atomic_energies, numbers)


class EnsembleSurface(Surface):
    """The mean of an ensemble; its spread comes from the members.

    Args:
        ensemble: potentials for the same elements.
        name: what to call it.
    """

    def __init__(self, ensemble: Ensemble, name: str = "ensemble") -> None:
        super().__init__(name)
        self.ensemble = ensemble
        self._members = tuple(
            PotentialSurface(potential, f"{name} {index}")
            for index, potential in enumerate(ensemble.potentials, start=1)
        )

    @property
    def members(self) -> tuple[Surface, ...]:
        """The potentials."""
        return self._members

    @property
    def cutoff(self) -> float:
        """Largest cutoff of the members, Å."""
        return self.ensemble.cutoff

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the members."""
        return self.ensemble.elements

    def evaluate(self, structures: Sequence[Structure], *, stress: bool = False) -> list[Labels]:
        """Return the mean over the members."""
        of_members = [member.evaluate(structures, stress=stress) for member in self._members]
        return [mean_labels(labels) for labels in zip(*of_members, strict=True)]

    def atomic_energies(self, numbers: Sequence[int]) -> dict[int, float]:
        """Return E0 of the first member; those trained on the same data have the same."""
        return self._members[0].atomic_energies(numbers)


class CalculatorSurface(Surface):
    """The surface of an ASE calculator: another model, a force field, tblite, DFT.

    Args:
        calculator: anything with `energy` and `forces`.
        name: what to call it; default: the name of its class.
        cutoff: distance beyond which atoms do not see each other, Å, if there is one.
    """

    def __init__(
        self, calculator: Calculator, name: str | None = None, cutoff: float | None = None
    ) -> None:
        super().__init__(name or type(calculator).__name__)
        self.calculator, self._cutoff = calculator, cutoff

    @property
    def cutoff(self) -> float | None:
        """The cutoff that was given, Å."""
        return self._cutoff

    def evaluate(self, structures: Sequence[Structure], *, stress: bool = False) -> list[Labels]:
        """Run the calculator on one structure after the other.

        Raises:
            CalculatorError: the calculation of a structure fails.
            ValueError: an energy or force is not finite.
        """
        return [self._labels(structure, stress) for structure in structures]

    def attempt(self, structures: Sequence[Structure]) -> list[Labels]:
        """Run the calculator, and leave nan where it fails."""
        return [self._attempted(structure) for structure in structures]

    def _attempted(self, structure: Structure) -> Labels:
        try:
            return self._labels(structure, stress=False)
        except CalculatorError:
            self.calculator.reset()
            return Labels(energy=np.nan, forces=np.full((structure.n_atoms, 3), np.nan))

    def _labels(self, structure: Structure, stress: bool) -> Labels:
        atoms = structure.to_ase()
        atoms.calc = self.calculator
        energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
        tensor = None
        if stress and structure.volume is not None:
            try:
                tensor = voigt_6_to_full_3x3_stress(atoms.get_stress())
            except PropertyNotImplementedError:
                tensor = None
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            origin = structure.source or "a structure"
            raise ValueError(
                f"{self.name} gives an energy or force that is not finite for {origin}. Look for "
                "overlapping atoms there."
            )
        return Labels(energy=energy, forces=forces, stress=tensor)


Subject = Surface | Potential | Ensemble | Calculator | str | PathLike[str]
"""What a probe looks at: a model file, a potential, an ensemble, or an ASE calculator."""


def surface(subject: Subject, name: str | None = None) -> Surface:
    """Return the surface of a subject.

    Args:
        subject: a `Surface` as it is; a `Potential`, an `Ensemble` or an ASE calculator; or the
            path of a model file, which is read in float64, so that rounding hides nothing.
        name: what to call it; default: the name of the file or class.

    Raises:
        TypeError: something else.

    Example:
        >>> from ase.calculators.lj import LennardJones
        >>> surface(LennardJones()).name
        'LennardJones'
    """
    if isinstance(subject, Surface):
        return subject
    if isinstance(subject, Potential):
        return PotentialSurface(subject, name or "model")
    if isinstance(subject, Ensemble):
        return EnsembleSurface(subject, name or "ensemble")
    if isinstance(subject, Calculator):
        return CalculatorSurface(subject, name)
    if isinstance(subject, str | PathLike):
        found = load(subject, dtype=torch.float64)
        return PotentialSurface(found, name or Path(subject).stem)
    raise TypeError(
        "A probe looks at a model file, a Potential, an Ensemble or an ASE calculator, got "
        f"{type(subject).__name__}."
    )


def potential_of(subject: Subject, probe: str) -> tuple[Surface, Potential]:
    """Return the surface and the potential of a subject, for probes that look inside.

    Raises:
        ValueError: an ensemble, or a calculator of another code.
    """
    found = surface(subject)
    if found.potential is None:
        raise ValueError(
            f"{probe} looks inside a model, and {found.name} has energies and forces alone. "
            "Give one model file or a Potential."
        )
    return found, found.potential


def mean_labels(labels: Sequence[Labels]) -> Labels:
    """Return the mean of predictions for one structure."""
    stresses = [label.stress for label in labels if label.stress is not None]
    return Labels(
        energy=float(np.mean(energies_of(labels))),
        forces=np.mean(forces_of(labels), axis=0),
        stress=np.mean(stresses, axis=0) if len(stresses) == len(labels) else None,
    )


def energies_of(labels: Sequence[Labels]) -> np.ndarray:
    """Return the energies of predictions, eV."""
    return np.array([label.energy for label in labels], dtype=np.float64)


def forces_of(labels: Sequence[Labels]) -> list[np.ndarray]:
    """Return the forces of predictions, eV/Å."""
    return [np.asarray(label.forces) for label in labels]


def _stored(energies: Mapping[str, float], numbers: Sequence[int]) -> dict[int, float]:
    known: dict[int, float] = {atomic_number(symbol): e for symbol, e in energies.items()}
    missing = [symbol_of(number) for number in numbers if number not in known]
    if missing:
        raise ValueError(
            f"There is no E0 for {', '.join(missing)}: the model knows "
            f"{', '.join(energies)}. Take those atoms out."
        )
    return {number: known[number] for number in numbers}
