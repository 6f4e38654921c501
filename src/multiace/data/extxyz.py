"""Read structures and their labels from extended XYZ, strictly.

ASE's reader takes what it can: it stops at a blank line between frames, passes over columns that
nobody declared, and reads `energy=-1,234.5` as two numbers. Here each of these is an error with its
place, and all that is wrong with a file is found in one reading.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from multiace.data.errors import DataError, DataWarning, Findings
from multiace.data.frame_labels import StressOrder
from multiace.data.frame_reader import FrameReader, KeysSeen, LabelNames, columns_of, comment_of
from multiace.data.frames import Frame, frames_of
from multiace.data.nearest import nearest
from multiace.geometry import Structure

LEAST_DISTANCE = 0.1
"""Atoms nearer than this (Å) are one atom written twice, or not in Å."""

_SEARCH = 1.5  # Å: a shorter search is not a faster one
_AT_ONCE = 256  # frames


def read_structures(
    path: str | Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    virial_key: str | None = None,
    stress_order: StressOrder | None = None,
) -> list[Structure]:
    """Read every frame of an extended XYZ file.

    Labels are looked for under the plain names `energy`, `forces`, `stress` and under `REF_energy`,
    `REF_forces`, `REF_stress`, or under the one name given; a frame without one has None there.
    `Labels.keys` says which name it was. Stress is a 3x3 matrix, or six components in an order that
    is declared; its sign is ASE's. `config_type` and `config_weight` are read when present.

    Args:
        path: the file; eV, Å, eV/Å, eV/Å^3.
        energy_key: name of the energy in the comment line.
        forces_key: name of the forces in `Properties`.
        stress_key: name of the stress in the comment line.
        virial_key: name of a virial (eV) that stands for the stress -virial / V.
        stress_order: order of six components: `voigt`, `vasp` or `lammps`, see `STRESS_ORDERS`.

    Raises:
        DataError: the file does not exist, is empty, truncated or malformed, a symbol is unknown,
            a value is not finite, a cell cannot be, or two names hold different labels. Several
            problems are `DataErrors`, which lists them.

    Warns:
        DataWarning: what can be right but should be known, as a `Lattice` without `pbc`, which is
            periodic in all directions as the format says.
    """
    names = LabelNames(energy_key, forces_key, stress_key, virial_key, stress_order)
    return list(iterate_structures(path, names))


def iterate_structures(path: str | Path, names: LabelNames | None = None) -> Iterator[Structure]:
    """Yield what `read_structures` returns, a few hundred frames in memory at a time.

    What is wrong is raised at the end, when everything has been read.

    Args:
        path: the file.
        names: names of the labels; default: the usual ones.

    Raises:
        DataError: as `read_structures`.

    Warns:
        DataWarning: as `read_structures`.
    """
    findings = Findings()
    yield from structures_of(Path(path), names or LabelNames(), findings)
    findings.raise_problems()
    for warning in findings.warnings:
        warnings.warn(warning, stacklevel=2)


def structures_of(
    path: Path, names: LabelNames, findings: Findings, seen: KeysSeen | None = None
) -> Iterator[Structure]:
    """Yield the structures of a file that are right; what is wrong with the others is added.

    Args:
        path: the file, read a few hundred frames at a time as the structures are taken.
        names: names of the labels.
        findings: where problems and warnings are added.
        seen: where the names in the file are added.
    """
    seen = seen or KeysSeen()
    implied, different = [], []
    batch: list[tuple[Frame, Structure]] = []
    for frame in frames_of(path, findings):
        reader = FrameReader(frame, names, findings, seen)
        structure = reader.structure()
        implied += [frame.index] if reader.pbc_is_implied else []
        different += [(frame.index, reader.free_energy)] if reader.free_energy is not None else []
        if structure is not None:
            batch.append((frame, structure))
        if len(batch) == _AT_ONCE:
            yield from _without_overlaps(batch, findings)
            batch.clear()
    yield from _without_overlaps(batch, findings)
    findings.extend(_conventions(path, implied, different))


def _conventions(
    path: Path, implied: list[int], different: list[tuple[int, float]]
) -> Iterator[DataWarning]:
    """Yield what was read by convention: periodicity from a cell, one of two energies."""
    if implied:
        yield DataWarning(
            f"{_frames(len(implied))} a Lattice without pbc, which stands for periodicity in all "
            "directions",
            file=path,
            frame=implied[0],
            field="pbc",
            hint='Write pbc="T T T", or pbc="F F F" for molecules in a box.',
        )
    if different:
        frame, difference = max(different, key=lambda found: abs(found[1]))
        yield DataWarning(
            f"{_frames(len(different))} a free_energy that differs from the energy, by up to "
            f"{abs(difference):.4g} eV; the energy is read",
            file=path,
            frame=frame,
            field="free_energy",
            hint="Forces belong to the free energy where electrons are smeared.",
        )


def _without_overlaps(
    batch: list[tuple[Frame, Structure]], findings: Findings
) -> Iterator[Structure]:
    """Yield the structures whose atoms are apart."""
    found = nearest([structure for _, structure in batch], _SEARCH)
    for (frame, structure), one in zip(batch, found, strict=True):
        shortest = float(one.distances.min())
        if shortest >= LEAST_DISTANCE:
            yield structure
            continue
        atom = int(one.distances.argmin())
        first, second = sorted((atom, int(one.neighbours[atom])))
        findings.add(
            frame.error(
                f"atoms {first} and {second} are {shortest:.3g} Å apart; it must be at least "
                f"{LEAST_DISTANCE} Å",
                2 + second,
                field="pos",
                value=shortest,
                hint="Is an atom there twice, or are positions in another unit than Å?",
            )
        )


def keys_in_file(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Return the names a file holds for whole frames (`frame`) and for atoms (`atoms`).

    Raises:
        DataError: the file is truncated or malformed.
    """
    findings = Findings()
    seen = KeysSeen()
    for frame in frames_of(Path(path), findings):
        try:
            values = comment_of(frame)
            seen.frame.update(values)
            seen.atoms.update(columns_of(frame, values))
        except DataError as problem:
            findings.add(problem)
    findings.raise_problems()
    of_frames = sorted(seen.frame - {"Properties", "Lattice", "pbc"})
    of_atoms = sorted(seen.atoms - {"species", "pos", "Z"})
    return {"frame": tuple(of_frames), "atoms": tuple(of_atoms)}


def _frames(number: int) -> str:
    return "1 frame has" if number == 1 else f"{number} frames have"
