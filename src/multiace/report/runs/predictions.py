"""What a model says of structures, evaluated once and kept in the run directory.

A file `predictions/KEY.npz` holds the predictions for one model and one set of structures; KEY is a
hash of the weights and of the geometries, so that another model or other data never find it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from multiace.analysis import predict
from multiace.analysis.site_terms import terms_of_atoms
from multiace.checkpoint import replace_file
from multiace.elements import sorted_elements
from multiace.geometry import Labels, Structure
from multiace.program import fastest
from multiace.report.runs.run import Run

FOLDER = "predictions"
FORMAT = 1
CHUNK = 50
"""Structures between two signs of progress."""

Progress = Callable[[str, float], None]
"""Takes what is being done and which part of it is, 0 to 1."""

Arrays = dict[str, np.ndarray]


def predicted_labels(
    run: Run, what: str, structures: Sequence[Structure], progress: Progress
) -> list[Labels]:
    """Return energies, forces and, for crystals, stresses of structures.

    Args:
        run: whose model is asked.
        what: name of the set, for the progress.
        structures: with elements that the model knows.
        progress: is told of each chunk.
    """
    counts = np.array([structure.n_atoms for structure in structures])
    stress = any(s.labels.stress is not None and s.volume is not None for s in structures)

    def compute() -> Arrays:
        model = fastest(run.potential, elements=_elements(structures), exact=True)
        labels: list[Labels] = []
        for start in range(0, len(structures), CHUNK):
            progress(f"{run.name}: {what}", start / len(structures))
            labels += predict(model, structures[start : start + CHUNK], stress=stress)
        return _arrays_of(labels)

    found = _kept(run, f"labels stress={stress}", structures, compute)
    progress(f"{run.name}: {what}", 1.0)
    return _labels_of(found, counts)


def predicted_terms(
    run: Run, structures: Sequence[Structure]
) -> Float64[np.ndarray, "structures terms"]:
    """Return the terms of the energy, named by `run.potential.terms`, eV."""

    def compute() -> Arrays:
        terms = terms_of_atoms(run.potential, structures)
        return {"terms": np.array([of_atoms.sum(axis=0) for of_atoms in terms], dtype=np.float64)}

    return _kept(run, "terms", structures, compute)["terms"]


def geometry_hash(structures: Sequence[Structure]) -> str:
    """Return the SHA-256 of elements, positions and cells; labels do not count.

    Example:
        >>> from multiace.data import read_structures
        >>> from multiace.data.bundled import bundled
        >>> dihedral = read_structures(bundled("malonaldehyde/dihedral"))
        >>> geometry_hash(dihedral) == geometry_hash(dihedral[:-1])
        False
    """
    digest = hashlib.sha256()
    for structure in structures:
        cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
        digest.update(f"{structure.n_atoms} {structure.pbc};".encode())
        for values in (structure.numbers, structure.positions, cell):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _kept(
    run: Run, kind: str, structures: Sequence[Structure], compute: Callable[[], Arrays]
) -> Arrays:
    """Return what was computed before, or compute and keep it."""
    weights = hashlib.sha256(run.model_path.read_bytes()).hexdigest()
    text = f"{FORMAT} {kind} {weights} {geometry_hash(structures)}"
    path = run.path / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"
    found = _read(path)
    if found is None:
        found = compute()
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **found)
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content.getvalue())
    return found


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file; None if it is not there or damaged: it is made again."""
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            return dict(content)
    except (ValueError, EOFError, zipfile.BadZipFile):
        return None


def _arrays_of(labels: Sequence[Labels]) -> Arrays:
    absent = np.full((3, 3), np.nan)
    return {
        "energy": np.array([l.energy for l in labels], dtype=np.float64),
        "forces": np.concatenate([np.zeros((0, 3)), *(_forces(l) for l in labels)]),
        "stress": np.array([absent if l.stress is None else l.stress for l in labels]),
    }


def _forces(labels: Labels) -> Float64[np.ndarray, "atoms 3"]:
    assert labels.forces is not None
    return labels.forces


def _labels_of(found: Arrays, counts: np.ndarray) -> list[Labels]:
    forces = np.split(found["forces"], counts.cumsum()[:-1])
    return [
        Labels(
            energy=float(energy),
            forces=of_structure,
            stress=None if np.isnan(stress).any() else stress,
        )
        for energy, of_structure, stress in zip(
            found["energy"], forces, found["stress"], strict=True
        )
    ]


def _elements(structures: Sequence[Structure]) -> tuple[int, ...]:
    return sorted_elements(n for structure in structures for n in set(structure.numbers.tolist()))
