"""The demo from data to report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from multiace.demo.benchmark import TESTS, load, scans
from multiace.demo.models import MODELS, Result, config_of, seconds_per_epoch
from multiace.demo.progress import Display
from multiace.demo.report import introduction, next_steps, result_table
from multiace.demo.workers import train_models
from multiace.report.runs import collect, read_run, write_report

EPOCHS = 25
"""Passes over the training set by default: under five minutes on two cores."""

SECONDS_AROUND_TRAINING = 45.0
"""Start of the processes, evaluation and report."""


def run_demo(
    out: Path,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Result]:
    """Train the four models, print the table of errors, write models and a report.

    Each model has a process and a thread of its own, as many at a time as there are cores. The same
    seed and number of epochs give the same errors. A demo that was stopped goes on where it was.

    Args:
        out: directory to write to: one run directory a model, `results.json`,
            `report.html` with its figures.
        epochs: passes over the training set, the same for all models; default: `EPOCHS`.
        minutes: choose instead the epochs that are expected to fit into this time, from timed
            steps: how many depends on the machine.
        seed: of split, order and initial weights.
        console: where to print; default: standard output.

    Raises:
        DemoError: a model could not be trained, for instance because `out` holds a demo with
            other settings.
        ValueError: both epochs and minutes.
    """
    if epochs is not None and minutes is not None:
        raise ValueError("epochs and minutes exclude one another. Give one of them.")
    console = console or Console()
    workers = min(len(MODELS), n_cores())
    if epochs is None:
        epochs = EPOCHS if minutes is None else epochs_within(minutes, workers)
    configs = {name: config_of(name, out, epochs, seed) for name in MODELS}
    console.print(introduction(out, epochs, seed), soft_wrap=True)
    with Display(configs, console) as display:
        results = train_models(
            list(MODELS), out, epochs, seed, n_workers=workers, show=display.update
        )
    write_results(out, results, epochs=epochs, seed=seed)
    report_on(out, console)
    console.print(result_table(results))
    console.print(next_steps(out, epochs), soft_wrap=True)
    return results


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def epochs_within(minutes: float, workers: int) -> int:
    """Return the epochs, at least 1, that all models are expected to finish in this time."""
    seconds = sum(seconds_per_epoch(name) for name in MODELS) / workers
    return max(1, int((60.0 * minutes - SECONDS_AROUND_TRAINING) / seconds))


def write_results(out: Path, results: Mapping[str, Result], *, epochs: int, seed: int) -> None:
    """Write all numbers, with their units, to `results.json`."""
    content = {
        "units": {
            "seconds": "s",
            "energy": "meV",
            "forces": "meV/Å",
            "scan_energy": "meV",
            "scans": "eV",
            "curve": "epoch, s, meV/Å",
        },
        "epochs": epochs,
        "seed": seed,
        "models": {name: asdict(result) for name, result in results.items()},
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (out / "results.json").write_text(text, encoding="utf-8")


def report_on(out: Path, console: Console) -> Path:
    """Write the report on the models in `out` and return its HTML file."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("report", total=1.0)
        evidence = collect(
            [read_run(out / preset, name) for name, preset in MODELS.items()],
            tests={f"{temperature} K": load(name) for temperature, name in TESTS.items()},
            scans=scans(),
            progress=lambda what, part: bar.update(task, description=what, completed=part),
        )
        bar.update(task, description="drawing", completed=1.0)
        return write_report(evidence, out, title="Four potentials for malonaldehyde")
