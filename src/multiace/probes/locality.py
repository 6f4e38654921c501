"""`multiace probe locality`: how far atoms feel each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from multiace.analysis.gradients import hessians
from multiace.analysis.locality import influence
from multiace.figures.figure import Axis, Line, Panel, Position
from multiace.geometry import Structure
from multiace.probes.paths import numerical_hessian
from multiace.probes.result import Number, ProbeResult, Table, Value
from multiace.probes.surface import Subject, Surface, surface

WEAK = 1e-3
"""What is weak: this part of the largest response between two atoms."""

BIN = 0.5
"""Width of the bins of a curve, Å."""


def locality(subject: Subject, structure: Structure) -> ProbeResult:
    """Measure how the force on an atom responds to a move of another one, by their distance.

    |dF_i/dr_j| is the Frobenius norm of a block of the Hessian. An energy of T layers depends on
    atoms within T cutoffs, so forces respond within 2 T cutoffs, and not beyond. For a
    potential, |dE_i/dr_j| is shown too, which ends at T cutoffs, and the responses of the forces
    that come from each of its terms: E_t, which layer t adds, ends at 2 t cutoffs.

    Args:
        subject: what to look at; in float64.
        structure: larger than the receptive field, or the end is not seen; with periodic
            directions an atom and its images move together, and the nearest image counts.

    Returns:
        The distance beyond which responses are weak, the part beyond one cutoff, the largest
        responses by multiples of the cutoff, and reach and part beyond it of each term.

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
    energies, terms = None, {}
    if potential is None:
        forces = _responses(numerical_hessian(found, structure))[pairs]
    else:
        of_energy = influence(potential, structure)
        energies = np.maximum(of_energy, of_energy.T)[pairs]
        places = [k for k, name in enumerate(potential.terms) if name != "E0"]
        whole, *parts = hessians(potential, structure, (places, *([k] for k in places)))
        forces = _responses(whole)[pairs]
        responses = {
            potential.terms[k]: _responses(part)[pairs]
            for k, part in zip(places, parts, strict=True)
        }
        terms = {name: each for name, each in responses.items() if each.any()}
    numbers = _numbers(found, r, forces, energies)
    tables = [] if found.cutoff is None else [_shells(r, forces, energies, found.cutoff)]
    if found.cutoff is not None and terms:
        tables.append(_terms(r, terms, found.cutoff))
    return ProbeResult(
        "locality",
        found.name,
        tuple(numbers),
        tuple(tables),
        _panels(found, r, forces, energies, terms),
        {"atoms": structure.n_atoms, "largest distance (Å)": float(r.max())},
    )


def _responses(hessian: np.ndarray) -> Float64[np.ndarray, "atoms atoms"]:
    """Return the Frobenius norms of the blocks of pairs of atoms."""
    n = len(hessian) // 3
    return np.linalg.norm(hessian.reshape(n, 3, n, 3), axis=(1, 3))


def _numbers(
    found: Surface, r: np.ndarray, forces: np.ndarray, energies: np.ndarray | None
) -> list[Number]:
    numbers = [
        Number("reach", _reach(r, forces), "Å", "largest distance of a response that is not weak"),
        Number("largest", float(forces.max()), "eV/Å²", "largest response between two atoms"),
    ]
    if found.cutoff is not None:
        beyond = _beyond(r, forces, found.cutoff)
        numbers.append(
            Number("beyond_cutoff", beyond, "", "part of the squared responses beyond it")
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


def _terms(r: np.ndarray, terms: dict[str, np.ndarray], cutoff: float) -> Table:
    columns = (("term", ""), ("largest", "eV/Å²"), ("reach", "Å"), ("beyond the cutoff", ""))
    rows = tuple(
        (name, float(each.max()), _reach(r, each), _beyond(r, each, cutoff))
        for name, each in terms.items()
    )
    return Table("terms", "responses of the forces of each term", columns, rows)


def _reach(r: np.ndarray, responses: np.ndarray) -> float:
    return float(r[responses > WEAK * responses.max()].max())


def _beyond(r: np.ndarray, responses: np.ndarray, cutoff: float) -> float:
    squares = np.square(responses)
    return float(squares[r > cutoff].sum() / squares.sum())


def _panels(
    found: Surface,
    r: np.ndarray,
    forces: np.ndarray,
    energies: np.ndarray | None,
    terms: dict[str, np.ndarray],
) -> dict[str, Panel]:
    marks = [] if found.cutoff is None else [Position(found.cutoff, "cutoff")]
    if found.potential is not None and found.potential.design.last_readout > 1:
        field = found.potential.design.last_readout * found.potential.cutoff
        marks.append(Position(field, "receptive field"))
    curves = [Line(*_binned(r, forces), name=found.name)]
    if len(terms) > 1:
        curves += [Line(*_binned(r, each), name=name) for name, each in terms.items()]
    distance = Axis("distance (Å)")
    response = Axis("largest |dFᵢ/drⱼ| (eV/Å²)", log=True)
    panels = {"force_response": Panel("Response of forces", distance, response, (*marks, *curves))}
    if energies is not None:
        response = Axis("largest |dEᵢ/drⱼ| (eV/Å)", log=True)
        curve = Line(*_binned(r, energies), name=found.name)
        title = "Response of the energies of atoms"
        panels["energy_response"] = Panel(title, distance, response, (*marks, curve))
    return panels


def _binned(
    r: np.ndarray, values: np.ndarray
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"]]:
    """Return the largest value in each bin that is not zero."""
    index = (r / BIN).astype(int)
    occupied = sorted(set(index[values > 0.0].tolist()))
    centres = (np.array(occupied, dtype=np.float64) + 0.5) * BIN
    return centres, np.array([values[index == k].max() for k in occupied], dtype=np.float64)
