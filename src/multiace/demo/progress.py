"""Show how far several training runs are, from the metrics they write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from multiace.report.runs.run import read_history
from multiace.training import TrainingConfig

SECONDS_BETWEEN_LINES = 15.0


class Display:
    """Epochs done, errors and the time left: bars on a terminal, else a line now and then.

    Args:
        configs: of the runs, by the name of the model.
        console: where to print.
    """

    def __init__(self, configs: Mapping[str, TrainingConfig], console: Console) -> None:
        self._configs, self._console = configs, console
        self._bars = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        add = self._bars.add_task
        self._tasks = {name: add(name, total=c.epochs, note="") for name, c in configs.items()}
        self._total = sum(config.epochs for config in configs.values())
        self._everything = add("all", total=self._total, note="")
        self._started = time.monotonic()
        self._line_at = self._started + SECONDS_BETWEEN_LINES
        self._first: int | None = None

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self) -> None:
        """Look at the runs and show how far they are."""
        done = {name: _look(Path(config.out)) for name, config in self._configs.items()}
        finished = sum(epochs for epochs, _ in done.values())
        if self._first is None:
            self._first = finished
        now = time.monotonic()
        left = time_left(now - self._started, finished - self._first, self._total - finished)
        for name, (epochs, note) in done.items():
            self._bars.update(self._tasks[name], completed=epochs, note=note)
        self._bars.update(self._everything, completed=finished, note=left)
        if not self._console.is_terminal and now >= self._line_at:
            parts = [f"{n} {epochs}/{self._configs[n].epochs}" for n, (epochs, _) in done.items()]
            text = f"epochs: {', '.join(parts)}; {left}"
            self._console.print(text, highlight=False, soft_wrap=True)
            self._line_at += SECONDS_BETWEEN_LINES


def _look(run: Path) -> tuple[int, str]:
    """Return the epochs a run has done and its last validation error."""
    records = read_history(run / "metrics.jsonl")
    if not records:
        return 0, "starting" if run.exists() else "waiting"
    return records[-1].epoch + 1, f"force RMSE {records[-1].rmse['forces']:.1f} meV/Å"


def time_left(seconds: float, done: int, left: int) -> str:
    """Extrapolate the time left from the epochs done in these seconds.

    Example:
        >>> time_left(60.0, 20, 30)
        'about 1 min 30 s left'
    """
    if done == 0:
        return "estimating the time left"
    remaining = round(seconds / done * left)
    minutes = f"{remaining // 60} min " if remaining >= 60 else ""
    return f"about {minutes}{remaining % 60} s left"
