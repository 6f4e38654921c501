"""`make`: follow a recipe."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import ase
import numpy as np
from ase import Atoms
from filelock import FileLock, Timeout

import multiace
from multiace.data.atomic_write import write_atomically
from multiace.data.errors import DataError
from multiace.data.make.dynamics import trajectories
from multiace.data.make.few_atoms import AtomSet, DimerScan
from multiace.data.make.internal import InternalScan
from multiace.data.make.labelling import (
    CalculationError,
    Failure,
    NewCalculator,
    as_extxyz,
    label,
    multiplicity_of,
    tblite_calculator,
)
from multiace.data.make.modes import ModeScan
from multiace.data.make.parts import Part
from multiace.data.make.path import ReactionPath
from multiace.data.make.read_recipe import recipe_as_yaml
from multiace.data.make.recipe import (
    Dimers,
    IsolatedAtoms,
    MolecularDynamics,
    NormalModes,
    Recipe,
)
from multiace.data.make.recipe import Path as PathSet
from multiace.data.make.source import Source, System
from multiace.data.make.start import optimise, read_start

RECORD_FILE: Final = "provenance.json"
RECIPE_FILE: Final = "recipe.yaml"
_PARTS: Final = ".parts"
_MOST_FAILURES_LISTED: Final = 100


@dataclass(frozen=True)
class Made:
    """One set that was made.

    Args:
        path: its file.
        n_written: frames in it.
        n_asked: points that the recipe asks for.
        reasons: why the others are not there, with how often.
        was_there: whether nothing had to be done.
    """

    path: Path
    n_written: int
    n_asked: int
    reasons: Mapping[str, int]
    was_there: bool

    @property
    def n_failed(self) -> int:
        """Points that failed."""
        return self.n_asked - self.n_written


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Args:
        set_name: what is being made.
        n_done: points of all sets that are done.
        n_points: points of all sets.
        fraction: of the energies to be computed, about.
        n_failed: points that failed.
    """

    set_name: str
    n_done: int
    n_points: int
    fraction: float
    n_failed: int


OnProgress = Callable[[Progress], None]


def make(
    recipe: Recipe,
    out: str | Path,
    *,
    new_calculator: NewCalculator | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> list[Made]:
    """Make the sets of a recipe, each one file of extended XYZ in a folder.

    Sets that are there are not made again, and what a killed process had made of one is gone on
    with, to the same frames. Points whose self-consistent field fails are counted and reported in
    `provenance.json`, and are in no file.

    Args:
        recipe: what to make.
        out: the folder.
        new_calculator: what labels, instead of tblite with the recipe's method.
        on_progress: told of each point, and now and then between them.

    Returns:
        The sets in the order of the recipe.

    Raises:
        DataError: the folder is in use or holds other data, tblite is missing, the structure or
            a set makes no sense, or no point of a set could be labelled.
    """
    folder = Path(out)
    run = _Run(recipe, folder, new_calculator, on_progress)
    parts = folder / _PARTS
    parts.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(parts / "lock", blocking=False):
            made = run.make()
            (parts / "lock").unlink(missing_ok=True)
            if not any(parts.iterdir()):  # else there are those of another recipe
                parts.rmdir()
            return made
    except Timeout:
        raise DataError(
            "another process is making data here",
            file=folder,
            hint="Wait for it, or choose another folder with --out.",
        ) from None


class _Run:
    """One call of `make`."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        new_calculator: NewCalculator | None,
        on_progress: OnProgress,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.method = _method_record(recipe, new_calculator)
        self.new_calculator = new_calculator or tblite_calculator(recipe.method)
        self.on_progress = on_progress
        self.atoms = read_start(recipe.structure, recipe.repeat)
        start = {
            "atoms": [self.atoms.numbers.tolist(), self.atoms.positions.tolist()],
            "cell": [np.asarray(self.atoms.cell).tolist(), self.atoms.pbc.tolist()],
            "optimise": recipe.optimise,
            "method": self.method,
        }
        self.start_file = folder / _PARTS / f"start-{_digest(start)[:16]}.json"
        start["seed"] = recipe.seed
        self.digests = {
            name: _digest({**start, "name": name, "set": settings.model_dump(mode="json")})
            for name, settings in recipe.sets.items()
        }
        self.n_energies = self.n_energies_done = 0
        self.n_points = self.n_done = self.n_failed = 0
        for name in recipe.sets:  # what makes no sense stops here
            self._sources(name, self._system(optimised=False))

    def make(self) -> list[Made]:
        record = self._read_record()
        todo = [name for name in self.recipe.sets if not self._is_there(name, record)]
        if todo:
            system = self._system(optimised=self.recipe.optimise and len(self.atoms) > 1)
            sources = {name: self._sources(name, system) for name in todo}
            for source in (source for of_set in sources.values() for source in of_set):
                self.n_energies += source.n_energies + source.n_points
                self.n_points += source.n_points
            for name in todo:
                record["sets"][name], content = self._make_set(name, sources[name])
                self._write_record(record, system.atoms)  # before the file, which else is foreign
                write_atomically(self.folder / f"{name}.xyz", content)
                shutil.rmtree(self._parts(name))
            self.start_file.unlink(missing_ok=True)
        write_atomically(self.folder / RECIPE_FILE, recipe_as_yaml(self.recipe))
        return [self._made(name, record["sets"][name], name in todo) for name in self.recipe.sets]

    def _made(self, name: str, row: Mapping[str, Any], new: bool) -> Made:
        return Made(
            path=self.folder / f"{name}.xyz",
            n_written=row["written"],
            n_asked=row["asked"],
            reasons=row["failed"]["reasons"],
            was_there=not new,
        )

    def _read_record(self) -> dict[str, Any]:
        path = self.folder / RECORD_FILE
        if not path.exists():
            return {"sets": {}}
        try:
            record = json.loads(path.read_bytes())
            return {**record, "sets": dict(record["sets"])}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"this is not a record of made data: {error!r}",
                file=path,
                hint="Choose another folder with --out.",
            ) from error

    def _is_there(self, name: str, record: Mapping[str, Any]) -> bool:
        """Return whether a set is there as this recipe makes it."""
        path = self.folder / f"{name}.xyz"
        row = record["sets"].get(name)
        if not path.exists():
            return False
        if row is None or row["digest"] != self.digests[name]:
            raise DataError(
                "there is a file of that name that this recipe did not make",
                file=path,
                hint="Choose another folder with --out, another name, or remove the file.",
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            raise DataError(
                "the file was changed after it was made",
                file=path,
                hint="Remove it to have it made again, or give it another name.",
            )
        return True

    def _system(self, optimised: bool) -> System:
        """Return the starting structure as it is, or optimised."""
        method = self.recipe.method
        multiplicity = multiplicity_of(
            self.atoms.numbers.tolist(), method.charge, method.multiplicity, "method.multiplicity"
        )
        system = System(self.atoms, method.charge, multiplicity, self.new_calculator)
        if not optimised:
            return system
        try:
            positions = np.array(json.loads(self.start_file.read_bytes()))
        except (OSError, ValueError):
            atoms = self.atoms.copy()
            atoms.calc = system.calculator()
            try:
                optimise(atoms)
            except CalculationError as error:
                raise DataError(
                    f"the structure cannot be optimised: {error}",
                    field="structure",
                    value=self.recipe.structure,
                    hint="Check its positions, method.charge and method.multiplicity, or set "
                    "`optimise: false`.",
                ) from error
            positions = atoms.positions
            write_atomically(self.start_file, json.dumps(positions.tolist()))
        atoms = self.atoms.copy()
        atoms.positions = positions
        return System(atoms, method.charge, multiplicity, self.new_calculator)

    def _sources(self, name: str, system: System) -> list[Source]:
        """Return what makes the frames of a set."""
        settings = self.recipe.sets[name]
        if isinstance(settings, MolecularDynamics):
            return list(trajectories(name, system, settings, self.recipe.seed))
        if isinstance(settings, NormalModes):
            return [ModeScan(name, system, settings)]
        if isinstance(settings, Dimers):
            return [DimerScan(name, system, settings)]
        if isinstance(settings, IsolatedAtoms):
            return [AtomSet(name, system, settings)]
        if isinstance(settings, PathSet):
            return [ReactionPath(name, system, settings, self.recipe.optimise)]
        return [InternalScan(name, system, settings)]

    def _make_set(self, name: str, sources: list[Source]) -> tuple[dict[str, Any], bytes]:
        """Make one set and return its record and the content of its file."""
        folder, parts = self._parts(name), []
        for source in sources:
            part = Part(folder / source.name)
            if not part.is_complete:
                self._fill(part, source, name)
            self.n_energies_done += source.n_energies + source.n_points
            self.n_done += part.n_done
            self.n_failed += len(part.failed)
            self._tell(name, 0, part=None)
            parts.append(part)
        failed = [failure for part in parts for failure in part.failed]
        n_asked = sum(source.n_points for source in sources)
        n_written = sum(part.n_written for part in parts)
        if n_written == 0:
            shutil.rmtree(folder)
            raise DataError(
                f"all {n_asked} points of {name} failed, the first because: {failed[0]['reason']}",
                field=f"sets.{name}",
                hint="Check method.charge, multiplicities and geometry, or raise "
                "method.max_iterations.",
            )
        content = b"".join(part.frames.read_bytes() for part in parts)
        reasons: dict[str, int] = {}
        for failure in failed:
            reasons[failure["reason"]] = reasons.get(failure["reason"], 0) + 1
        row = {
            "digest": self.digests[name],
            "sha256": hashlib.sha256(content).hexdigest(),
            "asked": n_asked,
            "written": n_written,
            "failed": {"reasons": reasons, "points": failed[:_MOST_FAILURES_LISTED]},
            "set": self.recipe.sets[name].model_dump(mode="json"),
        }
        return row, content

    def _parts(self, name: str) -> Path:
        """Return where the frames of a set are while it is made."""
        return self.folder / _PARTS / f"{name}-{self.digests[name][:16]}"

    def _fill(self, part: Part, source: Source, name: str) -> None:
        """Make the points of a source that are missing."""
        work = 0

        def on_work(energies: int) -> None:
            nonlocal work
            work += energies
            self._tell(name, work, part)

        common = self._info(source)
        try:
            for outcome, state in source.points(part.state, on_work):
                if not isinstance(outcome, Failure):
                    labelled = label(outcome, self.new_calculator)
                    work += 1
                    if isinstance(labelled, Atoms):
                        labelled.info = {**common, **labelled.info}
                        part.add(as_extxyz(labelled), state)
                        self._tell(name, work, part)
                        continue
                    outcome = labelled
                part.fail(outcome.reason, outcome.info, state)
                self._tell(name, work, part)
        finally:
            part.save()
        part.complete()

    def _info(self, source: Source) -> dict[str, Any]:
        """Return what each comment line of a source says before what is its own."""
        made_with = {key: value for key, value in self.method.items() if key in _IN_FRAMES}
        return {"config_type": source.config_type, **made_with}

    def _tell(self, name: str, work: int, part: Part | None) -> None:
        """Report progress."""
        done = min(self.n_energies_done + work, self.n_energies)
        self.on_progress(
            Progress(
                set_name=name,
                n_done=self.n_done + (part.n_done if part else 0),
                n_points=self.n_points,
                fraction=done / self.n_energies,
                n_failed=self.n_failed + (len(part.failed) if part else 0),
            )
        )

    def _write_record(self, record: Mapping[str, Any], start: Atoms) -> None:
        content = {
            "structure": self.recipe.structure,
            "method": self.method,
            "seed": self.recipe.seed,
            "units": {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å^3", "positions": "Å"},
            "versions": _versions(),
            "start": {
                "symbols": str(start.symbols),
                "positions": start.positions.tolist(),
                "cell": np.asarray(start.cell).tolist() if start.pbc.any() else None,
                "optimised": self.recipe.optimise and len(start) > 1,
            },
            "sets": record["sets"],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_atomically(self.folder / RECORD_FILE, text + "\n")


_IN_FRAMES: Final = ("method", "accuracy", "electronic_temperature_K", "tblite", "multiace")


def _method_record(recipe: Recipe, new_calculator: NewCalculator | None) -> dict[str, Any]:
    """Return what computes the labels, for comment lines and records."""
    method = recipe.method
    if new_calculator is not None:
        return {
            "method": getattr(new_calculator, "__name__", type(new_calculator).__name__),
            "charge": method.charge,
            "multiplicity": method.multiplicity,
            "multiace": multiace.__version__,
        }
    return {
        "method": method.name,
        "charge": method.charge,
        "multiplicity": method.multiplicity,
        "accuracy": method.accuracy,
        "max_iterations": method.max_iterations,
        "electronic_temperature_K": method.electronic_temperature,
        "tblite": _version("tblite"),
        "multiace": multiace.__version__,
    }


def _versions() -> dict[str, str]:
    return {
        "multiace": multiace.__version__,
        "tblite": _version("tblite"),
        "ase": ase.__version__,
        "numpy": np.__version__,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
