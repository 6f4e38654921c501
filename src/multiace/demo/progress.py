"""Show how far several training runs are, from the metrics they write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from multiace.demo.models import Result, read_metrics
from multiace.training import TrainingConfig

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 15.0


def watch(
    futures: Mapping[str, Future[Result]],
    configs: Mapping[str, TrainingConfig],
    console: Console,
) -> None:
    """Wait for all runs or the first failure; show epochs, errors and the time left meanwhile.

    A terminal gets a bar for each model, anything else a line now and then.

    Args:
        futures: results to come, by the name of the model.
        configs: of the runs, by the same names.
        console: where to print.
    """
    bars = Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks = {name: bars.add_task(name, total=c.epochs, note="") for name, c in configs.items()}
    total = sum(config.epochs for config in configs.values())
    everything = bars.add_task("all", total=total, note="")
    started, line_at = time.monotonic(), time.monotonic() + SECONDS_BETWEEN_LINES
    first: int | None = None
    with bars:
        while wait(futures.values(), SECONDS_BETWEEN_LOOKS, FIRST_EXCEPTION).not_done:
            if any(future.done() and future.exception() for future in futures.values()):
                for future in futures.values():
                    future.cancel()
                return
            done = {name: _look(config) for name, config in configs.items()}
            for name, (epochs, note) in done.items():
                bars.update(tasks[name], completed=epochs, note=note)
            finished = sum(epochs for epochs, _ in done.values())
            first = finished if first is None else first
            left = _time_left(time.monotonic() - started, finished - first, total - finished)
            bars.update(everything, completed=finished, note=left)
            if not console.is_terminal and time.monotonic() >= line_at:
                parts = [f"{n} {epochs}/{configs[n].epochs}" for n, (epochs, _) in done.items()]
                console.print(
                    f"epochs: {', '.join(parts)}; {left}", highlight=False, soft_wrap=True
                )
                line_at += SECONDS_BETWEEN_LINES


def _look(config: TrainingConfig) -> tuple[int, str]:
    """Return the epochs a run has done and its last validation error."""
    records = read_metrics(Path(config.out))
    if not records:
        return 0, "starting" if Path(config.out).exists() else "waiting"
    return records[-1]["epoch"] + 1, f"force RMSE {records[-1]['forces_rmse (meV/Å)']:.1f} meV/Å"


def _time_left(seconds: float, done: int, left: int) -> str:
    """Extrapolate the time left from the epochs done in these seconds.

    Example:
        >>> _time_left(60.0, 20, 30)
        'about 1 min 30 s left'
    """
    if done == 0:
        return "estimating the time left"
    remaining = round(seconds / done * left)
    minutes = f"{remaining // 60} min " if remaining >= 60 else ""
    return f"about {minutes}{remaining % 60} s left"
