"""Read one frame of extended XYZ part by part, so that each of them can be wrong by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from multiace.data.comment import (
    CommentError,
    first_bad_number,
    number_hint,
    numbers,
    parse_comment,
    truths,
)
from multiace.data.errors import DataError, Findings
from multiace.data.frame_labels import (
    StressOrder,
    energy_of,
    forces_of,
    free_energy_difference,
    stress_of,
)
from multiace.data.frames import Frame
from multiace.elements import ElementError, atomic_number, symbol_of
from multiace.geometry import Labels, Structure
from multiace.geometry.structure import check_cell

DEFAULT_KEYS: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "REF_energy"),
    "forces": ("forces", "REF_forces"),
    "stress": ("stress", "REF_stress"),
    "virial": ("virial", "REF_virial"),
}
"""Names under which a label is looked for when none is given."""

_PLAIN = "species:S:1:pos:R:3"
_PROPERTIES = re.compile(r"(?:[^:]+:[SRIL]:[1-9][0-9]*)(?::[^:]+:[SRIL]:[1-9][0-9]*)*")
_LEAST_VOLUME = 1.0  # Å^3
_LEAST_LENGTH = 0.5  # Å, of a periodic cell vector


@dataclass(frozen=True)
class LabelNames:
    """Under which names labels are read; None for the usual ones.

    Args:
        energy: key of the energy in the comment line; None: `energy` or `REF_energy`.
        forces: name of the forces in `Properties`; None: `forces` or `REF_forces`.
        stress: key of the stress; None: `stress` or `REF_stress`.
        virial: key of a virial in eV from which the stress -virial / V is made where there is no
            stress; None: virials make no stress, but must agree with one.
        stress_order: order of stresses and virials of six components; None: they are refused.
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    stress_order: StressOrder | None = None

    def keys(self, label: str) -> tuple[str, ...]:
        """Return the names to look for, in the order of preference."""
        given = getattr(self, label)
        return (given,) if given else DEFAULT_KEYS[label]


@dataclass(frozen=True)
class Column:
    """A column of `Properties`: the cells `start` to `stop` of each row."""

    kind: str
    start: int
    stop: int


@dataclass
class KeysSeen:
    """Names that occur in a file, filled while it is read.

    Args:
        frame: keys of comment lines.
        atoms: names of columns.
    """

    frame: set[str] = field(default_factory=set)
    atoms: set[str] = field(default_factory=set)


def comment_of(frame: Frame) -> dict[str, str | None]:
    """Return the keys of the comment line."""
    try:
        values = parse_comment(frame.comment)
    except CommentError as error:
        raise frame.error(str(error), 1, field=error.field, hint=error.hint) from error
    for key in values:
        meant = _NAMES.get(key.lower())
        if meant is not None and key != meant and meant not in values:
            raise frame.error(f"{key} is not read", 1, field=key, hint=f"Write {meant}.")
    return values


_NAMES = {name.lower(): name for name in ("Lattice", "Properties", "pbc")}
"""Keys that mean something only as they are written here."""


def columns_of(frame: Frame, values: Mapping[str, str | None]) -> dict[str, Column]:
    """Return the columns by name."""
    declared = values.get("Properties", _PLAIN) or ""
    if not _PROPERTIES.fullmatch(declared):
        raise frame.error(
            f"Properties={declared} is not name:type:columns, repeated, with types S, R, I or L",
            1,
            field="Properties",
            value=declared,
        )
    fields = declared.split(":")
    columns: dict[str, Column] = {}
    start = 0
    for name, kind, count in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if name in columns:
            raise frame.error(f"Properties has {name} twice", 1, field=name, value=declared)
        columns[name] = Column(kind, start, start + int(count))
        start += int(count)
    return columns


class FrameReader:
    """Reads one frame part by part, so that each of them can be wrong by itself."""

    def __init__(self, frame: Frame, names: LabelNames, findings: Findings, seen: KeysSeen) -> None:
        self.frame = frame
        self.pbc_is_implied = False
        self.free_energy: float | None = None
        self._names = names
        self._findings = findings
        self._seen = seen
        self._sound = True

    def structure(self) -> Structure | None:
        """Return the structure, None if anything was wrong."""
        frame = self.frame
        try:
            values = comment_of(frame)
            columns = columns_of(frame, values)
            self._seen.frame.update(values)
            self._seen.atoms.update(columns)
            cells = self._cells(columns)
        except DataError as problem:
            self._add(problem)
            return None
        numbers = self._try(self._atomic_numbers, columns, cells)
        positions = self._try(self._positions, columns, cells)
        lattice = self._try(self._lattice, values)
        weight = self._try(self._weight, values)
        labels = self._labels(values, columns, cells, lattice)
        if not self._sound or lattice is None:
            return None
        try:
            return Structure(
                numbers=numbers,
                positions=positions,
                cell=lattice[0],
                pbc=lattice[1],
                labels=labels,
                config_type=values.get("config_type") or "",
                source=f"{frame.file}:{frame.index}",
                weight=weight,
            )
        except (ElementError, ValueError) as error:
            self._add(frame.error(str(error)))
            return None

    def _add(self, problem: DataError) -> None:
        self._sound = False
        self._findings.add(problem)

    def _try(self, part: Any, *arguments: Any) -> Any:
        """Return a part of the frame, None after adding the problem that it has."""
        try:
            return part(*arguments)
        except DataError as problem:
            self._add(problem)
            return None

    def _cells(self, columns: Mapping[str, Column]) -> list[tuple[str, ...]]:
        """Return the cells of the rows, column by column.

        Raises:
            DataError: species or positions are not declared, or rows have the wrong length.
        """
        kind = "species" if "species" in columns else "Z"
        if kind not in columns or "pos" not in columns:
            names = ", ".join(columns)
            problem = f"Properties must hold species and pos, got {names}"
            raise self.frame.error(problem, 1, field="Properties")
        n_columns = max(column.stop for column in columns.values())
        rows = [line.split() for line in self.frame.rows]
        wrong = [number for number, row in enumerate(rows) if len(row) != n_columns]
        if wrong:
            problems = Findings()
            for number in wrong:
                problem = f"expected {n_columns} columns, found {len(rows[number])}"
                problems.add(self.frame.error(problem, number + 2, field="Properties"))
            problems.raise_problems()
        return list(zip(*rows, strict=True))

    def _atomic_numbers(
        self, columns: Mapping[str, Column], cells: list[tuple[str, ...]]
    ) -> Int64[np.ndarray, " atoms"]:
        kind = "species" if "species" in columns else "Z"
        column = columns[kind]
        if column.stop - column.start != 1:
            raise self.frame.error(f"{kind} must be one column", 1, field=kind)
        values = cells[column.start]
        known: dict[str, int] = {}
        problems = Findings()
        for value in dict.fromkeys(values):
            try:
                known[value] = atomic_number(value) if kind == "species" else int(value)
                symbol_of(known[value])
            except ValueError as error:
                line = values.index(value) + 2
                problems.add(self.frame.error(str(error), line, field=kind, value=value))
        problems.raise_problems()
        return np.array([known[value] for value in values], dtype=np.int64)

    def _positions(
        self, columns: Mapping[str, Column], cells: list[tuple[str, ...]]
    ) -> Float64[np.ndarray, "atoms 3"]:
        positions = self._array("pos", columns["pos"], cells)
        if positions.shape[1] != 3:
            raise self.frame.error(
                f"pos must be three columns, got {positions.shape[1]}", 1, field="pos"
            )
        return positions

    def _array(
        self, name: str, column: Column, cells: list[tuple[str, ...]]
    ) -> Float64[np.ndarray, "atoms columns"]:
        """Return the numbers of a column.

        Raises:
            DataError: a cell is no finite number.
        """
        if column.kind not in "RI":
            raise self.frame.error(
                f"{name} must be of type R in Properties, got {column.kind}", 1, field=name
            )
        words = cells[column.start : column.stop]
        plain = not any("_" in row or not row.isascii() for row in self.frame.rows)
        try:
            array = np.array([list(map(float, column)) for column in words]).T.copy()
        except ValueError:
            plain = False
        if plain and np.isfinite(array).all():
            return array
        problems = Findings()
        for number, row in enumerate(zip(*words, strict=True), start=2):
            bad = first_bad_number(row)
            if bad is not None:
                what, hint = f"{name} is not a number: {bad!r}", number_hint(bad)
            else:
                bad = next((word for word in row if not np.isfinite(float(word))), None)
                rule = "positions" if name == "pos" else "labels"
                what, hint = f"{name} contains {bad}: {rule} must be finite", ""
                if rule == "labels":
                    hint = "Leave the label out of frames that have none."
            if bad is not None:
                problems.add(self.frame.error(what, number, field=name, value=bad, hint=hint))
        problems.raise_problems()
        return np.array([list(map(float, column)) for column in words]).T.copy()

    def _lattice(
        self, values: Mapping[str, str | None]
    ) -> tuple[Float64[np.ndarray, "3 3"] | None, tuple[bool, ...]]:
        """Return the cell, None without one, and the periodic directions."""
        frame = self.frame
        key = "Lattice"
        try:
            cell = None
            if "Lattice" in values:
                lattice = numbers(values["Lattice"])
                if lattice.size != 9:
                    raise CommentError(f"must have 9 components, got {lattice.size}")
                cell = lattice.reshape(3, 3) if lattice.any() else None
            key = "pbc"
            pbc = (cell is not None,) * 3
            self.pbc_is_implied = "Lattice" in values and "pbc" not in values
            if "pbc" in values:
                pbc = truths(values["pbc"])
                pbc = pbc * 3 if len(pbc) == 1 else pbc
                if len(pbc) != 3:
                    raise CommentError(f"must have 3 values, got {values['pbc']!r}")
        except CommentError as error:
            problem = f"{key} {error}"
            raise frame.error(problem, 1, field=key, value=values[key]) from error
        self._check_cell(cell, pbc)
        return cell, pbc

    def _check_cell(self, cell: Float64[np.ndarray, "3 3"] | None, pbc: tuple[bool, ...]) -> None:
        """Refuse cells that cannot be, or that no atoms would fit into."""
        try:
            check_cell(cell, pbc)
        except ValueError as error:
            key = "pbc" if cell is None else "Lattice"
            raise self.frame.error(str(error), 1, field=key) from error
        if cell is None or not any(pbc):
            return
        hint = "Is the cell in nm, or are these fractions of another length? It must be in Å."
        shortest = np.linalg.norm(cell[list(pbc)], axis=1).min()
        volume = abs(np.linalg.det(cell))
        if shortest < _LEAST_LENGTH or (all(pbc) and volume < _LEAST_VOLUME):
            size = f"a volume of {volume:.3g} Å^3" if all(pbc) else f"an edge of {shortest:.3g} Å"
            problem = f"the cell is too small for an atom: {size}"
            raise self.frame.error(problem, 1, field="Lattice", value=cell.tolist(), hint=hint)

    def _weight(self, values: Mapping[str, str | None]) -> float:
        """Return the factor of the frame in the loss."""
        if "config_weight" not in values:
            return 1.0
        text = values["config_weight"]
        try:
            (weight,) = numbers(text)
        except ValueError:
            weight = np.nan
        if not (np.isfinite(weight) and weight >= 0):
            problem = f"config_weight must be a number of at least 0, got {text}"
            raise self.frame.error(problem, 1, field="config_weight", value=text)
        return float(weight)

    def _labels(
        self,
        values: Mapping[str, str | None],
        columns: Mapping[str, Column],
        cells: list[tuple[str, ...]],
        lattice: tuple[Float64[np.ndarray, "3 3"] | None, tuple[bool, ...]] | None,
    ) -> Labels:
        """Return the labels that are right; no stress where the cell is wrong."""
        names, frame = self._names, self.frame
        energy = self._try(energy_of, frame, values, names.keys("energy"))
        if energy is not None:
            self.free_energy = self._try(free_energy_difference, frame, values, energy)
        arrays = {
            key: self._try(self._array, key, columns[key], cells)
            for key in names.keys("forces")
            if key in columns
        }
        forces = None
        if all(array is not None for array in arrays.values()):
            forces = self._try(forces_of, frame, arrays)
        stress = None
        if lattice is not None:
            cell, pbc = lattice
            stress = self._try(
                stress_of,
                frame,
                values,
                names.keys("stress"),
                names.keys("virial"),
                names.stress_order,
                abs(np.linalg.det(cell)) if cell is not None and all(pbc) else None,
                names.virial is not None,
            )
        found = {"energy": energy, "forces": forces, "stress": stress}
        found = {name: label for name, label in found.items() if label is not None}
        return Labels(
            **{name: value for name, (_, value) in found.items()},
            keys={name: key for name, (key, _) in found.items()},
        )
