"""What every probe prints and writes: numbers by subject, tables, JSON, figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from multiace.geometry import Structure
    from multiace.probes import ProbeResult, Surface
    from multiace.probes.result import Value

Subjects = Annotated[
    list[str],
    typer.Argument(help="Model files (.safetensors), tblite:METHOD or ase:CALCULATOR."),
]
Models = Annotated[list[str], typer.Argument(help="Model files (.safetensors).")]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Take all model files as one ensemble, with its spread.")
]
Json = Annotated[
    Path | None, typer.Option(help="Write all numbers and curves to this file.", metavar="FILE")
]
Figure = Annotated[
    Path | None, typer.Option(help="Draw to this file (.png, .svg, .pdf).", metavar="FILE")
]
Theme = Annotated[Literal["light", "dark", "print"], typer.Option(help="Colours of the figure.")]
Dtype = Annotated[
    Literal["float32", "float64"],
    typer.Option(help="Compute type; float32 hides what is smaller than its rounding."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Frame = Annotated[int, typer.Option(help="Which frame of the file; -1 is the last.")]


def subjects(
    names: Sequence[str], *, ensemble: bool = False, dtype: str = "float64", device: str = "cpu"
) -> list[Surface]:
    """Return the surfaces that a command names."""
    import torch

    from multiace.probes.subjects import named_surfaces

    return named_surfaces(names, ensemble=ensemble, dtype=getattr(torch, dtype), device=device)


def read_frames(name: str) -> Sequence[Structure]:
    """Return the structures of an extended XYZ file, a store or bundled:NAME.

    Raises:
        DataError: what is wrong in it.
    """
    from multiace.data.strict import read_files

    return read_files([name], unit_check=False, duplicates=False).sets[0]


def read_frame(name: str, frame: int) -> Structure:
    """Return one structure of a file.

    Raises:
        ValueError: there is no such frame.
    """
    frames = read_frames(name)
    if not -len(frames) <= frame < len(frames):
        raise ValueError(f"{name} has {len(frames)} frames, counted from 0: there is no {frame}.")
    return frames[frame]


def show(
    results: Sequence[ProbeResult],
    *,
    json: Path | None,
    figure: Path | None,
    theme: Literal["light", "dark", "print"],
) -> None:
    """Print results, and write and draw them where that is wanted.

    Args:
        results: of one probe, one for each subject.
        json: file for everything.
        figure: file for the panels, subjects laid over each other.
        theme: colours of the figure.
    """
    from multiace.cli.evaluate import write_json
    from multiace.figures.static import save_figure
    from multiace.probes import overlay

    console = Console(highlight=False)
    console.print(numbers_table(results))
    for result in results:
        for each in result.tables:
            table = Table(title=_title(each.title, result, results), title_justify="left", box=None)
            for name, unit in each.columns:
                table.add_column(f"{name} ({unit})" if unit else name, justify="right")
            for row in each.rows:
                table.add_row(*(text(value) for value in row))
            console.print()
            console.print(table)
    if json is not None:
        write_json(json, {"results": [result.to_json() for result in results]})
    if figure is not None and any(result.panels for result in results):
        save_figure(overlay(results), figure, theme=theme)


def numbers_table(results: Sequence[ProbeResult]) -> Table:
    """Return the numbers of one probe, one column a subject."""
    table = Table(title=f"probe: {results[0].probe}", title_justify="left", box=None)
    table.add_column("", style="cyan", no_wrap=True)
    for result in results:
        table.add_column(result.subject, justify="right")
    table.add_column("unit")
    table.add_column("meaning", style="dim")
    known = {number.name: number for result in results for number in result.numbers}
    for name, number in known.items():
        values = [{n.name: n.value for n in result.numbers}.get(name) for result in results]
        table.add_row(name, *(text(value) for value in values), number.unit, number.meaning)
    return table


def text(value: Value) -> str:
    """Write a value with four digits.

    Example:
        >>> [text(v) for v in (None, True, 12, 0.123456, 1.5e-13, "C1")]
        ['–', 'yes', '12', '0.1235', '1.5e-13', 'C1']
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _title(title: str, result: ProbeResult, results: Sequence[ProbeResult]) -> str:
    return title if len(results) == 1 else f"{result.subject}: {title}"
