"""Read structures and their labels from extended XYZ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict, read_xyz
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float64

from multiace.data.errors import DataError
from multiace.elements import ElementError, atomic_number, symbol_of
from multiace.geometry import Labels, Structure

DEFAULT_KEYS: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "REF_energy"),
    "forces": ("forces", "REF_forces"),
    "stress": ("stress", "REF_stress"),
}
"""Names under which a label is looked for when none is given."""

_PROPERTIES = re.compile(r"(?:^|\s)Properties\s*=\s*[\"{']?([^\s\"}']+)")
_TENSOR_KEYS = ("stress", "virial")
_TENSOR = re.compile(rf"(?<!\S)({'|'.join(_TENSOR_KEYS)})(?=\s*=)")
_STRESS_ASYMMETRY = 1e-4  # relative to the largest component
_SAME_LABEL = 1e-8  # absolute and relative: two keys hold one value


@dataclass(frozen=True)
class _Frame:
    """The text of one frame and its place in the file."""

    file: Path
    index: int
    first_line: int
    lines: list[str]
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def comment(self) -> str:
        return self.lines[1]

    def error(self, problem: str, line: int | None = None, **details: Any) -> DataError:
        """Return an error at this frame; `line` counts from its first one."""
        number = self.first_line + (0 if line is None else line)
        return DataError(problem, file=self.file, frame=self.index, line=number, **details)

    def parse_comment(self, text: str) -> dict[str, Any]:
        """Parse the comment line as ASE does and keep what it said in `info`."""
        self.info.update(_parse_comment(text))
        return {key: value for key, value in self.info.items() if key not in _TENSOR_KEYS}


def read_structures(
    path: str | Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
) -> list[Structure]:
    """Read every frame of an extended XYZ file.

    Labels are looked for under the plain names `energy`, `forces`, `stress` and under `REF_energy`,
    `REF_forces`, `REF_stress`, or under the one name given; a frame without one has None there.
    `Labels.keys` says which name it was. Stress may be a 3x3 matrix or the six components
    xx yy zz yz xz xy; its sign is ASE's. `config_type` and `config_weight` are read when present.
    A `Lattice` without `pbc` is periodic in all directions, as the format says.

    Args:
        path: the file; eV, Å, eV/Å, eV/Å^3.
        energy_key: name of the energy in the comment line.
        forces_key: name of the forces in `Properties`.
        stress_key: name of the stress in the comment line.

    Raises:
        DataError: the file does not exist, is empty, truncated or malformed, a symbol is unknown,
            a value is not finite, or two names hold different labels.
    """
    return list(
        iterate_structures(
            path, energy_key=energy_key, forces_key=forces_key, stress_key=stress_key
        )
    )


def iterate_structures(
    path: str | Path,
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
) -> Iterator[Structure]:
    """Yield what `read_structures` returns, one structure at a time."""
    given = {"energy": energy_key, "forces": forces_key, "stress": stress_key}
    keys = {name: (key,) if key else DEFAULT_KEYS[name] for name, key in given.items()}
    for frame in _frames(Path(path)):
        yield _structure(frame, keys)


def keys_in_file(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Return the names a file holds for whole frames (`frame`) and for atoms (`atoms`).

    Raises:
        DataError: the file is truncated or malformed.
    """
    of_frames: set[str] = set()
    of_atoms: set[str] = set()
    for frame in _frames(Path(path)):
        of_frames.update(_parse_comment(frame.comment))
        of_atoms.update(name for name, _ in _columns(frame))
    of_frames -= {"Properties", "Lattice", "pbc"}
    of_atoms -= {"species", "pos", "Z"}
    return {"frame": tuple(sorted(of_frames)), "atoms": tuple(sorted(of_atoms))}


def _frames(path: Path) -> Iterator[_Frame]:
    """Yield the frames of a file, checked for the right number of lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except UnicodeDecodeError as error:
        raise DataError("this is not a text file", file=path, hint="Give extended XYZ.") from error
    if not text.strip():
        raise DataError("the file is empty: it must hold at least one frame", file=path)
    lines = text.split("\n")
    if lines.pop():
        raise DataError(
            "the last line does not end: the file looks truncated",
            file=path,
            line=len(lines) + 1,
            hint="If it is complete, add a line break at its end.",
        )
    while not lines[-1].strip():
        lines.pop()
    start = 0
    index = 0
    while start < len(lines):
        n_atoms = _atom_count(path, index, start, lines[start])
        stop = start + 2 + n_atoms
        if stop > len(lines):
            raise DataError(
                f"expected {n_atoms} atoms, found {max(len(lines) - start - 2, 0)}",
                file=path,
                frame=index,
                line=len(lines),
                hint="The file looks truncated.",
            )
        yield _Frame(path, index, start + 1, lines[start:stop])
        start = stop
        index += 1


def _atom_count(path: Path, frame: int, start: int, line: str) -> int:
    """Return the number of atoms a frame begins with."""
    if re.fullmatch(r"\s*[0-9]+\s*", line) and int(line) > 0:
        return int(line)
    found = repr(line.strip()) if line.strip() else "a blank line"
    raise DataError(
        f"expected the number of atoms, at least 1, found {found}",
        file=path,
        frame=frame,
        line=start + 1,
        value=line,
        hint="Frames follow one another without blank lines.",
    )


def _columns(frame: _Frame) -> list[tuple[str, int]]:
    """Return the names of the columns and how many each has."""
    match = _PROPERTIES.search(frame.comment)
    declared = match.group(1) if match else "species:S:1:pos:R:3"
    fields = declared.split(":")
    if len(fields) % 3 or not all(count.isdigit() for count in fields[2::3]):
        raise frame.error(
            f"Properties={declared} is not name:type:columns, repeated", 1, field="Properties"
        )
    return [(name, int(count)) for name, count in zip(fields[::3], fields[2::3], strict=True)]


def _parse_comment(text: str) -> dict[str, Any]:
    """Parse a comment line with ASE, which refuses a stress or virial of six components."""
    parsed = key_val_str_to_dict(_TENSOR.sub(r"\1__", text))
    return {key.removesuffix("__"): value for key, value in parsed.items()}


def _check_rows(frame: _Frame) -> None:
    """Refuse rows of the wrong length and unknown elements, which ASE would let pass."""
    columns = _columns(frame)
    n_columns = sum(count for _, count in columns)
    names = [name for name, _ in columns]
    kind = next((name for name in ("species", "Z") if name in names), None)
    if kind is None or "pos" not in names:
        raise frame.error(f"Properties must hold species and pos, got {', '.join(names)}", 1)
    column = sum(count for _, count in columns[: names.index(kind)])
    known: set[str] = set()
    for number, line in enumerate(frame.lines[2:], start=2):
        values = line.split()
        if len(values) != n_columns:
            raise frame.error(f"expected {n_columns} columns, found {len(values)}", number)
        if values[column] in known:
            continue
        try:
            if kind == "species":
                atomic_number(values[column])
            else:
                symbol_of(int(values[column]))
        except ValueError as error:
            raise frame.error(str(error), number, field=kind, value=values[column]) from error
        known.add(values[column])


def _structure(frame: _Frame, keys: Mapping[str, tuple[str, ...]]) -> Structure:
    """Return the structure of one frame with its labels."""
    _check_rows(frame)
    try:
        text = StringIO("\n".join(frame.lines) + "\n")
        atoms = next(iter(read_xyz(text, index=0, properties_parser=frame.parse_comment)))
    except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
        raise frame.error(f"ASE cannot read the frame: {error}") from error
    results = {} if atoms.calc is None else atoms.calc.results
    found = {
        "energy": {key: frame.info[key] for key in keys["energy"] if key in frame.info},
        "forces": {
            key: results.get(key, atoms.arrays.get(key))
            for key in keys["forces"]
            if key in atoms.arrays or (key in results and key not in frame.info)
        },
        "stress": {key: frame.info[key] for key in keys["stress"] if key in frame.info},
    }
    labels, used = {}, {}
    for name, candidates in found.items():
        values = {key: _label(frame, name, key, raw) for key, raw in candidates.items()}
        if values:
            used[name], labels[name] = _one_value(frame, name, values)
    return _assemble(frame, atoms, Labels(**labels, keys=used))


def _assemble(frame: _Frame, atoms: Atoms, labels: Labels) -> Structure:
    """Return the structure, its problems reported at the frame."""
    weight = frame.info.get("config_weight", 1.0)
    if not (isinstance(weight, int | float) and np.isfinite(weight) and weight >= 0):
        raise frame.error(
            f"config_weight must be a number of at least 0, got {weight}", 1, field="config_weight"
        )
    try:
        structure = Structure.from_ase(
            atoms,
            labels=labels,
            config_type=str(frame.info.get("config_type", "")),
            source=f"{frame.file}:{frame.index}",
            weight=float(weight),
        )
    except (ElementError, ValueError) as error:
        raise frame.error(str(error)) from error
    if labels.stress is not None and structure.volume is None:
        raise frame.error(
            f"there is a stress, but pbc is {structure.pbc}",
            1,
            field="stress",
            hint="A stress needs three periodic directions: take it out, or set pbc.",
        )
    return structure


def _label(frame: _Frame, name: str, key: str, raw: Any) -> Float64[np.ndarray, "..."]:
    """Return one label as a checked array: (), (atoms, 3) or (3, 3)."""
    try:
        values = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise frame.error(f"{key} is not a number: {raw!r}", 1, field=key, value=raw) from error
    if isinstance(raw, bool) or np.asarray(raw).dtype == bool:
        raise frame.error(f"{key} is not a number: {raw!r}", 1, field=key, value=raw)
    if name == "stress":
        values = _stress_matrix(frame, key, values)
    expected = {"energy": (), "forces": (len(frame.lines) - 2, 3), "stress": (3, 3)}[name]
    if values.shape != expected:
        what = "a single number" if name == "energy" else f"of shape {expected}"
        raise frame.error(f"{key} must be {what}, got {raw}", 1, field=key, value=raw)
    if not np.isfinite(values).all():
        line = 1
        if name == "forces":
            line = 2 + int(np.argwhere(~np.isfinite(values))[0, 0])
        value = values[~np.isfinite(values)][0]
        raise frame.error(
            f"{key} contains {value}: labels must be finite",
            line,
            field=key,
            value=value,
            hint="Leave the label out of frames that have none.",
        )
    return values


def _stress_matrix(
    frame: _Frame, key: str, values: Float64[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    """Return a stress as a symmetric matrix; ASE's order for six components."""
    if values.shape == (6,):
        return voigt_6_to_full_3x3_stress(values)
    if values.size != 9:
        raise frame.error(
            f"{key} must have 9 components, or 6 in the order xx yy zz yz xz xy, got {values.size}",
            1,
            field=key,
        )
    matrix = values.reshape(3, 3)
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > _STRESS_ASYMMETRY * max(np.abs(matrix).max(), 1e-4):
        raise frame.error(
            f"{key} is not symmetric: {matrix.tolist()}",
            1,
            field=key,
            hint="Six components in Voigt order need exactly six numbers.",
        )
    return 0.5 * (matrix + matrix.T)


def _one_value(
    frame: _Frame, name: str, values: dict[str, Float64[np.ndarray, "..."]]
) -> tuple[str, Any]:
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
    return key, float(value) if name == "energy" else value
