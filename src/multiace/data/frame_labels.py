"""Turn the label values of one frame into checked numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from multiace.data.comment import CommentError, numbers
from multiace.data.frames import Frame
from multiace.units import GPA, KBAR

StressOrder = Literal["voigt", "vasp", "lammps"]

STRESS_ORDERS: Mapping[str, str] = {
    "voigt": "xx yy zz yz xz xy",
    "vasp": "xx yy zz xy yz xz",
    "lammps": "xx yy zz xy xz yz",
}
"""Orders of the six components of a stress: ASE's, that of VASP's OUTCAR, and LAMMPS'."""

_VOIGT = 6  # components
_ASYMMETRY = 1e-4  # relative to the largest component
_SAME_LABEL = 1e-8  # absolute and relative: two keys hold one value
_SAME_STRESS = 1e-3  # relative: a stress and the virial it comes from, as files round them
_LEAST_STRESS = 1e-4  # eV/Å^3: below, neither symmetry nor agreement is judged
_FREE_ENERGY = 1e-3  # eV


def energy_of(
    frame: Frame, values: Mapping[str, str | None], keys: tuple[str, ...]
) -> tuple[str, float] | None:
    """Return the key and the value of the energy, None without one.

    Raises:
        DataError: it is not a single finite number, or two keys differ.
    """
    found = {
        key: _finite(frame, key, numbers_of(frame, values, key)) for key in keys if key in values
    }
    for key, value in found.items():
        if value.size != 1:
            raise frame.error(
                f"{key} must be a single number, got {values[key]!r}",
                1,
                field=key,
                value=values[key],
                hint="A comma separates numbers; it does not group digits.",
            )
    if not found:
        return None
    key, value = _one_value(frame, "energy", found)
    return key, float(value[0])


def free_energy_difference(
    frame: Frame, values: Mapping[str, str | None], energy: tuple[str, float]
) -> float | None:
    """Return free_energy - energy in eV where the frame has both and they differ, else None."""
    if "free_energy" not in values or energy[0] == "free_energy":
        return None
    free = _finite(frame, "free_energy", numbers_of(frame, values, "free_energy"))
    if free.size != 1 or abs(free[0] - energy[1]) <= _FREE_ENERGY:
        return None
    return float(free[0] - energy[1])


def forces_of(
    frame: Frame, columns: Mapping[str, Float64[np.ndarray, "atoms columns"]]
) -> tuple[str, Float64[np.ndarray, "atoms 3"]] | None:
    """Return the key and the values of the forces, None without any.

    Args:
        frame: the frame.
        columns: what the columns of forces hold, by key, checked to be numbers.

    Raises:
        DataError: not three columns, or two keys differ.
    """
    for key, value in columns.items():
        if value.shape[1] != 3:
            shape = (frame.n_atoms, 3)
            raise frame.error(f"{key} must be of shape {shape}, got {value.shape}", 1, field=key)
    return _one_value(frame, "forces", columns) if columns else None


def stress_of(
    frame: Frame,
    values: Mapping[str, str | None],
    stress_keys: tuple[str, ...],
    virial_keys: tuple[str, ...],
    order: StressOrder | None,
    volume: float | None,
    read_virial: bool,
) -> tuple[str, Float64[np.ndarray, "3 3"]] | None:
    """Return the key and the value of the stress, None without one.

    A virial is compared with the stress, sigma = -virial / V, unless it has six components in an
    order that is not declared; with `read_virial` it stands for a stress that is not there.

    Args:
        frame: the frame.
        values: the comment line.
        stress_keys: names of a stress, eV/Å^3.
        virial_keys: names of a virial, eV.
        order: order of stresses and virials of six components.
        volume: of the cell in Å^3, None unless all directions are periodic.
        read_virial: whether a virial makes a stress.

    Raises:
        DataError: the wrong number of components, an order that is not declared, a matrix that is
            not symmetric, no volume, or values that disagree.
    """
    stresses = {key: _tensor(frame, values, key, order) for key in stress_keys if key in values}
    virials = {}
    if stresses or read_virial:
        virials = {
            key: _tensor(frame, values, key, order)
            for key in virial_keys
            if key in values
            and (read_virial or order or numbers_of(frame, values, key).size != _VOIGT)
        }
    if (stresses or virials) and volume is None:
        key = next(iter({**stresses, **virials}))
        raise frame.error(
            f"there is a {'stress' if stresses else 'virial'}, but not all directions are periodic",
            1,
            field=key,
            hint="A stress needs three periodic directions: take it out, or set pbc.",
        )
    if volume is None:
        return None
    chosen = _one_value(frame, "stress", stresses) if stresses else None
    for key, virial in virials.items():
        stress = -virial / volume
        if chosen is None and read_virial:
            chosen = key, stress
        elif chosen is not None:
            _compare(frame, chosen, (key, stress))
    return chosen


def numbers_of(
    frame: Frame, values: Mapping[str, str | None], key: str
) -> Float64[np.ndarray, " values"]:
    """Return the numbers of one key of the comment line.

    Raises:
        DataError: it holds something else.
    """
    try:
        return numbers(values[key])
    except CommentError as error:
        problem = f"{key} {error}"
        raise frame.error(problem, 1, field=key, value=values[key], hint=error.hint) from error


def _finite(
    frame: Frame, key: str, values: Float64[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    """Return the values.

    Raises:
        DataError: one is not finite.
    """
    wrong = values[~np.isfinite(values)]
    if wrong.size:
        raise frame.error(
            f"{key} contains {wrong[0]}: labels must be finite",
            1,
            field=key,
            value=wrong[0],
            hint="Leave the label out of frames that have none.",
        )
    return values


def _tensor(
    frame: Frame, values: Mapping[str, str | None], key: str, order: StressOrder | None
) -> Float64[np.ndarray, "3 3"]:
    """Return a stress or virial as a symmetric matrix."""
    components = _finite(frame, key, numbers_of(frame, values, key))
    if components.size == _VOIGT:
        if order is None:
            known = ", ".join(f"{name} ({axes})" for name, axes in STRESS_ORDERS.items())
            raise frame.error(
                f"{key} has 6 components, whose order nothing tells",
                1,
                field=key,
                value=values[key],
                hint=f"Write 9, or declare the order: {known}; data.keys.stress_order in a "
                "config, --stress-order on the command line.",
            )
        return voigt_matrix(components, order)
    if components.size != 9:
        raise frame.error(
            f"{key} must have 9 components, or 6 in a declared order, got {components.size}",
            1,
            field=key,
            value=values[key],
        )
    matrix = components.reshape(3, 3)
    largest = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > _ASYMMETRY * max(largest, _LEAST_STRESS):
        raise frame.error(
            f"{key} is not symmetric: {matrix.tolist()}",
            1,
            field=key,
            value=values[key],
            hint="Nine components are the matrix row by row.",
        )
    return 0.5 * (matrix + matrix.T)


def voigt_matrix(
    components: Float64[np.ndarray, "6"], order: StressOrder
) -> Float64[np.ndarray, "3 3"]:
    """Return the symmetric matrix of six components.

    Example:
        >>> voigt_matrix(np.arange(1.0, 7.0), "voigt").tolist()
        [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]
    """
    matrix = np.zeros((3, 3))
    for value, axes in zip(components, STRESS_ORDERS[order].split(), strict=True):
        row, column = ("xyz".index(axis) for axis in axes)
        matrix[row, column] = matrix[column, row] = value
    return matrix


def _one_value(frame: Frame, name: str, values: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the name used and its value; several must agree."""
    (key, value), *others = values.items()
    for other, alternative in others:
        if not np.allclose(value, alternative, rtol=_SAME_LABEL, atol=_SAME_LABEL):
            difference = np.abs(value - alternative).max()
            raise frame.error(
                f"{key} and {other} differ by up to {difference:.6g}",
                1,
                field=name,
                hint=f"Say which one to use, '{key}' or '{other}': data.keys.{name} in a config, "
                f"--{name}-key of `multiace evaluate`, {name}_key of read_structures.",
            )
    return key, value


def _compare(
    frame: Frame,
    stress: tuple[str, Float64[np.ndarray, "3 3"]],
    virial: tuple[str, Float64[np.ndarray, "3 3"]],
) -> None:
    """Refuse a stress that does not follow from the virial of the same frame."""
    (stress_key, found), (virial_key, expected) = stress, virial
    largest = max(np.abs(found).max(), np.abs(expected).max())
    if np.abs(found - expected).max() <= _SAME_STRESS * max(largest, _LEAST_STRESS):
        return
    reasons = {
        1.0: "the sign of one is opposite: ASE's stress is negative under compression",
        -1.0 / GPA: f"{stress_key} looks like GPa",
        -1.0 / KBAR: f"{stress_key} looks like kbar",
        1.0 / GPA: f"{stress_key} looks like GPa with compression positive",
        1.0 / KBAR: f"{stress_key} looks like kbar with compression positive",
    }
    reason = "they do not belong together"
    for factor, text in reasons.items():
        if np.abs(found + factor * expected).max() <= 10 * _SAME_STRESS * np.abs(found).max():
            reason = text
    raise frame.error(
        f"{stress_key} and -{virial_key}/V differ by up to "
        f"{np.abs(found - expected).max():.4g} eV/Å^3: {reason}",
        1,
        field=stress_key,
        hint="Correct one, or take it out.",
    )
