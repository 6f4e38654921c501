"""Write a neutral file: tensors and a JSON description in the safetensors format, by hand.

Exporters run in the interpreter of the code whose models they read, which has torch but neither
multiace nor the safetensors package. They import nothing but this file and their own peer. What
goes wrong is the last line on the standard error.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from typing import Any

FORMAT = "multiace-neutral"
FORMAT_VERSION = 1

_DTYPES = {"float64": "F64", "float32": "F32", "int64": "I64"}


Export = Callable[[str], tuple[dict[str, Any], dict[str, Any]]]
"""File of the peer -> settings and tensors of its model."""


def run(peer: str, packages: tuple[str, ...], export: Export) -> None:
    """Export as the command line says: `INTERPRETER exporter.py FILE OUT`.

    Args:
        peer: name of the code that the model is of.
        packages: distributions to note the versions of; all must be there.
        export: reads the file.
    """
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} FILE OUT")
    sys.path.pop(0)  # the folder of the exporters, where `import mace` would find the exporter
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            sys.exit(f"{sys.executable} has no {package}. Give the interpreter that it runs in.")
    settings, tensors = export(sys.argv[1])
    write_neutral(sys.argv[2], peer, versions, settings, tensors)


def write_neutral(
    path: str,
    peer: str,
    versions: dict[str, str],
    settings: dict[str, Any],
    tensors: dict[str, Any],
) -> None:
    """Write tensors under their own names and the settings of a model.

    Args:
        path: the file to write.
        peer: name of the code that the model is of.
        versions: versions of its packages, that of the peer among them.
        settings: plain data.
        tensors: torch tensors of float64, float32 or int64.
    """
    header: dict[str, Any] = {}
    blobs: list[bytes] = []
    start = 0
    for name, tensor in sorted(tensors.items()):
        array = tensor.detach().cpu().contiguous().numpy()
        blobs.append(array.tobytes())
        stop = start + len(blobs[-1])
        header[name] = {
            "dtype": _DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "peer": peer,
        "versions": versions,
        "settings": settings,
    }
    header["__metadata__"] = {FORMAT: json.dumps(description, allow_nan=False)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))
