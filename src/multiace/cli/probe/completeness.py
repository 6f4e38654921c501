"""`multiace probe completeness`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def completeness(
    models: output.Models,
    element: Annotated[
        str | None,
        typer.Option(help="Of the degenerate environments; default: the heaviest of the model."),
    ] = None,
    environments: Annotated[
        int,
        typer.Option(min=0, help="Random clusters on which functions count as independent."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    json: output.Json = None,
    device: output.Device = "cpu",
) -> None:
    """Compare ranks of product bases with theory, and tell degenerate environments apart.

    Example: multiace probe completeness model.safetensors --environments 300
    """
    from multiace import probes
    from multiace.elements import atomic_number

    number = None if element is None else atomic_number(element)
    results = [
        probes.completeness(found, number=number, environments=environments, seed=seed)
        for found in output.subjects(models, device=device)
    ]
    output.show(results, json=json, figure=None, theme="light")
