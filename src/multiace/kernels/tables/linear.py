"""Tables of maps between irreps."""

from __future__ import annotations

from dataclasses import dataclass

from multiace.kernels.tables.encoding import Table, Words, starts, words_of_irreps
from multiace.o3.irreps import Irrep, Irreps


@dataclass(frozen=True)
class LinearTable(Table):
    """A linear map of each irrep; irreps that x does not have are zero in y.

    Words are (n_blocks, dim_in, dim_out), then 6 for each irrep of x or y: 2l + 1, start in x and
    channels there, start in y and channels there, start of its weights.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y.
    """

    irreps_in: Irreps
    irreps_out: Irreps

    @property
    def shapes(self) -> dict[Irrep, tuple[int, int]]:
        """Irrep -> (channels of x, channels of y) of its matrix, in the order of y."""
        width = _widths(self.irreps_in)
        return {i: (width[i], channels) for channels, i in self.irreps_out.entries if i in width}

    def _words(self) -> list[int]:
        place_in, place_out = starts(self.irreps_in), starts(self.irreps_out)
        width_in = _widths(self.irreps_in)
        words, weight = [0, self.irreps_in.dim, self.irreps_out.dim], 0
        for channels, irrep in self.irreps_out.entries:
            width = width_in.get(irrep, 0)
            words += [irrep.dim, place_in.get(irrep, 0), width, place_out[irrep], channels, weight]
            weight += width * channels
        for width, irrep in self.irreps_in.entries:
            if irrep not in place_out:
                words += [irrep.dim, place_in[irrep], width, 0, 0, weight]
        words[0] = (len(words) - 3) // 6
        return [*words, *words_of_irreps(self.irreps_in), *words_of_irreps(self.irreps_out)]

    @classmethod
    def _read(cls, words: Words) -> LinearTable:
        words.skip(6 * words.integer() + 2)
        return cls(words.irreps(), words.irreps())


@dataclass(frozen=True)
class SelectTable(Table):
    """Some irreps of x, laid out as those of y; the rest of y is zero.

    Words are (n_blocks, dim_in, dim_out), then 5 for each irrep that x and y have: 2l + 1, start
    in x and channels there, start in y and channels there.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y, each of as many channels as in x or more.
    """

    irreps_in: Irreps
    irreps_out: Irreps

    def __post_init__(self) -> None:
        width = _widths(self.irreps_out)
        assert all(channels <= width.get(i, channels) for channels, i in self.irreps_in.entries)

    def _words(self) -> list[int]:
        place_in, place_out = starts(self.irreps_in), starts(self.irreps_out)
        width_in, words = _widths(self.irreps_in), [0, self.irreps_in.dim, self.irreps_out.dim]
        for channels, irrep in self.irreps_out.entries:
            if irrep in width_in:
                words += [irrep.dim, place_in[irrep], width_in[irrep], place_out[irrep], channels]
        words[0] = (len(words) - 3) // 5
        return [*words, *words_of_irreps(self.irreps_in), *words_of_irreps(self.irreps_out)]

    @classmethod
    def _read(cls, words: Words) -> SelectTable:
        words.skip(5 * words.integer() + 2)
        return cls(words.irreps(), words.irreps())


def _widths(irreps: Irreps) -> dict[Irrep, int]:
    return {irrep: channels for channels, irrep in irreps.entries}
