"""`multiace probe`: what a potential-energy surface is like."""

from __future__ import annotations

import typer

from multiace.cli.probe.scan import scan
from multiace.cli.probe.smoothness import smoothness

probe = typer.Typer(
    name="probe",
    help="Look at a potential-energy surface: one command a probe, for models and calculators.",
    no_args_is_help=True,
)
probe.command()(scan)
probe.command()(smoothness)
