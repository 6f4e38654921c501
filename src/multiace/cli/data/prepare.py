"""`multiace data prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from multiace.cli.data.options import (
    EnergyKey,
    Files,
    ForcesKey,
    StressKey,
    StressOrder,
    VirialKey,
)


def prepare(
    files: Files,
    out: Annotated[
        Path, typer.Option("--out", help="The store to write, NAME.h5.", show_default=False)
    ],
    cutoffs: Annotated[
        list[float] | None,
        typer.Option(
            "--cutoff", help="Count the edges within this radius in Å, for batches. Repeatable."
        ),
    ] = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    stress_order: StressOrder = None,
) -> None:
    """Write structures and labels to an HDF5 store, from which trainings read one at a time.

    A store stands wherever extended XYZ does: in configs and on the command line. Files are
    checked frame by frame as `multiace data check` does. A store knows the content of its files,
    and is prepared anew when that has changed.

    Example: multiace data prepare train_1.xyz train_2.xyz --out train.h5 --cutoff 5
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from multiace.data.store import Keys, prepare_store

    console = Console(soft_wrap=True, highlight=False)
    columns = SpinnerColumn(), TextColumn("{task.completed:,} structures"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("prepare", total=None)
        header = prepare_store(
            files,
            out,
            keys=Keys(
                energy=energy_key,
                forces=forces_key,
                stress=stress_key,
                virial=virial_key,
                stress_order=stress_order,
            ),
            cutoffs=cutoffs or [],
            progress=lambda done: bar.update(task, completed=done),
            note=console.print,
        )
    within = f", edges counted within {', '.join(f'{c:g}' for c in header.cutoffs)} Å"
    console.print(
        f"{out}: {header.structures:,} structures, {header.atoms:,} atoms, "
        f"{out.stat().st_size / 1e6:,.1f} MB{within if header.cutoffs else ''}."
    )
