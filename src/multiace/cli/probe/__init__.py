"""`multiace probe`: what a potential-energy surface is like."""

from __future__ import annotations

import typer

from multiace.cli.probe.body_order import body_order
from multiace.cli.probe.completeness import completeness
from multiace.cli.probe.cost import cost
from multiace.cli.probe.locality import locality
from multiace.cli.probe.scan import scan
from multiace.cli.probe.smoothness import smoothness
from multiace.cli.probe.stability import stability
from multiace.cli.probe.symmetry import symmetry

probe = typer.Typer(
    name="probe",
    help="Look at a potential-energy surface: one command a probe, for models and calculators.",
    no_args_is_help=True,
)
probe.command()(scan)
probe.command()(smoothness)
probe.command()(symmetry)
probe.command()(stability)
probe.command()(locality)
probe.command("body-order")(body_order)
probe.command()(completeness)
probe.command()(cost)
