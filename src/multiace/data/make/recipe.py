"""`Recipe`: which reference data to make, as plain, frozen, typed data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from multiace.elements import atomic_number

Count = Annotated[int, Field(ge=1, strict=True)]
Index = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Multiplicities = dict[str, Count]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(_Group):
    """What computes the labels: tblite and its settings."""

    name: Literal["GFN2-xTB", "GFN1-xTB"] = Field(
        default="GFN2-xTB", description="Hamiltonian; periodic systems at the Γ point only."
    )
    charge: Annotated[int, Field(strict=True)] = Field(
        default=0, description="Total charge of the structure, e."
    )
    multiplicity: Count | None = Field(
        default=None, description="2S + 1; null: 1 for an even number of electrons, 2 for an odd."
    )
    accuracy: Positive = Field(
        default=0.01, description="Scale of tblite's thresholds of convergence; smaller is tighter."
    )
    max_iterations: Count = Field(
        default=250, description="Iterations of the self-consistent field before it has failed."
    )
    electronic_temperature: Positive = Field(
        default=300.0, description="Temperature of the Fermi smearing, K."
    )


class MolecularDynamics(_Group):
    """Frames of Langevin dynamics from the starting structure."""

    kind: Literal["md"]
    temperatures: tuple[Positive, ...] = Field(
        min_length=1, description="K; each gets its own trajectories."
    )
    frames: Count = Field(description="Frames to write for each temperature.")
    trajectories: Count = Field(
        default=4, description="Independent trajectories for each temperature."
    )
    timestep: Positive = Field(default=0.5, description="fs.")
    friction: Positive = Field(default=10.0, description="Of the thermostat, 1/ps.")
    equilibration: NotNegative = Field(
        default=1000.0, description="Time before the first frame of a trajectory, fs."
    )
    interval: Positive = Field(default=50.0, description="Time between frames, fs.")

    @field_validator("temperatures", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _check(self) -> MolecularDynamics:
        if self.interval < self.timestep:
            raise ValueError(
                f"interval must be at least one timestep, {self.timestep} fs, got {self.interval}"
            )
        if self.trajectories > self.frames:
            raise ValueError(
                f"trajectories must be at most frames, {self.frames}, got {self.trajectories}"
            )
        return self


class _Scan(_Group):
    points: Annotated[int, Field(ge=2, strict=True)] = Field(
        default=25, description="Number of points, ends included."
    )


class _Internal(_Scan):
    """A scan of one internal coordinate."""

    moving: tuple[Index, ...] | None = Field(
        default=None,
        description="Atoms that move; null: all on the last atom's side of the bond that is cut.",
    )
    relax: bool = Field(
        default=False, description="Relax everything else at each point instead of a rigid move."
    )

    @model_validator(mode="after")
    def _check(self) -> _Internal:
        atoms = getattr(self, "atoms", ())
        if len(set(atoms)) != len(atoms):
            raise ValueError(f"atoms must all be different, got {list(atoms)}")
        return self


class Bond(_Internal):
    """A bond stretched."""

    kind: Literal["bond"]
    atoms: tuple[Index, Index] = Field(description="The two atoms, counted from 0.")
    start: Positive | None = Field(
        default=None, description="First distance, Å; null: 0.75 of what it is."
    )
    stop: Positive | None = Field(
        default=None, description="Last distance, Å; null: 2.5 times what it is."
    )


class Angle(_Internal):
    """An angle bent."""

    kind: Literal["angle"]
    atoms: tuple[Index, Index, Index] = Field(
        description="The three atoms, counted from 0, the vertex second."
    )
    start: Annotated[float, Field(gt=0.0, lt=180.0)] | None = Field(
        default=None, description="First angle, degrees; null: 30 less than it is."
    )
    stop: Annotated[float, Field(gt=0.0, lt=180.0)] | None = Field(
        default=None, description="Last angle, degrees; null: 30 more than it is."
    )


class Dihedral(_Internal):
    """A dihedral turned."""

    kind: Literal["dihedral"]
    atoms: tuple[Index, Index, Index, Index] = Field(
        description="The four atoms, counted from 0; the turn is about the middle two."
    )
    start: Finite | None = Field(
        default=None, description="First angle, degrees; null: what it is."
    )
    stop: Finite | None = Field(
        default=None,
        description="Last angle, degrees; null: the last but one of a full turn from the first.",
    )
    points: Annotated[int, Field(ge=2, strict=True)] = Field(
        default=24, description="Number of points, ends included."
    )


class NormalModes(_Scan):
    """Displacements along normal modes."""

    kind: Literal["normal_modes"]
    modes: tuple[Count, ...] | None = Field(
        default=None, description="Vibrations, counted from 1 by frequency; null: all."
    )
    start: Finite = Field(
        default=-0.3,
        description="First displacement, Å: the length of the vector of all atoms' displacements.",
    )
    stop: Finite = Field(default=0.3, description="Last displacement, Å.")
    points: Annotated[int, Field(ge=2, strict=True)] = Field(
        default=11, description="Number of points of each mode, ends included."
    )


class Dimers(_Scan):
    """Two atoms at many distances."""

    kind: Literal["dimers"]
    pairs: tuple[str, ...] | None = Field(
        default=None, description="Pairs such as H-O; null: all of the structure's elements."
    )
    start: Positive | None = Field(
        default=None, description="First distance, Å; null: 0.7 of the sum of covalent radii."
    )
    stop: Positive = Field(default=6.0, description="Last distance, Å.")
    multiplicities: Multiplicities = Field(
        default_factory=dict,
        description="2S + 1 by pair, such as O-O: 3; else 1 for an even number of electrons, 2 "
        "for an odd.",
    )

    @model_validator(mode="after")
    def _check(self) -> Dimers:
        for pair in (*(self.pairs or ()), *self.multiplicities):
            symbols_of(pair)
        return self


class Path(_Group):
    """The path of least energy from the starting structure to another."""

    kind: Literal["path"]
    end: str = Field(description="The other end: a structure with the atoms in the same order.")
    images: Annotated[int, Field(ge=3, strict=True)] = Field(
        default=9, description="Number of images, ends included."
    )
    climb: bool = Field(default=True, description="Let the highest image climb to the saddle.")
    largest_force: Positive = Field(
        default=0.05, description="Largest force on an image at the end, eV/Å."
    )
    steps: Count = Field(default=500, description="Steps after which the search has failed.")


class IsolatedAtoms(_Group):
    """Single atoms, for E0."""

    kind: Literal["isolated_atoms"]
    elements: tuple[str, ...] | None = Field(
        default=None, description="Symbols; null: those of the structure."
    )
    multiplicities: Multiplicities = Field(
        default_factory=dict, description="2S + 1 by symbol; else that of the ground state."
    )

    @model_validator(mode="after")
    def _check(self) -> IsolatedAtoms:
        for symbol in (*(self.elements or ()), *self.multiplicities):
            atomic_number(symbol)
        return self


KINDS: Mapping[str, type[_Group]] = {
    "md": MolecularDynamics,
    "bond": Bond,
    "angle": Angle,
    "dihedral": Dihedral,
    "normal_modes": NormalModes,
    "dimers": Dimers,
    "path": Path,
    "isolated_atoms": IsolatedAtoms,
}
"""Kinds of sets by the name that `kind` takes."""

AnySet = MolecularDynamics | Bond | Angle | Dihedral | NormalModes | Dimers | Path | IsolatedAtoms

SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Recipe(_Group):
    """Reference data to be made: a structure, a method, and sets of frames.

    Each set becomes one extended XYZ file of its name.
    """

    structure: str = Field(
        description="A file that ASE reads, `molecule:NAME` or `bulk:NAME` of ASE, or "
        "`bundled:NAME`."
    )
    repeat: tuple[Count, Count, Count] = Field(
        default=(1, 1, 1), description="Repetitions of a crystal along its three cell vectors."
    )
    optimise: bool = Field(
        default=True,
        description="Begin at the nearest minimum instead of the structure as it is; cells stay.",
    )
    method: Method = Field(default=Method(), description="What computes the labels.")
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = Field(
        default=0, description="Of all random numbers; each trajectory draws its own."
    )
    sets: dict[str, SerializeAsAny[AnySet]] = Field(
        min_length=1, description="What to make: file name without .xyz -> set."
    )

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        for name in self.sets:
            if not SET_NAME.fullmatch(name):
                raise ValueError(f"sets.{name} must be a file name of letters, digits and _ . + -")
        return self


def symbols_of(pair: str) -> tuple[str, str]:
    """Return the two elements of a pair, in alphabetical order.

    Raises:
        ValueError: not two symbols.

    Example:
        >>> symbols_of("O-H")
        ('H', 'O')
    """
    symbols = pair.split("-")
    if len(symbols) != 2:
        raise ValueError(f"a pair is two symbols, such as H-O, got {pair!r}")
    for symbol in symbols:
        atomic_number(symbol)
    first, second = sorted(symbols)
    return first, second
