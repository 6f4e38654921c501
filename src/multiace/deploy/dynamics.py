"""Molecular dynamics: velocity Verlet and Langevin, with the quantity that each conserves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from multiace.deploy.evaluator import Evaluation
from multiace.geometry import Structure
from multiace.geometry.structure import FARTHEST
from multiace.units import BOLTZMANN, FEMTOSECOND


class DynamicsError(ValueError):
    """A run that must not go on, or cannot begin."""


@runtime_checkable
class Evaluates(Protocol):
    """What gives energies and forces: an `Evaluator`, or anything else with this method."""

    def evaluate(self, structure: Structure) -> Evaluation:
        """Evaluate energy and forces."""
        ...


@dataclass(frozen=True)
class Thermostat:
    """A Langevin thermostat.

    Args:
        temperature: K.
        friction: 1/fs.
        seed: of the random forces.
    """

    temperature: float
    friction: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise DynamicsError(f"temperature must be 0 K or more, got {self.temperature}.")
        if not self.friction > 0:
            raise DynamicsError(
                f"friction must be positive, got {self.friction} 1/fs. Leave the thermostat out "
                "for constant energy."
            )


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a run.

    Args:
        step: number of steps done.
        time: fs.
        structure: the atoms.
        velocities: Å/fs.
        evaluation: energy, forces and stress.
        kinetic: kinetic energy, eV.
        temperature: K.
        conserved: energy less what the thermostat has put in, eV.
    """

    step: int
    time: float
    structure: Structure
    velocities: Float64[np.ndarray, "atoms 3"]
    evaluation: Evaluation
    kinetic: float
    temperature: float
    conserved: float


class MolecularDynamics:
    """Moves atoms by Newton's or Langevin's equations.

    The splitting "BAOAB": half a kick B, v += F dt / 2m; half a drift A, x += v dt / 2; with a
    thermostat O, v -> a v + (1 - a^2)^(1/2) (kT/m)^(1/2) xi with a = exp(-friction dt) and normal
    xi; then A and B again. Without O this is velocity Verlet. Energy less the sum of what O has
    changed is conserved up to the error of the time step.

    Args:
        evaluator: energies and forces.
        structure: where it begins.
        masses: of the atoms, u.
        velocities: Å/fs.
        timestep: dt, fs.
        thermostat: None for constant energy.

    Raises:
        DynamicsError: the time step or a mass is not positive.
        ElementError: an element that the potential does not know.

    Source: Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34 (2013), BAOAB.
    """

    def __init__(
        self,
        evaluator: Evaluates,
        structure: Structure,
        masses: Float64[np.ndarray, " atoms"],
        velocities: Float64[np.ndarray, "atoms 3"],
        *,
        timestep: float,
        thermostat: Thermostat | None = None,
    ) -> None:
        if not timestep > 0:
            raise DynamicsError(f"timestep must be positive, got {timestep} fs.")
        if not (masses > 0).all():
            raise DynamicsError(f"masses must be positive, got {masses.min()} u.")
        self._evaluator, self._structure, self._masses = evaluator, structure, masses[:, None]
        self._dt, self._unit = timestep * FEMTOSECOND, timestep
        self._velocities = velocities / FEMTOSECOND
        self._thermostat, self._heat, self._step = thermostat, 0.0, 0
        self._random = np.random.default_rng(None if thermostat is None else thermostat.seed)
        self._now = self._evaluate()

    def run(self, steps: int) -> Iterator[Frame]:
        """Yield the moment before the first step and the moments after each.

        Raises:
            DynamicsError: an energy or force is not finite.
        """
        yield self._frame()
        for _ in range(steps):
            with np.errstate(over="ignore", invalid="ignore"):  # checked, and told better
                self._advance()
            yield self._frame()

    def _advance(self) -> None:
        half = 0.5 * self._dt
        self._velocities = self._velocities + half * self._now.forces / self._masses
        positions = self._structure.positions + half * self._velocities
        if self._thermostat is not None:
            self._exchange(self._thermostat)
        positions += half * self._velocities
        self._step += 1
        self._check(np.where(np.abs(positions) <= FARTHEST, positions, np.inf))
        self._structure = self._structure.moved(positions)
        self._now = self._evaluate()
        self._velocities = self._velocities + half * self._now.forces / self._masses
        self._check(self._velocities, self._kinetic())

    def _exchange(self, thermostat: Thermostat) -> None:
        before = self._kinetic()
        kept = np.exp(-thermostat.friction * self._unit)
        spread = np.sqrt((1 - kept**2) * BOLTZMANN * thermostat.temperature / self._masses)
        noise = self._random.normal(size=self._velocities.shape)
        self._velocities = kept * self._velocities + spread * noise
        self._heat += self._kinetic() - before

    def _evaluate(self) -> Evaluation:
        now = self._evaluator.evaluate(self._structure)
        self._check(now.forces, now.energy)
        return now

    def _check(self, values: np.ndarray, energy: float = 0.0) -> None:
        if not (np.isfinite(energy) and np.isfinite(values).all()):
            raise DynamicsError(
                f"An energy, force or place is not finite at step {self._step}, so the run stops. "
                "Look at the last frames: overlapping atoms, a time step that is too long or "
                "structures unlike those of the training set are the usual causes."
            )

    def _kinetic(self) -> float:
        return 0.5 * float((self._masses * self._velocities**2).sum())

    def _frame(self) -> Frame:
        kinetic = self._kinetic()
        n_atoms = self._structure.n_atoms
        free = 3 * n_atoms - (3 if self._thermostat is None and n_atoms > 1 else 0)
        return Frame(
            step=self._step,
            time=self._step * self._unit,
            structure=self._structure,
            velocities=self._velocities * FEMTOSECOND,
            evaluation=self._now,
            kinetic=kinetic,
            temperature=2 * kinetic / (free * BOLTZMANN),
            conserved=self._now.energy + kinetic - self._heat,
        )


def thermal_velocities(
    masses: Float64[np.ndarray, " atoms"], temperature: float, seed: int
) -> Float64[np.ndarray, "atoms 3"]:
    """Draw velocities of a temperature, without motion of the centre of mass; Å/fs.

    Args:
        masses: u.
        temperature: K.
        seed: of the random numbers.

    Example:
        >>> velocities = thermal_velocities(np.array([1.0, 16.0]), 300.0, seed=0)
        >>> bool(np.allclose(velocities[0], -16.0 * velocities[1]))
        True
    """
    spread = np.sqrt(BOLTZMANN * temperature / masses)[:, None]
    velocities = spread * np.random.default_rng(seed).normal(size=(len(masses), 3))
    if len(masses) > 1:
        velocities -= (masses[:, None] * velocities).sum(axis=0) / masses.sum()
    return velocities * FEMTOSECOND
