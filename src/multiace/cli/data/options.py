"""Options of every command that reads labelled structures."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Files = Annotated[
    list[str], typer.Argument(help="Extended XYZ files, or bundled:NAME.", show_default=False)
]
EnergyKey = Annotated[str | None, typer.Option(help="Name of the energy in the data.")]
ForcesKey = Annotated[str | None, typer.Option(help="Name of the forces in the data.")]
StressKey = Annotated[str | None, typer.Option(help="Name of the stress in the data.")]
VirialKey = Annotated[
    str | None,
    typer.Option(help="Name of a virial (eV) that stands for the stress -virial / volume."),
]
StressOrder = Annotated[
    Literal["voigt", "vasp", "lammps"] | None,
    typer.Option(help="Order of a stress or virial of six components."),
]
UnitCheck = Annotated[
    bool,
    typer.Option(help="Refuse what looks like other units than eV and Å, or another sign."),
]
