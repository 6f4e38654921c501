"""`ReactionPath`: images along the path of least energy between two minima."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE

from multiace.data.errors import DataError
from multiace.data.make.labelling import CalculationError, Failure, Point, evaluate
from multiace.data.make.recipe import Path
from multiace.data.make.source import OnWork, State, System
from multiace.data.make.start import optimise, read_start

_STEPS_EXPECTED: Final = 60


@dataclass(frozen=True)
class ReactionPath:
    """A nudged elastic band with improved tangents, begun by interpolating distances (IDPP).

    All images come from one search, which begins again if it is interrupted.

    Args:
        name: of the set.
        system: one end.
        settings: the other end and the search.
        relax_end: whether the other end is relaxed first, as the start was.
    """

    name: str
    system: System
    settings: Path
    relax_end: bool

    def __post_init__(self) -> None:
        end = read_start(self.settings.end)
        if end.numbers.tolist() != self.system.atoms.numbers.tolist():
            raise DataError(
                f"sets.{self.name}.end must have the atoms of the structure in the same order, "
                f"got {end.get_chemical_formula()} for "
                f"{self.system.atoms.get_chemical_formula()}",
                file=self.settings.end,
            )
        if self.system.atoms.pbc.any() and not np.allclose(end.cell, self.system.atoms.cell):
            raise DataError(f"sets.{self.name}.end must have the cell of the structure")

    @property
    def config_type(self) -> str:
        """The `config_type` of its frames."""
        return "path"

    @property
    def n_points(self) -> int:
        """Number of images."""
        return self.settings.images

    @property
    def n_energies(self) -> int:
        """About how many energies the search takes."""
        return _STEPS_EXPECTED * (self.settings.images - 2)

    def points(self, state: State, on_work: OnWork) -> Iterator[tuple[Point | Failure, State]]:
        """Yield the images that are left, of a search from the beginning."""
        done = state.get("done", 0)
        if done >= self.n_points:
            return
        try:
            images = self._search(on_work)
        except CalculationError as error:
            for index in range(done, self.n_points):
                yield Failure(f"no path: {error}", {"image": index}), {"done": index + 1}
            return
        lengths = np.cumsum([0.0, *(_distance(*pair) for pair in pairwise(images))])
        for index in range(done, self.n_points):
            info: dict[str, Any] = {"image": index, "path_A": round(float(lengths[index]), 6)}
            yield self.system.point(images[index], **info), {"done": index + 1}

    def _search(self, on_work: OnWork) -> list[Atoms]:
        """Return the converged images.

        Raises:
            CalculationError: a calculator failed, or the path did not converge.
        """
        end = read_start(self.settings.end)
        if self.relax_end:
            end.calc = self.system.calculator()
            on_work(optimise(end))
        images = [self.system.atoms.copy() for _ in range(self.settings.images - 1)]
        images.append(Atoms(end.numbers, end.positions, cell=end.cell, pbc=end.pbc))
        band = NEB(images, climb=self.settings.climb, method="improvedtangent")
        band.interpolate("idpp", mic=bool(self.system.atoms.pbc.any()))
        for image in images:
            image.calc = self.system.calculator()
        for image in (images[0], images[-1]):
            evaluate(image, ["energy"])
        optimiser = FIRE(cast(Any, band), logfile=cast(Any, None))
        optimiser.attach(lambda: on_work(len(images) - 2))
        try:
            reached = optimiser.run(fmax=self.settings.largest_force, steps=self.settings.steps)
        except (RuntimeError, ArithmeticError, ValueError) as error:
            raise CalculationError(str(error).strip() or type(error).__name__) from error
        if not reached:
            raise CalculationError(
                f"not converged to {self.settings.largest_force} eV/Å in {self.settings.steps} "
                "steps; allow more, or begin from ends that are nearer"
            )
        for image in images:
            image.calc = None
        return images


def _distance(first: Atoms, second: Atoms) -> float:
    """Return the length of the vector of all displacements, Å."""
    return float(np.linalg.norm(second.positions - first.positions))
