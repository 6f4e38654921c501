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
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixInternals

from multiace.data.atomic_write import write_atomically
from multiace.data.make.dynamics import Trajectory
from multiace.data.make.few_atoms import AtomSet
from multiace.data.make.internal import InternalScan
from multiace.data.make.labelling import (
    CalculationError,
    Failure,
    Point,
    as_extxyz,
    label,
    largest_force_error,
    tblite_calculator,
)
from multiace.data.make.recipe import Bond, Dihedral, IsolatedAtoms, Method, MolecularDynamics
from multiace.data.make.source import Source, System
from multiace.data.make.start import optimise

# the stretched O-H bond needs more than the usual number of iterations
METHOD = Method(name="GFN2-xTB", accuracy=0.01, max_iterations=2000)

DYNAMICS = MolecularDynamics(
    kind="md",
    temperatures=(300.0,),  # each file has its own, below
    frames=50,
    trajectories=1,
    timestep=0.5,
    friction=10.0,
    equilibration=2000.0,
    interval=100.0,
)
TRAJECTORIES = {
    # file: (temperature in K, seeds of its trajectories)
    "train_300K": (300, range(1000, 1010)),
    "test_300K": (300, range(2000, 2004)),
    "test_600K": (600, range(3000, 3004)),
    "test_1200K": (1200, range(4000, 4004)),
}
TRANSFER_POINTS = 21
ISOLATED_ATOMS = {"H": 2, "C": 3, "O": 3}  # symbol: multiplicity
TIGHT = 1e-4  # eV/Å, of minima

# Atoms of the enol, in the order of `starting_geometry`:
#     O3=C0(H6)-C1(H7)=C2(H8)-O4-H5 ... O3
KETO_O, ALDEHYDE_C, MIDDLE_C, ENOL_C, ENOL_O, ENOL_H, ALDEHYDE_H = 3, 0, 1, 2, 4, 5, 6


def enol(atoms: Atoms) -> System:
    """Return the molecule with what labels it."""
    return System(atoms, 0, 1, tblite_calculator(METHOD))


def labelled(point: Point | Failure, config_type: str) -> Atoms:
    """Return a point with its labels.

    Raises:
        CalculationError: it has none.
    """
    frame = point if isinstance(point, Failure) else label(point, tblite_calculator(METHOD))
    if isinstance(frame, Failure):
        raise CalculationError(f"{config_type}, {dict(frame.info)}: {frame.reason}")
    frame.info = {"config_type": config_type, **frame.info}
    return frame


def frames_of(source: Source, config_type: str) -> Iterator[Atoms]:
    """Yield the labelled frames of a source, all of which must be there."""
    for point, _ in source.points({}, lambda energies: None):
        yield labelled(point, config_type)


def starting_geometry() -> Atoms:
    """Return a planar sketch of the enol with its intramolecular hydrogen bond."""
    skeleton = [(-1.20, 0.40), (0.0, 1.05), (1.20, 0.40), (-1.28, -0.85), (1.28, -0.85)]
    hydrogens = [(0.45, -1.25), (-2.13, 0.98), (0.0, 2.13), (2.13, 0.98)]
    return Atoms("C3O2H4", [(x, y, 0.0) for x, y in skeleton + hydrogens])


def minimum_of(atoms: Atoms, largest_force: float = TIGHT) -> Atoms:
    """Return the nearest minimum; constraints hold."""
    relaxed = atoms.copy()
    relaxed.calc = enol(atoms).calculator()
    optimise(relaxed, largest_force=largest_force)
    relaxed.calc = None
    return relaxed


def molecular_dynamics(minimum: Atoms, name: str) -> Iterator[Atoms]:
    """Yield labelled frames of several trajectories, all of them kept."""
    temperature, seeds = TRAJECTORIES[name]
    for seed in seeds:
        own = f"{name}.{seed}"
        trajectory = Trajectory(
            own, enol(minimum), float(temperature), DYNAMICS.frames, seed, DYNAMICS
        )
        yield from frames_of(trajectory, trajectory.config_type)


def dihedral_scan(minimum: Atoms) -> Iterator[Atoms]:
    """Yield the rigid rotation of the CHO group about its C-C bond, from the hydrogen bond."""
    chain = (ENOL_C, MIDDLE_C, ALDEHYDE_C, KETO_O)
    start = minimum.get_dihedral(*chain)
    settings = Dihedral(
        kind="dihedral",
        atoms=chain,
        moving=(KETO_O, ALDEHYDE_H),
        start=start,
        stop=start + 180.0,
        points=37,
    )
    for frame in frames_of(InternalScan("dihedral", enol(minimum), settings), "dihedral"):
        frame.info["dihedral_deg"] = round(frame.info["dihedral_deg"] - start, 6)
        yield frame


def proton_transfer(minimum: Atoms) -> Iterator[Atoms]:
    """Yield the relaxed path of the proton from one oxygen to the other.

    The coordinate is r(O3-H) - r(O4-H), held at equal steps from the minimum to its mirror image
    while everything else relaxes.
    """
    start = minimum.get_distance(KETO_O, ENOL_H) - minimum.get_distance(ENOL_O, ENOL_H)
    atoms = minimum.copy()
    for coordinate in np.linspace(start, -start, TRANSFER_POINTS):
        bonds = [[KETO_O, ENOL_H, 1.0], [ENOL_O, ENOL_H, -1.0]]
        atoms.set_constraint(FixInternals(bondcombos=[[coordinate, bonds]]))
        atoms.set_positions(atoms.positions)  # brings the atoms onto the constraint
        atoms = minimum_of(atoms, largest_force=1e-3)
        point = enol(atoms).point(atoms, transfer_A=round(float(coordinate), 6))
        yield labelled(point, "proton_transfer")


def stretch(minimum: Atoms) -> Iterator[Atoms]:
    """Yield the rigid O-H stretch of the open rotamer, where the hydrogen leaves into vacuum."""
    rotamer = minimum.copy()
    first, second, third, last = MIDDLE_C, ENOL_C, ENOL_O, ENOL_H
    turned = rotamer.get_dihedral(first, second, third, last) + 180.0
    rotamer.set_dihedral(first, second, third, last, turned, indices=[ENOL_H])
    settings = Bond(
        kind="bond", atoms=(ENOL_O, ENOL_H), moving=(ENOL_H,), start=0.8, stop=4.0, points=33
    )
    yield from frames_of(InternalScan("stretch", enol(minimum_of(rotamer)), settings), "stretch")


def isolated_atoms(minimum: Atoms) -> Iterator[Atoms]:
    """Yield one frame for each element, with the multiplicity of its ground state."""
    settings = IsolatedAtoms(
        kind="isolated_atoms", elements=tuple(ISOLATED_ATOMS), multiplicities=ISOLATED_ATOMS
    )
    yield from frames_of(AtomSet("isolated_atoms", enol(minimum), settings), "isolated_atom")


def check_forces(frame: Atoms, tolerance: float = 2e-4) -> float:
    """Return the largest difference between forces and differences of the energy, eV/Å.

    Raises:
        RuntimeError: it is above the tolerance.
    """
    worst = largest_force_error(frame, tblite_calculator(METHOD))
    if worst > tolerance:
        raise RuntimeError(f"forces differ by {worst:.1e} eV/Å from the gradient of the energy")
    return worst


def provenance(folder: Path, names: list[str], force_error: float) -> dict[str, Any]:
    """Return how the files were made and what they hash to."""
    return {
        "method": METHOD.name,
        "tblite": version("tblite"),
        "ase": version("ase"),
        "numpy": version("numpy"),
        "tblite_accuracy": METHOD.accuracy,
        "charge": 0,
        "multiplicity": {"C3H4O2": 1, **ISOLATED_ATOMS},
        "electronic_temperature_K": METHOD.electronic_temperature,
        "units": {"energy": "eV", "positions": "Å", "forces": "eV/Å"},
        "molecular_dynamics": {
            "integrator": "Langevin (ASE), fixcm=False",
            "time_step_fs": DYNAMICS.timestep,
            "friction_per_ps": DYNAMICS.friction,
            "equilibration_fs": DYNAMICS.equilibration,
            "interval_fs": DYNAMICS.interval,
            "frames_per_trajectory": DYNAMICS.frames,
            "seeds": {name: list(seeds) for name, (_, seeds) in TRAJECTORIES.items()},
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
    minimum = minimum_of(starting_geometry())
    sources = {
        "isolated_atoms": isolated_atoms,
        "dihedral": dihedral_scan,
        "proton_transfer": proton_transfer,
        "stretch": stretch,
    }
    for name in TRAJECTORIES:
        sources[name] = partial(molecular_dynamics, name=name)
    force_error = 0.0
    for name, source in sources.items():
        frames = list(source(minimum))
        write_atomically(folder / f"{name}.xyz", "".join(map(as_extxyz, frames)))
        if name in TRAJECTORIES:
            force_error = max(force_error, check_forces(frames[0]))
        sys.stdout.write(f"{name}.xyz: {len(frames)} frames\n")
        sys.stdout.flush()
    record = provenance(folder, list(sources), force_error)
    (folder / "provenance.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder to write to")
    make(parser.parse_args().out)
