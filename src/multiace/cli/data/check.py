"""`multiace data check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from multiace.cli.data.options import (
    EnergyKey,
    Files,
    ForcesKey,
    StressKey,
    StressOrder,
    UnitCheck,
    VirialKey,
)

if TYPE_CHECKING:
    from multiace.data.errors import Findings

FOUND = 1
"""Exit code when something is wrong with the data."""


def check(
    files: Files,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    stress_order: StressOrder = None,
    unit_check: UnitCheck = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Say what is wrong with data, and where; exit with 1 if anything is.

    Files are read as training reads them. Syntax and values of each frame, cells and overlaps;
    units, signs and orders of components; energies against forces and stress; structures that
    occur twice, in one file or in several; whether E0 can be found. Nothing is changed.

    Example: multiace data check train.xyz test.xyz
    """
    import json

    from multiace.data import LabelNames, label_table
    from multiace.data.check import check_files

    names = LabelNames(energy_key, forces_key, stress_key, virial_key, stress_order)
    found = check_files(files, names, unit_check=unit_check)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        if found.reading.structures:
            typer.echo(label_table(found.reading.structures))
        _show(found.findings)
    if found.findings.n_problems or (strict and found.findings.n_warnings):
        raise typer.Exit(FOUND)


def _show(findings: Findings) -> None:
    """Print problems and warnings, and how many there are."""
    console = Console(soft_wrap=True, highlight=False)
    for title, style, shown, total in (
        ("Problem", "red", findings.problems, findings.n_problems),
        ("Warning", "yellow", findings.warnings, findings.n_warnings),
    ):
        for finding in shown:
            console.print(Text.assemble((f"{title}: ", f"bold {style}"), str(finding)))
        if total > len(shown):
            console.print(Text(f"and {total - len(shown)} more.", style=style))
    problems = _counted(findings.n_problems, "problem")
    console.print(f"{problems}, {_counted(findings.n_warnings, 'warning')}")


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
