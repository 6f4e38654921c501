"""A page with every kind of block and mark, on numbers that are made up."""

from __future__ import annotations

import numpy as np

from multiace.data import read_structures
from multiace.data.bundled import bundled
from multiace.report import (
    Axis,
    Code,
    Column,
    Coverage,
    Density,
    Diagonal,
    Facts,
    Figure,
    Frame,
    Level,
    Line,
    Notice,
    Page,
    Panel,
    Points,
    Ribbon,
    Section,
    Span,
    StructureView,
    Table,
    Tag,
    Text,
    Uncertain,
    series_colour,
    series_dash,
)

NAMES = ("NequIP", "BOTNet", "MACE")


def learning() -> Figure:
    """Return curves with ribbons on a logarithmic axis."""
    epochs = np.arange(1.0, 30.0)
    marks = []
    for index, name in enumerate(NAMES):
        errors, colour = 300.0 / epochs ** (0.5 + 0.1 * index), series_colour(index)
        marks.append(Ribbon(epochs, 0.9 * errors, 1.1 * errors, colour=colour, name=name))
        marks.append(Line(epochs, errors, name=name, colour=colour, dash=series_dash(index)))
    force = Axis("force RMSE (meV/Å)", log=True)
    panels = tuple(Panel(title, Axis("epoch"), force, tuple(marks)) for title in ("one", "two"))
    return Figure("learning", "Learning curves", panels, "`MACE` learns <fastest>.", columns=2)


def parity() -> Figure:
    """Return a density and points with error bars along a diagonal."""
    rng = np.random.default_rng(0)
    reference = rng.normal(0.0, 2000.0, 3000)
    predicted = reference + rng.normal(0.0, 80.0, 3000)
    axes = Axis("reference (meV/Å)"), Axis("predicted (meV/Å)")
    few = np.array([-1000.0, 0.0, 1000.0])
    bars = Points(
        few, few, x_error=np.full(3, 90.0), y_error=np.full(3, 50.0), notes=("a", "b", "c")
    )
    density = Panel("density", *axes, (Diagonal(), Density.of(reference, predicted)), square=True)
    points = Panel("points", *axes, (Diagonal(), bars), square=True)
    return Figure("parity", "Parity", (density, points))


def scan() -> Figure:
    """Return a curve over what was trained on, with a limit, and an axis of categories."""
    angles = np.linspace(0.0, 180.0, 20)
    energies = 500.0 * (1.0 - np.cos(np.radians(2.0 * angles)))
    covered = Coverage(np.linspace(0.0, 40.0, 50))
    marks = (covered, Span(90.0, 120.0, "barrier"), Level(900.0, "radical + H"))
    curve = Panel(
        "rotation",
        Axis("dihedral (degrees)", limits=(-5.0, 185.0)),
        Axis("energy (meV)"),
        (*marks, Points(angles, energies, name="reference"), Line(angles, energies, name="MACE")),
    )
    elements = Points(np.array([20.0, 30.0, 40.0]), np.arange(3.0), name="MACE", colour="series-2")
    axes = Axis("force RMSE (meV/Å)", log=True, limits=(10.0, 100.0)), Axis(ticks=("H", "C", "O"))
    return Figure("scan", "A scan", (curve, Panel("elements", *axes, (elements,))))


def table() -> Table:
    """Return a table with every kind of cell."""
    columns = (
        Column("run"),
        Column("state"),
        Column("parameters"),
        Column("energy", "meV/atom", group="300 K", best="lowest"),
        Column("forces", "meV/Å", group="300 K", best="lowest"),
    )
    rows = (
        ("NequIP", Tag("unconverged", "warning"), 12345, 1.5, Uncertain(31.25, 0.4)),
        ("BOTNet & co", Tag("converged", "good"), 2345, 0.75, None),
    )
    return Table("errors", "Errors", columns, rows, "RMSE.")


def view() -> StructureView:
    """Return a molecule with arrows."""
    structure = read_structures(bundled("malonaldehyde/test_300K"))[0]
    arrows = np.ones((structure.n_atoms, 3))
    frames = tuple(Frame(structure, f"frame {k}", ("12 meV/Å",), arrows) for k in range(2))
    return StructureView("worst", "Worst frames", frames, "Arrows: errors.")


def page() -> Page:
    """Return the whole page."""
    return Page(
        "Three <designs>",
        "made up `for tests`",
        (
            Section("Results", (Notice("NequIP is `unconverged`.", "warning"), table())),
            Section("Figures", (Text("One.\n\nTwo & more."), learning(), parity(), scan())),
            Section("Structures", (view(),)),
            Section("How", (Facts((("torch", "2.13"),)), Code("config", "a: <1>"))),
            Section("Nothing", ()),
        ),
        "the end",
    )
