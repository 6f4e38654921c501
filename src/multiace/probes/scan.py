"""`multiace probe scan`: energies along a path, absolute, with what was trained on underneath."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from multiace.elements import sorted_elements
from multiace.ensemble import spread
from multiace.figures.figure import Axis, Coverage, Level, Line, Mark, Panel, Points, Ribbon
from multiace.geometry import Labels, Structure
from multiace.probes.paths import Path
from multiace.probes.result import REFERENCE, Number, ProbeResult, reference_line
from multiace.probes.surface import (
    Subject,
    Surface,
    energies_of,
    forces_of,
    mean_labels,
    surface,
)
from multiace.units import MEV

MOST_DOTS = 80
"""Points of a reference that are drawn as dots."""


def scan(
    subject: Subject,
    path: Path,
    *,
    reference: Subject | None = None,
    training: Sequence[Structure] = (),
) -> ProbeResult:
    """Compare energies and forces along a path with a reference.

    Curves are absolute: model and reference are not shifted onto each other, and figures have the
    sum of the model's E0 as their one zero. Where the path pulls atoms apart, the limit of the
    reference is marked: the sum over the separated fragments.

    Args:
        subject: what to look at; of an ensemble, the spread is drawn.
        path: where.
        reference: where it has energies; default: the labels of the structures, if they have them.
        training: structures whose values of the coordinate are drawn as a histogram.

    Returns:
        Errors, barriers and positions of the minimum; the curves.

    Example:
        >>> from ase.calculators.lj import LennardJones
        >>> from multiace.probes.paths import dimer
        >>> argon = dimer(18, 18, np.linspace(1.0, 2.0, 101))
        >>> found = scan(LennardJones(rc=10.0), argon)
        >>> float(found["minimum"].round(2))  # 2^(1/6)
        1.12
    """
    found = surface(subject)
    members = [member.attempt(path.structures) for member in found.members]
    labels = [mean_labels(each) for each in zip(*members, strict=True)]
    energies = energies_of(labels)
    expected = reference_labels(path, reference)
    marks = [*_covered(path, training), *_limit(found, path, reference)]
    band = _band(members)
    if band is not None:
        low, high = energies - band, energies + band
        marks.append(Ribbon(path.coordinate, low, high, name=found.name))
    marks.append(Line(path.coordinate, energies, name=found.name))
    if expected is not None:
        theirs = energies_of(expected)
        if len(theirs) <= MOST_DOTS:
            marks.append(Points(path.coordinate, theirs, name=REFERENCE, size=4.0))
        else:
            marks.append(reference_line(path.coordinate, theirs))
    panel = Panel(
        path.title,
        Axis(path.label),
        Axis("energy − Σ E0 (eV)", follows="" if expected is None else REFERENCE),
        tuple(marks),
        zero=_zero(found, path),
    )
    numbers = [*_shape(path, energies, "", "of the model")]
    if expected is not None:
        numbers += _shape(path, energies_of(expected), "reference_", "of the reference")
        numbers += _errors(labels, expected)
    numbers += _uncertainty(members, energies, expected)
    settings = {"path": path.title, "points": len(path.structures)}
    return ProbeResult(
        "scan", found.name, tuple(numbers), panels={"energy": panel}, settings=settings
    )


def reference_labels(path: Path, reference: Subject | None) -> list[Labels] | None:
    """Return what the reference says along a path: evaluated, or the labels of the structures.

    Returns:
        None where there is neither a reference nor an energy for every structure.
    """
    if reference is not None:
        return surface(reference).attempt(path.structures)
    if all(structure.labels.energy is not None for structure in path.structures):
        return [structure.labels for structure in path.structures]
    return None


def _zero(found: Surface, path: Path) -> float:
    numbers = path.structures[0].numbers.tolist()
    energies = found.atomic_energies(sorted_elements(numbers))
    return float(sum(energies[number] for number in numbers))


def _band(members: Sequence[Sequence[Labels]]) -> Float64[np.ndarray, " points"] | None:
    if len(members) < 2:
        return None
    return spread(np.stack([energies_of(labels) for labels in members]))


def _limit(found: Surface, path: Path, reference: Subject | None) -> tuple[Level, ...]:
    """Mark the energy of the separated fragments as the reference has it."""
    if not path.fragments:
        return ()
    if reference is not None:
        energies = energies_of(surface(reference).evaluate(path.fragments))
        return (Level(float(energies.sum()), "separated (reference)"),)
    if all(fragment.n_atoms == 1 for fragment in path.fragments):
        return (Level(_zero(found, path), "Σ E0"),)
    return ()


def _covered(path: Path, training: Sequence[Structure]) -> list[Mark]:
    if path.measure is None:
        return []
    values = [value for structure in training for value in path.measure(structure)]
    return [Coverage(np.array(values, dtype=np.float64))] if values else []


def _shape(path: Path, energies: np.ndarray, prefix: str, of: str) -> list[Number]:
    if np.isnan(energies).all():
        raise ValueError(f"No energy {of} could be computed along {path.title}.")
    lowest, last = int(np.nanargmin(energies)), int(np.flatnonzero(np.isfinite(energies))[-1])
    numbers = [
        Number(f"{prefix}minimum", path.coordinate[lowest], _unit(path), f"lowest point {of}"),
        Number(
            f"{prefix}height",
            float(np.nanmax(energies) - energies[lowest]),
            "eV",
            f"highest less lowest energy {of}",
        ),
        Number(
            f"{prefix}depth",
            float(energies[last] - energies[lowest]),
            "eV",
            f"last point above the lowest, {of}",
        ),
    ]
    failed = int(np.isnan(energies).sum())
    if failed:
        numbers.append(Number(f"{prefix}failed", failed, "", f"points without an energy {of}"))
    return numbers


def _errors(labels: Sequence[Labels], expected: Sequence[Labels]) -> list[Number]:
    difference = energies_of(labels) - energies_of(expected)
    known = np.isfinite(difference)
    difference = difference[known]
    about = difference - difference.mean()
    numbers = [
        Number("energy_rmse", _rms(difference) / MEV, "meV", "energy error, absolute"),
        Number("energy_rmse_shifted", _rms(about) / MEV, "meV", "the same after the best shift"),
        Number("energy_max", float(np.abs(difference).max()) / MEV, "meV", "largest energy error"),
    ]
    if all(label.forces is not None for label in expected):
        errors = np.stack(forces_of(labels)) - np.stack(forces_of(expected))
        rmse = _rms(errors[known]) / MEV
        numbers.append(Number("forces_rmse", rmse, "meV/Å", "error of force components"))
    return numbers


def _uncertainty(
    members: Sequence[Sequence[Labels]],
    energies: np.ndarray,
    expected: Sequence[Labels] | None,
) -> list[Number]:
    band = _band(members)
    if band is None:
        return []
    numbers = [
        Number("energy_spread", float(band.mean()) / MEV, "meV", "mean spread of the ensemble"),
        Number("energy_spread_max", float(band.max()) / MEV, "meV", "largest spread"),
    ]
    if expected is not None:
        difference = np.abs(energies - energies_of(expected))
        inside = (difference <= 2.0 * band)[np.isfinite(difference)]
        numbers.append(
            Number(
                "within_two_spreads", float(inside.mean()), "", "points that far from the reference"
            )
        )
    return numbers


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _unit(path: Path) -> str:
    return path.label.rpartition("(")[2].rstrip(")") if "(" in path.label else ""
