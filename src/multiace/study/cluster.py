"""Do runs as tasks of a Ray cluster whose machines all see the directory of the study."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from multiace.study.errors import StudyError
from multiace.study.work import Outcome, work

_SECONDS_TO_SAVE = 60.0


class RayTasks:
    """Tasks of Ray, each with CPUs and GPUs of its own.

    Ray only decides where a run is done. What is done, and that it is done once, is in the files of
    the ledger, as for local processes: the results are the same.

    Args:
        out: directory of the study, under the same path on every machine.
        address: of the cluster (`auto`, `HOST:PORT`, `ray://...`), or `local` to start one here.
        cpus: threads of a run.
        gpus: GPUs of a run.
        n_workers: runs at a time; default: as many as the resources of the cluster allow.

    Raises:
        StudyError: Ray is not installed, or the cluster has no room for a run.
    """

    def __init__(
        self, out: Path, address: str, *, cpus: int, gpus: float, n_workers: int | None = None
    ) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError:
            raise StudyError(
                "--ray needs Ray. Install it with: pip install 'multiace[cluster]'"
            ) from None
        options = {"include_dashboard": False} if address == "local" else {}
        self._ray.init(address=address, log_to_driver=False, **options)
        self._out = out
        self._task = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(work)
        room = self._room(cpus, gpus)
        self._n_workers = room if n_workers is None else min(room, n_workers)
        self._running: dict[str, Any] = {}

    def _room(self, cpus: int, gpus: float) -> int:
        has = self._ray.cluster_resources()
        room = int(has.get("CPU", 0.0) // cpus)
        if gpus > 0:
            room = min(room, int(has.get("GPU", 0.0) / gpus))
        if room < 1:
            self._ray.shutdown()
            raise StudyError(
                f"The Ray cluster has {has.get('CPU', 0.0):g} CPUs and {has.get('GPU', 0.0):g} "
                f"GPUs, a run needs {cpus} and {gpus:g}. Lower threads or gpus, or add machines."
            )
        return room

    @property
    def n_free(self) -> int:
        """Runs that can be started now."""
        return self._n_workers - len(self._running)

    def start(self, name: str, *, retry: bool = False) -> None:
        """Hand a run to the cluster."""
        self._running[name] = self._task.remote(str(self._out), name, retry=retry)

    def ended(self) -> dict[str, Outcome | None]:
        """Return runs that came to an end, None where the task died."""
        found: dict[str, Outcome | None] = {}
        for name, task in list(self._running.items()):
            if not self._ray.wait([task], timeout=0)[0]:
                continue
            del self._running[name]
            try:
                found[name] = self._ray.get(task)
            except self._ray.exceptions.RayError:
                found[name] = None  # its claim is given up when its heartbeat has stopped
        return found

    def cancel(self, name: str) -> None:
        """Let a run save its state and stop."""
        if name in self._running:
            self._ray.cancel(self._running[name])

    def close(self) -> None:
        """Let every run save its state and stop, then leave the cluster."""
        for task in self._running.values():
            self._ray.cancel(task)
        if self._running:
            tasks = list(self._running.values())
            self._ray.wait(tasks, num_returns=len(tasks), timeout=_SECONDS_TO_SAVE)
        self._ray.shutdown()
