"""Write the HDF5 part of a store, piece by piece, without ever filling a disk unawares."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from multiace.data.atomic_energies import is_isolated_atom
from multiace.data.edge_counts import count_edges
from multiace.data.identity import structure_digest
from multiace.data.store.header import Header, as_block
from multiace.data.store.layout import (
    ATOMS,
    CHUNK_BYTES,
    EDGES,
    FRAMES,
    Column,
    columns_of,
    json_bytes,
)
from multiace.geometry import Structure

PIECE = 512
"""Structures that are held in memory while a store is written."""

_SPARE = 2**16
"""Bytes for what HDF5 writes of its own."""

_DATASET_BYTES = 2**13
"""The same for each dataset that is made."""

_HDF5_VERSION = ("v110", "v110")  # its metadata carry checksums; the same bytes from later releases


class Reserved:
    """A file whose bytes are reserved on the disk before HDF5 writes them.

    HDF5 cannot close a file that a full disk keeps it from writing, and takes the process with it
    later. Here the disk is asked first, and says no in time.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        self._end = 0

    def reserve(self, end: int) -> None:
        """Make sure that the file can grow to `end` bytes.

        Raises:
            OSError: the disk is full, or the file may not grow so far.
        """
        end += _SPARE
        if end > self._end and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, end)
            self._end = end

    def finish(self, end: int, block: bytes) -> None:
        """Cut off what was reserved and not needed, and write the block before the HDF5 part."""
        os.ftruncate(self._descriptor, end)
        os.pwrite(self._descriptor, block, 0)
        os.fsync(self._descriptor)

    def __enter__(self) -> Reserved:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)


class Writer:
    """Appends structures to the datasets of a store.

    Args:
        file: an empty HDF5 file.
        reserved: the same file.
        header: its cutoffs are those within which edges are counted.
    """

    def __init__(self, file: h5py.File, reserved: Reserved, header: Header) -> None:
        self._file, self._reserved, self._cutoffs = file, reserved, header.cutoffs
        self._codes: dict[str, dict[Any, int]] = {"config_types": {}, "keys": {}}
        self.n_atoms = self.n_structures = 0
        columns = columns_of(header)
        reserved.reserve(file.id.get_filesize() + _DATASET_BYTES * len(columns))
        for name, column in columns.items():
            _make_dataset(file, name, column)

    def append(self, source: int, first_frame: int, structures: list[Structure]) -> None:
        """Append structures that follow one another in a source.

        Raises:
            OSError: the disk is full.
        """
        n_atoms = sum(structure.n_atoms for structure in structures)
        frames = {name: column.empty(len(structures)) for name, column in FRAMES.items()}
        atoms = {name: column.empty(n_atoms) for name, column in ATOMS.items()}
        start = 0
        for index, structure in enumerate(structures):
            frames["source"][index], frames["frame"][index] = source, first_frame + index
            self._fill_frame(frames, index, structure)
            stop = start + structure.n_atoms
            atoms["number"][start:stop] = structure.numbers
            atoms["position"][start:stop] = structure.positions
            if structure.labels.forces is not None:
                atoms["force"][start:stop] = structure.labels.forces
            start = stop
        records = {f"frames/{name}": rows for name, rows in frames.items()}
        records |= {f"atoms/{name}": rows for name, rows in atoms.items()}
        for number, cutoff in enumerate(self._cutoffs):
            counts = count_edges(structures, cutoff)
            records |= {f"edges/{number}/{name}": getattr(counts, name) for name in EDGES}
        self._write(records)
        self.n_atoms += n_atoms
        self.n_structures += len(structures)

    def _fill_frame(self, frames: dict[str, np.ndarray], index: int, structure: Structure) -> None:
        labels = structure.labels
        frames["n_atoms"][index] = structure.n_atoms
        frames["weight"][index], frames["pbc"][index] = structure.weight, structure.pbc
        frames["isolated"][index] = is_isolated_atom(structure)
        frames["digest"][index] = np.frombuffer(structure_digest(structure), dtype=np.uint8)
        frames["config_type"][index] = self._code("config_types", structure.config_type)
        frames["keys"][index] = self._code("keys", tuple(sorted(labels.keys.items())))
        frames["has_forces"][index] = labels.forces is not None
        values = {"energy": labels.energy, "stress": labels.stress, "cell": structure.cell}
        for name, value in values.items():
            if value is not None:
                frames[f"has_{name}"][index], frames[name][index] = 1, value

    def _code(self, table: str, value: Any) -> int:
        codes = self._codes[table]
        return codes.setdefault(value, len(codes))

    def finish(self) -> int:
        """Write the tables; return the size of the file."""
        kinds, keys = self._codes["config_types"], self._codes["keys"]
        self._write(
            {
                "tables/config_types": json_bytes(list(kinds)),
                "tables/keys": json_bytes([dict(items) for items in keys]),
            }
        )
        return self._file.id.get_filesize()

    def _write(self, records: Mapping[str, np.ndarray]) -> None:
        """Append rows to datasets once the disk has room for them."""
        needed = sum(rows.nbytes + 2 * CHUNK_BYTES for rows in records.values())
        self._reserved.reserve(self._file.id.get_filesize() + needed)
        for name, rows in records.items():
            dataset: Any = self._file[name]
            before = len(dataset)
            dataset.resize(before + len(rows), axis=0)
            dataset[before:] = rows
        self._file.flush()


def _make_dataset(file: h5py.File, name: str, column: Column) -> None:
    file.create_dataset(
        name,
        shape=(0, *column.shape),
        maxshape=(None, *column.shape),
        chunks=(column.chunk_rows, *column.shape),
        dtype=column.dtype,
        fletcher32=True,
        track_times=False,
    )


def pieces(structures: Iterable[Structure]) -> Iterator[list[Structure]]:
    """Yield structures in lists of `PIECE`, the last one shorter."""
    piece: list[Structure] = []
    for structure in structures:
        piece.append(structure)
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def new_hdf5(path: Path, block: int) -> h5py.File:
    """Return an empty HDF5 file after a block of bytes; its lock is that of the caller."""
    return h5py.File(path, "w", libver=_HDF5_VERSION, userblock_size=block, locking=False)


def header_block(header: Header) -> int:
    """Return the size of a block with room for the header, its counts and further cutoffs."""
    largest = 2**63 - 1
    sources = tuple(s.model_copy(update={"structures": largest}) for s in header.sources)
    full = header.model_copy(update={"sources": sources, "atoms": largest})
    return 2 * len(as_block(full))
