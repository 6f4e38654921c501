"""`multiace probe scan`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from multiace.cli.probe import output

if TYPE_CHECKING:
    from multiace.probes import ProbeResult, Surface
    from multiace.probes.paths import Path

HOW = (
    "--structures (labelled frames), --dimer, or --structure with one of --bond, --angle, "
    "--dihedral, --mode, --to"
)


def scan(
    models: output.Subjects,
    structures: Annotated[
        str | None,
        typer.Option(
            help="Frames of a scan, with or without labels; each config_type is one of its own.",
            metavar="FILE",
        ),
    ] = None,
    atoms: Annotated[
        str,
        typer.Option(
            help="Coordinate of --structures: 2, 3 or 4 atoms, as 0,1,2,3; default: the distance "
            "of a pair, else the length of the path."
        ),
    ] = "",
    structure: Annotated[
        str | None, typer.Option(help="What is bent or stretched.", metavar="FILE")
    ] = None,
    frame: output.Frame = 0,
    bond: Annotated[str | None, typer.Option(help="Two atoms, as 0,1.")] = None,
    angle: Annotated[str | None, typer.Option(help="Three atoms, as 0,1,2.")] = None,
    dihedral: Annotated[str | None, typer.Option(help="Four atoms, as 0,1,2,3.")] = None,
    mode: Annotated[
        int | None, typer.Option(help="Normal mode of the first model, from 0; -1 is the stiffest.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Other end of a straight path.", metavar="FILE")
    ] = None,
    dimer: Annotated[str | None, typer.Option(help="Two elements, as H,O.")] = None,
    range_: Annotated[
        str | None,
        typer.Option("--range", help="FROM,TO,POINTS of the coordinate, in Å or degrees."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Where it has labels: tblite:METHOD, ase:CALCULATOR or a model file."),
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="Training data, for the histogram under the curves.", metavar="FILE"),
    ] = None,
    ensemble: output.Ensemble = False,
    json: output.Json = None,
    figure: output.Figure = None,
    theme: output.Theme = "light",
    dtype: output.Dtype = "float64",
    device: output.Device = "cpu",
) -> None:
    """Compare energies along a path: a file of frames, a coordinate, a mode, a dimer.

    Curves are absolute: nothing is shifted onto the reference.

    Example: multiace probe scan model.safetensors --structures bundled:malonaldehyde/stretch
    --atoms 4,5 --training bundled:malonaldehyde/train_300K --figure stretch.png
    """
    from multiace import probes

    found = output.subjects(models, ensemble=ensemble, dtype=dtype, device=device)
    coordinates = {"bond": bond, "angle": angle, "dihedral": dihedral, "mode": mode, "to": to}
    chosen = {name: value for name, value in coordinates.items() if value is not None}
    n_ways = (structures is not None) + (dimer is not None) + (structure is not None)
    if n_ways != 1 or len(chosen) != (structure is not None):
        raise ValueError(f"A scan is given in one way. Use {HOW}.")
    if structures is not None:
        paths = _along_file(structures, atoms)
    elif dimer is not None:
        paths = [("", _dimer(dimer, range_))]
    else:
        assert structure is not None
        (coordinate,) = chosen.items()
        paths = [("", _moved(found[0], structure, frame, *coordinate, range_))]
    expected = None if reference is None else output.subjects([reference], device=device)[0]
    sample = [s for name in training or () for s in output.read_frames(name)]
    results = [
        _together({n: probes.scan(each, p, reference=expected, training=sample) for n, p in paths})
        for each in found
    ]
    output.show(results, json=json, figure=figure, theme=theme)


def _together(scans: dict[str, ProbeResult]) -> ProbeResult:
    """Return the scans of one subject as one result, each with a panel of its own."""
    from multiace.probes import combine

    if len(scans) == 1:
        return scans.popitem()[1]
    named = {
        name: replace(found, panels={f"{name} {key}": panel for key, panel in found.panels.items()})
        for name, found in scans.items()
    }
    return combine("scan", named)


def _along_file(name: str, atoms: str) -> list[tuple[str, Path]]:
    """Return the names of the scans of a file, and the scans."""
    from multiace.geometry.coordinate import scans_among
    from multiace.probes.paths import along_file

    frames = output.read_frames(name)
    chosen = _integers(atoms) if atoms else ()
    scans = []
    for kind, members in scans_among(frames):
        path = along_file([frames[index] for index in members], chosen)
        scans.append((kind, replace(path, title=kind or path.title)))
    return scans


def _dimer(pair: str, range_: str | None) -> Path:
    from multiace.elements import atomic_number
    from multiace.probes.paths import dimer

    elements = [atomic_number(symbol.strip()) for symbol in pair.split(",")]
    if len(elements) != 2:
        raise ValueError(f"--dimer needs two elements, as H,O; got {pair}.")
    return dimer(elements[0], elements[1], _grid(range_ or "0.5,6,111"))


def _moved(
    first: Surface, file: str, frame: int, name: str, value: object, range_: str | None
) -> Path:
    from multiace.probes import paths

    structure = output.read_frame(file, frame)
    if name == "to":
        points = round(float(range_.split(",")[2])) if range_ else 41
        return paths.interpolation(structure, output.read_frame(str(value), frame), points)
    if name == "mode":
        assert isinstance(value, int)
        return paths.normal_mode(first, structure, value, _grid(range_ or "-0.5,0.5,41"))
    atoms = _integers(str(value))
    needed = {"bond": 2, "angle": 3, "dihedral": 4}[name]
    if len(atoms) != needed:
        raise ValueError(f"--{name} needs {needed} atoms, as 0,1,..., got {value}.")
    if range_ is None:
        raise ValueError(f"--{name} needs --range FROM,TO,POINTS, in Å or degrees.")
    return getattr(paths, name)(structure, *atoms, _grid(range_))


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Atoms are whole numbers with commas, as 0,1,2; got {text!r}.") from None


def _grid(text: str) -> list[float]:
    import numpy as np

    parts = text.split(",")
    try:
        start, stop, points = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        raise ValueError(f"--range is FROM,TO,POINTS, as 0.8,4,33; got {text!r}.") from None
    if points < 2 or not start < stop:
        raise ValueError(f"--range needs FROM below TO and at least 2 points, got {text}.")
    return np.linspace(start, stop, points).tolist()
