"""`multiace probe symmetry`: rotations, mirrors, translations, permutations, other cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiace.analysis.symmetry import (
    Departure,
    compare_images,
    largest_departures,
    random_images,
)
from multiace.geometry import Structure
from multiace.probes.result import Number, ProbeResult, Table
from multiace.probes.surface import Subject, forces_of, surface


def symmetry(
    subject: Subject, structures: Sequence[Structure], *, repetitions: int = 3, seed: int = 0
) -> ProbeResult:
    """Compare random images of structures with what each symmetry of physics says.

    Args:
        subject: what to look at: float64 shows 1e-10, float32 its rounding.
        structures: the originals.
        repetitions: images of each kind and structure.
        seed: of the images.

    Returns:
        The largest departures of energy, forces and, with a volume, stress, by symmetry.

    Raises:
        ValueError: no structures.

    Example:
        >>> from ase.calculators.lj import LennardJones
        >>> pair = Structure(np.array([18, 18]), np.array([[0, 0, 0], [0, 0, 1.1]]))
        >>> symmetry(LennardJones(), [pair])["largest_forces"] < 1e-10
        True
    """
    if not structures:
        raise ValueError("Symmetries are tested on structures: give at least one.")
    found = surface(subject)
    rng = np.random.default_rng(seed)
    rows: list[Departure] = []
    forces = []
    for structure in structures:
        images = [image for _ in range(repetitions) for image in random_images(structure, rng)]
        everything = [structure, *(image.structure for image in images)]
        labels = found.evaluate(everything, stress=structure.volume is not None)
        rows += compare_images(structure, images, labels)
        forces.append(forces_of(labels[:1])[0].ravel())
    largest = largest_departures(rows)
    columns = (("symmetry", ""), ("energy", "eV/atom"), ("forces", "eV/Å"), ("stress", "eV/Å³"))
    values = tuple((row.name, row.energy, row.forces, row.stress) for row in largest)
    settings = {"structures": len(structures), "repetitions": repetitions, "seed": seed}
    table = Table("symmetry", "largest departures", columns, values)
    numbers = tuple(_numbers(largest, np.concatenate(forces)))
    return ProbeResult("symmetry", found.name, numbers, (table,), settings=settings)


def _numbers(rows: Sequence[Departure], forces: np.ndarray) -> list[Number]:
    numbers = [
        Number("largest_energy", max(row.energy for row in rows), "eV/atom", "of all symmetries"),
        Number("largest_forces", max(row.forces for row in rows), "eV/Å", "of all symmetries"),
    ]
    for row in rows:
        name = row.name.replace(" ", "_")
        numbers.append(Number(f"{name}_energy", row.energy, "eV/atom", f"departure: {row.name}"))
        numbers.append(Number(f"{name}_forces", row.forces, "eV/Å", f"departure: {row.name}"))
    rms = float(np.sqrt(np.mean(np.square(forces))))
    return [*numbers, Number("forces_rms", rms, "eV/Å", "size of the forces themselves")]
