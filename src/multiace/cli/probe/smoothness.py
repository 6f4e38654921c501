"""`multiace probe smoothness`."""

from __future__ import annotations

from typing import Annotated

import typer

from multiace.cli.probe import output


def smoothness(
    models: output.Subjects,
    structure: Annotated[
        str | None,
        typer.Option(help="Where random directions and bonds are looked at.", metavar="FILE"),
    ] = None,
    frame: output.Frame = 0,
    pairs: Annotated[
        str | None, typer.Option(help="Pairs of elements, as H-H,C-O; default: all of them.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="To compare with: tblite:METHOD, ase:CALCULATOR or a model file."),
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="Training data: which pairs were seen, and how near.", metavar="FILE"),
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Cutoff in Å of a calculator that does not say it.")
    ] = None,
    hydrogen: Annotated[
        bool, typer.Option("--hydrogen", help="Stretch bonds to hydrogen too.")
    ] = False,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    figure: output.Figure = None,
    theme: output.Theme = "light",
    dtype: output.Dtype = "float64",
    device: output.Device = "cpu",
) -> None:
    """Look for holes, jumps and ripples: dimers, the cutoff, random directions, bonds.

    With measures as MLIP Arena (dimers) and the Bond Smoothness Characterization Test define them.

    Example: multiace probe smoothness model.safetensors --structure molecule.xyz --reference
    tblite:GFN2-xTB
    """
    from multiace import probes

    chosen = None if pairs is None else [_pair(text) for text in pairs.split(",")]
    where = None if structure is None else output.read_frame(structure, frame)
    found = output.subjects(models, ensemble=ensemble, dtype=dtype, device=device)
    other = None if reference is None else output.subjects([reference], device=device)[0]
    sample = [s for name in training or () for s in output.read_frames(name)]
    results = [
        probes.smoothness(
            each,
            where,
            pairs=chosen,
            reference=other,
            training=sample,
            radius=radius,
            hydrogen=hydrogen,
        )
        for each in found
    ]
    output.show(results, json=json, figure=figure, theme=theme)


def _pair(text: str) -> tuple[int, int]:
    from multiace.elements import atomic_number

    elements = [atomic_number(symbol.strip()) for symbol in text.split("-")]
    if len(elements) != 2:
        raise ValueError(f"--pairs are two elements with a dash, as H-H,C-O; got {text!r}.")
    return elements[0], elements[1]
