"""Show how a study stands, live on a terminal and as lines elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from multiace.study.status import RunStatus, Status

_MOST_ROWS = 30


class Display:
    """Shows a study while it runs.

    Args:
        console: a terminal gets a live table, anything else a line for each run that ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._told: dict[str, str] = {}

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: Status) -> None:
        """Take how the study stands now."""
        if self._live is not None:
            self._live.update(table_of(status, at_most=_MOST_ROWS), refresh=True)
            return
        for run in status.runs:
            if run.state in ("done", "failed", "pruned") and self._told.get(run.name) != run.state:
                self._told[run.name] = run.state
                self._console.print(f"{run.state}: {run.cell}, seed {run.seed}{_error(run)}")
        line = summary(status)
        if self._told.get("") != line:
            self._told[""] = line
            self._console.print(line)


def table_of(status: Status, at_most: int | None = None) -> Table:
    """Return the runs of a study as a table, those that run or failed first.

    Args:
        status: of the study.
        at_most: rows; default: all.
    """
    order = ("running", "failed", "waiting", "pruned", "done")
    runs = status.runs
    if at_most is not None and len(runs) > at_most:
        runs = sorted(runs, key=lambda run: order.index(run.state))[:at_most]
    table = Table(title=status.title, title_justify="left", caption=summary(status), box=None)
    table.caption_justify = "left"
    for column in ("run", "cell", "seed", "state", "trained", "time", "validation error", "by"):
        table.add_column(column, justify="right" if column in ("seed", "trained") else "left")
    colours = {"running": "cyan", "failed": "red", "done": "green", "waiting": "dim"}
    colours["pruned"] = "yellow"
    for run in runs:
        table.add_row(
            run.name[:8],
            run.cell,
            str(run.seed),
            f"[{colours[run.state]}]{run.state}[/]",
            f"{100 * run.fraction:.0f} %",
            f"{run.seconds:.0f} s" if run.seconds else "",
            "" if run.error is None else f"{run.error:.1f}",
            run.who,
        )
    return table


def summary(status: Status) -> str:
    """Return one line: how many runs stand where, and the time left in minutes."""
    states = ("done", "running", "waiting", "failed", "pruned")
    parts = [f"{n} {state}" for state in states if (n := status.count(state))]
    left = status.seconds_left
    if left:
        parts.append(f"about {max(1, round(left / 60))} min left")
    return ", ".join(parts)


def _error(run: RunStatus) -> str:
    if run.failure:
        return f": {run.failure}"
    return "" if run.error is None else f": validation error {run.error:.1f}"


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end a study in order: runs save, the exit code is 128 + signal."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
