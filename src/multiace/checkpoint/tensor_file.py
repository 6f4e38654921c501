"""Files of tensors: one safetensors file, with a JSON description that is checked before use.

A file holds tensors and, under the single metadata key ``multiace``, a JSON object: what kind of
file it is, the version of the format, and its content. No pickle, no class names, no code.

The digest ``sha256`` covers every byte of the file, with its own 64 hexadecimal digits read as
zeros, so one flipped bit anywhere is found. Files are written to a temporary name in the same
directory, synchronised to the disk, read back and only then renamed: a reader sees the old file or
the new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from multiace import __version__

FORMAT_VERSION = 1
"""Version of the files written; files of all versions up to it can be read."""

METADATA_KEY = "multiace"
MAX_HEADER_BYTES = 64 * 2**20
MAX_TENSORS = 100_000

_BLANK = "0" * 64


class ModelFileError(ValueError):
    """A file of weights that cannot be read or written: names the file and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[ModelFileError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


def write_tensors(
    path: str | os.PathLike[str],
    kind: str,
    tensors: Mapping[str, Tensor],
    content: Mapping[str, Any],
) -> None:
    """Write tensors and their JSON description to a file, whole or not at all.

    Args:
        path: the file to write.
        kind: what the file is, `model` or `checkpoint`.
        tensors: finite values under any names.
        content: plain JSON data.

    Raises:
        ModelFileError: values that are not finite, or a disk that cannot take the file.
    """
    check_finite(path, tensors, "tensor")
    description = {
        "format": f"multiace-{kind}",
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
        "sha256": _BLANK,
        "content": content,
    }
    data = bytearray(
        safetensors.torch.save(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            metadata={METADATA_KEY: json.dumps(description, allow_nan=False)},
        )
    )
    position = data.index(_BLANK.encode())
    data[position : position + len(_BLANK)] = hashlib.sha256(data).hexdigest().encode()
    replace_file(path, data)


def read_tensors(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file written by `write_tensors` and verify its digest.

    Args:
        path: the file.
        kind: what the file must be, `model` or `checkpoint`.

    Returns:
        The JSON description and the tensors, on the CPU.

    Raises:
        ModelFileError: missing, cut, changed, foreign, hostile, or of a later version.
    """
    data = _read_checked_size(path)
    description, digest = _description(path, data, kind)
    if _digest(data, digest) != digest:
        raise ModelFileError(
            path,
            "the content does not match its SHA-256: the file was damaged or changed after it was "
            "written. Take it from where it was copied from, or use an older file.",
        )
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise ModelFileError(path, f"not a valid safetensors file: {error}") from None
    return description["content"], tensors


def replace_file(path: str | os.PathLike[str], data: bytes | bytearray) -> None:
    """Write a file through a verified temporary one, so that it is never half written.

    Raises:
        ModelFileError: the disk is full, read-only or lies; an older file is left as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if temporary.read_bytes() != data:
            raise OSError(errno.EIO, "the disk returned other bytes than were written")
        os.replace(temporary, target)
        _synchronise_directory(target.parent)
    except OSError as error:
        raise ModelFileError(
            path,
            f"cannot be written: {error.strerror or error}. It needs {len(data):,} bytes; "
            "a file of that name written earlier is unchanged.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _synchronise_directory(directory: Path) -> None:
    """Make a rename survive a power failure; only POSIX systems can open a directory."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_checked_size(path: str | os.PathLike[str]) -> bytes:
    """Read a file whose header agrees with its size, and nothing before that is known."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(8)
            n_header = int.from_bytes(start, "little")
            if n_header > min(MAX_HEADER_BYTES, size - 8):
                raise ModelFileError(path, _foreign(start, n_header, size))
            header = start + stream.read(n_header)
            expected = len(header) + _payload_size(path, header[8:])
            if expected != size:
                raise ModelFileError(
                    path,
                    f"{size:,} bytes, but its header describes {expected:,}: "
                    f"{'cut short' if size < expected else 'followed by foreign bytes'}.",
                )
            return header + stream.read()
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror or error}.") from error


def _foreign(start: bytes, n_header: int, size: int) -> str:
    """Say what a file may be whose first eight bytes are not the length of a header."""
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            "this is a pickle or a zip of pickles (torch.save), which can run code when opened. "
            "multiace reads only its own safetensors files."
        )
    if size < 8:
        return f"{size} bytes are too few for a safetensors file."
    return (
        f"its header claims {n_header:,} bytes, the file has {size:,}: "
        "not a safetensors file, or cut short."
    )


def _payload_size(path: str | os.PathLike[str], header: bytes) -> int:
    """Return the number of bytes of all tensors, as the header describes them."""
    table = _parse_json(path, header)
    table.pop("__metadata__", None)
    if len(table) > MAX_TENSORS:
        raise ModelFileError(path, f"{len(table):,} tensors are more than {MAX_TENSORS:,}.")
    try:
        ends = [int(entry["data_offsets"][1]) for entry in table.values()]
    except (KeyError, TypeError, IndexError, ValueError):
        raise ModelFileError(path, "its header is not that of a safetensors file.") from None
    return max(ends, default=0)


def _parse_json(path: str | os.PathLike[str], text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFileError(path, "its header is not JSON: damaged, or another format.") from None
    if not isinstance(value, dict):
        raise ModelFileError(path, "its header is not a JSON object.")
    return value


def _description(
    path: str | os.PathLike[str], data: bytes, kind: str
) -> tuple[dict[str, Any], str]:
    """Return the JSON under our key and the digest in it."""
    n_header = int.from_bytes(data[:8], "little")
    metadata = _parse_json(path, data[8 : 8 + n_header]).get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise ModelFileError(
            path, f"no {METADATA_KEY!r} entry in its metadata: not a file of multiace."
        )
    description = _parse_json(path, metadata[METADATA_KEY])
    found, version = description.get("format"), description.get("format_version")
    if found != f"multiace-{kind}":
        raise ModelFileError(path, f"is a {found!r} file where a 'multiace-{kind}' is needed.")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(path, f"format_version must be a positive integer, got {version!r}.")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            path,
            f"was written in format {version} by multiace {description.get('library_version')}; "
            f"this is multiace {__version__}, which reads up to format {FORMAT_VERSION}. "
            "Update multiace.",
        )
    digest = description.get("sha256")
    if not isinstance(digest, str) or len(digest) != 64 or digest == _BLANK:
        raise ModelFileError(path, "it has no SHA-256 of its content.")
    if not isinstance(description.get("content"), dict):
        raise ModelFileError(path, "it has no description of its content.")
    return description, digest


def _digest(data: bytes, digest: str) -> str:
    """Return the SHA-256 of a file with the digest inside it read as zeros."""
    position = data.find(digest.encode())
    blank = hashlib.sha256(data[:position])
    blank.update(_BLANK.encode())
    blank.update(memoryview(data)[position + len(digest) :])
    return blank.hexdigest()


def set_values(
    path: str | os.PathLike[str],
    targets: Mapping[str, Tensor],
    values: Mapping[str, Tensor],
    what: str = "weight",
) -> None:
    """Copy values into tensors of the same names and shapes.

    Raises:
        ModelFileError: names or shapes differ, or a value is not finite.
    """
    missing = sorted(set(targets) - set(values))
    unknown = sorted(set(values) - set(targets))
    if missing or unknown:
        names = [f"{name!r} is missing" for name in missing[:3]]
        names += [f"{name!r} is unknown" for name in unknown[:3]]
        raise ModelFileError(path, f"the {what}s are not those of the design: {', '.join(names)}.")
    for name, target in targets.items():
        if target.shape != values[name].shape:
            raise ModelFileError(
                path,
                f"{what} {name!r} has shape {tuple(values[name].shape)}, "
                f"but the design asks for {tuple(target.shape)}.",
            )
    check_finite(path, values, what)
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(values[name])


def check_finite(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], what: str = "weight"
) -> None:
    """Refuse tensors with NaN or infinity.

    Raises:
        ModelFileError: naming the tensor and the number of such values.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            number = int((~torch.isfinite(tensor)).sum())
            raise ModelFileError(path, f"{what} {name!r} has {number} values that are not finite.")
