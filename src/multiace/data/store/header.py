"""The beginning of a store: text that says what the store was made from.

An HDF5 file may begin with a block that HDF5 passes over. That of a store holds one line,
`multiace-store BYTES`, with the size of the block, then JSON, then spaces. It can be read when
the rest of the file is damaged, which is what lets a store be prepared anew from its sources.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import pydantic

from multiace import __version__
from multiace.data.errors import DataError
from multiace.data.frame_labels import StressOrder
from multiace.data.identity import file_digest

FORMAT_VERSION = 1
"""Version of the stores written. Stores of earlier versions are prepared anew."""

MAGIC = b"multiace-store "
MAX_BLOCK = 2**24
_MIN_BLOCK = 2**9  # of HDF5
_LINE = 32  # bytes that are enough for the first line

Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, pydantic.Field(ge=0, lt=2**63, strict=True)]
Cutoff = Annotated[float, pydantic.Field(gt=0.0, allow_inf_nan=False)]


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Record):
    """A file that structures were read from."""

    name: str = pydantic.Field(description="As it was given; part of `Structure.source`.")
    path: str = pydantic.Field(description="Its path from the directory of the store.")
    sha256: Sha256 = pydantic.Field(description="Digest of its bytes.")
    structures: Count = pydantic.Field(description="Structures read from it.")


class Keys(_Record):
    """Names of the labels that were asked for; None: the usual ones."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    stress_order: StressOrder | None = None


class Header(_Record):
    """What a store says of itself."""

    format: str = pydantic.Field(default="multiace-store", pattern="^multiace-store$")
    format_version: Annotated[int, pydantic.Field(ge=1, strict=True)] = FORMAT_VERSION
    library_version: str = __version__
    sources: tuple[SourceFile, ...] = pydantic.Field(min_length=1)
    keys: Keys = Keys()
    cutoffs: tuple[Cutoff, ...] = pydantic.Field(
        default=(), description="Å; edges are counted within each."
    )
    atoms: Count = pydantic.Field(description="Atoms of all structures.")

    @property
    def structures(self) -> int:
        """Structures of all sources."""
        return sum(source.structures for source in self.sources)

    def changed_sources(self, store: Path) -> list[str]:
        """Return what became of the source files, one line for each that is not as it was.

        Args:
            store: path of the store.
        """
        changes = []
        for source in self.sources:
            try:
                digest = file_digest(store.parent / source.path)
            except OSError:
                continue  # a store can be moved where its sources are not
            if digest != source.sha256:
                changes.append(
                    f"{source.name} has changed (SHA-256 {source.sha256[:12]} -> {digest[:12]})"
                )
        return changes

    def missing_sources(self, store: Path) -> list[str]:
        """Return the names of source files that are not where they were."""
        return [s.name for s in self.sources if not (store.parent / s.path).is_file()]


def as_block(header: Header, size: int | None = None) -> bytes:
    """Return a header as the bytes of its block.

    Args:
        header: what to write.
        size: bytes of the block; default: the smallest that HDF5 allows.
    """
    text = json.dumps(header.model_dump(mode="json"), ensure_ascii=False, indent=1).encode() + b"\n"
    if size is None:
        size = _MIN_BLOCK
        while size < _LINE + len(text):
            size *= 2
    line = MAGIC + f"{size}\n".encode()
    return (line + text).ljust(size)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the header of a store.

    Raises:
        DataError: no such file, not a store, a damaged header, or one of a later version.
    """
    try:
        with open(path, "rb") as stream:
            block = _block(stream.read(_LINE), path)
            stream.seek(0)
            content = json.loads(stream.read(block).partition(b"\n")[2])
    except FileNotFoundError:
        raise DataError("there is no such file", file=Path(path)) from None
    except DataError:
        raise
    except (ValueError, RecursionError):
        raise damaged(path, "its header is not JSON") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DataError(
            f"the store has format {version}, written by multiace "
            f"{str(content.get('library_version'))[:20]}; this is multiace {__version__}, which "
            f"reads up to format {FORMAT_VERSION}",
            file=Path(path),
            hint="Update multiace, or prepare the store again.",
        )
    try:
        return Header.model_validate(content)
    except (pydantic.ValidationError, RecursionError):
        raise damaged(path, "its header has no meaning") from None


def block_size(path: str | os.PathLike[str]) -> int:
    """Return the size of the block of a header in bytes."""
    with open(path, "rb") as stream:
        return _block(stream.read(_LINE), path)


def _block(start: bytes, path: str | os.PathLike[str]) -> int:
    number = start.removeprefix(MAGIC).partition(b"\n")[0]
    if not start.startswith(MAGIC) or not number.isdigit() or len(number) > 9:
        raise DataError(
            "this is not a store of multiace",
            file=Path(path),
            hint="`multiace data prepare` makes one from extended XYZ.",
        )
    size = int(number)
    if not _MIN_BLOCK <= size <= MAX_BLOCK or size & (size - 1):
        raise damaged(path, f"its header claims {size} bytes")
    return size


def damaged(path: str | os.PathLike[str], what: str) -> DataError:
    """Return the error for a store that cannot be used."""
    return DataError(
        f"the store is damaged: {what}",
        file=Path(path),
        hint="Prepare it again with `multiace data prepare`.",
    )
