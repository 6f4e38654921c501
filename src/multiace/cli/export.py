"""`multiace export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    model: Annotated[Path, typer.Argument(help="Model file (.safetensors).")],
    to: Annotated[Literal["program"], typer.Option("--to", help="What to write.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="Keep the radial network instead of splines.")
    ] = False,
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        typer.Option(help="Compute type; default: that of the model."),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="Elements the program is for, H,C,O; default: all.", metavar="SYMBOLS"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest error of splines, values and slopes.")
    ] = 1e-6,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; default: MODEL.program.safetensors here.", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Write a model as a program: one file that C, C++ and other languages can run.

    What a program holds, and how to run it, is in docs/programs.md.

    Example: multiace export model.safetensors --to program --dtype float32
    """
    from dataclasses import replace
    from hashlib import sha256

    import torch

    from multiace.checkpoint import load_model
    from multiace.checkpoint.tensor_file import replace_file
    from multiace.elements import atomic_number, format_elements
    from multiace.program import build_program, to_bytes

    assert to == "program"
    target = Path(f"{model.stem}.program.safetensors") if out is None else out
    if target.resolve() == model.resolve():
        raise ValueError(f"{target} is the model to export. Give another name with --out.")
    symbols = [] if elements is None else [symbol.strip() for symbol in elements.split(",")]
    potential = load_model(model, dtype=None if dtype is None else getattr(torch, dtype))
    program = build_program(
        potential,
        elements=[atomic_number(symbol) for symbol in symbols],
        exact=exact,
        tolerance=tolerance,
    )
    digest = sha256(model.read_bytes()).hexdigest()
    program = replace(program, provenance={"model": model.name, "sha256": digest})
    replace_file(target, to_bytes(program))
    errors = f"error {program.spline_error:.1e}, of slopes {program.spline_slope_error:.1e}"
    radial = "the radial network" if program.exact else f"splines ({errors})"
    typer.echo(
        f"{target}: {program.n_layers} layers for {format_elements(program.elements)} in "
        f"{str(program.dtype).removeprefix('torch.')}, with {radial}; "
        f"{target.stat().st_size / 1e6:.1f} MB."
    )
