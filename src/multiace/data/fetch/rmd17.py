"""Turn an archive of rMD17 into extended XYZ."""

from __future__ import annotations

import zipfile
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from multiace.data.errors import DataError

_ARRAYS: Final = ("nuclear_charges", "coords", "energies", "forces", "old_indices")
_LARGEST: Final = 1 << 28  # bytes of one array: 256 MiB, twenty times the largest there is


def rmd17_as_xyz(path: Path, **info: str) -> str:
    """Return the frames of an archive as extended XYZ text: kcal/mol become eV.

    Args:
        path: npz with `nuclear_charges`, `coords` (Å), `energies` (kcal/mol), `forces`
            (kcal/mol/Å) and `old_indices`, the place of each frame in MD17.
        info: what else each comment line says.

    Raises:
        DataError: not such an archive.
    """
    arrays = _read(path)
    frames = []
    factor = units.kcal / units.mol
    for index, positions in enumerate(arrays["coords"]):
        atoms = Atoms(arrays["nuclear_charges"], positions)
        atoms.info = {"md17_index": int(arrays["old_indices"][index]), **info}
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(arrays["energies"][index]) * factor,
            forces=arrays["forces"][index] * factor,
        )
        frames.append(atoms)
    text = StringIO()
    write(text, frames, format="extxyz")
    return text.getvalue()


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays, checked for fitting together; nothing in the file can run code."""
    try:
        with zipfile.ZipFile(path) as archive:
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
        if largest > _LARGEST:
            raise ValueError(f"an array of {largest:,} bytes")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
    except (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise DataError(
            f"this is not an archive of rMD17: {error}",
            file=path,
            hint="Remove the file and fetch it again.",
        ) from error
    n_frames, n_atoms = len(arrays["energies"]), len(arrays["nuclear_charges"])
    expected = {
        "coords": (n_frames, n_atoms, 3),
        "forces": (n_frames, n_atoms, 3),
        "old_indices": (n_frames,),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise DataError(
                f"{name} must have shape {shape}, got {arrays[name].shape}", file=path, field=name
            )
    return arrays
