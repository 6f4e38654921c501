"""The table of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multiace.kernels.tables.encoding import Table, Words, starts, words_of_irreps
from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.irreps import Irrep, Irreps


@dataclass(frozen=True)
class ConvolutionTable(Table):
    """The couplings h (irrep_in) x Y (l_edge) -> A (irrep_out) of a convolution.

    Radial weights are ordered path after path, each with the channels of its irrep_in. In the
    output, each irrep holds the channels of its paths side by side, in the order of `paths`.

    Words are (n_paths, dim_in, dim_out, harmonics, n_weights, largest d_in d_out, n_couplings),
    then 9 for each path and 3 for each coupling: harmonic, b d_in + a, value.

    Args:
        irreps_in: irreps of the neighbours' features.
        l_max: largest l of the edge harmonics.
        paths: (irrep_in, l_edge, irrep_out), sorted in the order irrep_in, irrep_out, l_edge.
        irreps_out: irreps of the sum over neighbours.
    """

    irreps_in: Irreps
    l_max: int
    paths: tuple[tuple[Irrep, int, Irrep], ...]
    irreps_out: Irreps

    @cached_property
    def channels_of_path(self) -> tuple[int, ...]:
        """Channels of each path: those of its irrep_in."""
        width = {irrep: channels for channels, irrep in self.irreps_in.entries}
        return tuple(width[irrep_in] for irrep_in, _, _ in self.paths)

    @property
    def n_weights(self) -> int:
        """Radial functions an edge needs."""
        return sum(self.channels_of_path)

    @cached_property
    def highest(self) -> int:
        """Largest l of the output."""
        return max((irrep.l for irrep in self.irreps_out.irreps), default=0)

    def paths_from(self, irrep: Irrep) -> tuple[int, ...]:
        """Positions of the paths that read an irrep; they follow one another."""
        return tuple(p for p, path in enumerate(self.paths) if path[0] == irrep)

    def paths_to(self, irrep: Irrep) -> tuple[int, ...]:
        """Positions of the paths that end in an irrep, in the order of its channels."""
        return tuple(p for p, path in enumerate(self.paths) if path[2] == irrep)

    def coupling_from(self, irrep: Irrep) -> np.ndarray:
        """Clebsch-Gordan coefficients of all paths from an irrep.

        Returns:
            (lm, rows, 2 l_in + 1): harmonics component, components of the paths' outputs one
            path after the other, component of the feature.
        """
        n_harmonics = (self.l_max + 1) ** 2
        blocks = [np.empty((n_harmonics, 0, irrep.dim))]
        for p in self.paths_from(irrep):
            _, l_edge, out = self.paths[p]
            block = np.zeros((n_harmonics, out.dim, irrep.dim))
            cg = clebsch_gordan(irrep.l, l_edge, out.l)  # (m_in, m_edge, m_out)
            block[l_edge**2 : (l_edge + 1) ** 2] = cg.transpose(1, 2, 0)
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def _words(self) -> np.ndarray:
        starts_in, starts_out = starts(self.irreps_in), starts(self.irreps_out)
        width_out = {irrep: channels for channels, irrep in self.irreps_out.entries}
        paths: list[int] = []
        couplings: list[tuple[int, int]] = []
        values: list[float] = []
        weight = 0
        filled = dict.fromkeys(self.irreps_out.irreps, 0)
        for (irrep_in, l_edge, out), channels in zip(
            self.paths, self.channels_of_path, strict=True
        ):
            first = len(couplings)
            cg = clebsch_gordan(irrep_in.l, l_edge, out.l)
            for a, m, b in np.argwhere(cg).tolist():
                couplings.append((l_edge**2 + m, b * irrep_in.dim + a))
                values.append(cg[a, m, b])
            start = starts_out[out] + filled[out]
            paths += [irrep_in.dim, out.dim, starts_in[irrep_in], channels, start, width_out[out]]
            paths += [weight, first, len(couplings)]
            filled[out] += channels
            weight += channels
        largest = max((i.dim * o.dim for i, _, o in self.paths), default=1)
        head = [len(self.paths), self.irreps_in.dim, self.irreps_out.dim, (self.l_max + 1) ** 2]
        head += [self.n_weights, largest, len(couplings), *paths]
        indices = np.array(couplings, dtype=np.int64).reshape(-1, 2)
        of_values = np.array(values, dtype=np.float64).view(np.int64)
        tail = [*words_of_irreps(self.irreps_in), self.l_max, *words_of_irreps(self.irreps_out)]
        tail += [word for irrep_in, l_edge, out in self.paths for word in (*irrep_in, l_edge, *out)]
        triplets = np.column_stack([indices, of_values]).ravel()
        return np.concatenate([np.array(head), triplets, np.array(tail)])

    @classmethod
    def _read(cls, words: Words) -> ConvolutionTable:
        n_paths, *_, n_couplings = words.integers(7)
        words.skip(9 * n_paths + 3 * n_couplings)
        irreps_in, l_max, irreps_out = words.irreps(), words.integer(), words.irreps()
        paths = (words.integers(5) for _ in range(n_paths))
        of_paths = tuple((Irrep(l, p), l_edge, Irrep(*out)) for l, p, l_edge, *out in paths)
        return cls(irreps_in, l_max, of_paths, irreps_out)
