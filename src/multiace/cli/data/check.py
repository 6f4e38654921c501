"""`multiace data check`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

FOUND = 1
"""Exit code when something is wrong with the data."""


def check(
    files: Annotated[
        list[str], typer.Argument(help="Extended XYZ files, or bundled:NAME.", show_default=False)
    ],
    energy_key: Annotated[str | None, typer.Option(help="Name of the energy in the data.")] = None,
    forces_key: Annotated[str | None, typer.Option(help="Name of the forces in the data.")] = None,
    stress_key: Annotated[str | None, typer.Option(help="Name of the stress in the data.")] = None,
) -> None:
    """Read files as training does, and say what is wrong and where; exits with 1 if anything is."""
    from multiace.data import DataError, label_table, read_structures
    from multiace.data.bundled import data_path

    console = Console(soft_wrap=True, highlight=False)
    structures = []
    failed = False
    for name in files:
        try:
            structures += read_structures(
                data_path(name), energy_key=energy_key, forces_key=forces_key, stress_key=stress_key
            )
        except DataError as error:
            failed = True
            console.print(Text(str(error), style="red"))
    if structures:
        typer.echo(label_table(structures))
    if failed:
        raise typer.Exit(FOUND)
