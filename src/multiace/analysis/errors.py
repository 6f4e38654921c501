"""Errors of a potential against labels: RMSE and MAE by file, kind of configuration, element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64

from multiace.analysis.predict import BATCH_EDGES, predict
from multiace.elements import sorted_elements, symbol_of
from multiace.geometry import Labels, Structure
from multiace.potential import Potential
from multiace.program import Plan
from multiace.units import GPA, MEV

Group = Literal["total", "file", "config_type", "element"]
Quantity = Literal["energy", "energy_per_atom", "forces", "stress"]

REPORT_UNITS: dict[Quantity, tuple[str, float]] = {
    "energy": ("meV", MEV),
    "energy_per_atom": ("meV/atom", MEV),
    "forces": ("meV/Å", MEV),
    "stress": ("meV/Å^3", MEV),
}
"""Unit of each quantity in reports, and its size in eV, eV/Å or eV/Å^3."""

GROUPS: tuple[Group, ...] = ("total", "file", "config_type", "element")
"""Ways of grouping, in the order of a table."""


@dataclass(frozen=True)
class Deviation:
    """Statistics of prediction minus reference over `count` numbers.

    Args:
        count: numbers compared: structures, force components or stress components.
        rmse: root of the mean square, in eV, eV/atom, eV/Å or eV/Å^3, as are the next two.
        mae: mean of the absolute value.
        largest: largest absolute value.
    """

    count: int
    rmse: float
    mae: float
    largest: float

    @classmethod
    def of(cls, differences: Float64[np.ndarray, " numbers"]) -> Deviation | None:
        """Summarise differences; None if there are none.

        Example:
            >>> Deviation.of(np.array([3.0, -4.0])).mae
            3.5
        """
        if differences.size == 0:
            return None
        size = np.abs(differences)
        return cls(
            count=int(size.size),
            rmse=float(np.sqrt(np.mean(size**2))),
            mae=float(size.mean()),
            largest=float(size.max()),
        )


@dataclass(frozen=True)
class ErrorRow:
    """Errors of one group of structures; a quantity without any label is None.

    Args:
        group: what the structures have in common.
        name: value of that: a file, a kind of configuration, an element.
        n_structures: structures of the group.
        n_atoms: atoms of the group; for an element, the atoms of that element.
        energy: total energy of a structure.
        energy_per_atom: the same divided by its number of atoms.
        forces: force components.
        stress: the nine stress components.
    """

    group: Group
    name: str
    n_structures: int
    n_atoms: int
    energy: Deviation | None
    energy_per_atom: Deviation | None
    forces: Deviation | None
    stress: Deviation | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data, in the units of reports (`REPORT_UNITS`, and GPa)."""
        row: dict[str, Any] = {"structures": self.n_structures, "atoms": self.n_atoms}
        for quantity, (unit, size) in REPORT_UNITS.items():
            deviation: Deviation | None = getattr(self, quantity)
            row[quantity] = None if deviation is None else _in_unit(deviation, unit, size)
        if self.stress is not None:
            row["stress_GPa"] = _in_unit(self.stress, "GPa", GPA)
        return row


@dataclass(frozen=True)
class ErrorTable:
    """Errors in total and by group, as `errors` returns them."""

    rows: tuple[ErrorRow, ...]

    @property
    def total(self) -> ErrorRow:
        """The errors over all structures."""
        return self.rows[0]

    def by(self, group: Group) -> dict[str, ErrorRow]:
        """Return the rows of one way of grouping, by name."""
        return {row.name: row for row in self.rows if row.group == group}

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain data: `total`, then the rows of each way of grouping."""
        return {
            "total": self.total.to_json(),
            **{group: {n: r.to_json() for n, r in self.by(group).items()} for group in GROUPS[1:]},
        }


def errors(
    potential: Potential | Plan,
    structures: Sequence[Structure],
    *,
    batch_edges: int = BATCH_EDGES,
) -> ErrorTable:
    """Evaluate a potential on labelled structures and summarise its errors.

    Labels may be missing in any structure: each number is compared where there is one. The stress
    is compared in structures that are periodic in three directions.

    Args:
        potential: a potential or a plan of one, evaluated in its own dtype and on its own device.
        structures: with labels; grouped by the file in `source`, by `config_type`, by element.
        batch_edges: largest number of edges in a batch.

    Raises:
        ElementError: a structure has an element that the potential does not know.
        ValueError: no structure has a label, or a prediction is not finite.
    """
    labels = [structure.labels for structure in structures]
    if all(l.energy is None and l.forces is None and l.stress is None for l in labels):
        raise ValueError(
            f"None of the {len(structures)} structures has an energy, forces or a stress to "
            "compare with. Check the names of the labels in the file."
        )
    predictions = predict(
        potential,
        structures,
        forces=any(l.forces is not None for l in labels),
        stress=any(l.stress is not None for l in labels),
        batch_edges=batch_edges,
    )
    return compare(structures, predictions)


def compare(structures: Sequence[Structure], predictions: Sequence[Labels]) -> ErrorTable:
    """Summarise predictions against the labels of the structures.

    Args:
        structures: with the reference labels.
        predictions: one for each structure, in the same order.

    Example:
        >>> labels = Labels(energy=-13.0)
        >>> atom = Structure(numbers=np.array([1]), positions=np.zeros((1, 3)), labels=labels)
        >>> table = compare([atom], [Labels(energy=-13.5)])
        >>> table.total.energy.rmse, table.total.forces
        (0.5, None)
    """
    rows = [_row("total", "total", structures, predictions)]
    files = [structure.source.rsplit(":", 1)[0] for structure in structures]
    kinds = [structure.config_type for structure in structures]
    groupings: tuple[tuple[Group, list[str]], ...] = (("file", files), ("config_type", kinds))
    for group, names in groupings:
        for name in dict.fromkeys(names):
            chosen = [index for index, other in enumerate(names) if other == name]
            rows.append(
                _row(
                    group,
                    name,
                    [structures[index] for index in chosen],
                    [predictions[index] for index in chosen],
                )
            )
    for number in sorted_elements(n for s in structures for n in s.numbers.tolist()):
        rows.append(_element_row(number, structures, predictions))
    return ErrorTable(tuple(rows))


def _row(
    group: Group, name: str, structures: Sequence[Structure], predictions: Sequence[Labels]
) -> ErrorRow:
    energy = [
        (p.energy - s.labels.energy, s.n_atoms)
        for s, p in zip(structures, predictions, strict=True)
        if s.labels.energy is not None and p.energy is not None
    ]
    differences = np.array([difference for difference, _ in energy], dtype=np.float64)
    n_atoms = np.array([n for _, n in energy], dtype=np.float64)
    return ErrorRow(
        group=group,
        name=name,
        n_structures=len(structures),
        n_atoms=sum(structure.n_atoms for structure in structures),
        energy=Deviation.of(differences),
        energy_per_atom=Deviation.of(differences / n_atoms),
        forces=Deviation.of(_force_differences(structures, predictions)),
        stress=Deviation.of(_stress_differences(structures, predictions)),
    )


def _element_row(
    number: int, structures: Sequence[Structure], predictions: Sequence[Labels]
) -> ErrorRow:
    """Give the force errors of one element; energies and stresses belong to whole structures."""
    of_element = [structure.numbers == number for structure in structures]
    return ErrorRow(
        group="element",
        name=symbol_of(number),
        n_structures=sum(bool(mask.any()) for mask in of_element),
        n_atoms=sum(int(mask.sum()) for mask in of_element),
        energy=None,
        energy_per_atom=None,
        forces=Deviation.of(_force_differences(structures, predictions, of_element)),
        stress=None,
    )


def _force_differences(
    structures: Sequence[Structure],
    predictions: Sequence[Labels],
    masks: Sequence[Bool[np.ndarray, "_"]] | None = None,
) -> Float64[np.ndarray, " numbers"]:
    chosen = masks or [np.ones(structure.n_atoms, dtype=bool) for structure in structures]
    return _concatenated(
        [
            (p.forces - s.labels.forces)[mask]
            for s, p, mask in zip(structures, predictions, chosen, strict=True)
            if s.labels.forces is not None and p.forces is not None
        ]
    )


def _stress_differences(
    structures: Sequence[Structure], predictions: Sequence[Labels]
) -> Float64[np.ndarray, " numbers"]:
    return _concatenated(
        [
            p.stress - s.labels.stress
            for s, p in zip(structures, predictions, strict=True)
            if s.labels.stress is not None and p.stress is not None
        ]
    )


def _concatenated(arrays: list[np.ndarray]) -> Float64[np.ndarray, " numbers"]:
    return np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)])


def _in_unit(deviation: Deviation, unit: str, size: float) -> dict[str, Any]:
    return {
        "unit": unit,
        "count": deviation.count,
        "rmse": deviation.rmse / size,
        "mae": deviation.mae / size,
        "largest": deviation.largest / size,
    }
