"""Pairs found by one search, of which compiled code selects those within the cutoff."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64

from multiace.kernels.cpu.library import library


class Arguments(ctypes.Structure):
    """`MultiaceListedPairs` of csrc/listed_pairs.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_atoms n_listed".split()),
        ("squared_cutoff", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in "senders receivers shifts reverse within".split()),
        *((name, ctypes.c_void_p) for name in "positions before cell vectors".split()),
        *((name, ctypes.c_int64) for name in "n_within changed".split()),
        ("displacement", ctypes.c_double),
        *((f"selected_{name}", ctypes.c_void_p) for name in "senders receivers shifts".split()),
        ("selected_reverse", ctypes.c_void_p),
    )


class ListedPairs:
    """The pairs of one search; `multiace.geometry.listed_pairs.ListedPairs` is the definition.

    Args:
        senders: neighbours j.
        receivers: centres i.
        shifts: the image of j in whole cell vectors.
        reverse: the opposite of each pair.
        cutoff: Å.
    """

    def __init__(
        self,
        senders: Int64[np.ndarray, " listed"],
        receivers: Int64[np.ndarray, " listed"],
        shifts: Int64[np.ndarray, "listed 3"],
        reverse: Int64[np.ndarray, " listed"],
        cutoff: float,
    ) -> None:
        indices = [np.ascontiguousarray(each) for each in (senders, receivers, shifts, reverse)]
        self._indices, self._cutoff = indices, cutoff
        self._within = np.zeros(len(senders), dtype=bool)
        self._before = self._cell = np.zeros((0, 3))
        addresses = [each.ctypes.data for each in (*indices, self._within)]
        self._arguments = Arguments(0, len(senders), cutoff**2, *addresses)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles have arrays of their own, and have selected nothing."""
        return ListedPairs, (*self._indices, self._cutoff)

    def vectors_within(
        self,
        positions: Float64[np.ndarray, "atoms 3"],
        before: Float64[np.ndarray, "atoms 3"],
        cell: Float64[np.ndarray, "3 3"],
    ) -> tuple[Float64[np.ndarray, "edges 3"], bool, float]:
        """Return vectors within the cutoff, whether their pairs changed, and the displacement."""
        vectors, call = np.empty((len(self._within), 3)), self._arguments
        positions = np.ascontiguousarray(positions)
        call.positions, call.vectors = positions.ctypes.data, vectors.ctypes.data
        if before is not self._before or cell is not self._cell:  # looking up addresses takes time
            self._before, self._cell = before, cell
            self._kept = [np.ascontiguousarray(each) for each in (before, cell)]
            call.before, call.cell = (each.ctypes.data for each in self._kept)
            call.n_atoms = len(before)
        library().call("pairs_within", torch.float64, call)
        return vectors[: call.n_within], bool(call.changed), call.displacement

    def select(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return senders, receivers, shifts and reverse of the pairs within the cutoff."""
        n, call = int(np.count_nonzero(self._within)), self._arguments
        senders, receivers, reverse = (np.empty(n, dtype=np.int64) for _ in range(3))
        shifts = np.empty((n, 3), dtype=np.int64)
        call.selected_senders, call.selected_receivers = senders.ctypes.data, receivers.ctypes.data
        call.selected_shifts, call.selected_reverse = shifts.ctypes.data, reverse.ctypes.data
        library().call("select_pairs", torch.float64, call)
        return senders, receivers, shifts, reverse
