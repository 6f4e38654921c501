"""Tables of what is computed for edges, pairs and densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiace.activation import Activation
from multiace.envelope import Envelope
from multiace.kernels.tables.encoding import Table, Words, bits, flat, words_of_activation

Family = Literal["bessel", "chebyshev", "gaussian", "jacobi"]

FAMILIES: tuple[Family, ...] = ("bessel", "chebyshev", "gaussian", "jacobi")
"""Families of radial functions; words hold their position."""


@dataclass(frozen=True)
class EdgeBasisTable(Table):
    """Distances and harmonics.

    Args:
        l_max: largest l.
    """

    l_max: int

    def _words(self) -> list[int]:
        return [self.l_max]

    @classmethod
    def _read(cls, words: Words) -> EdgeBasisTable:
        return cls(words.integer())


@dataclass(frozen=True)
class AgnesiTable(Table):
    """The transform of distances of `multiace.one_particle.radial.AgnesiTransform`.

    Args:
        a: strength.
        q: power far away.
        p: power near zero.
        radii: covalent radius of each element, Å.
    """

    a: float
    q: float
    p: float
    radii: tuple[float, ...]

    def _words(self) -> list[int]:
        return [len(self.radii), *bits(self.a, self.q, self.p, *self.radii)]

    @classmethod
    def _read(cls, words: Words) -> AgnesiTable:
        n_elements, (a, q, p) = words.integer(), words.numbers(3)
        return cls(a, q, p, tuple(words.numbers(n_elements)))


@dataclass(frozen=True)
class NormalisedAgnesiTable(Table):
    """The transform of distances of `multiace.one_particle.radial.NormalisedAgnesiTransform`.

    Args:
        p: power far away.
        q: power near zero.
        r_in: distance in Å up to which the transform is 0.
        cutoff: r_c in Å.
        radii: covalent radius of each element, Å.
    """

    p: float
    q: float
    r_in: float
    cutoff: float
    radii: tuple[float, ...]

    @property
    def a(self) -> float:
        """Strength for which the transform is steepest at the bond length."""
        p, q = self.p, self.q
        return (4.0 * p * q - 2.0 * (p + q)) / (p + p * p + q + q * q)

    def _words(self) -> list[int]:
        return [len(self.radii), *bits(self.p, self.q, self.r_in, self.cutoff, *self.radii)]

    @classmethod
    def _read(cls, words: Words) -> NormalisedAgnesiTable:
        n_elements, (p, q, r_in, cutoff) = words.integer(), words.numbers(4)
        return cls(p, q, r_in, cutoff, tuple(words.numbers(n_elements)))


@dataclass(frozen=True)
class RadialBasisTable(Table):
    """Radial functions and their envelope.

    The last three words, powers of the two-sided envelope and `falling`, are there only for Jacobi
    polynomials and the two-sided envelope.

    Args:
        family: bessel, chebyshev, gaussian or jacobi.
        number: number of functions.
        cutoff: r_c in Å.
        envelope: u.
        envelope_on: whether u multiplies the `basis`, or the radial `weights` later.
        falling: whether the argument of Jacobi polynomials falls from 1 to 0 with the distance,
            as the Agnesi transform does, instead of rising from 0 to the cutoff.
    """

    family: Family
    number: int
    cutoff: float
    envelope: Envelope
    envelope_on: Literal["basis", "weights"]
    falling: bool = False

    @property
    def envelope_power(self) -> int:
        """Power of a polynomial envelope; 0: the cosine, -1: the two-sided envelope."""
        powers = {"polynomial": self.envelope.power, "cosine": 0, "two_sided": -1}
        return powers[self.envelope.kind]

    @property
    def outer_and_inner(self) -> tuple[int, int]:
        """Powers of a two-sided envelope; 0 and 0 with another."""
        two_sided = self.envelope.kind == "two_sided"
        return (self.envelope.power, self.envelope.inner) if two_sided else (0, 0)

    def _words(self) -> list[int]:
        on_basis = int(self.envelope_on == "basis")
        family = FAMILIES.index(self.family)
        words = [family, self.number, *bits(self.cutoff), self.envelope_power, on_basis]
        if self.family == "jacobi" or self.envelope.kind == "two_sided":
            words += [*self.outer_and_inner, int(self.falling)]
        return words

    @classmethod
    def _read(cls, words: Words) -> RadialBasisTable:
        family, number = FAMILIES[words.integer()], words.integer()
        cutoff, power, on_basis = words.number(), *words.integers(2)
        more = family == "jacobi" or power < 0
        outer, inner, falling = words.integers(3) if more else (0, 0, 0)
        if power < 0:
            envelope = Envelope("two_sided", outer, inner)
        else:
            envelope = Envelope("polynomial", power) if power else Envelope("cosine")
        where = "basis" if on_basis else "weights"
        return cls(family, number, cutoff, envelope, where, bool(falling))


@dataclass(frozen=True)
class RadialNetworkTable(Table):
    """Hidden layers of radial functions.

    Args:
        widths: number of radial functions, then the width of each layer.
        activation: f.
    """

    widths: tuple[int, ...]
    activation: Activation

    def _words(self) -> list[int]:
        return [*words_of_activation(self.activation), len(self.widths) - 1, *self.widths]

    @classmethod
    def _read(cls, words: Words) -> RadialNetworkTable:
        activation = words.activation()
        return cls(tuple(words.integers(words.integer() + 1)), activation)


@dataclass(frozen=True)
class SplineTable(Table):
    """Quintic splines in the distance at equal intervals.

    Args:
        n_intervals: intervals from 0 to the cutoff.
        width: of an interval, Å.
        n_functions: functions.
    """

    n_intervals: int
    width: float
    n_functions: int

    def _words(self) -> list[int]:
        return [self.n_intervals, *bits(self.width), self.n_functions]

    @classmethod
    def _read(cls, words: Words) -> SplineTable:
        return cls(words.integer(), words.number(), words.integer())


@dataclass(frozen=True)
class DensityTable(Table):
    """The density rho_{l m z k} of neighbours of each type z.

    Rows of rho are flat, l after l, m after m, each (types, k of the range of l).

    Args:
        l_max: largest l.
        n_types: types of edges, such as the element of the sender.
        ranges: first k and number of k of each l.
        n_hidden: functions u_k there are.
    """

    l_max: int
    n_types: int
    ranges: tuple[tuple[int, int], ...]
    n_hidden: int

    @classmethod
    def full(cls, l_max: int, n_types: int, n_hidden: int) -> DensityTable:
        """Return the table of a density that has every k for every l."""
        return cls(l_max, n_types, ((0, n_hidden),) * (l_max + 1), n_hidden)

    @property
    def dim(self) -> int:
        """Length of a row of rho."""
        return sum((2 * l + 1) * self.n_types * n for l, (_, n) in enumerate(self.ranges))

    def _words(self) -> list[int]:
        return [self.l_max, self.n_hidden, self.n_types, *flat(self.ranges)]

    @classmethod
    def _read(cls, words: Words) -> DensityTable:
        l_max, n_hidden, n_types = words.integers(3)
        ranges = (words.integers(2) for _ in range(l_max + 1))
        return cls(l_max, n_types, tuple((first, n) for first, n in ranges), n_hidden)


@dataclass(frozen=True)
class RepulsionTable(Table):
    """The repulsion of cores of `multiace.kernels.operations.repulsion`.

    Args:
        charges: nuclear charge of each element.
        half_ends: of each element; two cease to repel at the sum of theirs, Å.
        length: screening length in Å.
        power: power of the charges.
        coulomb: energy of two unit charges 1 Å apart, eV Å.
        envelope_power: p of the envelope.
        coefficients: of the terms of the screening.
        exponents: of the terms of the screening, without unit.
    """

    charges: tuple[float, ...]
    half_ends: tuple[float, ...]
    length: float
    power: float
    coulomb: float
    envelope_power: int
    coefficients: tuple[float, ...]
    exponents: tuple[float, ...]

    @property
    def reach(self) -> float:
        """Largest distance in Å at which two atoms of these elements repel each other."""
        return 2.0 * max(self.half_ends)

    def _words(self) -> list[int]:
        of_terms = (*self.coefficients, *self.exponents)
        of_elements = (*self.charges, *self.half_ends)
        head = [len(self.charges), self.envelope_power, len(self.coefficients)]
        return [*head, *bits(self.length, self.power, self.coulomb, *of_terms, *of_elements)]

    @classmethod
    def _read(cls, words: Words) -> RepulsionTable:
        n_elements, envelope_power, n_terms = words.integers(3)
        length, power, coulomb = words.numbers(3)
        coefficients, exponents = (tuple(words.numbers(n_terms)) for _ in range(2))
        charges, half_ends = (tuple(words.numbers(n_elements)) for _ in range(2))
        return cls(
            charges, half_ends, length, power, coulomb, envelope_power, coefficients, exponents
        )
