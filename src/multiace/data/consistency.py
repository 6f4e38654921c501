"""Do forces and stress belong to the energies? Differences between close structures tell.

Between two frames that differ little, dE = -F . dx, with the mean of both forces; between two that
differ by a small strain alone, dE = V sigma : d(strain). The slope of one over the other is 1 in
consistent units and with the right signs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from multiace.data.errors import DataError
from multiace.data.frame_labels import STRESS_ORDERS
from multiace.data.unit_check import ENERGY_UNITS, FORCE_UNITS, STRESS_UNITS, sampled
from multiace.geometry import Structure

_AT_MOST = 1500  # structures compared with one another
_LEAST_PAIRS = 8
_NEAR = 0.2  # Å: farthest that an atom moves between two frames of a pair
_FRACTIONS = 1e-3  # fractional coordinates that differ less are the same
_STRAIN = 0.06
_OUTLIER = 10.0  # medians
_CORRELATION = 0.9
_EXPLAINED, _UNEXPLAINED = 0.01, 0.001  # 1 - correlation of the right and the wrong order
_BETTER = 10.0  # how many times less the right order leaves unexplained
_SLOPE = 1.3  # a factor by which a slope may be off
_UNIT = 1.06  # a factor by which a slope may be off a ratio of units

Pair = tuple[Structure, Structure]


def consistency_problems(file: str, structures: Sequence[Structure]) -> Iterator[DataError]:
    """Yield forces and stresses of a file that do not belong to its energies.

    Files without enough pairs of close structures give no answer.
    """
    labelled = [s for s in structures if s.labels.energy is not None]
    with_forces = [s for s in labelled if s.labels.forces is not None]
    with_stress = [s for s in labelled if s.labels.stress is not None]
    yield from _forces(file, _close_pairs(with_forces))
    yield from _stress(file, _strained_pairs(with_stress))


def _forces(file: str, pairs: Sequence[Pair]) -> Iterator[DataError]:
    """Compare dE with -F . dx."""
    if len(pairs) < _LEAST_PAIRS:
        return
    changes = np.array([_energy(b) - _energy(a) for a, b in pairs])
    work = np.array(
        [
            -0.5 * np.vdot(_array(a.labels.forces) + _array(b.labels.forces), _moved(a, b))
            for a, b in pairs
        ]
    )
    slope, correlation = _line(work, changes)
    if abs(correlation) < _CORRELATION or 1 / _SLOPE < slope < _SLOPE:
        return
    text = (
        f"between {len(pairs)} pairs of close frames, energies change by {slope:.4g} times what "
        f"the forces say (correlation {correlation:.3f}); it must be 1"
    )
    if 1 / _SLOPE < -slope < _SLOPE:
        hint = "The forces have the opposite sign: they are minus the gradient."
    else:
        hint = _guess(slope, FORCE_UNITS, "forces")
    yield DataError(text, file=file, field="forces", value=slope, hint=hint)


def _stress(file: str, pairs: Sequence[Pair]) -> Iterator[DataError]:
    """Compare dE with V sigma : d(strain)."""
    if len(pairs) < _LEAST_PAIRS:
        return
    changes = np.array([_energy(b) - _energy(a) for a, b in pairs])
    works = {
        axes: np.array([_strain_work(a, b, axes) for a, b in pairs])
        for axes in itertools.permutations(range(3))
    }
    slope, correlation = _line(works[0, 1, 2], changes)
    lines = {axes: _line(work, changes) for axes, work in works.items()}
    best = max(lines, key=lambda axes: abs(lines[axes][1]))
    left, best_left = 1 - abs(correlation), 1 - abs(lines[best][1])
    if best_left < _EXPLAINED and left > max(_UNEXPLAINED, _BETTER * best_left):
        yield order_problem(file, best, f"energies along {len(pairs)} strains")
        slope, correlation = lines[best]
    if abs(correlation) < _CORRELATION or 1 / _SLOPE < slope < _SLOPE:
        return
    text = (
        f"between {len(pairs)} pairs of strained frames, energies change by {slope:.4g} times what "
        f"the stress says (correlation {correlation:.3f}); it must be 1"
    )
    if 1 / _SLOPE < -slope < _SLOPE:
        hint = (
            "The stress has the opposite sign, as VASP writes it: ASE's is (1/V) dE/d(strain), "
            "negative under compression."
        )
    else:
        hint = _guess(slope, STRESS_UNITS, "stress")
    yield DataError(text, file=file, field="stress", value=slope, hint=hint)


def order_problem(file: str, axes: Sequence[int], evidence: str) -> DataError:
    """Return the error for shear components in another order.

    Args:
        file: name of the file.
        axes: which of the shear components yz, xz, xy of the file holds each of them in truth.
        evidence: what tells.
    """
    names = ("yz", "xz", "xy")
    said = ", ".join(f"{names[axis]} holds {name}" for name, axis in zip(names, axes, strict=True))
    order = "xx yy zz " + " ".join(names[list(axes).index(axis)] for axis in range(3))
    known = [name for name, text in STRESS_ORDERS.items() if text == order]
    like = f" ({known[0]})" if known and known[0] != "voigt" else ""
    return DataError(
        f"the shear components of the stress are not in their places, as {evidence} tell: {said}",
        file=file,
        field="stress",
        value=order,
        hint=f"The source had the order {order}{like}: convert again.",
    )


def _guess(slope: float, units: Mapping[str, float], label: str) -> str:
    """Return which units would explain a slope; a negative one with the sign turned."""
    explanations = []
    for (energy, one), (other, two) in itertools.product(ENERGY_UNITS.items(), units.items()):
        expected = two / one
        if 1 / _UNIT < abs(slope) / expected < _UNIT:
            explanations.append(f"energies in {energy} and {label} in {other}")
    explained = "; or ".join(explanations[:3])
    sign = "With the sign turned, this is" if slope < 0 else "This is"
    return f"{sign} what {explained} would give." if explained else "No units explain it."


def _energy(structure: Structure) -> float:
    energy = structure.labels.energy
    assert energy is not None
    return energy


def _array(values: Float64[np.ndarray, "..."] | None) -> Float64[np.ndarray, "..."]:
    assert values is not None
    return values


def _line(
    x: Float64[np.ndarray, " pairs"], y: Float64[np.ndarray, " pairs"]
) -> tuple[float, float]:
    """Return the slope of y over x through the origin, and their correlation.

    Pairs far beyond the others are left out: a single energy that is wrong is no unit.
    """
    usual = np.ones(len(x), dtype=bool)
    for values in (x, y):
        usual &= np.abs(values) <= _OUTLIER * np.median(np.abs(values))
    x, y = x[usual], y[usual]
    if len(x) < _LEAST_PAIRS or not x.any() or not y.any():
        return 1.0, 0.0
    product = float(x @ y)
    slope = np.sign(product) * np.sqrt(float(y @ y) / float(x @ x))  # errors in both
    return float(slope), product / float(np.linalg.norm(x) * np.linalg.norm(y))


def _moved(a: Structure, b: Structure) -> Float64[np.ndarray, "atoms 3"]:
    """Return the displacements from a to b, a common translation taken out."""
    moved = b.positions - a.positions
    return moved - moved.mean(axis=0)


def _alike(structures: Sequence[Structure]) -> Iterator[list[Structure]]:
    """Yield groups with the same atoms in the same order and the same periodicity."""
    groups: dict[tuple[bytes, tuple[bool, ...]], list[Structure]] = {}
    for structure in structures:
        groups.setdefault((structure.numbers.tobytes(), structure.pbc), []).append(structure)
    for group in groups.values():
        if len(group) > 1:
            yield group[:_AT_MOST]


def _cells(structures: Sequence[Structure]) -> Float64[np.ndarray, "structures 9"]:
    return np.array(
        [np.zeros(9) if s.cell is None else np.asarray(s.cell).ravel() for s in structures]
    )


def _close_pairs(structures: Sequence[Structure]) -> list[Pair]:
    """Return pairs of each structure and the closest other one, if it is near."""
    pairs: dict[tuple[int, int], Pair] = {}
    for group in _alike(structures):
        positions = np.array([s.positions - s.positions.mean(axis=0) for s in group])
        periodic = np.array(group[0].pbc)
        cells = _cells(group).reshape(-1, 3, 3) * periodic[:, None]
        points = np.concatenate(
            [positions.reshape(len(group), -1), 10.0 * cells.reshape(len(group), -1)], axis=1
        )
        squares = np.square(points).sum(axis=1)
        distances = squares[:, None] + squares[None] - 2 * points @ points.T
        np.fill_diagonal(distances, np.inf)
        for index, other in enumerate(distances.argmin(axis=1).tolist()):
            a, b = sorted((index, other))
            moved = np.linalg.norm(_moved(group[a], group[b]), axis=1).max()
            same_cell = np.allclose(cells[a], cells[b], atol=1e-6)
            if same_cell and 1e-6 < moved < _NEAR:
                pairs[id(group[a]), id(group[b])] = (group[a], group[b])
    return list(pairs.values())


def _strained_pairs(structures: Sequence[Structure]) -> list[Pair]:
    """Return pairs that differ by a small homogeneous strain alone."""
    pairs: list[Pair] = []
    for group in _alike(sampled(structures, 200 * _AT_MOST)):
        fractions = np.array([s.positions @ np.linalg.inv(np.asarray(s.cell)) for s in group])
        fractions -= fractions[:, :1]
        flat = fractions.reshape(len(group), -1)
        cells = _cells(group).reshape(-1, 3, 3)
        for index in range(len(group) - 1):
            others = np.arange(index + 1, len(group))
            apart = flat[others] - flat[index]
            apart = np.abs(apart - np.round(apart)).max(axis=1)
            strains = np.abs(np.linalg.inv(cells[index]) @ cells[others] - np.eye(3))
            strains = strains.max(axis=(1, 2))
            near = others[(apart < _FRACTIONS) & (strains < _STRAIN) & (strains > 1e-5)]
            pairs += [(group[index], group[other]) for other in near[:8].tolist()]
    return pairs


def _strain_work(a: Structure, b: Structure, axes: tuple[int, ...]) -> float:
    """Return the mean of V sigma : d(strain) of two structures, shear components permuted.

    The symmetric strain from the mean of both cells.
    """
    first, second = np.asarray(a.cell), np.asarray(b.cell)
    strain = np.linalg.inv(0.5 * (first + second)) @ (second - first)
    strain = 0.5 * (strain + strain.T)
    stress = np.zeros((3, 3))  # eV
    for structure in (a, b):
        stress += 0.5 * (structure.volume or 0.0) * _array(structure.labels.stress)
    shear = np.array([stress[1, 2], stress[0, 2], stress[0, 1]])[list(axes)]
    strains = np.array([strain[1, 2], strain[0, 2], strain[0, 1]])
    return float(np.diag(stress) @ np.diag(strain) + 2 * shear @ strains)
