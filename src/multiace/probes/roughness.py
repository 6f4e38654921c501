"""Curvature, third derivative and spurious minima along paths and in random directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.signal import find_peaks

from multiace.figures.figure import Axis, Line, Mark, Panel
from multiace.geometry import Labels, Structure
from multiace.probes.paths import Path, displacement
from multiace.probes.result import Number, ProbeResult, reference_line
from multiace.probes.scan import reference_labels
from multiace.probes.surface import Subject, energies_of, forces_of, mean_labels, surface

PROMINENCE = 1e-3
"""A minimum is at least this deep, eV."""

SMALL_FORCE = 1e-2
"""Slopes below this have no sign, in eV per unit of the coordinate."""


@dataclass(frozen=True, eq=False)
class Derivatives:
    """E', E'' and E''' along a coordinate, from one kind of label.

    Args:
        slope: eV per unit.
        curvature: eV per unit squared.
        third: eV per unit cubed.
        minima: number of minima inside the path.
        flips: sign changes of the slope.
    """

    slope: Float64[np.ndarray, " points"]
    curvature: Float64[np.ndarray, " points"]
    third: Float64[np.ndarray, " points"]
    minima: int
    flips: int


def derivatives(path: Path, labels: Sequence[Labels], *, from_forces: bool) -> Derivatives:
    """Differentiate energies along a path by central differences.

    Args:
        path: where.
        labels: one for each of its structures.
        from_forces: begin with the slope -F dr/ds, one difference less than from energies.
    """
    s, energies = path.coordinate, energies_of(labels)
    if from_forces:
        positions = np.stack([structure.positions for structure in path.structures])
        along = np.gradient(positions, s, axis=0, edge_order=2)
        slope = -(np.stack(forces_of(labels)) * along).sum(axis=(1, 2))
    else:
        slope = np.gradient(energies, s, edge_order=2)
    curvature = np.gradient(slope, s, edge_order=2)
    signs = np.sign(slope[np.abs(slope) >= SMALL_FORCE])
    return Derivatives(
        slope,
        curvature,
        np.gradient(curvature, s, edge_order=2),
        len(find_peaks(-energies, prominence=PROMINENCE)[0]),
        int((np.diff(signs) != 0).sum()),
    )


def roughness(subject: Subject, path: Path, *, reference: Subject | None = None) -> ProbeResult:
    """Compare the derivatives of the energy along a path with those of a reference.

    Both sides are differentiated alike: from forces where both have them, else from energies.

    Args:
        subject: what to look at.
        path: at least 7 points, best evenly spaced.
        reference: where it has labels; default: those of the structures, if they have them.

    Returns:
        Ratios of the root mean squares of E'' and E''', minima and sign changes of the slope that
        the reference does not have.

    Raises:
        ValueError: fewer than 7 points.
    """
    if len(path.coordinate) < 7:
        raise ValueError(
            f"Third derivatives need at least 7 points, got {len(path.coordinate)}. Give more."
        )
    found = surface(subject)
    members = [member.evaluate(path.structures) for member in found.members]
    labels = [mean_labels(each) for each in zip(*members, strict=True)]
    expected = reference_labels(path, reference)
    with_forces = expected is None or all(label.forces is not None for label in expected)
    mine = derivatives(path, labels, from_forces=with_forces)
    theirs = None
    if expected is not None and np.isfinite(energies_of(expected)).all():
        theirs = derivatives(path, expected, from_forces=with_forces)
    unit = path.label.rpartition("(")[2].rstrip(")")
    return ProbeResult(
        "roughness",
        found.name,
        tuple(_numbers([mine], None if theirs is None else [theirs], unit)),
        panels={"curvature": _panel(path, found.name, mine, theirs, unit)},
        settings={"path": path.title, "points": len(path.coordinate), "from forces": with_forces},
    )


def directions(
    subject: Subject,
    structure: Structure,
    *,
    reference: Subject | None = None,
    n: int = 8,
    amplitude: float = 0.5,
    points: int = 41,
    seed: int = 0,
) -> ProbeResult:
    """Look at a surface along random directions through a structure.

    Args:
        subject: what to look at.
        structure: in the middle.
        reference: what to compare with.
        n: number of directions, each of all atoms at once.
        amplitude: displacement to both sides, a length in 3n dimensions, Å.
        points: of each direction.
        seed: of the directions.

    Returns:
        As `roughness`, over all directions together.
    """
    found = surface(subject)
    rng = np.random.default_rng(seed)
    steps = np.linspace(-amplitude, amplitude, points)
    paths = [
        displacement(structure, rng.normal(size=(structure.n_atoms, 3)), steps, f"direction {k}")
        for k in range(1, n + 1)
    ]
    other = None if reference is None else surface(reference)
    mine = [derivatives(p, found.evaluate(p.structures), from_forces=True) for p in paths]
    theirs = None
    if other is not None:
        theirs = [derivatives(p, other.evaluate(p.structures), from_forces=True) for p in paths]
    curves: list[Mark] = [Line(steps, _over_directions(mine), name=found.name)]
    if theirs is not None:
        curves.append(reference_line(steps, _over_directions(theirs)))
    axes = Axis("displacement (Å)"), Axis("root mean square of d³E/ds³ (eV/Å³)")
    panels = {"directions": Panel("Random directions", *axes, tuple(curves))}
    settings = {"directions": n, "amplitude (Å)": amplitude, "points": points, "seed": seed}
    numbers = tuple(_numbers(mine, theirs, "Å"))
    return ProbeResult("directions", found.name, numbers, panels=panels, settings=settings)


def _numbers(
    mine: Sequence[Derivatives], theirs: Sequence[Derivatives] | None, unit: str
) -> list[Number]:
    curvature, third = _rms([d.curvature for d in mine]), _rms([d.third for d in mine])
    minima, flips = sum(d.minima for d in mine), sum(d.flips for d in mine)
    numbers = [
        Number("curvature", curvature, f"eV/{unit}²", "root mean square of E''"),
        Number("third_derivative", third, f"eV/{unit}³", "root mean square of E'''"),
        Number("minima", minima, "", "minima, at least 1 meV deep"),
        Number("force_flips", flips, "", "sign changes of the slope"),
    ]
    if theirs is None:
        return numbers
    others = _rms([d.curvature for d in theirs]), _rms([d.third for d in theirs])
    more_minima = sum(max(a.minima - b.minima, 0) for a, b in zip(mine, theirs, strict=True))
    more_flips = sum(max(a.flips - b.flips, 0) for a, b in zip(mine, theirs, strict=True))
    return [
        *numbers,
        Number("curvature_ratio", _ratio(curvature, others[0]), "", "to the reference"),
        Number("third_derivative_ratio", _ratio(third, others[1]), "", "to the reference"),
        Number("spurious_minima", more_minima, "", "more than the reference has"),
        Number("spurious_force_flips", more_flips, "", "more than the reference has"),
    ]


def _panel(
    path: Path, name: str, mine: Derivatives, theirs: Derivatives | None, unit: str
) -> Panel:
    marks: list[Mark] = [Line(path.coordinate, mine.curvature, name=name)]
    if theirs is not None:
        marks.append(reference_line(path.coordinate, theirs.curvature))
    axes = Axis(path.label), Axis(f"d²E/ds² (eV/{unit}²)")
    return Panel(f"{path.title}: curvature", *axes, tuple(marks))


def _over_directions(found: Sequence[Derivatives]) -> Float64[np.ndarray, " points"]:
    """Return the root mean square third derivative at each displacement, the ends left out."""
    rms = np.sqrt(np.mean([np.square(d.third) for d in found], axis=0))
    rms[:2] = rms[-2:] = np.nan
    return rms


def _rms(values: Sequence[np.ndarray]) -> float:
    """Root mean square without the two points at each end, where differences are one-sided."""
    inner = np.concatenate([each[2:-2] for each in values])
    return float(np.sqrt(np.mean(np.square(inner))))


def _ratio(value: float, other: float) -> float | None:
    return value / other if other > 0.0 else None
