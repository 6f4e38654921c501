"""`multiace probe stability`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def stability(
    models: output.Subjects,
    structure: Annotated[str, typer.Option(help="Where runs begin, at rest.", metavar="FILE")],
    frame: output.Frame = 0,
    temperatures: Annotated[
        str, typer.Option(help="K, ascending, with commas.")
    ] = "300,600,900,1200,1500,2000",
    timestep: Annotated[float, typer.Option(help="fs.")] = 0.5,
    steps: Annotated[int, typer.Option(min=10, help="Of each run.")] = 2000,
    friction: Annotated[float, typer.Option(help="Of the thermostat, 1/ps.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Of velocities and thermostat.")] = 0,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    figure: output.Figure = None,
    theme: output.Theme = "light",
    dtype: output.Dtype = "float32",
    device: output.Device = "cpu",
) -> None:
    """Run molecular dynamics: the drift of the energy, and the temperature at which it fails.

    Example: multiace probe stability model.safetensors --structure molecule.xyz --steps 20000
    """
    from multiace import probes

    where = output.read_frame(structure, frame)
    ladder = [_kelvin(text) for text in temperatures.split(",")]
    found = output.subjects(models, ensemble=ensemble, dtype=dtype, device=device)
    results = [
        probes.stability(
            each,
            where,
            temperatures=ladder,
            timestep=timestep,
            steps=steps,
            friction=friction / 1e3,
            seed=seed,
        )
        for each in found
    ]
    output.show(results, json=json, figure=figure, theme=theme)


def _kelvin(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"--temperatures are in K with commas, as 300,600; got {text!r}."
        ) from None
