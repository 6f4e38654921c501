"""`multiace probe cost`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from multiace.cli.probe import output


def cost(
    models: output.Subjects,
    structures: Annotated[
        list[str], typer.Option(help="Structures of one or more sizes.", metavar="FILE")
    ],
    frame: output.Frame = 0,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="How long each is evaluated; the median counts.")
    ] = 1.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of torch; default: as they are.")
    ] = None,
    json: output.Json = None,
    dtype: Annotated[Literal["float32", "float64"], typer.Option(help="Compute type.")] = "float32",
    device: output.Device = "cpu",
) -> None:
    """Count operations and bytes, and measure time and memory, of energy and forces.

    Example: multiace probe cost model.safetensors --structures water64.xyz --threads 1
    """
    import torch

    from multiace import probes

    if threads is not None:
        torch.set_num_threads(threads)
    where = [output.read_frame(name, frame) for name in structures]
    found = output.subjects(models, dtype=dtype, device=device)
    results = [probes.cost(each, where, seconds=seconds) for each in found]
    output.show(results, json=json, figure=None, theme="light")
