"""The file of a program, which executors check when they open it; see docs/programs.md."""

from __future__ import annotations

import json
import zlib
from typing import Any

import torch

from multiace import __version__
from multiace.program.program import Program

_CHECKSUM = "checksum"
_NAMES = {torch.int64: "I64", torch.float32: "F32", torch.float64: "F64"}


def to_bytes(program: Program) -> bytes:
    """Return the program as the bytes of its file: the same for the same program."""
    metadata = {
        "format": "multiace program",
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
    place = 8 + len(text) + header[_CHECKSUM]["data_offsets"][0]
    data[place : place + 8] = zlib.crc32(data).to_bytes(8, "little")
    return bytes(data)
