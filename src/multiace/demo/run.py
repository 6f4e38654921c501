"""The demo from data to figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from multiace.demo.benchmark import SCANS, TESTS, TRAINING, dissociation_limit, load
from multiace.demo.figures import (
    Curve,
    ScanFigure,
    draw_domain_errors,
    draw_learning_curves,
    draw_scans,
)
from multiace.demo.models import (
    MODELS,
    Result,
    config_of,
    energies_of,
    seconds_per_epoch,
)
from multiace.demo.progress import Display
from multiace.demo.report import introduction, next_steps, result_table
from multiace.demo.workers import train_models

EPOCHS = 25
"""Passes over the training set by default: under five minutes on two cores."""

SECONDS_AROUND_TRAINING = 25.0
"""Start of the processes, evaluation and figures."""


def run_demo(
    out: Path,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Result]:
    """Train the four models, print the table of errors, write models and figures.

    Each model has a process and a thread of its own, as many at a time as there are cores. The same
    seed and number of epochs give the same errors. A demo that was stopped goes on where it was.

    Args:
        out: directory to write to: one run directory a model, `results.json`, three figures.
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
    draw_figures(out, results)
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


def draw_figures(out: Path, results: Mapping[str, Result]) -> None:
    """Draw learning curves, errors in and out of domain, and scans."""
    curves = {name: Curve(*zip(*result.curve, strict=True)) for name, result in results.items()}
    draw_learning_curves(out / "learning_curves.png", curves)
    draw_domain_errors(
        out / "errors_by_temperature.png",
        list(TESTS),
        {name: [r.energy[test] for test in TESTS.values()] for name, r in results.items()},
        {name: [r.forces[test] for test in TESTS.values()] for name, r in results.items()},
    )
    draw_scans(out / "scans.png", scan_figures(results))


def scan_figures(results: Mapping[str, Result]) -> list[ScanFigure]:
    """Return the scans with energies from the lowest reference energy of each."""
    training = load(TRAINING)
    figures = []
    for scan in SCANS:
        structures = load(scan.name)
        coordinate = np.array([scan.coordinate(structure) for structure in structures])
        energies = energies_of([structure.labels for structure in structures])
        order = np.argsort(coordinate)
        zero = energies.min()
        figures.append(
            ScanFigure(
                title=scan.title,
                label=scan.label,
                coordinate=coordinate[order],
                reference=energies[order] - zero,
                models={n: np.array(r.scans[scan.name])[order] - zero for n, r in results.items()},
                training=np.array([scan.coordinate(structure) for structure in training]),
                limit=dissociation_limit() - zero if scan.name == "stretch" else None,
                limit_label="radical + H atom (E0)",
            )
        )
    return figures
