"""The Bond Smoothness Characterization Test: forces while bonds are compressed and stretched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float64

from multiace.figures.figure import Axis, Line, Panel
from multiace.geometry import Structure
from multiace.probes.paths import Path, PathError, bond, bonds
from multiace.probes.result import Number, ProbeResult, Table, Value
from multiace.probes.surface import (
    Subject,
    Surface,
    energies_of,
    forces_of,
    surface,
)

FLOOR = 1.0
"""Squared force deviations below this, (eV/Å)², count as this."""

RANGE, POINTS = (0.5, 2.0), 100
"""Of the bond length over the sum of the covalent radii."""


class ForceSmoothness(NamedTuple):
    """Force smoothness deviation (FSD), 1/Å, lower is smoother; nan where there is no such part.

    Args:
        full: of the whole scan.
        compressed: up to the point of lowest reference energy.
        stretched: from there on.
        log_ratio: log |dF|^2 of the model less that of the reference at each point.
    """

    full: float
    compressed: float
    stretched: float
    log_ratio: Float64[np.ndarray, " points"]


def force_smoothness(
    lengths: Float64[np.ndarray, " points"],
    forces: Float64[np.ndarray, "points atoms 3"],
    reference_energies: Float64[np.ndarray, " points"],
    reference_forces: Float64[np.ndarray, "points atoms 3"],
) -> ForceSmoothness:
    """Return FSD = max_a |d/da log(|dF|^2 / |dF_ref|^2)| of one bond.

    | symbol | meaning |
    |---|---|
    | a | bond length |
    | dF, dF_ref | forces of model and reference less those of the reference at its lowest energy |
    | abs(dF)^2 | sum over atoms and components, at least 1 (eV/Å)^2 |

    Args:
        lengths: Å, ascending.
        forces: of the model, eV/Å.
        reference_energies: eV.
        reference_forces: eV/Å.

    Source: Liu et al., arXiv:2602.04861, and its code (github.com/ryanliu30/bsct).

    Example:
        >>> r = np.linspace(0.8, 2.0, 25)
        >>> pull = np.zeros((25, 2, 3))
        >>> pull[:, 0, 0], pull[:, 1, 0] = 20.0 * (r - 1.0), -20.0 * (r - 1.0)
        >>> force_smoothness(r, pull, 10.0 * (r - 1.0) ** 2, pull).full
        0.0
    """
    lowest = int(reference_energies.argmin())
    at_rest = reference_forces[lowest]
    ratio = _log_size(forces - at_rest) - _log_size(reference_forces - at_rest)
    slopes = np.abs(np.diff(ratio) / np.diff(lengths))

    def largest(part: np.ndarray) -> float:
        return float(part.max()) if part.size else float("nan")

    return ForceSmoothness(
        largest(slopes), largest(slopes[:lowest]), largest(slopes[lowest:]), ratio
    )


def bond_smoothness(
    subject: Subject, structure: Structure, reference: Subject, *, hydrogen: bool = False
) -> ProbeResult:
    """Scan the bonds of a molecule from half to twice the sum of the covalent radii.

    Bonds in rings are left out: no part of the molecule moves with them. Points at which the
    reference fails are left out too.

    Args:
        subject: what to look at.
        structure: a molecule at rest.
        reference: what it should be; 100 points a bond are evaluated.
        hydrogen: scan bonds to hydrogen too; the published data have none.

    Returns:
        The FSD averaged over the bonds, as published, and of each.

    Raises:
        PathError: there is no such bond.
    """
    found, other = surface(subject), surface(reference)
    scans = [_scan_bond(found, other, path) for path in _paths(structure, hydrogen=hydrogen)]
    if not scans:
        raise PathError(
            "There is no bond to stretch: only those outside rings, and between heavy atoms unless "
            "hydrogen is asked for, are. Give another molecule."
        )
    numbers = tuple(
        Number(name, _mean([row[index] for row, _ in scans]), unit, meaning)
        for index, (name, unit, meaning) in enumerate(
            (
                ("fsd", "1/Å", "force smoothness deviation, mean over bonds"),
                ("fsd_compressed", "1/Å", "of shorter bonds than at rest"),
                ("fsd_stretched", "1/Å", "of longer bonds than at rest"),
                ("energy_mae", "eV", "mean absolute energy error along the scans"),
                ("forces_mae", "eV/Å", "mean absolute error of force components"),
            ),
            start=1,
        )
    )
    columns = (
        ("bond", ""),
        ("FSD", "1/Å"),
        ("compressed", "1/Å"),
        ("stretched", "1/Å"),
        ("energy MAE", "eV"),
        ("forces MAE", "eV/Å"),
    )
    table = Table("bonds", "bonds compressed and stretched", columns, tuple(r for r, _ in scans))
    settings = {"bonds": len(scans), "points": POINTS, "reference": other.name}
    numbers = (*numbers, Number("bonds", len(scans), "", "bonds scanned"))
    return ProbeResult(
        "bonds",
        found.name,
        numbers,
        (table,),
        {panel.title: panel for _, panel in scans},
        settings,
    )


def _paths(structure: Structure, *, hydrogen: bool) -> list[Path]:
    found = []
    for i, j in bonds(structure):
        pair = structure.numbers[[i, j]]
        if not hydrogen and 1 in pair:
            continue
        reach = float(covalent_radii[pair].sum())
        try:
            found.append(bond(structure, i, j, np.linspace(*RANGE, POINTS) * reach))
        except PathError:
            continue
    return found


def _scan_bond(found: Surface, other: Surface, path: Path) -> tuple[tuple[Value, ...], Panel]:
    expected = other.attempt(path.structures)
    known = np.isfinite(energies_of(expected))
    structures = [s for s, k in zip(path.structures, known, strict=True) if k]
    labels = found.evaluate(structures)
    expected = [label for label, k in zip(expected, known, strict=True) if k]
    lengths = path.coordinate[known]
    forces, others = np.stack(forces_of(labels)), np.stack(forces_of(expected))
    energies, rest = energies_of(labels), energies_of(expected)
    fsd = force_smoothness(lengths, forces, rest, others)
    row = (
        path.title.removesuffix(" bond"),
        fsd.full,
        fsd.compressed,
        fsd.stretched,
        float(np.abs(energies - rest).mean()),
        float(np.abs(forces - others).mean()),
    )
    ratio = Line(lengths, fsd.log_ratio, name=found.name)
    axes = Axis(path.label), Axis("log |ΔF|² / |ΔF ref|²")
    return row, Panel(path.title, *axes, (ratio,))


def _log_size(deviations: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.square(deviations).sum(axis=(1, 2)), FLOOR))


def _mean(values: list[Value]) -> float | None:
    numbers = np.array(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if known.size else None
