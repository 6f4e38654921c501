"""`DimerScan` and `AtomSet`: two atoms at many distances, and atoms alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import ground_state_magnetic_moments

from multiace.data.errors import DataError
from multiace.data.make.labelling import Failure, Point, multiplicity_of
from multiace.data.make.recipe import Dimers, IsolatedAtoms, symbols_of
from multiace.data.make.source import OnWork, State, System
from multiace.elements import atomic_number, covalent_radii, sorted_elements, symbol_of


@dataclass(frozen=True)
class DimerScan:
    """Neutral pairs of atoms from near to far.

    Args:
        name: of the scan.
        system: where the elements come from.
        settings: which pairs, from where to where.
    """

    name: str
    system: System
    settings: Dimers

    def __post_init__(self) -> None:
        unknown = {symbols_of(pair) for pair in self.settings.multiplicities} - set(self.pairs)
        if unknown:
            pairs = ", ".join("-".join(pair) for pair in sorted(unknown))
            raise DataError(f"sets.{self.name}.multiplicities has {pairs}, which is not scanned")
        for pair in self.pairs:
            self.multiplicity(pair)
            first = self.distances(pair)[0]
            if self.settings.stop <= first:
                raise DataError(
                    f"sets.{self.name}.stop must be above the first distance, {first:.3f} Å for "
                    f"{'-'.join(pair)}, got {self.settings.stop}"
                )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs, each in alphabetical order."""
        if self.settings.pairs is not None:
            return tuple(dict.fromkeys(symbols_of(pair) for pair in self.settings.pairs))
        symbols = sorted(map(symbol_of, sorted_elements(self.system.atoms.numbers.tolist())))
        return tuple(combinations_with_replacement(symbols, 2))

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return "dimer"

    @property
    def n_points(self) -> int:
        """Number of points of all pairs."""
        return len(self.pairs) * self.settings.points

    @property
    def n_energies(self) -> int:
        """Nothing is computed before the labels."""
        return 0

    def multiplicity(self, pair: tuple[str, str]) -> int:
        """Return the multiplicity of a pair."""
        given = {symbols_of(key): value for key, value in self.settings.multiplicities.items()}
        numbers = [atomic_number(symbol) for symbol in pair]
        field = f"sets.{self.name}.multiplicities.{'-'.join(pair)}"
        return multiplicity_of(numbers, 0, given.get(pair), field)

    def distances(self, pair: tuple[str, str]) -> np.ndarray:
        """Return the distances of a pair, Å."""
        start = self.settings.start
        if start is None:
            radii = covalent_radii(map(atomic_number, pair), f"sets.{self.name}.start")
            start = 0.7 * sum(radii)
        return np.linspace(start, self.settings.stop, self.settings.points)

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the points that are left."""
        grid = [(pair, distance) for pair in self.pairs for distance in self.distances(pair)]
        for index in range(state.get("done", 0), len(grid)):
            pair, distance = grid[index]
            atoms = Atoms(list(pair), [(0.0, 0.0, 0.0), (0.0, 0.0, distance)])
            info = {"pair": "-".join(pair), "distance_A": round(float(distance), 8)}
            yield Point(atoms, 0, self.multiplicity(pair), info), {"done": index + 1}


@dataclass(frozen=True)
class AtomSet:
    """Neutral single atoms.

    Args:
        name: of the set.
        system: where the elements come from.
        settings: which elements, in which states.
    """

    name: str
    system: System
    settings: IsolatedAtoms

    def __post_init__(self) -> None:
        for symbol in self.settings.multiplicities:
            if symbol not in self.symbols:
                raise DataError(
                    f"sets.{self.name}.multiplicities has {symbol}, which is not among "
                    f"{', '.join(self.symbols)}"
                )
        for symbol in self.symbols:
            self.multiplicity(symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The elements."""
        if self.settings.elements is not None:
            return tuple(dict.fromkeys(self.settings.elements))
        return tuple(map(symbol_of, sorted_elements(self.system.atoms.numbers.tolist())))

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return "isolated_atom"

    @property
    def n_points(self) -> int:
        """Number of atoms."""
        return len(self.symbols)

    @property
    def n_energies(self) -> int:
        """Nothing is computed before the labels."""
        return 0

    def multiplicity(self, symbol: str) -> int:
        """Return 2S + 1 of an atom, by Hund's rule unless given."""
        number = atomic_number(symbol)
        given = self.settings.multiplicities.get(symbol)
        if given is None:
            given = 1 + round(float(ground_state_magnetic_moments[number]))
        return multiplicity_of([number], 0, given, f"sets.{self.name}.multiplicities.{symbol}")

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the atoms that are left."""
        for index in range(state.get("done", 0), len(self.symbols)):
            symbol = self.symbols[index]
            yield Point(Atoms(symbol), 0, self.multiplicity(symbol), {}), {"done": index + 1}
