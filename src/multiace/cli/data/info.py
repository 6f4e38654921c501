"""`multiace data info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    from multiace.data.summary import Range, Summary

_MOST_KINDS = 12


def info(
    files: Files,
    cutoff: Annotated[
        float, typer.Option(min=0.1, help="Count neighbours within this radius in Å.")
    ] = 5.0,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    stress_order: StressOrder = None,
    unit_check: UnitCheck = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Summarise data: elements, sizes, kinds, ranges of labels, distances, neighbours, E0.

    Files are read as training reads them, and refused as it refuses them; `multiace data check`
    says more of what is wrong.

    Example: multiace data info train.xyz --cutoff 5
    """
    import json

    from multiace.data import LabelNames, label_table, read_files
    from multiace.data.summary import summarise

    names = LabelNames(energy_key, forces_key, stress_key, virial_key, stress_order)
    reading = read_files(files, names, unit_check=unit_check, duplicates=False)
    summary = summarise(reading.structures, cutoff)
    if as_json:
        content = {"files": list(reading.files), **summary.to_json()}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    if len(files) > 1:
        typer.echo(f"{label_table(reading.structures)}\n")
    Console(soft_wrap=True, highlight=False).print(as_text(summary))


def as_text(summary: Summary) -> Table:
    """Return a summary as a table of two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in _rows(summary):
        if text:
            table.add_row(name, text)
    return table


def _rows(summary: Summary) -> list[tuple[str, str]]:
    """Return names and texts; nothing where there is nothing."""
    labels = summary.labels
    energies = ", ".join(f"{s} {energy:.6g} eV" for s, energy in summary.atomic_energies.items())
    repeated = ", ".join(f"{n} {kind}" for kind, n in summary.n_repeated.items() if n)
    within = f"within {summary.cutoff:g} Å: "
    return [
        ("structures", f"{summary.n_structures:,}, {summary.n_atoms:,} atoms"),
        ("elements", _counts(summary.elements)),
        ("atoms each", _spread(summary.sizes, "", 4)),
        ("periodic", _counts(summary.periodicity)),
        ("config_type", _counts(summary.config_types)),
        ("labels", ", ".join(f"{name} {count:,}" for name, count in labels.items())),
        ("energy", _spread(summary.energies, "eV/atom", 7)),
        ("energy - E0", _spread(summary.binding_energies, "eV/atom", 4)),
        ("|force|", _spread(summary.force_norms, "eV/Å", 4)),
        ("pressure", _spread(summary.pressures, "GPa", 4)),
        ("volume", _spread(summary.volumes, "Å^3/atom", 4)),
        ("nearest atom", _spread(summary.distances, "Å", 4)),
        ("neighbours", within + _spread(summary.neighbours, "", 4) if summary.neighbours else ""),
        ("E0", energies or "no isolated atoms"),
        ("repeated", repeated or "none"),
    ]


def _counts(counts: dict[str, int]) -> str:
    """Return `H 6,000, C 1,000`, the rarest left out if there are many."""
    shown = list(counts.items())[:_MOST_KINDS]
    text = ", ".join(f"{name or '(none)'} {count:,}" for name, count in shown)
    rest = len(counts) - len(shown)
    return f"{text} and {rest} more" if rest else text


def _spread(values: Range | None, unit: str, digits: int) -> str:
    """Return the range, the median and the standard deviation."""
    if values is None:
        return ""
    if values.lowest == values.highest:
        return f"{values.lowest:.{digits}g} {unit}".strip()
    text = f"{values.lowest:.{digits}g} to {values.highest:.{digits}g} {unit}".strip()
    return f"{text}, median {values.median:.{digits}g}, deviation {values.deviation:.3g}"
