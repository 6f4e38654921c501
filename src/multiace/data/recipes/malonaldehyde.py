"""Make the malonaldehyde reference data with GFN2-xTB.

    python -m multiace.data.recipes.malonaldehyde OUT

writes eight extended XYZ files and `provenance.json` into the folder OUT, in 10 to 20 minutes on
one core. It needs tblite: `pip install 'multiace[labels]'`. Set OMP_NUM_THREADS=1: the molecule has
9 atoms.

Every frame is labelled on its own: positions are rounded to the 8 decimals of the file first, and a
fresh calculator starts its self-consistent field from the atomic densities, so a label depends on
the numbers in the file and on nothing else. Units: eV, Å, eV/Å.

Method: C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixInternals
from ase.io import write
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from numpy.random import default_rng

METHOD = "GFN2-xTB"
ACCURACY = 0.01  # tblite's scale of all convergence thresholds
MAX_ITERATIONS = 2000  # the stretched O-H bond needs more than the default of 250

TIME_STEP_FS = 0.5
FRICTION_PER_FS = 0.01
EQUILIBRATION_STEPS = 4000  # 2 ps
STEPS_PER_FRAME = 200  # 100 fs
FRAMES_PER_TRAJECTORY = 50

MOLECULAR_DYNAMICS = {
    # file: (temperature in K, seeds of its trajectories)
    "train_300K": (300, range(1000, 1010)),
    "test_300K": (300, range(2000, 2004)),
    "test_600K": (600, range(3000, 3004)),
    "test_1200K": (1200, range(4000, 4004)),
}
DIHEDRAL_DEGREES = np.linspace(0.0, 180.0, 37)
TRANSFER_POINTS = 21
STRETCH_DISTANCES = np.linspace(0.8, 4.0, 33)
ISOLATED_ATOMS = {"H": 2, "C": 3, "O": 3}  # symbol: multiplicity

# Atoms of the enol, in the order of `starting_geometry`:
#     O3=C0(H6)-C1(H7)=C2(H8)-O4-H5 ... O3
KETO_O, ALDEHYDE_C, MIDDLE_C, ENOL_C, ENOL_O, ENOL_H, ALDEHYDE_H = 3, 0, 1, 2, 4, 5, 6


def calculator(multiplicity: int = 1) -> Any:
    """Return a fresh tblite calculator of a neutral system.

    Raises:
        SystemExit: tblite is not installed.
    """
    try:
        from tblite.ase import TBLite
    except ModuleNotFoundError as error:
        raise SystemExit(
            "Making labels needs tblite, which is not installed: pip install 'multiace[labels]'"
        ) from error
    return TBLite(
        method=METHOD,
        charge=0,
        multiplicity=multiplicity,
        accuracy=ACCURACY,
        max_iterations=MAX_ITERATIONS,
        verbosity=0,
    )


def label(atoms: Atoms, config_type: str, multiplicity: int = 1, **info: Any) -> Atoms:
    """Return a copy at the origin, its positions as written to file, with energy and forces."""
    labelled = Atoms(atoms.symbols, atoms.positions)
    labelled.positions -= labelled.get_center_of_mass()
    labelled.positions = labelled.positions.round(8) + 0.0
    labelled.calc = calculator(multiplicity)
    energy = round(labelled.get_potential_energy(), 8)
    forces = labelled.get_forces().round(8) + 0.0  # no negative zeros
    labelled.calc = SinglePointCalculator(labelled, energy=energy, forces=forces)
    labelled.info = {"config_type": config_type, **info, "multiplicity": multiplicity}
    return labelled


def starting_geometry() -> Atoms:
    """Return a planar sketch of the enol with its intramolecular hydrogen bond."""
    skeleton = [(-1.20, 0.40), (0.0, 1.05), (1.20, 0.40), (-1.28, -0.85), (1.28, -0.85)]
    hydrogens = [(0.45, -1.25), (-2.13, 0.98), (0.0, 2.13), (2.13, 0.98)]
    return Atoms("C3O2H4", [(x, y, 0.0) for x, y in skeleton + hydrogens])


def optimise(atoms: Atoms, largest_force: float = 1e-4) -> Atoms:
    """Return the nearest minimum; constraints hold.

    Raises:
        RuntimeError: it was not reached in 500 steps.
    """
    relaxed = atoms.copy()
    relaxed.calc = calculator()
    if not BFGS(relaxed, logfile=None).run(fmax=largest_force, steps=500):
        raise RuntimeError(f"no minimum within {largest_force} eV/Å after 500 steps")
    return relaxed


def trajectory(minimum: Atoms, temperature: float, seed: int) -> Iterator[Atoms]:
    """Yield decorrelated frames of one Langevin trajectory from the minimum."""
    atoms = minimum.copy()
    atoms.calc = calculator()
    rng = default_rng(seed)
    deviation = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(deviation * rng.standard_normal((len(atoms), 3)))
    dynamics = Langevin(
        atoms,
        TIME_STEP_FS * units.fs,
        temperature_K=temperature,
        friction=FRICTION_PER_FS / units.fs,
        fixcm=False,  # True does not sample the canonical distribution exactly
        rng=rng,
    )
    dynamics.run(EQUILIBRATION_STEPS)
    for _ in range(FRAMES_PER_TRAJECTORY):
        dynamics.run(STEPS_PER_FRAME)
        yield atoms


def molecular_dynamics(minimum: Atoms, temperature: int, seeds: range) -> list[Atoms]:
    """Return labelled frames of several trajectories, all of them kept."""
    return [
        label(
            frame,
            f"md_{temperature}K",
            temperature_K=temperature,
            seed=seed,
            time_fs=(EQUILIBRATION_STEPS + (index + 1) * STEPS_PER_FRAME) * TIME_STEP_FS,
        )
        for seed in seeds
        for index, frame in enumerate(trajectory(minimum, temperature, seed))
    ]


def dihedral_scan(minimum: Atoms) -> list[Atoms]:
    """Return the rigid rotation of the CHO group about its C-C bond, from the hydrogen bond."""
    chain = (ENOL_C, MIDDLE_C, ALDEHYDE_C, KETO_O)  # ASE turns the end of the chain
    frames = []
    for angle in DIHEDRAL_DEGREES:
        rotated = minimum.copy()
        start = rotated.get_dihedral(*chain)
        rotated.set_dihedral(*chain, start + angle, indices=[KETO_O, ALDEHYDE_H])
        frames.append(label(rotated, "dihedral", dihedral_deg=float(angle)))
    return frames


def proton_transfer(minimum: Atoms) -> list[Atoms]:
    """Return the relaxed path of the proton from one oxygen to the other.

    The coordinate is r(O3-H) - r(O4-H), held at equal steps from the minimum to its mirror image
    while everything else relaxes.
    """
    start = minimum.get_distance(KETO_O, ENOL_H) - minimum.get_distance(ENOL_O, ENOL_H)
    atoms = minimum.copy()
    frames = []
    for coordinate in np.linspace(start, -start, TRANSFER_POINTS):
        bonds = [[KETO_O, ENOL_H, 1.0], [ENOL_O, ENOL_H, -1.0]]
        atoms.set_constraint(FixInternals(bondcombos=[[coordinate, bonds]]))
        atoms.set_positions(atoms.positions)  # brings the atoms onto the constraint
        atoms = optimise(atoms, largest_force=1e-3)
        frames.append(label(atoms, "proton_transfer", transfer_A=round(float(coordinate), 6)))
    return frames


def stretch(minimum: Atoms) -> list[Atoms]:
    """Return the rigid O-H stretch of the open rotamer, where the hydrogen leaves into vacuum."""
    rotamer = minimum.copy()
    chain = (MIDDLE_C, ENOL_C, ENOL_O, ENOL_H)
    rotamer.set_dihedral(*chain, rotamer.get_dihedral(*chain) + 180.0, indices=[ENOL_H])
    rotamer = optimise(rotamer)
    bond = rotamer.get_distance(ENOL_O, ENOL_H, vector=True)
    bond /= np.linalg.norm(bond)
    frames = []
    for distance in STRETCH_DISTANCES:
        stretched = rotamer.copy()
        stretched.positions[ENOL_H] = stretched.positions[ENOL_O] + distance * bond
        frames.append(label(stretched, "stretch", distance_A=round(float(distance), 6)))
    return frames


def isolated_atoms() -> list[Atoms]:
    """Return one frame for each element, with the multiplicity of its ground state."""
    return [
        label(Atoms(symbol), "isolated_atom", multiplicity)
        for symbol, multiplicity in ISOLATED_ATOMS.items()
    ]


def check_forces(frame: Atoms, step: float = 1e-2, tolerance: float = 2e-4) -> float:
    """Return the largest difference between forces and differences of the energy, eV/Å.

    The stencil is of fourth order: -dE/dx = (8 [E(-h) - E(h)] - [E(-2h) - E(2h)]) / 12 h.

    Raises:
        RuntimeError: it is above the tolerance.
    """
    atoms = Atoms(frame.symbols, frame.positions)
    worst = 0.0
    for atom, axis in np.ndindex(len(atoms), 3):
        energy = {}
        for multiple in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions[atom, axis] += multiple * step
            moved.calc = calculator()
            energy[multiple] = moved.get_potential_energy()
        force = (8 * (energy[-1] - energy[1]) - (energy[-2] - energy[2])) / (12 * step)
        worst = max(worst, abs(force - frame.get_forces()[atom, axis]))
    if worst > tolerance:
        raise RuntimeError(f"forces differ by {worst:.1e} eV/Å from the gradient of the energy")
    return worst


def provenance(folder: Path, names: list[str], force_error: float) -> dict[str, Any]:
    """Return how the files were made and what they hash to."""
    return {
        "method": METHOD,
        "tblite": version("tblite"),
        "ase": version("ase"),
        "numpy": version("numpy"),
        "tblite_accuracy": ACCURACY,
        "charge": 0,
        "multiplicity": {"C3H4O2": 1, **ISOLATED_ATOMS},
        "electronic_temperature_K": 300.0,
        "units": {"energy": "eV", "positions": "Å", "forces": "eV/Å"},
        "molecular_dynamics": {
            "integrator": "Langevin (ASE), fixcm=False",
            "time_step_fs": TIME_STEP_FS,
            "friction_per_fs": FRICTION_PER_FS,
            "equilibration_steps": EQUILIBRATION_STEPS,
            "steps_per_frame": STEPS_PER_FRAME,
            "frames_per_trajectory": FRAMES_PER_TRAJECTORY,
            "seeds": {name: list(seeds) for name, (_, seeds) in MOLECULAR_DYNAMICS.items()},
        },
        "largest_force_error_eV_per_A": float(f"{force_error:.1e}"),
        "sha256": {
            name: hashlib.sha256((folder / f"{name}.xyz").read_bytes()).hexdigest()
            for name in names
        },
    }


def make(folder: Path) -> None:
    """Write all files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    minimum = optimise(starting_geometry())
    files = {
        "isolated_atoms": isolated_atoms,
        "dihedral": lambda: dihedral_scan(minimum),
        "proton_transfer": lambda: proton_transfer(minimum),
        "stretch": lambda: stretch(minimum),
    }
    for name, (temperature, seeds) in MOLECULAR_DYNAMICS.items():
        files[name] = lambda t=temperature, s=seeds: molecular_dynamics(minimum, t, s)
    force_error = 0.0
    for name, frames_of in files.items():
        frames = frames_of()
        write(folder / f"{name}.xyz", frames, format="extxyz")
        if name in MOLECULAR_DYNAMICS:
            force_error = max(force_error, check_forces(frames[0]))
        sys.stdout.write(f"{name}.xyz: {len(frames)} frames\n")
        sys.stdout.flush()
    record = provenance(folder, list(files), force_error)
    (folder / "provenance.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder to write to")
    make(parser.parse_args().out)
