"""`Trajectory`: frames of Langevin dynamics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin

from multiace.data.make.labelling import CalculationError, Failure, Point, evaluate
from multiace.data.make.recipe import MolecularDynamics
from multiace.data.make.source import OnWork, State, System

ATTEMPTS: Final = 5
"""Failures in a row, each from the last frame with other velocities, that end a trajectory."""

HOTTEST: Final = 20.0
"""A system this many times hotter than its thermostat has exploded."""

_STEPS_AT_ONCE: Final = 20


@dataclass(frozen=True)
class Trajectory:
    """One Langevin trajectory at one temperature.

    Between frames the state is positions, momenta and random numbers, and each stretch begins with
    a fresh calculator: a trajectory that is interrupted goes on to the same frames.

    A stretch in which the self-consistent field fails, or the system explodes, counts as a failed
    point; it is tried again from the last frame with new velocities.

    Args:
        name: of the trajectory.
        system: what moves, from where.
        temperature: K.
        n_points: frames.
        seed: of velocities and noise.
        settings: time step and intervals.
    """

    name: str
    system: System
    temperature: float
    n_points: int
    seed: int
    settings: MolecularDynamics

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return f"md_{self.temperature:g}K"

    @property
    def n_energies(self) -> int:
        """Steps of the whole trajectory."""
        return self._steps(self.settings.equilibration) + self.n_points * self._steps(
            self.settings.interval
        )

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the frames that are left."""
        rng = np.random.default_rng(self.seed)
        atoms = self.system.atoms.copy()
        done, step, failures = 0, 0, 0
        if state:
            rng.bit_generator.state = state["rng"]
            atoms.positions = state["positions"]
            atoms.set_momenta(state["momenta"])
            done, step, failures = state["done"], state["step"], state["failures"]
        else:
            _draw_momenta(atoms, self.temperature, rng)
        while done < self.n_points:
            before = atoms.copy()
            steps = self._steps(self.settings.interval)
            steps += 0 if step else self._steps(self.settings.equilibration)
            outcome: Point | Failure
            try:
                self._move(atoms, steps, rng, on_work)
                failures, step = 0, step + steps
                outcome = self.system.point(atoms.copy(), **self._info(step))
            except CalculationError as error:
                failures += 1
                outcome = Failure(str(error), self._info(step + steps))
                atoms = before
                _draw_momenta(atoms, self.temperature, rng)
            done += 1
            yield outcome, _state(atoms, rng, done, step, failures)
            if failures >= ATTEMPTS:
                break
        for index in range(done, self.n_points):
            reason = f"the trajectory ended after {ATTEMPTS} failures in a row"
            info = {"seed": self.seed, "temperature_K": self.temperature}
            yield Failure(reason, info), _state(atoms, rng, index + 1, step, failures)

    def _info(self, step: int) -> dict[str, Any]:
        return {
            "temperature_K": self.temperature,
            "seed": self.seed,
            "time_fs": round(step * self.settings.timestep, 6),
        }

    def _steps(self, time: float) -> int:
        return round(time / self.settings.timestep)

    def _move(self, atoms: Atoms, steps: int, rng: np.random.Generator, on_work: OnWork) -> None:
        """Move atoms in place with a fresh calculator.

        Raises:
            CalculationError: the calculator failed or the system exploded.
        """
        atoms.calc = self.system.calculator()
        evaluate(atoms, ["forces"])
        dynamics = Langevin(
            atoms,
            self.settings.timestep * units.fs,
            temperature_K=self.temperature,
            friction=self.settings.friction / (1000.0 * units.fs),
            fixcm=False,  # True does not sample the canonical distribution exactly
            rng=rng,
        )
        while steps > 0:
            block = min(steps, _STEPS_AT_ONCE)
            try:
                dynamics.run(block)
            except (RuntimeError, ArithmeticError, ValueError) as error:
                raise CalculationError(str(error).strip() or type(error).__name__) from error
            steps -= block
            hot = atoms.get_temperature()
            if not hot < HOTTEST * self.temperature:
                raise CalculationError(f"the system exploded: {hot:.0f} K")
            on_work(block)
        atoms.calc = None


def _draw_momenta(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution, as the thermostat samples them."""
    deviation = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(deviation * rng.standard_normal((len(atoms), 3)))


def _state(
    atoms: Atoms, rng: np.random.Generator, done: int, step: int, failures: int
) -> dict[str, Any]:
    return {
        "positions": atoms.positions.tolist(),
        "momenta": atoms.get_momenta().tolist(),
        "rng": rng.bit_generator.state,
        "done": done,
        "step": step,
        "failures": failures,
    }


def trajectories(
    name: str, system: System, settings: MolecularDynamics, seed: int
) -> Iterator[Trajectory]:
    """Yield the trajectories of a set.

    Each has a seed of its own, formed from the recipe's seed, the name of the set, the temperature
    and its number: two sets never share random numbers.
    """
    for temperature in settings.temperatures:
        for index in range(settings.trajectories):
            frames = settings.frames // settings.trajectories
            frames += index < settings.frames % settings.trajectories
            own = f"{name}.{temperature:g}K.{index}"
            digest = hashlib.sha256(f"{seed}/{own}".encode()).digest()
            yield Trajectory(
                own, system, temperature, frames, int.from_bytes(digest[:4], "big"), settings
            )
