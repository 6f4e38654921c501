"""Where a run is seen: terminal, log.txt, metrics.jsonl, TensorBoard, Weights & Biases."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from multiace.analysis.errors import REPORT_UNITS, ErrorTable, Quantity
from multiace.training.metrics import UNITS, EpochRecord

if TYPE_CHECKING:
    from multiace.training.config import TrainingConfig

ProgressOption = Literal["auto", "none"] | Callable[[EpochRecord], None]


@runtime_checkable
class Stream(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object:
        """Take text."""

    def flush(self) -> object:
        """Hand it on."""


class Sink:
    """Takes what happens in a run; each method does nothing unless a subclass says otherwise."""

    def note(self, text: str) -> None:
        """Take lines for people."""

    def step(self, epochs: float, seconds: float) -> None:
        """Take the position in epochs and the training time after a step."""

    def epoch(self, record: EpochRecord) -> None:
        """Take the record of an epoch."""

    def close(self) -> None:
        """Write what is left."""


class Log(Sink):
    """Hands everything to several sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = list(sinks)

    def note(self, text: str) -> None:
        """Take lines for people."""
        for sink in self.sinks:
            sink.note(text)

    def step(self, epochs: float, seconds: float) -> None:
        """Take the position in epochs and the training time after a step."""
        for sink in self.sinks:
            sink.step(epochs, seconds)

    def epoch(self, record: EpochRecord) -> None:
        """Take the record of an epoch."""
        for sink in self.sinks:
            sink.epoch(record)


class Lines(Sink):
    """Plain lines in an open file or on a terminal that is none."""

    def __init__(self, stream: Stream, n_epochs: int) -> None:
        self._stream, self._n_epochs = stream, n_epochs

    def note(self, text: str) -> None:
        """Write the lines."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def epoch(self, record: EpochRecord) -> None:
        """Write one line."""
        self.note(epoch_line(record, self._n_epochs))


class Terminal(Sink):
    """A progress bar with the time left, and a line an epoch above it."""

    def __init__(self, console: Console, n_epochs: int, minutes: float | None) -> None:
        self._n_epochs, self._minutes = n_epochs, minutes
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=n_epochs, epoch=0, left="")
        self._first: tuple[float, float] | None = None
        self._progress.start()

    def note(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, epochs: float, seconds: float) -> None:
        """Move the bar; the time left is that of the epochs or of the time limit."""
        if self._first is None:
            self._first = (epochs, seconds)
        left = ""
        if epochs > self._first[0]:
            pace = (seconds - self._first[1]) / (epochs - self._first[0])
            remaining = pace * (self._n_epochs - epochs)
            if self._minutes is not None:
                remaining = min(remaining, 60.0 * self._minutes - seconds)
            left = f"{format_seconds(max(remaining, 0.0))} left"
        self._progress.update(self._task, completed=epochs, epoch=int(epochs), left=left)

    def epoch(self, record: EpochRecord) -> None:
        """Print one line above the bar."""
        self.note(epoch_line(record, self._n_epochs))

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class JsonLines(Sink):
    """One JSON object an epoch."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def epoch(self, record: EpochRecord) -> None:
        """Write one line."""
        self._stream.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")
        self._stream.flush()


class Callback(Sink):
    """Hands each record to a function of the caller."""

    def __init__(self, function: Callable[[EpochRecord], None]) -> None:
        self._function = function

    def epoch(self, record: EpochRecord) -> None:
        """Call the function."""
        self._function(record)


class TensorBoard(Sink):
    """TensorBoard events beside the other files of the run."""

    def __init__(self, directory: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory / "tensorboard"), purge_step=first_step)

    def epoch(self, record: EpochRecord) -> None:
        """Write each number as a scalar."""
        for name, value in numbers_of(record).items():
            self._writer.add_scalar(name, value, record.step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WeightsAndBiases(Sink):
    """A run of Weights & Biases; resumed runs go on in the same one."""

    def __init__(self, project: str, directory: Path, run_id: str, config: Mapping[str, Any]):
        import wandb  # pyright: ignore[reportMissingImports]

        self._run = wandb.init(
            project=project, dir=str(directory), id=run_id, config=dict(config), resume="allow"
        )

    def epoch(self, record: EpochRecord) -> None:
        """Log each number."""
        self._run.log(numbers_of(record), step=record.step)

    def close(self) -> None:
        """End the run there."""
        self._run.finish()


def check_packages(config: TrainingConfig) -> None:
    """Refuse, before anything is read, to log to a package that is not installed.

    Raises:
        ValueError: naming the package and the command that installs it.
    """
    from importlib.util import find_spec

    for option, wanted in (
        ("tensorboard", config.log.tensorboard),
        ("wandb", config.log.wandb is not None),
    ):
        if wanted and find_spec(option) is None:
            raise ValueError(
                f"log.{option} needs the package {option}, which is not installed. "
                f"Run `pip install {option}`, or leave log.{option} out."
            )


@contextmanager
def open_log(
    directory: Path,
    config: TrainingConfig,
    *,
    run_id: str,
    first_step: int,
    progress: ProgressOption,
    history: list[EpochRecord],
) -> Iterator[Log]:
    """Open every place that a run writes to, and close them at its end.

    Args:
        directory: of the run.
        config: of the run.
        run_id: identity of the run.
        first_step: step it starts at, more than 0 if it is resumed.
        progress: `auto` (a bar on a terminal, else plain lines), `none`, or a function that is
            given each record.
        history: list that each record is appended to.
    """
    with ExitStack() as stack:
        text = stack.enter_context(open(directory / "log.txt", "a", encoding="utf-8"))
        metrics = stack.enter_context(open(directory / "metrics.jsonl", "a", encoding="utf-8"))
        sinks: list[Sink] = [
            Lines(text, config.epochs),
            JsonLines(metrics),
            Callback(history.append),
        ]
        if callable(progress):
            sinks.append(Callback(progress))
        elif progress == "auto":
            console = Console()
            if console.is_terminal:
                sinks.append(Terminal(console, config.epochs, config.minutes))
            else:
                sinks.append(Lines(sys.stdout, config.epochs))
        if config.log.tensorboard:
            sinks.append(TensorBoard(directory, first_step))
        if config.log.wandb is not None:
            sinks.append(WeightsAndBiases(config.log.wandb, directory, run_id, config.to_dict()))
        for sink in sinks:
            stack.callback(sink.close)
        yield Log(sinks)


def numbers_of(record: EpochRecord) -> dict[str, float]:
    """Return the numbers of a record that are there."""
    content = record.to_json()
    return {n: float(v) for n, v in content.items() if v is not None and n not in ("step", "best")}


def epoch_line(record: EpochRecord, n_epochs: int) -> str:
    """Return an epoch as one line; `*` marks the best validation so far.

    Example:
        >>> record = EpochRecord(4, 90, 12.0, 0.01, 0.5, 0.4, {"forces": 31.25}, {}, True)
        >>> epoch_line(record, 10)
        'epoch  5/10 | loss 5.00e-01 valid 4.00e-01 | RMSE F 31.2 meV/Å | rate 1.0e-02 | 0:00:12 *'
    """
    letters = {"energy": "E", "energy_per_atom": "E", "forces": "F", "stress": "S"}
    errors = [
        f"{letters[name]} {_short(value)} {UNITS[name]}" for name, value in record.rmse.items()
    ]
    train = "-" if record.train_loss is None else f"{record.train_loss:.2e}"
    parts = [f"epoch {record.epoch + 1:>{len(str(n_epochs))}}/{n_epochs}", f"loss {train}"]
    if record.valid_loss is not None:
        parts[-1] += f" valid {record.valid_loss:.2e}"
    if errors:
        parts.append("RMSE " + ", ".join(errors))
    parts += [f"rate {record.rate:.1e}", format_seconds(record.seconds)]
    return " | ".join(parts) + (" *" if record.best else "")


def _short(value: float) -> str:
    """Return three digits, or all those before the point."""
    return f"{value:.0f}" if value >= 100.0 else f"{value:#.3g}"


def error_lines(tables: Mapping[str, ErrorTable]) -> str:
    """Return a table of RMSE (MAE) by test set as text; a dash where there are no labels."""
    columns: tuple[Quantity, ...] = ("energy", "energy_per_atom", "forces", "stress")
    head = ["RMSE (MAE)", "structures", *(f"{name} / {REPORT_UNITS[name][0]}" for name in columns)]
    rows = [[text.replace("energy_per_atom", "energy") for text in head]]
    for name, table in tables.items():
        cells = [name, str(table.total.n_structures)]
        for column in columns:
            found = getattr(table.total, column)
            size = REPORT_UNITS[column][1]
            cells.append("-")
            if found:
                cells[-1] = f"{_short(found.rmse / size)} ({_short(found.mae / size)})"
        rows.append(cells)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def format_seconds(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    Example:
        >>> format_seconds(3671.4)
        '1:01:11'
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
