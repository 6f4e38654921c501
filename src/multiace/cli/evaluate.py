"""`multiace evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

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
    from collections.abc import Sequence

    from multiace.analysis import Deviation, ErrorTable
    from multiace.geometry import Structure
    from multiace.potential import Potential
    from multiace.program import Plan


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file (.safetensors).")],
    data: Files,
    json: Annotated[
        Path | None, typer.Option(help="Write all errors to this file.", metavar="FILE")
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        typer.Option(help="Compute type; default: that of the model."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    batch_edges: Annotated[
        int, typer.Option(min=1, help="Most edges evaluated at once; fewer need less memory.")
    ] = 4000,
    exact: Annotated[
        bool, typer.Option("--exact", help="Evaluate the radial network and not its splines (CPU).")
    ] = False,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    stress_order: StressOrder = None,
    unit_check: UnitCheck = True,
) -> None:
    """Print RMSE and MAE of a model on labelled structures.

    Energies in total and per atom, force components and stress; over all structures, by file, by
    config_type and, for forces, by element. Labels that a frame lacks are left out.
    """
    import torch

    from multiace.analysis import errors
    from multiace.checkpoint import load_model
    from multiace.data import LabelNames, read_files

    potential = load_model(
        model, dtype=None if dtype is None else getattr(torch, dtype), device=device
    )
    names = LabelNames(energy_key, forces_key, stress_key, virial_key, stress_order)
    reading = read_files(data, names, unit_check=unit_check, duplicates=False)
    for warning in reading.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    structures = reading.structures
    table = errors(_planned(potential, structures, exact), structures, batch_edges=batch_edges)
    Console().print(as_text(table))
    if json is not None:
        write_json(json, {"model": str(model), **table.to_json()})


def _planned(
    potential: Potential, structures: Sequence[Structure], exact: bool
) -> Potential | Plan:
    """Return a plan for the elements present, or the potential where there are none."""
    from multiace.elements import sorted_elements
    from multiace.geometry.graph import species_of
    from multiace.program import fastest

    for structure in structures:
        species_of(structure, potential.elements)
    present = sorted_elements(n for structure in structures for n in set(structure.numbers))
    return fastest(potential, elements=present, exact=exact)


def as_text(errors: ErrorTable) -> Table:
    """Return errors as a table: RMSE and MAE, in meV units."""
    from multiace.analysis.errors import GROUPS, REPORT_UNITS
    from multiace.units import GPA

    table = Table(title="RMSE / MAE", title_justify="left")
    table.add_column("")
    table.add_column("structures", justify="right")
    columns = [(quantity, unit, size) for quantity, (unit, size) in REPORT_UNITS.items()]
    columns.append(("stress", "GPa", GPA))
    shown = [column for column in columns if getattr(errors.total, column[0]) is not None]
    for quantity, unit, _ in shown:
        table.add_column(f"{quantity.partition('_')[0]}\n({unit})", justify="right")
    for group in GROUPS:
        rows = errors.by(group)
        if group in ("file", "config_type") and len(rows) == 1:
            continue
        table.add_section()
        for name, row in rows.items():
            cells = [_cell(getattr(row, quantity), size) for quantity, _, size in shown]
            table.add_row(name or "(none)", f"{row.n_structures:,}", *cells)
    return table


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain data as readable JSON."""
    import json

    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _cell(deviation: Deviation | None, size: float) -> str:
    if deviation is None:
        return "–"
    return f"{deviation.rmse / size:.3g} / {deviation.mae / size:.3g}"
