"""`Source`: something that yields geometries one after the other and can go on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ase import Atoms

from multiace.data.make.labelling import Failure, NewCalculator, Point

State = Mapping[str, Any]
"""Plain data from which a source goes on; {} at the beginning."""

OnWork = Callable[[int], None]
"""Told how many energies have been computed since it was last called."""


@dataclass(frozen=True)
class System:
    """What is common to all sources of a recipe.

    Args:
        atoms: the starting structure.
        charge: its total charge, e.
        multiplicity: its 2S + 1.
        new_calculator: gives fresh calculators.
    """

    atoms: Atoms
    charge: int
    multiplicity: int
    new_calculator: NewCalculator

    def calculator(self) -> Any:
        """Return a fresh calculator of the structure."""
        return self.new_calculator(self.charge, self.multiplicity)

    def point(self, atoms: Atoms, **info: Any) -> Point:
        """Return a point of the structure's charge and multiplicity."""
        return Point(atoms, self.charge, self.multiplicity, info)


@runtime_checkable
class Source(Protocol):
    """Geometries one after the other."""

    @property
    def name(self) -> str:
        """Name of its part of a set."""
        ...

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        ...

    @property
    def n_points(self) -> int:
        """How many points there will be."""
        ...

    @property
    def n_energies(self) -> int:
        """About how many energies its points take before they are labelled."""
        ...

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield each point, or why there is none, with the state from which the next follow.

        Points after a state are the same however often the source was interrupted.
        """
        ...
