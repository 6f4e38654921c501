"""`multiace data make`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiace.data.make import Made, Recipe
    from multiace.data.make import Progress as MakeProgress

SECONDS_BETWEEN_LINES = 15.0


def make(
    source: Annotated[
        str,
        typer.Argument(
            metavar="STRUCTURE|RECIPE",
            help="A file that ASE reads, molecule:NAME or bulk:NAME of ASE, bundled:NAME; or a "
            "recipe, a .yaml file, which takes no other options than --out and --show-recipe.",
            show_default=False,
        ),
    ],
    temperature: Annotated[
        list[float] | None,
        typer.Option(help="K, of molecular dynamics; may be repeated. Default: 300."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=0, help="Frames to train on at each temperature. Default: 500."),
    ] = None,
    test_frames: Annotated[
        int | None,
        typer.Option(min=0, help="Frames to test on, of other trajectories. Default: 100."),
    ] = None,
    trajectories: Annotated[
        int | None,
        typer.Option(min=1, help="Independent trajectories at each temperature. Default: 4."),
    ] = None,
    interval: Annotated[
        float | None, typer.Option(help="Time between frames, fs. Default: 50.")
    ] = None,
    equilibration: Annotated[
        float | None,
        typer.Option(help="Time before the first frame of a trajectory, fs. Default: 1000."),
    ] = None,
    timestep: Annotated[float | None, typer.Option(help="fs. Default: 0.5.")] = None,
    friction: Annotated[
        float | None, typer.Option(help="Of the thermostat, 1/ps. Default: 10.")
    ] = None,
    bond: Annotated[
        list[str] | None,
        typer.Option(help="Scan a bond, as in 1-2: atoms from 0.", metavar="I-J"),
    ] = None,
    angle: Annotated[
        list[str] | None, typer.Option(help="Scan an angle, vertex second.", metavar="I-J-K")
    ] = None,
    dihedral: Annotated[
        list[str] | None, typer.Option(help="Scan a dihedral.", metavar="I-J-K-L")
    ] = None,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax everything else along these scans.")
    ] = False,
    normal_modes: Annotated[
        bool, typer.Option("--normal-modes", help="Scan all normal modes.")
    ] = False,
    dimers: Annotated[
        bool, typer.Option("--dimers", help="Scan all pairs of the elements there are.")
    ] = False,
    path: Annotated[
        str | None,
        typer.Option(help="Path of least energy to another structure.", metavar="STRUCTURE"),
    ] = None,
    repeat: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="Repetitions of a crystal. Default: 1 1 1.", metavar="A B C"),
    ] = None,
    no_optimise: Annotated[
        bool, typer.Option("--no-optimise", help="Begin at the structure as it is.")
    ] = False,
    method: Annotated[
        Literal["GFN2-xTB", "GFN1-xTB"] | None,
        typer.Option(help="What computes the labels. Default: GFN2-xTB."),
    ] = None,
    charge: Annotated[int | None, typer.Option(help="Total charge, e. Default: 0.")] = None,
    multiplicity: Annotated[
        int | None, typer.Option(min=1, help="2S + 1. Default: 1, or 2 for odd electrons.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all random numbers. Default: 0.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files; default: named after the source.", metavar="DIR"),
    ] = None,
    show_recipe: Annotated[
        bool, typer.Option("--show-recipe", help="Print the recipe in YAML and make nothing.")
    ] = False,
) -> None:
    """Make reference data with tblite (GFN2-xTB, GFN1-xTB): dynamics, scans, paths, atoms.

    Options make a training and a test file for each temperature, one file for each scan and the
    isolated atoms; anything else is said in a recipe, which --show-recipe begins. What is there is
    not made again, and what was interrupted is gone on with. Points whose self-consistent field
    fails are counted and never written. Needs tblite, which the extra `labels` installs.

    Example: multiace data make molecule:CH3CH2OH --temperature 300 --dihedral 0-1-2-3
    """
    from multiace.data.make import make as make_data
    from multiace.data.make import make_recipe, read_recipe, recipe_as_yaml

    dynamics = {
        "temperature": temperature,
        "frames": frames,
        "test_frames": test_frames,
        "trajectories": trajectories,
        "interval": interval,
        "equilibration": equilibration,
        "timestep": timestep,
        "friction": friction,
    }
    internal = {"bond": bond, "angle": angle, "dihedral": dihedral}
    scans = {"relax": relax, "normal_modes": normal_modes, "dimers": dimers, "path": path}
    labels = {"name": method, "charge": charge, "multiplicity": multiplicity}
    start = {"repeat": repeat, "seed": seed, "optimise": False if no_optimise else None}
    if Path(source).suffix in (".yaml", ".yml"):
        _require_none({**dynamics, **internal, **scans, **labels, **start})
        recipe = read_recipe(source)
    else:
        recipe = make_recipe(
            {
                "structure": source,
                **_given(start),
                "method": _given(labels),
                "sets": {
                    **_dynamics(_given(dynamics)),
                    **_internal(internal, relax),
                    **({"normal_modes": {"kind": "normal_modes"}} if normal_modes else {}),
                    **({"dimers": {"kind": "dimers"}} if dimers else {}),
                    **({"path": {"kind": "path", "end": path}} if path is not None else {}),
                    "isolated_atoms": {"kind": "isolated_atoms"},
                },
            }
        )
    if show_recipe:
        typer.echo(recipe_as_yaml(recipe), nl=False)
        return
    console = Console(soft_wrap=True, highlight=False)
    folder = out if out is not None else Path(Path(source.rpartition(":")[2]).stem)
    started = time.monotonic()
    with _Shown(console) as shown:
        made = make_data(recipe, folder, on_progress=shown.show)
    _report(console, made, time.monotonic() - started)
    _next(console, recipe, made)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given: the others have the defaults of recipes."""
    return {name: value for name, value in options.items() if value is not None and value != []}


def _require_none(options: dict[str, Any]) -> None:
    """Refuse options that a recipe says itself."""
    called = {"name": "method", "optimise": "no_optimise"}
    given = [name for name, value in options.items() if value not in (None, [])]
    given = [called.get(name, name) for name in given if name not in _FLAGS or options[name]]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(
            f"A recipe takes no options but --out and --show-recipe, got {names}. Say it in the "
            "recipe."
        )


_FLAGS = ("relax", "normal_modes", "dimers")


def _dynamics(options: dict[str, Any]) -> dict[str, Any]:
    """Return the sets of molecular dynamics: each temperature to train on and to test on."""
    settings = dict(options)
    temperatures = settings.pop("temperature", [300.0])
    numbers = {"train": settings.pop("frames", 500), "test": settings.pop("test_frames", 100)}
    sets: dict[str, Any] = {}
    for name, frames in numbers.items():
        for value in temperatures:
            if frames:
                wanted = {"kind": "md", "temperatures": [value], "frames": frames, **settings}
                wanted["trajectories"] = min(settings.get("trajectories", 4), frames)
                sets[f"{name}_{value:g}K"] = wanted
    return sets


def _internal(options: dict[str, list[str] | None], relax: bool) -> dict[str, Any]:
    """Return the scans of bonds, angles and dihedrals."""
    scans: dict[str, Any] = {}
    for kind, texts in options.items():
        for text in texts or []:
            scans[f"{kind}_{text}"] = {"kind": kind, "atoms": _atoms(kind, text), "relax": relax}
    if relax and not scans:
        raise ValueError("--relax is for scans: give --bond, --angle or --dihedral too.")
    return scans


def _atoms(kind: str, text: str) -> list[int]:
    """Return the numbers in 1-2-3."""
    numbers = text.split("-")
    expected = {"bond": 2, "angle": 3, "dihedral": 4}[kind]
    if len(numbers) != expected or not all(number.isdecimal() for number in numbers):
        example = "-".join(map(str, range(expected)))
        raise ValueError(
            f"--{kind} takes {expected} atoms counted from 0, such as {example}, got {text!r}."
        )
    return [int(number) for number in numbers]


class _Shown:
    """A bar with the time left on a terminal, else a line now and then."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = console
        self.bar = Progress(
            TextColumn("{task.fields[now]}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=1.0, now="optimising", count="", left="")
        self.first: tuple[float, float] | None = None
        self.next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def __enter__(self) -> _Shown:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, progress: MakeProgress) -> None:
        """Show how far it is; the time left is that of the energies left, at the speed so far."""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, progress.fraction)
        since, begun = self.first
        moved = progress.fraction - begun
        left = ""
        if moved > 1e-3:
            left = f"{_duration((now - since) / moved * (1.0 - progress.fraction))} left"
        count = f"{progress.n_done}/{progress.n_points} points"
        if progress.n_failed:
            count += f", {progress.n_failed} failed"
        if self.console.is_terminal:
            self.bar.update(
                self.task,
                completed=progress.fraction,
                now=progress.set_name,
                count=count,
                left=left,
            )
        elif now >= self.next_line:
            self.console.print(f"{progress.set_name}: {count}{left and f', about {left}'}")
            self.next_line = now + SECONDS_BETWEEN_LINES


def _duration(seconds: float) -> str:
    """Return a time for people.

    Example:
        >>> _duration(42.0), _duration(4000.0)
        ('42 s', '1 h 7 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _report(console: Console, made: Sequence[Made], seconds: float) -> None:
    """Say what was written and what failed."""
    width = max(len(str(of.path)) for of in made)
    for of in made:
        line = f"{of.path!s:<{width}}  {of.n_written} frames"
        if of.n_failed:
            line += f", [bold yellow]{of.n_failed} of {of.n_asked} points failed[/]"
        console.print(line + (" (was there)" if of.was_there else ""))
        for reason, count in of.reasons.items():
            console.print(f"  {count} x {reason}", markup=False)
    if not all(of.was_there for of in made):
        console.print(
            f"made in {_duration(seconds)}; {made[0].path.parent}/provenance.json says how"
        )


def _next(console: Console, recipe: Recipe, made: Sequence[Made]) -> None:
    """Say how to train on it."""
    kinds = {of.path.stem: recipe.sets[of.path.stem].kind for of in made}
    train = [of.path for of in made if kinds[of.path.stem] == "md" and "test" not in of.path.stem]
    atoms = [of.path for of in made if kinds[of.path.stem] == "isolated_atoms"]
    tests = [of.path for of in made if of.path not in (*train, *atoms)]
    if not (train and atoms):
        return
    files = ", ".join(map(str, train))
    lines = [
        "design: {preset: mace, size: small}",
        "data:",
        f"  train: [{files}]" if len(train) > 1 else f"  train: {files}",
        f"  isolated_atoms: {atoms[0]}",
        *(["  tests:"] if tests else []),
        *(f"    {path.stem}: {path}" for path in tests),
        "epochs: 100",
        f"out: runs/{made[0].path.parent.name}",
    ]
    console.print("\nA config to train on it, `multiace train config.yaml`:\n", markup=False)
    console.print("\n".join(lines), markup=False)
