"""`Store`: the structures of an HDF5 file, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from jaxtyping import Int64

from multiace.data.columns import Columns
from multiace.data.edge_counts import EdgeCounts
from multiace.data.store.header import damaged, read_header
from multiace.data.store.layout import ATOMS, EDGES, FRAMES, check_layout, json_list, read_error
from multiace.elements import ElementError
from multiace.geometry import Labels, Structure

BLOCK = 1024
"""Structures that are read at once where many follow one another."""

_GAP = 4  # structures that are read in passing rather than sought over
_ATOMS = 2**16  # atoms after which a piece ends

_ON_DISK = ("stress", "cell")
"""Rows of structures that are read with their atoms; the others stay in memory."""


class Store(Sequence[Structure]):
    """Structures and labels in an HDF5 file, with random access and checked as they are read.

    About 150 bytes a structure stay in memory, whatever the number of atoms.

    Args:
        path: a file written by `prepare_store`.

    Raises:
        DataError: not a store, of a later version, or damaged.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.header = read_header(path)
        try:
            # Stores are replaced and never changed, so that no lock is needed to read one.
            self._file: Any = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise read_error(path, error) from None
        try:
            check_layout(path, self._file, self.header)
            self._load()
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            self.close()
            raise read_error(path, error) from None
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Read what stays in memory, and check that it fits together."""
        file = self._file
        self._atoms: dict[str, Any] = {name: file[f"atoms/{name}"] for name in ATOMS}
        self._large: dict[str, Any] = {name: file[f"frames/{name}"] for name in _ON_DISK}
        small: dict[str, np.ndarray] = {
            name: file[f"frames/{name}"][:] for name in FRAMES if name not in _ON_DISK
        }
        kinds = json_list(self.path, file["tables/config_types"])
        self._keys = json_list(self.path, file["tables/keys"])
        n_atoms, n_all = small["n_atoms"], self.header.atoms
        sound = (
            len(n_atoms) > 0
            and (n_atoms > 0).all()
            and (n_atoms <= n_all).all()
            and int(n_atoms.sum()) == n_all
            and _within(small["source"], len(self.header.sources))
            and _within(small["config_type"], len(kinds))
            and _within(small["keys"], len(self._keys))
            and all(isinstance(kind, str) for kind in kinds)
            and all(_are_keys(keys) for keys in self._keys)
        )
        if not sound:
            raise damaged(self.path, "its parts do not fit together")
        self._first_atom = np.append(0, np.cumsum(n_atoms))
        self._small = small
        self.columns = Columns(
            n_atoms=n_atoms,
            energy=np.where(small["has_energy"] == 1, small["energy"], np.nan),
            has_forces=small["has_forces"] == 1,
            has_stress=small["has_stress"] == 1,
            isolated=small["isolated"] == 1,
            config_type=small["config_type"],
            digest=small["digest"],
            config_types=tuple(kinds),
        )

    def __len__(self) -> int:
        return len(self.columns.n_atoms)

    @overload
    def __getitem__(self, index: int) -> Structure: ...
    @overload
    def __getitem__(self, index: slice) -> list[Structure]: ...
    def __getitem__(self, index: int | slice) -> Structure | list[Structure]:
        positions = np.arange(len(self), dtype=np.int64)[index]
        if isinstance(index, slice):
            return list(self.read(positions))
        return next(self.read(np.array([positions])))

    def __iter__(self) -> Iterator[Structure]:
        return self.read(np.arange(len(self), dtype=np.int64))

    def read(self, positions: Int64[np.ndarray, " chosen"]) -> Iterator[Structure]:
        """Yield some of the structures in the order given, those that lie together at once.

        Raises:
            DataError: a part of the file that is damaged.
        """
        start = 0
        while start < len(positions):
            stop = start + 1
            while (
                stop < len(positions)
                and positions[stop] > positions[stop - 1]
                and positions[stop] - positions[start] < BLOCK
                and positions[stop] - positions[stop - 1] <= _GAP
                and self._first_atom[positions[stop]] - self._first_atom[positions[start]] < _ATOMS
            ):
                stop += 1
            yield from self._read(positions[start:stop])
            start = stop

    def _read(self, positions: Int64[np.ndarray, " chosen"]) -> Iterator[Structure]:
        """Yield ascending structures from one piece of the file."""
        first, last = int(positions[0]), int(positions[-1]) + 1
        first_atom, last_atom = int(self._first_atom[first]), int(self._first_atom[last])
        small = self._small
        try:
            atoms = {name: part[first_atom:last_atom] for name, part in self._atoms.items()}
            large = {
                name: part[first:last] if small[f"has_{name}"][first:last].any() else None
                for name, part in self._large.items()
            }
        except (OSError, RuntimeError) as error:
            raise read_error(self.path, error) from None
        for position in positions.tolist():
            start, stop = self._first_atom[position : position + 2] - first_atom
            of_atoms = {name: rows[start:stop] for name, rows in atoms.items()}
            of_frame = {
                name: rows[position - first]
                for name, rows in large.items()
                if rows is not None and small[f"has_{name}"][position]
            }
            yield self._structure(position, of_atoms, of_frame)

    def _structure(
        self, position: int, atoms: dict[str, np.ndarray], frame: dict[str, np.ndarray]
    ) -> Structure:
        small = self._small
        pbc = small["pbc"][position].astype(bool).tolist()
        labels = Labels(
            energy=float(small["energy"][position]) if small["has_energy"][position] else None,
            forces=atoms["force"] if small["has_forces"][position] else None,
            stress=frame.get("stress"),
            keys=self._keys[small["keys"][position]],
        )
        try:
            return Structure(
                numbers=atoms["number"].astype(np.int64),
                positions=atoms["position"],
                cell=frame.get("cell"),
                pbc=(pbc[0], pbc[1], pbc[2]),
                labels=labels,
                config_type=self.columns.config_types[small["config_type"][position]],
                source=self.source(position),
                weight=float(small["weight"][position]),
            )
        except (ElementError, ValueError) as error:
            raise damaged(self.path, f"structure {position}: {error}") from None

    def source(self, position: int) -> str:
        """Return where a structure comes from, `file:frame`."""
        small = self._small
        return f"{self.header.sources[small['source'][position]].name}:{small['frame'][position]}"

    def edge_counts(self, cutoff: float) -> EdgeCounts | None:
        """Return the edges of each structure within a cutoff (Å), None if they are not stored."""
        if cutoff not in self.header.cutoffs:
            return None
        group = f"edges/{self.header.cutoffs.index(cutoff)}"
        try:
            counts = EdgeCounts(**{name: self._file[f"{group}/{name}"][:] for name in EDGES})
        except (OSError, RuntimeError) as error:
            raise read_error(self.path, error) from None
        if (counts.edges < 0).any() or (counts.centres > self.columns.n_atoms).any():
            raise damaged(self.path, "its edge counts cannot be")
        return counts

    def verify(self) -> None:
        """Read every byte, so that damage is found wherever it is.

        Raises:
            DataError: damage.
        """
        for start in range(0, len(self), BLOCK):
            first, last = self._first_atom[[start, min(start + BLOCK, len(self))]]
            try:
                for part in self._large.values():
                    part[start : start + BLOCK]
                for part in self._atoms.values():
                    part[first:last]
            except (OSError, RuntimeError) as error:
                raise read_error(self.path, error) from None
        for cutoff in self.header.cutoffs:
            self.edge_counts(cutoff)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _within(indices: np.ndarray, length: int) -> bool:
    return bool((indices >= 0).all() and (indices < length).all())


def _are_keys(keys: object) -> bool:
    return isinstance(keys, dict) and all(
        isinstance(name, str) and isinstance(key, str) for name, key in keys.items()
    )
