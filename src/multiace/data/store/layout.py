"""What lies in the HDF5 part of a store, and the check that nothing else does.

| dataset | a row for each |
|---|---|
| `frames/...` | structure: labels of the whole, cell, number of atoms, where it comes from |
| `atoms/...` | atom: number, position, force |
| `edges/0/...`, ... | structure: edges, and atoms with neighbours, within each cutoff |
| `tables/config_types` | byte of a JSON list of the kinds of configuration |
| `tables/keys` | byte of a JSON list of the names that labels had |

Everything is little-endian, chunked, uncompressed and carries the Fletcher-32 checksum of each
chunk, so that damage is found when it is read. A file cannot make the reader reserve more memory
than the file has bytes, nor lead it to other files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike
from typing import Any

import h5py
import numpy as np

from multiace.data.errors import DataError
from multiace.data.store.header import Header, damaged

CHUNK_BYTES = 2**15
"""Bytes in a chunk, the least that is read at once."""

MAX_TABLE_BYTES = 2**27


@dataclass(frozen=True)
class Column:
    """The rows of a dataset.

    Args:
        dtype: of the numbers.
        shape: of a row.
    """

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk."""
        return CHUNK_BYTES // self.row_bytes

    def empty(self, n_rows: int) -> np.ndarray:
        """Return rows of zeros."""
        return np.zeros((n_rows, *self.shape), dtype=self.dtype)


FRAMES = {
    "n_atoms": Column("<i8"),
    "energy": Column("<f8"),
    "stress": Column("<f8", (3, 3)),
    "cell": Column("<f8", (3, 3)),
    "pbc": Column("u1", (3,)),
    "weight": Column("<f8"),
    "source": Column("<i4"),
    "frame": Column("<i8"),
    "config_type": Column("<i4"),
    "keys": Column("<i4"),
    "has_energy": Column("u1"),
    "has_forces": Column("u1"),
    "has_stress": Column("u1"),
    "has_cell": Column("u1"),
    "isolated": Column("u1"),
    "digest": Column("u1", (32,)),
}
ATOMS = {
    "number": Column("<i4"),
    "position": Column("<f8", (3,)),
    "force": Column("<f8", (3,)),
}
EDGES = {"edges": Column("<i8"), "centres": Column("<i8")}
TABLES = {"config_types": Column("u1"), "keys": Column("u1")}


def columns_of(header: Header) -> dict[str, Column]:
    """Return the names of all datasets of a store and what their rows are."""
    groups = {"frames": FRAMES, "atoms": ATOMS, "tables": TABLES}
    groups |= {f"edges/{index}": EDGES for index in range(len(header.cutoffs))}
    return {
        f"{group}/{name}": column
        for group, columns in groups.items()
        for name, column in columns.items()
    }


def check_layout(path: str | PathLike[str], file: h5py.File, header: Header) -> None:
    """Refuse a file that holds anything but what its header asks for.

    Raises:
        DataError: a dataset that is missing, has another type or size, lies in another file, or
            claims more than the file holds.
    """
    stored = 0
    for name, column in columns_of(header).items():
        dataset = _own_dataset(path, file, name)
        lengths = {"atoms": header.atoms, "tables": len(dataset) if dataset.ndim else 0}
        length = lengths.get(name.partition("/")[0], header.structures)
        if dataset.dtype != np.dtype(column.dtype) or dataset.shape[1:] != column.shape:
            raise damaged(path, f"{name} does not hold what it should")
        if dataset.shape[:1] != (length,):
            raise damaged(path, f"{name} has shape {dataset.shape} instead of {length:,} rows")
        if dataset.chunks != (column.chunk_rows, *column.shape) or dataset.compression is not None:
            raise damaged(path, f"{name} is laid out in another way")
        size = dataset.id.get_storage_size()
        if size < length * column.row_bytes:
            raise damaged(path, f"{name} claims more rows than are there")
        stored += size
    if stored > file.id.get_filesize():
        raise damaged(path, "it claims more bytes than it has")


def _own_dataset(path: str | PathLike[str], file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset that lies in this file and nowhere else."""
    group: Any = file
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(
            group.get(part, getlink=True), h5py.HardLink
        ):
            raise damaged(path, f"{name} is missing")
        group = group[part]
    if not isinstance(group, h5py.Dataset):
        raise damaged(path, f"{name} is no dataset")
    if group.is_virtual or group.external:
        raise damaged(path, f"{name} lies in another file")
    return group


def json_bytes(value: Any) -> np.ndarray:
    """Return plain data as the bytes of their JSON."""
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), dtype="u1")


def json_list(path: str | PathLike[str], dataset: h5py.Dataset) -> list[Any]:
    """Read a list that `json_bytes` wrote.

    Raises:
        DataError: not a list in JSON.
    """
    if len(dataset) > MAX_TABLE_BYTES:
        raise damaged(path, f"{dataset.name} has {len(dataset):,} bytes")
    try:
        value = json.loads(dataset[:].tobytes())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise damaged(path, f"{dataset.name} is no list")
    return value


def read_error(path: str | PathLike[str], error: Exception) -> DataError:
    """Return the error for something that HDF5 could not read."""
    return damaged(path, f"HDF5 cannot read it ({str(error).splitlines()[0][:200]})")
