"""The directory of a run: its config, metrics, checkpoints and model, each whole or absent.

| file | what |
|---|---|
| config.yaml | the config with all defaults and the whole Design written out |
| run.json | identity of the run, where it was started and from which model |
| metrics.jsonl | one JSON object an epoch, and one for an unfinished epoch at the end |
| log.txt | what was printed |
| checkpoints/step-*.safetensors | the last two states of the run, its best weights in each |
| model.safetensors | the best model so far, on averaged weights |
| errors.json | errors of the model on the test sets |
| cost.json | training time in s and the most memory of the process by its end, bytes |
| not-finite-*.json | structures of batches whose loss or gradient was NaN or infinite |
| out-of-memory-*.json | structures of the batch that did not fit into memory |
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from multiace import __version__
from multiace.checkpoint import ModelFileError, read_tensors, replace_file, write_tensors
from multiace.training.config import TrainingConfig

KEPT = 2
"""Checkpoints that are kept."""

_WRITTEN = (
    "config.yaml",
    "run.json",
    "metrics.jsonl",
    "model.safetensors",
    "errors.json",
    "cost.json",
    "not-finite-*.json",
    "out-of-memory-*.json",
    "checkpoints/step-*.safetensors",
)
"""Files that are written through a temporary one, as patterns."""

FREE_ON_RESUME = (
    "data.unit_check",
    "epochs",
    "minutes",
    "early_stopping",
    "strikes",
    "device",
    "kernels",
    "tracing",
    "checkpoint",
    "log",
    "out",
    "data.train",
    "data.valid",
    "data.isolated_atoms",
    "data.tests",
    "data.cache",
)
"""Options that a resumed run may change; data are compared by content instead of by name."""


class ResumeError(ValueError):
    """A run that cannot be continued as asked: says why and what can be done."""


class RunDirectory:
    """Files of one run. Use `open_run` to get one."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self.path = path
        self.run_id = secrets.token_hex(8)
        self._note = note

    @property
    def model_path(self) -> Path:
        """The best model."""
        return self.path / "model.safetensors"

    @property
    def metrics_path(self) -> Path:
        """Metrics as JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints, newest first."""
        return sorted(self.path.glob("checkpoints/step-*.safetensors"), reverse=True)

    @property
    def has_trained(self) -> bool:
        """Whether a run left anything here that must not be lost."""
        trained = self.metrics_path.exists() and self.metrics_path.stat().st_size > 0
        return trained or self.model_path.exists() or bool(self.checkpoints)

    def begin(self, config: TrainingConfig, start: Mapping[str, Any]) -> None:
        """Write the identity and the config of a new run.

        Args:
            config: resolved.
            start: plain data on what the run starts from and in, kept with the identity.
        """
        (self.path / "checkpoints").mkdir(exist_ok=True)
        identity = {
            "run_id": self.run_id,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "host": socket.gethostname(),
            "multiace": __version__,
            **start,
        }
        replace_file(self.path / "run.json", json.dumps(identity, indent=2).encode())
        self.write_config(config)

    def identity(self) -> dict[str, Any]:
        """Return what `begin` wrote of the run; nothing where no run was begun."""
        path = self.path / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def write_config(self, config: TrainingConfig) -> None:
        """Write the config, everything in it spelt out."""
        text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
        replace_file(self.path / "config.yaml", text.encode())

    def save(self, step: int, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
        """Write a checkpoint, then remove those before the last two.

        Raises:
            ModelFileError: values that are not finite, or a disk that cannot take the file.
        """
        path = self.path / "checkpoints" / f"step-{step:010d}.safetensors"
        header = {"run_id": self.run_id, **content}
        write_tensors(path, "checkpoint", tensors, header)
        for old in self.checkpoints[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
        """Return the newest checkpoint that is whole: its path, content and tensors.

        Newer ones that are not are renamed to `*.damaged`, so that they take no place among those
        that are kept. If there is none that is whole, all stay as they are.

        Returns:
            None if nothing was ever trained here.

        Raises:
            ResumeError: there were checkpoints, but none can be used; or one of another run.
        """
        refused: dict[Path, str] = {}
        for path in self.checkpoints:
            try:
                content, tensors = read_tensors(path, "checkpoint")
            except ModelFileError as error:
                refused[path] = str(error)
                self._note(f"Warning: checkpoint left out: {error}")
                continue
            self._check_identity(path, content["run_id"])
            if refused:
                self._note(f"Going on from the one before, {path.name}.")
            for damaged in refused:
                damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))
            self.run_id = content["run_id"]
            return path, content, tensors
        if refused or self.has_trained:
            raise ResumeError(
                f"{self.path} holds a run but no checkpoint that can be used"
                + "".join(f"\n  {reason}" for reason in refused.values())
                + "\nTo begin again, choose another directory with --out or move this one away."
            )
        return None

    def _check_identity(self, path: Path, run_id: str) -> None:
        own = self.identity().get("run_id", run_id)
        if own != run_id:
            raise ResumeError(
                f"{path} belongs to run {run_id}, but {self.path / 'run.json'} is of run {own}. "
                "Checkpoints of another run were copied here: remove those that do not belong."
            )

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a process that was killed, and no others."""
        for written in _WRITTEN:
            folder, name = (self.path / written).parent, Path(written).name
            for leftover in folder.glob(f".{name}.[0-9]*.tmp"):
                leftover.unlink(missing_ok=True)

    def keep_metrics(self, n_records: int) -> list[dict[str, Any]]:
        """Drop metrics from after a checkpoint, which will be made again; return the rest."""
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines[:n_records] if line.endswith("\n")]
        replace_file(self.metrics_path, "".join(kept).encode())
        return [json.loads(line) for line in kept]

    def dump_batch(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write down the structures of a batch that went wrong."""
        path = self.path / name
        replace_file(path, json.dumps(content, indent=2).encode())
        return path


@contextmanager
def open_run(
    path: str | Path, *, resume: bool, note: Callable[[str], None]
) -> Iterator[RunDirectory]:
    """Make or enter a run directory and hold it alone.

    Args:
        path: the directory.
        resume: whether a run in it is to be continued.
        note: takes lines for the user.

    Raises:
        ResumeError: another process trains here, or a run is here and `resume` is false.
    """
    run = RunDirectory(Path(path), note)
    is_new = not run.path.exists()
    run.path.mkdir(parents=True, exist_ok=True)
    with _locked(run.path):
        if not resume and run.has_trained:
            raise ResumeError(
                f"{run.path} already holds a run. Continue it with --resume, or choose another "
                "directory with --out."
            )
        run.remove_leftovers()
        try:
            yield run
        finally:
            if is_new and [entry.name for entry in run.path.iterdir()] == ["lock"]:
                (run.path / "lock").unlink()  # it ended before anything was written
                run.path.rmdir()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory; the system releases it when the process ends in any way."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    with open(directory / "lock", "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read().strip() or "another process"
            raise ResumeError(
                f"{directory} is in use by {owner}. Wait for it, stop it, or choose another "
                "directory with --out."
            ) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield


def environment(kernels: str) -> dict[str, Any]:
    """Return what bitwise equality of a resumed run depends on besides the config.

    Args:
        kernels: what the potential computes with.
    """
    threads = torch.get_num_threads()
    return {"torch": torch.__version__, "threads": threads, "kernels": kernels}


def check_same_run(
    path: Path, before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...]
) -> None:
    """Refuse to continue a run with other settings or data.

    Args:
        path: the checkpoint.
        before: nested plain data of the checkpoint.
        now: the same of this run.
        free: dotted keys, or groups of them, that may differ.

    Raises:
        ResumeError: listing every difference.
    """
    old, new = dict(flattened(before)), dict(flattened(now))
    differences = [
        f"  {key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key) and not any(_within(key, name) for name in free)
    ]
    if differences:
        raise ResumeError(
            f"{path} was written with other settings (checkpoint -> now):\n"
            + "\n".join(differences)
            + f"\nA resumed run may change only {', '.join(FREE_ON_RESUME)}. Restore the settings, "
            "or begin a new run in another directory (with --from to start from this model)."
        )


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


def flattened(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested data with their dotted keys."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
