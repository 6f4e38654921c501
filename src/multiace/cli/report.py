"""`multiace report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from multiace.report.runs import Run


def report(
    runs: Annotated[
        list[str],
        typer.Argument(help="Run directories; NAME=DIR names one in the report.", metavar="RUN..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of report.html and figures/.",
            show_default="RUN/report for one run, report for several",
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="A further test set, [NAME=]FILE. Repeatable."),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            help="Labelled structures along a coordinate, FILE[:ATOMS][:limit=EV]: two atoms for a "
            "distance, three for an angle, four for a dihedral, as dihedral.xyz:3,0,1,2. "
            "Repeatable.",
        ),
    ] = None,
    data_folder: Annotated[
        Path | None,
        typer.Option(
            help="Where relative paths of the configs begin.", show_default="current directory"
        ),
    ] = None,
    title: Annotated[
        str, typer.Option(help="Title of the page.", show_default="names of the runs")
    ] = "",
) -> None:
    """Write a report on training runs: one HTML file, and its figures as PNG and SVG.

    Errors on the validation and test sets, learning curves, parity, scans, what each layer adds,
    the worst frames, time, memory, environment and config. The page needs no network. What a model
    predicts is kept in RUN/predictions, so that a second report takes seconds.
    """
    from multiace.report.runs import collect, parse_scan, read_run, read_test, write_report

    found = [read_run(path, name) for name, path in named_runs(runs)]
    scans = [one for text in scan or () for one in parse_scan(text)]
    tests = dict(read_test(text) for text in test or ())
    console = Console()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("reading data", total=1.0)

        def progress(what: str, part: float) -> None:
            bar.update(task, description=what, completed=part)

        evidence = collect(
            found, data_folder=data_folder, tests=tests, scans=scans, progress=progress
        )
        progress("drawing", 1.0)
        folder = out or (found[0].path / "report" if len(found) == 1 else Path("report"))
        path = write_report(evidence, folder, title=title)
    for run in found:
        console.print(state(run), soft_wrap=True, highlight=False)
    console.print(f"Report: {path}", soft_wrap=True, highlight=False)


def named_runs(texts: list[str]) -> list[tuple[str, Path]]:
    """Return name and directory of each run; directories of one name are told apart by parents.

    Raises:
        RunError: a directory is given twice.

    Example:
        >>> [name for name, _ in named_runs(["MACE=runs/a", "runs/b", "old/b"])]
        ['MACE', 'runs/b', 'old/b']
    """
    named: list[tuple[str, Path]] = []
    for text in texts:
        name, separator, path = text.partition("=")
        if separator and not Path(text).exists():
            named.append((name, Path(path)))
        else:
            named.append((Path(text).resolve().name, Path(text)))
    names = [name for name, _ in named]
    named = [(str(p) if names.count(n) > 1 else n, p) for n, p in named]
    twice = sorted({str(path) for _, path in named if [p for _, p in named].count(path) > 1})
    if twice:
        from multiace.report.runs.run import RunError

        raise RunError(f"{twice[0]} is given twice. Name each run directory once.")
    return named


def state(run: Run) -> str:
    """Return whether a run has converged, in one line."""
    fall = run.fall
    if fall is None:
        return f"{run.name}: too short to tell whether it has converged (fewer than 5 validations)"
    part = f"validation error of {fall.quantity} fell by {100 * fall.part:.1f} % in its last fifth"
    return f"{run.name}: {'unconverged' if fall.unconverged else 'converged'}, {part}"
