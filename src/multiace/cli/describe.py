"""`multiace describe`: what a design computes, how large it is, and how it differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from multiace.design import Description


def describe(
    design: Annotated[str, typer.Argument(help="Preset, or YAML file of a design or a training.")],
    elements: Annotated[str, typer.Option(help="Elements of the model.")] = "H,C,N,O",
    size: Annotated[
        str | None, typer.Option(help="Size of presets: paper (default) or small.")
    ] = None,
    neighbours: Annotated[float, typer.Option(help="Mean neighbours, for the cost.")] = 20.0,
    diff: Annotated[str | None, typer.Option(help="Another preset or file to compare.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print equations, body order, receptive field, paths, parameters and cost of a design."""
    from multiace.design import describe as describe_design
    from multiace.design import differences
    from multiace.elements import atomic_number
    from multiace.presets.load import load_design

    symbols = [symbol.strip() for symbol in elements.split(",")]
    symbols = tuple(sorted(set(symbols), key=atomic_number))
    names = [design] if diff is None else [design, diff]
    sizes = _sizes_of(names, size)
    found = describe_design(load_design(design, size=sizes[0]), symbols, neighbours)
    other = None if diff is None else load_design(diff, size=sizes[1])
    rows = [] if other is None else differences(found.design, other)
    if as_json:
        content = found.to_dict()
        if other is not None:
            content["diff"] = [
                {"field": field, design: mine, str(diff): theirs} for field, mine, theirs in rows
            ]
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    print_description(console, design, found)
    if other is not None:
        _print_diff(console, design, str(diff), rows)


def _sizes_of(names: list[str], size: str | None) -> list[str | None]:
    """Give the size to the presets; a file says its own."""
    from multiace.presets.load import is_file

    if size is not None and all(map(is_file, names)):
        raise typer.BadParameter(
            f"--size {size} is for presets, and {' and '.join(names)} says its own. Leave it out, "
            "or write `size` beside `preset` in the file."
        )
    return [None if is_file(name) else size for name in names]


def print_description(console: Console, name: str, found: Description) -> None:
    """Print equations and facts."""
    equations = Table(title=f"{name}: equations", title_justify="left", box=None)
    equations.add_column("layers", style="cyan")
    equations.add_column("equation")
    for layers, equation in found.equations:
        equations.add_row(layers, equation)
    console.print(equations)

    readouts = [
        t for t, kind in enumerate(found.design.per_layer("readout.kind"), 1) if kind != "none"
    ]
    orders = ", ".join(
        f"E{t}: {'unbounded' if order is None else order}"
        for t, order in zip(readouts, found.body_orders, strict=True)
    )
    parts = ", ".join(f"{part} {number:,}" for part, number in found.parts.items() if number)
    facts = Table(box=None, show_header=False)
    facts.add_column(style="cyan")
    facts.add_column()
    for fact, text in (
        ("elements", ", ".join(found.elements)),
        ("body order", orders),
        ("isolated atom", found.atomic_limit),
        ("receptive field", f"{found.receptive_field:g} Å"),
        ("at the cutoff", f"{found.smoothness} (energy)"),
        ("paths", " / ".join(map(str, found.paths_per_layer))),
        ("live paths", " / ".join(map(str, found.live_paths_per_layer))),
        *(
            (
                f"functions, layer {t}",
                f"{sum(n):,} a centre: {' + '.join(map('{:,}'.format, n))} by order",
            )
            for t, n in found.functions.items()
        ),
        (
            "linear in weights",
            "yes" if found.nonlinear is None else f"no ({found.nonlinear})",
        ),
        ("parameters", f"{found.parameters:,} (dead paths included)"),
        ("active parameters", f"{found.active_parameters:,}: {parts}"),
        (
            "cost of an atom",
            f"{found.cost.flops_energy / 1e6:,.1f} MFLOP energy, "
            f"{found.cost.flops_forces / 1e6:,.1f} MFLOP energy and forces, "
            f"{found.cost.bytes_fused / 1e6:,.2f} MB fused, "
            f"{found.cost.bytes_unfused / 1e6:,.2f} MB unfused ({found.neighbours:g} neighbours)",
        ),
        ("content hash", found.design.content_hash[:16]),
    ):
        facts.add_row(fact, text)
    console.print()
    console.print(facts)


def _print_diff(
    console: Console, name: str, other: str, rows: list[tuple[str, object, object]]
) -> None:
    console.print()
    if not rows:
        console.print(f"{name} and {other} are the same design.")
        return
    table = Table(title=f"{name} -> {other}", title_justify="left", box=None)
    for column in ("field", name, other):
        table.add_column(column, style="cyan" if column == "field" else None)
    for field, mine, theirs in rows:
        table.add_row(field, json.dumps(mine), json.dumps(theirs))
    console.print(table)
