"""The table of labels that is shown before anything trains."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from multiace.data.errors import DataError
from multiace.data.extxyz import keys_in_file
from multiace.elements import format_elements, sorted_elements
from multiace.geometry import Structure

_UNITS = {"energy": ("eV/atom", 7), "forces": ("eV/Å", 4), "stress": ("eV/Å^3", 4)}
LABELS = tuple(_UNITS)
_HEADER = ("file", "structures", "atoms", "elements", "energy", "forces", "stress")


@dataclass(frozen=True)
class LabelCount:
    """How many structures have one label, under which names, and its range.

    Args:
        n_labelled: structures with the label.
        keys: names under which the files held it.
        lowest: smallest energy per atom (eV/atom), force component (eV/Å) or stress component
            (eV/Å^3); None without labels.
        highest: the largest.
    """

    n_labelled: int
    keys: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class LabelRow:
    """The labels of one file."""

    file: str
    n_structures: int
    n_atoms: int
    elements: tuple[int, ...]
    labels: Mapping[str, LabelCount]

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        found = []
        for name, (unit, digits) in _UNITS.items():
            count = self.labels[name]
            text = f"{count.n_labelled}/{self.n_structures}"
            if count.lowest is not None:
                text += f" {count.lowest:.{digits}g} to {count.highest:.{digits}g} {unit}"
            renamed = [key for key in count.keys if key != name]
            if renamed:
                text += f" ({', '.join(renamed)})"
            found.append(text)
        elements = format_elements(self.elements)
        return (self.file, str(self.n_structures), str(self.n_atoms), elements, *found)


@dataclass(frozen=True)
class LabelTable:
    """Labels of a set of structures, file by file; prints as text and through rich."""

    rows: tuple[LabelRow, ...]

    def count(self, label: str) -> int:
        """Return how many structures have a label."""
        return sum(row.labels[label].n_labelled for row in self.rows)

    @property
    def n_structures(self) -> int:
        """Number of structures of all files."""
        return sum(row.n_structures for row in self.rows)

    def render(self) -> str:
        """Return the table as plain text, one line for each file."""
        lines = [_HEADER, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def __str__(self) -> str:
        return self.render()

    def __rich__(self) -> Table:
        table = Table(*_HEADER)
        for row in self.rows:
            table.add_row(*row.cells())
        return table

    def require(self, labels: Sequence[str]) -> None:
        """Refuse a weighted loss term without a single label.

        Args:
            labels: terms of the loss with a positive weight, among energy, forces, stress.

        Raises:
            DataError: no structure has one of them; the message lists the names in the files and
                the one that looks like it.
        """
        for label in labels:
            if self.count(label) == 0:
                raise _missing(label, [row.file for row in self.rows])


def label_table(structures: Sequence[Structure]) -> LabelTable:
    """Count the labels of structures, grouped by the file they came from.

    Example:
        >>> from multiace.geometry import Labels
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        >>> pair = Structure(np.array([1, 1]), positions, labels=Labels(energy=-30.0))
        >>> print(label_table([pair]))
        file  structures  atoms  elements  energy                     forces  stress
        -     1           2      H         1/1 -15 to -15 eV/atom  0/1     0/1
    """
    by_file: dict[str, list[Structure]] = {}
    for structure in structures:
        by_file.setdefault(file_of(structure), []).append(structure)
    return LabelTable(tuple(_row(file, members) for file, members in by_file.items()))


def file_of(structure: Structure) -> str:
    """Return the file a structure was read from, `-` if it was not."""
    return structure.source.rpartition(":")[0] or structure.source or "-"


def _row(file: str, structures: Sequence[Structure]) -> LabelRow:
    """Return the row of one file."""
    values: dict[str, list[Any]] = {name: [] for name in LABELS}
    keys: dict[str, set[str]] = {name: set() for name in LABELS}
    for structure in structures:
        labels = structure.labels
        for name in LABELS:
            value = getattr(labels, name)
            if value is not None:
                values[name].append(value / structure.n_atoms if name == "energy" else value)
                keys[name] |= {labels.keys[name]} if name in labels.keys else set()
    counts = {
        name: LabelCount(
            n_labelled=len(found),
            keys=tuple(sorted(keys[name])),
            lowest=min((float(np.min(value)) for value in found), default=None),
            highest=max((float(np.max(value)) for value in found), default=None),
        )
        for name, found in values.items()
    }
    return LabelRow(
        file=file,
        n_structures=len(structures),
        n_atoms=sum(structure.n_atoms for structure in structures),
        elements=sorted_elements(z for s in structures for z in set(s.numbers.tolist())),
        labels=counts,
    )


def _missing(label: str, files: Sequence[str]) -> DataError:
    """Return the error for a label that no structure has."""
    kind = "atoms" if label == "forces" else "frame"
    present: set[str] = set()
    for file in files:
        if Path(file).is_file():
            present.update(keys_in_file(file)[kind])
    present -= set(LABELS)
    close = closest_key(label, sorted(present))
    hint = f"Set data.keys.{label} to the name that holds it"
    hint += f", perhaps '{close}'" if close else ""
    hint += f", or set the weight of {label} in the loss to 0."
    names = ", ".join(sorted(present)) or "none"
    return DataError(
        f"the loss has a weight for {label}, but no structure of {', '.join(files)} has that "
        f"label; other names in the files: {names}",
        field=label,
        hint=hint,
    )


def closest_key(label: str, names: Sequence[str]) -> str | None:
    """Return the name that looks most like a label, None if none does.

    Example:
        >>> closest_key("energy", ["charge", "dft_energy"]), closest_key("stress", ["name"])
        ('dft_energy', None)
    """
    stem = label.rstrip("s").lower()
    contain = [name for name in names if stem in name.lower()]
    by_case = {name.lower(): name for name in names}
    similar = difflib.get_close_matches(label, list(by_case), n=1)
    if contain:
        return min(contain, key=len)
    return by_case[similar[0]] if similar else None
