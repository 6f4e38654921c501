"""`multiace probe body-order`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def body_order(
    models: output.Subjects,
    structure: Annotated[
        str, typer.Option(help="Molecule or crystal to cut a cluster from.", metavar="FILE")
    ],
    frame: output.Frame = 0,
    atoms: Annotated[
        int, typer.Option(min=2, max=12, help="Of the cluster: 2^atoms energies.")
    ] = 6,
    centre: Annotated[
        int | None, typer.Option(help="Atom in its middle; default: that of the structure.")
    ] = None,
    along: Annotated[
        str | None,
        typer.Option(
            help="Frames of a path: the terms of the energy along it too.", metavar="FILE"
        ),
    ] = None,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    figure: output.Figure = None,
    theme: output.Theme = "light",
    device: output.Device = "cpu",
) -> None:
    """Split energies of a cluster into n-body terms by inclusion and exclusion.

    Example: multiace probe body-order model.safetensors --structure molecule.xyz --atoms 7
    """
    from multiace import probes
    from multiace.probes.paths import along_file

    where = output.read_frame(structure, frame)
    found = output.subjects(models, ensemble=ensemble, device=device)
    results = [probes.body_order(each, where, atoms=atoms, centre=centre) for each in found]
    if along is not None:
        path = along_file(output.read_frames(along))
        terms = [probes.contributions(each, path) for each in found]
        results = [
            probes.combine("body-order", {"cluster": cluster, "path": of_path})
            for cluster, of_path in zip(results, terms, strict=True)
        ]
    output.show(results, json=json, figure=figure, theme=theme)
