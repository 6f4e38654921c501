"""Do the components of a stress stand in their places, with the right sign and unit?

A pair potential fitted to the forces of a file gives a virial of its own. It is rough, but its
shear components follow the true ones closely enough to tell them apart where forces are large, as
in molecular dynamics.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64

from multiace.data.consistency import order_problem
from multiace.data.errors import DataError
from multiace.data.unit_check import STRESS_UNITS, sampled
from multiace.elements import sorted_elements
from multiace.geometry import Structure, neighbour_list

_CUTOFF = 5.5  # Å
_N_RADIAL = 12
_LEAST_FRAMES = 20
_MOST_ATOMS = 1200
_MOST_PAIRS = 6  # of elements
_LEAST_FORCE = 0.1  # eV/Å, rms: below, forces tell nothing
_CLEAR = 0.6  # correlation
_BETTER = 0.35  # correlation in the best order above that in the file, of what the order moves
_WRONG_UNIT = 20.0  # a fitted pair potential is never off by as much
_SHEAR = ((1, 2), (0, 2), (0, 1))


def stress_problems(file: str, structures: Sequence[Structure]) -> Iterator[DataError]:
    """Yield what the forces of a file say against its stresses.

    Needs 20 periodic frames with forces and stress; fewer, or weak correlation, give no answer.
    """
    labelled = [
        s for s in structures if s.labels.forces is not None and s.labels.stress is not None
    ]
    labelled = [s for s in labelled if s.n_atoms > 2 and _rms(s.labels.forces) > _LEAST_FORCE]
    sample = sampled(labelled, _MOST_ATOMS)
    elements = sorted_elements(z for s in sample for z in set(s.numbers.tolist()))
    n_pairs = len(elements) * (len(elements) + 1) // 2
    if len(labelled) < _LEAST_FRAMES or n_pairs > _MOST_PAIRS:
        return
    if len(sample) < _LEAST_FRAMES:
        smallest = sorted(labelled, key=lambda structure: structure.n_atoms)
        sample = smallest[:_LEAST_FRAMES]
    predicted = _virials(sample, elements) / np.array([s.volume for s in sample])[:, None, None]
    found = np.array([s.labels.stress for s in sample])
    yield from _compare(file, predicted, found)


def _rms(values: Float64[np.ndarray, "..."] | None) -> float:
    return 0.0 if values is None else float(np.sqrt(np.mean(np.square(values))))


def _compare(
    file: str,
    predicted: Float64[np.ndarray, "frames 3 3"],
    found: Float64[np.ndarray, "frames 3 3"],
) -> Iterator[DataError]:
    """Yield a wrong order, sign or unit."""
    ours = np.array([predicted[:, row, column] for row, column in _SHEAR])
    theirs = np.array([found[:, row, column] for row, column in _SHEAR])
    table = np.array([[_correlation(one, two) for two in theirs] for one in ours])
    orders = {
        axes: float(np.mean([table[row, axis] for row, axis in enumerate(axes)]))
        for axes in itertools.permutations(range(3))
    }
    best = max(orders, key=lambda axes: abs(orders[axes]))
    frames = f"the forces of {len(found)} frames"
    moved = [(row, axis) for row, axis in enumerate(best) if row != axis]
    there = abs(np.mean([table[row, axis] for row, axis in moved])) if moved else 0.0
    here = abs(np.mean([table[row, row] for row, _ in moved])) if moved else 0.0
    if there > _CLEAR and there - here > _BETTER:
        yield order_problem(file, best, frames)
        theirs = theirs[list(best)]
    ours = np.concatenate([ours.ravel(), _deviatoric(predicted)])
    theirs = np.concatenate([theirs.ravel(), _deviatoric(found)])
    correlation = _correlation(ours, theirs)
    if abs(correlation) < _CLEAR:
        return
    scale = float(np.linalg.norm(theirs) / np.linalg.norm(ours))
    if correlation < 0:
        yield DataError(
            f"the stress has the opposite sign of what {frames} say (correlation "
            f"{correlation:.2f})",
            file=file,
            field="stress",
            value=correlation,
            hint="VASP writes compression positive. ASE's sign is (1/V) dE/d(strain), negative "
            "under compression.",
        )
    if not 1 / _WRONG_UNIT < scale < _WRONG_UNIT:
        near = min(STRESS_UNITS, key=lambda name: abs(np.log(scale * STRESS_UNITS[name])))
        yield DataError(
            f"the stress is {scale:.3g} times what {frames} say",
            file=file,
            field="stress",
            value=scale,
            hint=f"It looks like {near}. Give eV/Å^3.",
        )


def _deviatoric(stress: Float64[np.ndarray, "frames 3 3"]) -> Float64[np.ndarray, " values"]:
    """Return the diagonals without the pressure, which a pair potential gets wrong."""
    diagonal = np.diagonal(stress, axis1=1, axis2=2)
    return (diagonal - diagonal.mean(axis=1, keepdims=True)).ravel()


def _correlation(a: Float64[np.ndarray, " values"], b: Float64[np.ndarray, " values"]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0


def _virials(
    structures: Sequence[Structure], elements: tuple[int, ...]
) -> Float64[np.ndarray, "frames 3 3"]:
    """Return V sigma of the pair potential that comes closest to the forces, eV.

    F_i = sum_j f(r_ij) u_ij, with u from i to j and f(r) = sum_k c_k g_k(r) for each pair of
    elements, makes V sigma = 1/2 sum_ij f(r_ij) r_ij u_ij u_ij.
    """
    designs, targets, virials = [], [], []
    for structure in structures:
        edges = neighbour_list(structure, _CUTOFF)
        lengths = np.linalg.norm(edges.vectors, axis=1)
        unit = edges.vectors / lengths[:, None]
        columns = _pair_columns(structure, elements, edges.senders, edges.receivers)
        values = _radial(lengths)  # (edges, radial)
        n_columns = len(elements) * (len(elements) + 1) // 2 * _N_RADIAL
        size = structure.n_atoms * n_columns
        forces = np.zeros((structure.n_atoms, n_columns, 3))
        virial = np.zeros((3, 3, n_columns))
        for k in range(_N_RADIAL):
            column = columns * _N_RADIAL + k
            weighted = values[:, k : k + 1] * unit
            for axis in range(3):
                flat = np.bincount(
                    edges.receivers * n_columns + column, weighted[:, axis], minlength=size
                )
                forces[:, :, axis] += flat.reshape(-1, n_columns)
                for other in range(3):
                    product = 0.5 * weighted[:, axis] * edges.vectors[:, other]
                    virial[axis, other] += np.bincount(column, product, minlength=n_columns)
        designs.append(forces.transpose(0, 2, 1).reshape(-1, n_columns))
        targets.append(np.array(structure.labels.forces).ravel())
        virials.append(virial)
    design, target = np.concatenate(designs), np.concatenate(targets)
    coefficients = np.linalg.lstsq(design, target, rcond=1e-6)[0]
    return np.array(virials) @ coefficients


def _pair_columns(
    structure: Structure,
    elements: tuple[int, ...],
    senders: np.ndarray,
    receivers: np.ndarray,
) -> np.ndarray:
    """Return the number of the pair of elements of each edge, in either order."""
    species = np.searchsorted(elements, structure.numbers)
    low = np.minimum(species[senders], species[receivers])
    high = np.maximum(species[senders], species[receivers])
    return high * (high + 1) // 2 + low


def _radial(lengths: Float64[np.ndarray, " edges"]) -> Float64[np.ndarray, "edges radial"]:
    """Return Gaussians at equal distances, smoothly cut off."""
    centres = np.linspace(1.0, _CUTOFF, _N_RADIAL)
    width = centres[1] - centres[0]
    gaussians = np.exp(-0.5 * np.square((lengths[:, None] - centres) / width))
    return gaussians * np.square(np.cos(0.5 * np.pi * lengths / _CUTOFF))[:, None]
