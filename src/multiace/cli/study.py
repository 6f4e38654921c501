"""`multiace study`: plan, run, watch and report ablation studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from multiace.study import Study
    from multiace.study.status import Status

study = typer.Typer(
    name="study",
    help="Ablation studies: which choices of a design matter, at what cost, and how sure.",
    no_args_is_help=True,
)

PlanFile = Annotated[Path, typer.Argument(help="YAML file of the study.", show_default=False)]
Directory = Annotated[Path, typer.Argument(help="Directory of the study.", show_default=False)]


@study.command()
def run(
    plan: PlanFile,
    variant: Annotated[
        str | None, typer.Option(help="Take the variant of this name from the file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory; goes before `out`.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print cells, confounding, time and memory; run nothing."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; default: as many as fit.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster that sees `out`, or local.", metavar="ADDRESS"),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Do failed runs again.")] = False,
) -> None:
    """Do every run of a study that is not done yet.

    A study may be killed at any time and started again: runs that are done stay, others go on from
    their checkpoints. Ctrl-C saves and exits with 130.

    Example: multiace study run studies/nequip-ablation.yaml --dry-run
    """
    from multiace.study import read_study

    found = read_study(plan, variant)
    console = Console(highlight=False, soft_wrap=True)
    if dry_run:
        _print_plan(console, found)
        return
    directory = out or Path(found.config.out)
    status = _run(console, found, directory, workers, ray, retry)
    _print_failures(console, status)
    console.print(
        f"{status.count('done')} of {len(status.runs)} runs are done, in {directory}. "
        f"Statistics: multiace study report {directory}"
    )
    if status.count("failed"):
        raise typer.Exit(1)


def _run(
    console: Console,
    found: Study,
    directory: Path,
    workers: int | None,
    ray: str | None,
    retry: bool,
) -> Status:
    from multiace.study.display import Display, stop_on_sigterm
    from multiace.study.estimate import measure_cell
    from multiace.study.local import LocalProcesses
    from multiace.study.machine import workers_that_fit
    from multiace.study.runner import run_study

    if ray is not None:
        from multiace.study.cluster import RayTasks

        executor = RayTasks(
            directory.resolve(),
            ray,
            cpus=found.config.threads,
            gpus=found.config.gpus,
            n_workers=workers,
        )
    else:
        executor = LocalProcesses(directory, workers or workers_that_fit(found))
    with stop_on_sigterm(), Display(console) as display:
        return run_study(
            found,
            directory,
            executor,
            retry=retry,
            timed=lambda cell: measure_cell(found, cell).seconds_per_epoch,
            show=display.show,
        )


@study.command()
def status(directory: Directory) -> None:
    """Print where every run of a study stands, failures with their reason."""
    from multiace.study.display import table_of
    from multiace.study.status import read_status

    console = Console(highlight=False, soft_wrap=True)
    found = read_status(directory)
    console.print(table_of(found))
    _print_failures(console, found)


@study.command()
def report(directory: Directory) -> None:
    """Write the report: the answer, effects with intervals, fronts, curves and scans."""
    from multiace.study.answer import answer
    from multiace.study.report import write_report
    from multiace.study.results import read_results

    console = Console(highlight=False, soft_wrap=True)
    page = write_report(directory)
    for sentence in answer(read_results(directory)):
        console.print(sentence)
    console.print(f"Report: {page}")


def _print_failures(console: Console, status: Status) -> None:
    for one in status.runs:
        if one.state == "failed":
            console.print(f"failed: {one.name} ({one.cell}, seed {one.seed}): {one.failure}")


def _print_plan(console: Console, found: Study) -> None:
    from multiace.study.estimate import estimate
    from multiace.study.machine import workers_that_fit

    expected = estimate(found)
    table = Table(title=found.config.title, title_justify="left", box=None)
    is_path = found.config.plan.kind == "path"
    choices = ["cell"] if is_path else [factor.name for factor in found.factors]
    for column in ("", *choices, "parameters", "MFLOP/atom", "epochs", "time of a run"):
        table.add_column(column, justify="left" if column in choices else "right")
    for index, row in enumerate(expected.cells, 1):
        levels = [f.levels[l] for f, l in zip(found.factors, row.cell.levels, strict=True)]
        table.add_row(
            str(index),
            *([row.cell.name] if is_path else levels),
            f"{row.cost.parameters:,}",
            f"{row.cost.flops / 1e6:,.2f}",
            str(row.epochs),
            f"{duration(row.seconds)}{' (timed)' if row.timed else ''}",
        )
    console.print(table)
    for line in plan_notes(found):
        console.print(line)
    n_workers = workers_that_fit(found, expected.gigabytes)
    n_runs = len(expected.cells) * expected.n_seeds
    console.print(
        f"{len(expected.cells)} cells x {expected.n_seeds} seeds = {n_runs} runs, "
        f"{duration(expected.seconds)} one after another; {n_workers} at a time on this machine: "
        f"{duration(expected.seconds / min(n_workers, n_runs))}. "
        f"Memory of a run: {expected.gigabytes:.1f} GB. Times of cells that were not timed follow "
        "from their operations."
    )


def plan_notes(found: Study) -> list[str]:
    """Say what a plan can and cannot tell apart."""
    from multiace.study.confounding import confounding_notes

    return confounding_notes(found)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    Example:
        >>> duration(45.0), duration(5400.0), duration(300000.0)
        ('45 s', '1.5 h', '3.5 days')
    """
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
