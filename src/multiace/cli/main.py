"""`multiace`: the commands, and errors as one readable message.

The modules imported here import torch inside their functions only, so that help is instant.
"""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from multiace.cli.data import data
from multiace.cli.demo import demo
from multiace.cli.describe import describe
from multiace.cli.evaluate import evaluate
from multiace.cli.export import export
from multiace.cli.import_model import import_model
from multiace.cli.md import md
from multiace.cli.probe import probe
from multiace.cli.report import report
from multiace.cli.study import study
from multiace.cli.train import train

USER_ERROR = 2
"""Exit code when the input, and not the program, is at fault."""

app = typer.Typer(
    name="multiace",
    help="Interatomic potentials as points of one design space: NequIP, BOTNet, MACE and between.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Set MULTIACE_TRACEBACK=1 to see where in the program an error comes from.",
)
app.command()(describe)
app.command()(train)
app.command()(evaluate)
app.command()(md)
app.command()(report)
app.command()(demo)
app.command("import")(import_model)
app.command()(export)
app.add_typer(data)
app.add_typer(probe)
app.add_typer(study)


def main() -> None:
    """Run the command line; print errors of the user's input without a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("MULTIACE_TRACEBACK", "0") not in ("", "0"):
            raise
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(Text.assemble(("Error: ", "bold red"), (_message(error), "red")))
        sys.exit(USER_ERROR)


def _message(error: ValueError | OSError) -> str:
    """Return the text of an error; for a file, its name and what the system says of it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


if __name__ == "__main__":
    main()
