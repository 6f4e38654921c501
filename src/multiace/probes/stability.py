"""`multiace probe stability`: drift of the energy, and time to failure at rising temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase.calculators.calculator import CalculatorError
from ase.data import covalent_radii
from jaxtyping import Float64

from multiace.deploy.dynamics import (
    DynamicsError,
    Evaluates,
    Frame,
    MolecularDynamics,
    Thermostat,
    thermal_velocities,
)
from multiace.deploy.evaluator import Evaluation, Evaluator
from multiace.figures.figure import Axis, Level, Line, Panel, Points
from multiace.geometry import Structure
from multiace.probes.paths import bonds
from multiace.probes.result import Number, ProbeResult, Table, Value
from multiace.probes.surface import Subject, Surface, surface
from multiace.units import MEV

STRETCH = 0.5
"""A molecule has failed once a bond differs by more than this from its first length, Å."""

COLLISION = 0.5
"""Atoms collide once nearer than this part of the sum of their covalent radii."""

RUNAWAY = 5.0
"""A run has failed once it is this many times hotter than its thermostat."""

EVERY = 10
"""Steps between looks at the structure."""


class SurfaceEvaluator:
    """Evaluates structures of any surface for molecular dynamics.

    Args:
        found: energies and forces.
    """

    def __init__(self, found: Surface) -> None:
        self._found = found

    def evaluate(self, structure: Structure) -> Evaluation:
        """Evaluate energy and forces; energies of atoms are not known."""
        (labels,) = self._found.evaluate([structure])
        assert labels.energy is not None
        assert labels.forces is not None
        unknown = np.full(structure.n_atoms, np.nan)
        return Evaluation(labels.energy, unknown, labels.forces, None, np.full((3, 3), np.nan))


@dataclass(frozen=True, eq=False)
class Drift:
    """What happens to the conserved energy of a run at constant energy.

    Args:
        times: ps.
        energies: conserved energy less its first value, eV/atom.
        slope: of a straight line through it, eV/atom/ps.
        fluctuation: standard deviation about that line, eV/atom.
    """

    times: Float64[np.ndarray, " frames"]
    energies: Float64[np.ndarray, " frames"]
    slope: float
    fluctuation: float


def stability(
    subject: Subject,
    structure: Structure,
    *,
    temperatures: Sequence[float] = (300.0, 600.0, 900.0, 1200.0, 1500.0, 2000.0),
    timestep: float = 0.5,
    steps: int = 2000,
    friction: float = 0.01,
    seed: int = 0,
) -> ProbeResult:
    """Run molecular dynamics: at constant energy for the drift, then hotter until it fails.

    The drift is measured with the velocities of the first temperature, with the time step and
    with half of it: a smooth surface has a quarter of the fluctuation then. Each temperature starts
    from the structure, with a Langevin thermostat. A run fails where a number is not finite,
    a bond of a molecule differs by more than 0.5 Å from its first length, atoms come nearer than
    half the sum of their covalent radii, or it is five times hotter than its thermostat.

    Args:
        subject: what to look at.
        structure: where runs begin, at rest or nearly so.
        temperatures: K, ascending.
        timestep: fs.
        steps: of each run.
        friction: of the thermostat, 1/fs.
        seed: of velocities and thermostat.

    Returns:
        Drift and fluctuation; the time that each temperature was survived.

    Raises:
        ValueError: temperatures do not ascend.

    Source: Fu et al., Forces are not Enough, TMLR 2023, arXiv:2210.07237, for the bond criterion.
    """
    if not temperatures or any(b <= a for a, b in pairwise(temperatures)):
        raise ValueError(f"temperatures must ascend, got {list(temperatures)} K.")
    found = surface(subject)
    evaluator = _evaluator(found)
    first = temperatures[0]
    whole = energy_drift(evaluator, structure, first, timestep, steps, seed)
    half = energy_drift(evaluator, structure, first, timestep / 2.0, steps, seed)
    ratio = whole.fluctuation / half.fluctuation if half.fluctuation > 0.0 else None
    rows: list[tuple[Value, ...]] = []
    failed: float | None = None
    for temperature in temperatures:
        thermostat = Thermostat(temperature, friction, seed)
        survived, mean, reason = time_to_failure(evaluator, structure, thermostat, timestep, steps)
        rows.append((temperature, survived, mean, reason))
        if reason:
            failed = temperature
            break
    numbers = (
        Number("drift", whole.slope / MEV, "meV/atom/ps", "of the conserved energy"),
        Number("fluctuation", whole.fluctuation / MEV, "meV/atom", "about the drift"),
        Number(
            "halving_ratio", ratio, "", "fluctuation over that of half the time step: 4 if smooth"
        ),
        Number("failed_at", failed, "K", "first temperature that was not survived"),
        Number(
            "survived", float(sum(float(r[1] or 0) for r in rows)), "ps", "in all runs together"
        ),
    )
    columns = (("temperature", "K"), ("survived", "ps"), ("mean", "K"), ("failure", ""))
    table = Table("temperatures", "time to failure", columns, tuple(rows))
    settings = {
        "timestep (fs)": timestep,
        "steps": steps,
        "friction (1/fs)": friction,
        "seed": seed,
        "temperatures (K)": list(temperatures),
    }
    panels = {
        "drift": _drift_panel(found.name, whole),
        "survival": _survival_panel(found.name, rows, timestep * steps),
    }
    return ProbeResult("stability", found.name, numbers, (table,), panels, settings)


def energy_drift(
    evaluator: Evaluates,
    structure: Structure,
    temperature: float,
    timestep: float,
    steps: int,
    seed: int,
) -> Drift:
    """Run at constant energy and fit a line to the conserved energy.

    Args:
        evaluator: energies and forces.
        structure: where it begins.
        temperature: of the first velocities, K.
        timestep: fs.
        steps: number of them.
        seed: of the velocities.

    Raises:
        DynamicsError: an energy or force is not finite.
    """
    masses = structure.to_ase().get_masses()
    velocities = thermal_velocities(masses, temperature, seed)
    dynamics = MolecularDynamics(evaluator, structure, masses, velocities, timestep=timestep)
    frames = [(frame.time, frame.conserved) for frame in dynamics.run(steps)]
    times, energies = np.array(frames).T
    times, energies = times / 1000.0, (energies - energies[0]) / structure.n_atoms
    slope, start = np.polyfit(times, energies, 1)
    about = energies - (start + slope * times)
    return Drift(times, energies, float(slope), float(about.std()))


def time_to_failure(
    evaluator: Evaluates,
    structure: Structure,
    thermostat: Thermostat,
    timestep: float,
    steps: int,
) -> tuple[float, float, str]:
    """Run with a thermostat until it fails.

    Args:
        evaluator: energies and forces.
        structure: where it begins.
        thermostat: its temperature is that of the first velocities too.
        timestep: fs.
        steps: largest number of them.

    Returns:
        Time survived in ps, mean temperature in K, and what failed, or nothing.
    """
    masses = structure.to_ase().get_masses()
    velocities = thermal_velocities(masses, thermostat.temperature, thermostat.seed)
    watch = _Watch(structure, thermostat.temperature)
    temperatures: list[float] = []
    last = 0.0
    try:
        dynamics = MolecularDynamics(
            evaluator, structure, masses, velocities, timestep=timestep, thermostat=thermostat
        )
        for frame in dynamics.run(steps):
            last = frame.time
            temperatures.append(frame.temperature)
            if frame.step % EVERY == 0 and (reason := watch.failure(frame)):
                return last / 1000.0, float(np.mean(temperatures)), reason
    except DynamicsError:
        return last / 1000.0, _mean(temperatures), "a number is not finite"
    except (CalculatorError, ValueError) as error:
        return last / 1000.0, _mean(temperatures), str(error).partition(".")[0]
    return last / 1000.0, _mean(temperatures), ""


class _Watch:
    """Look for what must not happen in a run."""

    def __init__(self, structure: Structure, temperature: float) -> None:
        self.temperature = temperature
        self.periodic = any(structure.pbc)
        radii = covalent_radii[structure.numbers]
        self.i, self.j = np.triu_indices(structure.n_atoms, 1)
        self.nearest = COLLISION * (radii[self.i] + radii[self.j])
        self.bonds = [] if self.periodic else bonds(structure)
        distances = structure.to_ase().get_all_distances(mic=self.periodic)
        self.lengths = [float(distances[pair]) for pair in self.bonds]

    def failure(self, frame: Frame) -> str:
        if frame.temperature > RUNAWAY * max(self.temperature, 1.0):
            return f"it is {frame.temperature:.0f} K hot"
        distances = frame.structure.to_ase().get_all_distances(mic=self.periodic)
        near = distances[self.i, self.j] < self.nearest
        if near.any():
            k = int(near.argmax())
            pair = f"{self.i[k]} and {self.j[k]}"
            return f"atoms {pair} are {distances[self.i[k], self.j[k]]:.2f} Å apart"
        for pair, length in zip(self.bonds, self.lengths, strict=True):
            if abs(distances[pair] - length) > STRETCH:
                return f"the bond of atoms {pair[0]} and {pair[1]} is {distances[pair]:.2f} Å long"
        return ""


def _evaluator(found: Surface) -> Evaluates:
    return SurfaceEvaluator(found) if found.potential is None else Evaluator(found.potential)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _drift_panel(name: str, drift: Drift) -> Panel:
    curve = Line(drift.times, drift.energies / MEV, name=name, width=1.0)
    axes = Axis("time (ps)"), Axis("change of the energy (meV/atom)")
    return Panel("Constant energy", *axes, (curve,))


def _survival_panel(name: str, rows: Sequence[tuple[Value, ...]], femtoseconds: float) -> Panel:
    temperatures, survived = np.array([row[:2] for row in rows], dtype=np.float64).T
    dots = Points(temperatures, survived, name=name)
    whole = Level(femtoseconds / 1000.0, "whole run")
    axes = Axis("temperature (K)"), Axis("time survived (ps)", limits=(0.0, 1.15 * whole.value))
    return Panel("Rising temperature", *axes, (whole, dots))
