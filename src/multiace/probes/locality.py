"""`multiace probe locality`: how far atoms feel each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from multiace.analysis.gradients import hessian
from multiace.analysis.locality import influence
from multiace.geometry import Structure
from multiace.probes.paths import numerical_hessian
from multiace.probes.result import Mark, Number, Panel, ProbeResult, Series, Table, Value
from multiace.probes.surface import Subject, Surface, surface

WEAK = 1e-3
"""What is weak: this part of the largest response between two atoms."""

BIN = 0.5
"""Width of the bins of a curve, Å."""


def locality(subject: Subject, structure: Structure) -> ProbeResult:
    """Measure how the force on an atom responds to a move of another one, by their distance.

    |dF_i/dr_j| is the Frobenius norm of a block of the Hessian. An energy of T layers depends on
    atoms within T cutoffs, so forces respond within 2 T cutoffs, and not beyond. For a
    potential, |dE_i/dr_j| is shown too, which ends at T cutoffs.

    Args:
        subject: what to look at; in float64.
        structure: larger than the receptive field, or the end is not seen; with periodic
            directions an atom and its images move together, and the nearest image counts.

    Returns:
        The distance beyond which responses are weak, the part beyond one cutoff, and, by multiples
        of the cutoff, the largest responses.

    Example:
        >>> from ase.calculators.lj import LennardJones
        >>> chain = Structure(np.full(4, 18), np.outer(1.1 * np.arange(4), [1, 0, 0]))
        >>> found = locality(LennardJones(rc=2.0), chain)
        >>> found["reach"] < 2.0
        True
    """
    found = surface(subject)
    distances = structure.to_ase().get_all_distances(mic=any(structure.pbc))
    pairs = np.triu_indices(structure.n_atoms, 1)
    if not len(pairs[0]):
        raise ValueError("Locality is between atoms: give a structure of at least two.")
    r = distances[pairs]
    potential = found.potential
    full = hessian(potential, structure) if potential else numerical_hessian(found, structure)
    n = structure.n_atoms
    forces = np.linalg.norm(full.reshape(n, 3, n, 3), axis=(1, 3))[pairs]
    energies = None
    if potential is not None:
        of_energy = influence(potential, structure)
        energies = np.maximum(of_energy, of_energy.T)[pairs]
    numbers = _numbers(found, r, forces, energies)
    tables = () if found.cutoff is None else (_shells(r, forces, energies, found.cutoff),)
    return ProbeResult(
        "locality",
        found.name,
        tuple(numbers),
        tables,
        tuple(_panels(found, r, forces, energies)),
        {"atoms": n, "largest distance (Å)": float(r.max())},
    )


def _numbers(
    found: Surface, r: np.ndarray, forces: np.ndarray, energies: np.ndarray | None
) -> list[Number]:
    strong = forces > WEAK * forces.max()
    numbers = [
        Number(
            "reach", float(r[strong].max()), "Å", "largest distance of a response that is not weak"
        ),
        Number("largest", float(forces.max()), "eV/Å²", "largest response between two atoms"),
    ]
    if found.cutoff is not None:
        total = float(np.square(forces).sum())
        beyond = float(np.square(forces[r > found.cutoff]).sum())
        numbers.append(
            Number("beyond_cutoff", beyond / total, "", "part of the squared responses beyond it")
        )
    if energies is not None and found.potential is not None:
        field = found.potential.design.last_readout * found.potential.cutoff
        outside = energies[r > field]
        largest = float(outside.max()) if outside.size else None
        numbers += [
            Number("receptive_field", field, "Å", "layers times cutoff"),
            Number(
                "energy_beyond_field", largest, "eV/Å", "largest dE_i/dr_j beyond it, must be 0"
            ),
        ]
    return numbers


def _shells(r: np.ndarray, forces: np.ndarray, energies: np.ndarray | None, cutoff: float) -> Table:
    shell = np.ceil(r / cutoff).astype(int)
    columns = [("cutoffs", ""), ("pairs", ""), ("largest dF_i/dr_j", "eV/Å²"), ("mean", "eV/Å²")]
    if energies is not None:
        columns.append(("largest dE_i/dr_j", "eV/Å"))
    rows: list[tuple[Value, ...]] = []
    for k in sorted(set(shell.tolist())):
        inside = shell == k
        row: list[Value] = [
            f"{k - 1} to {k}",
            int(inside.sum()),
            float(forces[inside].max()),
            float(forces[inside].mean()),
        ]
        if energies is not None:
            row.append(float(energies[inside].max()))
        rows.append(tuple(row))
    return Table("shells", "responses by distance in cutoffs", tuple(columns), tuple(rows))


def _panels(
    found: Surface, r: np.ndarray, forces: np.ndarray, energies: np.ndarray | None
) -> list[Panel]:
    marks = [] if found.cutoff is None else [Mark("x", found.cutoff, "cutoff")]
    if found.potential is not None and found.potential.design.last_readout > 1:
        field = found.potential.design.last_readout * found.potential.cutoff
        marks.append(Mark("x", field, "receptive field"))
    panels = [
        Panel(
            "force_response",
            "Response of forces",
            "distance (Å)",
            "largest |dFᵢ/drⱼ| (eV/Å²)",
            (Series(found.name, *_binned(r, forces)),),
            marks=tuple(marks),
            log_y=True,
        )
    ]
    if energies is not None:
        panels.append(
            Panel(
                "energy_response",
                "Response of the energies of atoms",
                "distance (Å)",
                "largest |dEᵢ/drⱼ| (eV/Å)",
                (Series(found.name, *_binned(r, energies)),),
                marks=tuple(marks),
                log_y=True,
            )
        )
    return panels


def _binned(
    r: np.ndarray, values: np.ndarray
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"]]:
    """Return the largest value in each bin that is not zero."""
    index = (r / BIN).astype(int)
    occupied = sorted(set(index[values > 0.0].tolist()))
    centres = (np.array(occupied, dtype=np.float64) + 0.5) * BIN
    return centres, np.array([values[index == k].max() for k in occupied], dtype=np.float64)
