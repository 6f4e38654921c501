"""`multiace probe locality`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def locality(
    models: output.Subjects,
    structure: Annotated[
        str,
        typer.Option(help="Larger than the receptive field, to see its end.", metavar="FILE"),
    ],
    frame: output.Frame = 0,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    figure: output.Figure = None,
    theme: output.Theme = "light",
    device: output.Device = "cpu",
) -> None:
    """Measure how forces respond to moves of other atoms, by distance: dF_i/dr_j.

    Example: multiace probe locality model.safetensors --structure large.xyz --figure decay.png
    """
    from multiace import probes

    where = output.read_frame(structure, frame)
    found = output.subjects(models, ensemble=ensemble, device=device)
    results = [probes.locality(each, where) for each in found]
    output.show(results, json=json, figure=figure, theme=theme)
