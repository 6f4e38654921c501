"""Tables of nonlinearities."""

from __future__ import annotations

from dataclasses import dataclass

from multiace.activation import Activation
from multiace.kernels.tables.encoding import (
    Table,
    Words,
    flat,
    starts,
    words_of_activation,
    words_of_irreps,
)
from multiace.o3.irreps import Irrep, Irreps

SCALAR = Irrep(0, 1)


@dataclass(frozen=True)
class GateTable(Table):
    """Even scalars f(x), odd scalars, and the others times an activation of their gates.

    The first entry of the input holds the even scalars and then the gates, in the order of the
    gated irreps; the other entries are those of the output.

    Words are (n_segments, dim_in, dim_out), then 7 for each irrep of the output: 2l + 1 or 0 for
    scalars, channels, starts of x, of the gates and of y, function and constant.

    Args:
        irreps_in: irreps of the input.
        irreps_out: irreps of the output.
        even: activation of even scalars.
        odd: activation of odd scalars; must be odd.
        gate: activation of gates.
    """

    irreps_in: Irreps
    irreps_out: Irreps
    even: Activation
    odd: Activation
    gate: Activation

    def _words(self) -> list[int]:
        place_in, place_out = starts(self.irreps_in), starts(self.irreps_out)
        widths = {irrep: channels for channels, irrep in self.irreps_out.entries}
        gates = place_in.get(SCALAR, 0) + widths.get(SCALAR, 0)
        words = [len(self.irreps_out.entries), self.irreps_in.dim, self.irreps_out.dim]
        for channels, irrep in self.irreps_out.entries:
            activation = self.gate if irrep.l else self.even if irrep == SCALAR else self.odd
            dim, gates_here = (irrep.dim, gates) if irrep.l else (0, 0)
            words += [dim, channels, place_in[irrep], gates_here, place_out[irrep]]
            words += words_of_activation(activation)
            gates += channels if irrep.l else 0
        words += [*words_of_irreps(self.irreps_in), *words_of_irreps(self.irreps_out)]
        return words + flat(map(words_of_activation, (self.even, self.odd, self.gate)))

    @classmethod
    def _read(cls, words: Words) -> GateTable:
        words.skip(7 * words.integer() + 2)
        irreps = (words.irreps(), words.irreps())
        return cls(*irreps, *(words.activation() for _ in range(3)))


@dataclass(frozen=True)
class NormTable(Table):
    """Scalars f(x), and the others times f(n) / n of their norm n.

    Words are (n_segments, dim), then 5 for each irrep: 2l + 1 or 0 for scalars, channels, start,
    function and constant.

    Args:
        irreps: irreps of input and output.
        even: f.
        odd: activation of odd scalars; must be odd.
    """

    irreps: Irreps
    even: Activation
    odd: Activation

    def _words(self) -> list[int]:
        words = [len(self.irreps.entries), self.irreps.dim]
        for (channels, irrep), part in zip(self.irreps.entries, self.irreps.slices, strict=True):
            activation = self.odd if irrep == Irrep(0, -1) else self.even
            words += [irrep.dim if irrep.l else 0, channels, part.start]
            words += words_of_activation(activation)
        words += words_of_irreps(self.irreps)
        return words + flat(map(words_of_activation, (self.even, self.odd)))

    @classmethod
    def _read(cls, words: Words) -> NormTable:
        words.skip(5 * words.integer() + 1)
        return cls(words.irreps(), words.activation(), words.activation())
