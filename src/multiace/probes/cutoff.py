"""What happens where atoms enter and leave each other's neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from multiace.analysis.smoothness import Jump, cutoff_crossings, cutoff_jumps
from multiace.elements import symbol_of
from multiace.geometry import Labels, Structure
from multiace.probes.diatomics import all_pairs
from multiace.probes.result import Number, ProbeResult, Table
from multiace.probes.surface import Subject, Surface, energies_of, forces_of, surface

TOLERANCE = 1e-6
"""Jumps of E, E' and E'' below this, in eV and Å, are rounding."""

BESIDE = 1e-3
"""Each side is extrapolated to the crossing from four points this far apart, Å."""

ORDERS = ("discontinuous", "C0", "C1", "C2")


def cutoff(
    subject: Subject,
    pairs: Sequence[tuple[int, int]] | None = None,
    *,
    structure: Structure | None = None,
    radius: float | None = None,
    seed: int = 0,
) -> ProbeResult:
    """Count the continuous derivatives of the energy where pairs of atoms cross the cutoff.

    Dimers of all pairs of elements are pulled through it; and, with a structure, its atoms are
    moved at random by up to 0.5 Å, so that all the pairs near the cutoff cross it in their
    surroundings. Potentials are differentiated exactly; of other surfaces each side is
    extrapolated from four points.

    Args:
        subject: what to look at; in float64.
        pairs: atomic numbers; default: all pairs of its elements.
        structure: where atoms see more than one neighbour.
        radius: the cutoff in Å, for a calculator that does not say it.
        seed: of the random moves.

    Returns:
        The smallest number of continuous derivatives and the largest jumps.

    Raises:
        ValueError: the cutoff or the elements are not known, or no pair crosses.
    """
    found = surface(subject)
    reach = radius if radius is not None else found.cutoff
    if reach is None:
        raise ValueError(f"{found.name} does not say its cutoff. Give its radius in Å.")
    if pairs is None:
        known = found.elements if structure is None else structure.numbers.tolist()
        if known is None:
            raise ValueError(f"{found.name} does not say its elements. Give pairs of elements.")
        pairs = all_pairs(known)
    rows = []
    for first, second in pairs:
        numbers = np.array([first, second])
        pair = Structure(numbers, np.array([[0.0] * 3, [reach - 0.05, 0.0, 0.0]]))
        outwards = np.array([[0.0] * 3, [0.1, 0.0, 0.0]])
        name = f"{symbol_of(first)}–{symbol_of(second)} dimer"
        rows.append((name, _jumps(found, pair, outwards, reach)))
    if structure is not None:
        moves = np.random.default_rng(seed).uniform(-0.5, 0.5, size=(structure.n_atoms, 3))
        rows.append(("structure", _jumps(found, structure, moves, reach)))
    everything = [jump for _, jumps in rows for jump in jumps]
    if not everything:
        raise ValueError(f"No pair of atoms crosses {reach:g} Å. Give another structure.")
    return _result(found, rows, everything, reach)


def numerical_jumps(
    found: Surface,
    structure: Structure,
    displacement: Float[np.ndarray, "atoms 3"],
    radius: float,
) -> list[Jump]:
    """Compare both sides of every crossing, each extrapolated by a cubic through four points.

    Crossings too near to another one for that are left out.

    Args:
        found: what to look at.
        structure: at s = 0.
        displacement: of each atom for s = 1, Å.
        radius: the cutoff, Å.
    """
    step = BESIDE / float(np.linalg.norm(displacement, axis=1).max())
    crossings = np.array(cutoff_crossings(structure, displacement, radius))
    gaps = np.diff(crossings, prepend=-np.inf, append=np.inf)
    alone = crossings[np.minimum(gaps[:-1], gaps[1:]) > 10.0 * step]
    return [_numerical_jump(found, structure, displacement, s, step) for s in alone.tolist()]


def _numerical_jump(
    found: Surface, structure: Structure, displacement: np.ndarray, s: float, step: float
) -> Jump:
    offsets = np.array([1.0, 2.0, 3.0, 4.0])
    sides = np.concatenate([-offsets[::-1], offsets]) * step
    moved = [
        replace(structure, positions=structure.positions + (s + x) * displacement, labels=Labels())
        for x in sides
    ]
    labels = found.evaluate(moved)
    energies = energies_of(labels)
    slopes = -np.array([(f * displacement).sum() for f in forces_of(labels)])
    before = _extrapolated(-offsets[::-1], energies[:4], slopes[:4], step)
    after = _extrapolated(offsets, energies[4:], slopes[4:], step)
    jumps = np.abs(after - before)
    return Jump(s, *(float(jump) for jump in jumps))


def _extrapolated(
    offsets: np.ndarray, energies: np.ndarray, slopes: np.ndarray, step: float
) -> np.ndarray:
    """Return E, E' and E'' at the crossing."""
    powers = np.vander(offsets, increasing=True)
    of_energy = np.linalg.solve(powers, energies - energies[0])
    of_slope = np.linalg.solve(powers, slopes)
    return np.array([of_energy[0] + energies[0], of_slope[0], of_slope[1] / step])


def _jumps(
    found: Surface, structure: Structure, displacement: np.ndarray, radius: float
) -> list[Jump]:
    if found.potential is not None and radius == found.cutoff:
        return cutoff_jumps(found.potential, structure, displacement)
    return numerical_jumps(found, structure, displacement, radius)


def _result(
    found: Surface, rows: list[tuple[str, list[Jump]]], jumps: list[Jump], radius: float
) -> ProbeResult:
    table = Table(
        "cutoff",
        "continuous derivatives at the cutoff",
        (
            ("path", ""),
            ("crossings", ""),
            ("smoothness", ""),
            ("jump of E", "eV"),
            ("of E'", "eV/Å"),
            ("of E''", "eV/Å²"),
        ),
        tuple((name, len(each), _worst(each), *_largest(each)) for name, each in rows if each),
    )
    energy, slope, curvature = _largest(jumps)
    numbers = (
        Number("smoothness", _worst(jumps), "", "continuous derivatives where pairs cross"),
        Number("energy_jump", energy, "eV", "largest jump of the energy"),
        Number("slope_jump", slope, "eV/Å", "largest jump of the slope"),
        Number("curvature_jump", curvature, "eV/Å²", "largest jump of the curvature"),
        Number("crossings", len(jumps), "", "crossings looked at"),
    )
    return ProbeResult("cutoff", found.name, numbers, (table,), settings={"radius (Å)": radius})


def _worst(jumps: Sequence[Jump]) -> str:
    return min((jump.smoothness(TOLERANCE) for jump in jumps), key=ORDERS.index)


def _largest(jumps: Sequence[Jump]) -> tuple[float, float, float]:
    return (
        max(jump.energy for jump in jumps),
        max(jump.slope for jump in jumps),
        max(jump.curvature for jump in jumps),
    )
