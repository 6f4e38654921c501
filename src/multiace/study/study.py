"""`Study`: a study file resolved into cells, runs and what to judge them on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiace.data.bundled import data_path
from multiace.design import Design
from multiace.study.config import StudyConfig
from multiace.study.errors import Places
from multiace.study.factors import Factor, changed
from multiace.study.model_matrix import Identification
from multiace.training import TrainingConfig

FORMAT = 1
"""Version of what a run's name is made of."""

NOT_IN_NAME = ("out", "device", "kernels", "tracing", "checkpoint", "log", "seeds", "strikes")
"""Fields of the training config that do not change what a run comes to."""


@dataclass(frozen=True)
class Cell:
    """One combination of levels.

    Args:
        levels: index of the level of each factor.
        name: the levels in words.
    """

    levels: tuple[int, ...]
    name: str


@dataclass(frozen=True, eq=False)
class Study:
    """A study that was read and checked.

    Args:
        config: what the file says.
        base: fields of the training config that all cells share, the design as its fields.
        factors: the choices; of a path, its steps.
        cells: combinations that are trained; of a search, none yet.
        identification: what the cells tell apart; None for a search.
        notes: what the user must know of the plan, besides errors.
        places: where everything is written.
    """

    config: StudyConfig
    base: Mapping[str, Any]
    factors: tuple[Factor, ...]
    cells: tuple[Cell, ...]
    identification: Identification | None
    notes: tuple[str, ...] = ()
    places: Places = field(default_factory=Places)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each factor."""
        return tuple(len(factor.levels) for factor in self.factors)

    def cell(self, levels: tuple[int, ...]) -> Cell:
        """Return the cell of given levels."""
        return Cell(levels, cell_name(self.factors, levels, self.config.plan.kind))

    def training_fields(self, cell: Cell) -> dict[str, Any]:
        """Return the fields of the training config of a cell, without budget, seed and out."""
        content = dict(self.base)
        for factor, level in zip(self.factors, cell.levels, strict=True):
            content = changed(content, factor.changes[level])
        return content

    def training_config(
        self, cell: Cell, *, epochs: int, seed: int = 0, out: str = "-"
    ) -> TrainingConfig:
        """Return the training config of a run, test sets left to the study."""
        content = self.training_fields(cell)
        minutes = self.config.budget.minutes
        content |= {"epochs": epochs, "seed": seed, "out": out, "minutes": minutes}
        return TrainingConfig.model_validate(content)

    def design(self, cell: Cell) -> Design:
        """Return the design of a cell."""
        return self.training_config(cell, epochs=1_000_000).design


@dataclass(frozen=True)
class Run:
    """One training: a cell with a seed.

    Args:
        name: content hash of everything that decides its result.
        cell: combination of levels.
        seed: of split, order and initial weights.
        epochs: passes over the training set.
    """

    name: str
    cell: Cell
    seed: int
    epochs: int


def cell_name(factors: tuple[Factor, ...], levels: tuple[int, ...], kind: str) -> str:
    """Return the levels of a cell in words.

    Args:
        factors: of the study.
        levels: index of the level of each.
        kind: of the plan. Cells of a path are named by the steps that were taken, those of
            one-at-a-time by what differs from the first levels.

    Example:
        >>> steps = tuple(Factor(name, ("before", "after"), ({}, {})) for name in "abc")
        >>> cell_name(steps, (1, 1, 0), "path"), cell_name(steps[:1], (1,), "grid")
        ('a + b', 'a: after')
    """
    named = [(f.name, f.levels[level], level) for f, level in zip(factors, levels, strict=True)]
    if kind == "path":
        taken = [name for name, _, level in named if level]
        if len(taken) == len(factors) and len(factors) > 1:
            return "end (all steps)"
        return " + ".join(taken) or "start"
    if kind == "one-at-a-time":
        return (
            ", ".join(f"{name}: {word}" for name, word, level in named if level) or "first levels"
        )
    return ", ".join(f"{name}: {word}" for name, word, _ in named)


def run_name(config: TrainingConfig, threads: int) -> str:
    """Return the content hash of a training: its config in normal form and the bytes of its data.

    Fields at their defaults are left out, so that a field added later does not change the name.

    Args:
        config: of the run.
        threads: CPU threads it is computed with, which its last digits depend on.
    """
    content = config.to_dict()
    defaults = TrainingConfig.model_validate(
        {"design": {}, "data": {"train": "-"}, "epochs": 1, "out": "-"}
    ).to_dict()
    for name in NOT_IN_NAME:
        content.pop(name)
    content["design"] = config.design.content_hash
    data = content["data"]
    for name in ("tests", "cache", "unit_check"):
        data.pop(name)
    for name in ("train", "valid", "isolated_atoms"):
        if isinstance(data[name], list):
            data[name] = [file_hash(file) for file in data[name]]
    text = json.dumps(
        {"format": FORMAT, "threads": threads, **_without(content, defaults)}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without(content: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for name, value in content.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            value = _without(value, default)
            default = {}
        if value != default:
            result[name] = value
    return result


_HASHES: dict[tuple[str, int, int], str] = {}


def file_hash(name: str) -> str:
    """Return the SHA-256 of a data file, read again only when it has changed."""
    path = data_path(name)
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _HASHES:
        with path.open("rb") as stream:
            _HASHES[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _HASHES[key]
