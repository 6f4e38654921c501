"""Program files: one safetensors file, checked when read. See docs/programs.md.

Widths of arrays and shapes of weights are checked by the executors that run a program.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from multiace import __version__
from multiace.elements import SYMBOLS
from multiace.program.program import (
    ABSENT,
    FORMAT,
    LIFETIMES,
    OPERATIONS,
    ROWS,
    Array,
    Operation,
    Program,
)

_KIND = "multiace program"
_CHECKSUM = "checksum"
_NAMES = {torch.int64: "I64", torch.float32: "F32", torch.float64: "F64"}
_DTYPES = {4: torch.float32, 8: torch.float64}


class ProgramFileError(ValueError):
    """A program file that cannot be read: names the file and the reason."""


def to_bytes(program: Program) -> bytes:
    """Return the program as the bytes of its file: the same for the same program."""
    metadata = {
        "format": _KIND,
        "version": __version__,
        "terms": json.dumps(program.names),
        "digest": program.digest,
        "provenance": json.dumps(dict(program.provenance), sort_keys=True),
    }
    blank = torch.zeros(1, dtype=torch.int64)
    tensors = sorted({**program.tensors, _CHECKSUM: blank}.items())
    tensors.sort(key=lambda named: -named[1].itemsize)  # so that all are aligned
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors:
        start, end = end, end + tensor.nbytes
        place = {"data_offsets": [start, end], "shape": list(tensor.shape)}
        header[name] = {"dtype": _NAMES[tensor.dtype], **place}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    parts = [len(text).to_bytes(8, "little"), text]
    parts += [tensor.contiguous().numpy().tobytes() for _, tensor in tensors]
    data = bytearray().join(parts)
    place = _place_of_checksum(data)
    data[place : place + 8] = zlib.crc32(data).to_bytes(8, "little")
    return bytes(data)


def write_program(path: str | os.PathLike[str], program: Program) -> None:
    """Write a program to a file, whole or not at all."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(to_bytes(program))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_program(path: str | os.PathLike[str]) -> Program:
    """Read a program.

    Raises:
        ProgramFileError: the file cannot be read, is damaged, or is of another kind or version.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ProgramFileError(f"{path}: cannot be read: {error.strerror or error}.") from error
    try:
        tensors = safetensors.torch.load(data)
        metadata = _header(data).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise ProgramFileError(f"{path}: is not a valid safetensors file: {error}.") from None
    reason = _refusal(data, tensors, metadata)
    if reason is not None:
        raise ProgramFileError(f"{path}: {reason}")
    del tensors[_CHECKSUM]
    try:
        program = _decode(tensors, metadata)
        _check(program)
        _ensure(program.digest == metadata["digest"], "its digest is another one")
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise ProgramFileError(
            f"{path}: makes no sense as a program: {error}. Export the model again."
        ) from None
    return program


def _header(data: bytes | bytearray) -> dict[str, Any]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def _place_of_checksum(data: bytes | bytearray) -> int:
    return 8 + int.from_bytes(data[:8], "little") + _header(data)[_CHECKSUM]["data_offsets"][0]


def _refusal(data: bytes, tensors: dict[str, Tensor], metadata: dict[str, str]) -> str | None:
    """Return why a file is not read any further, as a sentence."""
    kind, found, header = metadata.get("format"), tensors.get(_CHECKSUM), tensors.get("header")
    if kind != _KIND:
        return (
            f"is a {kind!r} file where a {_KIND!r} is needed. Write one with "
            "`multiace export MODEL --to program`."
        )
    if found is None or found.dtype != torch.int64 or found.numel() != 1:
        return "has no checksum."
    place = _place_of_checksum(data)
    if zlib.crc32(data[:place] + bytes(8) + data[place + 8 :]) != int(found):
        return (
            "does not match its checksum: the file was damaged or changed after it was written. "
            "Copy it again, or export the model again."
        )
    if header is None or header.numel() != 10 or int(header[0]) != FORMAT:
        return (
            f"has format {None if header is None else int(header[0])}; this is multiace "
            f"{__version__}, which reads format {FORMAT}. Update multiace, or export the model "
            "again."
        )
    return None


def _decode(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Program:
    """Return the program of named tensors."""
    _, n_layers, n_elements, n_arrays, n_operations, *rest = _words(tensors, "header")
    n_tables, n_constants, vectors, size, exact = rest
    cutoff, error, slope_error = tensors["settings"].double().tolist()
    encodings = [tensors[f"table.{n}"] for n in range(n_tables)]
    constants = [tensors[f"constant.{n}"] for n in range(n_constants)]
    arrays = tuple(
        Array(ROWS[_index(rows)], width, LIFETIMES[_index(lifetime)], bool(differentiable))
        for rows, width, lifetime, differentiable in tensors["arrays"].tolist()
    )
    operations, words = [], _words(tensors, "operations")
    while words:
        n = words[0]
        _ensure(1 <= n <= len(words), f"an operation has {n} words, and {len(words)} are left")
        operations.append(_operation(words[1:n], encodings, constants))
        words = words[n:]
    program = Program(
        elements=tuple(_words(tensors, "elements")),
        cutoff=cutoff,
        dtype=_DTYPES[size],
        exact=bool(exact),
        spline_error=error,
        spline_slope_error=slope_error,
        arrays=arrays,
        operations=tuple(operations),
        vectors=vectors,
        features=tuple(_words(tensors, "features")),
        reads=tuple(_words(tensors, "reads")),
        terms=tensors["terms"],
        factors=tensors["factors"],
        names=tuple(json.loads(metadata["terms"])),
        provenance=json.loads(metadata["provenance"]),
    )
    counts = (program.n_layers, len(program.elements), len(arrays), len(operations))
    _ensure(counts == (n_layers, n_elements, n_arrays, n_operations), "the header counts otherwise")
    _ensure(len(tensors) == 9 + n_tables + n_constants, "it has tensors that nothing refers to")
    return program


def _operation(words: list[int], encodings: list[Tensor], constants: list[Tensor]) -> Operation:
    """Return the operation of a record: code, layer, table, then three lists with their lengths."""
    code, layer, table, *rest = words
    _ensure(1 <= code <= len(OPERATIONS), f"{code} is no code of an operation")
    (name, of_table), lists = list(OPERATIONS.items())[code - 1], []
    for _ in range(3):
        n, rest = rest[0], rest[1:]
        _ensure(0 <= n <= len(rest), f"a list of {name} has {n} words, and {len(rest)} are left")
        lists.append(tuple(rest[:n]))
        rest = rest[n:]
    _ensure(not rest and (table == ABSENT) == (of_table is None), f"a record of {name} is wrong")
    return Operation(
        name,
        layer,
        lists[0],
        lists[1],
        None if of_table is None else of_table.decode(encodings[_index(table)]),
        tuple(None if n == ABSENT else constants[_index(n)] for n in lists[2]),
    )


def _check(program: Program) -> None:
    """Check numbers, positions and the order of operations."""
    elements, n_arrays = program.elements, len(program.arrays)
    _ensure(bool(elements) and elements == tuple(sorted(set(elements))), "elements do not ascend")
    _ensure(1 <= elements[0] <= elements[-1] <= len(SYMBOLS), "an element does not exist")
    numbers = (program.cutoff, program.spline_error, program.spline_slope_error)
    _ensure(all(0.0 <= number < float("inf") for number in numbers), "cutoff or spline errors")
    written, layer = {program.vectors}, 0
    for operation in program.operations:
        name, places = operation.name, (*operation.inputs, *operation.outputs)
        _ensure(all(ABSENT <= n < n_arrays for n in places), f"{name} of arrays out of range")
        _ensure(layer <= operation.layer <= program.n_layers, f"{name} in layer {operation.layer}")
        _ensure({*operation.inputs} <= written | {ABSENT}, f"{name} reads what was not written")
        written |= {*operation.outputs}
        layer = operation.layer
    _ensure({*program.features, *program.reads} <= written - {ABSENT}, "results are not written")
    n_read, n_terms = len(program.reads), len(program.names)
    _ensure(program.terms.shape == (len(elements), n_terms), "the shape of terms")
    _ensure(program.factors.shape == (n_read, len(elements)) and n_read <= n_terms, "factors")
    for name, tensor in program.tensors.items():
        _ensure(not tensor.is_floating_point() or bool(tensor.isfinite().all()), f"{name} is nan")


def _words(tensors: dict[str, Tensor], name: str) -> list[int]:
    found = tensors[name]
    _ensure(found.dtype == torch.int64 and found.ndim == 1, f"{name} is {found.dtype}")
    return found.tolist()


def _index(value: int) -> int:
    """Refuse what Python would count from the end."""
    _ensure(value >= 0, f"{value} is no position")
    return value


def _ensure(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
