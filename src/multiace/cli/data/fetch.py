"""`multiace data fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

    from multiace.data.fetch import Fetched, PublicFile, PublicSet


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="3bpa, acac, ethanol, or rmd17/MOLECULE/SPLIT as in rmd17/ethanol/01.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="Say what there is: files, sizes, licences, citations.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files, with one name; default: the name.", metavar="DIR"),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Where downloads are kept. Default: MULTIACE_CACHE, or ~/.cache/multiace.",
            metavar="DIR",
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            help="Address of a copy: MIRROR/HOST/PATH is read instead of https://HOST/PATH.",
            metavar="URL",
        ),
    ] = None,
) -> None:
    """Fetch public data sets from their own addresses, at pinned commits, and check them.

    Each file is compared with the id git has for it. Interrupted downloads go on where they
    stopped. source.json beside the files says where they came from and what to cite.

    Example: multiace data fetch 3bpa rmd17/ethanol/01
    """
    console = Console(soft_wrap=True, highlight=False)
    if show:
        _list(console, names or [])
        return
    if not names:
        raise typer.BadParameter("Give the NAME of a set; --list shows what there is.")
    if out is not None and len(names) > 1:
        raise typer.BadParameter(f"--out takes one name, got {len(names)}: {', '.join(names)}.")
    from multiace.data.fetch import fetch as fetch_set
    from multiace.data.fetch import public_set

    for data in [public_set(name) for name in names]:
        with _Bars(console) as bars:
            fetched = fetch_set(data, out, cache=cache, mirror=mirror, on_file=bars.show)
        _report(console, fetched)
        console.print(f"Licence: {data.licence}. Please cite:")
        for citation in data.citations:
            console.print(f"  {citation}")


class _Bars:
    """A bar for each file on a terminal, a line elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.tasks: dict[PublicFile, Any] = {}
        self.progress: Progress | None = None

    def __enter__(self) -> _Bars:
        if self.console.is_terminal:
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

    def show(self, file: PublicFile, here: int, total: int | None) -> None:
        """Show how much of a file is there."""
        if self.progress is not None:
            if file not in self.tasks:
                self.tasks[file] = self.progress.add_task(file.name, total=total)
            self.progress.update(self.tasks[file], completed=here, total=total)
        elif file not in self.tasks:
            self.tasks[file] = None
            size = "" if total is None else f", {_size(total)}"
            self.console.print(f"downloading {file.name}{size}")


def _report(console: Console, fetched: list[Fetched]) -> None:
    """Say where the files are and how each was checked."""
    explained = {
        "known id": "has the git id known here",
        "listed id": "has the git id that its repository lists",
    }
    for file in fetched:
        if file.check == "unverified":
            console.print(f"{file.path}  [bold yellow]unverified[/]: {file.reason}")
        else:
            console.print(f"{file.path}  {explained[file.check]}")


def _list(console: Console, names: list[str]) -> None:
    """Print the sets, or the files of some."""
    from multiace.data.fetch import PUBLIC_SETS, public_set
    from multiace.data.fetch.catalogue import RMD17_MOLECULES, RMD17_SPLITS

    if names:
        for data in [public_set(name) for name in names]:
            console.print(f"[bold]{data.name}[/]")
            for file in data.files:
                known = file.git_id or "git id as its repository lists it"
                console.print(f"  {file.name:<24} {_size(file.n_bytes):>8}  {known}")
            console.print(f"{data.description}; {data.method}. Licence: {data.licence}. Cite:")
            for citation in data.citations:
                console.print(f"  {citation}")
            for page in dict.fromkeys(file.repository.page for file in data.files):
                console.print(f"  {page}")
        return
    named = [data for data in PUBLIC_SETS.values() if not data.name.startswith("rmd17/")]
    for data in named:
        unknown = any(file.n_bytes is None for file in data.files)
        size = f"{'over ' if unknown else ''}{_size(data.n_bytes)}"
        _entry(console, data.name, len(data.files), size, data)
    sizes = [PUBLIC_SETS[f"rmd17/{molecule}/01"].n_bytes for molecule in RMD17_MOLECULES]
    some = PUBLIC_SETS["rmd17/aspirin/01"]
    size = f"{_size(min(sizes))} to {_size(max(sizes))}"
    _entry(console, "rmd17/MOLECULE/SPLIT", len(some.files), size, some, about=_ABOUT_RMD17)
    console.print(f"    MOLECULE: {', '.join(RMD17_MOLECULES)}")
    console.print(f"    SPLIT: {', '.join(RMD17_SPLITS)}")
    cited = [citation for data in PUBLIC_SETS.values() for citation in data.citations]
    console.print("\nPlease cite what you use:")
    for citation in dict.fromkeys(cited):
        console.print(f"  {citation}")
    console.print("\n`multiace data fetch --list NAME` has the files, their ids and sources.")


_ABOUT_RMD17 = (
    "one molecule: 1000 frames to train on and 1000 to test, with isolated atoms; not compressed"
)


def _entry(
    console: Console, name: str, n_files: int, size: str, data: PublicSet, about: str = ""
) -> None:
    """Print one set in three lines."""
    console.print(f"[bold]{name}[/]: {n_files} files, {size}")
    console.print(f"    {about or data.description}")
    console.print(f"    {data.method}; licence {data.licence}")


def _size(n_bytes: int | None) -> str:
    """Return a size for people."""
    if n_bytes is None:
        return "?"
    if n_bytes < 1e5:
        return f"{n_bytes / 1e3:.1f} kB"
    return f"{n_bytes / 1e6:.1f} MB"
