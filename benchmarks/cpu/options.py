"""The options that the processes of a run have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cpu.cases import Options

CACHE = Path(__file__).resolve().parents[2] / ".venv-peers" / "cache"


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows the first line of a module's documentation."""
    return argparse.ArgumentParser(description=(documentation or "").splitlines()[0])


def add_options(to: argparse.ArgumentParser) -> None:
    """Add the options of a run to a parser."""
    to.add_argument("--full", action="store_true", help="also the grid; takes hours")
    to.add_argument("--tiny", action="store_true", help="few channels and atoms: only a test")
    to.add_argument("--data", type=Path, help="molecules of H, C, N and O, for training in batches")
    to.add_argument("--cache", type=Path, default=CACHE, help="for what the peers compile")
    to.add_argument("--modes", nargs="+", default=[], help="modes of the peers; default all")
    to.add_argument("--patience", type=int, default=900, help="seconds a mode may compile for")
    to.add_argument("--only", nargs="+", default=[], help="patterns of names of cases")


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the options that were given."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    return Options(
        tiny=arguments.tiny,
        data=arguments.data,
        cache=arguments.cache,
        modes=tuple(arguments.modes),
        patience=arguments.patience,
        only=tuple(arguments.only),
    )


def words(options: Options, *, full: bool = False) -> list[str]:
    """Return options as words of a command line."""
    result = ["--cache", str(options.cache), "--patience", str(options.patience)]
    result += ["--tiny"] if options.tiny else []
    result += ["--data", str(options.data)] if options.data else []
    result += ["--modes", *options.modes] if options.modes else []
    result += ["--only", *options.only] if options.only else []
    return result + (["--full"] if full else [])
