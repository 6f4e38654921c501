"""Read the golden files of nequip 0.19.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from multiace.deploy.importers.neutral import Neutral, read_neutral
from multiace.geometry.structure import Structure

FOLDER = Path(__file__).parent / "nequip_0_19"
CASES = tuple(sorted(path.stem for path in FOLDER.iterdir() if not path.stem.endswith(".results")))


def model(name: str) -> Neutral:
    """Return the neutral file of a case."""
    return read_neutral(FOLDER / f"{name}.safetensors")


def results(name: str) -> Neutral:
    """Return what nequip says of the structures of a case."""
    return read_neutral(FOLDER / f"{name}.results.safetensors")


def structures(name: str) -> list[tuple[Structure, dict[str, Tensor]]]:
    """Return the structures of a case with their results."""
    tensors = results(name).tensors
    rows = []
    while f"structure{len(rows)}.energy" in tensors:
        prefix = f"structure{len(rows)}."
        of = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        periodic = "cell" in of
        structure = Structure(
            numbers=of["numbers"].numpy().astype(np.int64),
            positions=of["positions"].numpy(),
            cell=of["cell"].numpy() if periodic else None,
            pbc=(periodic, periodic, periodic),
        )
        rows.append((structure, of))
    return rows
