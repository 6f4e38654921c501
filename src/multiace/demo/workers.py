"""Train several models at once, each in a process of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from multiace.demo.models import Result, train_and_judge

SECONDS_BETWEEN_LOOKS = 0.5


class DemoError(ValueError):
    """A model that could not be trained: says which and why."""


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    connection: Connection


def train_models(
    names: Sequence[str],
    out: Path,
    epochs: int,
    seed: int,
    *,
    n_workers: int,
    show: Callable[[], None],
) -> dict[str, Result]:
    """Train and judge models, as many at a time as there are workers.

    Whatever ends it early, an error or Ctrl-C, the other runs save their state and end too.

    Args:
        names: of the models.
        out: directory of the demo.
        epochs: passes over the training set.
        seed: of split, order and initial weights.
        n_workers: processes at a time.
        show: called again and again, to show progress.

    Raises:
        DemoError: a model that could not be trained.
    """
    waiting, running = list(names), dict[str, _Worker]()
    results: dict[str, Result] = {}
    try:
        while waiting or running:
            while waiting and len(running) < n_workers:
                name = waiting.pop(0)
                running[name] = _start(name, out, epochs, seed)
            for name, worker in list(running.items()):
                if worker.connection.poll() or not worker.process.is_alive():
                    results[name] = _receive(name, worker)
                    del running[name]
            show()
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for worker in running.values():
            worker.process.terminate()
        for worker in running.values():
            worker.process.join()
    return {name: results[name] for name in names}


def _start(name: str, out: Path, epochs: int, seed: int) -> _Worker:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, name, out, epochs, seed), daemon=True)
    process.start()
    sender.close()
    return _Worker(process, receiver)


def _work(sender: Connection, name: str, out: Path, epochs: int, seed: int) -> None:
    """Send the result of a model, or the text of the error that there was instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        sender.send(train_and_judge(name, out, epochs, seed))
    except (ValueError, OSError) as error:
        sender.send(str(error))


def _receive(name: str, worker: _Worker) -> Result:
    """Return what a worker sends.

    Raises:
        DemoError: it sends an error, or ended without a word.
    """
    try:
        content = worker.connection.recv()
    except EOFError:
        worker.process.join()
        content = f"its process ended with code {worker.process.exitcode}. Start the demo again: "
        content += "it goes on where it was."
    if isinstance(content, str):
        raise DemoError(f"{name} could not be trained: {content}")
    worker.process.join()
    return content
