"""Probes that a study asks of every trained model: their options, as plain data, and the call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from multiace import probes
from multiace.elements import ElementError, atomic_number
from multiace.geometry import Structure
from multiace.probes import ProbeResult, Surface
from multiace.probes.body_order import nearest_atoms
from multiace.probes.subjects import ASE, TBLITE, named_surface

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Precision = Literal["float32", "float64"]
Sets = Sequence[Sequence[Structure]]

NOT_IN_IDENTITY = {"structure", "structures", "reference", "compare"}
"""Options that do not decide what is computed, or whose content does and not their name."""


class _Probe(BaseModel, ABC, frozen=True, extra="forbid"):
    """What is asked; files are read by the study, as it reads those of test sets."""

    dtype: Precision = Field(
        default="float64", description="Compute type; float32 hides what its rounding covers."
    )
    compare: str | None = Field(default=None, description="Number that effects are computed of.")

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Option and name of each file of structures."""
        return ()

    @property
    def models(self) -> tuple[tuple[str, str], ...]:
        """Option and name of each model file that is compared with."""
        return ()

    def check(self, sets: Sets) -> None:
        """Refuse options that the structures cannot meet.

        Args:
            sets: the structures of each file.

        Raises:
            ValueError: what cannot be met.
        """

    @abstractmethod
    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Probe a model.

        Args:
            found: its surface, in the compute type of the probe.
            sets: the structures of each file.
        """


class _OfStructure(_Probe, ABC, frozen=True):
    """A probe of one structure."""

    structure: str = Field(description="File with the structure, or `bundled:NAME`.")
    frame: int = Field(default=0, strict=True, description="Which of its frames; -1 is the last.")

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Option and name of the file."""
        return (("structure", self.structure),)

    def check(self, sets: Sets) -> None:
        """Refuse a frame that is not there."""
        frame_of(sets[0], self.structure, self.frame)

    def chosen(self, sets: Sets) -> Structure:
        """Return the structure."""
        return frame_of(sets[0], self.structure, self.frame)


class SmoothnessProbe(_Probe, frozen=True):
    """Holes, jumps and ripples: dimers, the cutoff, random directions, bonds."""

    probe: Literal["smoothness"] = Field(description="Name of the probe.")
    structure: str | None = Field(default=None, description="Where directions and bonds are.")
    frame: int = Field(default=0, strict=True, description="Which of its frames; -1 is the last.")
    pairs: tuple[str, ...] | None = Field(
        default=None, description="Pairs of elements, as [H-H, C-O]; default: all of them."
    )
    reference: str | None = Field(
        default=None, description="tblite:METHOD, ase:CALCULATOR or a model file."
    )
    hydrogen: bool = Field(default=False, description="Stretch bonds to hydrogen too.")
    compare: (
        Literal[
            "dimers_conservation_deviation",
            "dimers_tortuosity",
            "directions_curvature",
            "directions_third_derivative",
            "bonds_fsd",
            "bonds_energy_mae",
            "bonds_forces_mae",
        ]
        | None
    ) = Field(default=None, description="Number that effects are computed of.")

    @field_validator("pairs")
    @classmethod
    def _are_elements(cls, pairs: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in pairs or ():
            _pair(text)
        return pairs

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Option and name of the file, if there is one."""
        return () if self.structure is None else (("structure", self.structure),)

    @property
    def models(self) -> tuple[tuple[str, str], ...]:
        """Option and name of a reference that is a model file."""
        if self.reference is None or self.reference.startswith((TBLITE, ASE)):
            return ()
        return (("reference", self.reference),)

    def check(self, sets: Sets) -> None:
        """Refuse a frame or a reference that is not there, and a number that would not be."""
        if self.structure is not None:
            frame_of(sets[0], self.structure, self.frame)
        if self.reference is not None:
            named_surface(self.reference)
        part = (self.compare or "dimers").partition("_")[0]
        if part != "dimers" and self.structure is None:
            raise ValueError(f"compare: {self.compare} needs a structure. Name one.")
        if part == "bonds" and (self.reference is None or any(sets[0][self.frame].pbc)):
            raise ValueError(f"compare: {self.compare} needs a molecule and a reference.")

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Look at the surface."""
        return probes.smoothness(
            found,
            None if self.structure is None else sets[0][self.frame],
            pairs=None if self.pairs is None else [_pair(text) for text in self.pairs],
            reference=None if self.reference is None else named_surface(self.reference),
            hydrogen=self.hydrogen,
        )


class SymmetryProbe(_Probe, frozen=True):
    """Rotations, mirrors, translations, permutations, other cells."""

    probe: Literal["symmetry"] = Field(description="Name of the probe.")
    structures: str = Field(description="File with the structures, or `bundled:NAME`.")
    first: Annotated[int, Field(ge=1, strict=True)] = Field(
        default=3, description="How many of its frames."
    )
    repetitions: Annotated[int, Field(ge=1, strict=True)] = Field(
        default=3, description="Images of each kind."
    )
    seed: Seed = Field(default=0, description="Of the images.")
    compare: None = Field(default=None, description="Departures are rounding: no effects.")

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Option and name of the file."""
        return (("structures", self.structures),)

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Compare images."""
        chosen = list(sets[0][: self.first])
        return probes.symmetry(found, chosen, repetitions=self.repetitions, seed=self.seed)


class LocalityProbe(_OfStructure, frozen=True):
    """How far atoms feel each other."""

    probe: Literal["locality"] = Field(description="Name of the probe.")
    compare: Literal["reach", "largest", "beyond_cutoff"] | None = Field(
        default=None, description="Number that effects are computed of."
    )

    def check(self, sets: Sets) -> None:
        """Refuse a single atom."""
        if self.chosen(sets).n_atoms < 2:
            raise ValueError(f"{self.structure} has one atom, and locality is between atoms.")

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Move atoms."""
        return probes.locality(found, self.chosen(sets))


class StabilityProbe(_OfStructure, frozen=True):
    """Molecular dynamics: drift of the energy, and the temperature at which it fails."""

    probe: Literal["stability"] = Field(description="Name of the probe.")
    temperatures: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(300.0, 600.0, 900.0, 1200.0, 1500.0, 2000.0), description="K, ascending."
    )
    timestep: Positive = Field(default=0.5, description="fs.")
    steps: Annotated[int, Field(ge=10, strict=True)] = Field(
        default=2000, description="Of each run."
    )
    friction: Positive = Field(default=10.0, description="Of the thermostat, 1/ps.")
    seed: Seed = Field(default=0, description="Of velocities and thermostat.")
    dtype: Precision = Field(default="float32", description="Compute type.")
    compare: Literal["fluctuation", "survived"] | None = Field(
        default=None, description="Number that effects are computed of."
    )

    @field_validator("temperatures")
    @classmethod
    def _ascend(cls, temperatures: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(temperatures)):
            raise ValueError(f"temperatures must ascend, got {list(temperatures)} K.")
        return temperatures

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Run molecular dynamics."""
        return probes.stability(
            found,
            self.chosen(sets),
            temperatures=self.temperatures,
            timestep=self.timestep,
            steps=self.steps,
            friction=self.friction / 1e3,
            seed=self.seed,
        )


class BodyOrderProbe(_OfStructure, frozen=True):
    """Energies of a cluster by inclusion and exclusion."""

    probe: Literal["body-order"] = Field(description="Name of the probe.")
    atoms: Annotated[int, Field(ge=2, le=12, strict=True)] = Field(
        default=6, description="Of the cluster: 2^atoms energies."
    )
    centre: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        default=None, description="Atom in its middle; default: that of the structure."
    )
    compare: Literal["decay"] | None = Field(
        default=None, description="Number that effects are computed of."
    )

    def check(self, sets: Sets) -> None:
        """Refuse a cluster that is larger than the structure."""
        structure = self.chosen(sets)
        if self.centre is not None and self.centre >= structure.n_atoms:
            raise ValueError(
                f"centre is {self.centre}, but {self.structure} has {structure.n_atoms} atoms. "
                "Count from 0."
            )
        nearest_atoms(structure, self.atoms, self.centre)

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Evaluate the clusters."""
        return probes.body_order(found, self.chosen(sets), atoms=self.atoms, centre=self.centre)


class CompletenessProbe(_Probe, frozen=True):
    """Ranks of product bases, and environments that look alike."""

    probe: Literal["completeness"] = Field(description="Name of the probe.")
    element: str | None = Field(
        default=None, description="Of the degenerate environments; default: the heaviest."
    )
    environments: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=0, description="Random clusters on which functions count as independent."
    )
    seed: Seed = Field(default=0, description="Of the random numbers.")
    compare: None = Field(default=None, description="Ranks are those of the design: no effects.")

    @field_validator("element")
    @classmethod
    def _is_element(cls, element: str | None) -> str | None:
        if element is not None:
            atomic_number(element)
        return element

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Count ranks."""
        number = None if self.element is None else atomic_number(self.element)
        return probes.completeness(
            found, number=number, environments=self.environments, seed=self.seed
        )


class CostProbe(_Probe, frozen=True):
    """Operations, bytes, measured time and memory of energy and forces."""

    probe: Literal["cost"] = Field(description="Name of the probe.")
    structures: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Files with a structure of each size; numbers are for the last."
    )
    frame: int = Field(default=0, strict=True, description="Which frame of each; -1 is the last.")
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=1.0, description="How long each is evaluated; the median counts."
    )
    dtype: Precision = Field(default="float32", description="Compute type.")
    compare: Literal["time_per_atom", "memory"] | None = Field(
        default=None, description="Number that effects are computed of."
    )

    @field_validator("structures", mode="before")
    @classmethod
    def _list(cls, files: Any) -> Any:
        return (files,) if isinstance(files, str) else files

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Option and name of each file."""
        return tuple(("structures", file) for file in self.structures)

    def check(self, sets: Sets) -> None:
        """Refuse a frame that is not there."""
        for file, structures in zip(self.structures, sets, strict=True):
            frame_of(structures, file, self.frame)

    def ask(self, found: Surface, sets: Sets) -> ProbeResult:
        """Measure."""
        chosen = [structures[self.frame] for structures in sets]
        return probes.cost(found, chosen, seconds=self.seconds)


Probe = Annotated[
    Annotated[SmoothnessProbe, Tag("smoothness")]
    | Annotated[SymmetryProbe, Tag("symmetry")]
    | Annotated[LocalityProbe, Tag("locality")]
    | Annotated[StabilityProbe, Tag("stability")]
    | Annotated[BodyOrderProbe, Tag("body-order")]
    | Annotated[CompletenessProbe, Tag("completeness")]
    | Annotated[CostProbe, Tag("cost")],
    Discriminator("probe"),
]

PROBES: dict[str, type[_Probe]] = {
    get_args(model.model_fields["probe"].annotation)[0]: model
    for model in (
        SmoothnessProbe,
        SymmetryProbe,
        LocalityProbe,
        StabilityProbe,
        BodyOrderProbe,
        CompletenessProbe,
        CostProbe,
    )
}
"""Name of each probe, as on the command line -> its options."""


def frame_of(structures: Sequence[Structure], name: str, frame: int) -> Structure:
    """Return one structure of a file.

    Args:
        structures: of the file.
        name: of the file.
        frame: from 0, or from the end with a minus.

    Raises:
        ValueError: there is no such frame.
    """
    n = len(structures)
    if not -n <= frame < n:
        raise ValueError(f"{name} has {n} frames, counted from 0: there is no {frame}.")
    return structures[frame]


def _pair(text: str) -> tuple[int, int]:
    """Return the atomic numbers of a pair as `C-O`."""
    try:
        first, second = (atomic_number(symbol.strip()) for symbol in text.split("-"))
    except ElementError:
        raise
    except ValueError:
        raise ValueError(f"pairs are two elements with a dash, as C-O; got {text!r}.") from None
    return first, second
