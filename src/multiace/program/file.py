"""Program files: one safetensors file, checked when read. See docs/programs.md."""

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
from multiace.program.check import check, operation_of
from multiace.program.program import FORMAT, LIFETIMES, ROWS, Array, Program

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
    """Read a program and check all of it.

    Raises:
        ProgramFileError: the file cannot be read, is damaged, or is of another kind or version.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ProgramFileError(f"{path}: cannot be read: {error.strerror or error}.") from error
    try:
        return _program(data)
    except _Refused as refused:
        raise ProgramFileError(f"{path}: {refused}") from None
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise ProgramFileError(
            f"{path}: is not a program that makes sense: {error}. Export the model again."
        ) from None


class _Refused(ValueError):
    """Why a file is no program, in a sentence."""


def _program(data: bytes) -> Program:
    try:
        tensors = safetensors.torch.load(data)
        n_header = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + n_header]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise _Refused(f"is not a valid safetensors file: {error}.") from None
    if metadata.get("format") != _KIND:
        raise _Refused(
            f"is a {metadata.get('format')!r} file where a {_KIND!r} is needed. Write one with "
            "`multiace export MODEL --to program`."
        )
    found = tensors.pop(_CHECKSUM, None)
    if found is None or found.dtype != torch.int64 or found.numel() != 1:
        raise _Refused("has no checksum.")
    place = _place_of_checksum(data)
    if zlib.crc32(data[:place] + bytes(8) + data[place + 8 :]) != int(found):
        raise _Refused(
            "does not match its checksum: the file was damaged or changed after it was written. "
            "Copy it again, or export the model again."
        )
    program = _decode(tensors, metadata)
    check(program)
    if program.digest != metadata.get("digest"):
        raise _Refused("does not match its digest. Export the model again.")
    return program


def _place_of_checksum(data: bytes | bytearray) -> int:
    n_header = int.from_bytes(data[:8], "little")
    return 8 + n_header + json.loads(data[8 : 8 + n_header])[_CHECKSUM]["data_offsets"][0]


def _decode(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Program:
    """Return the program of named tensors."""
    header = _words(tensors, "header")
    if header[0] != FORMAT:
        raise _Refused(
            f"has format {header[0]}; this is multiace {__version__}, which reads format "
            f"{FORMAT}. Update multiace, or export the model again."
        )
    _, n_layers, n_elements, n_arrays, n_operations, n_tables, n_constants, *rest = header
    vectors, size, exact = rest
    cutoff, error, slope_error = tensors["settings"].double().tolist()
    tables = [tensors[f"table.{n}"] for n in range(n_tables)]
    constants = [tensors[f"constant.{n}"] for n in range(n_constants)]
    arrays = tuple(
        Array(ROWS[_index(rows)], width, LIFETIMES[_index(lifetime)], bool(differentiable))
        for rows, width, lifetime, differentiable in tensors["arrays"].tolist()
    )
    operations, words = [], _words(tensors, "operations")
    while words:
        n = words[0]
        if not 1 <= n <= len(words):
            raise ValueError(f"an operation has {n} words, of {len(words)} that are left")
        operations.append(operation_of(words[1:n], tables, constants))
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
    if counts != (n_layers, n_elements, n_arrays, n_operations):
        raise ValueError(f"the header counts {header[1:5]}, and there are {counts}")
    if len(tensors) != 9 + n_tables + n_constants:
        raise ValueError(f"{len(tensors)} tensors are not those of the header")
    return program


def _words(tensors: dict[str, Tensor], name: str) -> list[Any]:
    found = tensors[name]
    if found.dtype != torch.int64 or found.ndim != 1:
        raise ValueError(f"{name} is {found.dtype}, {tuple(found.shape)}, not int64 words")
    return found.tolist()


def _index(value: int) -> int:
    """Refuse what counts from the end."""
    if value < 0:
        raise ValueError(f"{value} is no position")
    return value
