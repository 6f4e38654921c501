"""Write docs/float32.md: errors of float32 against float64 for every preset.

python benchmarks/float32_errors.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from ase.build import bulk, molecule

from multiace.analysis.precision import float32_errors
from multiace.analysis.predict import predict
from multiace.design import Statistics
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.presets import PRESETS

PAGE = Path(__file__).parents[1] / "docs" / "float32.md"
ELEMENTS = (1, 6, 8, 14)
ATOMIC_ENERGIES = {"H": -13.6, "C": -1029.3, "O": -2041.8, "Si": -7875.2}
MEAN_NEIGHBOURS = 10.0

HEAD = """# What float32 costs

`float32` is the default compute type. Edge vectors are computed, E0 added and energies summed in
`float64` all the same: what is lost is what the arithmetic of the network loses. The table compares
the two types for random weights, rounded to `float32` in both and scaled to RMS forces of 1 eV/Å:
the largest error over ethanol and eight atoms of rattled silicon.

| preset | size | energy (eV/atom) | forces (eV/Å) | stress (eV/Å³) |
|---|---|---|---|---|
"""
TAIL = """
Written by `python benchmarks/float32_errors.py`. The tests hold every preset, a trained model and
random designs to 1e-5 eV/atom and 1e-4 of the largest force. Where more is needed (phonons, finite
differences, tight minima), take `dtype=torch.float64`.
"""


def structures() -> list[Structure]:
    """Return ethanol and rattled silicon."""
    ethanol, silicon = molecule("CH3CH2OH"), bulk("Si", cubic=True)
    for atoms in (ethanol, silicon):
        atoms.rattle(0.1, seed=0)
    return [Structure.from_ase(ethanol), Structure.from_ase(silicon)]


def potential(name: str, size: str) -> Potential:
    """Return a preset with random weights, scaled to RMS forces of 1 eV/Å."""
    design, scale = PRESETS[name](size), 1.0
    for _ in range(2):
        statistics = Statistics(
            mean_neighbours=MEAN_NEIGHBOURS, atomic_energies=ATOMIC_ENERGIES, scale=scale
        )
        found = Potential(design, ELEMENTS, statistics, dtype=torch.float64, seed=0)
        forces = np.concatenate([labels.forces for labels in predict(found, structures())])
        scale = 1.0 / float(np.sqrt(np.square(forces).mean()))
    return found


def main() -> None:
    """Evaluate the presets and write the page."""
    rows = []
    for name in PRESETS:
        for size in ("small", "paper"):
            errors = float32_errors(potential(name, size), structures())
            largest = (errors.energy_per_atom, errors.forces, errors.stress)
            numbers = " | ".join(f"{deviation.largest:.0e}" for deviation in largest)
            rows.append(f"| `{name}` | {size} | {numbers} |")
    PAGE.write_text(HEAD + "\n".join(rows) + "\n" + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
