"""Irreps of O(3) and lists of them with channel counts, as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

_IRREP = re.compile(r"(\d+)([eo])")
_ENTRY = re.compile(r"(?:(\d+)\s*x\s*)?(\d+[eo])")
_PARITY_OF_LETTER = {"e": 1, "o": -1}


class Irrep(NamedTuple):
    """Name an irreducible representation of O(3) by its degree and its parity.

    Irreps are ordered by degree, then even before odd: 0e < 0o < 1e < 1o < 2e.

    Args:
        l: degree, 0 or larger.
        p: parity under inversion, +1 (even, "e") or -1 (odd, "o").

    Example:
        >>> vector = Irrep.parse("1o")
        >>> vector.dim, str(vector), vector == Irrep.natural(1)
        (3, '1o', True)
        >>> [str(irrep) for irrep in vector * vector]
        ['0e', '1e', '2e']
    """

    l: int
    p: int

    @classmethod
    def parse(cls, text: str) -> Irrep:
        """Read an irrep such as "1o".

        Raises:
            ValueError: if the text is not a degree followed by "e" or "o".
        """
        match = _IRREP.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"{text!r} is not an irrep. Write the degree and the parity, e for even or o for "
                "odd: '0e' is a scalar, '1o' a vector, '1e' a pseudovector."
            )
        return cls(int(match[1]), _PARITY_OF_LETTER[match[2]])

    @classmethod
    def natural(cls, l: int) -> Irrep:
        """Give the irrep of the spherical harmonics of degree l: parity (-1)^l."""
        return cls(l, (-1) ** l)

    @property
    def dim(self) -> int:
        """Number of components, 2l + 1."""
        return 2 * self.l + 1

    @property
    def is_natural(self) -> bool:
        """Whether the parity is that of the spherical harmonics, (-1)^l."""
        return self.p == (-1) ** self.l

    def __mul__(self, other: Irrep) -> tuple[Irrep, ...]:  # type: ignore[override]
        """List the irreps of the product: |l1 - l2| <= l <= l1 + l2, p = p1 p2."""
        degrees = range(abs(self.l - other.l), self.l + other.l + 1)
        return tuple(Irrep(l, self.p * other.p) for l in degrees)

    # A plain tuple would put odd (p = -1) before even (p = +1).
    def __lt__(self, other: tuple) -> bool:
        return (self.l, -self.p) < (other[0], -other[1])

    def __le__(self, other: tuple) -> bool:
        return (self.l, -self.p) <= (other[0], -other[1])

    def __gt__(self, other: tuple) -> bool:
        return (self.l, -self.p) > (other[0], -other[1])

    def __ge__(self, other: tuple) -> bool:
        return (self.l, -self.p) >= (other[0], -other[1])

    def __str__(self) -> str:
        return f"{self.l}{'e' if self.p == 1 else 'o'}"


@dataclass(frozen=True)
class Irreps:
    """List irreps with their numbers of channels: the layout of a feature array.

    A feature array is flat, (nodes, dim), entry after entry; an entry of c channels and degree l
    is a block (2l + 1, c) with the channels innermost.

    Args:
        entries: pairs (channels, irrep) in the order of the layout. The same irrep may come twice.

    Raises:
        ValueError: if an entry has no channels, a negative degree or a parity other than +1, -1.

    Example:
        >>> features = Irreps.parse("8x0e + 4x1o")
        >>> features.dim, features.n_components, features.slices
        (20, 4, (slice(0, 8, None), slice(8, 20, None)))
        >>> features == Irreps(((8, Irrep(0, 1)), (4, Irrep(1, -1))))
        True
    """

    entries: tuple[tuple[int, Irrep], ...]

    def __post_init__(self) -> None:
        for channels, irrep in self.entries:
            if channels < 1:
                raise ValueError(
                    f"the number of channels of {irrep} must be at least 1, got {channels}. "
                    "Leave the irrep out if it has none."
                )
            if irrep.l < 0 or irrep.p not in (1, -1):
                raise ValueError(
                    f"an irrep has a degree l >= 0 and a parity p of 1 or -1, got {tuple(irrep)}. "
                    "Build it with Irrep.parse, for example Irrep.parse('1o')."
                )

    @classmethod
    def parse(cls, text: str) -> Irreps:
        """Read irreps such as "8x0e + 4x1o"; a count of 1 may be left out.

        Raises:
            ValueError: if a term is not an irrep with an optional count.
        """
        return cls(tuple(_parse_entry(term, text) for term in text.split("+")))

    @classmethod
    def of(cls, channels: int, irreps: Iterable[Irrep]) -> Irreps:
        """Give every irrep the same number of channels, in the order given."""
        return cls(tuple((channels, irrep) for irrep in irreps))

    @property
    def irreps(self) -> tuple[Irrep, ...]:
        """The irrep of each entry."""
        return tuple(irrep for _, irrep in self.entries)

    @property
    def channels(self) -> tuple[int, ...]:
        """The number of channels of each entry."""
        return tuple(channels for channels, _ in self.entries)

    @property
    def dim(self) -> int:
        """Length of the flat layout, sum of channels (2l + 1)."""
        return sum(channels * irrep.dim for channels, irrep in self.entries)

    @property
    def n_components(self) -> int:
        """Number of components, sum of 2l + 1 over the entries."""
        return sum(irrep.dim for irrep in self.irreps)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each entry lies in the flat layout."""
        slices, start = [], 0
        for channels, irrep in self.entries:
            slices.append(slice(start, start + channels * irrep.dim))
            start += channels * irrep.dim
        return tuple(slices)

    def numbered(self, n_types: int) -> tuple[tuple[int, Irrep], ...]:
        """Return the channels of each irrep within a type, where channels are (type, n)."""
        return tuple((channels // n_types, irrep) for channels, irrep in self.entries)

    def index(self, irrep: Irrep) -> int:
        """Find the first entry that holds an irrep.

        Raises:
            ValueError: if no entry holds it.
        """
        if irrep not in self.irreps:
            raise ValueError(
                f"{irrep} is not among {str(self)!r}. "
                "Ask for one of its irreps, or test `irrep in irreps.irreps` first."
            )
        return self.irreps.index(irrep)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[tuple[int, Irrep]]:
        return iter(self.entries)

    def __str__(self) -> str:
        return "+".join(f"{channels}x{irrep}" for channels, irrep in self.entries)


def _parse_entry(term: str, text: str) -> tuple[int, Irrep]:
    match = _ENTRY.fullmatch(term.strip())
    if match is None:
        raise ValueError(
            f"{term.strip()!r} in {text!r} is not an irrep with a channel count. "
            "Join terms such as '8x0e' with '+': '8x0e+4x1o'."
        )
    return int(match[1] or 1), Irrep.parse(match[2])
