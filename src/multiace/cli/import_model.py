"""`multiace import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console


def import_model(
    peer: Annotated[Literal["mace", "nequip"], typer.Argument(help="The code that made the file.")],
    file: Annotated[
        Path, typer.Argument(help="Its model file, or a neutral file.", exists=True, dir_okay=False)
    ],
    python: Annotated[
        str | None,
        typer.Option(
            help="Python in which that code is installed; it opens the file, we never do.",
            metavar="INTERPRETER",
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Head to read, where the model has several.", metavar="NAME")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Model file to write; default: FILE.safetensors here.", metavar="FILE"),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        typer.Option(help="Precision of the weights; default: that of the model."),
    ] = None,
) -> None:
    """Turn a model of mace-torch or NequIP into one of ours: same energies, forces and stress.

    Models of other codes are pickles, which can run code when they are opened. So FILE is opened
    by a script that runs in INTERPRETER, and only the tensors and settings that it writes are read
    here. What is supported is named in docs/importing.md; all else is refused by name.
    """
    from multiace.checkpoint import save_model
    from multiace.cli.describe import print_description
    from multiace.deploy.importers.foreign_model import import_model as import_foreign
    from multiace.design import describe
    from multiace.elements import symbol_of

    imported = import_foreign(peer, file, interpreter=python, head=head, dtype=dtype)
    target = Path(f"{file.stem}.safetensors") if out is None else out
    if target.resolve() == file.resolve():
        raise ValueError(f"{target} is the file to import. Give another name with --out.")
    potential = imported.potential
    save_model(target, potential, imported.provenance)
    versions = imported.provenance["versions"].items()
    console = Console(highlight=False)
    console.print(
        f"{target}: {potential.n_parameters:,} parameters in "
        f"{str(potential.dtype).removeprefix('torch.')}, imported from {file.name} of "
        f"{', '.join(f'{name} {version}' for name, version in versions)}."
    )
    console.print()
    symbols = tuple(symbol_of(number) for number in potential.elements)
    neighbours = potential.statistics.mean_neighbours
    print_description(console, peer, describe(potential.design, symbols, neighbours))
