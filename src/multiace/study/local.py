"""Do runs in processes of this machine."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from multiace.study.ledger import Ledger
from multiace.study.work import Outcome, work

_SECONDS_BETWEEN_LOOKS = 1.0


@runtime_checkable
class Executor(Protocol):
    """Something that does runs side by side."""

    @property
    def n_free(self) -> int:
        """Runs that can be started now."""
        ...

    def start(self, name: str, *, retry: bool = False) -> None:
        """Start a run."""
        ...

    def ended(self) -> dict[str, Outcome | None]:
        """Return runs that came to an end since the last call, None where the process died."""
        ...

    def cancel(self, name: str) -> None:
        """Let a run save its state and stop."""
        ...

    def close(self) -> None:
        """Let every run save its state and stop; return when all have."""
        ...


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    run: str | None = field(default=None)


class LocalProcesses:
    """Processes that do one run after another, each in a session of its own.

    A terminal sends Ctrl-C to all processes of a session; here the parent alone gets it, and tells
    each worker once to save and stop.

    Args:
        out: directory of the study.
        n_workers: processes at a time.
        method: how processes start: forkserver imports torch once, spawn for each.
    """

    def __init__(self, out: Path, n_workers: int, method: str = "forkserver") -> None:
        self._out, self._n_workers = out, n_workers
        self._context = get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(["multiace.study.work", "torch._dynamo"])
        self._workers: list[_Worker] = []

    @property
    def n_free(self) -> int:
        """Runs that can be started now."""
        return self._n_workers - sum(worker.run is not None for worker in self._workers)

    @property
    def pids(self) -> dict[str, int]:
        """Process of each run that is running."""
        return {
            worker.run: worker.process.pid
            for worker in self._workers
            if worker.run is not None and worker.process.pid is not None
        }

    def start(self, name: str, *, retry: bool = False) -> None:
        """Start a run in an idle process, or in a new one."""
        worker = next((worker for worker in self._workers if worker.run is None), None)
        if worker is None:
            worker = self._new()
            self._workers.append(worker)
        worker.run = name
        with suppress(OSError):  # it has just died, which `ended` finds out
            worker.connection.send((name, retry))

    def _new(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(  # pyright: ignore[reportAttributeAccessIssue]
            target=_serve, args=(theirs, str(self._out)), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def ended(self) -> dict[str, Outcome | None]:
        """Return runs that came to an end, None where the process died."""
        found: dict[str, Outcome | None] = {}
        for worker in list(self._workers):
            outcome = _received(worker)
            alive = worker.process.is_alive()
            if outcome is None and alive:
                continue
            if not alive:
                self._bury(worker)
            if worker.run is not None:
                found[worker.run] = outcome
            worker.run = None
        return found

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        self._workers.remove(worker)
        code, pid = worker.process.exitcode, worker.process.pid
        if worker.run is not None and pid is not None:
            reason = (
                f"with signal {-code}" if code is not None and code < 0 else f"with code {code}"
            )
            Ledger(self._out).bury(worker.run, pid, reason)
        worker.connection.close()

    def cancel(self, name: str) -> None:
        """Let a run save its state and stop."""
        for worker in self._workers:
            if worker.run == name:
                worker.process.terminate()

    def close(self) -> None:
        """Let every run save its state and stop; return when all have."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()


def _received(worker: _Worker) -> Outcome | None:
    try:
        return worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        return None


def _serve(connection: Connection, out: str) -> None:
    """Do the runs whose names arrive, until none do."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()
    while True:
        while not connection.poll(_SECONDS_BETWEEN_LOOKS):
            if os.getppid() != parent:
                return
        try:
            name, retry = connection.recv()
        except EOFError:
            return
        outcome: Any = work(out, name, retry=retry)
        connection.send(outcome)
