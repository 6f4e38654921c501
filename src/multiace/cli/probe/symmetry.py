"""`multiace probe symmetry`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def symmetry(
    models: output.Subjects,
    structures: Annotated[
        str,
        typer.Option(help="Structures to rotate, mirror, move and number anew.", metavar="FILE"),
    ],
    first: Annotated[int, typer.Option(min=1, help="How many of its frames.")] = 3,
    repetitions: Annotated[int, typer.Option(min=1, help="Images of each kind.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the images.")] = 0,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    dtype: output.Dtype = "float64",
    device: output.Device = "cpu",
) -> None:
    """Rotate, mirror, translate, permute; wrap and repeat crystals: energies must not notice.

    Example: multiace probe symmetry model.safetensors --structures test.xyz --dtype float32
    """
    from multiace import probes

    frames = output.read_frames(structures)[:first]
    results = [
        probes.symmetry(found, frames, repetitions=repetitions, seed=seed)
        for found in output.subjects(models, ensemble=ensemble, dtype=dtype, device=device)
    ]
    output.show(results, json=json, figure=None, theme="light")
