"""`multiace md`: molecular dynamics with a trained potential."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from multiace.deploy.dynamics import Frame, MolecularDynamics

COLUMNS = (
    ("step", "", ".0f"),
    ("time", "ps", ".4f"),
    ("potential", "eV", ".6f"),
    ("kinetic", "eV", ".6f"),
    ("conserved", "eV", ".6f"),
    ("temperature", "K", ".2f"),
    ("speed", "steps/s", ".1f"),
    ("pace", "ns/day", ".3f"),
)
"""Name, unit and format of each column of the log."""

SECONDS_BETWEEN_LINES = 15.0


def md(
    model: Annotated[Path, typer.Argument(help="Model file (.safetensors).")],
    structure: Annotated[
        str, typer.Argument(help="Where to begin: a file that ASE reads, or bundled:NAME.")
    ],
    ensemble: Annotated[
        Literal["nve", "langevin"], typer.Option(help="Constant energy, or Langevin's thermostat.")
    ] = "nve",
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="K, of the thermostat and of the first velocities. Default: 300, or with nve the "
            "velocities in the file.",
        ),
    ] = None,
    friction: Annotated[
        float, typer.Option(help="Of the thermostat, 1/ps.", show_default=True)
    ] = 10.0,
    timestep: Annotated[float, typer.Option(help="fs.")] = 0.5,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps.")] = 1000,
    every: Annotated[int, typer.Option(min=1, help="Steps between frames and lines.")] = 10,
    frame: Annotated[int, typer.Option(help="Which frame of the file; -1 is the last.")] = -1,
    out: Annotated[
        Path, typer.Option(help="OUT.xyz is the trajectory, OUT.log has the energies.")
    ] = Path("md"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of velocities and thermostat.")] = 0,
    exact: Annotated[
        bool, typer.Option("--exact", help="Evaluate the radial network and not its splines (CPU).")
    ] = False,
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        typer.Option(help="Compute type; default: that of the model."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    skin: Annotated[
        float, typer.Option(min=0.0, help="Neighbours are searched again after half of it, Å.")
    ] = 0.5,
) -> None:
    """Move atoms by molecular dynamics; write a trajectory and energies.

    The conserved quantity is the total energy, less what a thermostat has put in. Its drift shows
    whether the time step is short enough.

    Example: multiace md model.safetensors start.xyz --ensemble langevin --temperature 600
    """
    import torch

    from multiace.deploy.dynamics import MolecularDynamics, Thermostat
    from multiace.deploy.evaluator import Evaluator
    from multiace.geometry import Structure

    trajectory, log = Path(f"{out}.xyz"), Path(f"{out}.log")
    atoms = _read(structure, frame)
    for path in (trajectory, log):
        if path.exists() and not overwrite:
            raise FileExistsError(17, "is there already. Use --out, or --overwrite", str(path))
    evaluator = Evaluator(
        model,
        dtype=None if dtype is None else getattr(torch, dtype),
        device=device,
        exact=exact,
        skin=skin,
    )
    thermostat = None
    if ensemble == "langevin":
        thermostat = Thermostat(300.0 if temperature is None else temperature, friction / 1e3, seed)
    dynamics = MolecularDynamics(
        evaluator,
        Structure.from_ase(atoms),
        atoms.get_masses(),
        _velocities(atoms, temperature, seed),
        timestep=timestep,
        thermostat=thermostat,
    )
    with ExitStack() as files:
        mode = "w" if overwrite else "x"
        sinks = [
            files.enter_context(path.open(mode, encoding="utf-8")) for path in (trajectory, log)
        ]
        _run(dynamics, atoms, steps, every, timestep, *sinks)
    Console(highlight=False, soft_wrap=True).print(f"{trajectory} and {log} are written.")


def _read(name: str, frame: int) -> Atoms:
    from ase import Atoms
    from ase.io import read
    from ase.io.formats import UnknownFileTypeError

    from multiace.data.bundled import data_path

    try:
        atoms = read(data_path(name), index=frame)
    except UnknownFileTypeError:
        atoms = None
    except (IndexError, StopIteration):
        raise ValueError(f"{name} has no frame {frame}. Frames count from 0.") from None
    if not isinstance(atoms, Atoms):
        raise ValueError(f"{name} is not a file of atoms that ASE can read. Give it as .xyz.")
    if atoms.constraints:
        kinds = ", ".join(sorted({type(each).__name__ for each in atoms.constraints}))
        raise ValueError(
            f"{name} constrains atoms ({kinds}), and multiace md moves every atom freely. Take the "
            "constraints out of the file (in extended XYZ the column move_mask), or run it with "
            "multiace.ASECalculator and ase.md, which keeps them."
        )
    return atoms


def _velocities(atoms: Atoms, temperature: float | None, seed: int) -> np.ndarray:
    """Return the atoms' velocities, or thermal ones if there are none or a temperature is given.

    In Å/fs.
    """
    from ase import units

    from multiace.deploy.dynamics import thermal_velocities

    velocities = atoms.get_velocities() * units.fs
    if temperature is None and velocities.any():
        return velocities
    first = 300.0 if temperature is None else temperature
    return thermal_velocities(atoms.get_masses(), first, seed)


def _run(
    dynamics: MolecularDynamics,
    atoms: Atoms,
    steps: int,
    every: int,
    timestep: float,
    trajectory: TextIO,
    log: TextIO,
) -> None:
    """Run, write frames and lines, and end with a summary."""
    console = Console(highlight=False, soft_wrap=True)
    heads = (f"{name} ({unit})" if unit else name for name, unit, _ in COLUMNS)
    log.write("# " + "  ".join(f"{head:>18}" for head in heads) + "\n")
    started = time.perf_counter()
    temperatures: list[float] = []
    conserved: list[float] = []
    for now in _shown(dynamics.run(steps), steps, console):
        temperatures.append(now.temperature)
        conserved.append(now.conserved)
        if now.step % every and now.step != steps:
            continue
        seconds = time.perf_counter() - started
        speed = now.step / seconds if now.step else 0.0
        log.write("  " + "  ".join(_cells(now, speed, timestep)) + "\n")
        log.flush()
        _write(trajectory, atoms, now)
    speed = steps / (time.perf_counter() - started)
    spread = 1e3 * (max(conserved) - min(conserved)) / len(atoms)
    console.print(
        f"{steps} steps, {steps * timestep / 1000:g} ps: {speed:.1f} steps/s, "
        f"{_pace(speed, timestep):.3g} ns/day; {sum(temperatures) / len(temperatures):.0f} K on "
        f"average; conserved quantity within {spread:.3g} meV/atom"
    )


def _shown(frames: Iterator[Frame], steps: int, console: Console) -> Iterator[Frame]:
    """Show a bar with the time left on a terminal, else a line now and then."""
    bar = Progress(
        TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=steps, note="")
    started = time.monotonic()
    next_line = started + SECONDS_BETWEEN_LINES
    shown = started
    with bar:
        for now in frames:
            yield now
            moment = time.monotonic()
            if console.is_terminal and moment - shown > 0.1:
                bar.update(task, completed=now.step, note=f"{now.temperature:.0f} K")
                shown = moment
            elif not console.is_terminal and moment >= next_line and now.step:
                left = (moment - started) / now.step * (steps - now.step)
                console.print(
                    f"step {now.step}/{steps}: {now.temperature:.0f} K, about {left:.0f} s left"
                )
                next_line += SECONDS_BETWEEN_LINES


def _cells(now: Frame, speed: float, timestep: float) -> Iterator[str]:
    values = (
        now.step,
        now.time / 1000,
        now.evaluation.energy,
        now.kinetic,
        now.conserved,
        now.temperature,
        speed,
        _pace(speed, timestep),
    )
    for (_, _, form), value in zip(COLUMNS, values, strict=True):
        yield f"{value:>18{form}}"


def _pace(speed: float, timestep: float) -> float:
    """Return ns/day."""
    return speed * timestep * 86400 * 1e-6


def _write(trajectory: TextIO, atoms: Atoms, now: Frame) -> None:
    """Append a frame: positions, velocities, energy, forces and stress."""
    from ase import units
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write
    from ase.stress import full_3x3_to_voigt_6_stress

    frame = atoms.copy()
    frame.positions = now.structure.positions
    frame.set_velocities(now.velocities / units.fs)
    frame.info = {"step": now.step, "time_fs": now.time}
    found = now.evaluation
    results: dict[str, Any] = {"energy": found.energy, "forces": found.forces}
    if found.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(found.stress)
    frame.calc = SinglePointCalculator(frame, **results)
    write(trajectory, frame, format="extxyz")
    trajectory.flush()
