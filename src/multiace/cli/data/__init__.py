"""`multiace data`: what is done with reference data before anything trains.

One module a command. They import torch and ASE inside their functions, so that help is instant.
"""

from __future__ import annotations

import typer

from multiace.cli.data.check import check
from multiace.cli.data.fetch import fetch
from multiace.cli.data.info import info
from multiace.cli.data.make import make
from multiace.cli.data.prepare import prepare

data = typer.Typer(
    name="data",
    help="Reference data: check, info, fetch, make, prepare.",
    no_args_is_help=True,
)
data.command()(check)
data.command()(info)
data.command()(fetch)
data.command()(make)
data.command()(prepare)
