"""Run directories as a report reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiace.checkpoint import build_potential, parse_description, read_tensors
from multiace.data.bundled import PREFIX
from multiace.potential import Potential
from multiace.training import EpochRecord, TrainingConfig, read_config

STILL_FALLING = 0.05
"""A run whose error falls by more than this part in its last fifth is marked unconverged."""

LAST_PART = 0.2


class RunError(ValueError):
    """A directory that no report can be made of: says why and what can be done."""


@dataclass(frozen=True)
class Fall:
    """How much a validation error still fell at the end of a run.

    Args:
        quantity: whose error fell most: energy, forces or stress.
        part: fall of the lowest error in the last fifth of the epochs, as a part of the lowest
            error before.
    """

    quantity: str
    part: float

    @property
    def unconverged(self) -> bool:
        """Whether more training would lower the error noticeably."""
        return self.part > STILL_FALLING


@dataclass(frozen=True, eq=False)
class Run:
    """One trained model and how it came to be.

    Args:
        name: what figures call it.
        path: the run directory.
        config: resolved.
        identity: content of run.json.
        history: one record an epoch.
        potential: the best model.
        provenance: what the model file says of where it comes from.
        cost: content of cost.json; nothing for runs of earlier versions.
    """

    name: str
    path: Path
    config: TrainingConfig
    identity: Mapping[str, Any]
    history: tuple[EpochRecord, ...]
    potential: Potential
    provenance: Mapping[str, Any]
    cost: Mapping[str, Any]

    @property
    def model_path(self) -> Path:
        """The file of the model."""
        return self.path / "model.safetensors"

    @property
    def data_hash(self) -> str | None:
        """SHA-256 of what it was trained and validated on, if the model says it."""
        return self.provenance.get("data", {}).get("sha256")

    @property
    def fall(self) -> Fall | None:
        """How much its errors still fell at its end."""
        return last_fall(self.history)


def read_run(path: Path, name: str) -> Run:
    """Read a run directory that `multiace train` wrote.

    Raises:
        RunError: there is no run, or it has no model yet.
        ModelFileError: a model file that is damaged.
    """
    if not (path / "config.yaml").exists():
        raise RunError(
            f"{path} is no run directory: it has no config.yaml. Give the directory that "
            "`multiace train` wrote, the `out` of its config."
        )
    model, metrics = path / "model.safetensors", path / "metrics.jsonl"
    if not model.exists() or not metrics.exists():
        raise RunError(
            f"{path} has no model yet: no epoch of it was validated. Let it go on with "
            f"`multiace train {path / 'config.yaml'} --resume`."
        )
    content, weights = read_tensors(model, "model")
    description = parse_description(model, content, weights)
    return Run(
        name=name,
        path=path,
        config=read_config(path / "config.yaml"),
        identity=_json(path / "run.json"),
        history=read_history(metrics),
        potential=build_potential(model, description, weights, device="cpu"),
        provenance=description.provenance,
        cost=_json(path / "cost.json"),
    )


def read_history(path: Path) -> tuple[EpochRecord, ...]:
    """Return the epochs that a run has finished; a line that is being written is left out."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return tuple(EpochRecord.from_json(json.loads(line)) for line in lines if line.endswith("\n"))


def last_fall(history: Sequence[EpochRecord]) -> Fall | None:
    """Return how much a validation error fell in the last fifth of the epochs.

    For each of energy, forces and stress that has labels, the lowest error of all epochs is
    compared with the lowest before the last fifth: `1 - after / before`.

    Returns:
        That of the quantity that fell most; None for fewer than five validations.

    Example:
        >>> def record(epoch: int, error: float) -> EpochRecord:
        ...     return EpochRecord(epoch, epoch, 1.0, 0.1, 1.0, 1.0, {"forces": error}, {}, True)
        >>> fall = last_fall([record(epoch, 100.0 - 10.0 * epoch) for epoch in range(5)])
        >>> fall.quantity, round(fall.part, 3), fall.unconverged
        ('forces', 0.143, True)
    """
    validated = [record for record in history if record.rmse]
    if len(validated) < 5:
        return None
    start = (1.0 - LAST_PART) * (validated[-1].epoch + 1)
    falls = []
    for quantity in ("energy", "forces", "stress"):
        errors = [(r.epoch + 1 <= start, r.rmse[quantity]) for r in validated if quantity in r.rmse]
        before = [error for is_before, error in errors if is_before]
        if before and min(before) > 0.0:
            falls.append(Fall(quantity, 1.0 - min(error for _, error in errors) / min(before)))
    return max(falls, key=lambda fall: fall.part, default=None)


def with_data_folder(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """Return a config whose relative data files begin in a folder."""

    def moved(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(n if n.startswith(PREFIX) else str(folder / n) for n in names)

    data = config.data
    update: dict[str, Any] = {
        "train": moved(data.train),
        "isolated_atoms": moved(data.isolated_atoms),
        "tests": {name: moved(names) for name, names in data.tests.items()},
    }
    if isinstance(data.valid, tuple):
        update["valid"] = moved(data.valid)
    return config.model_copy(update={"data": data.model_copy(update=update)})


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
