"""Tables as 64-bit words: one encoding for every backend, every process and every file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from ctypes import c_int64
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from multiace.activation import Activation
from multiace.o3.irreps import Irrep, Irreps

FUNCTIONS = ("silu", "tanh", "sigmoid")
"""Names of activations; words hold their position."""

T = TypeVar("T", bound="Table")


class Words:
    """Read words one after another.

    Args:
        words: the words of a table.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words, self._next = words, 0

    def skip(self, n: int) -> None:
        """Skip some words."""
        self._next += n

    def integers(self, n: int) -> list[int]:
        """Read integers."""
        self._next += n
        return self._words[self._next - n : self._next].tolist()

    def integer(self) -> int:
        """Read one integer."""
        return self.integers(1)[0]

    def numbers(self, n: int) -> list[float]:
        """Read floating-point numbers."""
        self._next += n
        return self._words[self._next - n : self._next].view(np.float64).tolist()

    def number(self) -> float:
        """Read one floating-point number."""
        return self.numbers(1)[0]

    def irreps(self) -> Irreps:
        """Read irreps."""
        entries = (self.integers(3) for _ in range(self.integer()))
        return Irreps(tuple((channels, Irrep(l, p)) for channels, l, p in entries))

    def activation(self) -> Activation:
        """Read an activation."""
        return Activation(FUNCTIONS[self.integer()], self.number())


def bits(*numbers: float) -> list[int]:
    """Return the bits of doubles as words."""
    return np.array(numbers, dtype=np.float64).view(np.int64).tolist()


def words_of_irreps(irreps: Irreps) -> list[int]:
    """Return the number of entries, then channels, l and parity of each."""
    entries = [word for channels, irrep in irreps.entries for word in (channels, *irrep)]
    return [len(irreps.entries), *entries]


def words_of_activation(activation: Activation) -> list[int]:
    """Return function and constant."""
    return [FUNCTIONS.index(activation.name), *bits(activation.constant)]


def digest_of(encoding: Tensor) -> int:
    """Return the digest of an encoding, in less time than an index of torch takes."""
    return c_int64.from_address(encoding.data_ptr()).value


def split_sizes(irreps: Irreps) -> list[int]:
    """Lengths of the entries of irreps in the flat layout."""
    return [channels * irrep.dim for channels, irrep in irreps.entries]


def starts(irreps: Irreps) -> dict[Irrep, int]:
    """Return where each irrep starts in a flat row."""
    return {irrep: s.start for irrep, s in zip(irreps.irreps, irreps.slices, strict=True)}


@dataclass(frozen=True)
class Table(ABC):
    """What an operation must know besides its tensors, as plain data.

    The encoding is (digest, words..): signed 64-bit integers and bits of doubles. The digest
    tells apart all tables of all classes; backends keep what they derive from a table under it.
    """

    _decoded: ClassVar[dict[int, Table]] = {}

    @abstractmethod
    def _words(self) -> Sequence[int] | np.ndarray:
        """Return the words."""

    @classmethod
    @abstractmethod
    def _read(cls, words: Words) -> Table:
        """Return the table that the words say."""

    @cached_property
    def encoding(self) -> Tensor:
        """Digest and words: int64, on the CPU."""
        words = np.asarray(self._words(), dtype=np.int64)
        return torch.from_numpy(np.concatenate([[self._digest(words)], words]))

    @classmethod
    def _digest(cls, words: np.ndarray) -> int:
        digest = blake2b(cls.__name__.encode() + words.astype("<i8").tobytes(), digest_size=8)
        return int.from_bytes(digest.digest(), "little", signed=True)

    @classmethod
    def decode(cls: type[T], encoding: Tensor) -> T:
        """Return the table of an encoding.

        Raises:
            ValueError: the words do not have this digest.
        """
        digest = digest_of(encoding)
        table = cls._decoded.get(digest)
        if table is None:
            words = encoding[1:].numpy()
            if cls._digest(words) != digest:
                raise ValueError(
                    f"These words are no {cls.__name__}: their digest is {cls._digest(words)}, the "
                    f"first word is {digest}. Take them from the `encoding` of a table."
                )
            table = cls._decoded[digest] = cls._read(Words(words))
        assert isinstance(table, cls)
        return table


def flat(rows: Iterable[Iterable[int]]) -> list[int]:
    """Return the words of some rows in a row."""
    return [word for row in rows for word in row]
