"""Dimers of all pairs of elements, with the measures of MLIP Arena."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import combinations_with_replacement

import numpy as np
from ase.data import covalent_radii, vdw_alvarez
from jaxtyping import Float64
from scipy.signal import find_peaks
from scipy.stats import spearmanr

from multiace.elements import symbol_of
from multiace.figures.figure import Axis, Coverage, Level, Line, Mark, Panel
from multiace.geometry import Structure
from multiace.probes.paths import Path, dimer
from multiace.probes.result import Number, ProbeResult, Table, reference_line
from multiace.probes.surface import (
    Subject,
    Surface,
    energies_of,
    forces_of,
    surface,
)

STEP = 0.01
"""Å between points."""

SMALL_FORCE, SMALL_STEP = 1e-2, 1e-3
"""Forces (eV/Å) and steps of the energy (eV) below which there is no sign."""

PROMINENCE = 1e-3
"""A minimum is at least this deep, eV."""


@dataclass(frozen=True)
class DiatomicMeasures:
    """The measures of MLIP Arena for one pair of atoms.

    Distances run inwards, from the largest to the smallest; r_o is where the energy is lowest, r_a
    where the force is.

    Args:
        conservation_deviation: mean |F + dE/dr|, eV/Å, dE/dr by differences of the points.
        spearman_energy_repulsion: Spearman's coefficient of r and E within r_o; -1 is monotonic.
        spearman_energy_attraction: the same beyond r_o; 1 is monotonic.
        spearman_force_descending: Spearman's coefficient of r and F within r_a; -1 is monotonic.
        spearman_force_ascending: the same beyond r_a; 1 is monotonic.
        tortuosity: sum |E_k+1 - E_k| over |E(r_max) - E(r_o)| + E(r_min) - E(r_o); 1 is one well.
        energy_jump: sum of both steps of the energy where their sign changes, eV.
        energy_flips: number of these changes.
        force_flips: number of sign changes of the force, those below 10 meV/Å left out.
        force_jump: sum of both steps of the force where their sign changes, eV/Å.
        force_variation: sum |F_k+1 - F_k|, eV/Å.
        largest_slope: largest |dE/dr|, eV/Å.
    """

    conservation_deviation: float
    spearman_energy_repulsion: float
    spearman_energy_attraction: float
    spearman_force_descending: float
    spearman_force_ascending: float
    tortuosity: float
    energy_jump: float
    energy_flips: int
    force_flips: int
    force_jump: float
    force_variation: float
    largest_slope: float


UNITS = {
    "conservation_deviation": "eV/Å",
    "energy_jump": "eV",
    "force_jump": "eV/Å",
    "force_variation": "eV/Å",
    "largest_slope": "eV/Å",
}
MEANINGS = {
    "conservation_deviation": "mean |F + dE/dr|",
    "spearman_energy_repulsion": "of r and E within the minimum; -1 is monotonic",
    "spearman_energy_attraction": "of r and E beyond the minimum; 1 is monotonic",
    "spearman_force_descending": "of r and F within the strongest attraction; -1 is monotonic",
    "spearman_force_ascending": "of r and F beyond the strongest attraction; 1 is monotonic",
    "tortuosity": "variation of E over that of one well",
    "energy_jump": "steps of E where their sign changes",
    "energy_flips": "sign changes of the steps of E",
    "force_flips": "sign changes of F",
    "force_jump": "steps of F where their sign changes",
    "force_variation": "total variation of F",
    "largest_slope": "largest |dE/dr|",
}


def diatomic_measures(
    distances: Float64[np.ndarray, " points"],
    energies: Float64[np.ndarray, " points"],
    forces: Float64[np.ndarray, " points"],
) -> DiatomicMeasures:
    """Measure one dimer curve as MLIP Arena does.

    Args:
        distances: Å, ascending.
        energies: eV.
        forces: of one atom away from the other, eV/Å: positive is repulsion.

    Source: Chiang et al., MLIP Arena, arXiv:2509.20630, and its code, `tasks/diatomics`, which made
    the published numbers: the formula there counts each energy jump twice, the code once.

    Example:
        >>> r = np.linspace(0.5, 3.0, 251)
        >>> harmonic = diatomic_measures(r, (r - 1.0) ** 2, -2.0 * (r - 1.0))
        >>> round(harmonic.tortuosity, 6), harmonic.force_flips
        (1.0, 1)
    """
    r, e, f = distances[::-1], energies[::-1] - energies[-1], forces[::-1]
    slope = np.gradient(e, r)
    lowest, attraction = int(e.argmin()), int(f.argmin())
    variation = float(np.abs(np.diff(e)).sum())
    steps = np.diff(e)
    energy_jump, energy_flips = _jumps(np.where(np.abs(steps) < SMALL_STEP, 0.0, steps))
    force_jump, _ = _jumps(np.diff(f))
    signs = np.sign(f[np.abs(f) >= SMALL_FORCE])
    return DiatomicMeasures(
        conservation_deviation=float(np.abs(f + slope).mean()),
        spearman_energy_repulsion=_spearman(r[lowest:], e[lowest:]),
        spearman_energy_attraction=_spearman(r[:lowest], e[:lowest]),
        spearman_force_descending=_spearman(r[attraction:], f[attraction:]),
        spearman_force_ascending=_spearman(r[:attraction], f[:attraction]),
        tortuosity=variation / float(abs(e[0] - e.min()) + (e[-1] - e.min())),
        energy_jump=energy_jump,
        energy_flips=energy_flips,
        force_flips=int((np.diff(signs) != 0).sum()),
        force_jump=force_jump,
        force_variation=float(np.abs(np.diff(f)).sum()),
        largest_slope=float(np.abs(slope).max()),
    )


def distances_of(first: int, second: int) -> Float64[np.ndarray, " points"]:
    """Return the distances at which a dimer is evaluated: 0.9 R to 3.1 R_vdw, every 0.01 Å.

    R is the covalent radius (Cordero 2008), R_vdw the van der Waals radius (Alvarez 2013); of two
    elements, the means. Without R_vdw the end is 6 Å.

    Example:
        >>> r = distances_of(1, 1)
        >>> round(float(r[0]), 3), round(float(r[-1]), 3), len(r)
        (0.279, 3.72, 344)
    """
    pair = (first, second)
    start = 0.9 * float(np.mean([covalent_radii[n] for n in pair]))
    radii = [
        float(vdw_alvarez.vdw_radii[n]) if n < len(vdw_alvarez.vdw_radii) else np.nan for n in pair
    ]
    stop = 3.1 * float(np.mean(radii)) if np.isfinite(radii).all() else 6.0
    return np.linspace(start, stop, int((stop - start) / STEP))


def all_pairs(elements: Iterable[int]) -> list[tuple[int, int]]:
    """List every pair of elements, equal ones included."""
    return list(combinations_with_replacement(sorted(set(elements)), 2))


def dimers(
    subject: Subject,
    pairs: Sequence[tuple[int, int]] | None = None,
    *,
    reference: Subject | None = None,
    training: Sequence[Structure] = (),
) -> ProbeResult:
    """Pull two atoms of each pair of elements from deep repulsion apart.

    Args:
        subject: what to look at.
        pairs: atomic numbers; default: all pairs of its elements.
        reference: drawn beside it; the measures need none.
        training: structures that say which pairs were trained on, and how near to each other.

    Returns:
        The measures of MLIP Arena, averaged over pairs of equal atoms as there, and for each pair;
        holes: distances within the minimum at which the repulsion turns into attraction.

    Raises:
        ValueError: no pairs are given and the elements of the subject are not known.
    """
    found = surface(subject)
    if pairs is None:
        if found.elements is None:
            raise ValueError(f"{found.name} does not say its elements. Give pairs of elements.")
        pairs = all_pairs(found.elements)
    other = None if reference is None else surface(reference)
    curves = [_curve(found, first, second, training) for first, second in pairs]
    panels = {curve.name: _panel(found, curve, other) for curve in curves}
    return ProbeResult(
        "dimers",
        found.name,
        tuple(_numbers(curves)),
        (_table(curves),),
        panels,
        {"pairs": [curve.name for curve in curves], "step (Å)": STEP},
    )


@dataclass(frozen=True, eq=False)
class _Curve:
    name: str
    equal: bool
    path: Path
    energies: np.ndarray
    limit: float
    measures: DiatomicMeasures
    hole: float | None
    minima: int
    nearest: float | None
    sample: np.ndarray | None


def _curve(found: Surface, first: int, second: int, training: Sequence[Structure]) -> _Curve:
    path = dimer(first, second, distances_of(first, second))
    labels = found.evaluate(path.structures)
    energies = energies_of(labels)
    forces = np.array([f[1, 0] for f in forces_of(labels)])
    within = slice(0, int(energies.argmin()))
    inside, repulsion = path.coordinate[within], forces[within]
    holes = inside[repulsion <= 0.0]
    assert path.measure is not None
    sample = np.array([r for structure in training for r in path.measure(structure)])
    zero = found.atomic_energies([first, second])
    return _Curve(
        name=f"{symbol_of(first)}–{symbol_of(second)}",
        equal=first == second,
        path=path,
        energies=energies,
        limit=zero[first] + zero[second],
        measures=diatomic_measures(path.coordinate, energies, forces),
        hole=float(holes[-1]) if holes.size else None,
        minima=len(find_peaks(-energies, prominence=PROMINENCE)[0]),
        nearest=float(sample.min()) if sample.size else None,
        sample=sample if sample.size else None,
    )


def _numbers(curves: Sequence[_Curve]) -> list[Number]:
    equal = [curve.measures for curve in curves if curve.equal]
    numbers = []
    for field in fields(DiatomicMeasures):
        values = np.array([getattr(m, field.name) for m in equal], dtype=np.float64)
        known = values[np.isfinite(values)]
        mean = float(known.mean()) if known.size else None
        numbers.append(Number(field.name, mean, UNITS.get(field.name, ""), MEANINGS[field.name]))
    extra = sum(max(curve.minima - 1, 0) for curve in curves)
    holes = sum(curve.hole is not None for curve in curves)
    return [
        *numbers,
        Number("pairs", len(curves), "", "pairs of elements looked at"),
        Number("extra_minima", extra, "", "minima beyond one a pair, at least 1 meV deep"),
        Number("holes", holes, "", "pairs whose repulsion turns into attraction"),
    ]


def _table(curves: Sequence[_Curve]) -> Table:
    columns = (
        ("pair", ""),
        ("nearest in training", "Å"),
        ("minimum", "Å"),
        ("depth", "eV"),
        ("minima", ""),
        ("hole at", "Å"),
        ("tortuosity", ""),
        ("energy jump", "eV"),
        ("force flips", ""),
        ("Spearman E repulsion", ""),
    )
    rows = tuple(
        (
            curve.name,
            curve.nearest,
            float(curve.path.coordinate[curve.energies.argmin()]),
            float(curve.energies[-1] - curve.energies.min()),
            curve.minima,
            curve.hole,
            curve.measures.tortuosity,
            curve.measures.energy_jump,
            curve.measures.force_flips,
            curve.measures.spearman_energy_repulsion,
        )
        for curve in curves
    )
    return Table("dimers", "dimers of all pairs of elements", columns, rows)


def _panel(found: Surface, curve: _Curve, reference: Surface | None) -> Panel:
    marks: list[Mark] = [] if curve.sample is None else [Coverage(curve.sample)]
    marks += [
        Level(curve.limit, "Σ E0"),
        Line(curve.path.coordinate, curve.energies, name=found.name),
    ]
    seen = [curve.energies]
    if reference is not None:
        energies = energies_of(reference.attempt(curve.path.structures))
        marks.append(reference_line(curve.path.coordinate, energies))
        seen.append(energies)
    low = min(float(np.nanmin(energies)) for energies in seen) - curve.limit
    well = max(-low, 0.5)
    limits = curve.limit + low - 0.3 * well, curve.limit + 1.2 * well
    axes = Axis(curve.path.label), Axis("energy − Σ E0 (eV)", limits=limits)
    return Panel(curve.path.title, *axes, tuple(marks), zero=curve.limit)


def _jumps(steps: np.ndarray) -> tuple[float, int]:
    """Sum both steps at every change of their sign, steps without sign left out."""
    steps = steps[steps != 0.0]
    flips = np.diff(np.sign(steps)) != 0
    return float(np.abs(steps[:-1][flips]).sum() + np.abs(steps[1:][flips]).sum()), int(flips.sum())


def _spearman(r: np.ndarray, values: np.ndarray) -> float:
    if len(r) < 2 or np.ptp(values) == 0.0:
        return float("nan")
    statistic, _ = np.asarray(spearmanr(r, values), dtype=np.float64)
    return float(statistic)
