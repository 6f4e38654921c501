"""A figure as PNG and SVG, drawn by matplotlib on white: for papers, slides and e-mails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgba
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from multiace.figures.figure import (
    COVERAGE_HEIGHT,
    Axis,
    Coverage,
    Density,
    Diagonal,
    Figure,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    Ribbon,
    Span,
)
from multiace.figures.palette import LIGHT

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "svg.hashsalt": "multiace",  # the same figure is the same file
}
DASHES: dict[str, Any] = {"solid": "-", "dash": (0, (5, 2)), "dot": ":", "dashdot": "-."}

PANEL_WIDTH, PANEL_HEIGHT = 3.9, 3.1  # inches
WIDE = 1.8
"""Width of panels that have a row of their own, over that of others."""

DOTS_PER_INCH = 200
LETTER_WIDTH, HANDLE_WIDTH = 0.078, 0.5  # inches, of the legend
SMALL = 8.0
"""Size of text within the axes, points."""


def save_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write a figure as `folder/NAME.png` and `folder/NAME.svg`.

    Returns:
        The two files.
    """
    columns = min(figure.columns, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    with mpl.rc_context(STYLE):
        size = (
            PANEL_WIDTH * (WIDE if figure.columns == 1 else columns),
            PANEL_HEIGHT * figure.height * rows + (0.3 if figure.legend else 0.0),
        )
        canvas = Canvas(figsize=size, layout="constrained")
        places = canvas.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(places, figure.panels, strict=False):
            draw_panel(axes, panel)
        for axes in places[len(figure.panels) :]:
            axes.set_visible(False)
        _draw_legend(canvas, figure)
        return save_canvas(canvas, figure.name, folder)


def save_canvas(canvas: Canvas, name: str, folder: Path) -> list[Path]:
    """Write what was drawn as PNG and SVG, without the date, and return the files."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    canvas.savefig(paths[0], dpi=DOTS_PER_INCH)
    canvas.savefig(paths[1], metadata={"Date": None})
    return paths


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw a panel on axes of matplotlib."""
    if panel.title:
        axes.set_title(panel.title)
    _set_axis(axes, panel.x, "x")
    _set_axis(axes, panel.y, "y")
    for mark in panel.marks:
        if isinstance(mark, Coverage):
            _draw_coverage(axes, mark, panel.x.ends)
        else:
            _DRAWERS[type(mark)](axes, mark)
    axes.margins(x=0.02)
    for axis, set_limits in ((panel.x, axes.set_xlim), (panel.y, axes.set_ylim)):
        if axis.ends is not None:
            set_limits(*axis.ends)
    if panel.square:
        axes.set_aspect("equal", adjustable="datalim")


def _set_axis(axes: Axes, axis: Axis, name: str) -> None:
    along = axes.xaxis if name == "x" else axes.yaxis
    along.set_label_text(axis.label)
    axes.set_axisbelow(True)
    axes.grid(axis="x" if name == "x" else "y", color=LIGHT["grid"], linewidth=0.7)
    if axis.log:
        (axes.set_xscale if name == "x" else axes.set_yscale)("log")
        along.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        along.set_major_formatter("{x:,.10g}")
        along.set_minor_formatter(NullFormatter())
    elif axis.ticks:
        along.set_ticks(range(len(axis.ticks)), list(axis.ticks))
        along.set_tick_params(length=0, labelcolor=LIGHT["ink"])
    else:
        along.set_major_locator(MaxNLocator(nbins=6))
        along.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _draw_legend(canvas: Canvas, figure: Figure) -> None:
    if not figure.legend:
        return
    handles = [
        Line2D(
            [],
            [],
            color=LIGHT[mark.colour],
            linestyle=DASHES[mark.dash] if isinstance(mark, Line) else "",
            marker="" if isinstance(mark, Line) and not mark.markers else "o",
            markersize=4.5,
            linewidth=1.8,
            label=mark.name,
        )
        for mark in figure.legend
    ]
    canvas.legend(
        handles=handles,
        loc="outside upper left",
        ncols=_legend_columns(figure.legend, canvas.get_figwidth()),
        frameon=False,
        handlelength=1.6,
    )


def _legend_columns(entries: Sequence[Line | Points], width: float) -> int:
    """Return how many entries fit beside each other, judged by the longest name."""
    longest = max(len(entry.name) for entry in entries)
    fitting = int(width / (longest * LETTER_WIDTH + HANDLE_WIDTH))
    return max(1, min(fitting, len(entries)))


def _draw_line(axes: Axes, mark: Line) -> None:
    axes.plot(
        mark.x,
        mark.y,
        color=LIGHT[mark.colour],
        linestyle=DASHES[mark.dash],
        linewidth=mark.width,
        marker="o" if mark.markers else "",
        markersize=4,
        zorder=3,
    )


def _draw_points(axes: Axes, mark: Points) -> None:
    axes.errorbar(
        mark.x,
        mark.y,
        xerr=mark.x_error,
        yerr=mark.y_error,
        linestyle="",
        marker="o",
        markersize=mark.size,
        markeredgecolor="white",
        markeredgewidth=0.4,
        color=LIGHT[mark.colour],
        elinewidth=1.2,
        zorder=4,
    )
    for x, y, label in zip(mark.x, mark.y, mark.labels, strict=False):
        beside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": SMALL}
        axes.annotate(label, (x, y), color=LIGHT["ink"], zorder=5, **beside)


def _draw_ribbon(axes: Axes, mark: Ribbon) -> None:
    colour = to_rgba(LIGHT[mark.colour], 0.18)
    axes.fill_between(mark.x, mark.low, mark.high, color=colour, linewidth=0, zorder=2)


def _draw_density(axes: Axes, mark: Density) -> None:
    colour = LIGHT[mark.colour]
    scale = [(0.0, to_rgba(colour, 0.22)), (0.55, to_rgba(colour)), (1.0, to_rgba(LIGHT["ink"]))]
    axes.pcolormesh(
        mark.x_edges,
        mark.y_edges,
        np.ma.masked_equal(mark.counts, 0.0),
        cmap=LinearSegmentedColormap.from_list("density", scale),
        norm=LogNorm(1.0, max(float(mark.counts.max()), 3.0)),
        rasterized=True,
        zorder=2,
    )


def _draw_coverage(axes: Axes, mark: Coverage, limits: tuple[float, float] | None) -> None:
    heights, edges = mark.histogram
    along = axes.get_xaxis_transform()
    axes.axvspan(edges[0], edges[-1], color=LIGHT["shade"], alpha=0.28, linewidth=0, zorder=0)
    axes.stairs(
        COVERAGE_HEIGHT * heights,
        edges,
        transform=along,
        color=LIGHT["shade"],
        fill=True,
        zorder=1,
    )
    place, side = mark.label_place(limits)
    _write(axes, mark.label, (place, 0.99), along, ha=side, va="top")


def _draw_span(axes: Axes, mark: Span) -> None:
    axes.axvspan(mark.low, mark.high, color=LIGHT["shade"], alpha=0.4, linewidth=0, zorder=0)
    middle = (mark.low + mark.high) / 2
    _write(axes, mark.label, (middle, 0.99), axes.get_xaxis_transform(), ha="center", va="top")


def _draw_level(axes: Axes, mark: Level) -> None:
    axes.axhline(mark.value, color=LIGHT["muted"], linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    along = axes.get_yaxis_transform()
    _write(axes, mark.label, (0.98, mark.value), along, ha="right", va="bottom")


def _draw_diagonal(axes: Axes, mark: Diagonal) -> None:
    axes.axline((0.0, 0.0), slope=1.0, color=LIGHT["muted"], linewidth=0.8, linestyle=":", zorder=1)


def _write(axes: Axes, text: str, place: tuple[Any, Any], transform: Any, **where: Any) -> None:
    axes.text(*place, text, transform=transform, fontsize=SMALL, color=LIGHT["muted"], **where)


_DRAWERS: dict[type[Mark], Any] = {
    Line: _draw_line,
    Points: _draw_points,
    Ribbon: _draw_ribbon,
    Density: _draw_density,
    Span: _draw_span,
    Level: _draw_level,
    Diagonal: _draw_diagonal,
}
