"""Texts and structures that the tests of reading make faults in."""

import numpy as np
from ase.build import bulk

from multiace.geometry import Labels, Structure, neighbour_list

FRAME = """\
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-31.5 config_type=dimer pbc="F F F"
H 0.0 0.0 0.0 0.0 0.0 -1.5
H 0.0 0.0 0.9 0.0 0.0 1.5
"""
CRYSTAL = """\
1
Lattice="3.0 0.1 0 0 3.1 0.2 0.3 0 2.9" pbc="T T T" Properties=species:S:1:pos:R:3 KEY="VALUES"
Li 0.0 0.0 0.0
"""


def morse(structure: Structure, source: str = "") -> Structure:
    """Return the structure with energy, forces and stress of a Morse potential for copper."""
    depth, steepness, distance, cutoff = 0.34, 1.36, 2.87, 5.5
    edges = neighbour_list(structure, cutoff)
    lengths = np.linalg.norm(edges.vectors, axis=1)
    decay = np.exp(-steepness * (lengths - distance))
    taper = np.square(np.cos(0.5 * np.pi * lengths / cutoff))
    slope = -0.5 * np.pi / cutoff * np.sin(np.pi * lengths / cutoff)
    energies = depth * (decay**2 - 2 * decay)
    slopes = -2 * steepness * depth * (decay**2 - decay) * taper + energies * slope
    pulls = (slopes / lengths)[:, None] * edges.vectors
    forces = np.zeros((structure.n_atoms, 3))
    np.add.at(forces, edges.receivers, pulls)
    stress = None
    if structure.volume is not None:
        stress = 0.5 * pulls.T @ edges.vectors / structure.volume
    return Structure(
        numbers=structure.numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        labels=Labels(energy=0.5 * float(energies @ taper), forces=forces, stress=stress),
        source=source,
    )


def copper(rng: np.random.Generator, rattle: float = 0.15) -> Structure:
    """Return eight displaced copper atoms in a sheared cell."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    strain = np.eye(3) + rng.uniform(-0.03, 0.03, size=(3, 3))
    atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
    atoms.positions += rng.normal(scale=rattle, size=(len(atoms), 3))
    return Structure.from_ase(atoms)


def relabelled(structure: Structure, **labels) -> Structure:
    """Return the structure with some of its labels changed."""
    known = structure.labels
    values = {"energy": known.energy, "forces": known.forces, "stress": known.stress, **labels}
    return Structure(
        numbers=structure.numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        labels=Labels(**values),
        source=structure.source,
    )
